"""The central bank: digital money only against reserves, and supply equal to what was converted, to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sycee.core import ids
from sycee.core.clock import SimulatedClock
from sycee.core.codes import Result
from sycee.core.errors import IntegrityError, Refused
from sycee.issuance.bank import RESERVE_BOOK, CentralBank, Party
from sycee.ledger import operations
from sycee.ledger.layout import AccountKind, Block
from sycee.sequencer.embedded import Ledger

SEED, CNY, START_NS = b"a bank", 156, 1_602_000_000 * 10**9


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


def test_it_opens_both_books_and_every_account(ledger: Ledger, bank: CentralBank) -> None:
    for party, kind in ((bank.operators[0], AccountKind.VAULT), (bank.treasury, AccountKind.FUNDER)):
        assert ledger.account(party.money).kind is kind
        assert ledger.account(party.money).suspense == party.suspense
        assert ledger.account(party.reserve).currency == RESERVE_BOOK
    assert [ledger.account(party.money).operator for party in (*bank.operators, bank.treasury)] == [1, 2, 3]
    assert ledger.account(bank.converted).kind is AccountKind.RESERVE
    bank.check(ledger)


def test_the_reserve_book_is_no_currency_of_the_world() -> None:
    from sycee.core import money

    assert RESERVE_BOOK not in {currency.numeric for currency in money.currencies()}


def test_ids_follow_from_the_seed() -> None:
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
    with pytest.raises(Refused, match="reserves not taken, nothing issued: EXCEEDS_BALANCE") as refused:
        bank.issue(ledger, some_ids("issued", 2), operator, amount)
    assert refused.value.result is Result.EXCEEDS_BALANCE
    assert (supply(ledger), ledger.balance(operator.money), ledger.balance(bank.converted)) == (0, 0, 0)
    assert (reserves(ledger, operator), reserves(ledger, other)) == (amount - 1, 10_000)
    bank.check(ledger)


def test_a_refusal_stays_one_when_reserves_arrive(ledger: Ledger, bank: CentralBank) -> None:
    operator = bank.operators[0]
    with pytest.raises(Refused):
        bank.issue(ledger, some_ids("issued", 2), operator, 100)
    bank.credit_reserves(ledger, one_id("paid in"), operator, 100)
    with pytest.raises(Refused):  # the ids are bound: nobody's old request comes true later
        bank.issue(ledger, some_ids("issued", 2), operator, 100)
    assert supply(ledger) == 0
    bank.issue(ledger, some_ids("issued anew", 2), operator, 100)
    assert supply(ledger) == 100


def test_asking_twice_issues_once(ledger: Ledger, bank: CentralBank) -> None:
    for _ in range(3):
        bank.credit_reserves(ledger, one_id("paid in"), bank.treasury, 900)
        bank.issue(ledger, some_ids("issued", 2), bank.treasury, 900)
    assert (supply(ledger), reserves(ledger, bank.treasury)) == (900, 0)


def test_asking_goes_on_where_it_stopped(ledger: Ledger, bank: CentralBank) -> None:
    bank.credit_reserves(ledger, one_id("paid in"), bank.treasury, 900)
    issued = some_ids("issued", 2)
    taken = operations.transfer(ids.to_int(issued[0]), debit=bank.treasury.reserve, credit=bank.converted, amount=900)
    ledger.submit(taken)  # and here the process was killed
    with pytest.raises(IntegrityError, match="0 minor units are in circulation against reserves of 900"):
        bank.check(ledger)
    bank.issue(ledger, issued, bank.treasury, 900)
    assert supply(ledger) == 900
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


def test_a_blocked_vault_is_refused_aloud(ledger: Ledger, bank: CentralBank) -> None:
    # Two transfers, not one chain: reserves taken for money that cannot be issued are found by the check.
    operator = bank.operators[0]
    bank.credit_reserves(ledger, one_id("paid in"), operator, 100)
    ledger.submit(operations.block_account(one_id("block"), account=operator.money, blocks=Block.CREDIT))
    with pytest.raises(Refused, match="reserves taken but money not issued: CREDIT_ACCOUNT_BLOCKED"):
        bank.issue(ledger, some_ids("issued", 2), operator, 100)
    assert supply(ledger) == 0
    with pytest.raises(IntegrityError):
        bank.check(ledger)


def test_both_books_sum_to_zero_by_themselves(ledger: Ledger, bank: CentralBank) -> None:
    for place, party in enumerate((*bank.operators, bank.treasury)):
        bank.credit_reserves(ledger, one_id(f"paid in {place}"), party, 1_000 * (place + 1))
        bank.issue(ledger, some_ids(f"issued {place}", 2), party, 700)
    ledger.check()
    money = [bank.issuance, *(party.money for party in (*bank.operators, bank.treasury))]
    book = [bank.reserve_issuance, bank.converted, *(party.reserve for party in (*bank.operators, bank.treasury))]
    assert sum(ledger.balance(account) for account in money) == 0
    assert sum(ledger.balance(account) for account in book) == 0
