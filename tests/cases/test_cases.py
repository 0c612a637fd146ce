"""Cases from the first call to the decision: money is held, returned or released; claims are followed to their end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from tests.bank.killing import POSTGRESQL_IN_SOAK
from tests.bank.world import ANN, BOB, DAY_NS, HOUR_NS, START_NS
from tests.cases import office as places
from tests.cases.office import LEFT, PAID, Office
from tests.wallets import world

from sycee.cases import tables
from sycee.cases.service import Case
from sycee.core import ids
from sycee.core.errors import Refused, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import HoldState
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.events import events_after
from sycee.database.transactions import write
from sycee.personal.access import Access, Reason
from sycee.personal.sealing import SearchKind

NOTE = "she says that the phone was stolen"


@pytest.fixture
def office(server: str, tmp_path: Path) -> Iterator[Office]:
    with places.office(server, tmp_path) as made:
        yield made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Office]:
    with places.office("", tmp_path) as made:
        yield made


def test_money_is_held_until_the_case_is_decided_for_the_payer(office: Office) -> None:
    town, cases = office.town, office.bank.cases
    number = office.open(text=NOTE)
    case = cases.get(number)
    assert (case.number, case.state, case.is_open) == (1, "opened", True)
    (event,) = (each for each in events_after(office.bank.stores.engine, 0, most=1_000) if each.kind == "case.opened")
    assert (event.subject, event.data) == ("1", {"kind": case.kind})
    assert (case.person, case.account, case.payment) == (town.holder(town.leo), town.shop, office.payment)
    held = office.act(number, "hold")
    assert isinstance(held, Case)
    assert (held.state, held.hold != 0) == ("investigating", True)
    assert town.balance(town.shop) == PAID
    assert office.bank.stores.ledger.account(town.shop).debits_pending == PAID
    with pytest.raises(UsageError, match="holds money already"):
        office.act(number, "hold")
    upheld = office.act(number, "uphold")
    assert isinstance(upheld, Case)
    assert (upheld.state, upheld.is_open, upheld.deadline_ns) == ("upheld", False, 0)
    assert (town.balance(town.leo), town.balance(town.shop)) == (LEFT + PAID, 0)
    assert office.what(number) == ["open", "hold", "hold done", "uphold", "uphold done"]
    assert office.bank.check() == []


@POSTGRESQL_IN_SOAK
def test_money_is_released_when_the_case_is_dismissed(office: Office) -> None:
    number = office.open()
    hold = office.act(number, "hold")
    assert isinstance(hold, Case)
    office.act(number, "dismiss")
    found = office.bank.stores.ledger.find_hold(hold.hold)
    assert found is not None
    assert found.state is HoldState.VOIDED
    assert office.town.balance(office.town.shop) == PAID
    assert not office.bank.cases.is_open(number)
    assert office.bank.check() == []


def test_a_return_that_finds_too_little_becomes_a_claim_that_is_collected(office: Office) -> None:
    town, bank = office.town, office.bank
    number = office.open()
    office.spend(70_00)  # before the case is decided
    proposal = office.act(number, "uphold")
    assert bank.cases.get(number).state == "opened", "nothing happens before the officers sign"
    office.signed(proposal)
    assert bank.cases.get(number).state == "upheld"
    (claim,) = bank.claims.list()
    assert (claim.minor, claim.recovered, claim.state, claim.case) == (70_00, 0, "open", number)
    assert town.balance(town.leo) == LEFT + 30_00
    with pytest.raises(UsageError, match="has no money yet"):
        bank.claims.collect(claim.reverse, maker=office.cleo)
    town.fund(town.shop, 50_00, "N-7")
    bank.set_clock(START_NS + 25 * HOUR_NS)  # a job prepares the proposal
    assert bank.findings == []
    (proposed,) = bank.proposals.list("open")
    with pytest.raises(UsageError, match="collects this claim already"):
        bank.claims.collect(claim.reverse, maker=office.cleo)
    assert bank.proposals.sign(proposed.id, ANN, BOB).needs == ()
    (claim,) = bank.claims.list(only_open=True)
    assert (claim.recovered, claim.missing_minor) == (50_00, 20_00)
    town.fund(town.shop, 90_00, "N-8")
    office.signed(bank.claims.collect(claim.reverse, maker=office.cleo))
    assert bank.claims.list(only_open=True) == []
    (claim,) = bank.claims.list()
    assert (claim.recovered, claim.state) == (70_00, "collected")
    assert (town.balance(town.leo), town.balance(town.shop)) == (LEFT + PAID, 70_00)
    assert bank.check() == []
    bank.set_clock(START_NS + 9 * DAY_NS)
    assert bank.proposals.list("open") == []


def test_a_hold_of_less_than_the_payment_is_paid_and_the_rest_becomes_a_claim(small: Office) -> None:
    town, bank = small.town, small.bank
    number = small.open()
    small.spend(70_00)
    small.act(number, "hold")
    town.fund(town.shop, 20_00, "N-6")
    proposal = small.act(number, "uphold")
    case = bank.cases.get(number)
    assert (case.state, case.is_open, bank.cases.rest_of(case)) == ("investigating", True, 70_00)
    assert (town.balance(town.leo), town.balance(town.shop)) == (LEFT + 30_00, 20_00)
    small.signed(proposal)
    assert bank.cases.get(number).state == "upheld"
    assert (town.balance(town.leo), town.balance(town.shop)) == (LEFT + 50_00, 0)
    (claim,) = bank.claims.list()
    assert (claim.minor, claim.state) == (50_00, "open")
    assert bank.check() == []


def test_a_hold_that_ended_by_time_stops_no_decision(small: Office) -> None:
    town, bank = small.town, small.bank
    dismissed = small.open()
    small.act(dismissed, "hold")
    bank.set_clock(START_NS + 181 * DAY_NS)
    assert bank.stores.ledger.account(town.shop).debits_pending == 0
    small.act(dismissed, "dismiss")
    assert bank.cases.get(dismissed).state == "dismissed"
    upheld = small.open()
    small.act(upheld, "hold")
    bank.set_clock(START_NS + 362 * DAY_NS)
    small.signed(small.act(upheld, "uphold"))
    assert (bank.cases.get(upheld).state, town.balance(town.leo)) == ("upheld", LEFT + PAID)
    assert bank.check() == []


def test_what_was_refunded_meanwhile_is_not_returned_again(small: Office) -> None:
    town, bank = small.town, small.bank
    number = small.open()
    small.act(number, "hold")
    town.fund(town.shop, PAID, "N-5")
    refund = operations.refund(991, original=small.payment, amount=PAID)
    answers = bank.stores.ledger.signed_by(*town.operator).submit(refund)
    assert answers["code"].tolist() == [Result.CREATED]
    small.act(number, "uphold")
    assert bank.cases.get(number).state == "upheld"
    assert bank.stores.ledger.account(town.shop).debits_pending == 0
    assert (town.balance(town.leo), town.balance(town.shop)) == (LEFT + PAID, PAID)
    assert bank.check() == []


def test_a_second_return_of_a_case_is_refused_while_one_waits_for_signatures(small: Office) -> None:
    number = small.open()
    proposal = small.act(number, "uphold")
    assert isinstance(proposal, Proposal)
    with pytest.raises(UsageError, match="returns the money of this case already"):
        small.act(number, "uphold")
    assert [each.id for each in small.bank.proposals.list("open")] == [proposal.id]
    small.spend(PAID)
    small.bank.proposals.withdraw(proposal.id, by=small.cleo)
    small.signed(small.act(number, "uphold"))
    (claim,) = small.bank.claims.list()
    assert (claim.minor, claim.state) == (PAID, "open")
    assert small.bank.check() == []


def test_one_case_about_a_payment_is_open(small: Office) -> None:
    number = small.open()
    for kind in ("unauthorised", "not-delivered"):
        with pytest.raises(UsageError, match=f"case {number} about this payment is open"):
            small.open(kind)
    assert small.open("complaint", person=small.cleo) == number + 1, "it returns nothing"
    small.act(number, "hold")
    small.act(number, "dismiss")
    assert small.open("not-delivered") == number + 2


def test_a_refund_lessens_a_claim_and_ends_it(small: Office) -> None:
    town, bank = small.town, small.bank
    number = small.open()
    small.spend(70_00)
    small.signed(small.act(number, "uphold"))
    town.fund(town.shop, 100_00, "N-7")

    def refund(minor: int) -> None:
        assert bank.payments.refund_payment(small.payment, minor, signers=town.operator, who=town.north).is_paid

    refund(20_00)
    (claim,) = bank.claims.list(only_open=True)
    assert (claim.minor, claim.recovered, claim.missing_minor) == (70_00, 0, 50_00)
    proposal = bank.claims.collect(claim.reverse, maker=small.cleo)
    bank.proposals.withdraw(proposal.id, by=small.cleo)
    assert proposal.effect["minor"] == 50_00
    refund(50_00)
    assert bank.claims.get(claim.reverse).missing_minor == 0
    with pytest.raises(UsageError, match="nothing is left to collect: the payee refunded"):
        bank.claims.collect(claim.reverse, maker=small.cleo)
    assert bank.check() == []
    bank.set_clock(START_NS + 25 * HOUR_NS)
    assert bank.claims.get(claim.reverse).state == "collected"
    assert small.what(number)[-1] == "claim refunded"
    assert (bank.proposals.list("open"), bank.check()) == ([], [])
    assert town.balance(town.leo) == LEFT + PAID


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"minor": 60_00}, "is 6000 in the database, and 7000 in the ledger"),
        ({"recovered": 10_00}, "has 1000 collected in the database, and 5000 in the ledger"),
        ({"recovered": 70_00, "state": "collected"}, "has 7000 collected in the database, and 5000 in the ledger"),
        ({"state": "collected"}, "is collected, and 2000 of it can still be collected"),
    ],
)
def test_a_claim_that_differs_from_the_ledger_is_named(
    small: Office, changed: dict[str, object], sentence: str
) -> None:
    bank = small.bank
    number = small.open()
    small.spend(70_00)
    small.signed(small.act(number, "uphold"))
    (claim,) = bank.claims.list()
    small.town.fund(small.town.shop, 50_00, "N-7")
    small.signed(bank.claims.collect(claim.reverse, maker=small.cleo))
    assert bank.check() == []
    write(bank.stores.engine, lambda connection: connection.execute(sqlalchemy.update(tables.CLAIMS).values(**changed)))
    assert f"the claim {ids.format(claim.reverse)} {sentence}" in bank.check()


def test_a_claim_is_written_off(small: Office) -> None:
    bank = small.bank
    number = small.open()
    small.spend(PAID)
    small.signed(small.act(number, "uphold"))
    (claim,) = bank.claims.list()
    bank.claims.write_off(claim.reverse, who=small.cleo)
    assert bank.claims.get(claim.reverse).state == "written_off"
    with pytest.raises(UsageError, match="is written_off"):
        bank.claims.collect(claim.reverse, maker=small.cleo)
    assert small.what(number)[-1] == "claim written off"
    assert bank.check() == []


@POSTGRESQL_IN_SOAK
def test_a_proposal_that_lapses_leaves_the_case_open(office: Office) -> None:
    number = office.open()
    office.act(number, "uphold")
    office.bank.set_clock(START_NS + 9 * HOUR_NS)
    assert office.bank.cases.get(number).state == "opened"
    assert office.bank.claims.list() == []
    assert office.what(number) == ["open", "uphold proposed", "uphold lapsed"]
    office.signed(office.act(number, "uphold"))
    assert office.bank.cases.get(number).state == "upheld"
    assert office.town.balance(office.town.leo) == LEFT + PAID


def test_what_the_ledger_refuses_leaves_the_case_as_it_was(small: Office) -> None:
    town = small.town
    number = small.open()
    officers = small.bank.signers(ANN, BOB)
    for signers in ((), officers, small.bank.signers(world.DESK)):
        with pytest.raises(UsageError, match=r"the step hold of case 1 must be signed by operator 2, whose account"):
            small.act(number, "hold", signers=signers)
    with pytest.raises(Refused, match=r"case 1 stays opened: .*EXCEEDS_BALANCE"):
        small.act(number, "hold", minor=PAID + 1)
    case = small.bank.cases.get(number)
    assert (case.state, case.hold) == ("opened", 0)
    assert small.what(number) == ["open", "hold", "hold refused"]
    assert town.balance(town.shop) == PAID
    small.act(number, "hold")
    assert small.bank.check() == []


def test_the_same_call_again_changes_nothing(small: Office) -> None:
    number = small.open(id=71)
    assert small.open(id=71) == number
    for _ in range(2):
        case = small.act(number, "hold", id=72)
    assert isinstance(case, Case)
    assert case.hold == 72
    for _ in range(2):
        small.act(number, "uphold", id=73)
    assert small.what(number) == ["open", "hold", "hold done", "uphold", "uphold done"]
    assert small.town.balance(small.town.leo) == LEFT + PAID


@POSTGRESQL_IN_SOAK
def test_deadlines(office: Office) -> None:
    number = office.open()
    cases = office.bank.cases
    # Monday's case must be answered by the end of Tuesday, in the bank's time zone.
    midnight = START_NS - 8 * HOUR_NS
    assert cases.get(number).deadline_ns == midnight + 2 * DAY_NS
    assert cases.due(cases.get(number).deadline_ns - 1) == []
    assert [case.number for case in cases.due(cases.get(number).deadline_ns)] == [number]
    for step in ("investigate", "hold"):
        office.act(number, step)
        assert cases.get(number).deadline_ns == midnight + 22 * DAY_NS


def test_a_case_opens_the_data_of_its_person_to_its_worker(small: Office) -> None:
    number = small.open(text=NOTE)
    (event,) = small.bank.cases.events(number)
    access = Access(small.cleo, Reason.DISPUTE, number)
    assert small.bank.cases.text_of(number, event, access=access) == NOTE
    person = small.bank.cases.get(number).person
    assert small.bank.personal.read(person, ["name"], access=access) == {"name": world.LEO["name"]}
    small.act(number, "dismiss")
    with pytest.raises(UsageError, match="case"):
        small.bank.personal.read(person, ["name"], access=access)
    files = [small.bank.folder.database, *small.bank.folder.path.glob("sycee.db-*")]
    assert all(NOTE.encode() not in file.read_bytes() for file in files)


def test_a_case_opens_the_data_of_both_sides_of_its_payment_and_of_nobody_else(small: Office) -> None:
    town, bank = small.town, small.bank
    leo, mia = town.holder(town.leo), town.holder(town.mia)
    paid = bank.payments.pay(town.leo, town.mia, 100, signers=town.signer(town.leo, world.LEO_KEY), who=leo)
    names = {leo: {"name": world.LEO["name"]}, mia: {"name": world.MIA["name"]}}
    about_person = small.open("recovery", person=leo, payment=0)
    to_shop, to_mia = small.open(), small.open(payment=paid.operation)
    for number, persons in ((about_person, [leo]), (to_shop, [leo]), (to_mia, [leo, mia])):
        access = Access(small.cleo, Reason.DISPUTE, number)
        for person in persons:
            assert bank.personal.read(person, ["name"], access=access) == names[person]
        for person in {leo, mia}.difference(persons):
            before = bank.access.head()
            with pytest.raises(UsageError, match=f"case {number} does not concern"):
                bank.personal.read(person, ["name"], access=access)
            assert bank.access.head() == before
    access = Access(small.cleo, Reason.RECOVERY, about_person)
    assert bank.personal.find(SearchKind.PHONE, world.MIA["phone"], access=access) == [mia]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payment": 0}, "is about a payment"),
        ({"payment": 12345}, "the ledger has no payment"),
        ({"kind": "recovery"}, "is about a person of this bank"),
        ({"kind": "recovery", "person": 5}, "is about a person of this bank"),
        ({"kind": "theft"}, "there is no kind of case"),
        ({"by": 5}, r"may not request case\.open"),
    ],
)
def test_what_is_no_case(small: Office, change: dict[str, object], message: str) -> None:
    given = {"kind": "unauthorised"} | change
    with pytest.raises(UsageError, match=message):
        small.open(**given)  # type: ignore[arg-type]
    assert small.bank.cases.list() == []


def test_a_hold_that_the_ledger_does_not_have_is_named(small: Office) -> None:
    number = small.open()
    cases = tables.CASES
    write(small.bank.stores.engine, lambda connection: connection.execute(sqlalchemy.update(cases).values(hold=99)))
    assert small.bank.check() == [
        f"case {number} holds money by 00000000-0000-0000-0000-000000000063, which the ledger does not have"
    ]


def test_a_return_that_the_ledger_refuses_moves_nothing(small: Office) -> None:
    """The payment was refunded since the officers were asked."""
    town, bank = small.town, small.bank
    number = small.open()
    proposal = small.act(number, "uphold")
    assert isinstance(proposal, Proposal)
    refunded = bank.payments.refund_payment(small.payment, PAID, signers=town.operator, who=town.north)
    assert refunded.is_paid
    assert bank.proposals.sign(proposal.id, ANN, BOB).outcome is not None
    stored = bank.stores.intents.find(proposal.id)
    assert stored is not None
    assert stored.results == (Result.EXCEEDS_REFUNDABLE,)
    assert bank.cases.get(number).state == "opened"
    assert bank.claims.list() == []
    assert bank.check() == []
