"""Many reads in one pass between two frames: accounts, purses, holds, operations, pages of statements.

Changes no state, but that ids are noted in their index when they are first looked for, as everywhere.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

from sycee.core import jit, kernel_build
from sycee.ledger import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_bound
from sycee.ledger.kernels.tables import empty_tables

ACCOUNT: Final = 0
PURSE: Final = 1
HOLD: Final = 2
OPERATION: Final = 3
STATEMENT: Final = 4

# One read. Which fields a kind uses: an account's, hold's or operation's id; programme and member of a purse; of a page
# the account, the cursor and how many lines it has at most.
READ: Final = np.dtype(
    [
        ("kind", "<u2"),
        ("lines", "<u2"),
        ("programme", "<u4"),
        ("member", "<i8"),
        ("id_low", "<u8"),
        ("id_high", "<u8"),
        ("cursor", "<i8"),  # the number of the last movement that was read, 0 to begin with the newest
    ]
)
# Where its answer stands: a place in the array of its kind, or -1 where there is nothing of this id. Of a page the
# first of its lines, how many it has, and the next page's cursor, 0 after the oldest line. The cursor is -1 where the
# given one is no movement of the account.
FOUND: Final = np.dtype([("at", "<i8"), ("lines", "<i8"), ("cursor", "<i8")])
NAMES: Final = 6  # words, low and high each: of an account suspense and link; of a purse the wallet; of a hold
#                   payer, payee and third
LINE: Final = np.dtype(
    [
        ("number", "<i8"),  # of the movement
        ("time_ns", "<i8"),  # of its frame
        ("amount", "<i8"),  # positive came in, negative went out
        ("balance", "<i8"),  # after it
        ("counterparty_low", "<u8"),  # account id; zero where the other side is a purse
        ("counterparty_high", "<u8"),
        ("operation_low", "<u8"),  # that made it
        ("operation_high", "<u8"),
        ("purpose", "<u4"),  # layout.Purpose
        ("reserved", "<u4"),
    ]
)


@njit(forceinline=True)
def _name(tables, names, i, word, row):
    """Write the id of the account in `row`."""
    names[i, word] = tables.accounts[row].id_low
    names[i, word + 1] = tables.accounts[row].id_high


@njit
def _operation_at(tables, place):
    """Row of the operation that was bound at this place: they stand in order of place."""
    low = np.int64(0)
    high = np.int64(tables.counters[c.BOUND])
    while low < high:
        middle = (low + high) >> 1
        if tables.bound[middle].place < place:
            low = middle + 1
        else:
            high = middle
    return low


@njit(forceinline=True)
def _line(tables, row, number, line):
    """Write one line of the statement of the account in `row`."""
    movement = tables.movements[number - 1]
    went_out = np.int64(movement.debit_row) == row
    other = np.int64(movement.credit_row if went_out else movement.debit_row)
    amount = -movement.amount if went_out else movement.amount
    line.number = number
    line.time_ns = tables.frame_times[np.int64(movement.place >> c.PLACE_SHIFT)]
    # A suspense account that gives back what a closed payer cannot take keeps it: in and out, so nothing.
    line.amount = np.int64(0) if other == row else amount
    line.balance = movement.debit_balance if went_out else movement.credit_balance
    is_purse = other & layout.PURSE_BIT != 0
    line.counterparty_low = c.ZERO if is_purse else tables.accounts[other].id_low
    line.counterparty_high = c.ZERO if is_purse else tables.accounts[other].id_high
    operation = tables.bound[_operation_at(tables, movement.place)]
    line.operation_low = operation.id_low
    line.operation_high = operation.id_high
    line.purpose = movement.purpose


@njit(forceinline=True)
def _before(tables, row, number):
    """Number of the movement of the account in `row` before this one, 0 for none, -1 where this is none of its own."""
    movement = tables.movements[number - 1]
    if np.int64(movement.debit_row) == row:
        return movement.debit_previous
    if np.int64(movement.credit_row) == row:
        return movement.credit_previous
    return np.int64(-1)


@njit(forceinline=True)
def _page(tables, request, answer, lines, first):
    """Write a page, newest line first, from `first` on; returns where it ends."""
    row = find(tables.account_slots, tables.accounts, request.id_low, request.id_high)
    if row < 0:
        return first
    number = tables.accounts[row].last_movement
    if request.cursor != 0:
        is_one = 0 < request.cursor <= tables.counters[c.MOVEMENTS]
        number = _before(tables, row, request.cursor) if is_one else np.int64(-1)
    if number < 0:
        answer.cursor = -1
        return first
    end = first
    last = request.cursor
    while number != 0 and end < first + np.int64(request.lines):
        _line(tables, row, number, lines[end])
        last = number
        number = _before(tables, row, number)
        end += 1
    answer.at = first
    answer.lines = end - first
    answer.cursor = last if number != 0 else np.int64(0)
    return end


@njit(forceinline=True)
def _account(tables, request, answer, names, i, accounts, keys, end):
    row = find(tables.account_slots, tables.accounts, request.id_low, request.id_high)
    if row < 0:
        return end
    accounts[end] = tables.accounts[row]
    account = tables.accounts[row]
    _name(tables, names, i, 0, np.int64(account.suspense))
    if account.link != 0:
        _name(tables, names, i, 2, np.int64(account.link) - 1)
    if account.key != 0:
        keys[end] = tables.keys[np.int64(account.key) - 1]
    answer.at = end
    return end + 1


@njit(forceinline=True)
def _purse(tables, request, answer, names, i, purses, end):
    number = np.int64(request.programme)
    if number >= tables.programmes.size or not tables.programmes[number].defined:
        return end
    programme = tables.programmes[number]
    if not 0 <= request.member < np.int64(programme.count):
        return end
    purses[end] = tables.purses[programme.first_purse + request.member]
    wallet = np.int64(purses[end].wallet)
    if wallet != 0:
        _name(tables, names, i, 0, wallet - 1)
    answer.at = end
    return end + 1


@njit(forceinline=True)
def _hold(tables, bound_row, answer, names, i, holds, end):
    bound = tables.bound[bound_row]
    if bound.kind != c.KIND_HOLD or bound.result != c.CREATED:
        return end
    holds[end] = tables.holds[bound.detail]
    hold = tables.holds[bound.detail]
    _name(tables, names, i, 0, np.int64(hold.payer))
    _name(tables, names, i, 2, np.int64(hold.payee))
    if hold.third != 0:
        _name(tables, names, i, 4, np.int64(hold.third) - 1)
    answer.at = end
    return end + 1


def _read(tables, requests, found, names, accounts, keys, purses, holds, bound, times, lines):
    """Answer each of `requests`, (n,) READ: where, in `found`, (n,) FOUND, and what, in the array of its kind.

    Each array has room for all that is asked for of its kind, and is zero; `keys` go with `accounts` and `times`, of
    frames, with `bound`. Returns how many lines there are.
    """
    account_end = np.int64(0)
    purse_end = np.int64(0)
    hold_end = np.int64(0)
    bound_end = np.int64(0)
    line_end = np.int64(0)
    for i in range(requests.size):
        request = requests[i]
        answer = found[i]
        answer.at = -1
        if request.kind == ACCOUNT:
            account_end = _account(tables, request, answer, names, i, accounts, keys, account_end)
        elif request.kind == STATEMENT:
            line_end = _page(tables, request, answer, lines, line_end)
        elif request.kind == PURSE:
            purse_end = _purse(tables, request, answer, names, i, purses, purse_end)
        else:
            row = find_bound(tables, request.id_low, request.id_high)
            if row >= 0 and request.kind == HOLD:
                hold_end = _hold(tables, row, answer, names, i, holds, hold_end)
            elif row >= 0:
                bound[bound_end] = tables.bound[row]
                times[bound_end] = tables.frame_times[np.int64(tables.bound[row].place >> c.PLACE_SHIFT)]
                answer.at = bound_end
                bound_end += 1
    return line_end


_rows = {name: numba.from_dtype(dtype)[::1] for name, dtype in (("read", READ), ("found", FOUND), ("line", LINE))}
_laid = {name: numba.from_dtype(getattr(layout, name))[::1] for name in ("ACCOUNT", "KEY", "PURSE", "HOLD", "BOUND")}
kernel_build.ensure(__name__)
read = jit.entry(
    numba.int64(
        numba.typeof(empty_tables()), _rows["read"], _rows["found"], numba.uint64[:, ::1], *_laid.values(),
        numba.int64[::1], _rows["line"],
    ),
    _nrt=False,
)(_read)  # fmt: skip
