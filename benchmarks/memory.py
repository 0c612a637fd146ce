"""The limit that memory sets to the kernel: the cache lines of an operation touched, with nothing decided.

Per operation, at random places known beforehand (so that the processor may fetch many at once):

| table | touched |
|---|---|
| index of accounts | 8 bytes read, twice |
| accounts | both 64-byte lines of a 128-byte row read, changed and written, twice |
| index of bound ids | 8 bytes read, changed and written |
| purses (pays only) | 8 bytes at both ends of an 80-byte row read, changed and written |

and, in order, its 128-byte record read and a 64-byte movement and a 64-byte bound id written. That is seven random
lines for a transfer. The tables have the sizes that the ledger's have after the run; unlike the ledger's they are made,
and their memory is given by the system, before the clock starts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.measure import BATCH, Timing, timed
from sycee.ledger import kernels
from sycee.ledger.state import LedgerState

from numba import njit  # isort: skip  (after the ledger, which chooses numba's cache folder)

Array = np.ndarray[Any, Any]


@njit(nogil=True)
def _touch(  # type: ignore[no-untyped-def]
    accounts,
    purses,
    account_slots,
    bound_slots,
    movements,
    bound,
    records,
    slots,
    rows,
    bound_at,
    purse_rows,
    start,
    stop,
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
            accounts[row, 10] += one
        bound_slots[bound_at[i]] += one
        if purse_rows.size:
            purses[purse_rows[i], 0] += one
            purses[purse_rows[i], 9] += one
        for word in range(8):
            movements[i, word] = seen
            bound[i, word] = seen
    return seen


class MemoryLimit:
    """Random places of tables as large as a ledger's."""

    def __init__(self, state: LedgerState, records: Array) -> None:
        count, random = records.size, np.random.default_rng(3)
        tables, counters = state.tables, state.tables.counters
        accounts, purses = int(counters[kernels.ACCOUNTS]), int(counters[kernels.PURSES])
        self._count = count
        self._tables = (
            _ones(accounts, 16),
            _ones(purses, 10),
            np.ones(tables.account_slots.size, np.uint64),
            np.ones(tables.bound_slots.size, np.uint64),
            _ones(count, 8),
            _ones(count, 8),
            records.view(np.uint64).reshape(count, 16),
            random.integers(tables.account_slots.size, size=(count, 2), dtype=np.int32),
            random.integers(accounts, size=(count, 2), dtype=np.int32),
            random.integers(tables.bound_slots.size, size=count, dtype=np.int32),
            random.integers(purses, size=count, dtype=np.int32) if purses else np.empty(0, np.int32),
        )
        _touch(*self._tables, 0, 0)  # compiles

    def measure(self) -> Timing:
        """Touch what every operation touches, in batches."""
        starts = list(range(0, self._count, BATCH))
        return timed(starts, lambda start: _touch(*self._tables, start, min(start + BATCH, self._count)), self._count)


def _ones(rows: int, words: int) -> Array:
    return np.ones((rows, words), np.uint64)
