"""Lookup in sorted runs of older ids: 20 bytes per id, found by the id's own time.

A run holds the time-ordered ids of one contiguous range of bound rows. Ids are bound nearly in order, so one id is in
the range of one or two runs. `reach_min` and `reach_max` never decrease from one run to the next; bisection on them
finds the runs that may hold an id. One fence per block of 256 ids limits the search to one page of `run_ids`.
"""

from __future__ import annotations

import numpy as np

from sycee.ledger.kernels import constants as c
from sycee.ledger.kernels.inline import njit


@njit(forceinline=True)
def _is_less(ids, at, low, high):
    """Return whether the id at this position is less than the given one."""
    return ids[at, 1] < high or (ids[at, 1] == high and ids[at, 0] < low)


@njit
def _find_in_run(run, run_ids, run_rows, fences, low, high):
    """Return the bound row of the id in one run, or -1."""
    end = run.first + np.int64(run.count)
    # The last block whose first id is not greater.
    least = run.first >> c.BLOCK_BITS
    most = (end - 1) >> c.BLOCK_BITS
    while least < most:
        middle = (least + most + 1) >> 1
        if _is_less(fences, middle, low, high) or (fences[middle, 1] == high and fences[middle, 0] == low):
            least = middle
        else:
            most = middle - 1
    at = least << c.BLOCK_BITS
    most = min(at + (1 << c.BLOCK_BITS), end)
    end = most
    while at < most:
        middle = (at + most) >> 1
        if _is_less(run_ids, middle, low, high):
            at = middle + 1
        else:
            most = middle
    if at < end and run_ids[at, 1] == high and run_ids[at, 0] == low:
        return run.first_row + np.int64(run_rows[at])
    return np.int64(-1)


@njit
def find_in_runs(runs, count, run_ids, run_rows, fences, low, high):
    """Return the bound row of the id in the first `count` runs, or -1."""
    at = np.int64(0)
    most = count
    while at < most:
        middle = (at + most) >> 1
        if runs[middle].reach_max < high:
            at = middle + 1
        else:
            most = middle
    while at < count and runs[at].reach_min <= high:
        if runs[at].min_high <= high <= runs[at].max_high:
            row = _find_in_run(runs[at], run_ids, run_rows, fences, low, high)
            if row >= 0:
                return row
        at += 1
    return np.int64(-1)
