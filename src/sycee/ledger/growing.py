"""Arrays that grow without being copied: a ledger's tables hold millions of rows and never stand still.

An array begins in a reservation of address space far larger than any machine's memory. The operating system gives a
page its memory when it is first written to, so growing is no more than looking at a longer part of the reservation,
and no frame waits while a gigabyte moves.
"""

from __future__ import annotations

import mmap
import sys
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, Any]

# More than most machines' memory, and little enough for hundreds of ledgers in one process; halved until the system
# agrees, since some systems grant only what they could also fill.
RESERVED_BYTES: Final = 1 << 36
_MAP_NORESERVE: Final = 0x4000 if sys.platform == "linux" else 0  # Python 3.11 does not name it yet


class GrowingArray:
    """Rows of one type, zero until written. `array` is as long as it was last asked to be."""

    def __init__(self, dtype: np.dtype[Any], length: int) -> None:
        self._dtype = dtype
        self._reserve(length)
        self.array: Array = self._all[:length]

    def grow(self, length: int) -> Array:
        """Make the array `length` rows long, at least what it was. Raises MemoryError where there is no room at all."""
        if length > self._all.size:
            # Only where the system granted little address space: then growing is copying after all.
            old = self.array
            self._reserve(length)
            self._all[: old.size] = old
        self.array = self._all[:length]
        return self.array

    def _reserve(self, length: int) -> None:
        needed = max(length, 1) * self._dtype.itemsize
        size = max(RESERVED_BYTES, needed)
        while True:
            try:
                memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
                break
            except (OSError, ValueError) as error:
                if size == needed:
                    raise MemoryError(f"no address space for {needed:,} bytes") from error
                size = max(size // 2, needed)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        self._all: Array = np.frombuffer(memory, self._dtype, size // self._dtype.itemsize)
