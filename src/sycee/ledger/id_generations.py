"""Generations of bound ids: the index of the newest, the one before it, and sorted runs of all older ones.

What a run holds follows from the rows alone; where one ends follows from when the ledger was started and what came in
one frame. No answer, no digest and no snapshot hangs on it.
"""

from __future__ import annotations

from functools import partial
from typing import Final, Protocol

import numpy as np

from sycee.core.arrays import Array
from sycee.ledger import kernels
from sycee.ledger.storage import Pending, Storage

BLOCK_IDS: Final = 1 << kernels.BLOCK_BITS


class Growth(Protocol):
    """The tables of a state as this module uses them: `growth.Growth`."""

    tables: kernels.Tables
    storage: Storage
    sealing: Pending[int] | None  # of the older generation of ids: how many its run will hold

    def grow(self, name: str, needed: int) -> None:
        """Make a table hold at least `needed` rows. MemoryError if there is no room."""
        ...

    def grow_slots(self, name: str, needed: int) -> None:
        """Make an index hold at least `needed` ids. MemoryError if there is no room."""
        ...

    def settle_history(self, *, wait: bool = False) -> None:
        """Let old rows leave memory."""
        ...


def turn(growth: Growth, coming: int) -> None:
    """Make room for `coming` more ids in the recent generation: where it is full, it becomes the older one.

    Few ids among many strays fill it too: its slots count the rows from its first one on in 32 bits.

    The one before it was sealed meanwhile, and from now on is a run. For between frames; where MemoryError is raised,
    every id is found as before.
    """
    generations, recent = growth.tables.generations, growth.tables.recent_slots
    ids, first = int(generations[kernels.RECENT]), int(generations[kernels.RECENT_FIRST])
    bound = int(growth.tables.counters[kernels.BOUND])
    spans = bound + coming - first <= kernels.generation_rows()
    if ids + coming <= capacity(recent) and spans:
        return
    if recent.size - 1 < kernels.generation_slots() and spans:
        growth.grow_slots("recent_slots", ids + coming)
        return
    if growth.sealing:
        try:
            sealed = growth.sealing.result()
        except Exception:
            growth.sealing = _seal_older(growth)
            raise
        add_run(growth.tables, int(generations[kernels.OLDER_FIRST]), sealed)
        growth.sealing = None
    make_room(growth, ids)
    slots = growth.tables.older_slots
    if slots.size < recent.size or coming > capacity(slots):
        slots = kernels.empty_slots(max(recent.size - 1, 1 << (2 * coming - 1).bit_length()))
    elif generations[kernels.OLDER_INDEXED] > generations[kernels.OLDER_FIRST]:  # else nobody asked for an older id
        slots[:-1] = 0
    growth.tables = growth.tables._replace(recent_slots=slots, older_slots=recent)
    tops = growth.tables.tops
    tops[kernels.OLDER_TOP : kernels.OLDER_TOP + 2] = tops[kernels.RECENT_TOP : kernels.RECENT_TOP + 2]
    tops[kernels.RECENT_TOP : kernels.RECENT_TOP + 2] = 0
    generations[[kernels.OLDER_FIRST, kernels.OLDER]] = first, ids
    generations[kernels.OLDER_INDEXED] = generations[kernels.RECENT_INDEXED]
    generations[[kernels.RECENT_FIRST, kernels.RECENT_INDEXED, kernels.RECENT]] = bound, bound, 0
    growth.sealing = _seal_older(growth)


def _seal_older(growth: Growth) -> Pending[int]:
    first, end, ids, at = (
        int(growth.tables.generations[name])
        for name in (kernels.OLDER_FIRST, kernels.RECENT_FIRST, kernels.OLDER, kernels.RUN_IDS)
    )
    # Sealing takes as long as some ten frames, which do not wait for it.
    return growth.storage.begin_long(partial(seal, growth.tables, first, end, at, ids, all_are=ids == end - first))


def capacity(slots: Array) -> int:
    """How many ids an index may hold: linear probing stays short while it is half empty."""
    return int(slots.size - 1) // 2


def make_room(growth: Growth, ids: int) -> int:
    """Make the tables of runs hold one more run of so many ids; returns where among the sorted ids it will begin."""
    generations = growth.tables.generations
    first = int(generations[kernels.RUN_IDS])
    end = _whole_blocks(first + ids)
    growth.grow("run_ids", end)
    growth.grow("run_rows", end)
    growth.grow("fences", end // BLOCK_IDS)
    growth.grow("runs", int(generations[kernels.RUNS]) + 1)
    return first


def seal(tables: kernels.Tables, first_row: int, end_row: int, at: int, most: int, *, all_are: bool = False) -> int:
    """Put the ids ordered by time of these bound rows, `most` at most, where the next run begins; returns how many.

    all_are: every row's id is one.

    `make_room` came before. What is written hangs on the rows alone, which never change, and nobody reads it before
    `add_run`: any thread may do this while frames go on. Raises MemoryError where there is no room to sort in.
    """
    if not most:
        return 0
    ids, rows = tables.run_ids[at : at + most], tables.run_rows[at : at + most]
    count = int(kernels.gather(tables.bound, tables.frame_times, first_row, end_row, ids, rows, all_are))
    ids, rows = ids[:count], rows[:count]
    keys = np.empty(count, np.uint64)
    if count and not kernels.sort_keys(ids, keys):
        # Stable is quickest for what many clients sent, each in its own order.
        order = np.argsort(keys, kind="stable")
        ids[:], rows[:] = ids[order], rows[order]
        if not kernels.sort_keys(ids, keys):  # keys were equal
            order = np.lexsort((ids[:, 0], ids[:, 1]))
            ids[:], rows[:] = ids[order], rows[order]
    return count


def add_run(tables: kernels.Tables, first_row: int, count: int) -> None:
    """From now on ids are found in the run that was sealed last: `count` of the bound rows from `first_row` on."""
    if not count:
        return
    generations, runs = tables.generations, tables.runs.view(np.ndarray)
    number, first = int(generations[kernels.RUNS]), int(generations[kernels.RUN_IDS])
    ids = tables.run_ids[first : first + count]
    end = _whole_blocks(first + count)
    tables.fences[first // BLOCK_IDS : end // BLOCK_IDS] = ids[::BLOCK_IDS]
    least, greatest = int(ids[0, 1]), int(ids[-1, 1])
    reach_max = max(greatest, int(runs["reach_max"][number - 1]) if number else 0)
    runs[number] = (first, first_row, count, 0, least, greatest, least, reach_max)
    # Only the newest runs can reach beyond this one: an id is late by minutes at most.
    before = number - 1
    while before >= 0 and int(runs["reach_min"][before]) > least:
        runs["reach_min"][before] = least
        before -= 1
    top = tables.tops[kernels.RUNS_TOP : kernels.RUNS_TOP + 2]
    if (greatest, int(ids[-1, 0])) > tuple(top.tolist()):
        top[:] = greatest, ids[-1, 0]
    generations[kernels.RUNS] = number + 1
    generations[kernels.RUN_IDS] = end


def rebuild(growth: Growth) -> int:
    """Make runs of all bound ids ordered by time, after the tables were filled from elsewhere; returns how many others.

    Both generations are empty then: a start has no newest ids to favour.
    """
    bound = int(growth.tables.counters[kernels.BOUND])
    most = kernels.generation_slots() // 2
    strays = bound
    for first in range(0, bound, most):
        end = min(first + most, bound)
        at = make_room(growth, end - first)
        count = seal(growth.tables, first, end, at, end - first)
        add_run(growth.tables, first, count)
        strays -= count
        growth.settle_history()
    for name in (kernels.RECENT_FIRST, kernels.RECENT_INDEXED, kernels.OLDER_INDEXED):
        growth.tables.generations[name] = bound
    return strays


def _whole_blocks(ids: int) -> int:
    """So many sorted ids and the gap behind them: a run begins at a whole block."""
    return -(-ids // BLOCK_IDS) * BLOCK_IDS
