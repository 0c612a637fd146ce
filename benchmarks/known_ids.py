"""Lookup and memory of a billion bound ids.

The history is synthetic: sorted runs of time-ordered ids, as `ledger.id_generations` seals them, evicted to working
files by `storage.history`. The rows of the bound operations do not exist: a lookup finds the row number and does not
read the row.

The figure is anonymous memory, which belongs to the process alone. Pages of working files are additional while memory
is free; the system may drop them at any time and reads them again on demand.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.measure import BYTES, Benchmark, Goal, Setting, Timing
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError, require
from sycee.core.records import layout
from sycee.ledger import id_generations
from sycee.ledger.kernels import indexes
from sycee.ledger.state import LedgerState
from sycee.storage.history import History
from sycee.storage.table_storage import TableStorage

IDS: Final = 1_000_000_000
RUN_IDS: Final = 1 << 20
IDS_PER_MS: Final = 100
NUMBERS_PER_MS: Final = 128  # the counter of ids in a millisecond; late ids use counters from IDS_PER_MS on
START_MS: Final = 1_700_000_000_000
FRESH_LOOKUPS: Final = 1_000_000
LATE_S: Final = 5  # the error of a phone's clock, or a payment that waited for a network
OLD_LOOKUPS: Final = 20_000
HOT_BYTES: Final = 256 << 20
ID_BYTES: Final = 20  # in a run
# Memory of each id, and of the newest ids: their share of the memory for rows, which do not exist here.
FENCE_BYTES: Final = 16 / id_generations.BLOCK_IDS
HOT_IDS: Final = HOT_BYTES // (layout.MOVEMENT.itemsize + layout.BOUND.itemsize + ID_BYTES)
_STATUS: Final = Path("/proc/self/status")
_IO: Final = Path("/proc/self/io")


@dataclass(frozen=True, slots=True)
class Use:
    """Memory and disk use of this process: bytes, and page faults that waited for the disk."""

    anonymous: int
    files: int
    read: int
    faults: int

    @classmethod
    def now(cls) -> Use:
        """Read the current use from Linux' own accounts. Raises UnavailableError elsewhere."""
        try:
            status = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
            io = dict(line.split(": ") for line in _IO.read_text().splitlines())
        except OSError as error:
            raise UnavailableError(f"this system does not report kinds of memory: {error}") from error
        anonymous, files = (int(status[name].split()[0]) * 1_024 for name in ("RssAnon", "RssFile"))
        return cls(anonymous, files, int(io["read_bytes"]), resource.getrusage(resource.RUSAGE_SELF).ru_majflt)

    def has_read_since(self, before: Use) -> bool:
        return (self.read, self.faults) != (before.read, before.faults)


def ids_of_numbers(numbers: Array, counter: int = 0) -> Array:
    """Return (n, 2) u64, low and high, of ids by number, IDS_PER_MS per millisecond. `counter` makes others."""
    of_millisecond = numbers % np.uint64(IDS_PER_MS) + np.uint64(counter)
    ids = np.empty((numbers.size, 2), np.uint64)
    ids[:, 1] = (numbers // np.uint64(IDS_PER_MS) + np.uint64(START_MS)) << np.uint64(16) | np.uint64(0x7000)
    ids[:, 1] |= of_millisecond
    ids[:, 0] = np.uint64(1 << 63) | (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(2)
    return ids


def numbered(first: int, count: int) -> Array:
    return np.arange(first, first + count, dtype=np.uint64)


def synthetic_history(setting: Setting, history: History) -> LedgerState:
    """Return a state whose runs contain setting.operations ids from number 0, each bound to the row of its number."""
    state = LedgerState(TableStorage(history))
    for first in range(0, setting.operations, RUN_IDS):
        count = min(RUN_IDS, setting.operations - first)
        at = id_generations.reserve_run(state, count)
        state.tables.run_ids[at : at + count] = ids_of_numbers(numbered(first, count))
        state.tables.run_rows[at : at + count] = np.arange(count, dtype=np.uint32)
        id_generations.add_run(state.tables, first, count)
        if first % (64 * RUN_IDS) == 0:
            setting.say(f"making ids: {first:,} done")
        state.evict_history(wait=True)
    require(not history.refused, history.refused)
    return state


def lookup(state: LedgerState, ids: Array) -> tuple[Array, float]:
    """Return (n,) int64 rows, -1 for unbound ids, and the duration in seconds."""
    low, high, rows = ids[:, 0].copy(), ids[:, 1].copy(), np.empty(len(ids), np.int64)
    start = perf_counter()
    indexes.bound_rows_of(state.tables, low, high, rows)
    return rows, perf_counter() - start


def known_ids(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Measure anonymous memory, and lookups of fresh ids (which must not read the disk), late ids and old ids."""
    before = Use.now()
    history = History(setting.folder, HOT_BYTES)
    state, random = synthetic_history(setting, history), np.random.default_rng(1)
    count = min(FRESH_LOOKUPS, max(setting.operations, 1))
    late_ids = min(LATE_S * 1_000 * IDS_PER_MS, setting.operations)
    setting.say("lookups")
    lookup(state, ids_of_numbers(numbered(setting.operations, 1)))  # compiles the kernel if necessary
    for _ in range(setting.repeats):
        start = Use.now()
        # Ids from phones with correct clocks, and with clocks seconds ahead; their order is irrelevant.
        fresh = ids_of_numbers(random.permutation(numbered(setting.operations, count)))
        ahead = fresh + np.array([0, LATE_S * 1_000 << 16], np.uint64)
        rows, fresh_s = lookup(state, fresh)
        require(bool((rows == -1).all()), "an id was found that was never bound")
        rows, ahead_s = lookup(state, ahead)
        require(bool((rows == -1).all()), "an id was found that was never bound")
        require(not Use.now().has_read_since(start), "lookups of fresh ids read from the disk")
        late = numbered(setting.operations - late_ids, late_ids)
        rows, late_s = lookup(state, ids_of_numbers(random.permutation(late), NUMBERS_PER_MS))
        require(bool((rows == -1).all()), "a late id was found that was never bound")
        end = Use.now()
        old = random.integers(setting.operations, size=OLD_LOOKUPS).astype(np.uint64)
        rows, old_s = lookup(state, ids_of_numbers(old))
        require(np.array_equal(rows, old), "an old id was not found where it was bound")
        after = Use.now()
        own = max(after.anonymous - before.anonymous, 0)
        note = (
            f"in addition {(end.files - before.files) / 2**20:,.0f} MiB of files before an old id was looked up, and "
            f"{(after.files - before.files) / 2**20:,.0f} after, which the system may drop; looked up: fresh ids "
            f"{count / fresh_s:,.0f}/s, {LATE_S} s ahead {count / ahead_s:,.0f}/s, up to {LATE_S} s late "
            f"{late_ids / late_s:,.0f}/s, old {OLD_LOOKUPS / old_s:,.0f}/s with "
            f"{(after.read - end.read) / OLD_LOOKUPS:,.0f} bytes read for each"
        )
        least = FENCE_BYTES * setting.operations + ID_BYTES * min(setting.operations, HOT_IDS)
        yield Timing(setting.operations, value=own, note=note), Timing(name="fences and newest", value=least)
    history.close()


BENCHMARKS: Final = (
    Benchmark(
        "ids-1b",
        "anonymous memory of 1,000,000,000 time-ordered ids, where lookups of new ids read nothing; pages of files are "
        "not counted, since the system may drop them at any time",
        None,
        IDS,
        "fences and the newest ids, which stay in memory",
        known_ids,
        BYTES,
        Goal(1 << 30),
    ),
)
