"""Limit of the memory: touch the cache lines of an operation, without deciding anything.

Per operation, at random positions known beforehand, so that the processor can fetch several concurrently:

| table | touched |
|---|---|
| index of accounts | 8 bytes read, twice |
| accounts | the first 64-byte line of a 128-byte row read, changed and written, twice; for pays both lines |
| purses (pays only) | 8 bytes at both ends of an 80-byte row read, of two purses; one of them changed and written |

In order: the 128-byte record is read, a 64-byte movement and a 64-byte bound id are written. This makes four random
lines for a transfer and ten for a pay. No index of bound ids is included, since ascending ids need none. The tables
have as many rows as the ledger's after the run, and the index is at most half full. Their memory is allocated before
the timing starts, unlike a ledger's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numba import njit

from benchmarks.measure import BATCH, MILLION, Timing, timed
from sycee.core.arrays import Array

Clock = Callable[[], float]

SLOTS_LOAD_MAX: Final = 0.5


@njit(nogil=True, cache=True)
def _touch(  # type: ignore[no-untyped-def]
    accounts, purses, account_slots, movements, known, records, slots, rows, purse_rows, start, stop
):
    seen = np.uint64(0)
    one = np.uint64(1)
    for i in range(start, stop):
        for word in range(16):
            seen += records[i, word]
        for side in range(2):
            seen += account_slots[slots[i, side]]
            row = rows[i, side]
            accounts[row, 2] += one
            accounts[row, 6] += one
            if purse_rows.size:
                accounts[row, 8] += one
        if purse_rows.size:
            purses[purse_rows[i, 0], 0] += one
            purses[purse_rows[i, 0], 9] += one
            seen += purses[purse_rows[i, 1], 0] + purses[purse_rows[i, 1], 9]
        for word in range(8):
            movements[i, word] = seen
            known[i, word] = seen
    return seen


def touched(*, accounts: int, purses: int = 0, operations: int, clock: Clock = time.perf_counter) -> Timing:
    """Touch the lines of up to a million operations, in tables of these sizes."""
    count, random = min(operations, MILLION), np.random.default_rng(3)
    account_slots = _slots(accounts)
    tables = (
        _ones(accounts, 16),
        _ones(purses, 10),
        np.ones(account_slots, np.uint64),
        _ones(count, 8),
        _ones(count, 8),
        _ones(count, 16),
        random.integers(account_slots, size=(count, 2), dtype=np.int32),
        random.integers(accounts, size=(count, 2), dtype=np.int32),
        random.integers(purses, size=(count, 2), dtype=np.int32) if purses else np.empty((0, 2), np.int32),
    )
    _touch(*tables, 0, 0)  # compiles
    timing = timed(
        range(0, count, BATCH), lambda start: _touch(*tables, start, min(start + BATCH, count)), count, clock=clock
    )
    timing.name = "memory"
    return timing


def filled(rows: int, row_bytes: int, *, clock: Clock = time.perf_counter) -> Timing:
    """Write this many rows in order into new memory: the minimum for a movement on each row."""
    timing = timed([rows * row_bytes], lambda size: np.empty(size, np.uint8).fill(1), rows, clock=clock)
    timing.name = "memory"
    return timing


def _slots(rows: int) -> int:
    return 1 << (max(int(rows / SLOTS_LOAD_MAX), 2) - 1).bit_length()


def _ones(rows: int, words: int) -> Array:
    return np.ones((rows, words), np.uint64)
