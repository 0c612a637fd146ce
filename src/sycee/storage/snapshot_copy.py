"""A state as it was at one frame, copied piece by piece while frames go on.

What only grows is taken as it stands: rows that are there do not change. Small tables are copied at the beginning.
The large ones whose rows change are copied a piece at a time, torn by whatever frame is just being applied, and then,
between two frames, every row that was written to since the beginning is put back as it was (`kernels.preimages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.ledger import kernels, snapshot_tables
from sycee.storage.reserved_arrays import ReservedArray

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState


# In the order of kernels' COPIED_ constants, which number them.
CHANGING: Final = (
    "accounts", "purses", "holds", "hold_legs", "transits", "staged", "batches", "group_bits", "refunds",
)  # fmt: skip
_ONLY_GROWING: Final = ("movements", "bound", "keys", "frame_times")
_BITS_PER_WORD: Final = 64


class SnapshotCopy:
    """One copy of a state. Making and ending one needs the state to stand still; so does `settle`."""

    def __init__(self, state: LedgerState) -> None:
        """Begin. Raises UnavailableError where there is no address space for what is kept meanwhile."""
        sections, self.small = snapshot_tables.save(state)
        self.rules, self.movement_digest = state.rules, state.movement_digest
        # What changes comes first, so that the ledger is done keeping pre-images as soon as can be. The views of the
        # large tables stay what they are however these grow, for a growing array never moves.
        self.sections: dict[str, Array] = {name: sections[name] for name in CHANGING}
        for name, array in sections.items():
            if name not in CHANGING:
                self.sections[name] = array if name in _ONLY_GROWING else array.copy()
        self._state = state
        self._words = {name: _words_of(self.sections[name]) for name in CHANGING}
        self._known = dict.fromkeys(CHANGING, 0)  # how many pre-images of each were there when frames last stood still
        plan, size = np.zeros_like(state.tables.copying), 0
        for number, words in enumerate(self._words.values()):
            rows, row_words = words.shape
            marks, images = size, size + -(-rows // _BITS_PER_WORD) + rows
            plan[number] = 0, rows, 0, marks, images - rows, images, row_words
            size = images + rows * row_words
        try:
            kept = ReservedArray(np.dtype("<u8"), max(size, 1)).array
        except MemoryError as error:
            raise UnavailableError(
                f"there is no room for a copy of the state: {error}", hint="close the ledger, which writes one at rest"
            ) from error
        state.tables.copying[:] = plan
        state.tables = state.tables._replace(kept=kept)
        state.tables.counters[kernels.KEEPING] |= kernels.COPY

    def row_bytes(self, name: str) -> int:
        """Bytes of a row of a table that changes."""
        return 8 * int(self._words[name].shape[1])

    def take(self, name: str, first: int, piece: Array) -> None:
        """Copy rows of a table that changes, from `first` on, into `piece`, (rows, words) u64, while frames go on."""
        np.copyto(piece, self._words[name][first : first + len(piece)])
        self._put_over(name, 0, self._known[name], first, piece)

    def settle(self, name: str, first: int, piece: Array) -> None:
        """Make what `take` took what it was at the beginning. Between two frames, piece after piece in order."""
        columns = self._state.tables.copying[CHANGING.index(name)]
        kept = int(columns[kernels.COPY_KEPT])
        self._put_over(name, self._known[name], kept, first, piece)
        self._known[name] = kept
        columns[kernels.COPY_DONE] = first + len(piece)

    def _put_over(self, name: str, start: int, stop: int, first: int, piece: Array) -> None:
        tables = self._state.tables
        kernels.overlay(tables.copying, tables.kept, CHANGING.index(name), start, stop, first, piece)

    def end(self) -> Array:
        """Keep nothing any more: all is taken, or given up. Between two frames; a second time it does nothing.

        Returns the memory of what was kept, which goes back to the system when the caller lets go of it.
        """
        tables = self._state.tables
        kept: Array = tables.kept
        tables.counters[kernels.KEEPING] &= ~kernels.COPY
        tables.copying[:] = 0
        self._state.tables = tables._replace(kept=np.zeros(1, np.uint64))
        return kept


def _words_of(array: Array) -> Array:
    """Rows of any type as (rows, words) u64, uncopied."""
    rows = array.reshape(-1)
    return rows.view(np.uint64).reshape(rows.size, rows.dtype.itemsize // 8)
