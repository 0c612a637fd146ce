"""Balances as of any frame or time: of one account along its chain of movements, or of all accounts of a currency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sycee.archive import history_copy
from sycee.archive.history_source import Source, StateReader, reader_of
from sycee.core import ids
from sycee.core.arguments import check_id, check_integer
from sycee.core.arrays import Array
from sycee.core.errors import UsageError, require
from sycee.core.limits import I64_MAX
from sycee.core.money import currency_code
from sycee.core.records.layout import PURSE_BIT
from sycee.core.timestamps import I64_MIN
from sycee.ledger.invariants import exact_sum
from sycee.ledger.state import LedgerState
from sycee.sequencer.reads import currency_number


@dataclass(frozen=True, slots=True)
class Balances:
    """Balances of all accounts and purses of a currency after a frame, in minor units."""

    currency: str
    frame: int
    time_ns: int  # time of the frame, 0 before the first frame
    accounts: Array  # (n,) ids.ID in order of opening: all accounts that are open now
    balances: Array  # (n,) int64; 0 for an account that was opened later
    programmes: Array  # (m,) int64: programme of each purse
    members: Array  # (m,) int64: member of each purse
    purses: Array  # (m,) int64: balance of each purse, including held money

    def balance(self, account: int) -> int:
        """Return the balance of one account. Raises UsageError if the currency has no such account."""
        number = check_id("account", account)
        low, high = ids.split(number)
        found = np.flatnonzero((self.accounts["low"] == low) & (self.accounts["high"] == high))
        if not found.size:
            raise UsageError(f"no account {ids.format(number)} of {self.currency}", hint="ids come from open_account")
        return int(self.balances[found[0]])


def balance_at(ledger: Source, account: int, *, frame: int | None = None, time_ns: int | None = None) -> int:
    """Return an account's balance after a frame, or after all frames with a time ≤ `time_ns`, in minor units.

    O(movements of the account since then). Raises UsageError if there is no such account or frame.
    """
    number = check_id("account", account)
    source = reader_of(ledger)
    with source.reading() as state:
        row = state.row(number)
        if row < 0:
            raise UsageError(f"no account {ids.format(number)}", hint="ids come from open_account")
        after = _frame(state, frame, time_ns)
    return history_copy.read_chain(source, row, after + 1, after + 1, lambda _, numbers: numbers)[1]


def balances_at(
    ledger: Source, currency: str | int, *, frame: int | None = None, time_ns: int | None = None
) -> Balances:  # fmt: skip
    """Return the balances of all accounts and purses of a currency after a frame, or at a moment. Their sum is zero.

    currency: its code, or the number of a book outside ISO 4217. O(movements since then) or O(movements until then),
    the fewer of the two, copied in short slices. Raises UsageError for a currency or frame that the ledger does not
    have, IntegrityError if the sum is not zero.
    """
    number = currency if isinstance(currency, int) else currency_number(currency)
    source = reader_of(ledger)
    with source.reading() as state:
        if number not in state.zones:
            defined = ", ".join(currency_code(each) for each in state.zones) or "none"
            raise UsageError(
                f"this ledger has no currency {currency_code(number)}", hint=f"its currencies are: {defined}"
            )
        after = _frame(state, frame, time_ns)
        newest, until = state.movements.size, history_copy.movements_until(state, after)
        accounts, purses = state.accounts, state.all_purses
        # Either subtract the later movements from today's balances, or add the earlier ones up from zero.
        backwards = newest - until < until
        balances = (accounts["credits_posted"] - accounts["debits_posted"]) * backwards
        left = (purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"]) * backwards
        chosen = accounts["currency"] == number
        account_ids = np.zeros(int(chosen.sum()), ids.ID)
        account_ids["low"], account_ids["high"] = accounts["id_low"][chosen], accounts["id_high"][chosen]
        programmes = state.programmes_of_purses(0, purses.size)
        chosen_purses = state.tables.programmes["currency"][programmes] == number
        members = np.arange(purses.size) - state.tables.programmes["first_purse"][programmes]
        at_ns = int(state.frame_times[after])
    first, last, sign = (until, newest, -1) if backwards else (0, until, 1)
    for start in range(first, last, history_copy.SLICE_ROWS):
        _add(source, start, min(start + history_copy.SLICE_ROWS, last), sign, balances, left)
    found = Balances(
        currency=currency_code(number),
        frame=after,
        time_ns=at_ns if after else 0,
        accounts=account_ids,
        balances=balances[chosen],
        programmes=programmes[chosen_purses],
        members=members[chosen_purses],
        purses=left[chosen_purses],
    )
    total = exact_sum(found.balances) + exact_sum(found.purses)
    require(total == 0, f"after frame {after} all accounts and purses of {found.currency} sum to {total}, not to zero")
    return found


def _add(source: StateReader, start: int, end: int, sign: int, balances: Array, left: Array) -> None:
    """Add movements `start` to `end` to both arrays, or subtract them if `sign` is -1."""
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
        raise UsageError("give either frame or time_ns", hint="frame=0 is before the first frame")
    if time_ns is not None:
        return history_copy.frame_at(state, check_integer("time_ns", time_ns, I64_MIN, I64_MAX))
    return check_integer("frame", frame, high=state.sequence)
