"""What must always hold, recomputed from the tables and from the movements. Each raises IntegrityError."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sycee.core import limits
from sycee.core.codes import Result
from sycee.core.errors import IntegrityError
from sycee.ledger import layout
from sycee.ledger.layout import AccountKind, HoldState, Kind, Purpose, PurseState, TransitState

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState

Array = np.ndarray[Any, Any]

_RETURNS: Final = (Purpose.RETURN, Purpose.RETURN_SUSPENSE)
_PURSE_SIDES: Final = (
    ("credit_row", (Purpose.DROP,), "dropped"),
    ("debit_row", (Purpose.PAY_PURSE,), "spent"),
    ("credit_row", (Purpose.REFUND_PURSE, Purpose.REVERSAL_PURSE), "refunded"),
    ("debit_row", _RETURNS, "returned"),
)


def check(state: LedgerState) -> None:
    """All of them."""
    _check_sums(state)
    _check_nothing_below_zero(state)
    _check_purses(state)
    _check_bound(state)
    _check_pending(state)
    _check_movements(state)
    _check_times(state)


def _left(purses: Array) -> Array:
    """What stands in each purse, whether or not a hold keeps it."""
    left: Array = purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"]
    return left


def _balance(accounts: Array) -> Array:
    balance: Array = accounts["credits_posted"] - accounts["debits_posted"]
    return balance


def _check_sums(state: LedgerState) -> None:
    accounts, purses = state.accounts, state.all_purses
    balance, left = _balance(accounts), _left(purses)
    purse_currency = state.tables.programmes["currency"][purses["programme"]]
    for currency in state.zones:
        total = exact_sum(balance[accounts["currency"] == currency]) + exact_sum(left[purse_currency == currency])
        if total:
            raise IntegrityError(f"currency {currency}: all accounts and purses sum to {total}, not to zero")


def _check_nothing_below_zero(state: LedgerState) -> None:
    accounts, purses = state.accounts, state.all_purses
    below = (_balance(accounts) - accounts["debits_pending"] < 0) & (accounts["kind"] != AccountKind.ISSUANCE)
    _deny(below, "account row {}: it is below zero")
    for name in ("debits_pending", "credits_pending", "day_used", "month_used", "year_used"):
        _deny(accounts[name] < 0, f"account row {{}}: its {name} is below zero")
    _deny(_left(purses) - purses["pending"] < 0, "purse row {}: it is below zero")


def _check_purses(state: LedgerState) -> None:
    purses = state.all_purses
    _deny((purses["state"] == PurseState.EXPIRED) & (_left(purses) != 0), "purse row {}: expired, it holds money")
    empty = purses["state"] == PurseState.EMPTY
    _deny(empty & (purses["last_movement"] != 0), "purse row {}: empty, it has a history")


def _check_bound(state: LedgerState) -> None:
    bound, refunds, holds = state.bound, state.refunds, state.holds
    is_reversal = bound["kind"] == Kind.REVERSE
    _deny(is_reversal & (bound["detail"] > bound["amount"]), "bound row {}: more is missing than was asked for")
    has_held = (bound["kind"] == Kind.HOLD) & (bound["result"] == Result.CREATED)
    _deny(~is_reversal & ~has_held & (bound["detail"] != 0), "bound row {}: nothing can be missing of it")
    made = np.flatnonzero(has_held)
    if made.size != holds.size:
        raise IntegrityError(f"{holds.size} holds stand for {made.size} operations that made one")
    _deny(bound["detail"][made] != np.arange(holds.size), "bound row {}: it names another's hold", made)
    _deny(holds["bound"] != made, "hold row {}: it names another operation")
    rows = refunds["bound"]
    of = bound[rows]
    paid = of["amount"].copy()
    has_back = np.isin(of["kind"], (Kind.TRANSFER, Kind.PAY, Kind.POST))
    is_hold = of["kind"] == Kind.HOLD
    posted = holds[holds["movements"] > 0]  # by POST_HOLDS
    has_back |= is_hold & np.isin(rows, posted["bound"])
    held = np.flatnonzero(is_hold & has_back)
    paid[held] = posted["posted"][np.searchsorted(posted["bound"], rows[held])]
    _deny(has_back & (refunds["refunded"] > paid), "bound row {}: more came back than was paid", rows)
    _deny(~has_back & (refunds["refunded"] != 0), "bound row {}: nothing can come back of it", rows)
    _deny(refunds["refunded"] <= 0, "bound row {}: nothing came back of it, and it is said to have", rows)


def _check_pending(state: LedgerState) -> None:
    """What holds keep and what is on its way is exactly what accounts and purses have pending."""
    accounts, purses, holds, transits = state.accounts, state.all_purses, state.holds, state.transits
    is_open = holds["state"] == HoldState.OPEN
    _deny(~is_open & (holds["held"] != 0), "hold row {}: no longer open, it keeps money")
    legs = state.hold_legs
    keeps = totals(holds["payer"], holds["own_held"], accounts.size)
    _deny(keeps != accounts["debits_pending"], "account row {}: holds do not add up to its debits pending")
    coming = totals(holds["payee"], holds["held"], accounts.size)
    under_way = transits[transits["state"] == TransitState.OPEN]
    coming += totals(under_way["destination"], under_way["amount"], accounts.size)
    _deny(coming != accounts["credits_pending"], "account row {}: what comes does not add up to its credits pending")
    kept = totals(legs["purse"], legs["held"], purses.size)
    _deny(kept != purses["pending"], "purse row {}: holds do not add up to what it has pending")
    owner = np.repeat(np.arange(holds.size), holds["legs"])
    held = holds["own_held"] + totals(owner, legs["held"], holds.size)
    _deny(held != holds["held"], "hold row {}: its legs do not add up to what it holds")
    through = totals(under_way["through"], under_way["amount"], accounts.size)
    wrong = (accounts["kind"] == AccountKind.IN_TRANSIT) & (through != _balance(accounts))
    _deny(wrong, "account row {}: in transit, it holds other money than is on its way")


def _check_movements(state: LedgerState) -> None:
    """Movements added up from zero must give every posted total."""
    accounts, purses, movements = state.accounts, state.all_purses, state.movements
    for column, side in (("debit_row", "debits_posted"), ("credit_row", "credits_posted")):
        rows = movements[column].astype(np.int64)
        is_account = rows < layout.PURSE_BIT
        sums = totals(rows[is_account], movements["amount"][is_account], accounts.size)
        _deny(sums != accounts[side], f"account row {{}}: its movements do not add up to its {side}")
    for column, purposes, side in _PURSE_SIDES:
        chosen = movements[np.isin(movements["purpose"], purposes)]
        rows = chosen[column].astype(np.int64) - layout.PURSE_BIT
        sums = totals(rows, chosen["amount"], purses.size)
        _deny(sums != purses[side], f"purse row {{}}: its movements do not add up to its {side}")


def _check_times(state: LedgerState) -> None:
    """No purse paid outside its programme's spending window or returned before its end."""
    movements = state.movements
    times = state.frame_times[(movements["place"] >> np.uint64(limits.PLACE_INDEX_BITS)).astype(np.int64)]
    rule_set = state.tables.programmes["rule_set"][state.all_purses["programme"]]
    for purposes, name in (
        ((Purpose.PAY_PURSE,), "paid outside its spending window"),
        (_RETURNS, "returned before its programme expired"),
    ):
        chosen = np.isin(movements["purpose"], purposes)
        purse = movements["debit_row"][chosen].astype(np.int64) - layout.PURSE_BIT
        rules = state.tables.rule_sets.view(np.ndarray)[rule_set[purse]]
        inside = (rules["from_ns"] <= times[chosen]) & (times[chosen] < rules["until_ns"])
        wrong = ~inside if Purpose.PAY_PURSE in purposes else times[chosen] < rules["until_ns"]
        if wrong.any():
            raise IntegrityError(f"purse row {purse[np.flatnonzero(wrong)[0]]} {name}")


def _deny(wrong: Array, sentence: str, rows: Array | None = None) -> None:
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise IntegrityError(sentence.format(first if rows is None else int(rows[first])))


def exact_sum(values: Array) -> int:
    """Sum of int64 values as a Python int: halves are summed apart, so that nothing wraps."""
    return int((values >> 32).sum(dtype=np.int64)) * (1 << 32) + int((values & 0xFFFFFFFF).sum(dtype=np.int64))


def totals(rows: Array, amounts: Array, size: int) -> Array:
    """Sum of `amounts` by row, exact where each sum fits 64 bits, as every total of a ledger does."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, rows.astype(np.int64), amounts)
    return sums
