"""Orders about personal data, which two persons sign: delays of the access log and legal holds."""

from __future__ import annotations

from datetime import date

import pytest
from tests.life.world import ANNA, BERT, BY_OTTO, OTTO, World
from tests.personal.world import ANN, CASE, DAY_NS, NOON

from sycee.core.errors import UsageError

WEEK_NS = 7 * DAY_NS


def test_a_delay_counts_once_two_persons_signed_and_until_its_end(bank: World) -> None:
    log = bank.personal.log
    log.enter(BY_OTTO, [ANN], ["name"])
    proposal = bank.orders.delay(ANN, CASE, NOON + WEEK_NS, maker=ANNA.id)
    assert len(log.of_person(ANN, by=ANN)) == 1
    assert bank.proposals.sign(proposal.id, ANNA.key).needs  # the maker alone
    assert len(log.of_person(ANN, by=ANN)) == 1
    assert bank.proposals.sign(proposal.id, BERT.key).needs == ()
    assert log.of_person(ANN, by=ANN) == []
    (order,) = bank.orders.delays_of(ANN)
    assert (order.case, order.until_ns, order.proposal) == (CASE, NOON + WEEK_NS, proposal.id)
    bank.clock.set(NOON + WEEK_NS)
    assert len(log.of_person(ANN, by=ANN)) == 1


@pytest.mark.parametrize("until", [NOON, NOON - 1, NOON + 181 * DAY_NS])
def test_a_delay_needs_an_end_that_is_near(bank: World, until: int) -> None:
    with pytest.raises(UsageError, match="ends after now and within 180 days"):
        bank.orders.delay(ANN, CASE, until, maker=ANNA.id)


def test_orders_need_an_open_case_and_a_duty(bank: World) -> None:
    for case in (0, 99):
        for order in (
            lambda case=case: bank.orders.delay(ANN, case, NOON + WEEK_NS, maker=ANNA.id),
            lambda case=case: bank.orders.hold(ANN, case, maker=ANNA.id),
        ):
            with pytest.raises(UsageError, match=f"case {case} is not open"):
                order()
    with pytest.raises(UsageError, match=r"may not request log\.delay"):
        bank.orders.delay(ANN, CASE, NOON + WEEK_NS, maker=OTTO.id)
    with pytest.raises(UsageError, match="a legal hold ends after now"):
        bank.orders.hold(ANN, CASE, until_ns=NOON, maker=ANNA.id)


def test_an_order_needs_a_case_about_the_person(bank: World) -> None:
    bank.personal.cases.others.add(ANN)
    for order in (
        lambda: bank.orders.delay(ANN, CASE, NOON + WEEK_NS, maker=ANNA.id),
        lambda: bank.orders.hold(ANN, CASE, maker=ANNA.id),
    ):
        with pytest.raises(UsageError, match=f"case {CASE} does not concern"):
            order()


def test_a_withdrawn_delay_hides_nothing(bank: World) -> None:
    bank.personal.log.enter(BY_OTTO, [ANN], ["name"])
    proposal = bank.orders.delay(ANN, CASE, NOON + WEEK_NS, maker=ANNA.id)
    bank.proposals.withdraw(proposal.id, by=ANNA.id)
    assert bank.orders.delays_of(ANN) == []
    assert len(bank.personal.log.of_person(ANN, by=ANN)) == 1


def test_a_legal_hold_lasts_until_another_order(bank: World) -> None:
    bank.personal.end_relation(ANN, date(2020, 1, 1))
    proposal = bank.orders.hold(ANN, CASE, maker=ANNA.id)
    assert bank.personal.retention.held(ANN) is None
    for signer in (ANNA, BERT):
        bank.proposals.sign(proposal.id, signer.key)
    assert bank.personal.retention.held(ANN) == CASE
    (hold,) = bank.orders.holds_of(ANN)
    first, second = (bank.orders.release(hold.id, maker=each.id) for each in (ANNA, BERT))
    bank.clock.advance(1)
    for signer in (ANNA, BERT):
        bank.proposals.sign(first.id, signer.key)
    assert bank.personal.retention.held(ANN) is None
    bank.proposals.withdraw(second.id, by=BERT.id)
    assert bank.personal.retention.held(ANN) is None
    with pytest.raises(UsageError, match="there is no legal hold"):
        bank.orders.release(hold.id, maker=ANNA.id)
