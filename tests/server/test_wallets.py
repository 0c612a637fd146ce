"""Wallets and their keys over HTTP: read by those whom they concern, changed by the staff of their operator."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from tests.server.world import logged_in, new_id, served, signed, signed_message
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY, NORTH, SOUTH, START_NS, STRANGER, Town

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records.layout import Reason
from sycee.core.records.signed_messages import proof_message
from sycee.database.transactions import reading
from sycee.personal.key_tables import SECRETS
from sycee.sequencer.sequencer import Sequencer
from sycee.server.routes.csv_tables import cell
from sycee.wallets.batch_opening import NewWallet
from sycee.wallets.tables import WALLETS

NOWHERE = ids.format(int.from_bytes(b"x" * 16, "big"))
IVY = {"name": "Ivy Written-Nowhere", "phone": "+86 138 0000 0077", "paper": "E-IVY", "paper_kind": "passport"}


@dataclass(frozen=True)
class Street:
    town: Town
    leo: httpx.Client
    mia: httpx.Client
    north: httpx.Client
    south: httpx.Client
    nobody: httpx.Client

    def account_of(self, wallet: str):
        return self.town.bank.stores.ledger.account(ids.parse(wallet))

    def opening(self, **more: object) -> dict[str, object]:
        return {"id": new_id(), "operator": 2, "tier": "class-4", **more}

    def open(self, name: str, number: int) -> str:
        fields = {"name": name, "phone": f"+86 138 0000 {number:04}"}
        made = signed(self.north, "/v1/persons", self.opening(person=fields), NORTH)
        assert made.status_code == 201, made.json()
        return made.json()["wallet"]


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    folder: Path = tmp_path_factory.mktemp("server")
    with world.bank("sqlite", folder) as town:
        world.join(town.bank, "South Bank", SOUTH)
        with served(town.bank) as address, httpx.Client(base_url=address) as nobody:
            people = (
                town.holder(town.leo), town.holder(town.mia), town.north, world.person(town.bank, SOUTH),
            )  # fmt: skip
            leo, mia, north, south = (logged_in(town.bank, address, each) for each in people)
            with leo, mia, north, south:
                yield Street(town, leo, mia, north, south, nobody)


def shown(answer: httpx.Response) -> dict[str, object]:
    """A problem without the id of its request."""
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def test_an_owner_lists_and_shows_own_wallets(street: Street) -> None:
    leo = ids.format(street.town.leo)
    assert [each["wallet"] for each in street.leo.get("/v1/wallets").json()["rows"]] == [leo]
    found = street.leo.get(f"/v1/wallets/{leo}").json()
    assert (found["tier"], found["operator"], found["signs"], found["aliases"]) == ("class-2", 2, "key", ["phone"])
    assert found["balance_minor"] == found["available_minor"] == str(street.town.balance(street.town.leo))
    assert found["currency"] == "CNY"
    shop = street.north.get(f"/v1/wallets/{ids.format(street.town.shop)}").json()
    assert (shop["signs"], shop["holder"], shop["tier"]) == ("operator", ids.format(street.town.tea), "")
    of_tea = street.north.get("/v1/wallets", params={"holder": ids.format(street.town.tea)}).json()
    assert [each["wallet"] for each in of_tea["rows"]] == [ids.format(street.town.shop)]


@pytest.mark.parametrize("path", ["", "/statement", "/statement.csv", "/keys", "/mandate"])
def test_foreign_wallets_are_answered_like_missing_ones(street: Street, path: str) -> None:
    leo = ids.format(street.town.leo)
    for caller in (street.mia, street.south):
        foreign, missing = (caller.get(f"/v1/wallets/{each}{path}") for each in (leo, NOWHERE))
        assert (foreign.status_code, shown(foreign)) == (404, shown(missing))
    assert street.nobody.get(f"/v1/wallets/{leo}{path}").status_code == 401
    assert street.mia.get("/v1/wallets", params={"holder": ids.format(street.town.holder(street.town.leo))}).json() == {
        "rows": [], "next": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("closure", {}),
        ("class", {"tier": "class-3"}),
        ("waterfall", {"bank_account": "CN00 1"}),
        ("waterfall/end", {}),
        ("keys/revocation", {}),
        ("keys", {"key": str(STRANGER.public), "proof": "00" * 64}),
        ("mandate", {"day_max_minor": "1"}),
        ("mandate/end", {}),
    ],
)
def test_nobody_else_changes_a_wallet(street: Street, path: str, more: dict[str, str]) -> None:
    leo = ids.format(street.town.leo)
    for caller in (street.mia, street.south):
        body = {"id": new_id(), **more}
        foreign, missing = (caller.post(f"/v1/wallets/{each}/{path}", json=body) for each in (leo, NOWHERE))
        without_duty = 403 if caller is street.mia and not path.startswith("mandate") else 404
        assert (foreign.status_code, shown(foreign)) == (without_duty, shown(missing))
    if not path.startswith("mandate"):
        own = street.leo.post(f"/v1/wallets/{leo}/{path}", json={"id": new_id(), **more})
        assert (own.status_code, own.json()["type"]) == (403, "/problems/not-permitted")


def test_statement_pages_have_texts_for_the_owner_only(street: Street) -> None:
    town = street.town
    leo, shop = ids.format(town.leo), ids.format(town.shop)
    for at in range(3):
        body = {"id": new_id(), "payee": shop, "minor": str(100 + at), "text": f"=tea {at}"}
        assert signed(street.leo, f"/v1/wallets/{leo}/payments", body, LEO_KEY).status_code == 201
    first = street.leo.get(f"/v1/wallets/{leo}/statement", params={"limit": 2}).json()
    assert [(each["amount_minor"], each["text"]) for each in first["rows"]] == [("-102", "=tea 2"), ("-101", "=tea 1")]
    second = street.leo.get(f"/v1/wallets/{leo}/statement", params={"cursor": first["next"], "limit": 1}).json()
    assert [(each["amount_minor"], each["text"]) for each in second["rows"]] == [("-100", "=tea 0")]
    staff = street.north.get(f"/v1/wallets/{leo}/statement", params={"limit": 2}).json()
    assert [each["text"] for each in staff["rows"]] == ["", ""]
    wrong = street.leo.get(f"/v1/wallets/{leo}/statement", params={"cursor": "nonsense"})
    assert (wrong.status_code, wrong.json()["type"]) == (400, "/problems/invalid-request")
    number = street.leo.get(f"/v1/wallets/{leo}/statement", params={"cursor": "NQ"})  # the JSON 5, which is no list
    assert number.status_code == 400
    other = street.leo.get(f"/v1/wallets/{leo}/statement", params={"cursor": "WzFd"})  # [1]: a movement of another
    assert other.status_code == 400


def test_a_download_escapes_formulas_and_keeps_numbers(street: Street) -> None:
    leo = ids.format(street.town.leo)
    body = {"id": new_id(), "payee": ids.format(street.town.shop), "minor": "109", "text": "=tea"}
    assert signed(street.leo, f"/v1/wallets/{leo}/payments", body, LEO_KEY).status_code == 201
    answer = street.leo.get(f"/v1/wallets/{leo}/statement.csv", params={"limit": 1})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('attachment; filename="statement-')
    assert answer.headers["sycee-next"]
    ((headings, row),) = [list(csv.reader(io.StringIO(answer.text)))]
    made = dict(zip(headings, row, strict=True))
    assert (made["amount_minor"], made["text"]) == ("-109", "'=tea")
    for text in ("=1+1", "+1 a", "-x", "@a", "\tx", "\r=1"):
        assert cell(text) == f"'{text}"
    for value in ("-12", "+8613", "-1.5", 7, -7, "tea", ""):
        assert cell(value) == value


def test_a_person_is_registered_once_and_in_no_answer(street: Street) -> None:
    key = SigningKey.derive(bytes([123]) * 32)
    bank, wallet = street.town.bank, new_id()
    proof = key.sign(proof_message(bank.stores.ledger.ledger_id, ids.parse(wallet), 1, key.public)).hex()
    body = street.opening(tier="class-2", person=IVY, wallet=wallet, key=str(key.public), proof=proof)

    def stored() -> tuple[int, int]:
        with reading(bank.stores.engine) as connection, bank.personal_keys._engine.connect() as keys:
            counts = [select(func.count()).select_from(each) for each in (WALLETS, SECRETS)]
            return connection.scalar(counts[0]), keys.scalar(counts[1])

    before = stored()
    asked = street.north.post("/v1/persons", json=body)
    assert (asked.status_code, stored()) == (202, before)
    done = signed(street.north, "/v1/persons", body, NORTH)
    assert (done.status_code, done.json()["wallet"], done.json()["state"]) == (201, wallet, "open")
    assert stored() == (before[0] + 1, before[1] + 1)
    again = signed(street.north, "/v1/persons", body, NORTH)
    assert (again.status_code, again.json()) == (200, done.json())
    assert not any(each in str(done.json()) for each in IVY.values())
    other = signed(street.north, "/v1/persons", {**body, "tier": "class-3"}, NORTH)
    assert other.status_code == 409
    twice = signed(street.north, "/v1/persons", street.opening(person=IVY), NORTH)
    assert (twice.status_code, "DUPLICATE" in twice.json()["detail"]) == (400, True)
    assert "Ivy" not in str(twice.json())
    assert stored() == (before[0] + 1, before[1] + 1)


def test_an_opening_that_lost_its_answer_returns_the_same_wallet(street: Street) -> None:
    town = street.town
    fields = {"name": "Kim", "phone": "+86 138 0000 0078"}
    more = {"operator": 2, "tier": "class-4", "signers": town.operator, "who": town.north, "id": ids.new(1)}
    first = town.bank.wallets.open_person(fields, **more)
    assert town.bank.wallets.open_person(fields, **more) == first
    assert town.bank.wallets.open(first.holder, **more) == first


def batch(street: Street, *persons: dict[str, str], key: SigningKey | None = None) -> dict[str, Any]:
    """A request that opens a wallet for each person, with a key of its own if one is given."""
    wallets = [new_id() for _ in persons]
    made = street.opening(wallets=wallets, columns={name: [each[name] for each in persons] for name in persons[0]})
    if key is not None:
        ledger_id = street.town.bank.stores.ledger.ledger_id
        messages = [proof_message(ledger_id, ids.parse(each), 1, key.public) for each in wallets]
        made |= {"keys": [str(key.public)] * len(wallets), "proofs": [key.sign(each).hex() for each in messages]}
    return made


def people(first: int, count: int) -> list[dict[str, str]]:
    return [{"name": f"Person {at}", "phone": f"+86 138 0000 {at:04}"} for at in range(first, first + count)]


def test_a_batch_opens_the_good_rows_and_answers_each(street: Street) -> None:
    bank, key = street.town.bank, SigningKey.derive(bytes([78]) * 32)
    body = batch(street, *people(500, 7), key=key)
    wallets, columns, proofs = body["wallets"], body["columns"], body["proofs"]
    body["keys"][1] = proofs[1] = ""  # custodial
    columns["phone"][2:4] = columns["phone"][0], "12"
    proofs[4] = proofs[5]
    wallets[6] = ids.format(street.town.leo)
    frame = bank.stores.ledger.sequencer.durable_sequence
    asked = street.north.post("/v1/persons/many", json=body)
    assert (asked.status_code, len(asked.json()["to_sign"]["lines"])) == (202, 5)
    assert bank.stores.ledger.sequencer.durable_sequence == frame
    done = signed(street.north, "/v1/persons/many", body, NORTH)
    assert done.status_code == 201, done.json()
    found = done.json()["rows"]
    codes = ["", "", "DUPLICATE_PHONE", "INVALID_PHONE", "WRONG_PROOF", "", "WALLET_ID_TAKEN"]
    assert [each["code"] for each in found] == codes
    assert [each["wallet"] for each in found] == wallets
    assert [each["holder"] is None for each in found] == [bool(code) for code in codes]
    assert "Person" not in str(done.json())
    assert bank.stores.ledger.sequencer.durable_sequence == frame + 1
    assert [street.account_of(wallets[at]).key for at in (0, 1, 5)] == [key.public.key, b"", key.public.key]
    opened = bank.directory.get(ids.parse(wallets[0]))
    assert (opened.is_custodial, opened.operator) == (False, 2)
    assert bank.directory.get(ids.parse(wallets[1])).is_custodial
    assert [each.public_key for each in bank.keys.history(ids.parse(wallets[0]))] == [str(key.public)]
    again = signed(street.north, "/v1/persons/many", body, NORTH)
    assert (again.status_code, again.json()) == (200, done.json())
    other = signed(street.north, "/v1/persons/many", {**body, "tier": "class-3"}, NORTH)
    assert other.status_code == 409
    repeated = signed(street.north, "/v1/persons/many", batch(street, *people(500, 2)), NORTH)
    assert {each["code"] for each in repeated.json()["rows"]} == {"DUPLICATE_PHONE"}
    assert repeated.status_code == 201
    assert bank.check() == []


def test_a_batch_that_lost_its_answer_returns_the_same_rows(street: Street) -> None:
    town, id = street.town, ids.new(1)
    fields, key = people(520, 5), SigningKey.derive(bytes([80]) * 32)
    columns = {name: [each[name] for each in [*fields, fields[0]]] for name in ("name", "phone")}
    more = {"operator": 2, "tier": "class-4", "signers": town.operator, "who": town.north, "id": id}
    wallets = [NewWallet(ids.new(at)) for at in range(1, 7)]
    wallets[3], wallets[4] = NewWallet(town.leo), NewWallet(ids.new(1), key.public, b"x" * 64)
    first = town.bank.wallets.open_batch(columns, wallets, **more)
    assert [each.code for each in first] == ["", "", "", "WALLET_ID_TAKEN", "WRONG_PROOF", "DUPLICATE_PHONE"]
    assert town.bank.wallets.open_batch(columns, wallets, **more) == first
    for others in ([NewWallet(ids.new(1)), *wallets[1:]], [replace(wallets[0], key=key.public), *wallets[1:]]):
        with pytest.raises(UsageError, match="is of another opening"):
            town.bank.wallets.open_batch(columns, others, **more)
    assert town.bank.check() == []


def test_a_text_that_cannot_be_stored_refuses_its_row_only(street: Street) -> None:
    fields = people(530, 3)
    fields[0]["name"], fields[1]["name"] = "A\x1b[2J", "B" * 513
    done = signed(street.north, "/v1/persons/many", batch(street, *fields), NORTH)
    assert [each["code"] for each in done.json()["rows"]] == ["INVALID_TEXT", "TEXT_TOO_LONG", ""]


@pytest.mark.parametrize("has_keys", [False, True])
def test_a_batch_whose_signatures_expired_is_signed_anew_by_its_request(street: Street, has_keys: bool) -> None:
    town, key = street.town, SigningKey.derive(bytes([79]) * 32) if has_keys else None
    body = batch(street, *people(540 + 10 * has_keys, 2), key=key)
    submit, id = Sequencer.submit, ids.parse(str(body["id"]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sequencer, "submit", lambda *_: submit(_[0], _[1]))  # without signatures
        refused = signed(street.north, "/v1/persons/many", body, NORTH)
    assert (refused.status_code, refused.json()["code"]) == (422, "NOT_AUTHORISED")
    assert [each.id for each in town.bank.wallets.lapsed(2)] == [id]
    path = f"/v1/operators/2/lapsed-openings/{body['id']}/renewal"
    if has_keys:
        alone = street.north.post(path, json={"id": new_id()})
        assert (alone.status_code, "keys of their own" in alone.json()["detail"]) == (400, True)
    done = signed(street.north, "/v1/persons/many", body, NORTH)
    assert (done.status_code, [each["code"] for each in done.json()["rows"]]) == (201, ["", ""])
    assert town.bank.wallets.lapsed(2) == []
    wallet = str(done.json()["rows"][0]["wallet"])
    assert street.account_of(wallet).key == (key.public.key if key else b"")
    assert town.bank.check() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda body: {**body, "wallets": []}, "wallets"),
        (lambda body: {**body, "wallets": body["wallets"] * 2}, "a wallet each; got 1 and 2 wallets"),
        (lambda body: {**body, "columns": {"name": ["A", "B"], "phone": ["1"]}}, "length"),
        (lambda body: {**body, "tier": "class-3"}, "without its own key"),
        (lambda body: {**body, "keys": ["ed25519:x"]}, "is not a public key"),
        (lambda body: {**body, "columns": {"name": ["A" * 4_097], "phone": ["1"]}}, "4096 characters"),
        (lambda body: {**body, "keys": [""] * 2}, "1 wallets have 2 keys and 1 proofs"),
    ],
)
def test_a_batch_that_no_row_can_be_of(street: Street, change: Callable[[Any], Any], said: str) -> None:
    answer = street.north.post("/v1/persons/many", json=change(batch(street, *people(560, 1))))
    assert (answer.status_code, said in answer.text) == (400, True)


def test_openings_of_others_are_refused(street: Street) -> None:
    body = street.opening(holder=ids.format(street.town.holder(street.town.ned)))
    assert street.south.post("/v1/wallets", json=body).status_code == 403
    assert street.leo.post("/v1/wallets", json=body).status_code == 403
    many = batch(street, *people(570, 1))
    assert [each.post("/v1/persons/many", json=many).status_code for each in (street.south, street.leo)] == [403, 403]
    assert street.nobody.post("/v1/persons/many", json=many).status_code == 401
    assert street.nobody.post("/v1/wallets", json=body).status_code == 401
    done = signed(street.north, "/v1/wallets", body, NORTH)
    assert (done.status_code, done.json()["holder"]) == (201, body["holder"])
    unknown = street.north.post("/v1/wallets", json=street.opening(holder=NOWHERE))
    assert unknown.status_code == 400
    taken = street.opening(
        holder=body["holder"], wallet=ids.format(street.town.leo), tier="class-4",
    )  # fmt: skip
    assert street.north.post("/v1/wallets", json=taken).status_code == 400
    bad = street.north.post("/v1/persons", json=street.opening(person={**IVY, "nickname": "secret-nick"}))
    assert (bad.status_code, "secret-nick" in bad.text) == (400, False)


def test_a_wallet_changes_its_class_and_is_closed(street: Street) -> None:
    wallet = street.open("Rae", 81)
    body = {"id": new_id(), "tier": "class-3"}
    refused = street.north.post(f"/v1/wallets/{wallet}/class", json=body)
    assert (refused.status_code, "without its own key" in refused.json()["detail"]) == (400, True)
    closing = {"id": new_id()}
    done = signed(street.north, f"/v1/wallets/{wallet}/closure", closing, NORTH)
    assert (done.status_code, done.json()["state"]) == (201, "closed")
    again = signed(street.north, f"/v1/wallets/{wallet}/closure", closing, NORTH)
    assert (again.status_code, again.json()) == (200, done.json())
    changes, number = street.town.bank.changes, ids.parse(closing["id"])  # as if the answer had not been stored
    account = ids.parse(wallet)
    assert changes.close(account, signers=street.town.operator, who=street.town.north, id=number).state == "closed"
    late = street.north.post(f"/v1/wallets/{wallet}/closure", json={"id": new_id()})
    assert late.status_code == 400
    full = signed(street.north, f"/v1/wallets/{ids.format(street.town.mia)}/closure", {"id": new_id()}, NORTH)
    assert (full.status_code, full.json()["code"]) == (422, "ACCOUNT_NOT_EMPTY")


def test_a_key_is_set_in_two_parts_and_revoked(street: Street) -> None:
    wallet, key = street.open("Sol", 82), SigningKey.derive(bytes([124]) * 32, "p256")
    path = f"/v1/wallets/{wallet}/keys"
    values = street.north.get(path).json()
    message = proof_message(bytes.fromhex(values["ledger_id"]), ids.parse(wallet), values["next_epoch"], key.public)
    body = {"id": new_id(), "key": str(key.public), "proof": key.sign(message).hex()}
    wrong = street.north.post(path, json={**body, "proof": STRANGER.sign(message).hex()})
    assert (wrong.status_code, "proof" in wrong.json()["detail"]) == (400, True)
    done = signed(street.north, path, body, NORTH)
    assert (done.status_code, done.json()) == (
        201, {"wallet": wallet, "key": str(key.public), "key_epoch": 1, "state": "set"},
    )  # fmt: skip
    assert signed(street.north, path, body, NORTH).status_code == 200
    account = street.account_of(wallet)
    assert (account.key, account.debit_reasons) == (key.public.key, frozenset())
    revoke = {"id": new_id(), "reason": "stolen"}
    gone = signed(street.north, f"{path}/revocation", revoke, NORTH)
    assert (gone.status_code, gone.json()["key"], gone.json()["key_epoch"]) == (201, "", 2)
    assert signed(street.north, f"{path}/revocation", revoke, NORTH).status_code == 200
    assert street.account_of(wallet).debit_reasons == {Reason.RECOVERY}
    assert [each["reason"] for each in street.north.get(path).json()["keys"]] == ["rotation", "stolen"]
    assert street.north.get(f"/v1/wallets/{wallet}").json()["signs"] == "nobody"
    named = street.north.post(f"{path}/revocation", json={"id": new_id(), "reason": "Sol lost it"})
    assert named.status_code == 400


def test_a_mandate_is_signed_by_the_wallets_key(street: Street) -> None:
    mia = ids.format(street.town.mia)
    path = f"/v1/wallets/{mia}"
    body = {"id": new_id(), "day_max_minor": "5000"}
    assert street.mia.post(f"{path}/mandate", json=body).status_code == 400  # without a bank account
    linked = signed(street.north, f"{path}/waterfall", {"id": new_id(), "bank_account": "CN00 42"}, NORTH)
    assert (linked.status_code, "CN00" in linked.text) == (201, False)
    forged = signed_message(street.mia, f"{path}/mandate", body, LEO_KEY)
    assert (forged.status_code, "signature" in forged.json()["detail"]) == (400, True)
    done = signed_message(street.mia, f"{path}/mandate", body, MIA_KEY)
    assert done.status_code == 201
    assert signed_message(street.mia, f"{path}/mandate", body, MIA_KEY).status_code == 200
    assert street.mia.get(f"{path}/mandate").json() == {"day_max_minor": "5000", "id": body["id"]}
    assert street.mia.post(f"{path}/mandate/end", json={"id": new_id()}).status_code == 201
    assert street.mia.get(f"{path}/mandate").json()["day_max_minor"] is None
    assert signed(street.north, f"{path}/waterfall/end", {"id": new_id()}, NORTH).status_code == 201


def test_a_session_of_the_operator_takes_nothing_from_a_wallet_with_a_key(street: Street) -> None:
    leo, before = ids.format(street.town.leo), street.town.balance(street.town.leo)
    payee, until_ns = ids.format(street.town.shop), str(START_NS + 10**15)
    for path, more in (
        ("payments", {"payee": payee, "minor": "1", "text": "x"}),
        ("holds", {"payee": payee, "minor": "1", "until_ns": until_ns}),
        ("defundings", {"minor": "1", "bank_reference": "S-1"}),
        ("shortfalls", {"payee": payee, "minor": "1"}),
        ("requests", {"minor": "1", "expires_ns": until_ns}),
        ("aliases", {"alias": "@leo.stolen"}),
        ("mandate", {"day_max_minor": "1"}),
    ):
        answer = signed(street.north, f"/v1/wallets/{leo}/{path}", {"id": new_id(), **more}, NORTH)
        assert (path, answer.status_code) == (path, 404)
    own_key = SigningKey.derive(bytes([125]) * 32)
    copied = {"id": new_id(), "key": str(own_key.public), "proof": own_key.sign(bytes(32)).hex()}
    assert street.north.post(f"/v1/wallets/{leo}/keys", json=copied).status_code == 400
    assert street.town.balance(street.town.leo) == before


def test_an_id_of_the_ledger_cannot_be_taken_for_a_wallet(street: Street) -> None:
    vault = street.town.bank.registry.operator(3).accounts.vault
    body = street.opening(holder=ids.format(street.town.holder(street.town.ned)), wallet=ids.format(vault))
    answer = street.north.post("/v1/wallets", json=body)
    assert (answer.status_code, "is taken" in answer.json()["detail"]) == (400, True)
    assert street.north.get(f"/v1/wallets/{ids.format(vault)}/keys").status_code == 404
    zero = street.north.post("/v1/wallets", json={**body, "id": "00000000-0000-0000-0000-000000000000"})
    assert (zero.status_code, "not zero" in zero.json()["detail"]) == (400, True)
    control = {"name": "A\u0000", "phone": "+86 138 0000 0079"}
    assert street.north.post("/v1/persons", json=street.opening(person=control)).status_code == 400
