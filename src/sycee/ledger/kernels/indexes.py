"""Kernels for tables and their indexes: growth, start from a snapshot, sorted runs of ids, search of many ids."""

from __future__ import annotations

from functools import partial

import numba
import numpy as np

from sycee.core import jit, kernel_build
from sycee.core.records import layout
from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels import holds, lookup, prefetch, programmes, settlement
from sycee.ledger.kernels.preimages import apply_preimages as _apply_preimages
from sycee.ledger.kernels.tables import TABLES


def _fill_time_outs(tables):
    """Fill the empty heap with the ends of all open holds, after a snapshot was loaded."""
    for hold_row in range(tables.counters[c.HOLDS]):
        if tables.holds[hold_row].state == c.HOLD_STATE_OPEN:
            holds.push_time_out(tables, hold_row)


def _count_undropped(tables, now_ns):
    """Count the members without a packet of each programme that can be dropped on, after a snapshot was loaded."""
    programmes.count_undropped(tables, now_ns)


def _rehash(slots, old, highs, old_highs, end):
    """Insert the entries of an index whose row is < `end` into larger empty `slots` with the same key.

    No row is read. Frames may insert and remove entries of later rows meanwhile: each entry is read once.
    highs, old_highs: the upper bits of the rows, as in `unordered_row_highs`; of size 1 if there are none.
    """
    mask = np.int64(slots.size - 2)
    for old_at in range(old.size - 1):
        entry = old[old_at]
        row = np.int64(entry & c.LOW32) - 1
        if old_highs.size > 1:
            row += np.int64(old_highs[old_at]) * c.SLOT_ROWS
        if entry != c.ZERO and row < end:
            at = lookup.first_slot(slots, entry >> c.S32)
            while slots[at] != c.ZERO:
                at = (at + 1) & mask
            slots[at] = entry
            if old_highs.size > 1:
                highs[at] = old_highs[old_at]


def _index_accounts(tables, count):
    """Insert the ids of the first `count` accounts into the empty index."""
    prefetched = 0
    for row in range(count):
        if row >= prefetched:
            prefetched = min(row + prefetch.CHUNK, count)
            prefetch.row_slots(tables.account_slots, tables.accounts, row, prefetched)
        lookup.insert(tables.account_slots, tables.accounts[row].id_low, tables.accounts[row].id_high, row)


def _index_refunds_and_batches(tables):
    """Insert all refunds and open batches into their empty indexes."""
    for row in range(tables.counters[c.REFUNDS]):
        lookup.insert(tables.refund_slots, np.uint64(tables.refunds[row].bound), c.ZERO, row)
    settlement.index_batches(tables)


def _index_unordered(tables, first, end):
    """Insert those ids of bound[first:end] that are not ordered by time into the index, which has none of them."""
    for row in range(first, end):
        bound = tables.bound[row]
        if not lookup.is_time_ordered(bound.id_low, bound.id_high, lookup.frame_time_ns(tables, bound.place)):
            lookup.insert_unordered(tables, bound.id_low, bound.id_high, row)


def _collect_time_ordered(bound, frame_times, first, end, ids, rows, all_are):
    """Copy the time-ordered ids of bound[first:end] to `ids`, and their rows minus `first` to `rows`. Return the count.

    ids: (n, 2) u64, low and high; rows: (n,) u32; n is sufficient. all_are: every id in the range is ordered by time.
    """
    count = np.int64(0)
    for row in range(first, end):
        low = bound[row].id_low
        high = bound[row].id_high
        if all_are or lookup.is_time_ordered(low, high, frame_times[np.int64(bound[row].place >> c.PLACE_SHIFT)]):
            ids[count, 0] = low
            ids[count, 1] = high
            rows[count] = row - first
            count += 1
    return count


def _sort_keys(ids, keys):
    """Write sort keys of time-ordered ids to `keys`. Return True if the ids already ascend; `keys` is then unused.

    A key has the first 64 bits in which two ids can differ: milliseconds minus their minimum, then the bits after them.
    """
    is_ascending = True
    least = ids[0, 1] >> c.S16
    most = least
    for at in range(1, ids.shape[0]):
        is_less = ids[at - 1, 1] < ids[at, 1] or (ids[at - 1, 1] == ids[at, 1] and ids[at - 1, 0] < ids[at, 0])
        is_ascending = is_ascending and is_less
        least = min(least, ids[at, 1] >> c.S16)
        most = max(most, ids[at, 1] >> c.S16)
    if is_ascending:
        return True
    spare_bits = c.S64 - c.S12
    while (most - least) >> (c.S64 - c.S12 - spare_bits) != c.ZERO:
        spare_bits -= c.ONE
    for at in range(ids.shape[0]):
        keys[at] = (
            ((ids[at, 1] >> c.S16) - least) << (spare_bits + c.S12)
            | (ids[at, 1] & ~c.VERSION_BITS & c.LOW16) << spare_bits
            | (ids[at, 0] & ~c.VARIANT_BITS) >> (c.S62 - spare_bits)
        )
    return False


def _rows_of(slots, accounts, low, high, rows):
    """Write the account row of each id to `rows`, -1 if there is none. Safe while another thread opens accounts."""
    for i in range(low.size):
        rows[i] = lookup.find_account(slots, accounts, low[i], high[i])


def _rows_of_few(slots, accounts, low, high, rows):
    """Do the same and keep the interpreter's lock: for so few ids, getting it back would take longer."""
    for i in range(low.size):
        rows[i] = lookup.find_account(slots, accounts, low[i], high[i])


def _bound_rows_of(tables, low, high, rows):
    """Write the bound row of each id to `rows`, -1 if it is not bound."""
    for i in range(low.size):
        rows[i] = lookup.find_bound(tables, low[i], high[i])


_tables, _i64, _u64, _bool = TABLES, numba.int64, numba.uint64, numba.boolean
_bound, _accounts = (numba.from_dtype(dtype)[::1] for dtype in (layout.BOUND, layout.ACCOUNT))
_i64s, _u64s, _u32s, _u16s = (number[::1] for number in (_i64, _u64, numba.uint32, numba.uint16))
_words = _u64[:, ::1]
_entry = partial(jit.entry, _nrt=False)  # as in `frames`

kernel_build.ensure(__name__)

fill_time_outs = _entry(numba.void(_tables))(_fill_time_outs)
count_undropped = _entry(numba.void(_tables, _i64))(_count_undropped)
rehash = _entry(numba.void(_u64s, _u64s, _u16s, _u16s, _i64))(_rehash)
index_accounts = _entry(numba.void(_tables, _i64))(_index_accounts)
index_refunds_and_batches = _entry(numba.void(_tables))(_index_refunds_and_batches)
index_unordered = _entry(numba.void(_tables, _i64, _i64))(_index_unordered)
collect_time_ordered = _entry(_i64(_bound, _i64s, _i64, _i64, _words, _u32s, _bool))(_collect_time_ordered)
sort_keys = _entry(_bool(_words, _u64s))(_sort_keys)
rows_of = _entry(numba.void(_u64s, _accounts, _u64s, _u64s, _i64s))(_rows_of)
rows_of_few = _entry(numba.void(_u64s, _accounts, _u64s, _u64s, _i64s), nogil=False)(_rows_of_few)
bound_rows_of = _entry(numba.void(_tables, _u64s, _u64s, _i64s))(_bound_rows_of)
apply_preimages = _entry(numba.void(_i64[:, ::1], _u64s, _i64, _i64, _i64, _i64, _words))(_apply_preimages)
