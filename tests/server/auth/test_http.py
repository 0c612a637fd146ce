"""Authentication over HTTP: the application on a real socket, with the programs and browsers that use it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import sqlalchemy
from tests.bank import world
from tests.server.auth.authenticator import Authenticator
from tests.server.auth.parties import Machine, new_key, public_of
from tests.server.auth.phones import newest_secret
from tests.server.world import served

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.clock import RealClock, SimulatedClock
from sycee.database.tables import REQUESTS
from sycee.database.transactions import reading, write
from sycee.server import problems
from sycee.server.auth.caller import Caller
from sycee.server.auth.logins import Visitor
from sycee.server.auth.refusals import ScopeMissing
from sycee.server.auth.registers import Registers
from sycee.server.auth.service import Authentication
from sycee.server.auth.settings import AuthSettings
from sycee.server.tables import SCHEMA

ORIGIN = "http://localhost:8420"
FAILURES = 20
WINDOW_NS = 60 * 10**9  # of the limits
Prepared: TypeAlias = "tuple[Served, Machine, Machine, Machine]"
CUSTOMER = 501  # a person without duty and wallet


@dataclass
class Served:
    bank: Bank
    address: str
    officer: int
    desk: int
    machines: tuple[Machine, ...] = ()

    def machine(self, person: int = 0, **others: Any) -> Machine:
        """A program of the officer, or of another person. It is registered before the server starts."""
        key = new_key("ES256")
        made = Registers(self.bank).clients.register(
            person or self.officer, public_of(key), by=self.officer, name="reports", **others
        )
        clock = SimulatedClock(RealClock().now_ns())
        return Machine(ids.format(made.id), key, clock, issuer=ORIGIN)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A served bank with a program, a reader and a program without requests."""
    folder: Path = tmp_path_factory.mktemp("http")
    world.founded("").copy(folder)
    options = {"http_failures_per_minute": str(FAILURES), "message_folder": str(folder / "outbox")}
    with Bank.open(folder / "bank", options=options, schemas=(SCHEMA,)) as bank:
        place = Served(bank, "", *(bank.people.person_of_key(key.public) for key in (world.ANN, world.DESK)))
        with_phone(bank, CUSTOMER)
        machines = place.machine(), place.machine(scopes=["read"]), place.machine()
        place.machines = (*machines, place.machine(place.desk, operator=1), place.machine(place.desk, operator=1))
        with served(bank) as address:
            place.address = address
            yield place, *machines


def with_phone(bank: Bank, person: int) -> None:
    """Store a person with a phone, to which the second half of a code is sent."""
    prepared = bank.personal.prepare_one(person, {"name": "Dora", "phone": f"+86139{person:08}"})

    def work(connection: sqlalchemy.Connection) -> None:
        bank.people.add(connection, person=person)
        bank.personal.store_many(connection, prepared)

    write(bank.stores.engine, work)


def client(place: Served, sender: str) -> httpx.Client:
    """An HTTP client with an address of its own on loopback: each test is another sender."""
    transport = httpx.HTTPTransport(local_address=sender)
    return httpx.Client(base_url=place.address, transport=transport)


def fetch(http: httpx.Client, machine: Machine, **form: Any) -> httpx.Response:
    machine.clock.set(RealClock().now_ns())
    return http.post("/oauth/token", data=machine.form(**form), headers={"DPoP": machine.proof()})


def session_of(http: httpx.Client, machine: Machine, token: str, **changes: Any) -> httpx.Response:
    shown = machine.proof(method="GET", url=f"{ORIGIN}/auth/session", token=token)
    return http.get("/auth/session", headers={"Authorization": f"DPoP {token}", "DPoP": shown} | changes)


def is_refused(answer: httpx.Response, status: int = 401) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    if status == 401:
        assert answer.headers["www-authenticate"].startswith('DPoP algs="ES256 EdDSA Ed25519"')
    found: dict[str, Any] = answer.json()
    found.pop("request_id")
    return found


# --- programs ---


def test_a_program_fetches_a_token_and_uses_it(prepared: Prepared) -> None:
    place, machine, _, _ = prepared
    with client(place, "127.0.0.2") as http:
        answer = fetch(http, machine)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        token = answer.json()["access_token"]
        found = session_of(http, machine, token)
        assert found.status_code == 200
        assert found.json() == {
            "kind": "machine",
            "person": ids.format(place.officer),
            "client": machine.client,
            "operator": None,
            "scopes": ["read", "write"],
        }
        assert [each["alg"] for each in http.get("/oauth/jwks").json()["keys"]] == ["Ed25519"]


def test_every_wrong_credential_has_the_same_answer(prepared: Prepared) -> None:
    place, machine, reader, _ = prepared
    with client(place, "127.0.0.3") as http:
        token, other = (fetch(http, each).json()["access_token"] for each in (machine, reader))
        good = machine.proof(method="GET", url=f"{ORIGIN}/auth/session", token=token)
        assert session_of(http, machine, token, DPoP=good).status_code == 200
        bearer = {"Authorization": f"Bearer {token}"}
        answers = [
            is_refused(session_of(http, machine, token, DPoP=good)),  # replayed
            is_refused(http.get("/auth/session", headers=bearer)),
            is_refused(session_of(http, machine, token, **bearer)),
            is_refused(session_of(http, machine, token, Authorization=f"DPoP {token}x")),
            is_refused(session_of(http, machine, token, Authorization="DPoP")),
            is_refused(session_of(http, machine, other)),  # another program's token
            is_refused(session_of(http, machine, token, DPoP=machine.proof(method="GET", url=ORIGIN, token=token))),
            is_refused(session_of(http, machine, token, DPoP="")),
        ]
        assert all(each == answers[0] for each in answers)
        is_refused(http.get("/auth/session"))


def test_a_wrong_time_is_answered_with_a_nonce(prepared: Prepared) -> None:
    place, machine, _, _ = prepared
    with client(place, "127.0.0.4") as http:
        answer = http.post(
            "/oauth/token", data=machine.form(), headers={"DPoP": machine.proof(iat=machine.now_s() - 600)}
        )
        assert (answer.status_code, answer.json()) == (400, {"error": "use_dpop_nonce"})
        shown = machine.proof(iat=machine.now_s() - 600, nonce=answer.headers["dpop-nonce"])
        assert http.post("/oauth/token", data=machine.form(), headers={"DPoP": shown}).status_code == 200


@pytest.mark.parametrize(
    ("content", "kind", "expected"),
    [
        (b"grant_type=password", "application/x-www-form-urlencoded", (400, "unsupported_grant_type")),
        (b"", "application/x-www-form-urlencoded", (400, "invalid_request")),
        (b"a=1&a=2", "application/x-www-form-urlencoded", (400, "invalid_request")),
        (b"\xff", "application/x-www-form-urlencoded", (400, "invalid_request")),
        (b"a" * 20_000, "application/x-www-form-urlencoded", (400, "invalid_request")),
        (b"grant_type=client_credentials", "application/x-www-form-urlencoded", (401, "invalid_client")),
    ],
    ids=str,
)
def test_wrong_token_requests(prepared: Prepared, content: bytes, kind: str, expected: tuple[int, str]) -> None:
    with client(prepared[0], "127.0.0.5") as http:
        answer = http.post("/oauth/token", content=content, headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]) == expected


def test_the_document_states_how_to_authenticate(prepared: Prepared) -> None:
    with client(prepared[0], "127.0.0.16") as http:
        document = http.get("/openapi.json").json()
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}
    assert document["paths"]["/v1/clients"]["get"]["security"] == [{"token": []}, {"session": []}]
    assert "security" not in document["paths"]["/oauth/token"]["post"]
    assert [each["name"] for each in document["paths"]["/oauth/token"]["post"]["parameters"]] == ["DPoP"]


def test_a_reader_changes_nothing(prepared: Prepared) -> None:
    """A request that is not a read needs the scope write, whatever the operation."""
    place, writer, reader, _ = prepared
    made = Authentication(place.bank, AuthSettings(public_url=ORIGIN))

    def called(machine: Machine, method: str) -> Caller:
        machine.clock.set(RealClock().now_ns())
        token = made.tokens.issue(machine.form(), machine.proof())["access_token"]
        request: dict[str, Any] = {
            "cookies": {},
            "headers": {},
            "visitor": Visitor("127.0.0.6"),
            "run": asyncio.to_thread,
        }
        request |= {"method": method, "path": "/v1/wallets", "authorization": [f"DPoP {token}"]}
        shown = machine.proof(method=method, url=f"{ORIGIN}/v1/wallets", token=token)
        return asyncio.run(made.caller(**request, proofs=[shown]))

    assert called(reader, "GET").scopes == {"read"}
    assert called(writer, "POST").scopes == {"read", "write"}
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        with pytest.raises(ScopeMissing) as caught:
            called(reader, method)
        problem = problems.from_error(caught.value)
        assert problem.type.status == 403
        assert problem.headers["WWW-Authenticate"].endswith('error="insufficient_scope", scope="write"')


# --- rate limits ---


def test_failures_count_against_their_sender_alone(prepared: Prepared) -> None:
    place, _, _, victim = prepared
    for sender in ("127.0.0.7", "127.0.0.17"):
        begun = RealClock().now_ns() // WINDOW_NS
        answers = attack(place, victim, sender)
        if RealClock().now_ns() // WINDOW_NS == begun:
            break  # otherwise a new window began in between: again, from another address
    assert [each.status_code for each in answers] == [401] * FAILURES + [429, 429]
    assert answers[0].json() == {"error": "invalid_client"}
    assert is_refused(answers[-1], 429)["title"] == "Too many requests"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    with client(place, "127.0.0.8") as http:
        assert fetch(http, victim).status_code == 200  # who was named is not locked


def attack(place: Served, victim: Machine, sender: str) -> list[httpx.Response]:
    """Send wrong assertions in the name of a program, then one, and then a request that needs no credentials."""
    wrong = Machine(victim.client, new_key("ES256"), victim.clock, issuer=ORIGIN)
    with client(place, sender) as http:
        return [*(fetch(http, wrong) for _ in range(FAILURES + 1)), http.get("/healthz")]


# --- persons ---


@pytest.fixture
def person(prepared: Prepared) -> int:
    """A new person: who had a login is not invited again."""
    bank, made = prepared[0].bank, ids.new(RealClock().now_ns() // 10**6)
    write(bank.stores.engine, lambda connection: bank.people.add(connection, person=made))
    return made


@pytest.fixture
def code(prepared: Prepared, person: int) -> str:
    return Registers(prepared[0].bank).invitations.issue_to_holder(person).code


def registered(http: httpx.Client, code: str) -> Authenticator:
    device = Authenticator(ORIGIN, "localhost")
    begun = http.post("/auth/passkeys/registration/options", json={"invitation": code})
    assert begun.status_code == 200, begun.text
    made = http.post("/auth/passkeys/registration", json={"credential": device.create(begun.json()["publicKey"])})
    assert made.status_code == 204, made.text
    return device


def test_a_person_sets_up_a_passkey_logs_in_and_out(prepared: Prepared, person: int, code: str) -> None:
    place = prepared[0]
    with client(place, "127.0.0.9") as http:
        http.headers["Origin"] = ORIGIN
        device = registered(http, code)
        assert http.get("/auth/session").json() == {
            "kind": "person", "person": ids.format(person), "client": None, "operator": None,
            "scopes": ["read", "write"],
        }  # fmt: skip
        cookie = http.cookies["sycee"]
        assert http.post("/auth/logout").status_code == 204
        is_refused(http.get("/auth/session"))
        ended = http.get("/auth/session", headers={"Cookie": f"sycee={cookie}"})  # at the server, too
        is_refused(ended)
        assert ended.headers["set-cookie"].startswith('sycee=""; ')
        assert "Max-Age=0" in ended.headers["set-cookie"]
        options = http.post("/auth/passkeys/login/options").json()["publicKey"]
        answer = http.post("/auth/passkeys/login", json={"credential": device.get(options)})
        assert answer.status_code == 204
        session, recognised = answer.headers.get_list("set-cookie")
        assert session.endswith("HttpOnly; Max-Age=43200; Path=/; SameSite=strict")
        assert recognised.startswith("sycee-device=")
        assert recognised.endswith("HttpOnly; Max-Age=34560000; Path=/; SameSite=strict")
        is_refused(http.post("/auth/passkeys/login", json={"credential": device.get(options)}))  # reused challenge


def test_a_stolen_cookie_on_another_page_is_refused(prepared: Prepared, code: str) -> None:
    with client(prepared[0], "127.0.0.10") as http:
        http.headers["Origin"] = ORIGIN
        registered(http, code)
        evil = {"Origin": "https://evil.example"}
        assert http.get("/auth/session").status_code == 200
        is_refused(http.get("/auth/session", headers=evil), 403)
        is_refused(http.post("/auth/logout", headers=evil), 403)
        is_refused(http.get("/auth/session", headers={"Sec-Fetch-Site": "cross-site"}), 403)
        for path in ("registration/options", "registration", "login/options", "login"):
            is_refused(http.post(f"/auth/passkeys/{path}", headers=evil, json={}), 403)
        assert http.get("/auth/session").status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/auth/passkeys/registration/options", {"invitation": "AAAA"}, 401),
        ("/auth/passkeys/registration/options", {"invitation": "A" * 100}, 400),
        ("/auth/passkeys/registration/options", {}, 400),
        ("/auth/passkeys/registration", {"credential": {}}, 401),
        ("/auth/passkeys/login", {"credential": {"rawId": 5}}, 401),
        ("/auth/passkeys/login", {"credential": [], "more": 1}, 400),
        ("/auth/oidc/unknown/login", {}, 401),
        ("/auth/oidc/Unknown/login", {}, 400),
    ],
)
def test_wrong_bodies(prepared: Prepared, path: str, body: dict[str, Any], status: int) -> None:
    with client(prepared[0], "127.0.0.11") as http:
        is_refused(http.post(path, json=body, headers={"Origin": ORIGIN}), status)
        is_refused(http.get("/auth/oidc/unknown/callback?state=x&code=y"))


# --- administration ---


class Program:
    """A program with a token, that sends actions."""

    def __init__(self, http: httpx.Client, machine: Machine) -> None:
        self.http = http
        self.machine = machine
        self.token = fetch(http, machine).json()["access_token"]

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        shown = self.machine.proof(method=method, url=f"{ORIGIN}{path}", token=self.token)
        headers = {"Authorization": f"DPoP {self.token}", "DPoP": shown}
        return self.http.request(method, path, json=body, headers=headers)

    def post(self, path: str, **members: Any) -> httpx.Response:
        return self.send("POST", path, {"id": ids.format(ids.new(self.machine.clock.now_ns() // 10**6))} | members)


def test_an_operator_sees_and_revokes_its_own_programs(prepared: Prepared) -> None:
    place = prepared[0]
    writer, reader, _, desk, victim = place.machines
    with client(place, "127.0.0.12") as http:
        ours, officer = Program(http, desk), Program(http, writer)
        listed = ours.send("GET", "/v1/clients").json()["clients"]
        assert [each["client"] for each in listed] == sorted([desk.client, victim.client])
        assert {each["client"] for each in officer.send("GET", "/v1/clients").json()["clients"]} >= {reader.client}
        hidden = is_refused(ours.post(f"/v1/clients/{reader.client}/revocation"), 404)
        assert hidden == is_refused(ours.post(f"/v1/clients/{ids.format(5)}/revocation"), 404)
        token = fetch(http, victim).json()["access_token"]
        assert session_of(http, victim, token).status_code == 200
        body = {"id": ids.format(ids.new(RealClock().now_ns() // 10**6))}
        path = f"/v1/clients/{victim.client}/revocation"
        assert ours.send("POST", path, body).status_code == 201
        is_refused(session_of(http, victim, token))
        assert ours.send("POST", path, body).status_code == 200
        is_refused(http.post(path, json=body))
        reading_only = Program(http, reader)
        is_refused(reading_only.post(f"/v1/clients/{desk.client}/revocation"), 403)


def test_invitations_over_http(prepared: Prepared) -> None:
    place = prepared[0]
    writer, _, _, desk, _ = place.machines
    customer = ids.format(CUSTOMER)
    with client(place, "127.0.0.13") as http:
        ours, officer = Program(http, desk), Program(http, writer)
        body = {"id": ids.format(ids.new(RealClock().now_ns() // 10**6)), "person": customer}
        made = officer.send("POST", "/v1/invitations", body)
        assert made.status_code == 201
        half, secret = made.json()["first_half"], newest_secret(place.bank)
        code = f"{half}-{secret}"
        again = officer.send("POST", "/v1/invitations", body)
        assert (again.status_code, "first_half" in again.json()) == (200, False)
        with reading(place.bank.stores.engine) as connection:
            rows = str(list(connection.execute(REQUESTS.select())))
            assert half not in rows
            assert secret not in rows
        http.headers["Origin"] = ORIGIN
        for part in (half, secret):
            is_refused(http.post("/auth/passkeys/registration/options", json={"invitation": part}))
        assert http.post("/auth/passkeys/registration/options", json={"invitation": code}).status_code == 200
        # Nobody's customer, another operator's, staff, and nobody at all are one answer to a desk.
        people = [customer, ids.format(place.officer), ids.format(77)]
        hidden = [is_refused(ours.post("/v1/invitations", person=each), 404) for each in people]
        assert hidden[0] == hidden[1] == hidden[2]
        staff = is_refused(officer.post("/v1/invitations", person=ids.format(place.desk)), 400)
        assert "with an officer's key" in staff["detail"]
        invitation = made.json()["invitation"]
        is_refused(ours.post(f"/v1/invitations/{invitation}/revocation"), 404)
        assert officer.post(f"/v1/invitations/{invitation}/revocation").status_code == 201
        is_refused(http.post("/auth/passkeys/registration/options", json={"invitation": code}))


def test_logins_are_ended_over_http(prepared: Prepared, person: int, code: str) -> None:
    place = prepared[0]
    writer, _, _, desk, _ = place.machines
    with client(place, "127.0.0.14") as http, client(place, "127.0.0.15") as browser:
        browser.headers["Origin"] = ORIGIN
        registered(browser, code)
        assert browser.get("/auth/session").status_code == 200
        path = f"/v1/persons/{ids.format(person)}/logins/end"
        is_refused(Program(http, desk).post(path), 404)
        is_refused(Program(http, desk).post(f"/v1/persons/{ids.format(CUSTOMER)}/logins/end"), 404)
        assert browser.get("/auth/session").status_code == 200
        assert Program(http, writer).post(path).status_code == 201
        is_refused(browser.get("/auth/session"))
