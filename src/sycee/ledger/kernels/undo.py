"""Pre-images before writes: for a chain, which may be undone, and for a snapshot copy of the state.

At all other times nothing is saved. When a chain is undone, rows that it added vanish with the counters; its entries in
the heap of time-outs remain, as stale ones. Call one of the `touch` functions before every write to an existing row of
a large table. Small tables need none: a snapshot copies them whole at its start.
"""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.lookup import remove, unbind_last
from sycee.ledger.kernels.preimages import save_preimage

RESTORED = np.array([c.MOVEMENTS, c.BOUND, c.HOLDS, c.HOLD_LEGS, c.TRANSITS, c.REFUNDS])


@njit(forceinline=True)
def _save(tables, rows, copied_table, undo_images, undo_rows, undo_counter, row):
    """Save a row for a chain, for a snapshot copy, or for both."""
    mode = tables.counters[c.PREIMAGE_MODE]
    if mode & c.COPY:
        save_preimage(tables.copying, tables.preimages, rows, copied_table, row)
    if mode & c.CHAIN:
        at = tables.counters[undo_counter]
        undo_images[at] = rows[row]
        undo_rows[at] = row
        tables.counters[undo_counter] = at + 1


@njit(forceinline=True)
def touch_account(tables, row):
    """Save an account before a write."""
    if tables.counters[c.PREIMAGE_MODE]:
        undo_images, undo_rows = tables.undo_accounts, tables.undo_account_rows
        _save(tables, tables.accounts, c.COPIED_ACCOUNTS, undo_images, undo_rows, c.UNDO_ACCOUNTS, row)


@njit(forceinline=True)
def touch_purse(tables, row):
    """Save a purse before a write."""
    if tables.counters[c.PREIMAGE_MODE]:
        undo_images, undo_rows = tables.undo_purses, tables.undo_purse_rows
        _save(tables, tables.purses, c.COPIED_PURSES, undo_images, undo_rows, c.UNDO_PURSES, row)


@njit(forceinline=True)
def touch_hold(tables, row):
    """Save a hold before a write."""
    if tables.counters[c.PREIMAGE_MODE]:
        undo_images, undo_rows = tables.undo_holds, tables.undo_hold_rows
        _save(tables, tables.holds, c.COPIED_HOLDS, undo_images, undo_rows, c.UNDO_HOLDS, row)


@njit(forceinline=True)
def touch_value(tables, field, row, value):
    """Save one field, whose value is `value`, before a write."""
    mode = tables.counters[c.PREIMAGE_MODE]
    if mode:
        if mode & c.COPY:
            if field == c.VALUE_REFUNDED:
                save_preimage(tables.copying, tables.preimages, tables.refunds, c.COPIED_REFUNDS, row)
            elif field == c.VALUE_HOLD_LEG:
                save_preimage(tables.copying, tables.preimages, tables.hold_legs, c.COPIED_HOLD_LEGS, row)
            else:
                save_preimage(tables.copying, tables.preimages, tables.transits, c.COPIED_TRANSITS, row)
        if mode & c.CHAIN:
            at = tables.counters[c.UNDO_VALUES]
            tables.undo_values[at, 0] = field
            tables.undo_values[at, 1] = row
            tables.undo_values[at, 2] = value
            tables.counters[c.UNDO_VALUES] = at + 1


@njit(forceinline=True)
def touch_copied(tables, rows, table, row):
    """Save a row of a table that chains do not change; `table` is its row in `copying`."""
    if tables.counters[c.PREIMAGE_MODE] & c.COPY:
        save_preimage(tables.copying, tables.preimages, rows, table, row)


@njit
def begin_chain(tables, savepoint):
    """Start saving for a chain. Store the row counts in `savepoint`, (COUNTERS,) i64."""
    for k in range(RESTORED.size):
        savepoint[RESTORED[k]] = tables.counters[RESTORED[k]]
    end_chain(tables)
    tables.counters[c.PREIMAGE_MODE] |= c.CHAIN


@njit
def end_chain(tables):
    """Stop saving for a chain, and discard its pre-images."""
    tables.counters[c.PREIMAGE_MODE] &= c.COPY
    tables.counters[c.UNDO_ACCOUNTS] = 0
    tables.counters[c.UNDO_PURSES] = 0
    tables.counters[c.UNDO_HOLDS] = 0
    tables.counters[c.UNDO_VALUES] = 0


@njit
def undo_chain(tables, savepoint):
    """Restore the state of `begin_chain`, newest pre-image first, so that the oldest one of a row prevails."""
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
    # The index of unordered ids removes them in reverse order of insertion: a freed slot then breaks no search.
    for row in range(tables.counters[c.BOUND] - 1, savepoint[c.BOUND] - 1, -1):
        unbind_last(tables, np.int64(row))
    for row in range(tables.counters[c.REFUNDS] - 1, savepoint[c.REFUNDS] - 1, -1):
        remove(tables.refund_slots, np.uint64(tables.refunds[row].bound), c.ZERO, np.int64(row))
    for k in range(RESTORED.size):
        tables.counters[RESTORED[k]] = savepoint[RESTORED[k]]
    end_chain(tables)
