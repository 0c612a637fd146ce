"""Copy a state as of one frame, piece by piece, while frames continue.

Append-only tables are used as they are: existing rows do not change. Small tables are copied at the start. Large tables
with changing rows are copied in pieces, which the frame being applied may tear; between two frames every row written
since the start is restored from its pre-image (`kernels.preimages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.ledger import snapshot_tables
from sycee.ledger.kernels import constants, indexes
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
    """One copy of a state. Create and end it, and call `restore`, between two frames."""

    def __init__(self, state: LedgerState) -> None:
        """Begin the copy. Raises UnavailableError without address space for pre-images."""
        sections, self.small = snapshot_tables.save(state)
        self.rules, self.movement_digest = state.rules, state.movement_digest
        # Changing tables are first, so that the ledger can soon stop saving pre-images. Views of the large tables
        # stay valid while these grow, since a growing array never moves.
        self.sections: dict[str, Array] = {name: sections[name] for name in CHANGING}
        for name, array in sections.items():
            if name not in CHANGING:
                self.sections[name] = array if name in _ONLY_GROWING else array.copy()
        self._state = state
        self._words = {name: _words_of(self.sections[name]) for name in CHANGING}
        self._counts = dict.fromkeys(CHANGING, 0)  # number of pre-images of each table at the last call between frames
        plan, size = np.zeros_like(state.tables.copying), 0
        for number, words in enumerate(self._words.values()):
            rows, row_words = words.shape
            bitmap, images = size, size + -(-rows // _BITS_PER_WORD) + rows
            plan[number] = 0, rows, 0, bitmap, images - rows, images, row_words
            size = images + rows * row_words
        try:
            preimages = ReservedArray(np.dtype("<u8"), max(size, 1)).array
        except MemoryError as error:
            raise UnavailableError(
                f"there is no address space for a copy of the state: {error}",
                hint="close the ledger, which writes a snapshot at its end",
            ) from error
        state.tables.copying[:] = plan
        state.tables = state.tables.replaced(preimages=preimages)
        state.tables.counters[constants.PREIMAGE_MODE] |= constants.COPY
        self.is_running = True

    def row_bytes(self, name: str) -> int:
        """Return the bytes of a row of a changing table."""
        return 8 * int(self._words[name].shape[1])

    def copy_rows(self, name: str, first: int, piece: Array) -> None:
        """Copy rows of a changing table from row `first` to `piece`, (rows, words) u64, while frames continue."""
        np.copyto(piece, self._words[name][first : first + len(piece)])
        self._restore_piece(name, 0, self._counts[name], first, piece)

    def restore(self, name: str, first: int, piece: Array) -> None:
        """Restore rows copied by `copy_rows` to their values at the start. Call between two frames, in order."""
        columns = self._state.tables.copying[CHANGING.index(name)]
        count = int(columns[constants.COPY_PREIMAGES])
        self._restore_piece(name, self._counts[name], count, first, piece)
        self._counts[name] = count
        columns[constants.COPY_DONE] = first + len(piece)

    def _restore_piece(self, name: str, start: int, stop: int, first: int, piece: Array) -> None:
        tables = self._state.tables
        indexes.apply_preimages(tables.copying, tables.preimages, CHANGING.index(name), start, stop, first, piece)

    def end(self) -> Array:
        """Stop saving pre-images: everything is copied, or the copy is abandoned. Call between two frames; idempotent.

        Returns the memory of the pre-images, which is released with the caller's last reference.
        """
        if not self.is_running:  # the pre-images may be those of another copy
            return np.zeros(0, np.uint64)
        tables = self._state.tables
        preimages: Array = tables.preimages
        tables.counters[constants.PREIMAGE_MODE] &= ~constants.COPY
        tables.copying[:] = 0
        self._state.tables = tables.replaced(preimages=np.zeros(1, np.uint64))
        self.is_running = False
        return preimages


def _words_of(array: Array) -> Array:
    """Return rows of any type as (rows, words) u64, without a copy."""
    rows = array.reshape(-1)
    return rows.view(np.uint64).reshape(rows.size, rows.dtype.itemsize // 8)
