"""Passkeys and sessions: from an invitation to a session, and every way in which one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from tests.identity.world import ANN, START_NS, World, small_world
from tests.server.auth.authenticator import PRESENT, Authenticator, text
from tests.server.auth.phones import Phones, places, told

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.database.migrations import upgrade
from sycee.database.transactions import reading, write
from sycee.server.auth.invitations import Invitations
from sycee.server.auth.logins import Begin, Session, Visitor
from sycee.server.auth.one_time import LIFE_NS, OneTime
from sycee.server.auth.passkeys import Passkeys
from sycee.server.auth.refusals import ForeignOrigin, NotAuthenticated
from sycee.server.auth.sessions import Sessions
from sycee.server.auth.settings import AuthSettings
from sycee.server.auth.tables import PASSKEYS, SESSIONS
from sycee.server.tables import SCHEMA
from sycee.wallets import tables as wallets
from sycee.wallets.directory import Directory

ORIGIN = "https://bank.example"
SETTINGS = AuthSettings(public_url=ORIGIN)


@dataclass
class Place:
    bank: World
    clock: SimulatedClock
    invitations: Invitations
    passkeys: Passkeys
    sessions: Sessions
    phones: Phones

    @property
    def begin(self) -> Begin:
        return partial(self.sessions.begin, visitor=Visitor("192.0.2.1", "Browser/1"))

    def person(self) -> int:
        """A new person: a person who had a login is not invited again."""
        made = ids.new(self.clock.now_ns() // 10**6)
        write(self.bank.engine, lambda connection: self.bank.people.add(connection, person=made))
        return made

    def invited(self, person: int = 0, **options: Any) -> str:
        return self.phones.code(self.invitations.issue(person or self.person(), by=ANN, **options))

    def registered(self, person: int = 0, **others: Any) -> Authenticator:
        made = authenticator(**others)
        made_options = self.passkeys.registration_options(self.invited(person))
        self.passkeys.register(made.create(made_options), self.begin)
        return made

    def owner(self, device: Authenticator) -> int:
        with reading(self.bank.engine) as connection:
            chosen = sqlalchemy.select(PASSKEYS.c.person).where(PASSKEYS.c.credential == device.credential)
            return int(connection.scalars(chosen).one())

    def session(self, token: str) -> Session:
        return self.sessions.find(token, Visitor())

    def login(self, device: Authenticator) -> str:
        return self.passkeys.login(device.get(self.passkeys.login_options()), self.begin)


def authenticator(**others: Any) -> Authenticator:
    return Authenticator(**({"origin": ORIGIN, "rp_id": "bank.example"} | others))


def refused(work: Callable[[], object]) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        work()
    assert caught.value.message == "the credentials of this request are not valid"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("passkeys")
    with small_world(folder) as bank:
        upgrade(bank.engine, wallets.SCHEMA)
        upgrade(bank.engine, SCHEMA)
        clock = SimulatedClock(START_NS)
        phones = Phones()
        notices, directory = told(bank, clock, phones), Directory(bank.stores)
        invitations = Invitations(bank.stores, bank.people, directory, notices, clock, masked_ns=SETTINGS.masked_ns)
        passkeys = Passkeys(bank.stores, bank.people, invitations, notices, SETTINGS, clock)
        sessions = Sessions(bank.stores, bank.people, places(bank, bank.people, clock), SETTINGS, clock)
        yield Place(bank, clock, invitations, passkeys, sessions, phones)


# --- accepted ---


def test_an_invitation_becomes_a_passkey_and_a_session(place: Place) -> None:
    device, person = authenticator(), place.person()
    code = place.invited(person)
    options = place.passkeys.registration_options(code)
    assert options["rp"] == {"name": "Sycee", "id": "bank.example"}
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    token = place.passkeys.register(device.create(options), place.begin)
    assert place.session(token).login.person == person
    login = place.passkeys.login_options()
    assert (login["userVerification"], login["rpId"], login["allowCredentials"]) == ("required", "bank.example", [])
    assert place.session(place.passkeys.login(device.get(login), place.begin)).login.person == person
    again = place.passkeys.registration_options("", session=place.session(token))
    assert text(device.credential) in [each["id"] for each in again["excludeCredentials"]]


def test_a_counter_only_rises(place: Place) -> None:
    device = place.registered(count=5)
    device.count = 6
    assert place.login(device)
    refused(lambda: place.login(device))  # a copy with the same count
    device.count = 3
    refused(lambda: place.login(device))
    device.count = 7
    assert place.login(device)


# --- refused ---


def test_an_invitation_is_used_once(place: Place) -> None:
    code = place.invited()
    first, second = (place.passkeys.registration_options(code) for _ in range(2))
    assert place.passkeys.register(authenticator().create(first), place.begin)
    refused(lambda: place.passkeys.register(authenticator().create(second), place.begin))
    refused(lambda: place.passkeys.registration_options(code))


def test_an_expired_invitation_is_refused_at_the_end_too(place: Place) -> None:
    code = place.invited(hours=1)
    place.clock.advance(3_600 * 10**9 - LIFE_NS // 2)
    options = place.passkeys.registration_options(code)
    place.clock.advance(LIFE_NS // 2)
    refused(lambda: place.passkeys.register(authenticator().create(options), place.begin))


def test_a_challenge_is_used_once(place: Place) -> None:
    device = place.registered()
    options = place.passkeys.login_options()
    answer = device.get(options)
    assert place.passkeys.login(answer, place.begin)
    refused(lambda: place.passkeys.login(answer, place.begin))
    refused(lambda: place.passkeys.login(device.get(options), place.begin))


def test_a_challenge_of_a_failed_login_is_used_up(place: Place) -> None:
    device = place.registered()
    options = place.passkeys.login_options()
    refused(lambda: place.passkeys.login(authenticator().get(options), place.begin))
    refused(lambda: place.passkeys.login(device.get(options), place.begin))


def test_a_challenge_ends(place: Place) -> None:
    device = place.registered()
    options = place.passkeys.login_options()
    place.clock.advance(LIFE_NS)
    refused(lambda: place.passkeys.login(device.get(options), place.begin))


def test_a_challenge_has_one_purpose(place: Place) -> None:
    device = place.registered()
    registration = place.passkeys.registration_options(place.invited())
    refused(lambda: place.passkeys.login(device.get(registration), place.begin))
    login = place.passkeys.login_options() | {"user": {"id": ""}}
    refused(lambda: place.passkeys.register(authenticator().create(login), place.begin))


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "https://evil.example"},
        {"origin": "http://bank.example"},
        {"rp_id": "evil.example"},
        {"flags": PRESENT},
        {"flags": 0},
    ],
    ids=str,
)
def test_a_wrong_authenticator_is_refused(place: Place, changes: dict[str, Any]) -> None:
    options = place.passkeys.registration_options(place.invited())
    refused(lambda: place.passkeys.register(authenticator(**changes).create(options), place.begin))
    device = place.registered()
    for name, value in changes.items():
        setattr(device, name, value)
    refused(lambda: place.login(device))


def test_another_key_is_refused(place: Place) -> None:
    device = place.registered()
    refused(lambda: place.login(authenticator(credential=device.credential)))
    refused(lambda: place.login(authenticator()))


def test_a_login_names_the_person_of_its_passkey(place: Place) -> None:
    """A login begins without a name, so that the authenticator must state its user (section 7.2, step 6)."""
    device = place.registered()
    owner = place.owner(device)
    for user in ("", None, text(ANN.to_bytes(16, "big")), text(owner.to_bytes(16, "big")) + "AA",
                 text(owner.to_bytes(17, "big")), 5):  # fmt: skip
        answer = device.get(place.passkeys.login_options())
        answer["response"]["userHandle"] = user
        refused(lambda answer=answer: place.passkeys.login(answer, place.begin))
    without = device.get(place.passkeys.login_options())
    del without["response"]["userHandle"]
    refused(lambda: place.passkeys.login(without, place.begin))
    assert place.login(device)


def test_a_credential_is_registered_once(place: Place) -> None:
    device = place.registered()
    options = place.passkeys.registration_options(place.invited())
    refused(lambda: place.passkeys.register(device.create(options), place.begin))


def damaged(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {}
    yield answer | {"response": None}
    yield answer | {"response": {"clientDataJSON": 5}}
    yield answer | {"response": {"clientDataJSON": "ä"}}
    yield answer | {"response": {"clientDataJSON": text(b"[]")}}
    yield answer | {"response": {"clientDataJSON": text(b"[" * 100_000)}}
    yield answer | {"response": {"clientDataJSON": text(b'{"challenge": 7}')}}
    for name in set(answer["response"]):
        yield answer | {"response": answer["response"] | {name: text(b"\xff\x00" * 40)}}
        yield answer | {"response": answer["response"] | {name: None}}
    yield answer | {"id": "x"}
    yield answer | {"rawId": None}
    yield answer | {"type": "password"}


def test_damaged_answers_are_refused(place: Place) -> None:
    device, made = place.registered(), authenticator()
    for at in range(18):
        (wrong,) = list(damaged(device.get(place.passkeys.login_options())))[at : at + 1]
        refused(lambda wrong=wrong: place.passkeys.login(wrong, place.begin))
    code = place.invited()
    for at in range(14):
        (wrong,) = list(damaged(made.create(place.passkeys.registration_options(code))))[at : at + 1]
        refused(lambda wrong=wrong: place.passkeys.register(wrong, place.begin))


def test_ended_logins_and_shredded_persons_are_refused(place: Place) -> None:
    device = place.registered()
    token = place.login(device)
    place.invitations.end_logins(place.owner(device), by=ANN)
    refused(lambda: place.session(token))
    refused(lambda: place.login(device))


def test_begun_logins_are_bounded(place: Place) -> None:
    waiting: OneTime[int] = OneTime(place.clock, waiting_max=3)
    for number in range(5):
        waiting.put(bytes([number]), number)
    assert len(waiting) == 3
    assert [waiting.take(bytes([number])) for number in range(5)] == [None, None, 2, 3, 4]


def test_logins_that_one_sender_begins_replace_its_own(place: Place) -> None:
    """A stranger who begins logins without end does not end the logins of others."""
    waiting: OneTime[int] = OneTime(place.clock, waiting_max=10, sender_max=3)
    waiting.put(b"mine", 1, "192.0.2.1")
    for number in range(50):
        waiting.put(bytes([number]), number, "192.0.2.2")
    assert len(waiting) == 4
    assert waiting.take(b"mine") == 1
    assert [waiting.take(bytes([number])) for number in (46, 47, 48, 49)] == [None, 47, 48, 49]


# --- sessions ---


def test_a_session_ends_without_use_and_at_the_latest(place: Place) -> None:
    device = place.registered()
    token = place.login(device)
    for _ in range(23):
        place.clock.advance(SETTINGS.session_idle_ns - 1)
        assert place.session(token)
    place.clock.advance(SETTINGS.session_idle_ns - 1)
    assert place.session(token)
    place.clock.advance(SETTINGS.session_idle_ns - 1)
    refused(lambda: place.session(token))  # after 12 hours
    token = place.login(device)
    place.clock.advance(SETTINGS.session_idle_ns)
    refused(lambda: place.session(token))


def test_a_logout_ends_the_session(place: Place) -> None:
    device = place.registered()
    first, second = place.login(device), place.login(device)
    place.sessions.end(first)
    refused(lambda: place.session(first))
    assert place.session(second).login.person == place.owner(device)


def test_no_cookie_is_stored(place: Place) -> None:
    token = place.login(place.registered())
    with reading(place.bank.engine) as connection:
        rows = str(list(connection.execute(sqlalchemy.select(SESSIONS))))
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(PASSKEYS))
    assert token not in rows


def test_a_session_of_a_shredded_person_is_refused(place: Place) -> None:
    device = place.registered()
    token = place.login(device)
    write(place.bank.engine, lambda connection: place.bank.people.shred(connection, place.owner(device)))
    refused(lambda: place.session(token))


@pytest.mark.parametrize("token", ["", "x", "a" * 65, "ä"])
def test_no_session(place: Place, token: str) -> None:
    refused(lambda: place.session(token))


@pytest.mark.parametrize(
    ("method", "headers", "accepted"),
    [
        ("GET", {}, True),
        ("GET", {"origin": ORIGIN}, True),
        ("GET", {"origin": "https://evil.example"}, False),
        ("GET", {"sec-fetch-site": "cross-site"}, False),
        ("GET", {"sec-fetch-site": "same-site"}, False),
        ("GET", {"sec-fetch-site": "none"}, True),
        ("POST", {}, False),
        ("POST", {"origin": ORIGIN}, True),
        ("POST", {"origin": ORIGIN, "sec-fetch-site": "same-origin"}, True),
        ("POST", {"origin": "null"}, False),
        ("POST", {"origin": "https://bank.example.evil.example"}, False),
        ("POST", {"origin": "http://bank.example"}, False),
        ("POST", {"origin": f"{ORIGIN}:8443"}, False),
        ("DELETE", {"referer": f"{ORIGIN}/page"}, False),
    ],
)
def test_requests_of_other_pages_are_refused(
    place: Place, method: str, headers: dict[str, str], accepted: bool
) -> None:
    if accepted:
        place.sessions.require_own_origin(method, headers)
    else:
        with pytest.raises(ForeignOrigin):
            place.sessions.require_own_origin(method, headers)
