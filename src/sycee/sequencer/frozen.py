"""The tables of a state as of one frame, copied in pieces while frames continue, with the pre-images of snapshots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.memory import available_bytes
from sycee.ledger import snapshot_tables
from sycee.ledger.state import LedgerState
from sycee.ledger.state_tables import StateTables
from sycee.sequencer.log import Log
from sycee.storage.snapshot_copy import CHANGING, SnapshotCopy

PIECE_BYTES: Final = 1 << 20  # copied between two pauses: less than a millisecond, for which frames do not wait
PAUSE_S_MAX: Final = 0.1
_ANOTHER_MACHINE: Final = "use a restored copy of the bank, on another machine"
_SHARE: Final = 2  # at most this part of the free memory


class Pace:
    """Rests between pieces of long work for as long as the piece before took, while frames are written."""

    def __init__(self, log: Log) -> None:
        self._log, self._seen = log, log.last_sequence
        self._began_s = time.monotonic()

    def rest(self) -> None:
        """Pause if a frame was written since the last call."""
        if self._log.last_sequence != self._seen:
            self._seen = self._log.last_sequence
            time.sleep(min(time.monotonic() - self._began_s, PAUSE_S_MAX))
        self._began_s = time.monotonic()


class FrozenTables:
    """The tables of a state as of one frame. Create it between two frames; `Sequencer.frozen` does.

    - `sections`: arrays by name, as of `snapshot_tables.save`. Those of `CHANGING` change with each frame: read them
      through `rows`. All others are as of the frame.
    - `small`: the values of a snapshot that are no arrays. `sequence`, `anchor`: the frame. `epoch`: of the frame.
    """

    def __init__(
        self, state: LedgerState, between_frames: Callable[[], AbstractContextManager[None]], log: Log
    ) -> None:
        """Begin. Raises UnavailableError without address space for pre-images."""
        self.sequence, self.anchor, self.epoch = state.sequence, log.anchor, log.epoch
        self._copying, self._between_frames, self._log = SnapshotCopy(state), between_frames, log
        self.sections, self.small = self._copying.sections, self._copying.small

    def rows(self, name: str, first: int, count: int) -> Iterator[Array]:
        """Yield rows of a table of `CHANGING` in pieces, in order, each a copy: (k,) of the table's type.

        Read each table once: earlier rows are not kept as of the frame.
        """
        for start, end in self._pieces(name, first, count):
            piece = np.empty(end - start, self.sections[name].dtype)
            self._copy(name, start, piece)
            yield piece

    def read_into(self, name: str, array: Array) -> None:
        """Copy a whole table into an array of its shape and type."""
        if name not in CHANGING:
            array[...] = self.sections[name]
            return
        flat = array.reshape(-1)
        for start, end in self._pieces(name, 0, flat.size):
            self._copy(name, start, flat[start:end])

    def readable(self) -> StateTables:
        """Return the state as of the frame for its digest and its supply. Only the tables that change are copied.

        Raises UnavailableError if the copy would take more than half of the free memory.
        """
        require_memory(sum(self.sections[name].nbytes for name in CHANGING), "the ledger's changing tables")
        try:
            copies = {name: np.empty_like(self.sections[name]) for name in CHANGING}
        except MemoryError as error:
            raise UnavailableError(
                "there is no memory for a copy of the ledger's changing tables", hint=_ANOTHER_MACHINE
            ) from error
        for name, copy in copies.items():
            self.read_into(name, copy)
        return snapshot_tables.readable({**self.sections, **copies}, self.small)

    def end(self) -> None:
        """Stop saving the rows that frames change. Idempotent."""
        pages: Array | None = None
        with suppress(UnavailableError), self._between_frames():  # a ledger that stopped has nothing to release
            pages = self._copying.end()
        del pages  # possibly gigabytes: freed while frames continue

    def _pieces(self, name: str, first: int, count: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges of rows of each piece, with a rest between two."""
        size, pace = max(1, PIECE_BYTES // self._copying.row_bytes(name)), Pace(self._log)
        for start in range(first, first + count, size):
            yield start, min(start + size, first + count)
            pace.rest()

    def _copy(self, name: str, start: int, piece: Array) -> None:
        words = piece.view(np.uint64).reshape(piece.size, -1)
        self._copying.copy_rows(name, start, words)
        with self._between_frames():
            self._copying.restore(name, start, words)


def require_memory(wanted: int, what: str) -> None:
    """Raise UnavailableError if a copy of `wanted` bytes would take more than half of the free memory."""
    free = available_bytes()
    if wanted * _SHARE > free:
        raise UnavailableError(
            f"a copy of {what} takes {wanted >> 20:,} MiB; {free >> 20:,} MiB are free",
            hint=_ANOTHER_MACHINE,
        )
