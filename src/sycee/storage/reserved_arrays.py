"""Arrays that grow without being copied: a ledger's tables hold millions of rows and never stand still.

An array begins in a reservation of address space far larger than any machine's memory. The operating system gives a
page its memory when it is first written to, so growing is no more than looking at a longer part of the reservation,
and no frame waits while a gigabyte moves.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from concurrent.futures import Future
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.worker_thread import Executor

# More than most machines' memory, and little enough for hundreds of ledgers in one process; halved until the system
# agrees, since some systems grant only what they could also fill.
RESERVED_BYTES: Final = 1 << 36
HUGE_PAGES_BYTES_MIN: Final = 8 << 20  # a small table would take two mebibytes of memory for its first row
# So much memory is asked for before it is needed. A new page costs more than all else that a transfer does, most of all
# in a virtual machine, whose host must find it first; another thread can wait for it just as well.
AHEAD_BYTES: Final = 64 << 20
COMING_BYTES_MAX: Final = 1 << 30  # what is refused after all leaves no more memory behind than that
AHEAD_STEP_BYTES: Final = 2 << 20  # one large page
AHEAD_FROM_BYTES: Final = 16 << 20  # a small ledger should not take so much for nothing
_POPULATE_WRITE: Final = 23  # Linux's MADV_POPULATE_WRITE, which Python does not name; an older kernel refuses it
_MAP_NORESERVE: Final = 0x4000 if sys.platform == "linux" else 0  # Python 3.11 does not name it yet

beside = Executor("sycee-memory")
_asked: Future[None] | None = None  # what was asked for last


class ReservedArray:
    """Rows of one type, zero until written. `array` is as long as it was last asked to be."""

    def __init__(self, dtype: np.dtype[Any], length: int) -> None:
        self._dtype = np.dtype(dtype.base), dtype.shape
        self._row_bytes = dtype.itemsize
        self._all: Array = np.zeros((0, *dtype.shape), dtype.base)
        self._huge = False
        self._ready_bytes = 0  # from the beginning, what has memory behind it or was asked for
        self.array: Array = self._all
        if length:
            self.grow(length)

    def grow(self, length: int) -> Array:
        """Make the array `length` rows long, at least what it was. Raises MemoryError where there is no room at all."""
        if length > len(self._all):
            # The first time; later only where the system granted little address space: then growing is copying.
            old = self.array
            self._reserve(length)
            self._all[: len(old)] = old
        if not self._huge and length * self._row_bytes >= HUGE_PAGES_BYTES_MIN and hasattr(mmap, "MADV_HUGEPAGE"):
            self._huge = True
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.array = self._all[:length]
        return self.array

    def use(self, rows: int, *, coming: int = 0) -> None:
        """So many rows are in use: have memory for the next ones made ready, beside whatever is done meanwhile.

        `coming`: so many more are known to come at once, so that a small table too gets memory for them, and a large
        one for all, or COMING_BYTES_MAX. The caller may write them at once.
        """
        used_bytes = rows * self._row_bytes
        if coming:
            ahead_bytes = least_bytes = min(coming * self._row_bytes, COMING_BYTES_MAX)
        else:
            ahead_bytes, least_bytes = AHEAD_BYTES, AHEAD_BYTES // 2  # not for every page anew
        small = used_bytes < AHEAD_FROM_BYTES and not coming
        if small or used_bytes + least_bytes <= self._ready_bytes or not _libc:
            return
        start = max(self._ready_bytes, used_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
        end = min(used_bytes + ahead_bytes, self._all.nbytes)
        self._ready_bytes = end
        if start < end:
            global _asked
            _asked = beside.submit(_populate, self._all, start, end - start)

    def _reserve(self, length: int) -> None:
        needed = max(length, 1) * self._row_bytes
        size = max(RESERVED_BYTES, needed)
        while True:
            try:
                memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
                break
            except (OSError, ValueError) as error:
                if size == needed:
                    raise MemoryError(f"no address space for {needed:,} bytes") from error
                size = max(size // 2, needed)
        dtype, shape = self._dtype
        rows = size // self._row_bytes
        values = rows * int(np.prod(shape, dtype=np.int64))
        self._memory, self._huge, self._ready_bytes = memory, False, 0
        self._all = np.frombuffer(memory, dtype, values).reshape(rows, *shape)


def is_ready() -> bool:
    """Return whether all memory that was asked for is there. Until then, mapping or unmapping waits for one step."""
    return _asked is None or _asked.done()


def wait_until_ready() -> None:
    """Wait for all memory that was asked for so far."""
    beside.submit(int).result()


def _forget_asked() -> None:
    global _asked
    _asked = None


os.register_at_fork(after_in_child=_forget_asked)  # the thread that was asked is the parent's


def _libc_with_madvise() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc


_libc: Final = _libc_with_madvise()


def _populate(array: Array, start: int, size: int) -> None:
    """Give these bytes of an array memory, as a first write to each page would. Refused, that is what happens later."""
    # A step at a time, since no other thread may map or unmap memory meanwhile; and not by mmap's own method, which
    # would hold the GIL.
    for at in range(start, start + size, AHEAD_STEP_BYTES):
        _libc.madvise(array.ctypes.data + at, min(AHEAD_STEP_BYTES, start + size - at), _POPULATE_WRITE)
