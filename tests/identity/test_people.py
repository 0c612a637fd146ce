"""Duties of persons: appointed and dismissed by two officers, kept apart, and in agreement with the ledger."""

from __future__ import annotations

import pytest
from tests.bank.killing import EMPTY_POSTGRESQL_IN_SOAK
from tests.identity.world import (
    ANN,
    BOB,
    CARL,
    CLEO,
    EVE,
    GRANTS,
    KEYS,
    NORTH,
    START_NS,
    STRANGER,
    WU,
    YEAR_NS,
    World,
)

from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.keys import SigningKey
from sycee.core.records import operations
from sycee.core.records.layout import Role
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.transactions import write
from sycee.identity.duties import Duty

UNTIL_NS = START_NS + YEAR_NS
KEY = SigningKey.derive(bytes([50]) * 32, "p256")


def signed(bank: World, one: Proposal) -> None:
    answer = bank.proposals.sign(one.id, KEYS[ANN], KEYS[BOB])
    assert answer.outcome is not None
    assert answer.outcome.created


def test_grants_are_duties(small: World) -> None:
    assert [str(held) for held in small.people.duties_of(ANN)] == ["officer"]
    assert [str(held) for held in small.people.duties_of(NORTH)] == ["operator of operator 2"]
    assert [held.institution for held in small.people.duties_of(NORTH)] == [1_002]
    assert [str(held) for held in small.people.duties_of(CARL)] == ["clerk of operator 2"]
    assert small.people.duties_of(12345) == []
    assert {held.person for held in small.people.holders()} == {*GRANTS, CLEO, CARL}
    assert small.check() == []


def test_a_role_of_the_ledger(bank: World) -> None:
    one = bank.appointments.appoint(Duty.OFFICER, KEY.public, until_ns=UNTIL_NS, maker=ANN)
    assert bank.proposals.missing(one.id).needs == ("two officers of the board",)
    signed(bank, one)
    person = bank.people.person_of_key(KEY.public)
    (held,) = bank.people.duties_of(person)
    assert (held.duty, held.until_ns) == (Duty.OFFICER, UNTIL_NS)
    with bank.ledger.sequencer.reading() as state:
        assert state.grants[held.grant].person == person
    assert bank.check() == []
    signed(bank, bank.appointments.dismiss(held.id, maker=ANN))
    assert bank.people.duties_of(person) == []
    with pytest.raises(UsageError, match=r"no person has the key"):
        bank.people.person_of_key(KEY.public)
    assert bank.check() == []


@EMPTY_POSTGRESQL_IN_SOAK
def test_a_duty_of_the_database(bank: World) -> None:
    one = bank.appointments.appoint(Duty.COUNTERSIGNER, KEY.public, until_ns=UNTIL_NS, maker=ANN)
    signed(bank, one)
    person = bank.people.person_of_key(KEY.public)
    assert [str(held) for held in bank.people.duties_of(person)] == ["countersigner"]
    bank.people.require(person, "day.countersign")
    (held,) = bank.people.duties_of(person)
    assert bank.people.keys_of(person) == [KEY.public]
    signed(bank, bank.appointments.dismiss(held.id, maker=BOB))
    with pytest.raises(UsageError, match=r"may not request day.countersign.*this person has: none"):
        bank.people.require(person, "day.countersign")
    with pytest.raises(UsageError, match=r"no person has the key"):
        bank.people.person_of_key(KEY.public)
    assert bank.check() == []


def test_a_duty_ends_at_its_time(small: World) -> None:
    signed(small, small.appointments.appoint(Duty.CLOSER, KEY.public, until_ns=UNTIL_NS, maker=ANN))
    person = small.people.person_of_key(KEY.public)
    small.clock.set(UNTIL_NS - 1)
    small.people.require(person, "day.close")
    small.clock.set(UNTIL_NS)
    with pytest.raises(UsageError, match=r"may not request day.close"):
        small.people.require(person, "day.close")


@pytest.mark.parametrize(
    ("person", "duty", "message"),
    [
        (ANN, Duty.WITNESS, "is officer, and one person may not also be witness"),
        (WU, Duty.OFFICER, "is witness, and one person may not also be officer"),
        (CLEO, Duty.AUDITOR, "is compliance, and one person may not also be auditor"),
        (NORTH, Duty.OFFICER, "is operator of operator 2, and one person may not also be officer"),
    ],
)
def test_duties_apart(small: World, person: int, duty: Duty, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small.appointments.appoint(duty, KEYS[person].public, until_ns=UNTIL_NS, maker=BOB)


@pytest.mark.parametrize("new", [KEY, STRANGER], ids=["the same key", "another key"])
@pytest.mark.parametrize("duty", [Duty.OFFICER, Duty.CLOSER])
def test_a_duty_given_again_replaces_the_first(small: World, duty: Duty, new: SigningKey) -> None:
    """A second one would stay when the first is ended, and its signatures would still count."""
    signed(small, small.appointments.appoint(duty, KEY.public, until_ns=UNTIL_NS, maker=ANN))
    person = small.people.person_of_key(KEY.public)
    (first,) = small.people.duties_of(person)
    for until_ns in (UNTIL_NS - 1, UNTIL_NS):
        with pytest.raises(UsageError, match=f"is {duty} with this key already"):
            small.appointments.appoint(duty, KEY.public, until_ns=until_ns, maker=ANN)
    again = small.appointments.appoint(duty, new.public, person=person, until_ns=UNTIL_NS + 1, maker=ANN)
    for propose in (
        lambda: small.appointments.dismiss(first.id, maker=BOB),
        lambda: small.appointments.appoint(duty, new.public, person=person, until_ns=UNTIL_NS + 2, maker=BOB),
    ):
        with pytest.raises(UsageError, match=f"{ids.format(again.id)} is about the duty {duty} of"):
            propose()
    signed(small, again)
    (second,) = small.people.duties_of(person)
    assert (second.id != first.id, second.until_ns) == (True, UNTIL_NS + 1)
    assert small.people.keys_of(person) == [new.public]
    assert small.check() == []
    mint = small.proposals.propose("mint", small.issue(), {"operator": 2}, maker=ANN) if first.grant else None
    if mint is not None:
        small.proposals.sign(mint.id, new)
    signed(small, small.appointments.dismiss(second.id, maker=ANN))
    assert small.people.duties_of(person) == []
    assert small.people.keys_of(person) == []
    if mint is not None:
        assert small.proposals.missing(mint.id).needs[0] == "two officers of the board"
    assert small.check() == []


def test_two_officers_renew_and_end_no_grant_of_the_last_two(small: World) -> None:
    """A board of two gives one of them another key: the new grant counts before the old one is revoked."""
    (eve,) = small.people.duties_of(EVE)
    signed(small, small.appointments.dismiss(eve.id, maker=ANN))
    one = small.appointments.appoint(Duty.OFFICER, KEY.public, person=ANN, until_ns=UNTIL_NS, maker=ANN)
    signed(small, one)
    assert small.people.keys_of(ANN) == [KEY.public]
    assert small.check() == []


def test_every_grant_of_a_duty_ends_with_it(small: World) -> None:
    """Eve has a second grant that the ledger got by other means."""
    second = operations.grant_role(
        small.new_id(), person=EVE, role=Role.OFFICER, key=KEY.public.key, flags=KEY.public.flags,
        from_ns=0, until_ns=UNTIL_NS,
    )  # fmt: skip
    assert small.ledger.signed_by(*small.signers(ANN, BOB)).submit(second)["code"].tolist() == [Result.CREATED]
    first, _ = small.people.duties_of(EVE)
    signed(small, small.appointments.dismiss(first.id, maker=ANN))
    assert small.people.duties_of(EVE) == []
    assert small.check() == []


def test_a_second_duty_of_the_database_replaces_the_key(small: World) -> None:
    signed(small, small.appointments.appoint(Duty.CLOSER, KEY.public, until_ns=UNTIL_NS, maker=ANN))
    person = small.people.person_of_key(KEY.public)
    given = {"person": person, "until_ns": UNTIL_NS, "maker": ANN}
    signed(small, small.appointments.appoint(Duty.CASEWORKER, STRANGER.public, **given))
    assert small.people.keys_of(person) == [STRANGER.public]
    assert len(small.people.duties_of(person)) == 2


def test_who_cannot_be_appointed(small: World) -> None:
    def appoint(duty: Duty, maker: int = ANN, **others: int) -> None:
        given = {"until_ns": UNTIL_NS} | others
        small.appointments.appoint(duty, KEY.public, maker=maker, **given)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match=r"nobody is appointed as a citizen"):
        appoint(Duty.CITIZEN)
    with pytest.raises(UsageError, match=r"ends before it begins"):
        appoint(Duty.CLOSER, until_ns=START_NS)
    with pytest.raises(UsageError, match=r"the duty clerk is of an institution"):
        appoint(Duty.CLERK)
    with pytest.raises(UsageError, match=r"the duty operator is of an institution"):
        appoint(Duty.OPERATOR, operator=2)
    with pytest.raises(UsageError, match=r"the duty closer is not of an institution"):
        appoint(Duty.CLOSER, institution=1_002)
    with pytest.raises(UsageError, match=r"North Bank is an operator, and the duty is merchant"):
        appoint(Duty.MERCHANT, institution=1_002)
    with pytest.raises(UsageError, match=r"may not request duty.appoint"):
        appoint(Duty.CLOSER, maker=NORTH)
    with pytest.raises(UsageError, match=r"nobody has the duty"):
        small.appointments.dismiss(5, maker=ANN)
    with pytest.raises(UsageError, match=r"is .*01's: two persons with one key"):
        small.appointments.appoint(Duty.CLOSER, KEYS[ANN].public, person=77, until_ns=UNTIL_NS, maker=BOB)


def test_an_operator_and_a_clerk_of_an_institution(small: World) -> None:
    for duty, key, action in ((Duty.OPERATOR, KEY, "wallet.fund"), (Duty.CLERK, STRANGER, "wallet.open")):
        one = small.appointments.appoint(duty, key.public, institution=1_002, until_ns=UNTIL_NS, maker=ANN)
        signed(small, one)
        person = small.people.person_of_key(key.public)
        small.people.require(person, action, operator=2)
        with pytest.raises(UsageError, match=rf"may not request {action} for operator 3"):
            small.people.require(person, action, operator=3)
    assert small.check() == []


def test_a_citizen_needs_no_appointment(small: World) -> None:
    write(small.engine, lambda connection: small.people.add(connection, person=900))
    small.people.require(900, "pay")
    with pytest.raises(UsageError, match=r"may not request pay"):
        small.people.require(901, "pay")
    with pytest.raises(UsageError, match=r"may not request mint"):
        small.people.require(900, "mint")


def test_disagreements_are_found(small: World) -> None:
    """The grant of an officer is revoked past the service: SQL still has the duty."""
    revoked = operations.revoke_role(small.new_id(), grant=240 + EVE)
    answers = small.ledger.signed_by(*small.signers(ANN, BOB)).submit(revoked)
    assert answers["code"].tolist() == [Result.CREATED]
    name = ids.format(EVE)
    assert small.check() == [f"the officer {name} is revoked in the ledger, and not in the database"]


@pytest.mark.parametrize("first", [Duty.CLERK, Duty.OPERATOR])
def test_two_proposals_that_give_one_key_to_two_persons(small: World, first: Duty) -> None:
    """Both were made before either was signed. The second is refused when it would be done, and stays open."""
    one = small.appointments.appoint(first, KEY.public, institution=1_002, until_ns=UNTIL_NS, maker=ANN)
    two = small.appointments.appoint(Duty.CLOSER, KEY.public, until_ns=UNTIL_NS, maker=ANN)
    assert one.effect["person"] != two.effect["person"]
    signed(small, one)
    small.proposals.sign(two.id, KEYS[ANN])
    with pytest.raises(UsageError, match=r"'s since: two persons with one key"):
        small.proposals.sign(two.id, KEYS[BOB])
    assert small.proposals.get(two.id).state == "open"
    assert small.people.duties_of(ids.parse(two.effect["person"])) == []
    assert small.people.person_of_key(KEY.public) == ids.parse(one.effect["person"])
    small.proposals.withdraw(two.id, by=ANN)
    assert small.check() == []
