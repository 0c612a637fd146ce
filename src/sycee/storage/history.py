"""Evict old rows from memory to a working file.

Rows that are written once and rarely read are copied to a file, and their addresses are then mapped to the file.
Readers, including kernels, find the same bytes at the same addresses. The system may drop the pages when it needs
memory, and reads them again later. The file is not part of the ledger: journal and snapshots contain everything, so the
file is unlinked and disappears with the process.

Old rows of append-only tables are final, and a worker thread evicts them. For rows that may still change, the thread
only copies them; between two frames they are compared with the copy, and equal rows are evicted.

If the system or the disk refuses, all rows stay in memory. If memory runs out during a write, the rows stay in memory
until the next attempt.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.storage import reserved_arrays

Tables = Mapping[str, tuple[Array, int]]  # by name, with the number of final rows

JOB_BYTES_MIN: Final = 64 << 20  # a smaller job is not worth its overhead
# Bytes per step. A frame's fdatasync, and a thread that needs a new page, wait for at most one step.
PIECE_BYTES: Final = 4 << 20
FREE_BYTES_MIN: Final = 1 << 30  # left free on the disk for the journal
# An id lookup reads one page of these and never the next, so read-ahead would be wasted.
_RANDOM_ACCESS: Final = ("run_ids", "run_rows")
_MAP_FIXED: Final = 0x10


@dataclass(slots=True)
class _Evicted:
    """One table's file, and the bytes of the table in it, from the start of the table if rows are final."""

    file: BinaryIO
    address: int
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Copied:
    """Changeable bytes of a table, as copied to its file."""

    name: str
    address: int  # offset in the table
    start: int
    content: Array  # (n,) u1


class History:
    """Holds about `hot_bytes` of the newest rows of a state's tables in memory, and older rows in files.

    Called by one thread, between frames. A worker thread does the slow work; it maps no row that may still change.
    """

    def __init__(self, folder: Path, hot_bytes: int) -> None:
        """Create an empty history. The working files in `folder` can become as large as all evicted rows."""
        self.hot_bytes = hot_bytes
        self.refused = ""  # reason for which old rows stay in memory, if they do
        self._folder = folder
        self._evicted: dict[str, _Evicted] = {}
        self._job: Future[None] | None = None
        self._copying: Future[Copied | None] | None = None
        self._closed = False
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sycee-history")

    def begin(self) -> None:
        """Serve a new state after this call; nothing of it is in files yet."""
        for job in (self._job, self._copying):
            if job is not None:
                job.exception()  # of the previous state: only the end of the job matters
        self._job = self._copying = None
        self._close_files()
        self._evicted = {}

    @property
    def accepts_rows(self) -> bool:
        """Return whether rows may be evicted."""
        return not (self.refused or self._closed) and _libc is not None

    def evict(self, tables: Tables, *, wait: bool = False) -> None:
        """Evict old rows if there are many.

        Returns without waiting while the last job runs; with `wait`, waits for it and for the new job. If
        rows arrive faster than the disk accepts them, it also waits for the last job, because memory is bounded.
        """
        if not self.accepts_rows:
            return
        if self._job is not None:
            behind = sum(end - start for _, _, start, end in self._old(tables))
            if not (wait or self._job.done() or behind > max(self.hot_bytes, len(tables) * JOB_BYTES_MIN)):
                return
            job, self._job = self._job, None  # first, so that an error of this job is raised once
            job.result()
        least = mmap.PAGESIZE if wait else JOB_BYTES_MIN
        todo = [(name, array, end) for name, array, start, end in self._old(tables) if end - start >= least]
        if todo:
            try:
                self._job = self._executor.submit(self._evict, todo)
            except (RuntimeError, MemoryError) as error:  # the thread did not start
                self._refuse(error)
            else:
                if wait:
                    self._job.result()

    def begin_loading(self, tables: Tables) -> None:
        """Write old rows to the files while other threads fill the tables.

        Only for tables without rows in files. Call `finish_loading` when all rows are filled.
        """
        if not self.accepts_rows:
            return
        try:
            for name, array, _, end in self._old(tables):
                if end >= JOB_BYTES_MIN:
                    evicted = self._file_of(name, array)
                    self._check_disk_space(end)
                    os.posix_fallocate(evicted.file.fileno(), 0, end)
                    _map(evicted.address, end, evicted.file.fileno(), 0, mmap.MAP_SHARED)
                    evicted.bytes = end
        except OSError as error:
            self._refuse(error)

    def finish_loading(self) -> None:
        """Finish loading. Raises UnavailableError if the disk refused rows: the tables are then unusable."""
        try:
            for name, evicted in self._evicted.items():
                if not evicted.bytes:
                    continue
                os.fdatasync(evicted.file.fileno())
                _map(evicted.address, evicted.bytes, evicted.file.fileno(), 0)
                _advise(name, evicted.address, evicted.bytes)
        except OSError as error:
            self._refuse(error)
            raise UnavailableError(self.refused, hint="look at the disk that the ledger's folder is on") from error

    def copy(
        self, name: str, array: Array, start: int, stop: int, may_go: Callable[[Array], bool]
    ) -> Future[Copied | None]:
        """Start copying these bytes of a table, whole pages, to its file; pass the result to `evict_copied`.

        Returns None if `may_go` refuses their rows, or if the disk refused earlier.
        """
        try:
            self._copying = self._executor.submit(self._copy, name, array, start, stop, may_go)
        except (RuntimeError, MemoryError) as error:  # the thread does not start
            self._refuse(error)
            self._copying = Future()
            self._copying.set_result(None)
        return self._copying

    def evict_copied(self, copied: Copied) -> bool:
        """Map the copied bytes from the file if memory still has the same bytes; return whether it does.

        Call between two frames. A later write brings its page back to memory; the file does not change.
        """
        self._copying = None
        evicted, size = self._evicted.get(copied.name), copied.content.nbytes
        if not self.accepts_rows or evicted is None or evicted.address != copied.address:
            return False
        address = evicted.address + copied.start
        if _libc.memcmp(address, copied.content.ctypes.data, size) != 0:
            return False
        try:
            _map(address, size, evicted.file.fileno(), copied.start)
        except OSError as error:
            self._refuse(error)
            return False
        evicted.bytes += size
        return True

    def evicted_bytes(self) -> int:
        """Return the number of bytes in files."""
        return sum(evicted.bytes for evicted in self._evicted.values())

    def close(self) -> None:
        """Stop all jobs. Rows in files stay readable as long as their tables exist."""
        self._closed = True
        self._executor.shutdown()
        self._close_files()

    def _close_files(self) -> None:
        for evicted in self._evicted.values():
            evicted.file.close()

    def _old(self, tables: Tables) -> list[tuple[str, Array, int, int]]:
        """Return for each table the range of old bytes, whole pages, that are not in a file yet."""
        kept_rows = self.hot_bytes // sum(_row_bytes(array) for array, _ in tables.values())
        found = []
        for name, (array, rows) in tables.items():
            end = max(rows - kept_rows, 0) * _row_bytes(array) // mmap.PAGESIZE * mmap.PAGESIZE
            evicted = self._evicted.get(name)
            start = evicted.bytes if evicted and evicted.address == array.ctypes.data else 0
            found.append((name, array, start, max(start, end)))
        return found

    def _evict(self, todo: list[tuple[str, Array, int]]) -> None:
        if not self.accepts_rows:
            return
        try:
            # Otherwise memory requested earlier could be allocated over the new mapping.
            reserved_arrays.wait_until_ready()
            for name, array, end in todo:
                self._evict_one(name, array, end)
        except OSError as error:
            self._refuse(error)
        except MemoryError:
            return  # the next job begins where this one stopped

    def _evict_one(self, name: str, array: Array, end: int) -> None:
        evicted = self._file_of(name, array)
        content, file = array.reshape(-1).view(np.uint8).data, evicted.file.fileno()
        while evicted.bytes < end and not self._closed:
            start, stop = evicted.bytes, min(evicted.bytes + PIECE_BYTES, end)
            self._check_disk_space(stop - start)
            _write(file, content[start:stop], start)
            # Without this fsync the system could drop bytes that it failed to write, without an error.
            os.fdatasync(file)
            _map(evicted.address + start, stop - start, file, start)
            _advise(name, evicted.address + start, stop - start)
            evicted.bytes = stop

    def _copy(self, name: str, array: Array, start: int, stop: int, may_go: Callable[[Array], bool]) -> Copied | None:
        row_bytes = _row_bytes(array)
        try:
            if not (self.accepts_rows and may_go(array[start // row_bytes : -(-stop // row_bytes)])):
                return None
            reserved_arrays.wait_until_ready()  # as in _evict
            evicted, content = self._file_of(name, array), np.empty(stop - start, np.uint8)
            # The copy may be torn by the frame being applied: memory then differs from it.
            np.copyto(content, array.reshape(-1).view(np.uint8)[start:stop])
            self._check_disk_space(stop - start)
            _write(evicted.file.fileno(), content.data, start)
            os.fdatasync(evicted.file.fileno())
            return Copied(name, evicted.address, start, content)
        except OSError as error:
            self._refuse(error)
        except MemoryError:
            pass  # the next check finds the rows again
        return None

    def _file_of(self, name: str, array: Array) -> _Evicted:
        address = array.ctypes.data
        evicted = self._evicted.get(name)
        if evicted is None or evicted.address != address:  # the table was moved, with all its rows in memory
            if evicted is not None:
                evicted.file.close()
            file = cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder, buffering=0))  # noqa: SIM115  closed above
            evicted = self._evicted[name] = _Evicted(file, address)
        return evicted

    def _check_disk_space(self, size: int) -> None:
        usage = os.statvfs(self._folder)
        if usage.f_bavail * usage.f_frsize < size + FREE_BYTES_MIN:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _refuse(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        self.refused = f"old rows stay in memory: {self._folder}: {reason}"


def _row_bytes(array: Array) -> int:
    return int(array.dtype.itemsize * np.prod(array.shape[1:], dtype=np.int64))


def _write(file: int, content: memoryview, offset: int) -> None:
    while content.nbytes:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written


def _map(address: int, size: int, file: int, offset: int, sharing: int = mmap.MAP_PRIVATE) -> None:
    """Map these addresses to a part of the file, atomically. Private: a write stays in this process."""
    found = _libc.mmap(address, size, mmap.PROT_READ | mmap.PROT_WRITE, sharing | _MAP_FIXED, file, offset)
    if found != address:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _advise(name: str, address: int, size: int) -> None:
    if name in _RANDOM_ACCESS:
        _libc.madvise(address, size, mmap.MADV_RANDOM)


def _libc_with_mmap() -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    libc.memcmp.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    return libc


_libc: Final = _libc_with_mmap()
