"""Invitations: who may invite whom, and which codes open nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from tests.identity.world import ANN, BOB, CARL, CLEO, NORTH, SOUTH, START_NS, World, small_world
from tests.server.auth.phones import Phones, told

from sycee.core.clock import SimulatedClock
from sycee.core.errors import UsageError
from sycee.database.migrations import upgrade
from sycee.database.transactions import reading, write
from sycee.server.auth.invitations import HOUR_NS, Invitation, Invitations
from sycee.server.auth.refusals import NotAuthenticated
from sycee.server.auth.tables import FIRST_USES, INVITATIONS, RECOVERIES
from sycee.server.tables import SCHEMA
from sycee.wallets import tables as wallets
from sycee.wallets.directory import Directory

DORA, EMIL = 501, 502  # Dora has a wallet at operator 2; Emil has none


@dataclass
class Place:
    bank: World
    clock: SimulatedClock
    invitations: Invitations
    phones: Phones

    def issue(self, person: int, *, by: int, **options: Any) -> tuple[Invitation, str]:
        """An invitation, and its code as its person puts it together."""
        made = self.invitations.issue(person, by=by, **options)
        return made.invitation, self.phones.code(made)

    def use(self, code: str) -> int:
        return write(self.bank.engine, lambda connection: self.invitations.use(connection, code))[0].person


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("invitations")
    with small_world(folder) as bank:
        upgrade(bank.engine, wallets.SCHEMA)
        upgrade(bank.engine, SCHEMA)

        def people(connection: sqlalchemy.Connection) -> None:
            for person in (DORA, EMIL):
                bank.people.add(connection, person=person)
            row = {
                "account": 600, "holder": DORA, "operator": 2, "class": "anonymous", "rule_set": 1,
                "is_custodial": False, "state": wallets.OPEN, "intent": 1, "opened_ns": START_NS,
            }  # fmt: skip
            connection.execute(wallets.WALLETS.insert().values(row))

        write(bank.engine, people)
        clock = SimulatedClock(START_NS)
        phones, directory = Phones(), Directory(bank.stores)
        made = Invitations(
            bank.stores, bank.people, directory, told(bank, clock, phones), clock, masked_ns=24 * HOUR_NS
        )
        yield Place(bank, clock, made, phones)


@pytest.mark.parametrize(
    ("person", "by"), [(DORA, NORTH), (DORA, CARL), (DORA, ANN), (EMIL, ANN), (CARL, ANN), (BOB, ANN)]
)
def test_who_may_invite_whom(place: Place, person: int, by: int) -> None:
    made, code = place.issue(person, by=by)
    assert (made.person, made.made_by, made.state) == (person, by, "open")
    assert place.invitations.open(code) == made
    assert place.use(f" {code.lower().replace('-', ' ')} ") == person
    assert [each.state for each in place.invitations.list() if each.id == made.id] == ["used"]
    with pytest.raises(NotAuthenticated):
        place.use(code)


@pytest.mark.parametrize(
    ("person", "by", "message"),
    [
        (DORA, SOUTH, "may not request login.invite"),
        (DORA, CLEO, "may not request login.invite"),
        (DORA, EMIL, "may not request login.invite"),
        (DORA, DORA, "may not request login.invite"),
        (EMIL, NORTH, "may not request login.invite"),
        (CARL, NORTH, "may not request login.invite-staff"),
        (ANN, CARL, "may not request login.invite-staff"),
        (999, ANN, "there is no person"),
        (ANN, ANN, "nobody invites themselves"),
    ],
)
def test_who_may_not_invite_whom(place: Place, person: int, by: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        place.issue(person, by=by)


@pytest.mark.parametrize("hours", [0, -1, 337])
def test_an_invitation_lasts_hours(place: Place, hours: int) -> None:
    with pytest.raises(UsageError, match="1 to 336 hours"):
        place.issue(DORA, by=ANN, hours=hours)
    with pytest.raises(UsageError, match="1 to 336 hours"):
        place.invitations.issue_to_holder(ANN, hours=hours)


def test_an_expired_code_opens_nothing(place: Place) -> None:
    made, code = place.issue(DORA, by=ANN, hours=2)
    place.clock.advance(2 * HOUR_NS - 1)
    assert place.invitations.open(code).id == made.id
    place.clock.advance(1)
    with pytest.raises(NotAuthenticated):
        place.invitations.open(code)
    with pytest.raises(NotAuthenticated):
        place.use(code)


def test_a_revoked_code_opens_nothing(place: Place) -> None:
    made, code = place.issue(DORA, by=ANN)
    with pytest.raises(UsageError, match=r"may not request login\.end"):
        place.invitations.revoke(made.id, by=SOUTH)
    place.invitations.revoke(made.id, by=NORTH)
    with pytest.raises(NotAuthenticated):
        place.use(code)
    with pytest.raises(UsageError, match="there is no invitation"):
        place.invitations.revoke(5, by=ANN)


@pytest.mark.parametrize("code", ["", "AAAA", "A" * 32, "ä", "%00", "'; DROP TABLE server_invitations; --"])
def test_an_unknown_code_opens_nothing(place: Place, code: str) -> None:
    with pytest.raises(NotAuthenticated):
        place.invitations.open(code)


def test_the_logins_of_a_person_end_together(place: Place) -> None:
    _, code = place.issue(DORA, by=ANN)
    with pytest.raises(UsageError, match=r"may not request login\.end"):
        place.invitations.end_logins(DORA, by=SOUTH)
    place.invitations.end_logins(DORA, by=DORA)
    with pytest.raises(NotAuthenticated):
        place.use(code)


def test_a_shredded_person_cannot_log_in(place: Place) -> None:
    _, code = place.issue(EMIL, by=ANN)
    write(place.bank.engine, lambda connection: place.bank.people.shred(connection, EMIL))
    with pytest.raises(NotAuthenticated):
        place.use(code)


def test_no_code_is_stored(place: Place) -> None:
    _, code = place.issue(DORA, by=ANN)
    with reading(place.bank.engine) as connection:
        rows = str(list(connection.execute(sqlalchemy.select(INVITATIONS))))
    assert code not in rows
    assert code.replace("-", "") not in rows


def test_a_recovery_lets_the_holder_of_a_key_in_again_after_its_waiting_time(place: Place) -> None:
    """Else an officer without a phone, who lost every passkey, gets a login by letter only."""
    now_ns = place.clock.now_ns()
    use = {
        "login": 1, "person": BOB, "method": "passkey", "invitation": 0, "inviter": 0, "at_ns": now_ns, "address": "",
        "device": "",
    }  # fmt: skip
    write(place.bank.engine, lambda connection: connection.execute(FIRST_USES.insert().values(use)))
    with pytest.raises(UsageError, match="has, or had, a login"):
        place.invitations.issue_to_holder(BOB)
    from_ns = now_ns + HOUR_NS
    row = {"id": 2, "person": BOB, "letter": 0, "made_ns": now_ns, "from_ns": from_ns, "until_ns": from_ns + HOUR_NS}
    write(place.bank.engine, lambda connection: connection.execute(RECOVERIES.insert().values(row)))
    issued = place.invitations.issue_to_holder(BOB)
    assert (issued.invitation.state, issued.invitation.recovery) == ("waiting", 2)
    with pytest.raises(NotAuthenticated):
        place.use(issued.code)
    place.clock.advance(HOUR_NS)
    assert place.use(issued.code) == BOB
    with pytest.raises(UsageError, match="has, or had, a login"):  # it was used
        place.invitations.issue_to_holder(BOB)
