"""Finding ids: open addressing with 32 bits of the hash in each slot, for accounts and for bound operations.

A slot has 32 bits for a row. Accounts need no more. The index of a generation counts rows from the generation's first
row on. A stray may have any row of a ledger's life: from 2^32 rows on `stray_highs` keeps the bits that do not fit.

Bound ids are kept for ever, so where they are looked for follows from themselves. An id that says the time at which it
was bound stands in a small index of the newest ones, then in the index of the generation before them, then in a sorted
run (`runs`). Every other, a *stray*, stands in `bound_slots`. A fresh id ordered by time is greater than all that came
before it and is known to be new from that alone; docs/decisions/0014 says what each way costs.
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
    """64 bits of an id, mixed with the key that stands behind the slots.

    The key is random for each process, so that no caller can choose ids that all share one slot.
    """
    key = slots[slots.size - 1]
    return _mix(_mix(low ^ key) + (high ^ (key * c.MIX_3)))


@njit(forceinline=True)
def content(slots, words, i):
    """Keyed hash of bytes 16 to 127; what a collision would take is in docs/decisions/0003.

    Two chains of multiplications side by side: in one, every step would wait for the one before.
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
    """Where the search for a hash begins: 32 bits of it decide. All but the last of `slots` are slots: a power of two.

    An index of more than 2^32 slots spreads its beginnings evenly.
    """
    mask = np.int64(slots.size - 2)
    at = np.int64(hashed & c.LOW32)
    if mask > c.SLOTS_BY_HASH:
        at *= (mask + 1) >> 32
    return at & mask


@njit(forceinline=True)
def guess(slots, hashed):
    """Row of the id with this hash in all likelihood, or -1. No row is looked at."""
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
    """Row of the id in `rows`, or -1."""
    return find_from(slots, rows, np.int64(0), low, high)


@njit(forceinline=True)
def find_from(slots, rows, first, low, high):
    """Row of the id in `rows`, or -1. Slots count rows from `first` on.

    Linear probing; 32 bits of the hash in the slot save most misses.
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


@njit(forceinline=True)
def insert(slots, low, high, row):
    """Note where an id stands; returns in which slot. The caller has looked that it is new and that there is room.

    row: less the row that the slots count from, below 2^32 - 1.
    """
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    at = first_slot(slots, hashed)
    while slots[at] != c.ZERO:
        at = (at + 1) & mask
    slots[at] = (hashed << c.S32) | np.uint64(row + 1)
    return at


@njit
def remove(slots, low, high, row):
    """Forget an id that is there. Those that passed over its slot when they were noted move up."""
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
def looks_ordered(low, high):
    """Has the id the form of one that is ordered by time, a UUIDv7?"""
    return high & c.VERSION_BITS == c.VERSION_7 and low & c.VARIANT_BITS == c.VARIANT_10


@njit(forceinline=True)
def is_ordered(low, high, now_ns):
    """Is it one, and does its time agree with that of the frame that binds it?"""
    late_ms = now_ns // c.NS_PER_MS - np.int64(high >> c.S16)
    return looks_ordered(low, high) and -c.EARLY_MS_MAX <= late_ms <= c.LATE_MS_MAX


@njit(forceinline=True)
def bound_ns(tables, place):
    """Time of the frame in which an operation of this place was bound."""
    return tables.frame_times[np.int64(place >> c.PLACE_SHIFT)]


@njit(forceinline=True)
def is_above(tops, top, low, high):
    """Is the id greater than all of a part of the index?"""
    return high > tops[top] or (high == tops[top] and low > tops[top + 1])


@njit
def index_ordered(slots, bound, frame_times, counted_from, first, end):
    """Note where the ids ordered by time among bound[first:end] stand, in slots that count from a row on.

    An id that is greater than all before it needs no index to be found new, and most are. So they are noted only when
    an operation has an id that is not greater.
    """
    for row in range(first, end):
        low = bound[row].id_low
        high = bound[row].id_high
        if is_ordered(low, high, frame_times[np.int64(bound[row].place >> c.PLACE_SHIFT)]):
            insert(slots, low, high, row - counted_from)


@njit(forceinline=True)
def _stray_row(tables, at):
    """Row of the stray in this slot."""
    row = np.int64(tables.bound_slots[at] & c.LOW32) - 1
    if tables.stray_highs.size > 1:
        row += np.int64(tables.stray_highs[at]) * c.SLOT_ROWS
    return row


@njit(forceinline=True)
def _stray_slot(tables, low, high):
    """The slot that says where this stray is bound, or -1."""
    slots = tables.bound_slots
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    fingerprint = hashed & c.LOW32
    at = first_slot(slots, hashed)
    while True:
        slot = slots[at]
        if slot == c.ZERO:
            return np.int64(-1)
        if slot >> c.S32 == fingerprint:
            row = _stray_row(tables, at)
            if tables.bound[row].id_low == low and tables.bound[row].id_high == high:
                return at
        at = (at + 1) & mask


@njit(forceinline=True)
def _find_stray(tables, low, high):
    """Row of the operation that is bound to this id, which is not found in order of time, or -1."""
    at = _stray_slot(tables, low, high)
    return _stray_row(tables, at) if at >= 0 else np.int64(-1)


@njit(forceinline=True)
def find_bound(tables, low, high):
    """Row of the operation that is bound to this id, or -1."""
    if not looks_ordered(low, high):
        return _find_stray(tables, low, high)
    tops = tables.tops
    if not is_above(tops, c.RECENT_TOP, low, high):
        generations = tables.generations
        if generations[c.RECENT_INDEXED] < tables.counters[c.BOUND]:
            index_ordered(
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
    is_new = is_above(tops, c.OLDER_TOP, low, high) and is_above(tops, c.RUNS_TOP, low, high)
    if is_new and high > tops[c.STRAY_TOP]:
        return np.int64(-1)
    return _find_long_bound(tables, low, high)


@njit
def _find_long_bound(tables, low, high):
    """The rest of `find_bound`, not inlined: what is asked for here was bound a while ago, or says it was."""
    generations = tables.generations
    if not is_above(tables.tops, c.OLDER_TOP, low, high):
        first = generations[c.OLDER_INDEXED]
        end = generations[c.RECENT_FIRST]
        if first < end:
            counted_from = generations[c.OLDER_FIRST]
            index_ordered(tables.older_slots, tables.bound, tables.frame_times, counted_from, first, end)
            generations[c.OLDER_INDEXED] = end
        row = find_from(tables.older_slots, tables.bound, generations[c.OLDER_FIRST], low, high)
        if row >= 0:
            return row
    if not is_above(tables.tops, c.RUNS_TOP, low, high):
        row = find_in_runs(
            tables.runs, tables.generations[c.RUNS], tables.run_ids, tables.run_rows, tables.fences, low, high
        )
        if row >= 0:
            return row
    if high <= tables.tops[c.STRAY_TOP]:
        return _find_stray(tables, low, high)
    return np.int64(-1)


@njit
def insert_stray(tables, low, high, row):
    """Note where an id that is not ordered by time is bound."""
    if tables.stray_highs.size > 1:
        part = row // c.SLOT_ROWS
        at = insert(tables.bound_slots, low, high, row - part * c.SLOT_ROWS)
        tables.stray_highs[at] = part
    else:
        insert(tables.bound_slots, low, high, row)
    tables.generations[c.STRAYS] += 1
    if looks_ordered(low, high):
        tables.tops[c.STRAY_TOP] = max(tables.tops[c.STRAY_TOP], high)


@njit(forceinline=True)
def _insert_bound(tables, low, high, row, now_ns):
    """Note where an id is bound, in the part of the index where it belongs."""
    tops = tables.tops
    if is_ordered(low, high, now_ns):
        tables.generations[c.RECENT] += 1
        if is_above(tops, c.RECENT_TOP, low, high):
            tops[c.RECENT_TOP] = high
            tops[c.RECENT_TOP + 1] = low
    else:
        insert_stray(tables, low, high, row)


@njit
def remove_bound(tables, row):
    """Forget the id of the last row that is bound, and was by this very frame: generations turn between frames."""
    bound = tables.bound[row]
    if is_ordered(bound.id_low, bound.id_high, bound_ns(tables, bound.place)):
        tables.generations[c.RECENT] -= 1
        if row < tables.generations[c.RECENT_INDEXED]:
            remove(tables.recent_slots, bound.id_low, bound.id_high, row - tables.generations[c.RECENT_FIRST])
    else:
        tables.bound_slots[_stray_slot(tables, bound.id_low, bound.id_high)] = c.ZERO
        tables.generations[c.STRAYS] -= 1
    tables.generations[c.RECENT_INDEXED] = min(tables.generations[c.RECENT_INDEXED], row)


@njit(forceinline=True)
def bind(tables, words, i, operation, place, result, first_movement, detail):
    """Remember the operation for ever, with its result and the movements made since `first_movement`.

    `detail`: as in layout.BOUND.
    """
    row = tables.counters[c.BOUND]
    bound = tables.bound[row]
    bound.id_low = operation.id_low
    bound.id_high = operation.id_high
    bound.content = content(tables.bound_slots, words, i)
    bound.place = place
    bound.amount = operation.amount
    bound.detail = detail
    made = tables.counters[c.MOVEMENTS] - first_movement
    bound.first_movement = first_movement + 1 if made > 0 else 0
    bound.movements = made
    bound.kind = operation.kind
    bound.result = result
    _insert_bound(tables, operation.id_low, operation.id_high, row, bound_ns(tables, place))
    tables.counters[c.BOUND] = row + 1
