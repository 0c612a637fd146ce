"""Balances as of any frame or moment, of one account along its chain, or of all accounts of a currency at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import Reading, Source, currency_code, source_of
from sycee.archive.timestamps import I64_MIN
from sycee.core import ids
from sycee.core.arguments import check_id, check_integer
from sycee.core.arrays import Array
from sycee.core.errors import UsageError, require
from sycee.core.limits import I64_MAX
from sycee.ledger.invariants import exact_sum
from sycee.ledger.layout import PURSE_BIT
from sycee.ledger.state import LedgerState
from sycee.sequencer.reads import currency_number


@dataclass(frozen=True, slots=True)
class Balances:
    """What every account and purse of a currency had after a frame. Amounts in minor units."""

    currency: str
    frame: int
    time_ns: int  # of the frame, 0 before the first
    accounts: Array  # (n,) ids.ID, in order of opening: of all that are open by now
    balances: Array  # (n,) int64; 0 for an account that was not open yet
    programmes: Array  # (m,) int64: of each purse its programme
    members: Array  # (m,) int64: and its member
    purses: Array  # (m,) int64: what stood in it, held or not

    def balance(self, account: int) -> int:
        """Of one account. Raises UsageError where it is none of this currency."""
        one = ids.from_int(check_id("account", account))
        found = np.flatnonzero((self.accounts["low"] == one["low"]) & (self.accounts["high"] == one["high"]))
        if not found.size:
            raise UsageError(f"no account {ids.format(one)} of {self.currency}", hint="ids come from open_account")
        return int(self.balances[found[0]])


def balance_at(ledger: Source, account: int, *, frame: int | None = None, time_ns: int | None = None) -> int:
    """An account's balance after a frame, or at a moment, in minor units: O(lines since then).

    At a moment means after all frames that are not later. Raises UsageError where there is no such account or frame.
    """
    number = check_id("account", account)
    source = source_of(ledger)
    with source.reading() as state:
        row = state.row(number)
        if row < 0:
            raise UsageError(f"no account {ids.format(number)}", hint="ids come from open_account")
        after = _frame(state, frame, time_ns)
        at = history_copy.newest_movement(state, row)
    while True:
        with source.reading() as state:
            numbers, at = history_copy.chain(state, row, at, after + 1)
            if numbers.size < history_copy.SLICE_ROWS:
                return history_copy.balance_after(state, row, at)


def balances_at(
    ledger: Source, currency: str, *, frame: int | None = None, time_ns: int | None = None
) -> Balances:  # fmt: skip
    """The balances of all accounts and purses of a currency after a frame, or at a moment; they sum to zero.

    O(movements since then) or O(movements until then), whichever are fewer, copied in short slices. Raises UsageError
    for a currency that the ledger does not keep or a frame that it does not have, IntegrityError where the sum is not
    zero.
    """
    return balances_of(ledger, currency_number(currency), frame=frame, time_ns=time_ns)


def balances_of(ledger: Source, number: int, *, frame: int | None = None, time_ns: int | None = None) -> Balances:
    """The same for a currency, or a book that ISO 4217 does not know, by its number."""
    source = source_of(ledger)
    with source.reading() as state:
        if number not in state.zones:
            kept = ", ".join(currency_code(each) for each in state.zones) or "none"
            raise UsageError(f"this ledger does not keep {currency_code(number)}; its currencies: {kept}")
        after = _frame(state, frame, time_ns)
        newest, until = state.movements.size, history_copy.movements_until(state, after)
        own, purses = state.accounts, state.all_purses
        backwards = newest - until < until
        balances = (own["credits_posted"] - own["debits_posted"]) * backwards
        left = (purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"]) * backwards
        is_of = own["currency"] == number
        accounts = np.zeros(int(is_of.sum()), ids.ID)
        accounts["low"], accounts["high"] = own["id_low"][is_of], own["id_high"][is_of]
        programmes = purses["programme"].astype(np.int64)
        purse_is_of = state.tables.programmes["currency"][programmes] == number
        members = np.arange(purses.size) - state.tables.programmes["first_purse"][programmes]
        at_ns = int(state.frame_times[after])
    first, last, sign = (until, newest, -1) if backwards else (0, until, 1)
    for start in range(first, last, history_copy.SLICE_ROWS):
        _add(source, start, min(start + history_copy.SLICE_ROWS, last), sign, balances, left)
    found = Balances(
        currency=currency_code(number),
        frame=after,
        time_ns=at_ns if after else 0,
        accounts=accounts,
        balances=balances[is_of],
        programmes=programmes[purse_is_of],
        members=members[purse_is_of],
        purses=left[purse_is_of],
    )
    total = exact_sum(found.balances) + exact_sum(found.purses)
    require(total == 0, f"after frame {after} all accounts and purses of {found.currency} sum to {total}, not to zero")
    return found


def _add(source: Reading, start: int, end: int, sign: int, balances: Array, left: Array) -> None:
    """Add movements `start` to `end` to both, or take them away."""
    with source.reading() as state:
        movements = state.movements[start:end].copy()
    for side, direction in (("debit_row", -sign), ("credit_row", sign)):
        rows = movements[side].astype(np.int64)
        is_purse = rows >= PURSE_BIT
        signed = movements["amount"] * direction
        np.add.at(balances, rows[~is_purse], signed[~is_purse])
        np.add.at(left, rows[is_purse] - PURSE_BIT, signed[is_purse])


def _frame(state: LedgerState, frame: int | None, time_ns: int | None) -> int:
    if (frame is None) == (time_ns is None):
        raise UsageError("name a frame or a moment, and not both", hint="frame=0 is before the first")
    if time_ns is not None:
        return history_copy.frame_at(state, check_integer("time_ns", time_ns, I64_MIN, I64_MAX))
    assert frame is not None
    return check_integer("frame", frame, high=state.sequence)
