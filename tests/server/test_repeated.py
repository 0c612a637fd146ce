"""Actions that are sent again: at the same time, and after a crash between their change and their answer."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.bank.killing import check_kills
from tests.server.office import LEO_KEY, MIA_KEY, Office, office
from tests.server.world import new_id, sent_after_a_crash, session_of, signed_message
from tests.wallets import world
from tests.wallets.codes import dead_letter, taken
from tests.wallets.world import LEO, MIA

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.database.requests import RequestConflict
from sycee.database.transactions import write
from sycee.server.auth.caller import SCOPES, Caller, CallerKind
from sycee.server.auth.logins import passkey_id
from sycee.server.auth.tables import LOGIN_NOTICES, PASSKEYS
from sycee.server.routes import aliases, merchants, wallets
from sycee.server.runtime import Runtime
from sycee.server.signing import ActionBody, Signatures, perform
from sycee.wallets.aliases import Code

WAIT_S = 60
CALLERS = 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("office")) as town:
        yield town


@pytest.fixture
def bank(made: Office) -> Bank:
    return made.bank


class Work:
    """An action that ends once every caller has called it, or waits for its answer."""

    def __init__(self, bank: Bank, id: int) -> None:
        self.bank, self.id = bank, id
        self.calls = 0
        self._changed = threading.Condition()

    def __call__(self, _: Signatures) -> dict[str, int]:
        until_s = time.monotonic() + WAIT_S
        with self._changed:
            self.calls += 1
            call = self.calls
            while self.calls < CALLERS and self.bank.stored_requests.in_progress.users(self.id) < CALLERS:
                assert time.monotonic() < until_s, "a caller is missing"
                self._changed.wait(0.01)
        return {"call": call}


def test_one_of_several_requests_at_a_time_is_the_first(bank: Bank) -> None:
    body = ActionBody(id=new_id())
    work = Work(bank, body.number)
    with ThreadPoolExecutor(CALLERS) as threads:
        started = [threads.submit(perform, bank, "test", 1, body, work) for _ in range(CALLERS)]
        answers = [each.result(WAIT_S) for each in started]
    assert sorted(each.status_code for each in answers) == [200] * (CALLERS - 1) + [201]
    assert {bytes(each.body) for each in answers} == {json.dumps({"call": 1}, separators=(",", ":")).encode()}
    assert work.calls == 1


def test_another_request_under_an_id_in_progress_is_refused(bank: Bank) -> None:
    body = ActionBody(id=new_id())
    work = Work(bank, body.number)
    with ThreadPoolExecutor(CALLERS) as threads:
        started = [threads.submit(perform, bank, "test", who, body, work) for who in range(1, CALLERS + 1)]
        errors = [each.exception(WAIT_S) for each in started]
    assert [type(each) for each in errors if each is not None] == [RequestConflict] * (CALLERS - 1)
    assert work.calls == 1
    assert bank.stored_requests.in_progress.users(ids.parse(body.id)) == 0


# --- changes of SQL alone, whose answer a crash loses ---


def last_code(bank: Bank) -> Code:
    return taken(bank.aliases)[-1]


def test_tills_and_outlets_are_closed_once(made: Office) -> None:
    merchant = f"merchants/{ids.format(made.town.tea)}"
    (outlet,) = made.bank.institutions.outlets_of(made.town.tea).values()
    till = ids.format(made.town.till_1)
    assert made.repeated("merchant", f"{merchant}/tills/{till}/closure") == {"till": till, "state": "closed"}
    closed = made.repeated("clerk", f"{merchant}/outlets/{ids.format(outlet)}/closure")
    assert closed == {"outlet": ids.format(outlet), "state": "closed"}
    assert made.bank.institutions.tills_of(made.town.tea) == []


def test_a_mandate_ends_once(made: Office) -> None:
    town, leo = made.town, ids.format(made.town.leo)
    made.bank.sweeps.link(town.leo, "CN00 1", signers=town.operator, who=town.north)
    granted = {"id": new_id(), "day_max_minor": "100"}
    assert signed_message(made.of("citizen"), f"/v1/wallets/{leo}/mandate", granted, LEO_KEY).status_code == 201
    assert made.repeated("citizen", f"wallets/{leo}/mandate/end")["wallet"] == leo
    assert made.post("citizen", f"wallets/{leo}/mandate/end").status_code == 400


def test_a_dead_letter_waits_again_once(made: Office) -> None:
    letter = ids.format(dead_letter(made.bank, made.person("citizen")))
    assert made.repeated("privacy", f"messages/undelivered/{letter}/again") == {"message": letter}
    assert [each.state for each in made.bank.life.outbox.undelivered()] == ["waiting"]


def test_an_alias_ends_once(made: Office) -> None:
    shop = ids.format(made.town.shop)
    made.done("operator", f"wallets/{shop}/aliases", alias="@tea.house")
    assert made.repeated("operator", f"wallets/{shop}/aliases/end", alias="@tea.house") == {"wallet": shop}


def test_a_phone_is_asked_for_confirmed_and_kept_once(made: Office) -> None:
    leo, mia, town = made.of("citizen"), made.client(made.town.holder(made.town.mia)), made.town

    def send(client: httpx.Client, account: int, what: str, key: Any) -> httpx.Response:
        body, path = {"id": new_id(), "alias": MIA["phone"]}, f"/v1/wallets/{ids.format(account)}/aliases/{what}"
        return sent_after_a_crash(lambda: signed_message(client, path, body, key))

    asked = send(leo, town.leo, "challenges", LEO_KEY).json()["challenge"]
    code = last_code(made.bank)
    assert ids.format(code.challenge) == asked
    wrong = {"id": new_id(), "code": f"{(int(code.code) + 1) % 10**6:06}"}
    assert leo.post(f"/v1/challenges/{asked}/confirmation", json=wrong).status_code == 400
    assert made.repeated("citizen", f"challenges/{asked}/confirmation", code=code.code) == {"active": False}
    assert send(mia, town.mia, "keep", MIA_KEY).json() == {"wallet": ids.format(town.mia)}


@pytest.mark.parametrize(
    ("role", "path", "secret"), [("clerk", "invitations", "first_half"), ("citizen", "me/login-codes", "code")]
)
def test_a_code_is_issued_once(made: Office, role: str, path: str, secret: str) -> None:
    """The code is in the first answer only: an answer that is lost leaves a code that nobody knows."""
    person = {"person": ids.format(made.town.holder(made.town.ned))} if role == "clerk" else {}
    body = {"id": new_id(), **person}

    def send() -> httpx.Response:
        answer = made.of(role).post(f"/v1/{path}", json=body)
        known = {name: value for name, value in answer.json().items() if name != secret}
        return httpx.Response(answer.status_code, json=known)

    assert sent_after_a_crash(send).json().keys() <= {"invitation", "from", "until"}


def test_a_recovery_is_proposed_once(made: Office) -> None:
    path = f"persons/{ids.format(made.person('citizen'))}/logins/recovery"
    proposal = made.repeated("clerk", path, reason="passport seen")["proposal"]
    assert made.of("clerk").get(f"/v1/proposals/{proposal}").json()["state"] == "open"


def test_persons_change_their_own_logins_once(made: Office) -> None:
    mia = made.town.holder(made.town.mia)
    keys, notice = [passkey_id(bytes([each])) for each in (1, 2)], ids.new(5)
    row = {"person": mia, "invitation": 0, "inviter": 0, "masked_until_ns": 0, "made_ns": 1}
    passkey = {**row, "name": "", "public_key": b"", "sign_count": 0}
    write(made.bank.stores.engine, lambda connection: [
        connection.execute(PASSKEYS.insert(), [{**passkey, "credential": bytes([each])} for each in (1, 2)]),
        connection.execute(LOGIN_NOTICES.insert().values(
            id=notice, person=mia, text="LOGIN_CREATED", login=keys[0], by=0, at_ns=1
        )),
    ])  # fmt: skip
    client, others = made.client(mia), [session_of(made.bank, mia) for _ in range(3)]
    assert len(others) == 3
    rows = client.get("/v1/me/sessions").json()["rows"]
    other = next(each["session"] for each in rows if not each["is_this"])

    def repeated(path: str, **members: object) -> dict[str, object]:
        body = {"id": new_id(), **members}
        answer: dict[str, object] = sent_after_a_crash(lambda: client.post(f"/v1/me/{path}", json=body)).json()
        return answer

    assert repeated(f"sessions/{other}/end") == {"id": other}
    assert repeated("sessions/end") == {"ended": 2}
    assert repeated(f"passkeys/{ids.format(keys[0])}/name", name="phone") == {"id": ids.format(keys[0])}
    assert repeated(f"passkeys/{ids.format(keys[0])}/removal") == {"id": ids.format(keys[0])}
    shown = ids.format(notice)
    assert repeated(f"login-notices/{shown}/answer", was_me=True) == {"notice": shown, "case": None}


# --- the same, killed ---

REQUESTS = [ids.format(each) for each in range(0x71, 0x76)]
HANDLE = "@tea.house"


def prepare(bank: Bank) -> None:
    """Make what `act` ends; a file beside the bank has the challenge and its code."""
    town = world.town(bank)
    bank.aliases.register_handle(town.shop, HANDLE, by=town.north)
    bank.sweeps.link(town.leo, "CN00 1", signers=town.operator, who=town.north)
    bank.mandates.grant(town.leo, 100, key=LEO_KEY, by=town.holder(town.leo))
    challenge = bank.aliases.challenge(town.ned, LEO["phone"], by=town.north)
    code = last_code(bank).code
    outlet = bank.institutions.outlets_of(town.tea)["MAIN"]
    numbers = (town.tea, outlet, town.till_1, town.shop, town.leo, challenge)
    known_file(bank).write_text(json.dumps([*map(ids.format, numbers), code]))


def known_file(bank: Bank) -> Path:
    return bank.folder.path.parent / "known.json"


def act(bank: Bank) -> None:
    """Send five requests to their handlers, and check the answers."""
    tea, outlet, till, shop, leo, challenge, code = json.loads(known_file(bank).read_text())
    north = Caller(CallerKind.PERSON, "", world.person(bank, world.NORTH), scopes=frozenset(SCOPES))
    runtime = Runtime(bank)
    runtime.is_ready = True
    one, two, three, four, five = REQUESTS
    alias = aliases.AliasBody(id=three, alias=HANDLE)
    sent = (
        (merchants.close_till(tea, till, ActionBody(id=one), north, runtime), {"till": till, "state": "closed"}),
        (
            merchants.close_outlet(tea, outlet, ActionBody(id=two), north, runtime),
            {"outlet": outlet, "state": "closed"},
        ),
        (aliases.end_alias(shop, alias, north, runtime), {"wallet": shop}),
        (wallets.end_mandate(leo, ActionBody(id=four), north, runtime), {"wallet": leo}),
        (aliases.confirm_phone(challenge, aliases.CodeBody(id=five, code=code), north, runtime), {"active": False}),
    )
    for coroutine, expected in sent:
        answer = asyncio.run(coroutine)
        assert answer.status_code in (200, 201)
        assert json.loads(answer.body).items() >= expected.items()


def expect(bank: Bank) -> None:
    tea, _, _, shop, leo, challenge, _ = json.loads(known_file(bank).read_text())
    assert bank.institutions.outlets_of(ids.parse(tea)) == {}
    assert bank.aliases.of_account(ids.parse(shop)) == []
    assert bank.aliases.moving_from(ids.parse(leo)) == [bank.aliases.account_of(ids.parse(challenge))]


def test_a_killed_change_of_sql(tmp_path: Path) -> None:
    prepared = world.further("", tmp_path / "prepared", prepare)
    assert check_kills("", tmp_path, prepared, act, expect=expect) >= 10


@pytest.mark.soak
def test_a_change_of_sql_killed_at_every_boundary(server: str, tmp_path: Path) -> None:
    prepared = world.further(server, tmp_path / "prepared", prepare)
    assert check_kills(server, tmp_path, prepared, act, expect=expect, every=True) >= 10
