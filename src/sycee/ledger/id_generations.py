"""Generations of bound ids: the index of the newest ids, the index of those before, and sorted runs of all older ids.

The content of a run depends on its bound rows alone. Where a run ends depends on when the ledger was opened and on how
many operations a frame had. No result, digest or snapshot depends on it.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Protocol

import numpy as np

from sycee.core import limits
from sycee.core.arrays import Array
from sycee.ledger import kernels
from sycee.ledger.kernels import constants, indexes
from sycee.ledger.storage import Pending, Storage

BLOCK_IDS: Final = 1 << constants.BLOCK_BITS
# A full generation has half as many ids as slots: some seconds of a country's payments, so that the ids of clients
# whose clocks differ by seconds are in the newest two generations. Tests lower both.
GENERATION_SLOTS = 1 << 21
GENERATION_ROWS = limits.SLOT_ROWS_MAX  # bound rows per generation, at most, including those of unordered ids


class GrowingTables(Protocol):
    """The part of `capacity.GrowingTables` that this module uses."""

    tables: kernels.Tables
    storage: Storage
    sorting: Pending[int] | None

    def grow(self, name: str, needed: int) -> None:
        """Extend a table to at least `needed` rows. Raise MemoryError if there is no memory."""

    def grow_slots(self, name: str, needed: int) -> None:
        """Extend an index to hold at least `needed` ids. Raise MemoryError if there is no memory."""

    def evict_history(self, *, wait: bool = False) -> None:
        """Evict old rows from memory."""


def reserve_ids(state: GrowingTables, new_ids: int) -> None:
    """Provide capacity for `new_ids` more ids in the recent generation. If it is full, it becomes the older one.

    A generation is also full when it spans GENERATION_ROWS, because a slot stores a row in 32 bits. The previous older
    generation, which has been sorted since, becomes a run. Call it between frames. After a MemoryError every
    id can still be found.
    """
    generations, recent = state.tables.generations, state.tables.recent_slots
    ids, first = int(generations[constants.RECENT]), int(generations[constants.RECENT_FIRST])
    bound = int(state.tables.counters[constants.BOUND])
    fits_rows = bound + new_ids - first <= GENERATION_ROWS
    if ids + new_ids <= capacity(recent) and fits_rows:
        return
    if recent.size - 1 < GENERATION_SLOTS and fits_rows:
        state.grow_slots("recent_slots", ids + new_ids)
        return
    if state.sorting:
        try:
            sorted_ids = state.sorting.result()
        except Exception:
            state.sorting = _sort_older(state)
            raise
        add_run(state.tables, int(generations[constants.OLDER_FIRST]), sorted_ids)
        state.sorting = None
    reserve_run(state, ids)
    slots = state.tables.older_slots
    if slots.size < recent.size or new_ids > capacity(slots):
        slots = kernels.empty_slots(max(recent.size - 1, 1 << (2 * new_ids - 1).bit_length()))
    elif generations[constants.OLDER_INDEXED] > generations[constants.OLDER_FIRST]:  # else nothing was inserted
        slots[:-1] = 0
    state.tables = state.tables.replaced(recent_slots=slots, older_slots=recent)
    greatest_ids = state.tables.greatest_ids
    recent_greatest = slice(constants.RECENT_GREATEST, constants.RECENT_GREATEST + 2)
    greatest_ids[constants.OLDER_GREATEST : constants.OLDER_GREATEST + 2] = greatest_ids[recent_greatest]
    greatest_ids[recent_greatest] = 0
    generations[[constants.OLDER_FIRST, constants.OLDER]] = first, ids
    generations[constants.OLDER_INDEXED] = generations[constants.RECENT_INDEXED]
    generations[[constants.RECENT_FIRST, constants.RECENT_INDEXED, constants.RECENT]] = bound, bound, 0
    state.sorting = _sort_older(state)


def _sort_older(state: GrowingTables) -> Pending[int]:
    first, end, ids, at = (
        int(state.tables.generations[name])
        for name in (constants.OLDER_FIRST, constants.RECENT_FIRST, constants.OLDER, constants.RUN_IDS)
    )
    # Sorting takes as long as ten frames, so it runs in the background.
    return state.storage.begin_long(partial(sort_run, state.tables, first, end, at, ids, all_are=ids == end - first))


def capacity(slots: Array) -> int:
    """Return how many ids an index may hold: half its slots, which keeps linear probing short."""
    return int(slots.size - 1) // 2


def reserve_run(state: GrowingTables, ids: int) -> int:
    """Provide capacity for one more run of `ids` ids. Return its start position among the sorted ids."""
    generations = state.tables.generations
    first = int(generations[constants.RUN_IDS])
    end = _whole_blocks(first + ids)
    state.grow("run_ids", end)
    state.grow("run_rows", end)
    state.grow("fences", end // BLOCK_IDS)
    state.grow("runs", int(generations[constants.RUNS]) + 1)
    return first


def sort_run(tables: kernels.Tables, first_row: int, end_row: int, at: int, most: int, *, all_are: bool = False) -> int:
    """Sort the time-ordered ids of these bound rows, ≤ `most`, to position `at` of the sorted ids. Return their number.

    all_are: every row's id is ordered by time.

    Call `reserve_run` first. Bound rows never change, and nothing reads the result before `add_run`, so any thread may
    run this while frames are applied. Raise MemoryError if there is no memory to sort in.
    """
    if not most:
        return 0
    ids, rows = tables.run_ids[at : at + most], tables.run_rows[at : at + most]
    count = int(indexes.collect_time_ordered(tables.bound, tables.frame_times, first_row, end_row, ids, rows, all_are))
    ids, rows = ids[:count], rows[:count]
    keys = np.empty(count, np.uint64)
    if count and not indexes.sort_keys(ids, keys):
        # A stable sort is fastest for ids of many clients that each sent theirs in order.
        order = np.argsort(keys, kind="stable")
        ids[:], rows[:] = ids[order], rows[order]
        if not indexes.sort_keys(ids, keys):  # some keys were equal
            order = np.lexsort((ids[:, 0], ids[:, 1]))
            ids[:], rows[:] = ids[order], rows[order]
    return count


def add_run(tables: kernels.Tables, first_row: int, count: int) -> None:
    """Add the sorted run to the index: `count` ids of the bound rows from `first_row` on."""
    if not count:
        return
    generations, runs = tables.generations, tables.runs.view(np.ndarray)
    number, first = int(generations[constants.RUNS]), int(generations[constants.RUN_IDS])
    ids = tables.run_ids[first : first + count]
    end = _whole_blocks(first + count)
    tables.fences[first // BLOCK_IDS : end // BLOCK_IDS] = ids[::BLOCK_IDS]
    least, greatest = int(ids[0, 1]), int(ids[-1, 1])
    reach_max = max(greatest, int(runs["reach_max"][number - 1]) if number else 0)
    runs[number] = (first, first_row, count, 0, least, greatest, least, reach_max)
    # Only the newest runs can have a greater `reach_min`: an id is late by minutes at most.
    before = number - 1
    while before >= 0 and int(runs["reach_min"][before]) > least:
        runs["reach_min"][before] = least
        before -= 1
    runs_greatest = tables.greatest_ids[constants.RUNS_GREATEST : constants.RUNS_GREATEST + 2]
    if (greatest, int(ids[-1, 0])) > tuple(runs_greatest.tolist()):
        runs_greatest[:] = greatest, ids[-1, 0]
    generations[constants.RUNS] = number + 1
    generations[constants.RUN_IDS] = end


def rebuild(state: GrowingTables) -> int:
    """Put all time-ordered bound ids into runs after the tables were loaded. Return the number of unordered ids.

    Both generations are then empty.
    """
    bound = int(state.tables.counters[constants.BOUND])
    most = GENERATION_SLOTS // 2
    unordered = bound
    for first in range(0, bound, most):
        end = min(first + most, bound)
        at = reserve_run(state, end - first)
        count = sort_run(state.tables, first, end, at, end - first)
        add_run(state.tables, first, count)
        unordered -= count
        state.evict_history()
    for name in (constants.RECENT_FIRST, constants.RECENT_INDEXED, constants.OLDER_INDEXED):
        state.tables.generations[name] = bound
    return unordered


def _whole_blocks(ids: int) -> int:
    """Return a number of sorted ids rounded up to whole blocks: every run begins at a block boundary."""
    return -(-ids // BLOCK_IDS) * BLOCK_IDS
