"""A person's own logins over HTTP: from an invitation to sessions, passkeys, notices, a code for another device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy
from tests.bank.world import ANN, BOB, NORTH
from tests.server.auth.authenticator import Authenticator
from tests.server.world import logged_in, new_id, served
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank.bank import Bank
from sycee.bank.phone_messages import Delivery, OutboxFolder
from sycee.core import ids
from sycee.core.clock import RealClock, read_ns
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.database.transactions import reading, write
from sycee.identity.duties import Duty
from sycee.server.auth.invitations import HOUR_NS
from sycee.server.auth.recoveries import RECOVER
from sycee.server.auth.registers import Registers
from sycee.server.auth.service import FRESH_NS
from sycee.server.auth.tables import FIRST_USES, INVITATIONS, LOGIN_NOTICES, RECOVERIES, SESSIONS
from sycee.server.tables import SCHEMA

ORIGIN = "http://localhost:8420"
EVE = SigningKey.derive(bytes([110]) * 32)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64) Firefox/156.0"


@dataclass
class Place:
    """A served town whose messages arrive in a folder."""

    town: Town
    address: str
    outbox: Path

    @property
    def bank(self) -> Bank:
        return self.town.bank

    @property
    def registers(self) -> Registers:
        return Registers(self.bank)

    @property
    def leo(self) -> int:
        return self.town.holder(self.town.leo)

    def messages(self) -> list[dict[str, str]]:
        """What arrived at phones, oldest first."""
        Delivery(self.bank, OutboxFolder(self.outbox)).notices()
        return [json.loads(each.read_text()) for each in sorted(self.outbox.glob("*.json"))]

    def code(self, person: int, **options: Any) -> str:
        """The code with which staff of the operator invite, as its person puts it together."""
        made = self.registers.invitations.issue(person, by=self.town.north, **options)
        return f"{made.first}-{self.messages()[-1]['secret']}"

    @contextmanager
    def browser(self, sender: str = "127.0.0.1", **cookies: str) -> Iterator[httpx.Client]:
        headers = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin", "User-Agent": FIREFOX}
        transport = httpx.HTTPTransport(local_address=sender)
        with httpx.Client(base_url=self.address, headers=headers, transport=transport, cookies=cookies) as made:
            yield made

    def change(self, statement: sqlalchemy.Update) -> None:
        write(self.bank.stores.engine, lambda connection: connection.execute(statement))

    def rows(self, table: sqlalchemy.Table) -> list[Any]:
        with reading(self.bank.stores.engine) as connection:
            return list(connection.execute(sqlalchemy.select(table)))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    options = {**world.settled("").copy(tmp_path), "message_folder": str(tmp_path / "outbox")}
    with Bank.open(tmp_path / "bank", options=options, schemas=(SCHEMA,)) as bank, served(bank) as address:
        yield Place(world.town(bank), address, tmp_path / "outbox")


def registered(http: httpx.Client, code: str = "", status: int = 204) -> Authenticator:
    """A passkey that a browser sets up with a code, or in its session."""
    device = Authenticator(ORIGIN, "localhost")
    begun = http.post("/auth/passkeys/registration/options", json={"invitation": code})
    assert begun.status_code == 200, begun.text
    made = http.post("/auth/passkeys/registration", json={"credential": device.create(begun.json()["publicKey"])})
    assert made.status_code == status, made.text
    return device


def log_in(http: httpx.Client, device: Authenticator) -> int:
    options = http.post("/auth/passkeys/login/options").json()["publicKey"]
    return http.post("/auth/passkeys/login", json={"credential": device.get(options)}).status_code


def done(http: httpx.Client, path: str, **members: object) -> dict[str, Any]:
    answer = http.post(f"/v1/me/{path}", json={"id": new_id(), **members})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def rows(http: httpx.Client, path: str) -> list[dict[str, Any]]:
    answer = http.get(f"/v1/me/{path}")
    assert answer.status_code == 200, answer.text
    made: list[dict[str, Any]] = answer.json()["rows"]
    return made


def test_a_new_login_is_masked_told_and_named_in_the_log(place: Place) -> None:
    fields = {"fields": ["name", "phone"]}
    with place.browser() as http:
        registered(http, place.code(place.leo))
        assert [each["text"] for each in place.messages()] == ["LOGIN_CODE", "LOGIN_CREATED"]
        assert {each["phone"] for each in place.messages()} == {"+8613800000001"}
        assert http.get("/v1/me/data", params=fields).json()["fields"] == {
            "name": "L** M**********",
            "phone": "+" + "*" * 13,
        }
        (entry,) = http.get("/v1/me/access-log").json()["rows"]
        (first,) = place.registers.invitations.list()
        assert (entry["invitation"], entry["inviter"]) == (ids.format(first.id), ids.format(place.town.north))
        assert place.bank.access.verify() == 1
        (session,) = rows(http, "sessions")
        assert (session["address"], session["browser"], session["is_this"]) == ("127.0.0.1", FIREFOX, True)
        assert session["masked_until"] is not None
        place.change(SESSIONS.update().values(masked_until_ns=read_ns(RealClock())))
        assert http.get("/v1/me/data", params=fields).json()["fields"]["name"] == "Leo Marked-Name"
        (passkey,) = rows(http, "passkeys")
        assert (passkey["inviter"], passkey["is_this"], passkey["name"]) == (ids.format(place.town.north), True, "")


def test_one_half_opens_nothing(place: Place) -> None:
    made = place.registers.invitations.issue(place.leo, by=place.town.north)
    with place.browser() as http:
        for part in (made.first, place.messages()[-1]["secret"], f"{made.first}-{made.first}"):
            answer = http.post("/auth/passkeys/registration/options", json={"invitation": part})
            assert answer.status_code == 401, part
    assert made.second == ""
    secret = place.messages()[-1]["secret"].replace("-", "").encode()
    files = [each for each in place.bank.folder.path.rglob("*") if each.is_file()]
    assert files
    assert all(secret not in each.read_bytes() for each in files)


def test_who_had_a_login_is_not_invited_again(place: Place) -> None:
    invitations, north = place.registers.invitations, place.town.north
    spare = place.code(place.leo)
    with place.browser() as http:
        registered(http, place.code(place.leo))
        # Another code of before the login opens nothing, and there is no further one: not after an end of logins, too.
        assert http.post("/auth/passkeys/registration/options", json={"invitation": spare}).status_code == 401
        with pytest.raises(UsageError, match="has, or had, a login"):
            invitations.issue(place.leo, by=north)
        invitations.end_logins(place.leo, by=north)
        assert http.get("/auth/session").status_code == 401
    with pytest.raises(UsageError, match="has, or had, a login"):
        invitations.issue(place.leo, by=north)
    with pytest.raises(UsageError, match="has, or had, a login"):
        invitations.issue_to_holder(place.leo)


def test_a_recovery_has_two_signers_a_reason_and_a_waiting_time(place: Place) -> None:
    registers, north, bank = place.registers, place.town.north, place.bank
    with place.browser() as http:
        old = registered(http, place.code(place.leo))
        made = registers.recoveries.request(place.leo, "passport seen, phone lost", maker=north)
        assert place.messages()[-1]["text"] == "LOGIN_RECOVERY"
        assert made.effect["reason"] == "passport seen, phone lost"
        assert len(bank.proposals.sign(made.id, NORTH).needs) == 1
        with pytest.raises(UsageError, match="has, or had, a login"):
            registers.invitations.issue(place.leo, by=north)
        assert bank.proposals.sign(made.id, world.world.OTHERS[0]).needs == ()
        code = place.code(place.leo)
        assert registers.invitations.list()[-1].state == "waiting"
        assert http.post("/auth/passkeys/registration/options", json={"invitation": code}).status_code == 401
        for each in place.rows(RECOVERIES):
            assert each.from_ns == each.made_ns + 24 * HOUR_NS
        place.change(INVITATIONS.update().values(from_ns=0))  # as after the waiting time
        with place.browser("127.0.0.2") as other:
            registered(other, code)
            assert http.get("/auth/session").status_code == 401  # the earlier logins have ended
            assert log_in(http, old) == 401
            assert [each["text"] for each in rows(other, "login-notices")][:2] == ["LOGIN_CREATED", "LOGIN_INVITED"]
    with pytest.raises(UsageError, match="has, or had, a login"):  # a recovery is used once
        registers.invitations.issue(place.leo, by=north)


def test_who_objects_ends_a_recovery(place: Place) -> None:
    registers = place.registers
    with place.browser() as http:
        registered(http, place.code(place.leo))
        for each in rows(http, "login-notices"):
            done(http, f"login-notices/{each['notice']}/answer", was_me=True)
        made = registers.recoveries.request(place.leo, "passport seen", maker=place.town.north)
        place.bank.proposals.sign(made.id, NORTH, world.world.OTHERS[0])
        code = place.code(place.leo)
        newest = rows(http, "login-notices")
        assert [(each["text"], each["by"]) for each in newest] == [
            ("LOGIN_INVITED", ids.format(place.town.north)), ("LOGIN_RECOVERY", ids.format(place.town.north)),
        ]  # fmt: skip
        answered = done(http, f"login-notices/{newest[1]['notice']}/answer", was_me=False)
        case = place.bank.cases.get(answered["case"])
        assert (case.kind, case.person, case.owner) == ("foreign-login", place.leo, place.leo)
        assert http.get("/auth/session").status_code == 401
        assert [each.state for each in registers.invitations.list()] == ["used", "revoked"]
        assert http.post("/auth/passkeys/registration/options", json={"invitation": code}).status_code == 401
        with pytest.raises(UsageError, match="has, or had, a login"):
            registers.invitations.issue(place.leo, by=place.town.north)


@pytest.mark.parametrize(
    ("maker", "person", "reason", "message"),
    [
        (NORTH, "leo", "", "1 to 200 printable"), (NORTH, "leo", "x" * 201, "1 to 200 printable"),
        (NORTH, "leo", "a\nb", "1 to 200 printable"), (NORTH, "north", "seen", "nobody recovers their own"),
        (world.DESK, "leo", "seen", "may not request"), (NORTH, "ann", "seen", r"login\.recover-staff"),
        (ANN, "nobody", "seen", "there is no person"),
    ],
)  # fmt: skip
def test_a_recovery_is_refused(place: Place, maker: Any, person: str, reason: str, message: str) -> None:
    persons = {
        "leo": place.leo, "north": place.town.north, "ann": world.person(place.bank, ANN), "nobody": 999,
    }  # fmt: skip
    with pytest.raises(UsageError, match=message):
        place.registers.recoveries.request(persons[person], reason, maker=world.person(place.bank, maker))
    assert place.rows(LOGIN_NOTICES) == []


def test_a_letter_needs_two_signers(place: Place) -> None:
    """Ann invites Eve, an officer without a phone on record; Bob signs, too."""
    registers, bank, until_ns = place.registers, place.bank, world.START_NS + world.YEAR_NS
    ann = world.person(bank, ANN)
    appointed = bank.appointments.appoint(Duty.OFFICER, EVE.public, until_ns=until_ns, maker=ann)
    assert bank.proposals.sign(appointed.id, ANN, BOB).needs == ()
    eve = world.person(bank, EVE)
    with pytest.raises(UsageError, match="no phone of the person") as caught:
        registers.invitations.issue(eve, by=ann)
    assert "sycee invite recover --letter" in str(caught.value.hint)
    made = registers.recoveries.request(eve, "new colleague, seen in person", maker=ann, letter=True)
    assert made.action == f"{RECOVER}-staff"
    with pytest.raises(UsageError, match="no letter"):
        registers.invitations.issue(eve, by=ann, letter=True)
    bank.proposals.sign(made.id, ANN)
    assert bank.proposals.sign(made.id, BOB).needs == ()
    issued = registers.invitations.issue(eve, by=ann, letter=True)
    assert issued.invitation.state == "waiting"  # who printed the letter could otherwise read at once
    with place.browser() as http:
        for part in (issued.first, issued.second, issued.code):
            answer = http.post("/auth/passkeys/registration/options", json={"invitation": part})
            assert answer.status_code == 401
        place.change(INVITATIONS.update().values(from_ns=0))  # as after the waiting time
        registered(http, issued.code)
        assert http.get("/auth/session").json()["person"] == ids.format(eve)
        assert [each["text"] for each in rows(http, "login-notices")][-1] == "LOGIN_RECOVERY"


def test_a_person_with_a_key_gets_the_whole_code(place: Place) -> None:
    bob = world.person(place.bank, BOB)
    with place.browser() as http:
        registered(http, place.registers.invitations.issue_to_holder(bob).code)
        assert [each["text"] for each in rows(http, "login-notices")] == ["LOGIN_CREATED", "LOGIN_INVITED"]


def test_without_a_delivery_nobody_is_invited(tmp_path: Path) -> None:
    options = world.settled("").copy(tmp_path)
    with Bank.open(tmp_path / "bank", options=options, schemas=(SCHEMA,)) as bank:
        town = world.town(bank)
        with pytest.raises(UsageError, match="no delivery of messages"):
            Registers(bank).invitations.issue(town.holder(town.leo), by=town.north)


def test_sessions_are_listed_and_ended(place: Place) -> None:
    with place.browser() as http, place.browser("127.0.0.3") as other, place.browser("127.0.0.4") as third:
        device = registered(http, place.code(place.leo))
        assert [log_in(each, device) for each in (other, third)] == [204, 204]
        listed = rows(http, "sessions")
        assert [each["address"] for each in listed] == ["127.0.0.4", "127.0.0.3", "127.0.0.1"]
        assert [each["is_this"] for each in listed] == [False, False, True]
        done(http, f"sessions/{listed[0]['session']}/end")
        assert [each.get("/auth/session").status_code for each in (http, other, third)] == [200, 200, 401]
        assert done(http, "sessions/end") == {"ended": 1}
        assert [each.get("/auth/session").status_code for each in (http, other)] == [200, 401]
        with logged_in(place.bank, place.address, place.town.holder(place.town.mia)) as mia:
            foreign = mia.post(f"/v1/me/sessions/{listed[2]['session']}/end", json={"id": new_id()})
            assert foreign.status_code == 404
        assert http.get("/auth/session").status_code == 200


def test_passkeys_are_added_named_and_removed(place: Place) -> None:
    with place.browser() as http:
        registered(http, place.code(place.leo))
        (only,) = rows(http, "passkeys")
        done(http, f"passkeys/{only['passkey']}/name", name="phone of 2026")
        refused = http.post(f"/v1/me/passkeys/{only['passkey']}/removal", json={"id": new_id()})
        assert (refused.status_code, "only login" in refused.json()["detail"]) == (400, True)
        second = registered(http)
        assert place.messages()[-1]["text"] == "LOGIN_PASSKEY_ADDED"
        first, added = rows(http, "passkeys")
        assert (first["name"], added["is_this"], added["inviter"]) == ("phone of 2026", True, only["inviter"])
        # A login that staff invited does not confirm itself, while there is another one.
        about = next(each for each in rows(http, "login-notices") if each["is_about_this"])
        own = http.post(f"/v1/me/login-notices/{about['notice']}/answer", json={"id": new_id(), "was_me": True})
        assert (own.status_code, "does not confirm itself" in own.json()["detail"]) == (400, True)
        done(http, f"passkeys/{first['passkey']}/removal")
        assert log_in(http, second) == 204
        for wrong in ("", "x" * 61):
            answer = http.post(f"/v1/me/passkeys/{added['passkey']}/name", json={"id": new_id(), "name": wrong})
            assert answer.status_code == 400
        absent = http.post(f"/v1/me/passkeys/{ids.format(5)}/name", json={"id": new_id(), "name": "x"})
        assert absent.status_code == 404


def test_a_code_for_another_device(place: Place) -> None:
    with place.browser() as http, place.browser("127.0.0.5") as phone:
        registered(http, place.code(place.leo))
        code = done(http, "login-codes")["code"]
        registered(phone, code)
        masks = {each["masked_until"] for each in rows(phone, "sessions")}
        assert len(masks) == 1
        assert None not in masks  # the new login is as masked as the one that let it in
        assert phone.post("/auth/passkeys/registration/options", json={"invitation": code}).status_code == 401
        # A code of a login that was removed since opens nothing.
        code = done(http, "login-codes")["code"]
        own = next(each for each in rows(http, "passkeys") if each["is_this"])
        done(phone, f"passkeys/{own['passkey']}/removal")
        begun = phone.post("/auth/passkeys/registration/options", json={"invitation": code})
        device = Authenticator(ORIGIN, "localhost")
        answer = phone.post(
            "/auth/passkeys/registration", json={"credential": device.create(begun.json()["publicKey"])}
        )
        assert answer.status_code == 401


def test_an_old_session_changes_no_logins(place: Place) -> None:
    with place.browser() as http:
        device = registered(http, place.code(place.leo))
        registered(http)
        passkey = rows(http, "passkeys")[0]["passkey"]
        place.change(SESSIONS.update().values(made_ns=SESSIONS.c.made_ns - FRESH_NS))
        for path in ("login-codes", f"passkeys/{passkey}/removal"):
            answer = http.post(f"/v1/me/{path}", json={"id": new_id()})
            assert (answer.status_code, "too old" in answer.json()["detail"]) == (403, True), path
        answer = http.post("/auth/passkeys/registration/options", json={"invitation": ""})
        assert answer.status_code == 403
        assert log_in(http, device) == 204
        assert done(http, "login-codes")["code"]


def test_a_passkey_is_added_to_the_session_that_began_it(place: Place) -> None:
    with place.browser() as http, place.browser("127.0.0.6") as thief:
        registered(http, place.code(place.leo))
        device = Authenticator(ORIGIN, "localhost")
        begun = http.post("/auth/passkeys/registration/options", json={"invitation": ""}).json()["publicKey"]
        credential = {"credential": device.create(begun)}
        assert thief.post("/auth/passkeys/registration", json=credential).status_code == 401
        assert thief.post("/auth/passkeys/registration/options", json={"invitation": ""}).status_code == 401
        assert len(rows(http, "passkeys")) == 1


def test_this_was_not_me_ends_programs_too(place: Place) -> None:
    """A program of a merchant's person, which an officer registered."""
    bank = place.bank
    key = SigningKey.derive(bytes([111]) * 32)
    tea = bank.institutions.find("merchant", world.TEA)
    officer = world.person(bank, ANN)
    made = bank.appointments.appoint(
        Duty.MERCHANT, key.public, until_ns=world.START_NS + world.YEAR_NS, maker=officer, person=place.leo,
        institution=tea.id,
    )  # fmt: skip
    assert bank.proposals.sign(made.id, ANN, BOB).needs == ()
    with place.browser() as http:
        registered(http, place.code(place.leo))
        clients = place.registers.clients
        clients.register(place.leo, SigningKey.derive(bytes([112]) * 32).public, by=officer, name="till", operator=2)
        newest = rows(http, "login-notices")[0]
        assert (newest["text"], newest["by"]) == ("PROGRAM_REGISTERED", ids.format(officer))
        assert place.messages()[-1]["text"] == "PROGRAM_REGISTERED"
        assert done(http, f"login-notices/{newest['notice']}/answer", was_me=False)["case"]
        assert [each.revoked_ns is None for each in place.registers.clients.list()] == [False]


def test_a_login_near_the_staff_is_marked(place: Place) -> None:
    """By the address or the browser of a session of the staff, before the login or after it."""
    places, mia = place.registers.places, place.town.holder(place.town.mia)
    with place.browser("127.0.0.7") as http:
        registered(http, place.code(place.leo))
        assert [(each.person, each.near) for each in places.list()] == [(place.leo, 0)]
    with place.browser("127.0.0.8") as desk:
        registered(desk, place.registers.invitations.issue_to_holder(place.town.north).code)
        recognised = desk.cookies["sycee-device"]
    with place.browser("127.0.0.9", **{"sycee-device": recognised}) as http:  # the same browser, at another address
        registered(http, place.code(mia))
    found = {each.person: (each.near, each.near_by) for each in places.list()}
    assert found == {place.leo: (0, ""), place.town.north: (0, ""), mia: (place.town.north, "browser")}
    ned = place.town.holder(place.town.ned)
    with place.browser("127.0.0.8") as http:
        registered(http, place.code(ned))
    assert {each.person: each.near_by for each in places.list()}[ned] == "address"
    # Later on the staff is where Leo's login began.
    with place.browser("127.0.0.7") as desk:
        registered(desk, place.registers.invitations.issue_to_holder(world.person(place.bank, ANN)).code)
    assert {each.person: each.near_by for each in places.list()}[place.leo] == "address"
    assert "127.0.0.7" not in str(place.rows(FIRST_USES))


def test_a_shredded_person_leaves_no_trace_of_logins(place: Place) -> None:
    with place.browser() as http:
        registered(http, place.code(place.leo))
    for also in place.bank.personal.on_shred:
        write(place.bank.stores.engine, lambda connection, also=also: also(connection, place.leo))
    assert [place.rows(table) for table in (FIRST_USES, LOGIN_NOTICES, SESSIONS)] == [[], [], []]
