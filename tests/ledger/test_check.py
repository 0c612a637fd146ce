"""`check` detects each violated invariant: `verify` and the other tests depend on it."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from tests.ledger.saved_state import kept
from tests.ledger.table import play
from tests.ledger.verbs import id_of

from sycee.core import limits
from sycee.core.errors import IntegrityError
from sycee.core.records.layout import KeyFlag, Role
from sycee.ledger.invariants import exact_sum
from sycee.ledger.kernels import constants
from sycee.ledger.state import LedgerState

# Accounts are in the order of opening: issuance is row 0, suspense 1, treasury 2, ann 3, bob 4, shop 5, cafe 6.
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
# Further rows: vault is 7, way 8; Cat's purse is 2; hold 0 holds own money, hold 1 money of a purse; hold 2 has a hash.
WIDE = (
    LIVED
    + """
    open      vault  VAULT
    open      way    IN_TRANSIT
    day       156  5 4 3
    transfer  treasury  bob  60
    rules     2  day=50
    setrules  bob  2
    hold      bob  shop  20  until=500  id=room  third=cafe
    rules     3  until=900  return=treasury
    programme 3  treasury  2
    members   3  Cat Dan
    seal      3
    drop      3  0..2  10
    claim     3  Cat  ann
    hold      ann  cafe  6  purses  until=800  id=meal
    post      meal  cafe  2
    hold      bob  cafe  5  until=700  lock=sesame  id=gone
    void      gone  cafe
    send      bob  vault  7  id=under
    send      treasury  vault  30  id=done
    confirm   done
    link      bob  way
    link      way  vault
    key       ann  phone
    key       bob  watch
    block     ann  debit   COURT_ORDER
    block     ann  credit  DORMANT
    group     4
    join      4  cafe
    rules     2  day=40  effective=5_000
    chain
    transfer  treasury  shop  8
    transfer  shop  cafe  8
    end
    chain
    transfer  treasury  shop  8                        LINKED_FAILED
    transfer  shop  cafe  99                           EXCEEDS_BALANCE
    end
    stage     1  treasury  cafe  5
    settle    1  1  5
    stage     2  treasury  cafe  6
    stage     2  cafe  shop  1
    transfer  treasury  cafe  3  id=wrong
    reverse   wrong  2  id=back
    grant     lin  OFFICER
    grant     wu   OFFICER
    grant     ops  OPERATOR  operator=7
    upgrade   2
    open      zoe    WALLET
"""
)

CREDITS_PENDING = "credits_pending is not the sum of its holds and transits"


@cache
def kept_of(table: str) -> Any:
    return kept(play(table).sides.state)


def lived(table: str = WIDE) -> LedgerState:
    """Return a new state with these lines applied."""
    state = LedgerState.load(*kept_of(table))
    state.check()
    return state


def add(table: str, field: str, row: int, amount: int) -> Callable[[LedgerState], None]:
    def tamper(state: LedgerState) -> None:
        column = getattr(state.tables, table)[field]
        column[row] = column[row] + amount if column.ndim > 1 else int(column[row]) + amount

    return tamper


def both(*tampers: Callable[[LedgerState], None]) -> Callable[[LedgerState], None]:
    def tamper(state: LedgerState) -> None:
        for each in tampers:
            each(state)

    return tamper


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (add("accounts", "credits_posted", 3, 1), "currency 156: all accounts and purses sum to 1, not to zero"),
        (add("purses", "dropped", 1, -1), "currency 156: all accounts and purses sum to -1"),
        (add("purses", "spent", 0, 1), "sum to -1"),
        (add("purses", "refunded", 0, 1), "sum to 1"),
        (add("purses", "returned", 0, 1), "sum to -1"),
        (add("accounts", "debits_pending", 3, 1), "account row 3: the available balance is below zero"),
        (add("accounts", "credits_pending", 3, -1), "account row 3: credits_pending is below zero"),
        (add("accounts", "day_used", 3, -1), "account row 3: day_used is below zero"),
        (add("accounts", "month_used", 3, -1), "account row 3: month_used is below zero"),
        (add("accounts", "year_used", 3, -1), "account row 3: year_used is below zero"),
        (add("purses", "pending", 0, 1), "purse row 0: the amount left is below zero"),
        (add("purses", "state", 2, 1), "purse row 2: it is expired but contains money"),
        (add("purses", "state", 3, -1), "purse row 3: it is empty but has movements"),
        (add("movements", "amount", 0, 1), "account row 0: debits_posted is not the sum of its movements"),
        (add("movements", "debit_row", 0, 3), "account row 0: debits_posted is not the sum of its movements"),
        (add("movements", "credit_row", 0, 1), "account row 2: credits_posted is not the sum of its movements"),
        (add("movements", "debit_row", 3, 1), "purse row 0: spent is not the sum of its movements"),
        (add("movements", "credit_row", 1, 1), "purse row 0: dropped is not the sum of its movements"),
        (add("movements", "credit_row", 4, 1), "purse row 0: refunded is not the sum of its movements"),
        (add("movements", "debit_row", 5, 1), "purse row 0: returned is not the sum of its movements"),
        # Pending money, and its holds and transits.
        (add("accounts", "debits_pending", 4, 1), "account row 4: debits_pending is not the sum of its holds"),
        (add("accounts", "credits_pending", 5, 1), f"account row 5: {CREDITS_PENDING}"),
        (add("accounts", "credits_pending", 7, 1), f"account row 7: {CREDITS_PENDING}"),
        (add("purses", "pending", 2, 1), "purse row 2: pending is not the sum of its holds"),
        (add("holds", "own_held", 0, 1), "account row 4: debits_pending is not the sum of its holds"),
        (add("holds", "payer", 0, 1), "account row 4: debits_pending is not the sum of its holds"),
        (add("holds", "payee", 0, 1), f"account row 5: {CREDITS_PENDING}"),
        (add("holds", "held", 1, 1), f"account row 6: {CREDITS_PENDING}"),
        (add("hold_legs", "held", 0, 1), "purse row 2: pending is not the sum of its holds"),
        (add("hold_legs", "purse", 0, 1), "purse row 2: pending is not the sum of its holds"),
        (
            both(add("holds", "held", 1, 1), add("accounts", "credits_pending", 6, 1)),
            "hold row 1: held is not the sum of its legs",
        ),
        (add("holds", "state", 0, 1), "hold row 0: it is not open but holds money"),
        (add("holds", "held", 2, 1), "hold row 2: it is not open but holds money"),
        (add("transits", "amount", 0, 1), f"account row 7: {CREDITS_PENDING}"),
        (add("transits", "destination", 0, 1), f"account row 7: {CREDITS_PENDING}"),
        (add("transits", "state", 1, -1), f"account row 7: {CREDITS_PENDING}"),
        (add("transits", "through", 0, -1), "account row 8: its balance is not the sum of its open transits"),
        (add("accounts", "kind", 7, 4), "account row 7: its balance is not the sum of its open transits"),
    ],
)
def test_each_tampering_is_detected(tamper: Callable[[LedgerState], None], message: str) -> None:
    state = lived()
    tamper(state)
    with pytest.raises(IntegrityError, match=message):
        state.check()


def test_an_error_that_balances_in_sum_is_detected() -> None:
    state = lived()
    state.accounts["credits_posted"][3] += 5
    state.accounts["credits_posted"][4] += 5
    state.accounts["debits_posted"][0] += 10
    with pytest.raises(IntegrityError, match="account row 0: debits_posted is not the sum of its movements"):
        state.check()


def test_money_moved_without_a_movement_is_detected() -> None:
    state = lived()
    state.accounts["debits_posted"][2] += 5
    state.accounts["credits_posted"][3] += 5
    with pytest.raises(IntegrityError, match="account row 2"):
        state.check()


def bound_row(state: LedgerState, name: str) -> int:
    row = state.bound_row(id_of(name))
    assert row >= 0
    return row


@pytest.mark.parametrize(
    ("name", "field", "value", "message"),
    [
        ("lunch", "refunded", 8, "more was refunded than paid"),  # of 7
        ("wrong", "refunded", 4, "more was refunded than paid"),  # of 3
        ("room", "refunded", 1, "it paid nothing but was refunded"),
        ("lunch", "refunded", 0, "its refund must be above zero"),
        ("back", "detail", 3, "the missing amount exceeds the requested amount"),  # 2 were
        ("wrong", "detail", 1, "it is final but was refunded"),
        ("wrong", "detail", 2, "its kind cannot have this detail"),
        ("room", "detail", 7, "its hold is another's"),
    ],
)
def test_refunds_are_checked(name: str, field: str, value: int, message: str) -> None:
    state = lived()
    row = bound_row(state, name)
    if field == "detail":
        state.bound["detail"][row] = value
    else:
        assert state.refunds["bound"].tolist() == [bound_row(state, "lunch"), bound_row(state, "wrong")]
        state.refunds["bound"][0] = row
        state.refunds["refunded"][0] = value
    with pytest.raises(IntegrityError, match=f"bound row {row}: {message}"):
        state.check()


def test_times_are_checked() -> None:
    for name, time_ns, message in (("lunch", 100, "purse row 0 paid outside"), ("expired", 99, "purse row 0 returned")):
        state = lived(LIVED.replace("expire    1  0..1", "expire    1  0..1  id=expired"))
        place = int(state.bound["place"][bound_row(state, name)])
        state.tables.frame_times[place >> limits.PLACE_INDEX_BITS] = time_ns
        with pytest.raises(IntegrityError, match=message):
            state.check()


# Fields that the digest covers (section 12 of the reference), by table, with a row in which each is used.
IN_THE_DIGEST = {
    ("accounts", 3): "id_low id_high currency kind operator rule_set suspense debits_posted credits_posted "
    "debits_pending credits_pending day_used month_used year_used day month year debit_reasons credit_reasons "
    "close_reason link key_epoch key",
    ("purses", 0): "member_low member_high dropped spent refunded returned pending wallet state",
    ("programmes", 1): "rule_set funder count filled sealed seal_low seal_high claim_from_ns claim_until_ns",
    ("bound", 9): "id_low id_high kind result",
    ("bound", 55): "detail",  # of a reversal
    ("bound", 20): "detail",  # of a transfer: 1 if it is final
    ("refunds", 0): "bound refunded",
    ("holds", 0): "payer payee third until_ns own_held state counted day month year",
    ("holds", 2): "hash",
    ("hold_legs", 0): "held purse",
    ("transits", 0): "source through destination amount state counted day month year",
    ("batches", 0): "total number operator count",
    ("staged", 0): "amount debit credit",
    ("keys", 0): "key flags",
}


def test_the_digest_covers_every_relevant_column() -> None:
    digests = {lived().digest()}
    tampers = [add(table, name, row, 1) for (table, row), names in IN_THE_DIGEST.items() for name in names.split()]
    tampers += [
        lambda state: state.zones.update({156: "Asia/Shanghai"}),
        lambda state: state.scheduled_rule_sets.clear(),
        lambda state: state.rule_sets.update({2: state.rule_sets[3][:80] + state.rule_sets[2][80:]}),
        lambda state: setattr(state, "authority_on", False),
        lambda state: setattr(state, "rules", 3),
        lambda state: operator.setitem(state.tables.counters, constants.NEWEST_BATCH, 3),
        lambda state: state.grants.clear(),
    ]
    for name, value in (("person", 5), ("role", Role.WITNESS), ("flags", KeyFlag.P256), ("key", bytes(32))):
        tampers.append(change_grant(name, value))
    for name, value in (("currency", 156), ("operator", 9), ("from_ns", 1), ("until_ns", 2), ("revoked", True)):
        tampers.append(change_grant(name, value))
    for tamper in tampers:
        state = lived()
        tamper(state)
        digests.add(state.digest())
    assert len(digests) == 1 + len(tampers)


def change_grant(name: str, value: Any) -> Callable[[LedgerState], None]:
    def tamper(state: LedgerState) -> None:
        last = list(state.grants)[-1]
        state.grants[last] = replace(state.grants[last], **{name: value})

    return tamper


def test_the_digest_omits_rows_places_and_indexes() -> None:
    digest = lived().digest()
    for tamper in (
        add("accounts", "last_movement", 3, 1),
        add("bound", "place", 3, 1),
        add("bound", "first_movement", 3, 1),
        add("bound", "amount", 3, 1),
        add("purses", "last_movement", 0, 1),
        add("purses", "next_purse", 0, 1),
        add("movements", "place", 0, 1),
        add("time_outs", "until_ns", 0, 1),
        lambda state: setattr(state, "release", "another"),
    ):
        state = lived()
        tamper(state)
        assert state.digest() == digest


def test_sums_are_exact_beyond_64_bits() -> None:
    values = np.array([2**63 - 1] * 3 + [-(2**63)] * 2 + [5, -7], np.int64)
    assert exact_sum(values) == sum(values.tolist())
    assert exact_sum(np.zeros(0, np.int64)) == 0
