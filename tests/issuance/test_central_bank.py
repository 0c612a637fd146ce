"""The central bank: digital money only against reserves, and a supply equal to the converted reserves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, Refused, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind, Block, Reason
from sycee.core.result_codes import Result
from sycee.issuance.central_bank import RESERVE_BOOK, CentralBank, Party
from sycee.sequencer.embedded import Ledger

SEED, CNY, START_NS = b"a bank", 156, 1_602_000_000 * 10**9
DAY_NS = 86_400 * 10**9


@pytest.fixture
def bank() -> CentralBank:
    return CentralBank.derive(SEED, currency=CNY, zone="Asia/Shanghai", operators=2, time_ms=START_NS // 10**6)


@pytest.fixture
def ledger(tmp_path: Path, bank: CentralBank) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, clock=SimulatedClock(START_NS)) as opened:
        answers = opened.submit(bank.opening(some_ids("opening", bank.opening_records)))
        assert set(answers["code"].tolist()) == {Result.CREATED}
        yield opened


def some_ids(purpose: str, count: int) -> np.ndarray:
    return ids.derive(SEED, purpose, count, time_ms=START_NS // 10**6)


def one_id(purpose: str) -> int:
    return ids.to_int(some_ids(purpose, 1)[0])


def supply(ledger: Ledger) -> int:
    return ledger.supply("CNY")


def reserves(ledger: Ledger, party: Party) -> int:
    return ledger.balance(party.reserve)


def test_opening_defines_both_books_and_every_account(ledger: Ledger, bank: CentralBank) -> None:
    for party, kind in ((bank.operators[0], AccountKind.VAULT), (bank.treasury, AccountKind.FUNDER)):
        assert ledger.account(party.money).kind is kind
        assert ledger.account(party.money).suspense == party.suspense
        assert ledger.account(party.reserve).currency == RESERVE_BOOK
    assert [ledger.account(party.money).operator for party in (*bank.operators, bank.treasury)] == [1, 2, 3]
    assert ledger.account(bank.converted).kind is AccountKind.RESERVE
    bank.check(ledger)


def test_the_reserve_book_is_not_a_currency_of_iso_4217() -> None:
    from sycee.core import money

    assert RESERVE_BOOK not in {currency.numeric for currency in money.currencies()}


def test_ids_are_derived_from_the_seed() -> None:
    made = [
        CentralBank.derive(seed, currency=CNY, zone="Asia/Shanghai", operators=2, time_ms=1)
        for seed in (SEED, SEED, b"b")
    ]
    assert made[0] == made[1] != made[2]


def test_money_is_issued_against_reserves(ledger: Ledger, bank: CentralBank) -> None:
    operator = bank.operators[0]
    bank.credit_reserves(ledger, one_id("paid in"), operator, 5_000)
    bank.issue(ledger, some_ids("issued", 2), operator, 3_000)
    assert (supply(ledger), ledger.balance(bank.converted), reserves(ledger, operator)) == (3_000, 3_000, 2_000)
    assert ledger.balance(operator.money) == 3_000
    bank.check(ledger)
    ledger.check()


@pytest.mark.parametrize("amount", [1, 5_001])
def test_without_reserves_nothing_is_issued(ledger: Ledger, bank: CentralBank, amount: int) -> None:
    operator, other = bank.operators
    if amount > 1:
        bank.credit_reserves(ledger, one_id("paid in"), operator, amount - 1)
    bank.credit_reserves(ledger, one_id("paid in by another"), other, 10_000)
    with pytest.raises(Refused, match="nothing issued: debit of the reserves failed: EXCEEDS_BALANCE") as refused:
        bank.issue(ledger, some_ids("issued", 2), operator, amount)
    assert refused.value.result is Result.EXCEEDS_BALANCE
    assert (supply(ledger), ledger.balance(operator.money), ledger.balance(bank.converted)) == (0, 0, 0)
    assert (reserves(ledger, operator), reserves(ledger, other)) == (amount - 1, 10_000)
    bank.check(ledger)


def test_a_refusal_stays_bound_when_reserves_arrive(ledger: Ledger, bank: CentralBank) -> None:
    operator = bank.operators[0]
    with pytest.raises(Refused):
        bank.issue(ledger, some_ids("issued", 2), operator, 100)
    bank.credit_reserves(ledger, one_id("paid in"), operator, 100)
    with pytest.raises(Refused):  # the ids are bound: an old request cannot succeed later
        bank.issue(ledger, some_ids("issued", 2), operator, 100)
    assert supply(ledger) == 0
    bank.issue(ledger, some_ids("issued anew", 2), operator, 100)
    assert supply(ledger) == 100


def test_a_repeated_call_issues_once(ledger: Ledger, bank: CentralBank) -> None:
    for _ in range(3):
        bank.credit_reserves(ledger, one_id("paid in"), bank.treasury, 900)
        bank.issue(ledger, some_ids("issued", 2), bank.treasury, 900)
    assert (supply(ledger), reserves(ledger, bank.treasury)) == (900, 0)


def test_half_of_a_mint_cannot_succeed(ledger: Ledger, bank: CentralBank) -> None:
    # Both transfers succeed or neither: a separate transfer of the reserves binds the id, and the mint is refused.
    bank.credit_reserves(ledger, one_id("paid in"), bank.treasury, 900)
    issued = some_ids("issued", 2)
    taken = operations.transfer(ids.to_int(issued[0]), debit=bank.treasury.reserve, credit=bank.converted, amount=900)
    ledger.submit(taken)
    with pytest.raises(Refused, match="nothing issued: debit of the reserves failed: EXISTS_WITH_DIFFERENT_CONTENT"):
        bank.issue(ledger, issued, bank.treasury, 900)
    assert supply(ledger) == 0
    with pytest.raises(IntegrityError, match="0 minor units are in circulation against reserves of 900"):
        bank.check(ledger)


def test_the_same_ids_for_another_amount_are_refused(ledger: Ledger, bank: CentralBank) -> None:
    bank.credit_reserves(ledger, one_id("paid in"), bank.treasury, 900)
    bank.issue(ledger, some_ids("issued", 2), bank.treasury, 400)
    with pytest.raises(Refused, match="EXISTS_WITH_DIFFERENT_CONTENT"):
        bank.issue(ledger, some_ids("issued", 2), bank.treasury, 500)
    assert supply(ledger) == 400
    bank.check(ledger)


def test_the_check_finds_money_without_reserves(ledger: Ledger, bank: CentralBank) -> None:
    ledger.transfer(bank.issuance, bank.treasury.money, 1)
    with pytest.raises(IntegrityError, match="1 minor units are in circulation against reserves of 0"):
        bank.check(ledger)


def test_a_blocked_vault_keeps_its_reserves(ledger: Ledger, bank: CentralBank) -> None:
    operator = bank.operators[0]
    bank.credit_reserves(ledger, one_id("paid in"), operator, 100)
    ledger.block(operator.money, Reason.COURT_ORDER, sides=Block.CREDIT)
    for _ in range(2):  # the refusal stays: the ids are bound
        with pytest.raises(Refused, match="nothing issued: minting failed: CREDIT_ACCOUNT_BLOCKED"):
            bank.issue(ledger, some_ids("issued", 2), operator, 100)
    assert (supply(ledger), reserves(ledger, operator), ledger.balance(bank.converted)) == (0, 100, 0)
    bank.check(ledger)


def test_redeeming_returns_the_reserves(ledger: Ledger, bank: CentralBank) -> None:
    operator = bank.operators[1]
    bank.credit_reserves(ledger, one_id("paid in"), operator, 500)
    bank.issue(ledger, some_ids("issued", 2), operator, 500)
    for _ in range(2):
        bank.redeem(ledger, some_ids("redeemed", 2), operator, 200)
        assert (supply(ledger), reserves(ledger, operator), ledger.balance(operator.money)) == (300, 200, 300)
        bank.check(ledger)
    with pytest.raises(Refused, match="nothing redeemed: debit of the money failed: EXCEEDS_BALANCE"):
        bank.redeem(ledger, some_ids("redeemed too", 2), operator, 301)
    assert supply(ledger) == 300
    bank.check(ledger)
    ledger.check()


def test_a_cap_applies_to_each_day(tmp_path: Path, bank: CentralBank) -> None:
    clock = SimulatedClock(START_NS)
    with Ledger.open(tmp_path, clock=clock) as ledger:
        ledger.submit(bank.opening(some_ids("opening", bank.opening_records)))
        operator = bank.operators[0]
        bank.credit_reserves(ledger, one_id("paid in"), operator, 10_000)
        for _ in range(2):
            bank.cap_minting(ledger, some_ids("cap", 2), 1_000)
        bank.issue(ledger, some_ids("one", 2), operator, 600)
        with pytest.raises(Refused, match="nothing issued: minting failed: EXCEEDS_DAY_LIMIT"):
            bank.issue(ledger, some_ids("two", 2), operator, 401)
        assert reserves(ledger, operator) == 9_400
        bank.issue(ledger, some_ids("three", 2), operator, 400)
        clock.advance(DAY_NS)
        bank.issue(ledger, some_ids("four", 2), operator, 1_000)
        bank.change_cap(ledger, one_id("another cap"), 3_000, effective_ns=clock.now_ns() + DAY_NS)
        with pytest.raises(Refused, match="EXCEEDS_DAY_LIMIT"):
            bank.issue(ledger, some_ids("five", 2), operator, 1)
        clock.advance(DAY_NS)
        bank.issue(ledger, some_ids("six", 2), operator, 3_000)
        assert supply(ledger) == 5_000
        bank.check(ledger)


def test_a_quota_applies_to_its_operator(ledger: Ledger, bank: CentralBank) -> None:
    first, second = bank.operators
    for place, party in enumerate(bank.operators):
        bank.credit_reserves(ledger, one_id(f"paid in {place}"), party, 2_000)
    bank.set_quota(ledger, some_ids("quota", 2), 1, 500)
    bank.issue(ledger, some_ids("one", 2), first, 500)
    with pytest.raises(Refused, match="nothing issued: minting failed: EXCEEDS_BALANCE_LIMIT"):
        bank.issue(ledger, some_ids("two", 2), first, 1)
    bank.issue(ledger, some_ids("three", 2), second, 2_000)
    bank.redeem(ledger, some_ids("four", 2), first, 100)
    bank.issue(ledger, some_ids("five", 2), first, 100)
    with pytest.raises(Refused, match="quota not set: RULE_SET_EXISTS"):
        bank.set_quota(ledger, some_ids("quota again", 2), 1, 600)
    bank.change_quota(ledger, one_id("more"), 1, 600, effective_ns=START_NS + 1_000)
    ledger.tick()
    with pytest.raises(Refused, match="EXCEEDS_BALANCE_LIMIT"):
        bank.issue(ledger, some_ids("six", 2), first, 100)


@pytest.mark.parametrize("operator", [0, 3, -1])
def test_a_quota_of_an_unknown_operator(ledger: Ledger, bank: CentralBank, operator: int) -> None:
    with pytest.raises(UsageError, match=f"operator must be from 1 to 2; got {operator}"):
        bank.set_quota(ledger, some_ids("quota", 2), operator, 500)


def test_a_limit_of_zero_is_refused(ledger: Ledger, bank: CentralBank) -> None:
    with pytest.raises(UsageError, match="at least 1 minor unit"):
        bank.cap_minting(ledger, some_ids("cap", 2), 0)


def test_each_book_sums_to_zero(ledger: Ledger, bank: CentralBank) -> None:
    for place, party in enumerate((*bank.operators, bank.treasury)):
        bank.credit_reserves(ledger, one_id(f"paid in {place}"), party, 1_000 * (place + 1))
        bank.issue(ledger, some_ids(f"issued {place}", 2), party, 700)
    ledger.check()
    money = [bank.issuance, *(party.money for party in (*bank.operators, bank.treasury))]
    book = [bank.reserve_issuance, bank.converted, *(party.reserve for party in (*bank.operators, bank.treasury))]
    assert sum(ledger.balance(account) for account in money) == 0
    assert sum(ledger.balance(account) for account in book) == 0
