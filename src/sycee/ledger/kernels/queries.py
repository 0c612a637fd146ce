"""Many reads in one pass between two frames: accounts, purses, holds, operations, pages of statements.

The pass changes no state; a lookup may insert recently bound ids into their index.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np

from sycee.core import jit, kernel_build
from sycee.core.records import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import find, find_bound, frame_time_ns
from sycee.ledger.kernels.tables import TABLES

ACCOUNT: Final = 0
PURSE: Final = 1
HOLD: Final = 2
OPERATION: Final = 3
STATEMENT: Final = 4

# One read. Used fields by kind: the id of an account, hold or operation; programme and member of a purse; for a page of
# a statement the account's id, the cursor, and the maximum number of lines.
READ: Final = np.dtype(
    [
        ("kind", "<u2"),
        ("lines", "<u2"),
        ("programme", "<u4"),
        ("member", "<i8"),
        ("id_low", "<u8"),
        ("id_high", "<u8"),
        ("cursor", "<i8"),  # number of the last movement read before, 0 to begin with the newest
    ]
)
# Where the answer is: its position in the array of its kind, -1 if nothing has this id. For a page: the position of its
# first line, the number of lines, and the next page's cursor: 0 after the oldest line, -1 if the given cursor is not a
# movement of the account.
FOUND: Final = np.dtype([("at", "<i8"), ("lines", "<i8"), ("cursor", "<i8")])
# Words per read, (low, high) each, for the ids of accounts that a record refers to by row. Account: suspense, link.
# Purse: wallet. Hold: payer, payee, third.
NAMES: Final = 6
LINE: Final = np.dtype(
    [
        ("number", "<i8"),  # of the movement
        ("time_ns", "<i8"),  # of its frame
        ("amount", "<i8"),  # positive: credited, negative: debited
        ("balance", "<i8"),  # after it
        ("counterparty_low", "<u8"),  # account id; zero if the other side is a purse
        ("counterparty_high", "<u8"),
        ("operation_low", "<u8"),  # id of its operation
        ("operation_high", "<u8"),
        ("purpose", "<u4"),  # layout.Purpose
        ("reserved", "<u4"),
    ]
)


@njit(forceinline=True)
def _name(tables, names, i, word, row):
    """Write the id of the account in `row` to names[i, word:]."""
    names[i, word] = tables.accounts[row].id_low
    names[i, word + 1] = tables.accounts[row].id_high


@njit
def _operation_at(tables, place):
    """Return the bound row of the operation at this place. Bound rows are in the order of place."""
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
    is_debit = np.int64(movement.debit_row) == row
    other = np.int64(movement.credit_row if is_debit else movement.debit_row)
    amount = -movement.amount if is_debit else movement.amount
    line.number = number
    line.time_ns = frame_time_ns(tables, movement.place)
    # A suspense account that refunds a closed payer credits itself: the amount is zero on balance.
    line.amount = np.int64(0) if other == row else amount
    line.balance = movement.debit_balance if is_debit else movement.credit_balance
    is_purse = other & layout.PURSE_BIT != 0
    line.counterparty_low = c.ZERO if is_purse else tables.accounts[other].id_low
    line.counterparty_high = c.ZERO if is_purse else tables.accounts[other].id_high
    operation = tables.bound[_operation_at(tables, movement.place)]
    line.operation_low = operation.id_low
    line.operation_high = operation.id_high
    line.purpose = movement.purpose


@njit(forceinline=True)
def _previous(tables, row, number):
    """Return the number of the account's movement before this one, 0 for none, -1 if this one is another account's."""
    movement = tables.movements[number - 1]
    if np.int64(movement.debit_row) == row:
        return movement.debit_previous
    if np.int64(movement.credit_row) == row:
        return movement.credit_previous
    return np.int64(-1)


@njit(forceinline=True)
def _page(tables, request, answer, lines, first):
    """Write a page, newest line first, to lines[first:]. Return its end."""
    row = find(tables.account_slots, tables.accounts, request.id_low, request.id_high)
    if row < 0:
        return first
    number = tables.accounts[row].last_movement
    if request.cursor != 0:
        is_movement = 0 < request.cursor <= tables.counters[c.MOVEMENTS]
        number = _previous(tables, row, request.cursor) if is_movement else np.int64(-1)
    if number < 0:
        answer.cursor = -1
        return first
    end = first
    last = request.cursor
    while number != 0 and end < first + np.int64(request.lines):
        _line(tables, row, number, lines[end])
        last = number
        number = _previous(tables, row, number)
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
    """Answer each of `requests`, (n,) READ: the position in `found`, (n,) FOUND, the record in the array of its kind.

    Each array is zero and large enough for all requests of its kind. `keys` belong to `accounts`; `times`, of frames,
    to `bound`. Returns the number of lines.
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
                times[bound_end] = frame_time_ns(tables, tables.bound[row].place)
                answer.at = bound_end
                bound_end += 1
    return line_end


_read_type, _found_type, _line_type, *_record_types = (
    numba.from_dtype(dtype)[::1]
    for dtype in (READ, FOUND, LINE, layout.ACCOUNT, layout.KEY, layout.PURSE, layout.HOLD, layout.BOUND)
)
kernel_build.ensure(__name__)
read = jit.entry(
    numba.int64(
        TABLES, _read_type, _found_type, numba.uint64[:, ::1], *_record_types, numba.int64[::1],
        _line_type,
    ),
    _nrt=False,
)(_read)  # fmt: skip
