"""Evict blocks of purses from memory when no write to them is expected any more; their addresses stay the same.

A programme's block is due when the longest refund window has passed since its end, and a piece of it goes when all its
purses are expired. One may be written to all the same, by a late reversal or by the refund of a payee who has no
window: no answer hangs on where its bytes stand. So a piece is copied to a file beside the frames, and between two
frames it is evicted only if no write has changed it since (`History.let_go`). Otherwise it waits for the next look.
"""

from __future__ import annotations

import mmap
from collections import deque
from concurrent.futures import Future
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.ledger import kernels
from sycee.ledger.layout import PURSE, PurseState
from sycee.storage import reserved_arrays
from sycee.storage.history import Copied, History

PIECE_BYTES: Final = 2 << 20  # one large page, so that none is split; a frame waits a millisecond at most while it goes
BLOCK_BYTES_MIN: Final = 1 << 20  # less is not worth a mapping of its own, of which a process has some 65,000
LOOK_NS: Final = 3_600 * 10**9  # of the ledger's time, between two looks for blocks that have become due
WINDOW_S_MIN: Final = 86_400  # where no rule set has a refund window, and shops give back when they like
NS_PER_S: Final = 10**9


class Eviction:
    """Lets blocks of one state's purses leave memory, a piece between two frames."""

    def __init__(self, history: History) -> None:
        self.goes_on_ns = 0  # before this time there is nothing to do
        self._history = history
        self._due: deque[tuple[int, int]] = deque()  # programmes, and where in the table the last whole page ends
        self._left = np.zeros(0, np.int64)  # of each programme: to which byte of the table its block has left
        self._address = 0  # of the table that all this is about
        self._copying: Future[Copied | None] | None = None

    def go_on(self, tables: kernels.Tables, now_ns: int, *, wait: bool = False) -> None:
        """Let one piece go if it is due and copied; all that are due, if told to `wait`. For between two frames."""
        purses = tables.purses.view(np.ndarray)
        if purses.ctypes.data != self._address:  # the table moved, and with it came all its rows
            self._address, self._left, self._copying = purses.ctypes.data, np.zeros(0, np.int64), None
            self._due.clear()
        if not self._history.takes_rows:
            self._due.clear()
        elif not self._due:
            self._due.extend(self._found(tables, now_ns))
        while self._due:
            self._next_piece(purses, wait=wait)
            if not wait:
                break
        self.goes_on_ns = now_ns if self._due else now_ns + LOOK_NS

    def _found(self, tables: kernels.Tables, now_ns: int) -> list[tuple[int, int]]:
        """The blocks that may be due. Whether all purses are expired is seen when they are copied."""
        programmes, rule_sets = tables.programmes.view(np.ndarray), tables.rule_sets.view(np.ndarray)
        window_s = max(int(rule_sets["refund_window_s"].max()), WINDOW_S_MIN)
        is_over = rule_sets["until_ns"][programmes["rule_set"]] <= now_ns - window_s * NS_PER_S
        first = programmes["first_purse"] * PURSE.itemsize
        start = -(-first // mmap.PAGESIZE) * mmap.PAGESIZE
        stop = (first + programmes["count"].astype(np.int64) * PURSE.itemsize) // mmap.PAGESIZE * mmap.PAGESIZE
        start[: self._left.size] = np.maximum(start[: self._left.size], self._left)
        self._left = start
        is_due = is_over & (programmes["defined"] != 0) & (stop - first >= BLOCK_BYTES_MIN) & (start < stop)
        return [(number, int(stop[number])) for number in np.flatnonzero(is_due).tolist()]

    def _next_piece(self, purses: Array, *, wait: bool) -> None:
        """Let go of the piece that was copied last, and have the next one copied."""
        if self._copying is not None:
            # Mapped while memory is made ready, it would hold up the frame for as long as a step of that takes.
            if not (wait or (self._copying.done() and reserved_arrays.is_ready())):
                return
            copying, self._copying = self._copying, None  # first: an error of this copy is raised once
            copied = copying.result()
            programme, stop = self._due[0]
            if copied is None or not self._history.let_go(copied):
                self._due.popleft()  # the rest waits for the next look
            else:
                self._left[programme] += copied.content.nbytes
                if self._left[programme] == stop:
                    self._due.popleft()
        if self._due:
            programme, stop = self._due[0]
            start = int(self._left[programme])
            stop = min((start // PIECE_BYTES + 1) * PIECE_BYTES, stop)
            self._copying = self._history.copy("purses", purses, start, stop, _are_expired)


def _are_expired(purses: Array) -> bool:
    return bool((purses["state"] == PurseState.EXPIRED).all())
