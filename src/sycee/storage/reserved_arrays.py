"""Arrays that grow without being copied.

An array begins in a reservation of address space much larger than any machine's memory. The operating system allocates
a page when it is first written, so growing only lengthens the view of the reservation, and no frame waits for a copy of
gigabytes.
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

# More than most machines' memory, and small enough for hundreds of ledgers in one process; halved until the
# system agrees, since some systems grant only what they could also allocate.
RESERVED_BYTES: Final = 1 << 36
HUGE_PAGES_BYTES_MIN: Final = 8 << 20  # smaller arrays use normal pages, because one huge page has 2 MiB
# Bytes requested ahead of use. A new page costs more than the rest of a transfer, above all in a virtual machine,
# whose host must find it first; a worker thread can wait for it as well.
AHEAD_BYTES: Final = 64 << 20
EXPECTED_BYTES_MAX: Final = 1 << 30  # of the expected rows, and of the later rows, of `use`
AHEAD_STEP_BYTES: Final = 2 << 20  # one large page
RELEASED_BYTES_MAX: Final = 32 << 20  # by one call, between two frames
AHEAD_FROM_BYTES: Final = 16 << 20  # a small ledger should not allocate this much memory for nothing
_POPULATE_WRITE: Final = 23  # Linux's MADV_POPULATE_WRITE, which Python does not define; an older kernel refuses it
_MAP_NORESERVE: Final = 0x4000 if sys.platform == "linux" else 0  # Python 3.11 does not define it yet

executor = Executor("sycee-memory")
_last_memory_request: Future[None] | None = None


class ReservedArray:
    """Rows of one type, zero until written. `array` has the length of the last `grow`."""

    def __init__(self, dtype: np.dtype[Any], length: int) -> None:
        self._dtype = np.dtype(dtype.base), dtype.shape
        self._row_bytes = dtype.itemsize
        self._all: Array = np.zeros((0, *dtype.shape), dtype.base)
        self._huge = False
        self._ready_bytes = 0  # bytes from the start that are allocated or requested
        self._keeps_later = False  # only an array whose `later` was given releases memory: its rows are used in order
        self.array: Array = self._all
        if length:
            self.grow(length)

    def grow(self, length: int) -> Array:
        """Set the array's length to at least `length` rows. Raises MemoryError if no address space is left."""
        if length > len(self._all):
            # The first time; later only if the system granted little address space: growing then copies.
            old = self.array
            self._reserve(length)
            self._all[: len(old)] = old
        if not self._huge and length * self._row_bytes >= HUGE_PAGES_BYTES_MIN and hasattr(mmap, "MADV_HUGEPAGE"):
            self._huge = True
            self._memory.madvise(mmap.MADV_HUGEPAGE)
        self.array = self._all[:length]
        return self.array

    def use(self, rows: int, *, expected: int = 0, later: int = 0) -> None:
        """Record the number of rows in use, and request memory for the next rows from a worker thread.

        `expected`: further rows that follow immediately, so that a small table also gets memory for them, and
        a large one for all of them or EXPECTED_BYTES_MAX. The caller may write them immediately.

        `later`: rows that will be needed at some time, mixed with other rows. Their memory is kept ready, up to
        EXPECTED_BYTES_MAX. When they are no longer expected, this call and the next ones release it: the caller must
        not use or write rows after `rows` during the call.
        """
        used_bytes = rows * self._row_bytes
        # In whole steps: the sum of used and later rows stays equal while later rows come into use.
        kept_bytes = used_bytes + max(0, min(later * self._row_bytes, EXPECTED_BYTES_MAX))
        if later:
            self._keeps_later = True
            kept_bytes = kept_bytes // AHEAD_STEP_BYTES * AHEAD_STEP_BYTES
        ahead_bytes = least_bytes = 0
        if expected:
            ahead_bytes = least_bytes = min(expected * self._row_bytes, EXPECTED_BYTES_MAX)
        elif kept_bytes >= AHEAD_FROM_BYTES:
            # Request memory in large steps; for later rows in small ones, because they are added beside payments.
            ahead_bytes = AHEAD_BYTES
            least_bytes = AHEAD_BYTES - AHEAD_STEP_BYTES if later else AHEAD_BYTES // 2
        if not _libc:
            return
        if kept_bytes + least_bytes > max(self._ready_bytes, used_bytes):
            self._request(used_bytes, min(kept_bytes + ahead_bytes, self._all.nbytes))
        elif self._keeps_later and self._ready_bytes > (kept := kept_bytes + max(ahead_bytes, AHEAD_BYTES)):
            self._release(kept)

    def _request(self, used_bytes: int, end: int) -> None:
        """Request memory for the bytes up to `end` that are not in use."""
        start = max(self._ready_bytes, used_bytes) // mmap.PAGESIZE * mmap.PAGESIZE
        self._ready_bytes = end
        if start < end:
            global _last_memory_request
            _last_memory_request = executor.submit(self._populate, self._all, start, end)

    def _populate(self, array: Array, start: int, end: int) -> None:
        """Allocate memory for these bytes, like a first write to each page. If refused, the first write does it."""
        # In steps, since no other thread may map or unmap memory meanwhile; and not by mmap's own method, which
        # would hold the GIL.
        for at in range(start, end, AHEAD_STEP_BYTES):
            if at >= self._ready_bytes:  # released since
                return
            _libc.madvise(array.ctypes.data + at, min(AHEAD_STEP_BYTES, end - at), _POPULATE_WRITE)

    def _release(self, end: int) -> None:
        """Release memory beyond the byte `end`, at most RELEASED_BYTES_MAX. No row there was ever written."""
        start = -(-end // AHEAD_STEP_BYTES) * AHEAD_STEP_BYTES
        start = max(start, self._ready_bytes - RELEASED_BYTES_MAX)
        if start < self._ready_bytes:
            start = start // mmap.PAGESIZE * mmap.PAGESIZE
            _libc.madvise(self._all.ctypes.data + start, self._ready_bytes - start, mmap.MADV_DONTNEED)
            self._ready_bytes = start

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
    """Return whether all requested memory is allocated. Until then, mapping or unmapping waits for one step."""
    return _last_memory_request is None or _last_memory_request.done()


def wait_until_ready() -> None:
    """Wait until all requested memory is allocated."""
    executor.submit(int).result()  # an empty task, which runs after all earlier ones


def _forget_last_request() -> None:
    global _last_memory_request
    _last_memory_request = None


os.register_at_fork(after_in_child=_forget_last_request)  # the worker thread belongs to the parent process


def _libc_with_madvise() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return libc


_libc: Final = _libc_with_madvise()
