"""Attacks on a running server, over real HTTP: whoever the attacker is, nothing moves and nothing is shown.

SECURITY.md names the tests that show what stops whom. Attacks on single parts are with the tests of those parts.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import numpy as np
import pytest
from tests.bank.world import ANN, NORTH, SOUTH
from tests.server.attackers import (
    EVIL,
    MISSING,
    ORIGIN,
    PAYMENT,
    Place,
    Program,
    attacked,
    connected,
    content,
    nothing_moves,
    payment_to,
    payments_of,
    rest,
    sealed,
)
from tests.server.auth.authenticator import Authenticator
from tests.server.auth.parties import Machine
from tests.server.world import new_id, signed
from tests.wallets import world
from tests.wallets.world import LEO_KEY, MIA_KEY

from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, layout, operations
from sycee.core.records.layout import AccountKind
from sycee.database.transactions import write
from sycee.server.auth.dpop import Proofs
from sycee.server.auth.registers import Registers
from sycee.server.auth.tokens import Tokens


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with attacked(tmp_path_factory.mktemp("attacks")) as made:
        yield made


# --- tokens ---


def test_a_stolen_token_of_an_operator_reads_its_own_customers_only(place: Place) -> None:
    town = place.town
    with place.client() as http:
        north, south = Program(http, place.north), Program(http, place.south)
        for account in (town.leo, town.ned):
            path = f"/v1/wallets/{ids.format(account)}/orders/A-1"
            missing = south.send("GET", f"/v1/wallets/{MISSING}/orders/A-1")
            assert north.send("GET", path).status_code == 200
            assert content(south.send("GET", path)) == content(missing)
            assert missing.status_code == 404
        assert content(north.send("GET", f"/v1/wallets/{ids.format(place.sue)}/orders/A-1")) == content(missing)


def test_a_stolen_token_of_an_operator_pays_nothing(place: Place) -> None:
    town = place.town
    with place.client() as http, nothing_moves(town):
        north, south = Program(http, place.north), Program(http, place.south)
        # A wallet with its own key: not even the operator is told what to sign.
        for each in (north, south):
            assert each.send("POST", payments_of(town.leo), payment_to(town.mia)).status_code == 404
        assert south.send("POST", payments_of(town.ned), payment_to(town.mia)).status_code == 404
        # A custodial wallet: the token alone asks, and a key of the thief or of another operator signs in vain.
        body = payment_to(town.shop)
        asked = north.send("POST", payments_of(town.ned), body)
        assert asked.status_code == 202, asked.text
        found = asked.json()["to_sign"]
        records = np.frombuffer(base64.b64decode(found["records"]), layout.OPERATION)
        (signer,) = found["signers"]
        for key in (world.STRANGER, SOUTH):
            envelope = envelopes.sign(
                records, bytes.fromhex(found["ledger_id"]), ids.parse(signer["id"]), key,
                int(found["valid_until_ns"]), currency=signer["currency"], key_epoch=signer["key_epoch"],
            )  # fmt: skip
            again = north.send(
                "POST", payments_of(town.ned), body | {"envelopes": [base64.b64encode(envelope.encode()).decode()]}
            )
            assert again.status_code == 202


def test_tokens_that_are_forged_downgraded_or_of_another_server_are_refused(place: Place) -> None:
    bank, path = place.town.bank, "/v1/clients"
    with place.client() as http:
        good = Program(http, place.north)
        assert good.send("GET", path).status_code == 200
        head, payload, seal = good.token.split(".")
        clients = Registers(bank).clients
        other = Tokens(clients, Proofs(RealClock()), f"https://{EVIL}", RealClock())
        machine = Machine(place.north.client, place.north.key, place.north.clock, issuer=f"https://{EVIL}")
        elsewhere = str(other.issue(machine.form(), machine.proof())["access_token"])
        forged = {
            "of another server": elsewhere,
            "without a signature": unsigned(payload),
            "with another payload": f"{head}.{elsewhere.split('.')[1]}.{seal}",
            "cut": f"{head}.{payload}.",
        }
        refused = set()
        for token in forged.values():
            found = Program.__new__(Program)
            found.http, found.machine, found.token = http, place.north, token
            refused.add(content(found.send("GET", path)))
        proof = place.north.proof(method="GET", url=f"{ORIGIN}{path}", token=good.token)
        moved = good.send("POST", payments_of(place.town.ned), payment_to(place.town.mia), DPoP=proof)
        refused.add(content(moved))
        assert good.send("GET", path, DPoP=proof).status_code == 200
        refused.add(content(good.send("GET", path, DPoP=proof)))  # replayed
        assert len(refused) == 1, "one answer for all of them"
        assert refused.pop()[0] == 401
        assert good.send("GET", path).status_code == 200


def unsigned(payload: str) -> str:
    head = base64.urlsafe_b64encode(b'{"typ":"at+jwt","alg":"none"}').decode()
    return f"{head}.{payload}."


# --- records on the path that needs no token ---


def test_records_of_officers_are_not_taken_as_payments(place: Place) -> None:
    town, id = place.town, ids.new(time.time_ns() // 10**6)
    ledger = town.bank.stores.ledger
    issuance, vault = (
        next(each.id for each in ledger.accounts(kind=kind)) for kind in (AccountKind.ISSUANCE, AccountKind.VAULT)
    )
    officer = world.person(town.bank, ANN)
    grant = operations.grant_role(
        id, person=officer, role=layout.Role.OFFICER, key=LEO_KEY.public.key, flags=LEO_KEY.public.flags, from_ns=0,
        until_ns=2**62,
    )  # fmt: skip
    block = operations.block_account(id, account=town.mia, sides=layout.Block.DEBIT, reason=layout.Reason.REQUEST)
    mint = operations.transfer(id, debit=issuance, credit=town.leo, amount=1_000)
    pay = operations.pay(id, payer=town.leo, payee=town.mia, amount=1)
    two = operations.chain(pay, operations.pay(id + 1, payer=town.leo, payee=town.mia, amount=1))
    person = {"currency": 0, "key_epoch": 0}
    bodies = {
        "an officer's grant": (400, sealed(town, grant, officer, ANN, **person)),
        "an officer's block": (400, sealed(town, block, officer, ANN, **person)),
        "a block by the wallet's key": (400, sealed(town, block, town.leo, LEO_KEY)),
        "a mint by an officer": (400, sealed(town, mint, officer, ANN, **person)),
        "a mint by an officer's key": (422, sealed(town, mint, issuance, ANN)),
        "a mint by a wallet": (422, sealed(town, mint, town.leo, LEO_KEY)),
        "money of the vault": (422, sealed(town, operations.transfer(id, debit=vault, credit=town.leo, amount=1),
                                           vault, NORTH)),
        "a linked record": (400, sealed(town, two, town.leo, LEO_KEY)),
        "two records": (400, two.tobytes() + sealed(town, two, town.leo, LEO_KEY)[128:]),
        "another's money": (422, sealed(town, operations.pay(id, payer=town.mia, payee=town.leo, amount=1),
                                        town.mia, LEO_KEY)),
    }  # fmt: skip
    with place.client(headers=PAYMENT) as http, nothing_moves(town):
        got = {name: http.post("/v1/payments", content=body).status_code for name, (_, body) in bodies.items()}
    assert got == {name: status for name, (status, _) in bodies.items()}
    assert ledger.result_of(id) is None


def test_a_wallet_pays_to_no_account_of_the_system(place: Place) -> None:
    """With its own key a citizen destroys no money, and disturbs no account of the issuer or of an operator."""
    town, paid, until_ns = place.town, set(), time.time_ns() + 86_400 * 10**9
    # While the server runs, an operator joins, and a programme gets a funder.
    world.join(town.bank, "Late Bank", SigningKey.derive(bytes([211]) * 32))
    late = town.bank.registry.operators()[-1].accounts.vault
    funder = town.bank.funders.open("City", operator=2, signers=town.operator, who=town.north).account
    wallets = (AccountKind.WALLET, AccountKind.MERCHANT)
    with place.client(headers=PAYMENT) as http, place.citizen(town.leo) as leo:
        supply = http.get("/v1/supply").json()
        accounts = town.bank.stores.ledger.accounts()
        assert {late, funder} <= {each.id for each in accounts}
        for account in accounts:
            for make in (
                lambda new, to: operations.pay(new, payer=town.leo, payee=to, amount=1),
                lambda new, to: operations.transfer(new, debit=town.leo, credit=to, amount=1),
                lambda new, to: operations.hold(new, payer=town.leo, payee=to, amount=1, until_ns=until_ns),
            ):
                body = sealed(town, make(ids.new(time.time_ns() // 10**6), account.id), town.leo, LEO_KEY)
                if http.post("/v1/payments", content=body).status_code == 201:
                    paid.add(account.kind)
            for changes in ({}, {"text": ""}):
                to = payment_to(account.id, minor="1", **changes)
                if signed(leo, payments_of(town.leo), to, LEO_KEY).status_code == 201:
                    paid.add(account.kind)
        after = http.get("/v1/supply").json()
    assert paid == set(wallets)
    assert (after["supply"], after["equal"]) == (supply["supply"], True)


# --- what is another's ---

_TEXTS = {"^[0-9]{6}$": "123456", "^[0-9a-f]{64}$": "ab" * 32, "^[0-9a-f]{128}$": "ab" * 64, "^([0-9a-f]{208})?$": ""}
_PARTS = {"day": "2026-11-02", "order": "A-1", "form": "png"}


def example(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value that a schema permits."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], schemas)
    for known in ([schema["const"]] if "const" in schema else (), schema.get("examples"), schema.get("enum")):
        if known:
            return known[0]
    if schema.get("type") == "object":
        required = schema.get("required", ())
        return {name: example(each, schemas) for name, each in schema.get("properties", {}).items() if name in required}
    if schema.get("type") == "array":
        return [example(schema["items"], schemas)] if schema.get("minItems") else []
    usual = {"integer": max(1, schema.get("minimum", 1)), "boolean": False}
    return usual.get(schema.get("type", ""), _TEXTS.get(schema.get("pattern", ""), "abc"))


def named_by_id(document: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield method, path, name of the id in the path, and body of each operation on a thing with an id."""
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parameters, query = operation.get("parameters", ()), {}
            parts = {each["name"]: "3" for each in parameters if each["schema"].get("type") == "integer"} | _PARTS
            names = [each["name"] for each in parameters if "[0-9a-f]{12}" in str(each["schema"])]
            for each in parameters:
                if each["in"] == "query" and each.get("required"):
                    value = example(each["schema"], schemas) or [example(each["schema"]["items"], schemas)]
                    query[each["name"]] = value[0] if isinstance(value, list) else value
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            body = example(content["schema"], schemas) if content else {}
            if names and "{" in path:
                filled = re.sub(
                    r"\{([a-z_]+)\}",
                    lambda found, name=names[0], parts=parts: (
                        "{}" if found[1] == name else parts.get(found[1], MISSING)
                    ),
                    path,
                )
                yield method.upper(), f"{filled}{'?' if query else ''}{urlencode(query)}", names[0], body


@pytest.mark.parametrize("step", [3, pytest.param(1, marks=pytest.mark.soak)], ids=["quick", "soak"])
def test_nobody_learns_or_changes_what_is_anothers(place: Place, step: int) -> None:
    """A citizen and another operator's program hear the same of others' things and of nothing, at every operation.

    `step`: attack every operation, or every third of them.
    """
    town, wrong = place.town, []
    institution = town.bank.institutions.of_operator(2)
    assert institution is not None
    things = {
        "wallet": (town.leo, town.ned), "person": (town.holder(town.leo),), "institution": (institution.id,),
        "merchant": (town.tea,), "client": (ids.parse(place.north.client),), "payment": (referenced_payment(place),),
    }  # fmt: skip
    of_south = {"wallet": (place.sue,), "person": (town.holder(place.sue),), "client": (ids.parse(place.south.client),)}
    with place.citizen(town.mia) as mia, place.client() as http, nothing_moves(town):
        north, south = Program(http, place.north), Program(http, place.south)

        def as_mia(method: str, path: str, body: dict[str, Any]) -> httpx.Response:
            return mia.request(method, path, json=body if method == "POST" else None)

        attackers = {as_mia: things, north.send: of_south, south.send: {"payment": things["payment"]}}
        for at, (method, path, name, body) in enumerate(named_by_id(http.get("/openapi.json").json())):
            if at % step and name != "payment":
                continue
            for send, known in attackers.items():
                if name not in known and send is not as_mia:
                    continue  # nothing is compared
                heard = []
                for thing in (MISSING, *map(ids.format, known.get(name, ()))):
                    sent = body | {"id": new_id()} if "id" in body else body
                    heard.append(content(send(method, path.format(thing), sent)))
                if len(set(heard)) > 1 or heard[0][0] not in (403, 404):
                    wrong.append(f"{method} {path} of {name}: {heard}")
    assert not wrong, "\n".join(wrong)


def referenced_payment(place: Place) -> int:
    """A payment from Leo to the tea house."""
    with place.citizen(place.town.leo) as leo:
        body = payment_to(place.town.shop)
        assert signed(leo, payments_of(place.town.leo), body, LEO_KEY).status_code == 201
    return ids.parse(body["id"])


def test_strangers_reach_only_what_is_public(place: Place) -> None:
    with place.client() as nobody:
        document = nobody.get("/openapi.json").json()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if operation["x-sycee-access"] not in ("public", "envelope"):
                    filled = re.sub(r"\{[a-z_]+\}", ids.format(place.town.leo), path)
                    answer = nobody.request(method.upper(), filled, json={} if method == "post" else None)
                    assert answer.status_code == 401, (method, path, answer.text)


@pytest.mark.soak
def test_the_time_of_an_answer_shows_nobody_what_exists(place: Place) -> None:
    """The shortest times, which other work of the machine disturbs least, come together as samples are added."""
    ratio, rounds = 1.1, 200
    town = place.town
    accounts = (MISSING, ids.format(town.leo), ids.format(town.ned))
    with place.citizen(town.mia) as mia:

        def read(id: str) -> httpx.Response:
            return mia.get(f"/v1/wallets/{id}/orders/A-1")

        def pay(id: str) -> httpx.Response:
            return mia.post(f"/v1/wallets/{id}/payments", json=payment_to(town.mia))

        for request in (read, pay):
            shortest = dict.fromkeys(accounts, 1e9)
            for _ in range(rounds):
                for id in accounts * 10:
                    start = time.perf_counter()
                    assert request(id).status_code == 404
                    shortest[id] = min(shortest[id], time.perf_counter() - start)
                if max(shortest.values()) < ratio * min(shortest.values()):
                    break
            assert max(shortest.values()) < ratio * min(shortest.values()), shortest


# --- injection ---

HOSTILE = (
    "'; DROP TABLE wallets; --", "1 OR 1=1", "%27%20OR%20%271%27%3D%271", "=HYPERLINK(\"http://evil.example\")",
    "a\r\nSet-Cookie: sycee=evil", "../../../../etc/passwd", "..\\..\\secrets", "{{1234567*7654321}}${1234567*7654321}",
    "<script>alert(1)</script>", "\x1b]0;evil\x07\x1b[2J", "\u202egnp.exe", "\x00", "\ud800", "a" * 5_000, "",
    "9" * 400, "-1", "1e999", "NaN",
)  # fmt: skip
EVALUATED = re.compile(r"9449772114007|root:|[\x00\x07\x1b]")


def encoded(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def some_of(at: int, most: int) -> list[str]:
    """Some of the hostile texts, from another one on for each number."""
    return [HOSTILE[(at * 5 + step * 7) % len(HOSTILE)] for step in range(min(most, len(HOSTILE)))]


def hostile_bodies(operation: dict[str, Any], schemas: dict[str, Any], most: int) -> Iterator[dict[str, Any]]:
    """Bodies of an operation with some of the hostile texts in each field."""
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = schemas.get(schema.get("$ref", "").rpartition("/")[2], schema)
    fields = schema.get("properties", {})
    for at, name in enumerate(fields):
        usual = {
            other: each.get("examples", [each.get("default", "x")])[0]
            for other, each in fields.items()
            if other in schema.get("required", ()) and other != name
        }
        for text in some_of(at, most):
            yield {**usual, "id": new_id(), name: text}
    if most > 1 or len(fields) % 4 == 1:
        yield {"\ud800": 1}
        yield {"__proto__": {"a": 1}, HOSTILE[8]: HOSTILE[4]}


def texts_of(value: object) -> Iterator[str]:
    """Yield every text in a value of JSON, names of members too."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("most", [1, pytest.param(len(HOSTILE), marks=pytest.mark.soak)], ids=["quick", "soak"])
def test_hostile_texts_are_data_in_every_field_and_path(place: Place, most: int) -> None:
    """Every operation, as a clerk's program and as a stranger: no 5xx, no undocumented status, nothing evaluated."""
    with place.client() as http, nothing_moves(place.town):
        document = http.get("/openapi.json").json()
        wrong = []

        def check(answer: httpx.Response, what: str, documented: set[int]) -> None:
            headers = b"\n".join(b": ".join(each) for each in answer.headers.raw)
            if answer.status_code not in documented | {404, 405}:
                wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")
            # A problem may name the text that is wrong: printable, in JSON, and no browser takes it for a page.
            media_type = answer.headers.get("content-type", "")
            members = answer.json().values() if media_type == "application/problem+json" else ()
            is_printable = all(each.isprintable() for each in texts_of(list(members)))
            if media_type.startswith("text/html") or b"evil" in headers.lower() or not is_printable:
                wrong.append(f"{what} came back: {headers!r} {answer.text[:300]!r}")
            elif EVALUATED.search(answer.text):
                wrong.append(f"{what} evaluated: {answer.text[:300]!r}")

        staff = Program(http, place.north)
        paths = list(document["paths"].items())
        for at, (path, methods) in enumerate(paths if most > 1 else paths[::2]):
            for method, operation in methods.items():
                documented = {int(each) for each in operation["responses"]}
                what = f"{method.upper()} {path}"
                if path == "/v1/payments":
                    continue
                for text in some_of(at, most) if "{" in path else ():
                    hostile = re.sub(r"\{[a-z_]+\}", lambda _, text=text: encoded(text), path)
                    check(staff.send(method.upper(), hostile), what, documented)
                if method == "get":
                    for text in (each.encode("utf-8", "replace").decode() for each in some_of(at, most)):
                        query = {"cursor": text, "limit": text, "state": text, "code": text}
                        check(http.get(re.sub(r"\{[a-z_]+\}", MISSING, path), params=query), what, documented)
                    continue
                filled_path = re.sub(r"\{[a-z_]+\}", MISSING, path)
                headers = {"content-type": "application/json", "Origin": ORIGIN}
                for body in hostile_bodies(operation, document["components"]["schemas"], most):
                    proof = place.north.proof(method="POST", url=f"{ORIGIN}{filled_path}", token=staff.token)
                    sent = headers | {"Authorization": f"DPoP {staff.token}", "DPoP": proof}
                    check(http.post(filled_path, content=json.dumps(body), headers=sent), what, documented)
        assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path",
    [
        "/reference/files/../../app.py", "/reference/files/..%2f..%2f__init__.py", "/reference/files/%2e%2e/%2e%2e/x",
        "/reference/files//etc/passwd", "/problems/..%2f..%2fREADME.md",
        "//evil.example/healthz", "/.git/config", "/sycee.toml", "/keys/server.key",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_files_of_a_page(place: Place, path: str) -> None:
    with connected(place) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert rest(connection).startswith(b"HTTP/1.1 404 ")


# --- sessions ---


def invited(place: Place, person: int) -> str:
    return Registers(place.town.bank).invitations.issue_to_holder(person).code


def with_passkey(http: httpx.Client, code: str) -> Authenticator:
    device = Authenticator(ORIGIN, "localhost")
    options = http.post("/auth/passkeys/registration/options", json={"invitation": code}).json()["publicKey"]
    made = http.post("/auth/passkeys/registration", json={"credential": device.create(options)})
    assert made.status_code == 204, made.text
    return device


def test_a_session_cannot_be_chosen_by_an_attacker(place: Place) -> None:
    """Fixation: the cookie that a browser had before the login is no session afterwards."""
    person = place.town.holder(place.town.mia)
    with place.client(headers={"Origin": ORIGIN}) as http, place.client() as attacker:
        chosen = "a" * 43
        http.cookies.set("sycee", chosen)
        device = with_passkey(http, invited(place, person))
        cookies = {each.value for each in http.cookies.jar if each.name == "sycee"} - {chosen}
        assert len(cookies) == 1
        assert attacker.get("/auth/session", headers={"Cookie": f"sycee={chosen}"}).status_code == 401
        options = http.post("/auth/passkeys/login/options").json()["publicKey"]
        http.post("/auth/passkeys/login", json={"credential": device.get(options)})
        (first,) = cookies
        (mine,) = {each.value for each in http.cookies.jar if each.name == "sycee"} - {chosen, first}
        assert attacker.get("/auth/session", headers={"Cookie": f"sycee={first}"}).status_code == 401
        assert attacker.get("/auth/session", headers={"Cookie": f"sycee={mine}"}).json()["person"] == ids.format(person)


def test_a_session_is_used_by_pages_of_this_server_only(place: Place) -> None:
    town = place.town
    with place.citizen(town.leo) as leo, nothing_moves(town):
        for headers in (
            {"Origin": f"https://{EVIL}"}, {"Origin": "null"}, {"Origin": ORIGIN + f".{EVIL}"},
            {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        ):  # fmt: skip
            answer = leo.post(payments_of(town.leo), json=payment_to(town.mia), headers=headers)
            assert answer.status_code == 403, headers
        form = leo.post(
            payments_of(town.leo), content=json.dumps(payment_to(town.mia)), headers={"content-type": "text/plain"}
        )
        assert form.status_code == 415  # what a page of another site can send without asking
        preflight = leo.options(payments_of(town.leo), headers={"Origin": f"https://{EVIL}"})
        assert "access-control-allow-origin" not in preflight.headers
        del leo.headers["Origin"]
        assert leo.post(payments_of(town.leo), json=payment_to(town.mia)).status_code == 403


def test_a_thief_of_a_session_pays_nothing_and_is_logged_out(place: Place) -> None:
    town = place.town
    path = f"/v1/persons/{ids.format(town.holder(town.leo))}/logins/end"
    with place.citizen(town.leo) as leo, place.citizen(town.leo) as thief, place.citizen(town.mia) as mia:
        with nothing_moves(town):
            forged = signed(thief, payments_of(town.leo), payment_to(town.mia), MIA_KEY, claims=LEO_KEY.public)
            assert forged.status_code == 202
        assert mia.post(path, json={"id": new_id()}).status_code in (403, 404)
        assert thief.get("/auth/session").status_code == 200
        assert leo.post(path, json={"id": new_id()}).status_code == 201
        assert [each.get("/auth/session").status_code for each in (leo, thief)] == [401, 401]


def test_the_login_of_a_shredded_person_ends_at_once(place: Place) -> None:
    bank, person = place.town.bank, ids.new(1)
    write(bank.stores.engine, lambda connection: bank.people.add(connection, person=person))
    with place.client(headers={"Origin": ORIGIN}) as http:
        device = with_passkey(http, invited(place, person))
        assert http.get("/auth/session").status_code == 200
        write(bank.stores.engine, lambda connection: bank.people.shred(connection, person))
        assert http.get("/auth/session").status_code == 401
        options = http.post("/auth/passkeys/login/options").json()["publicKey"]
        assert http.post("/auth/passkeys/login", json={"credential": device.get(options)}).status_code == 401


# --- senders and names ---


def test_a_stranger_chooses_neither_its_address_nor_the_servers_name(place: Place) -> None:
    """X-Forwarded headers of a stranger do not count, and no answer repeats the header Host."""
    victim = next(place.senders)
    with place.client() as http, place.client() as good:
        forged = {"X-Forwarded-For": victim, "X-Real-IP": victim, "Forwarded": f"for={victim}"}
        forged |= {"Host": EVIL, "X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "https", "X-Original-URL": "/metrics"}
        for path in ("/healthz", "/reference", "/openapi.json", "/nothing", "/auth/oidc/x/callback", "/oauth/jwks"):
            answer = http.get(path, headers=forged)
            assert EVIL not in f"{answer.headers}{answer.text}", path
        place.north.clock.set(RealClock().now_ns())
        token = http.post("/oauth/token", data=place.north.form(), headers=forged | {"DPoP": place.north.proof()})
        assert token.status_code == 200, "the proof names the configured address, whatever the header Host states"
        elsewhere = Machine(place.north.client, place.north.key, place.north.clock, issuer=f"http://{EVIL}")
        wrong = http.post("/oauth/token", data=elsewhere.form(), headers=forged | {"DPoP": elsewhere.proof()})
        assert wrong.status_code in (400, 401)
        for at in range(70):  # each pretends to be another sender
            http.get("/auth/session", headers={"Authorization": "DPoP x", "X-Forwarded-For": f"192.0.2.{at}"})
        assert http.get("/healthz", headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 429
        assert good.get("/healthz").status_code == 200
        with place.client() as named:
            assert named.get("/healthz", headers={"X-Forwarded-For": victim}).status_code == 200
