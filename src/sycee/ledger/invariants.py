"""Invariants of a state, recomputed from the tables and from the movements. Each check raises IntegrityError."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.core.records import layout
from sycee.core.records.layout import AccountKind, HoldState, Kind, Purpose, PurseState, TransitState
from sycee.core.result_codes import Result
from sycee.ledger.state_tables import StateTables

PIECE_ROWS: Final = 1 << 20

_RETURNS: Final = (Purpose.RETURN, Purpose.RETURN_SUSPENSE)
_PURSE_SIDES: Final = (
    ("credit_row", (Purpose.DROP,), "dropped"),
    ("debit_row", (Purpose.PAY_PURSE,), "spent"),
    ("credit_row", (Purpose.REFUND_PURSE, Purpose.REVERSAL_PURSE), "refunded"),
    ("debit_row", _RETURNS, "returned"),
)


def check(state: StateTables) -> None:
    """Check all invariants. Large tables are read in pieces, so that no second copy must fit into memory."""
    check_sums(state)
    _check_nothing_below_zero(state)
    _check_purses(state)
    _check_bound(state)
    _check_refunds(state)
    _check_pending(state)
    _check_movements(state)
    _check_times(state)


def _pieces(table: Array) -> Iterator[tuple[int, Array]]:
    """Yield a table in pieces of ≤ PIECE_ROWS rows, each with its first row's number."""
    for first in range(0, table.shape[0], PIECE_ROWS):
        yield first, table[first : first + PIECE_ROWS]


def _left(purses: Array) -> Array:
    """Return the amount in each purse, including what is held."""
    left: Array = purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"]
    return left


def _balance(accounts: Array) -> Array:
    balance: Array = accounts["credits_posted"] - accounts["debits_posted"]
    return balance


def check_sums(state: StateTables) -> None:
    """Check that all accounts and purses of each currency sum to zero. Raise IntegrityError if not."""
    sums: Counter[int] = Counter()
    for _, accounts in _pieces(state.accounts):
        balance = _balance(accounts)
        for currency in state.zones:
            sums[currency] += exact_sum(balance[accounts["currency"] == currency])
    for _, purses in _pieces(state.all_purses):
        left, currencies = _left(purses), state.tables.programmes["currency"][purses["programme"]]
        for currency in state.zones:
            sums[currency] += exact_sum(left[currencies == currency])
    for currency, total in sums.items():
        if total:
            raise IntegrityError(f"currency {currency}: all accounts and purses sum to {total}, not to zero")


def _check_nothing_below_zero(state: StateTables) -> None:
    for first, accounts in _pieces(state.accounts):
        below = (_balance(accounts) - accounts["debits_pending"] < 0) & (accounts["kind"] != AccountKind.ISSUANCE)
        _require_none(below, "account row {}: the available balance is below zero", first)
        for name in ("debits_pending", "credits_pending", "day_used", "month_used", "year_used"):
            _require_none(accounts[name] < 0, f"account row {{}}: {name} is below zero", first)
    for first, purses in _pieces(state.all_purses):
        _require_none(_left(purses) - purses["pending"] < 0, "purse row {}: the amount left is below zero", first)


def _check_purses(state: StateTables) -> None:
    for first, purses in _pieces(state.all_purses):
        wrong = (purses["state"] == PurseState.EXPIRED) & (_left(purses) != 0)
        _require_none(wrong, "purse row {}: it is expired but contains money", first)
        empty = purses["state"] == PurseState.EMPTY
        _require_none(empty & (purses["last_movement"] != 0), "purse row {}: it is empty but has movements", first)


def _check_bound(state: StateTables) -> None:
    made, details = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first, bound in _pieces(state.bound):
        is_reversal = bound["kind"] == Kind.REVERSE
        wrong = is_reversal & (bound["detail"] > bound["amount"])
        _require_none(wrong, "bound row {}: the missing amount exceeds the requested amount", first)
        has_held = (bound["kind"] == Kind.HOLD) & (bound["result"] == Result.CREATED)
        is_transfer = (bound["kind"] == Kind.TRANSFER) & (bound["result"] == Result.CREATED)
        most = np.where(is_transfer, 1, 0)
        wrong = ~is_reversal & ~has_held & ((bound["detail"] < 0) | (bound["detail"] > most))
        _require_none(wrong, "bound row {}: its kind cannot have this detail", first)
        made.append(np.flatnonzero(has_held) + first)
        details.append(bound["detail"][has_held])
    holds, rows = state.holds, np.concatenate(made)
    if rows.size != holds.size:
        raise IntegrityError(f"there are {holds.size} holds, but {rows.size} operations created one")
    _require_none(np.concatenate(details) != np.arange(holds.size), "bound row {}: its hold is another's", rows=rows)
    _require_none(holds["bound"] != rows, "hold row {}: its operation is another")


def _check_refunds(state: StateTables) -> None:
    refunds, holds = state.refunds, state.holds
    rows = refunds["bound"]
    originals = state.bound[rows]
    paid = originals["amount"].copy()
    is_payment = np.isin(originals["kind"], (Kind.TRANSFER, Kind.PAY, Kind.POST))
    is_hold = originals["kind"] == Kind.HOLD
    posted = holds[holds["movements"] > 0]  # by POST_HOLDS
    is_payment |= is_hold & np.isin(rows, posted["bound"])
    held = np.flatnonzero(is_hold & is_payment)
    paid[held] = posted["posted"][np.searchsorted(posted["bound"], rows[held])]
    final = (originals["kind"] == Kind.TRANSFER) & (originals["detail"] != 0)
    _require_none(final, "bound row {}: it is final but was refunded", rows=rows)
    wrong = is_payment & (refunds["refunded"] > paid)
    _require_none(wrong, "bound row {}: more was refunded than paid", rows=rows)
    wrong = ~is_payment & (refunds["refunded"] != 0)
    _require_none(wrong, "bound row {}: it paid nothing but was refunded", rows=rows)
    _require_none(refunds["refunded"] <= 0, "bound row {}: its refund must be above zero", rows=rows)


def _check_pending(state: StateTables) -> None:
    """Check that the pending amounts of accounts and purses are the sums of their holds and transits."""
    accounts, purses, holds, transits = state.accounts, state.all_purses, state.holds, state.transits
    is_open = holds["state"] == HoldState.OPEN
    _require_none(~is_open & (holds["held"] != 0), "hold row {}: it is not open but holds money")
    legs = state.hold_legs
    debits = totals(holds["payer"], holds["own_held"], accounts.size)
    _require_none(debits != accounts["debits_pending"], "account row {}: debits_pending is not the sum of its holds")
    del debits  # eight bytes per account, as each of these sums
    credits = totals(holds["payee"], holds["held"], accounts.size)
    open_transits = transits[transits["state"] == TransitState.OPEN]
    np.add.at(credits, open_transits["destination"].astype(np.int64), open_transits["amount"])
    wrong = credits != accounts["credits_pending"]
    _require_none(wrong, "account row {}: credits_pending is not the sum of its holds and transits")
    del credits
    pending = totals(legs["purse"], legs["held"], purses.size)
    _require_none(pending != purses["pending"], "purse row {}: pending is not the sum of its holds")
    owner = np.repeat(np.arange(holds.size), holds["legs"])
    held = holds["own_held"] + totals(owner, legs["held"], holds.size)
    _require_none(held != holds["held"], "hold row {}: held is not the sum of its legs")
    through = totals(open_transits["through"], open_transits["amount"], accounts.size)
    for first, piece in _pieces(accounts):
        wrong = (piece["kind"] == AccountKind.IN_TRANSIT) & (through[first : first + piece.size] != _balance(piece))
        _require_none(wrong, "account row {}: its balance is not the sum of its open transits", first)


def _check_movements(state: StateTables) -> None:
    """Check that every posted total is the sum of its movements."""
    accounts, purses = state.accounts, state.all_purses
    for column, side in (("debit_row", "debits_posted"), ("credit_row", "credits_posted")):
        sums = np.zeros(accounts.size, np.int64)
        for _, movements in _pieces(state.movements):
            is_account = movements[column] < layout.PURSE_BIT
            np.add.at(sums, movements[column][is_account].astype(np.int64), movements["amount"][is_account])
        _require_none(sums != accounts[side], f"account row {{}}: {side} is not the sum of its movements")
        del sums
    for column, purposes, side in _PURSE_SIDES:
        sums = np.zeros(purses.size, np.int64)
        for _, movements in _pieces(state.movements):
            chosen = movements[np.isin(movements["purpose"], purposes)]
            np.add.at(sums, chosen[column].astype(np.int64) - layout.PURSE_BIT, chosen["amount"])
        _require_none(sums != purses[side], f"purse row {{}}: {side} is not the sum of its movements")


def _check_times(state: StateTables) -> None:
    """Check that no purse paid outside its programme's spending window or was returned before its end."""
    programme, rule_sets = state.all_purses["programme"], state.tables.rule_sets.view(np.ndarray)
    for _, movements in _pieces(state.movements):
        frames = (movements["place"] >> np.uint64(limits.PLACE_INDEX_BITS)).astype(np.int64)
        for purposes, name in (
            ((Purpose.PAY_PURSE,), "paid outside its spending window"),
            (_RETURNS, "returned before its programme expired"),
        ):
            chosen = np.isin(movements["purpose"], purposes)
            times = state.frame_times[frames[chosen]]
            purse = movements["debit_row"][chosen].astype(np.int64) - layout.PURSE_BIT
            rules = rule_sets[state.tables.programmes["rule_set"][programme[purse]]]
            inside = (rules["from_ns"] <= times) & (times < rules["until_ns"])
            wrong = ~inside if Purpose.PAY_PURSE in purposes else times < rules["until_ns"]
            _require_none(wrong, f"purse row {{}} {name}", rows=purse)


def _require_none(wrong: Array, sentence: str, first: int = 0, *, rows: Array | None = None) -> None:
    """Raise IntegrityError if any row is wrong. `first`: number of the first row; `rows`: the rows' numbers instead."""
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise IntegrityError(sentence.format(first + at if rows is None else int(rows[at])))


def exact_sum(values: Array) -> int:
    """Return the sum of int64 values as a Python int. The halves are summed separately, so that nothing wraps."""
    return int((values >> 32).sum(dtype=np.int64)) * (1 << 32) + int((values & 0xFFFFFFFF).sum(dtype=np.int64))


def totals(rows: Array, amounts: Array, size: int) -> Array:
    """Return the sums of `amounts` by row, exact if each fits 64 bits, as every total of a ledger does."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, rows.astype(np.int64), amounts)
    return sums
