"""`check` finds each thing that must never be: it is what `verify` and the other tests rest on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.ledger.table import play

from sycee.core.errors import IntegrityError
from sycee.ledger.state import LedgerState, exact_sum

LIVED = """
    rules     1  until=100  return=treasury
    programme 1  treasury  2
    members   1  Ann Bob
    seal      1
    drop      1  0..2  10
    claim     1  Ann  ann
    pay       ann  shop  7  id=lunch
    refund    lunch  3
    at        100
    expire    1  0..1
"""


def lived() -> LedgerState:
    state = play(LIVED).sides.state
    state.check()
    return state


def add(table: str, field: str, row: int, amount: int) -> Callable[[LedgerState], None]:
    def tamper(state: LedgerState) -> None:
        getattr(state.tables, table)[field][row] += amount

    return tamper


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (add("accounts", "credits_posted", 3, 1), "currency 156: all accounts and purses sum to 1, not to zero"),
        (add("purses", "dropped", 1, -1), "currency 156: all accounts and purses sum to -1"),
        (add("purses", "spent", 0, 1), "sum to -1"),
        (add("purses", "refunded", 0, 1), "sum to 1"),
        (add("purses", "returned", 0, 1), "sum to -1"),
        (add("accounts", "debits_pending", 3, 1), "account row 3 is below zero"),
        (add("movements", "amount", 0, 1), "account row 0: its movements do not add up to its debits_posted"),
        (add("movements", "debit_row", 0, 3), "account row 0: its movements do not add up to its debits_posted"),
        (add("movements", "credit_row", 0, 1), "account row 2: its movements do not add up to its credits_posted"),
        (add("movements", "debit_row", 3, 1), "purse row 0: its movements do not add up to its spent"),
        (add("movements", "credit_row", 1, 1), "purse row 0: its movements do not add up to its dropped"),
        (add("movements", "credit_row", 4, 1), "purse row 0: its movements do not add up to its refunded"),
        (add("movements", "debit_row", 5, 1), "purse row 0: its movements do not add up to its returned"),
    ],
)
def test_tampering_is_found_and_named(tamper: Callable[[LedgerState], None], message: str) -> None:
    state = lived()
    tamper(state)
    with pytest.raises(IntegrityError, match=message):
        state.check()


def test_what_balances_in_sum_but_not_by_row_is_found() -> None:
    state = lived()
    state.accounts["credits_posted"][3] += 5
    state.accounts["credits_posted"][4] += 5
    state.accounts["debits_posted"][0] += 10
    with pytest.raises(IntegrityError, match="account row 0: its movements do not add up"):
        state.check()


def test_money_moved_from_one_account_to_another_without_a_movement_is_found() -> None:
    state = lived()
    state.accounts["debits_posted"][2] += 5
    state.accounts["credits_posted"][3] += 5
    with pytest.raises(IntegrityError, match="account row 2"):
        state.check()


def test_every_column_of_the_state_that_must_count_is_in_the_digest() -> None:
    digests = {lived().digest()}
    tampers = [
        *(add("accounts", name, 3, 1) for name in ("id_low", "id_high", "currency", "kind", "blocks", "operator")),
        *(add("accounts", name, 3, 1) for name in ("rule_set", "suspense", "debits_posted", "credits_posted")),
        *(add("accounts", name, 3, 1) for name in ("debits_pending", "credits_pending", "day_used", "month_used")),
        *(add("accounts", name, 3, 1) for name in ("year_used", "day", "month", "year")),
        *(add("purses", name, 0, 1) for name in ("member_low", "member_high", "dropped", "spent", "refunded")),
        *(add("purses", name, 0, 1) for name in ("returned", "pending", "wallet", "state")),
        *(add("programmes", name, 1, 1) for name in ("rule_set", "funder", "count", "filled", "sealed", "seal_low")),
        *(add("programmes", name, 1, 1) for name in ("seal_high", "claim_from_ns", "claim_until_ns")),
        *(add("bound", name, 9, 1) for name in ("id_low", "id_high", "kind", "result", "refunded")),
    ]
    for tamper in tampers:
        state = lived()
        tamper(state)
        digests.add(state.digest())
    assert len(digests) == 1 + len(tampers)


def test_rows_places_and_indices_are_not_in_the_digest() -> None:
    digest = lived().digest()
    for tamper in (
        add("accounts", "last_movement", 3, 1),
        add("accounts", "payee", 0, 0),
        add("bound", "place", 3, 1),
        add("bound", "first_movement", 3, 1),
        add("purses", "last_movement", 0, 1),
        add("purses", "next_purse", 0, 1),
        add("movements", "place", 0, 1),
    ):
        state = lived()
        tamper(state)
        assert state.digest() == digest


def test_sums_are_exact_beyond_64_bits() -> None:
    values = np.array([2**63 - 1] * 3 + [-(2**63)] * 2 + [5, -7], np.int64)
    assert exact_sum(values) == sum(values.tolist())
    assert exact_sum(np.zeros(0, np.int64)) == 0
