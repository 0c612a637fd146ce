"""Indexes of ids: open addressing with 32 bits of the hash in each slot, for accounts and for bound operations.

A slot has 32 bits for a row, enough for accounts. The index of a generation counts rows from the generation's first.
An id that is not ordered by time may be at any row; from 2^32 rows on, `unordered_row_highs` stores the upper bits.

Bound ids are stored permanently; the id decides where it is looked up. An id whose time agrees with the frame
that bound it is in the index of the recent generation, in the index of the older generation, or in a sorted run
(`runs`). Every other id is *unordered* and is in `unordered_slots`. A new id ordered by time is greater than all
earlier ones, so a comparison with the greatest ids shows that it is new. docs/decisions/0014 has the costs.
"""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit
from sycee.ledger.kernels.sorted_runs import find_in_runs


@njit(forceinline=True)
def _mix(x):
    x ^= x >> c.S33
    x *= c.MIX_1
    x ^= x >> c.S29
    x *= c.MIX_2
    x ^= x >> c.S32
    return x


@njit(forceinline=True)
def hash_id(slots, low, high):
    """Return 64 hash bits of an id, keyed with the word behind the slots.

    The key is random in each process, so that no caller can choose ids that all share one slot.
    """
    key = slots[slots.size - 1]
    return _mix(_mix(low ^ key) + (high ^ (key * c.MIX_3)))


@njit(forceinline=True)
def content_hash(slots, words, i):
    """Return the keyed hash of bytes 16 to 127 of record `i`; docs/decisions/0003 discusses collisions.

    Two interleaved chains of multiplications: in a single chain every step would wait for the previous one.
    """
    x = slots[slots.size - 1]
    y = ~x
    for word in range(2, 16, 2):
        x = (x ^ words[i, word]) * c.MIX_1
        y = (y ^ words[i, word + 1]) * c.MIX_2
        x ^= x >> c.S29
        y ^= y >> c.S32
    return hash_id(slots, x, y)


@njit(forceinline=True)
def first_slot(slots, hashed):
    """Return the slot where the search for a hash begins; 32 bits of the hash decide.

    An index of more than 2^32 slots distributes these start slots evenly.
    """
    mask = np.int64(slots.size - 2)
    at = np.int64(hashed & c.LOW32)
    if mask > c.SLOTS_BY_HASH:
        at *= (mask + 1) >> 32
    return at & mask


@njit(forceinline=True)
def probable_row(slots, hashed):
    """Return the row of the first slot with this hash, or -1. The row's id is not compared."""
    mask = np.int64(slots.size - 2)
    fingerprint = hashed & c.LOW32
    at = first_slot(slots, hashed)
    slot = slots[at]
    while slot != c.ZERO and slot >> c.S32 != fingerprint:
        at = (at + 1) & mask
        slot = slots[at]
    return np.int64(slot & c.LOW32) - 1


@njit(forceinline=True)
def find(slots, rows, low, high):
    """Return the row of the id in `rows`, or -1."""
    return find_from(slots, rows, np.int64(0), low, high)


@njit(forceinline=True)
def find_from(slots, rows, first, low, high):
    """Return the row of the id in `rows`, or -1. Slots count rows from `first`.

    Linear probing; the 32 hash bits in a slot avoid reading most rows with another id.
    """
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    fingerprint = hashed & c.LOW32
    at = first_slot(slots, hashed)
    while True:
        slot = slots[at]
        if slot == c.ZERO:
            return np.int64(-1)
        if slot >> c.S32 == fingerprint:
            row = first + np.int64(slot & c.LOW32) - 1
            if rows[row].id_low == low and rows[row].id_high == high:
                return row
        at = (at + 1) & mask


@njit
def find_account(slots, accounts, low, high):
    """Return the row of the account with an id, or -1.

    Safe while another thread opens accounts: rows beyond `accounts`, which that thread may extend, are not read.
    """
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    fingerprint = hashed & c.LOW32
    at = first_slot(slots, hashed)
    slot = slots[at]
    while slot != c.ZERO:
        row = np.int64(slot & c.LOW32) - 1
        is_like = slot >> c.S32 == fingerprint and row < accounts.size
        if is_like and accounts[row].id_low == low and accounts[row].id_high == high:
            return row
        at = (at + 1) & mask
        slot = slots[at]
    return np.int64(-1)


@njit(forceinline=True)
def insert(slots, low, high, row):
    """Insert an id and return its slot. The caller has checked that the id is new and that a slot is free.

    row: relative to the row that the slots count from, below 2^32 - 1.
    """
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    at = first_slot(slots, hashed)
    while slots[at] != c.ZERO:
        at = (at + 1) & mask
    slots[at] = (hashed << c.S32) | np.uint64(row + 1)
    return at


@njit
def find_number(slots, numbers, number):
    """Return the row of a number in an index by number, or -1. `numbers`: the number in each row."""
    mask = np.int64(slots.size - 2)
    at = first_slot(slots, hash_id(slots, np.uint64(number), c.ZERO))
    while slots[at] != c.ZERO:
        row = np.int64(slots[at] & c.LOW32) - 1
        if np.int64(numbers[row]) == number:
            return row
        at = (at + 1) & mask
    return np.int64(-1)


@njit
def remove(slots, low, high, row):
    """Remove an id that is in the index. Move up the entries whose search skipped its slot."""
    mask = np.int64(slots.size - 2)
    free = first_slot(slots, hash_id(slots, low, high))
    while np.int64(slots[free] & c.LOW32) != row + 1:
        free = (free + 1) & mask
    at = (free + 1) & mask
    while slots[at] != c.ZERO:
        begin = np.int64(slots[at] >> c.S32) & mask
        if (at - begin) & mask >= (at - free) & mask:
            slots[free] = slots[at]
            free = at
        at = (at + 1) & mask
    slots[free] = c.ZERO


@njit(forceinline=True)
def is_uuid7(low, high):
    """Return whether the id has the form of a UUIDv7, which is ordered by time."""
    return high & c.VERSION_BITS == c.VERSION_7 and low & c.VARIANT_BITS == c.VARIANT_10


@njit(forceinline=True)
def is_time_ordered(low, high, now_ns):
    """Return whether the id is a UUIDv7 whose time agrees with `now_ns`, the time of the frame that binds it."""
    late_ms = now_ns // c.NS_PER_MS - np.int64(high >> c.S16)
    return is_uuid7(low, high) and -c.EARLY_MS_MAX <= late_ms <= c.LATE_MS_MAX


@njit(forceinline=True)
def frame_time_ns(tables, place):
    """Return the time of the frame of an operation or movement with this place."""
    return tables.frame_times[np.int64(place >> c.PLACE_SHIFT)]


@njit(forceinline=True)
def exceeds_all(greatest_ids, part, low, high):
    """Return whether the id is greater than all ids in this part of the index."""
    return high > greatest_ids[part] or (high == greatest_ids[part] and low > greatest_ids[part + 1])


@njit
def index_time_ordered(slots, bound, frame_times, base_row, first, end):
    """Insert the time-ordered ids of bound[first:end] into slots that count from `base_row`.

    Most ids are greater than all earlier ones and need no index to be found new. So ids are inserted only when an
    operation has an id that is not greater.
    """
    for row in range(first, end):
        low = bound[row].id_low
        high = bound[row].id_high
        if is_time_ordered(low, high, frame_times[np.int64(bound[row].place >> c.PLACE_SHIFT)]):
            insert(slots, low, high, row - base_row)


@njit(forceinline=True)
def _unordered_row(tables, at):
    """Return the bound row of the unordered id in this slot."""
    row = np.int64(tables.unordered_slots[at] & c.LOW32) - 1
    if tables.unordered_row_highs.size > 1:
        row += np.int64(tables.unordered_row_highs[at]) * c.SLOT_ROWS
    return row


@njit(forceinline=True)
def _unordered_slot(tables, low, high):
    """Return the slot of this unordered id, or -1."""
    slots = tables.unordered_slots
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    fingerprint = hashed & c.LOW32
    at = first_slot(slots, hashed)
    while True:
        slot = slots[at]
        if slot == c.ZERO:
            return np.int64(-1)
        if slot >> c.S32 == fingerprint:
            row = _unordered_row(tables, at)
            if tables.bound[row].id_low == low and tables.bound[row].id_high == high:
                return at
        at = (at + 1) & mask


@njit(forceinline=True)
def _find_unordered(tables, low, high):
    """Return the bound row of this unordered id, or -1."""
    at = _unordered_slot(tables, low, high)
    return _unordered_row(tables, at) if at >= 0 else np.int64(-1)


@njit(forceinline=True)
def find_bound(tables, low, high):
    """Return the bound row of this id, or -1."""
    if not is_uuid7(low, high):
        return _find_unordered(tables, low, high)
    greatest_ids = tables.greatest_ids
    if not exceeds_all(greatest_ids, c.RECENT_GREATEST, low, high):
        generations = tables.generations
        if generations[c.RECENT_INDEXED] < tables.counters[c.BOUND]:
            index_time_ordered(
                tables.recent_slots,
                tables.bound,
                tables.frame_times,
                generations[c.RECENT_FIRST],
                generations[c.RECENT_INDEXED],
                tables.counters[c.BOUND],
            )
            generations[c.RECENT_INDEXED] = tables.counters[c.BOUND]
        row = find_from(tables.recent_slots, tables.bound, generations[c.RECENT_FIRST], low, high)
        if row >= 0:
            return row
    exceeds_older = exceeds_all(greatest_ids, c.OLDER_GREATEST, low, high)
    is_new = exceeds_older and exceeds_all(greatest_ids, c.RUNS_GREATEST, low, high)
    if is_new and high > greatest_ids[c.UNORDERED_GREATEST]:
        return np.int64(-1)
    return _find_older(tables, low, high)


@njit
def _find_older(tables, low, high):
    """Return the row of an id that may have been bound a while ago, or -1. Not inlined, unlike `find_bound`."""
    generations = tables.generations
    if not exceeds_all(tables.greatest_ids, c.OLDER_GREATEST, low, high):
        first = generations[c.OLDER_INDEXED]
        end = generations[c.RECENT_FIRST]
        if first < end:
            base_row = generations[c.OLDER_FIRST]
            index_time_ordered(tables.older_slots, tables.bound, tables.frame_times, base_row, first, end)
            generations[c.OLDER_INDEXED] = end
        row = find_from(tables.older_slots, tables.bound, generations[c.OLDER_FIRST], low, high)
        if row >= 0:
            return row
    if not exceeds_all(tables.greatest_ids, c.RUNS_GREATEST, low, high):
        row = find_in_runs(
            tables.runs, tables.generations[c.RUNS], tables.run_ids, tables.run_rows, tables.fences, low, high
        )
        if row >= 0:
            return row
    if high <= tables.greatest_ids[c.UNORDERED_GREATEST]:
        return _find_unordered(tables, low, high)
    return np.int64(-1)


@njit
def insert_unordered(tables, low, high, row):
    """Insert an id that is not ordered by time."""
    if tables.unordered_row_highs.size > 1:
        part = row // c.SLOT_ROWS
        at = insert(tables.unordered_slots, low, high, row - part * c.SLOT_ROWS)
        tables.unordered_row_highs[at] = part
    else:
        insert(tables.unordered_slots, low, high, row)
    tables.generations[c.UNORDERED] += 1
    if is_uuid7(low, high):
        tables.greatest_ids[c.UNORDERED_GREATEST] = max(tables.greatest_ids[c.UNORDERED_GREATEST], high)


@njit(forceinline=True)
def _insert_id(tables, low, high, row, now_ns):
    """Register a newly bound id in the part of the index that it belongs to."""
    greatest_ids = tables.greatest_ids
    if is_time_ordered(low, high, now_ns):
        tables.generations[c.RECENT] += 1
        if exceeds_all(greatest_ids, c.RECENT_GREATEST, low, high):
            greatest_ids[c.RECENT_GREATEST] = high
            greatest_ids[c.RECENT_GREATEST + 1] = low
    else:
        insert_unordered(tables, low, high, row)


@njit
def unbind_last(tables, row):
    """Remove the id of the last bound row, which this frame bound: generations rotate only between frames."""
    bound = tables.bound[row]
    if is_time_ordered(bound.id_low, bound.id_high, frame_time_ns(tables, bound.place)):
        tables.generations[c.RECENT] -= 1
        if row < tables.generations[c.RECENT_INDEXED]:
            remove(tables.recent_slots, bound.id_low, bound.id_high, row - tables.generations[c.RECENT_FIRST])
    else:
        tables.unordered_slots[_unordered_slot(tables, bound.id_low, bound.id_high)] = c.ZERO
        tables.generations[c.UNORDERED] -= 1
    tables.generations[c.RECENT_INDEXED] = min(tables.generations[c.RECENT_INDEXED], row)


@njit(forceinline=True)
def bind(tables, words, i, operation, place, result, first_movement, detail):
    """Bind the operation's id to its result and to the movements made since `first_movement`.

    `detail`: as in layout.BOUND.
    """
    row = tables.counters[c.BOUND]
    bound = tables.bound[row]
    bound.id_low = operation.id_low
    bound.id_high = operation.id_high
    bound.content = content_hash(tables.unordered_slots, words, i)
    bound.place = place
    bound.amount = operation.amount
    bound.detail = detail
    made = tables.counters[c.MOVEMENTS] - first_movement
    bound.first_movement = first_movement + 1 if made > 0 else 0
    bound.movements = made
    bound.kind = operation.kind
    bound.result = result
    _insert_id(tables, operation.id_low, operation.id_high, row, frame_time_ns(tables, place))
    tables.counters[c.BOUND] = row + 1
