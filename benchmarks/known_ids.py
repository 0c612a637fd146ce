"""Ids of a long past: what a ledger that bound very many finds them with, and what memory that takes.

The past is made, not lived: sorted runs of ids ordered by time, as `ledger.generations` would have sealed them, let go
to working files as `ledger.history` does. Rows of the bound operations themselves are not there, so lookups are those
of the runs: the row that an id is bound to is found, and not read.

The figure is anonymous memory, which is the process' own. Pages of the working files come on top as long as
the system has nothing better to do with them: it may drop them at any time, and reads them again when they are needed.
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
from sycee.ledger import id_generations, kernels, layout
from sycee.ledger.state import LedgerState
from sycee.storage.history import History
from sycee.storage.table_storage import TableStorage

IDS: Final = 1_000_000_000
RUN_IDS: Final = 1 << 20
IDS_PER_MS: Final = 100
NUMBERS_PER_MS: Final = 128  # the counter of a millisecond's ids; those from IDS_PER_MS on are given to late ones
START_MS: Final = 1_700_000_000_000
FRESH_LOOKUPS: Final = 1_000_000
LATE_S: Final = 5  # a phone's clock, and a payment that waited for a network
OLD_LOOKUPS: Final = 20_000
HOT_BYTES: Final = 256 << 20
ID_BYTES: Final = 20  # in a run
# What stays in memory of each id, and of the newest ids more: they share what is kept with rows that are not there.
FENCE_BYTES: Final = 16 / id_generations.BLOCK_IDS
HOT_IDS: Final = HOT_BYTES // (layout.MOVEMENT.itemsize + layout.BOUND.itemsize + ID_BYTES)
_STATUS: Final = Path("/proc/self/status")
_IO: Final = Path("/proc/self/io")


@dataclass(frozen=True, slots=True)
class Use:
    """What this process had of memory and disk at a moment; bytes, and faults that waited for the disk."""

    anonymous: int
    files: int
    read: int
    faults: int

    @classmethod
    def now(cls) -> Use:
        """Of this process, from Linux' own accounts. Raises UnavailableError elsewhere."""
        try:
            status = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
            io = dict(line.split(": ") for line in _IO.read_text().splitlines())
        except OSError as error:
            raise UnavailableError(f"this system does not say what memory is made of: {error}") from error
        anonymous, files = (int(status[name].split()[0]) * 1_024 for name in ("RssAnon", "RssFile"))
        return cls(anonymous, files, int(io["read_bytes"]), resource.getrusage(resource.RUSAGE_SELF).ru_majflt)

    def has_read_since(self, before: Use) -> bool:
        """Whether anything came from the disk."""
        return (self.read, self.faults) != (before.read, before.faults)


def made_ids(numbers: Array, counter: int = 0) -> Array:
    """(n, 2) u64, low and high, of ids by number: in order, IDS_PER_MS of each millisecond. `counter` makes others."""
    of_millisecond = numbers % np.uint64(IDS_PER_MS) + np.uint64(counter)
    ids = np.empty((numbers.size, 2), np.uint64)
    ids[:, 1] = (numbers // np.uint64(IDS_PER_MS) + np.uint64(START_MS)) << np.uint64(16) | np.uint64(0x7000)
    ids[:, 1] |= of_millisecond
    ids[:, 0] = np.uint64(1 << 63) | (numbers * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(2)
    return ids


def numbered(first: int, count: int) -> Array:
    """(count,) u64 from `first` on."""
    return np.arange(first, first + count, dtype=np.uint64)


def past(setting: Setting, history: History) -> LedgerState:
    """A state whose runs hold setting.operations ids, numbered from 0, each bound in the row of its number."""
    state = LedgerState(TableStorage(history))
    for first in range(0, setting.operations, RUN_IDS):
        count = min(RUN_IDS, setting.operations - first)
        at = id_generations.make_room(state, count)
        state.tables.run_ids[at : at + count] = made_ids(numbered(first, count))
        state.tables.run_rows[at : at + count] = np.arange(count, dtype=np.uint32)
        id_generations.add_run(state.tables, first, count)
        if first % (64 * RUN_IDS) == 0:
            setting.say(f"making ids: {first:,} are there")
        state.settle_history(wait=True)
    require(not history.refused, history.refused)
    return state


def looked_up(state: LedgerState, ids: Array) -> tuple[Array, float]:
    """(n,) int64 rows, -1 where there is none, and how long it took."""
    low, high, rows = ids[:, 0].copy(), ids[:, 1].copy(), np.empty(len(ids), np.int64)
    start = perf_counter()
    kernels.bound_rows_of(state.tables, low, high, rows)
    return rows, perf_counter() - start


def known_ids(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Anonymous memory, and how quickly ids are looked up: fresh ones, which read nothing, late ones, and old ones."""
    before = Use.now()
    history = History(setting.folder, HOT_BYTES)
    state, random = past(setting, history), np.random.default_rng(1)
    count = min(FRESH_LOOKUPS, max(setting.operations, 1))
    late_ids = min(LATE_S * 1_000 * IDS_PER_MS, setting.operations)
    setting.say("looking ids up")
    looked_up(state, made_ids(numbered(setting.operations, 1)))  # compiles, where nothing did so far
    for _ in range(setting.repeats):
        start = Use.now()
        # What phones send whose clocks are right, and seconds ahead; in what order makes no difference.
        fresh = made_ids(random.permutation(numbered(setting.operations, count)))
        ahead = fresh + np.array([0, LATE_S * 1_000 << 16], np.uint64)
        rows, fresh_s = looked_up(state, fresh)
        require(bool((rows == -1).all()), "an id was found that was never bound")
        rows, ahead_s = looked_up(state, ahead)
        require(bool((rows == -1).all()), "an id was found that was never bound")
        require(not Use.now().has_read_since(start), "looking for fresh ids read from the disk")
        late = numbered(setting.operations - late_ids, late_ids)
        rows, late_s = looked_up(state, made_ids(random.permutation(late), NUMBERS_PER_MS))
        require(bool((rows == -1).all()), "a late id was found that was never bound")
        end = Use.now()
        old = random.integers(setting.operations, size=OLD_LOOKUPS).astype(np.uint64)
        rows, old_s = looked_up(state, made_ids(old))
        require(np.array_equal(rows, old), "an old id was not found where it was bound")
        after = Use.now()
        own = max(after.anonymous - before.anonymous, 0)
        note = (
            f"beside it {(end.files - before.files) / 2**20:,.0f} MiB of files before an old id was looked up, and "
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
        "anonymous memory that 1,000,000,000 ids ordered by time take, of which new ones are told apart without the "
        "disk; pages of files are not in it, for the system may drop them at any time",
        None,
        IDS,
        "fences and the newest ids, which stay in memory",
        known_ids,
        BYTES,
        Goal(1 << 30),
    ),
)
