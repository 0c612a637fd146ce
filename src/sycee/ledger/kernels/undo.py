"""What is written to is kept as it was before: for a chain, which may be taken back, and while the state is copied.

At other times nothing is kept. Of a chain, rows that were added vanish with the counters; entries in the heap of
time-outs stay and are stale there. Every write to a row that was there before goes through one of these functions;
those to the small tables, which are copied at once, need not.
"""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import remove, remove_bound
from sycee.ledger.kernels.preimages import keep_first


@njit(forceinline=True)
def touch_account(tables, row):
    """Say that an account is about to be written to."""
    keeping = tables.counters[c.KEEPING]
    if keeping:
        if keeping & c.COPY:
            keep_first(tables.copying, tables.kept, tables.accounts, c.COPIED_ACCOUNTS, row)
        if keeping & c.CHAIN:
            at = tables.counters[c.UNDO_ACCOUNTS]
            tables.undo_accounts[at] = tables.accounts[row]
            tables.undo_account_rows[at] = row
            tables.counters[c.UNDO_ACCOUNTS] = at + 1


@njit(forceinline=True)
def touch_purse(tables, row):
    """Say that a purse is about to be written to."""
    keeping = tables.counters[c.KEEPING]
    if keeping:
        if keeping & c.COPY:
            keep_first(tables.copying, tables.kept, tables.purses, c.COPIED_PURSES, row)
        if keeping & c.CHAIN:
            at = tables.counters[c.UNDO_PURSES]
            tables.undo_purses[at] = tables.purses[row]
            tables.undo_purse_rows[at] = row
            tables.counters[c.UNDO_PURSES] = at + 1


@njit(forceinline=True)
def touch_hold(tables, row):
    """Say that a hold is about to be written to."""
    keeping = tables.counters[c.KEEPING]
    if keeping:
        if keeping & c.COPY:
            keep_first(tables.copying, tables.kept, tables.holds, c.COPIED_HOLDS, row)
        if keeping & c.CHAIN:
            at = tables.counters[c.UNDO_HOLDS]
            tables.undo_holds[at] = tables.holds[row]
            tables.undo_hold_rows[at] = row
            tables.counters[c.UNDO_HOLDS] = at + 1


@njit(forceinline=True)
def touch_value(tables, field, row, value):
    """Say that one field, now `value`, is about to be written to."""
    keeping = tables.counters[c.KEEPING]
    if keeping:
        if keeping & c.COPY:
            if field == c.VALUE_REFUNDED:
                keep_first(tables.copying, tables.kept, tables.refunds, c.COPIED_REFUNDS, row)
            elif field == c.VALUE_HOLD_LEG:
                keep_first(tables.copying, tables.kept, tables.hold_legs, c.COPIED_HOLD_LEGS, row)
            else:
                keep_first(tables.copying, tables.kept, tables.transits, c.COPIED_TRANSITS, row)
        if keeping & c.CHAIN:
            at = tables.counters[c.UNDO_VALUES]
            tables.undo_values[at, 0] = field
            tables.undo_values[at, 1] = row
            tables.undo_values[at, 2] = value
            tables.counters[c.UNDO_VALUES] = at + 1


@njit(forceinline=True)
def touch_copied(tables, rows, table, row):
    """Say that a row of a table that no chain writes to is about to be written to; `table` is its row of `copying`."""
    if tables.counters[c.KEEPING] & c.COPY:
        keep_first(tables.copying, tables.kept, rows, table, row)


@njit
def begin_chain(tables, marks):
    """From now on keep what is written to; `marks`: (6,) i64, takes how much there was of everything."""
    marks[0] = tables.counters[c.MOVEMENTS]
    marks[1] = tables.counters[c.BOUND]
    marks[2] = tables.counters[c.HOLDS]
    marks[3] = tables.counters[c.HOLD_LEGS]
    marks[4] = tables.counters[c.TRANSITS]
    marks[5] = tables.counters[c.REFUNDS]
    end_chain(tables)
    tables.counters[c.KEEPING] |= c.CHAIN


@njit
def end_chain(tables):
    """Keep nothing for a chain any more."""
    tables.counters[c.KEEPING] &= c.COPY
    tables.counters[c.UNDO_ACCOUNTS] = 0
    tables.counters[c.UNDO_PURSES] = 0
    tables.counters[c.UNDO_HOLDS] = 0
    tables.counters[c.UNDO_VALUES] = 0


@njit
def undo_chain(tables, marks):
    """Everything as it was at `begin_chain`: the newest pre-image first, so that the oldest of a row stays."""
    for at in range(tables.counters[c.UNDO_ACCOUNTS] - 1, -1, -1):
        tables.accounts[tables.undo_account_rows[at]] = tables.undo_accounts[at]
    for at in range(tables.counters[c.UNDO_PURSES] - 1, -1, -1):
        tables.purses[tables.undo_purse_rows[at]] = tables.undo_purses[at]
    for at in range(tables.counters[c.UNDO_HOLDS] - 1, -1, -1):
        tables.holds[tables.undo_hold_rows[at]] = tables.undo_holds[at]
    for at in range(tables.counters[c.UNDO_VALUES] - 1, -1, -1):
        field = tables.undo_values[at, 0]
        row = tables.undo_values[at, 1]
        value = tables.undo_values[at, 2]
        if field == c.VALUE_REFUNDED:
            tables.refunds[row].refunded = value
        elif field == c.VALUE_HOLD_LEG:
            tables.hold_legs[row].held = value
        else:
            tables.transits[row].state = value
    # The index of strays forgets in the reverse of the order in which it learned: then a freed slot breaks no search.
    for row in range(tables.counters[c.BOUND] - 1, marks[1] - 1, -1):
        remove_bound(tables, np.int64(row))
    for row in range(tables.counters[c.REFUNDS] - 1, marks[5] - 1, -1):
        remove(tables.refund_slots, np.uint64(tables.refunds[row].bound), c.ZERO, np.int64(row))
    tables.counters[c.MOVEMENTS] = marks[0]
    tables.counters[c.BOUND] = marks[1]
    tables.counters[c.HOLDS] = marks[2]
    tables.counters[c.HOLD_LEGS] = marks[3]
    tables.counters[c.TRANSITS] = marks[4]
    tables.counters[c.REFUNDS] = marks[5]
    end_chain(tables)
