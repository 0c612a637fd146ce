"""The methods of an embedded ledger, one by one and in chains."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.sequencer.small import START_NS
from tests.sequencer.test_embedded import SECOND_NS, Town

from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Block, HoldState, Purpose, Reason, TransitState
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger

END_NS = START_NS + 3_600 * SECOND_NS


class Market(Town):
    """Ann has 100.00; there are a shop, a vault, and an IN_TRANSIT account to the bank."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.shop = self.ledger.open_account("CNY", AccountKind.MERCHANT)
        self.bank = self.ledger.open_account("CNY", AccountKind.VAULT)
        self.way = self.ledger.open_account("CNY", AccountKind.IN_TRANSIT)
        assert self.ledger.transfer(self.mint, self.ann, "100.00") is Result.CREATED


@pytest.fixture
def town(tmp_path: Path) -> Market:
    return Market(tmp_path)


def state_of(ledger: Ledger, hold: int) -> HoldState:
    found = ledger.find_hold(hold)
    assert found is not None
    return found.state


def test_a_hold_is_posted_in_parts_and_the_rest_let_go(town: Market) -> None:
    ledger = town.ledger
    hold = ledger.new_id()
    assert ledger.hold(town.ann, town.shop, "60.00", until_ns=END_NS, id=hold) is Result.CREATED
    assert ledger.hold(town.ann, town.shop, "60.00", until_ns=END_NS, id=hold) is Result.EXISTS
    assert (ledger.balance(town.ann), ledger.account(town.ann).available) == (10_000, 4_000)
    assert ledger.pay(town.ann, town.shop, "40.01") is Result.EXCEEDS_BALANCE
    assert ledger.post(hold, "20.00", by=town.bob) is Result.NOT_A_PARTY_TO_HOLD
    assert ledger.post(hold, "20.00", by=town.shop) is Result.CREATED
    assert ledger.post(hold, "40.01", by=town.shop) is Result.EXCEEDS_HELD
    assert ledger.extend(hold, by=town.ann, until_ns=END_NS + 1) is Result.CREATED
    posted = ledger.new_id()
    assert ledger.post(hold, 1_500, by=town.shop, release_rest=True, id=posted) is Result.CREATED
    assert state_of(ledger, hold) is HoldState.POSTED
    assert (ledger.account(town.ann).available, ledger.balance(town.shop)) == (6_500, 3_500)
    assert ledger.refund(posted, "15.00") is Result.CREATED
    assert ledger.balance(town.shop) == 2_000
    assert ledger.find_hold(posted) is ledger.find_hold(1) is None
    ledger.check()


def test_a_hold_is_voided_or_times_out(town: Market) -> None:
    ledger = town.ledger
    voided, timed_out = ledger.new_id(), ledger.new_id()
    for hold in (voided, timed_out):
        assert ledger.hold(town.ann, town.shop, 1, until_ns=END_NS, id=hold) is Result.CREATED
    assert ledger.void(voided, by=town.shop) is Result.CREATED
    assert not ledger.tick()
    town.clock.set(END_NS)
    assert ledger.tick()
    assert [state_of(ledger, hold) for hold in (voided, timed_out)] == [HoldState.VOIDED, HoldState.TIMED_OUT]
    assert ledger.account(town.ann).available == 10_000


def test_a_third_account_or_a_secret_releases_a_hold(town: Market) -> None:
    ledger = town.ledger
    hold, locked = ledger.new_id(), ledger.new_id()
    secret = b"\7" * 32
    assert ledger.hold(town.ann, town.shop, "5", until_ns=END_NS, third=town.bob, id=hold) is Result.CREATED
    assert ledger.post(hold, "5", by=town.shop) is Result.NOT_A_PARTY_TO_HOLD
    assert ledger.post(hold, "5", by=town.bob) is Result.CREATED
    digest = hashlib.sha256(secret).digest()
    assert ledger.hold(town.ann, town.shop, "5", until_ns=END_NS, hash_lock=digest, id=locked) is Result.CREATED
    assert ledger.post(locked, "5", by=town.shop) is Result.PREIMAGE_DIFFERS
    assert ledger.post(locked, "5", by=town.shop, secret=b"\x08" * 32) is Result.PREIMAGE_DIFFERS
    assert ledger.post(locked, "5", by=town.shop, secret=secret) is Result.CREATED
    with pytest.raises(UsageError, match="must have 32 bytes, not 5"):
        ledger.hold(town.ann, town.shop, 1, until_ns=END_NS, hash_lock=b"short")


def test_money_in_transit_arrives_or_returns(town: Market) -> None:
    ledger = town.ledger
    arrives, returns, sweep = (ledger.new_id() for _ in range(3))
    assert ledger.send(town.ann, town.bank, "30.00", through=town.way, id=arrives) is Result.CREATED
    assert ledger.send(town.ann, town.bank, "20.00", through=town.way, id=returns) is Result.CREATED
    assert ledger.balance(town.way) == 5_000
    assert ledger.confirm(arrives) is Result.CREATED
    assert ledger.confirm(arrives) is Result.TRANSIT_DONE
    assert ledger.reject(returns) is Result.CREATED
    assert (ledger.balance(town.ann), ledger.balance(town.bank), ledger.balance(town.way)) == (7_000, 3_000, 0)
    assert ledger.send(town.ann, town.bank, "1,000.00", through=town.way, up_to=True, id=sweep) is Result.CREATED
    transit = ledger.find_transit(sweep)
    assert transit is not None
    assert (transit.amount, transit.state) == (7_000, TransitState.OPEN)
    assert ledger.find_transit(1) is None


def test_a_reversal_recovers_the_available_money(town: Market) -> None:
    ledger = town.ledger
    wrong = ledger.new_id()
    assert ledger.transfer(town.ann, town.bob, "10.00", id=wrong) is Result.CREATED
    assert ledger.transfer(town.bob, town.shop, "4.00") is Result.CREATED
    assert ledger.reverse(wrong, "10.00") is Result.CREATED
    assert (ledger.balance(town.ann), ledger.balance(town.bob)) == (9_600, 0)
    assert ledger.statement(town.ann, newest=1)[0].purpose is Purpose.REVERSAL_OWN


def test_texts_are_amounts_of_the_originals_currency(town: Market) -> None:
    ledger = town.ledger
    ledger.define_currency("JPY", zone="Asia/Tokyo")
    mint, wallet = ledger.open_account("JPY", AccountKind.ISSUANCE), ledger.open_account("JPY", AccountKind.WALLET)
    meal, hold = ledger.new_id(), ledger.new_id()
    ledger.pay(mint, wallet, 500, id=meal)
    assert ledger.refund(meal, "200") is Result.CREATED
    with pytest.raises(UsageError, match="JPY"):
        ledger.refund(meal, "2.00")
    ledger.hold(wallet, mint, 100, until_ns=END_NS, id=hold)
    with pytest.raises(UsageError, match="JPY"):
        ledger.post(hold, "1.00", by=mint)
    assert ledger.post(hold, "100", by=mint) is Result.CREATED
    for unknown in (12345, ledger.new_id()):
        with pytest.raises(
            UsageError, match="moved or held money, so the currency of a text amount is unknown"
        ) as error:
            ledger.refund(unknown, "1.00")
        assert error.value.hint
        assert ledger.refund(unknown, 1) is Result.ORIGINAL_NOT_FOUND


def test_blocks_have_reasons(town: Market) -> None:
    ledger = town.ledger
    assert ledger.block(town.ann, Reason.COURT_ORDER) is Result.CREATED
    assert ledger.block(town.ann, Reason.REQUEST, sides=Block.DEBIT, code=7) is Result.CREATED
    assert ledger.pay(town.ann, town.shop, 1) is Result.DEBIT_ACCOUNT_BLOCKED
    assert ledger.transfer(town.mint, town.ann, 1) is Result.CREDIT_ACCOUNT_BLOCKED
    assert ledger.unblock(town.ann, Reason.COURT_ORDER) is Result.CREATED
    assert ledger.account(town.ann).debit_reasons == {Reason.REQUEST}
    assert ledger.transfer(town.mint, town.ann, 1) is Result.CREATED
    assert ledger.pay(town.ann, town.shop, 1) is Result.DEBIT_ACCOUNT_BLOCKED
    assert ledger.unblock(town.ann, Reason.REQUEST) is Result.CREATED
    assert ledger.pay(town.ann, town.shop, 1) is Result.CREATED


def test_rule_sets_limit_and_change_at_their_time(town: Market) -> None:
    ledger = town.ledger
    assert ledger.define_rule_set(1, single_max=1_000, day_max=1_500) is Result.CREATED
    assert ledger.set_rule_set(town.ann, 1) is Result.CREATED
    assert ledger.pay(town.ann, town.shop, "10.01") is Result.EXCEEDS_SINGLE_LIMIT
    assert ledger.pay(town.ann, town.shop, "10.00") is Result.CREATED
    assert ledger.pay(town.ann, town.shop, "5.01") is Result.EXCEEDS_DAY_LIMIT
    change_ns = START_NS + 60 * SECOND_NS
    assert ledger.define_rule_set(1, single_max=1_000, day_max=9_000, effective_ns=change_ns) is Result.CREATED
    assert ledger.pay(town.ann, town.shop, "5.01") is Result.EXCEEDS_DAY_LIMIT
    town.clock.set(change_ns)
    assert ledger.pay(town.ann, town.shop, "5.01") is Result.CREATED
    strict = ledger.open_account("CNY", AccountKind.WALLET, rule_set=1)
    assert ledger.account(strict).rule_set == 1
    with pytest.raises(UsageError, match="a rule set has no week_max"):
        ledger.define_rule_set(2, week_max=1)


def test_a_chain_is_done_whole(town: Market) -> None:
    ledger = town.ledger
    with ledger.chain() as chain:
        chain.transfer(town.ann, town.bob, "30.00")
        chain.pay(town.bob, town.shop, "30.00")
    assert chain.results == [Result.CREATED, Result.CREATED]
    with ledger.chain() as chain:
        chain.transfer(town.ann, town.bob, "30.00")
        chain.pay(town.bob, town.shop, "30.01")
    assert chain.results == [Result.LINKED_FAILED, Result.EXCEEDS_BALANCE]
    assert (ledger.balance(town.ann), ledger.balance(town.bob), ledger.balance(town.shop)) == (7_000, 0, 3_000)


def test_a_chain_may_post_its_own_hold(town: Market) -> None:
    ledger = town.ledger
    with ledger.chain() as chain:
        hold = chain.new_id()
        chain.hold(town.ann, town.shop, "30.00", until_ns=END_NS, id=hold)
        chain.post(hold, "12.00", by=town.shop, release_rest=True)
    assert chain.results == [Result.CREATED, Result.CREATED]
    assert ledger.balance(town.shop) == 1_200
    assert ledger.account(town.ann).debits_pending == 0
    with ledger.chain() as chain, pytest.raises(UsageError, match="currency of a text amount is unknown"):
        chain.refund(12345, "1.00")


def test_an_empty_chain_and_an_abandoned_chain_do_nothing(town: Market) -> None:
    ledger = town.ledger
    frames = ledger.sequencer.durable_sequence
    with ledger.chain() as empty:
        pass
    assert empty.results == []
    with pytest.raises(ZeroDivisionError), ledger.chain() as broken:
        broken.transfer(town.ann, town.bob, 1 // 0)
    assert broken.results == []
    assert ledger.sequencer.durable_sequence == frames
    with ledger.chain() as one:
        one.transfer(town.ann, town.bob, 1)
    assert one.results == [Result.CREATED]


def test_an_operation_without_a_method_is_submitted(town: Market) -> None:
    ledger = town.ledger
    batch = operations.stage(ledger.new_id(), batch=1, debit=town.ann, credit=town.bob, amount=5)
    assert ledger.submit(batch)["code"].tolist() == [Result.CREATED]
    settle = operations.settle(ledger.new_id(), batch=1, payments=1, total=5)
    assert ledger.submit(settle)["code"].tolist() == [Result.CREATED]
    assert ledger.balance(town.bob) == 5
