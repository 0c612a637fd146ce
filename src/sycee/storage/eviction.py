"""Evict blocks of purses from memory when no further write is expected; their addresses stay the same.

A programme's block is due when the longest refund window has passed since its end. A piece of it is evicted when all
its purses are expired. A late reversal, or a refund by a payee without a refund window, may still write to a purse;
results never depend on where its bytes are stored. A piece is therefore copied to a file concurrently with frames, and
between two frames it is evicted only if no write has changed it since (`History.evict_copied`). Otherwise it waits for
the next check.
"""

from __future__ import annotations

import mmap
from collections import deque
from concurrent.futures import Future
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.records.layout import PURSE, PurseState
from sycee.ledger import kernels
from sycee.storage import reserved_arrays
from sycee.storage.history import Copied, History

PIECE_BYTES: Final = 2 << 20  # one large page, so that none is split; mapping delays a frame by 1 ms at most
BLOCK_BYTES_MIN: Final = 1 << 20  # smaller pieces are not worth a mapping: a process has about 65,000
CHECK_INTERVAL_NS: Final = 3_600 * 10**9  # ledger time between two checks for blocks that have become due
REFUND_WINDOW_S_MIN: Final = 86_400  # for rule sets without a refund window, whose shops may refund at any time
NS_PER_S: Final = 10**9


class Eviction:
    """Evicts blocks of one state's purses, one piece between two frames."""

    def __init__(self, history: History) -> None:
        self.next_check_ns = 0  # nothing is due before this time
        self._history = history
        self._due: deque[tuple[int, int]] = deque()  # due programmes, and the end of the table's last whole page
        self._evicted_until = np.zeros(0, np.int64)  # of each programme's block, in bytes of the table
        self._address = 0  # the table to which these values belong
        self._copying: Future[Copied | None] | None = None

    def evict_next(self, tables: kernels.Tables, now_ns: int, *, wait: bool = False) -> None:
        """Evict one piece if it is due and copied; all due pieces with `wait`. Call between two frames."""
        purses = tables.purses.view(np.ndarray)
        if purses.ctypes.data != self._address:  # the table was moved, with all its rows in memory
            self._address, self._evicted_until, self._copying = purses.ctypes.data, np.zeros(0, np.int64), None
            self._due.clear()
        if not self._history.accepts_rows:
            self._due.clear()
        elif not self._due:
            self._due.extend(self._found(tables, now_ns))
        while self._due:
            self._next_piece(purses, wait=wait)
            if not wait:
                break
        self.next_check_ns = now_ns if self._due else now_ns + CHECK_INTERVAL_NS

    def _found(self, tables: kernels.Tables, now_ns: int) -> list[tuple[int, int]]:
        """Return the blocks that may be due. The copy later checks that all purses are expired."""
        programmes, rule_sets = tables.programmes.view(np.ndarray), tables.rule_sets.view(np.ndarray)
        window_s = max(int(rule_sets["refund_window_s"].max()), REFUND_WINDOW_S_MIN)
        is_over = rule_sets["until_ns"][programmes["rule_set"]] <= now_ns - window_s * NS_PER_S
        first = programmes["first_purse"] * PURSE.itemsize
        start = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = (first + programmes["count"].astype(np.int64) * PURSE.itemsize) // mmap.PAGESIZE * mmap.PAGESIZE
        start[: self._evicted_until.size] = np.maximum(start[: self._evicted_until.size], self._evicted_until)
        self._evicted_until = start
        is_due = is_over & (programmes["defined"] != 0) & (stop - first >= BLOCK_BYTES_MIN) & (start < stop)
        return [(number, int(stop[number])) for number in np.flatnonzero(is_due).tolist()]

    def _next_piece(self, purses: Array, *, wait: bool) -> None:
        """Evict the piece that was copied last, and start the copy of the next one."""
        if self._copying is not None:
            # Mapping during the allocation of new pages would delay the frame by one step of it.
            if not (wait or (self._copying.done() and reserved_arrays.is_ready())):
                return
            copying, self._copying = self._copying, None  # first, so that an error of this copy is raised once
            copied = copying.result()
            programme, stop = self._due[0]
            if copied is None or not self._history.evict_copied(copied):
                self._due.popleft()  # the rest waits for the next check
            else:
                self._evicted_until[programme] += copied.content.nbytes
                if self._evicted_until[programme] == stop:
                    self._due.popleft()
        if self._due:
            programme, stop = self._due[0]
            start = int(self._evicted_until[programme])
            stop = min((start // PIECE_BYTES + 1) * PIECE_BYTES, stop)
            self._copying = self._history.copy("purses", purses, start, stop, _are_expired)


def _are_expired(purses: Array) -> bool:
    return bool((purses["state"] == PurseState.EXPIRED).all())
