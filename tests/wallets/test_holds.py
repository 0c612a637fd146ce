"""Holds: the payee takes all, a part or nothing; a hold ends by time; no side hears about the other's wallet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sqlalchemy
from tests.bank.killing import POSTGRESQL_IN_SOAK, check_kills
from tests.bank.world import DAY_NS, START_NS
from tests.wallets import world
from tests.wallets.world import Town

from sycee.bank.bank import Bank
from sycee.core.errors import Refused, UsageError
from sycee.core.records.layout import Block, Reason
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.transactions import reading, write
from sycee.wallets.holds import PAYER_CANNOT_PAY, Reserved, WalletHold, payee_answer
from sycee.wallets.payments import Paid, PayerAnswer
from sycee.wallets.references import own_texts, tills_of
from sycee.wallets.tables import ASKED, LAPSED, ORDERS

HOLD, POST, OTHER, VOID = (0x0193_0000_0000_7000_8000_0000_0000_0010 + number for number in range(4))
UNTIL_NS = START_NS + 3 * DAY_NS


def reserve(town: Town, minor: int, payee: int = 0, **named: object) -> Reserved:
    signers, who = town.signer(town.leo, world.LEO_KEY), town.holder(town.leo)
    named = {"until_ns": UNTIL_NS} | named
    return town.bank.holds.reserve(town.leo, payee or town.shop, minor, signers=signers, who=who, **named)


def post(town: Town, hold: int, minor: int = 0, **named: object) -> Paid:
    return town.bank.holds.post(hold, minor, signers=town.operator, who=town.north, **named)


def void(town: Town, hold: int, **named: int) -> None:
    town.bank.holds.void(hold, signers=town.operator, who=town.north, **named)


def available(town: Town) -> int:
    return town.bank.stores.ledger.account(town.leo).available


def test_a_part_is_taken_and_the_rest_is_free_again(town: Town) -> None:
    held = reserve(town, 100_00, text="room 12", till=town.till_1)
    assert held.is_held
    assert (town.balance(town.leo), available(town), town.balance(town.shop)) == (500_00, 400_00, 0)
    paid = post(town, held.hold, 70_00)
    assert paid.is_paid
    assert (available(town), town.balance(town.shop)) == (430_00, 70_00)
    expected = WalletHold(
        held.hold, town.leo, town.shop, 100_00, 0, 70_00, town.till_1, "", "room 12", UNTIL_NS, "posted"
    )  # fmt: skip
    for account in (town.leo, town.shop):
        assert town.bank.holds.of_account(account) == [expected]
        engine, register = town.bank.stores.engine, town.bank.personal
        texts = own_texts(engine, register, account, town.holder(account), [paid.operation])
        assert texts == {paid.operation: "room 12"}
    assert town.bank.holds.of_account(town.mia) == []
    assert town.bank.holds.get(held.hold).text == ""
    with reading(town.bank.stores.engine) as connection:
        assert tills_of(connection, [paid.operation]) == {paid.operation: town.till_1}
    assert post(town, held.hold).answer == "HOLD_DONE"
    assert town.bank.check() == []


def test_what_a_hold_paid_is_refunded(small: Town) -> None:
    held = reserve(small, 100_00)
    with pytest.raises(UsageError, match="there is no hold"):
        post(small, held.hold + 1)
    paid = post(small, held.hold)
    assert small.balance(small.shop) == 100_00
    refund = small.bank.payments.refund_payment
    assert refund(paid.operation, 40_00, signers=small.operator, who=small.north).is_paid
    assert refund(held.hold, 1, signers=small.operator, who=small.north).answer == "ORIGINAL_IS_NOT_A_PAY"
    assert refund(paid.operation, 60_01, signers=small.operator, who=small.north).answer == "EXCEEDS_REFUNDABLE"
    assert (small.balance(small.leo), small.bank.holds.get(held.hold).posted_minor) == (440_00, 100_00)


def test_no_more_than_the_hold_is_taken(small: Town) -> None:
    held = reserve(small, 100_00)
    assert post(small, held.hold, 100_01).answer == "EXCEEDS_HELD"
    found = small.bank.holds.get(held.hold)
    assert (found.state, found.held_minor, found.posted_minor) == ("open", 100_00, 0)
    assert post(small, held.hold, 100_00).is_paid


def test_the_payee_alone_takes_and_releases(small: Town) -> None:
    held = reserve(small, 100_00)
    leo = {"signers": small.signer(small.leo, world.LEO_KEY), "who": small.holder(small.leo)}
    assert small.bank.holds.post(held.hold, **leo).answer == "NOT_AUTHORISED"
    with pytest.raises(Refused) as caught:
        small.bank.holds.void(held.hold, **leo)
    assert caught.value.result is Result.NOT_AUTHORISED
    void(small, held.hold)
    found = small.bank.holds.get(held.hold)
    assert (found.state, found.held_minor, available(small)) == ("voided", 0, 500_00)
    assert small.bank.check() == []


def test_a_citizen_takes_a_deposit_with_the_wallets_own_key(small: Town) -> None:
    held = reserve(small, 20_00, small.mia, text="the bicycle")
    mia = {"signers": small.signer(small.mia, world.MIA_KEY), "who": small.holder(small.mia)}
    assert small.bank.holds.post(held.hold, 5_00, **mia).is_paid
    assert (small.balance(small.mia), available(small)) == (505_00, 495_00)


@POSTGRESQL_IN_SOAK
def test_a_hold_that_ended_holds_nothing(town: Town) -> None:
    held, kept = reserve(town, 100_00), reserve(town, 50_00)
    leo = {"signers": town.signer(town.leo, world.LEO_KEY), "who": town.holder(town.leo)}
    town.bank.holds.extend(kept.hold, UNTIL_NS + DAY_NS, **leo)
    with pytest.raises(Refused) as caught:
        town.bank.holds.extend(kept.hold, UNTIL_NS, **leo)
    assert caught.value.result is Result.HOLD_MUST_END_LATER
    town.bank.set_clock(UNTIL_NS)
    found = {each.id: (each.state, each.held_minor) for each in town.bank.holds.of_account(town.leo)}
    assert found == {held.hold: ("ended", 0), kept.hold: ("open", 50_00)}
    assert available(town) == 450_00
    assert post(town, held.hold).answer == "HOLD_TIMED_OUT"
    with pytest.raises(Refused):
        void(town, held.hold)
    assert post(town, kept.hold).is_paid
    assert town.bank.check() == []


def test_a_refused_hold_holds_nothing(small: Town) -> None:
    assert reserve(small, 500_01).answer == "EXCEEDS_BALANCE"
    assert reserve(small, 1_00, until_ns=START_NS).answer == "HOLD_MUST_END_LATER"
    with pytest.raises(UsageError, match="at most 35"):
        reserve(small, 1_00, text="x" * 36)
    with pytest.raises(UsageError, match="another merchant"):
        reserve(small, 1_00, small.mia, till=small.till_1)
    assert small.bank.holds.of_account(small.leo) == []
    assert available(small) == 500_00
    assert small.bank.check() == []


def test_the_payers_answer_hides_what_the_operator_reads(small: Town) -> None:
    ledger = small.bank.stores.ledger.signed_by(*small.operator)
    ledger.block(small.mia, Reason.REQUEST, sides=Block.CREDIT)
    small.fund(small.ned, 9_999_00, "N-9")
    blocked, full = reserve(small, 1_00, small.mia, text="a"), reserve(small, 2_00, small.ned)
    unknown = reserve(small, 1_00, 12345)
    assert {blocked.answer, full.answer, unknown.answer} == {PayerAnswer.PAYEE_CANNOT_RECEIVE}
    codes = {each.operation: each.code for each in small.bank.payments.refusals(2, by=small.north)}
    assert codes == {blocked.hold: Result.CREDIT_ACCOUNT_BLOCKED, full.hold: Result.EXCEEDS_BALANCE_LIMIT}


def test_the_payee_hears_no_reason_of_the_payer(small: Town) -> None:
    held = reserve(small, 1_00)
    small.bank.stores.ledger.signed_by(*small.operator).block(small.leo, Reason.REQUEST, sides=Block.DEBIT)
    assert post(small, held.hold).answer == PAYER_CANNOT_PAY
    assert payee_answer(Result.CREDIT_ACCOUNT_BLOCKED) == "CREDIT_ACCOUNT_BLOCKED"  # of the payee's own wallet


@POSTGRESQL_IN_SOAK
def test_a_hold_pays_its_order(town: Town) -> None:
    held = reserve(town, 100_00, order="R-12", till=town.till_1)
    state = town.bank.payments.was_paid(town.tea, "R-12")
    assert (state.state, state.is_paid, state.operation, state.minor) == ("held", False, held.hold, 100_00)
    leo = {"signers": town.signer(town.leo, world.LEO_KEY), "who": town.holder(town.leo)}
    with pytest.raises(UsageError, match="order R-12 is held"):
        town.bank.payments.pay(town.leo, town.shop, 1_00, order="R-12", **leo)
    with pytest.raises(UsageError, match="order R-12 is held"):
        reserve(town, 1_00, order="R-12")
    with pytest.raises(UsageError, match="is held, not paid"):
        town.bank.payments.refund(town.tea, "R-12", 1, till=0, signers=town.operator, who=town.north)
    paid = post(town, held.hold, 70_00)
    refund = town.bank.payments.refund(
        town.tea, "R-12", 30_00, till=town.till_2, signers=town.operator, who=town.north
    )  # fmt: skip
    assert refund.is_paid
    state = town.bank.payments.was_paid(town.tea, "R-12")
    assert (state.state, state.operation, state.minor, state.refunded_minor) == ("paid", paid.operation, 70_00, 30_00)
    assert [each.order for each in town.bank.holds.of_account(town.leo)] == ["R-12"]
    with pytest.raises(UsageError, match="order R-12 is paid already"):
        reserve(town, 1_00, order="R-12")
    assert town.bank.check() == []


def test_an_order_is_free_again_after_its_hold(small: Town) -> None:
    def state(order: str) -> str:
        return small.bank.payments.was_paid(small.tea, order).state

    void(small, reserve(small, 100_00, order="1").hold)
    reserve(small, 100_00, order="2")
    assert not reserve(small, 9_999_00, order="3").is_held
    assert (state("1"), state("2"), state("3")) == ("released", "held", "refused")
    small.bank.set_clock(UNTIL_NS)
    assert state("2") == "ended"
    leo = {"signers": small.signer(small.leo, world.LEO_KEY), "who": small.holder(small.leo)}
    later = reserve(small, 3_00, order="1", until_ns=UNTIL_NS + DAY_NS)
    for order in ("2", "3"):
        assert small.bank.payments.pay(small.leo, small.shop, 2_00, order=order, **leo).is_paid
    assert post(small, later.hold).is_paid
    assert [state(order) for order in ("1", "2", "3", "4")] == ["paid", "paid", "paid", "unknown"]
    with pytest.raises(UsageError, match="it has no orders"):
        reserve(small, 1_00, small.mia, order="5")
    with pytest.raises(UsageError, match="is not an order number"):
        reserve(small, 1_00, order="no order")


def test_a_restore_that_loses_a_post_leaves_the_order_to_its_hold(small: Town) -> None:
    for order, hold, paid in (("R-1", HOLD, POST), ("R-2", OTHER, VOID)):
        reserve(small, 100_00, order=order, operation=hold)
        post(small, hold, 70_00, operation=paid)
    for lost in (POST, OTHER, VOID):  # of order R-1 the post alone
        lapse(small, lost)
    with reading(small.bank.stores.engine) as connection:
        rows = connection.execute(sqlalchemy.select(ORDERS).order_by(ORDERS.c.order_number)).all()
    assert [(row.operation, row.minor, row.state) for row in rows] == [(HOLD, 100_00, ASKED), (OTHER, 100_00, LAPSED)]


def lapse(town: Town, operation: int) -> None:
    """Lapse a stored intent, as after a restore."""
    found = town.bank.stores.intents.find(operation)
    none = np.zeros(0)
    intent = Intent(found.id, found.action, found.payload, none, none, 0, found.who)
    action = town.bank.stores.actions.get(found.action)
    write(town.bank.stores.engine, lambda connection: action.lapsed(connection, intent))


def act(bank: Bank) -> None:
    """Hold twice, take a part of one and release the other, with ids that a second call repeats."""
    town = world.town(bank)
    reserve(town, 100_00, text="kept", order="R-1", operation=HOLD)
    post(town, HOLD, 70_00, operation=POST)
    reserve(town, 50_00, order="R-2", operation=OTHER)
    void(town, OTHER, operation=VOID)


def expect(bank: Bank) -> None:
    town = world.town(bank)
    found = [(each.id, each.state, each.posted_minor) for each in bank.holds.of_account(town.shop)]
    assert found == [(HOLD, "posted", 70_00), (OTHER, "voided", 0)]
    assert (available(town), town.balance(town.shop)) == (430_00, 70_00)
    states = [bank.payments.was_paid(town.tea, order) for order in ("R-1", "R-2")]
    assert [(each.state, each.operation) for each in states] == [("paid", POST), ("released", OTHER)]


@POSTGRESQL_IN_SOAK
def test_a_killed_hold_is_made_and_taken_once(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), act, expect=expect) >= 8


@pytest.mark.soak
def test_a_hold_is_killed_at_every_boundary(server: str, tmp_path: Path) -> None:
    assert check_kills(server, tmp_path, world.prepared(server), act, expect=expect, every=True) >= 8
