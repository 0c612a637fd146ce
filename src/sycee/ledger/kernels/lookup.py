"""Finding ids: open addressing with 32-bit fingerprints, for accounts and for bound operations."""

from __future__ import annotations

import numpy as np
from numba import njit

from sycee.ledger.kernels import constants as c


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

    The key is random for each process, so that nobody can choose ids that all land in one place.
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
    """Where the search for a hash begins. All but the last of `slots` are slots: a power of two."""
    return np.int64(hashed & c.LOW32) & np.int64(slots.size - 2)


@njit(forceinline=True)
def guess(slots, hashed):
    """Row of the id with this hash in all likelihood, or -1. No row is looked at."""
    mask = np.int64(slots.size - 2)
    fingerprint = hashed >> c.S32
    at = first_slot(slots, hashed)
    slot = slots[at]
    while slot != c.ZERO and slot >> c.S32 != fingerprint:
        at = (at + 1) & mask
        slot = slots[at]
    return np.int64(slot & c.LOW32) - 1


@njit(forceinline=True)
def find(slots, rows, low, high):
    """Row of the id in `rows`, or -1. Linear probing; a 32-bit fingerprint saves most misses."""
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    fingerprint = hashed >> c.S32
    at = first_slot(slots, hashed)
    while True:
        slot = slots[at]
        if slot == c.ZERO:
            return np.int64(-1)
        if slot >> c.S32 == fingerprint:
            row = np.int64(slot & c.LOW32) - 1
            if rows[row].id_low == low and rows[row].id_high == high:
                return row
        at = (at + 1) & mask


@njit(forceinline=True)
def insert(slots, low, high, row):
    """Note where an id stands. The caller has looked that it is new and that there is room."""
    mask = np.int64(slots.size - 2)
    hashed = hash_id(slots, low, high)
    at = first_slot(slots, hashed)
    while slots[at] != c.ZERO:
        at = (at + 1) & mask
    slots[at] = ((hashed >> c.S32) << c.S32) | np.uint64(row + 1)


@njit
def remove(slots, low, high, row):
    """Forget the id that was noted last; nothing that was noted before it can have passed over its slot."""
    mask = np.int64(slots.size - 2)
    at = first_slot(slots, hash_id(slots, low, high))
    while np.int64(slots[at] & c.LOW32) != row + 1:
        at = (at + 1) & mask
    slots[at] = c.ZERO


@njit(forceinline=True)
def bind(tables, words, i, operation, place, result, first_movement, missing):
    """Remember the operation for ever, with its result and the movements made since `first_movement`.

    `missing` is what a reversal asked for and did not find.
    """
    row = tables.counters[c.BOUND]
    bound = tables.bound[row]
    bound.id_low = operation.id_low
    bound.id_high = operation.id_high
    bound.content = content(tables.bound_slots, words, i)
    bound.place = place
    bound.amount = operation.amount
    bound.refunded = missing
    made = tables.counters[c.MOVEMENTS] - first_movement
    bound.first_movement = first_movement + 1 if made > 0 else 0
    bound.movements = made
    bound.kind = operation.kind
    bound.result = result
    insert(tables.bound_slots, operation.id_low, operation.id_high, row)
    tables.counters[c.BOUND] = row + 1
