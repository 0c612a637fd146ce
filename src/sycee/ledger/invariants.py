"""What must always hold, recomputed from the tables and from the movements. Each raises IntegrityError."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.core.result_codes import Result
from sycee.ledger import layout
from sycee.ledger.layout import AccountKind, HoldState, Kind, Purpose, PurseState, TransitState
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
    """All of them. Tables are read a piece at a time: what is larger than memory once must not be there twice."""
    check_sums(state)
    _check_nothing_below_zero(state)
    _check_purses(state)
    _check_bound(state)
    _check_refunds(state)
    _check_pending(state)
    _check_movements(state)
    _check_times(state)


def _pieces(table: Array) -> Iterator[tuple[int, Array]]:
    """A table's rows a million at a time, each piece with the row that it begins at."""
    for first in range(0, table.shape[0], PIECE_ROWS):
        yield first, table[first : first + PIECE_ROWS]


def _left(purses: Array) -> Array:
    """What stands in each purse, whether or not a hold keeps it."""
    left: Array = purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"]
    return left


def _balance(accounts: Array) -> Array:
    balance: Array = accounts["credits_posted"] - accounts["debits_posted"]
    return balance


def check_sums(state: StateTables) -> None:
    """Per currency, all accounts and purses sum to zero. Raises IntegrityError."""
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
        _deny(below, "account row {}: it is below zero", first)
        for name in ("debits_pending", "credits_pending", "day_used", "month_used", "year_used"):
            _deny(accounts[name] < 0, f"account row {{}}: its {name} is below zero", first)
    for first, purses in _pieces(state.all_purses):
        _deny(_left(purses) - purses["pending"] < 0, "purse row {}: it is below zero", first)


def _check_purses(state: StateTables) -> None:
    for first, purses in _pieces(state.all_purses):
        wrong = (purses["state"] == PurseState.EXPIRED) & (_left(purses) != 0)
        _deny(wrong, "purse row {}: expired, it holds money", first)
        empty = purses["state"] == PurseState.EMPTY
        _deny(empty & (purses["last_movement"] != 0), "purse row {}: empty, it has a history", first)


def _check_bound(state: StateTables) -> None:
    made, held_as = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for first, bound in _pieces(state.bound):
        is_reversal = bound["kind"] == Kind.REVERSE
        wrong = is_reversal & (bound["detail"] > bound["amount"])
        _deny(wrong, "bound row {}: more is missing than was asked for", first)
        has_held = (bound["kind"] == Kind.HOLD) & (bound["result"] == Result.CREATED)
        is_transfer = (bound["kind"] == Kind.TRANSFER) & (bound["result"] == Result.CREATED)
        most = np.where(is_transfer, 1, 0)
        wrong = ~is_reversal & ~has_held & ((bound["detail"] < 0) | (bound["detail"] > most))
        _deny(wrong, "bound row {}: nothing can be missing of it", first)
        made.append(np.flatnonzero(has_held) + first)
        held_as.append(bound["detail"][has_held])
    holds, rows = state.holds, np.concatenate(made)
    if rows.size != holds.size:
        raise IntegrityError(f"{holds.size} holds stand for {rows.size} operations that made one")
    _deny(np.concatenate(held_as) != np.arange(holds.size), "bound row {}: it names another's hold", rows=rows)
    _deny(holds["bound"] != rows, "hold row {}: it names another operation")


def _check_refunds(state: StateTables) -> None:
    refunds, holds = state.refunds, state.holds
    rows = refunds["bound"]
    of = state.bound[rows]
    paid = of["amount"].copy()
    has_back = np.isin(of["kind"], (Kind.TRANSFER, Kind.PAY, Kind.POST))
    is_hold = of["kind"] == Kind.HOLD
    posted = holds[holds["movements"] > 0]  # by POST_HOLDS
    has_back |= is_hold & np.isin(rows, posted["bound"])
    held = np.flatnonzero(is_hold & has_back)
    paid[held] = posted["posted"][np.searchsorted(posted["bound"], rows[held])]
    final = (of["kind"] == Kind.TRANSFER) & (of["detail"] != 0)
    _deny(final, "bound row {}: it is final, and something came back of it", rows=rows)
    wrong = has_back & (refunds["refunded"] > paid)
    _deny(wrong, "bound row {}: more came back than was paid", rows=rows)
    _deny(~has_back & (refunds["refunded"] != 0), "bound row {}: nothing can come back of it", rows=rows)
    wrong = refunds["refunded"] <= 0
    _deny(wrong, "bound row {}: nothing came back of it, and it is said to have", rows=rows)


def _check_pending(state: StateTables) -> None:
    """What holds keep and what is on its way is exactly what accounts and purses have pending."""
    accounts, purses, holds, transits = state.accounts, state.all_purses, state.holds, state.transits
    is_open = holds["state"] == HoldState.OPEN
    _deny(~is_open & (holds["held"] != 0), "hold row {}: no longer open, it keeps money")
    legs = state.hold_legs
    keeps = totals(holds["payer"], holds["own_held"], accounts.size)
    _deny(keeps != accounts["debits_pending"], "account row {}: holds do not add up to its debits pending")
    del keeps  # eight bytes an account, as each of these
    coming = totals(holds["payee"], holds["held"], accounts.size)
    under_way = transits[transits["state"] == TransitState.OPEN]
    np.add.at(coming, under_way["destination"].astype(np.int64), under_way["amount"])
    _deny(coming != accounts["credits_pending"], "account row {}: what comes does not add up to its credits pending")
    del coming
    kept = totals(legs["purse"], legs["held"], purses.size)
    _deny(kept != purses["pending"], "purse row {}: holds do not add up to what it has pending")
    owner = np.repeat(np.arange(holds.size), holds["legs"])
    held = holds["own_held"] + totals(owner, legs["held"], holds.size)
    _deny(held != holds["held"], "hold row {}: its legs do not add up to what it holds")
    through = totals(under_way["through"], under_way["amount"], accounts.size)
    for first, some in _pieces(accounts):
        wrong = (some["kind"] == AccountKind.IN_TRANSIT) & (through[first : first + some.size] != _balance(some))
        _deny(wrong, "account row {}: in transit, it holds other money than is on its way", first)


def _check_movements(state: StateTables) -> None:
    """Movements added up from zero must give every posted total."""
    accounts, purses = state.accounts, state.all_purses
    for column, side in (("debit_row", "debits_posted"), ("credit_row", "credits_posted")):
        sums = np.zeros(accounts.size, np.int64)
        for _, movements in _pieces(state.movements):
            is_account = movements[column] < layout.PURSE_BIT
            np.add.at(sums, movements[column][is_account].astype(np.int64), movements["amount"][is_account])
        _deny(sums != accounts[side], f"account row {{}}: its movements do not add up to its {side}")
        del sums
    for column, purposes, side in _PURSE_SIDES:
        sums = np.zeros(purses.size, np.int64)
        for _, movements in _pieces(state.movements):
            chosen = movements[np.isin(movements["purpose"], purposes)]
            np.add.at(sums, chosen[column].astype(np.int64) - layout.PURSE_BIT, chosen["amount"])
        _deny(sums != purses[side], f"purse row {{}}: its movements do not add up to its {side}")


def _check_times(state: StateTables) -> None:
    """No purse paid outside its programme's spending window or returned before its end."""
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
            if wrong.any():
                raise IntegrityError(f"purse row {purse[np.flatnonzero(wrong)[0]]} {name}")


def _deny(wrong: Array, sentence: str, first: int = 0, *, rows: Array | None = None) -> None:
    """Raise IntegrityError if anything is wrong. `first`: the row that a piece begins at; `rows`: those meant."""
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise IntegrityError(sentence.format(first + at if rows is None else int(rows[at])))


def exact_sum(values: Array) -> int:
    """Sum of int64 values as a Python int: halves are summed apart, so that nothing wraps."""
    return int((values >> 32).sum(dtype=np.int64)) * (1 << 32) + int((values & 0xFFFFFFFF).sum(dtype=np.int64))


def totals(rows: Array, amounts: Array, size: int) -> Array:
    """Sum of `amounts` by row, exact where each sum fits 64 bits, as every total of a ledger does."""
    sums = np.zeros(size, np.int64)
    np.add.at(sums, rows.astype(np.int64), amounts)
    return sums
