"""Merchants: the day report per till adds up with the account's balance, and a sweep has one bank reference."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.bank import world as first
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import Refused, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import TransitState
from sycee.core.result_codes import Result
from sycee.identity.institutions import SettlementAccount
from sycee.personal.access import Access, Reason
from sycee.wallets import tables
from sycee.wallets.dormancy import dormant

DAY = date(2026, 11, 2)
SWEEP = 0x0193_0000_0000_7000_8000_0000_0000_0005


def pay(town: Town, minor: int, **named: object) -> int:
    paid = town.bank.payments.pay(
        town.leo, town.shop, minor, signers=town.signer(town.leo, world.LEO_KEY), who=town.holder(town.leo), **named
    )
    assert paid.is_paid
    return paid.operation


def sweep(town: Town, id: int = 0) -> str:
    return town.bank.sweeps.sweep(town.tea, signers=town.operator, who=town.north, id=id).bank_reference


def test_the_report_adds_up_per_till(town: Town) -> None:
    pay(town, 10_00, till=town.till_1, order="1")
    pay(town, 5_00, till=town.till_1, order="2")
    pay(town, 7_00, till=town.till_2, order="3")
    pay(town, 1_00)
    town.bank.payments.refund(town.tea, "1", 4_00, till=town.till_2, signers=town.operator, who=town.north)
    reference = sweep(town)
    pay(town, 2_00, till=town.till_2, order="4")
    found = town.bank.reports.day(town.tea, DAY, by=town.north)
    rows = {
        (row.outlet, row.till): (row.payments, row.gross_minor, row.refunds, row.refunded_minor) for row in found.tills
    }
    assert rows == {("", ""): (1, 1_00, 0, 0), ("MAIN", "T1"): (2, 15_00, 0, 0), ("MAIN", "T2"): (2, 9_00, 1, 4_00)}
    assert {row.packets_minor for row in found.tills} == {0}
    assert (found.swept_minor, found.other_minor, found.opening_minor) == (19_00, 0, 0)
    assert found.gross_minor - found.refunded_minor - found.swept_minor == found.closing_minor == 2_00
    assert town.balance(town.shop) == 2_00
    assert town.bank.sweeps.by_reference(reference).minor == 19_00
    empty = town.bank.reports.day(town.tea, date(2026, 11, 1))
    assert (empty.tills, empty.closing_minor) == ([], 0)
    with pytest.raises(UsageError, match=r"merchant\.report"):
        town.bank.reports.day(town.tea, DAY, by=town.holder(town.mia))


@POSTGRESQL_IN_SOAK
def test_a_sweep_is_confirmed_or_returns(town: Town) -> None:
    pay(town, 10_00)
    signers = town.signers(first.technical(town.bank))
    reference = sweep(town)
    made = town.bank.sweeps.by_reference(reference)
    assert (made.state, made.minor, len(reference) <= 35) == (tables.SENT, 10_00, True)
    town.bank.sweeps.reject(made.id, signers=signers, who=town.north)
    assert (town.balance(town.shop), town.bank.sweeps.get(made.id).state) == (10_00, tables.REJECTED)
    again = town.bank.sweeps.by_reference(sweep(town))
    assert again.first_frame == made.first_frame  # what was rejected is carried by the next one
    town.bank.sweeps.confirm(again.id, signers=signers, who=town.north)
    with pytest.raises(UsageError, match="is confirmed"):
        town.bank.sweeps.reject(again.id, signers=signers, who=town.north)
    assert town.balance(town.shop) == 0
    with town.bank.stores.ledger.sequencer.reading() as state:
        assert state.transit_of(again.id).state is TransitState.CONFIRMED
    assert town.bank.check() == []


def test_no_sweep_to_an_account_that_is_not_verified(small: Town) -> None:
    """Somebody with a clerk's access states another account: no money goes there until two persons verified it."""
    pay(small, 3_00)
    other = SettlementAccount(b"sealed", b"1" * 16)
    small.bank.institutions.state_settlement(small.tea, other, by=small.north)
    with pytest.raises(UsageError, match=r"settlement account of .* is not verified"):
        sweep(small)
    assert small.balance(small.shop) == 3_00
    proposal = small.bank.institutions.decide(small.tea, "settlement", "passed", maker=small.north)
    small.bank.proposals.sign(proposal.id, first.NORTH, first.OTHERS[0])
    sweep(small)
    assert small.balance(small.shop) == 0


def test_there_is_nothing_to_sweep_or_refund_after_a_sweep(small: Town) -> None:
    pay(small, 10_00, order="17")
    sweep(small)
    with pytest.raises(UsageError, match="nothing to sweep"):
        sweep(small)
    assert [each.state for each in small.bank.sweeps.of_merchant(small.tea)] == ["sent"]
    refund = small.bank.payments.refund(
        small.tea, "17", 1_00, till=small.till_1, signers=small.operator, who=small.north
    )
    assert refund.answer == "EXCEEDS_BALANCE"
    with pytest.raises(UsageError, match="sweep"):
        small.bank.sweeps.sweep(small.tea, signers=small.operator, who=small.holder(small.leo))
    assert small.bank.check() == []


def test_a_waterfall_takes_what_exceeds_the_limit(small: Town) -> None:
    full = 10_000_00
    with pytest.raises(Refused):
        small.fund(small.ned, full + 1, "N-7")
    small.fund(small.ned, full, "N-8")
    small.bank.sweeps.link(small.ned, "CN00 0000", signers=small.operator, who=small.north)
    paid = small.bank.payments.pay(
        small.leo, small.ned, 5_00, signers=small.signer(small.leo, world.LEO_KEY), who=small.holder(small.leo)
    )
    assert (paid.answer, small.balance(small.ned)) == ("PAID", full)
    with small.bank.stores.ledger.sequencer.reading() as state:
        assert state.transit_of(paid.operation).amount == 5_00
    assert small.bank.check() == []
    small.bank.sweeps.unlink(small.ned, signers=small.operator, who=small.north)
    refused = small.bank.payments.pay(
        small.leo, small.ned, 5_00, signers=small.signer(small.leo, world.LEO_KEY), who=small.holder(small.leo)
    )
    assert refused.answer == "PAYEE_CANNOT_RECEIVE"
    assert small.bank.check() == []


def test_the_excess_of_a_waterfall_is_listed_and_decided(small: Town) -> None:
    bank, technical = small.bank, small.signers(first.technical(small.bank))
    small.fund(small.ned, 10_000_00, "N-8")
    bank.sweeps.link(small.ned, "CN00 0000", signers=small.operator, who=small.north)
    paid = [
        bank.payments.pay(
            small.leo, small.ned, minor, signers=small.signer(small.leo, world.LEO_KEY), who=small.holder(small.leo)
        )
        for minor in (5_00, 7_00)
    ]
    pay(small, 1_00)
    sweep(small)
    found = bank.waterfalls.open(2, by=small.north)
    assert [(each.id, each.wallet, each.minor) for each in found] == [
        (paid[0].operation, small.ned, 5_00),
        (paid[1].operation, small.ned, 7_00),
    ]
    assert bank.waterfalls.find(2, found[0].bank_reference, by=small.north) == found[0]
    with pytest.raises(UsageError, match=r"transit\.confirm"):
        bank.waterfalls.open(2, by=small.holder(small.leo))
    with pytest.raises(UsageError, match=r"transit\.reject"):
        bank.waterfalls.reject(found[1], signers=technical, who=small.holder(small.leo))
    with pytest.raises(UsageError, match="no case was given"):
        bank.waterfalls.bank_account(found[0], access=Access(small.north, Reason.DUE_DILIGENCE, 0))
    to_pay = Access(small.north, Reason.PAYMENT, 0)
    assert bank.waterfalls.bank_account(found[0], access=to_pay) == "CN00 0000"
    entry = bank.access.entries()[-1]
    assert (entry.person, entry.fields, entry.reason, entry.case) == (small.holder(small.ned), ("bank",), "payment", 0)
    with pytest.raises(UsageError, match=r"transit\.confirm"):
        bank.waterfalls.bank_account(found[0], access=Access(small.holder(small.leo), Reason.PAYMENT, 0))
    with pytest.raises(UsageError, match="the reason payment needs no case"):
        bank.waterfalls.bank_account(found[0], access=Access(small.north, Reason.PAYMENT, 1))
    bank.waterfalls.confirm(found[0], signers=technical, who=small.north).require_created("it stays")
    bank.waterfalls.reject(found[1], signers=technical, who=small.north).require_created("it stays")
    assert bank.waterfalls.open(2, by=small.north) == []
    assert bank.waterfalls.find(2, found[0].bank_reference, by=small.north) is None
    with pytest.raises(UsageError, match="is decided: the bank has nothing to pay"):
        bank.waterfalls.bank_account(found[0], access=to_pay)
    assert [each.reason for each in bank.access.of_person(small.holder(small.ned), by=small.holder(small.ned))] == [
        "payment"
    ]
    assert small.balance(small.ned) == 10_007_00
    with pytest.raises(Refused, match="TRANSIT_DONE"):
        bank.waterfalls.confirm(found[1], signers=technical, who=small.north).require_created("it stays")
    assert bank.check() == []


def test_dormant_wallets_are_those_without_a_movement(small: Town) -> None:
    stores, directory = small.bank.stores, small.bank.directory
    assert dormant(stores, directory, before_ns=first.START_NS) == []
    small.bank.set_clock(first.START_NS + 400 * first.DAY_NS)
    pay_day = small.bank.stores.clock.now_ns()
    pay(small, 1_00)
    found = {each.account for each in dormant(stores, directory, before_ns=pay_day - first.DAY_NS)}
    assert found == {small.mia, small.ned}


PAYMENT = 0x0193_0000_0000_7000_8000_0000_0000_0006


def act(bank: Bank) -> None:
    """Pay and sweep. Once the money is swept, the same payment again changes nothing."""
    town = world.town(bank)
    pay(town, 10_00, operation=PAYMENT)
    sweep(town, SWEEP)


def expect(bank: Bank) -> None:
    assert [(each.state, each.minor) for each in bank.sweeps.of_merchant(world.town(bank).tea)] == [("sent", 10_00)]


@POSTGRESQL_IN_SOAK
def test_a_killed_sweep_is_sent_once(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), act, expect=expect) >= 4


def drop_packet(town: Town, minor: int) -> None:
    """Give Leo a packet of a programme whose funder is Ned's custodial wallet."""
    ledger = town.bank.stores.ledger
    operator, officers = town.operator, first.officers(town.bank)
    member = ids.generate(1, time_ms=1)
    funder, seal = town.ned, ledger.new_id()
    town.fund(funder, minor, "N-PACKET")
    far = first.START_NS + 30 * first.DAY_NS
    window = {"from_ns": 0, "until_ns": far}
    steps = [
        (operations.define_rule_set(ledger.new_id(), rule_set=10_000, return_account=funder, **window), officers),
        (
            operations.open_programme(
                ledger.new_id(), programme=1, funder=funder, rule_set=10_000, members=1, claim_from_ns=0,
                claim_until_ns=far,
            ),
            operator,
        ),
        (operations.add_members(ids.generate(1, time_ms=2), programme=1, members=member), operator),
        (operations.seal_cohort(seal, programme=1, digest=operations.cohort_digest(member)), operator),
        (operations.drop(ledger.new_id(), programme=1, first=0, count=1, amount=minor, seal=seal), operator),
        (
            operations.claim(
                ledger.new_id(), programme=1, member=0, member_id=ids.to_int(member[0]), wallet=town.leo
            ),
            operator,
        ),
    ]  # fmt: skip
    for record, signers in steps:
        assert ledger.signed_by(*signers).submit(record)["code"].tolist() == [Result.CREATED]


def test_packets_and_own_money_are_apart(small: Town) -> None:
    drop_packet(small, 6_00)
    pay(small, 10_00, till=small.till_1, order="1")  # the packet pays first
    small.bank.payments.refund(small.tea, "1", 5_00, till=small.till_1, signers=small.operator, who=small.north)
    found = small.bank.reports.day(small.tea, DAY)
    (row,) = found.tills
    assert (row.payments, row.refunds) == (1, 1)
    assert (row.own_minor, row.packets_minor, row.gross_minor) == (4_00, 6_00, 10_00)
    assert (row.refunded_own_minor, row.refunded_packets_minor, row.net_minor) == (4_00, 1_00, 5_00)
    assert found.closing_minor == small.balance(small.shop) == 5_00
