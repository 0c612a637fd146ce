"""Old rows in a working file instead of memory.

Rows that were written once and are seldom read are copied to a file, and the addresses at which they stand are then
mapped to that file. Readers, kernels included, find the same bytes at the same addresses. The system may take the
memory back whenever it needs it, and read the rows again later. The file is no part of the ledger: the journal and the
snapshots have everything, so it has no name, and is gone with the process.

Of tables that are only appended to, old rows are final, and another thread does all of it. Rows that may still change
it only copies to the file; between two frames they are compared with what was copied, and what is the same then goes.

Where the system cannot do this, or the disk refuses, all rows stay in memory. Where memory runs out while rows are
written, they stay in memory until the next attempt.
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

Tables = Mapping[str, tuple[Array, int]]  # by name, each with how many rows are final

STRETCH_BYTES: Final = 64 << 20  # less is not worth a job
# At once. A frame that is made durable meanwhile waits for no more than that, and so does a thread that needs a new
# page while the mapping changes.
PIECE_BYTES: Final = 4 << 20
FREE_BYTES_MIN: Final = 1 << 30  # is left on the disk: the journal needs it more
# An id is looked for in one page of these and never in the next one, so that to read ahead would be for nothing.
_SOUGHT: Final = ("run_ids", "run_rows")
_MAP_FIXED: Final = 0x10


@dataclass(slots=True)
class _Settled:
    """One table's file, and how much of the table stands in it: bytes, from the beginning where rows are final."""

    file: BinaryIO
    address: int
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Copied:
    """Bytes of a table that may still change, as they stand in its file."""

    name: str
    address: int  # of the table
    start: int
    content: Array  # (n,) u1


class History:
    """Keeps about `hot_bytes` of the newest rows of a state's tables in memory, and older ones in files.

    Used by one thread, between frames; what takes long is done by another, which maps no row that may still change.
    """

    def __init__(self, folder: Path, hot_bytes: int) -> None:
        """`folder` is for the working files; they can become as large as all of history."""
        self.hot_bytes = hot_bytes
        self.refused = ""  # why old rows stay in memory, once they do
        self._folder = folder
        self._settled: dict[str, _Settled] = {}
        self._job: Future[None] | None = None
        self._copying: Future[Copied | None] | None = None
        self._closed = False
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="sycee-history")

    def begin(self) -> None:
        """A new state uses this from now on, and no other: nothing of it is in files yet."""
        for job in (self._job, self._copying):
            if job is not None:
                job.exception()  # of the state before: only the end of the job matters
        self._job = self._copying = None
        self._close_files()
        self._settled = {}

    @property
    def takes_rows(self) -> bool:
        """Whether rows may go to files at all."""
        return not (self.refused or self._closed) and _libc is not None

    def settle(self, tables: Tables, *, wait: bool = False) -> None:
        """Let old rows go to the files where much has come.

        Does nothing while the last such job is at work, unless told to `wait` for it and for this one. But where rows
        come faster than the disk takes them, it waits for the last one: memory would not do for ever.
        """
        if not self.takes_rows:
            return
        if self._job is not None:
            behind = sum(end - start for _, _, start, end in self._old(tables))
            if not (wait or self._job.done() or behind > max(self.hot_bytes, len(tables) * STRETCH_BYTES)):
                return
            job, self._job = self._job, None  # first: an error of this job is raised once
            job.result()
        least = mmap.PAGESIZE if wait else STRETCH_BYTES
        todo = [(name, array, end) for name, array, start, end in self._old(tables) if end - start >= least]
        if todo:
            try:
                self._job = self._beside.submit(self._settle, todo)
            except (RuntimeError, MemoryError) as error:  # the thread does not start
                self._refuse(error)
            else:
                if wait:
                    self._job.result()

    def take_in(self, tables: Tables) -> None:
        """Let the old ones of rows that are about to be filled, by any threads, go to the files as they are written.

        For tables of which nothing is in files. `taken_in` follows when all are filled.
        """
        if not self.takes_rows:
            return
        try:
            for name, array, _, end in self._old(tables):
                if end >= STRETCH_BYTES:
                    settled = self._file_of(name, array)
                    self._check_room(end)
                    os.posix_fallocate(settled.file.fileno(), 0, end)
                    _map(settled.address, end, settled.file.fileno(), 0, mmap.MAP_SHARED)
                    settled.bytes = end
        except OSError as error:
            self._refuse(error)

    def taken_in(self) -> None:
        """All is filled. Raises UnavailableError where the disk did not take it: the tables are of no use then."""
        try:
            for name, settled in self._settled.items():
                if not settled.bytes:
                    continue
                os.fdatasync(settled.file.fileno())
                _map(settled.address, settled.bytes, settled.file.fileno(), 0)
                _advise(name, settled.address, settled.bytes)
        except OSError as error:
            self._refuse(error)
            raise UnavailableError(self.refused, hint="look at the disk that the ledger's folder is on") from error

    def copy(
        self, name: str, array: Array, start: int, stop: int, may_go: Callable[[Array], bool]
    ) -> Future[Copied | None]:
        """Have these bytes of a table, whole pages, written to its file beside the frames; `let_go` takes the result.

        None where `may_go` says no of the rows that they are of, or where the disk refuses.
        """
        try:
            self._copying = self._beside.submit(self._copy, name, array, start, stop, may_go)
        except (RuntimeError, MemoryError) as error:  # the thread does not start
            self._refuse(error)
            self._copying = Future()
            self._copying.set_result(None)
        return self._copying

    def let_go(self, copied: Copied) -> bool:
        """Read from the file what was copied to it, if memory has the same still; returns whether it has.

        For between two frames. A later write brings its page back into memory; the file does not change.
        """
        self._copying = None
        settled, size = self._settled.get(copied.name), copied.content.nbytes
        if not self.takes_rows or settled is None or settled.address != copied.address:
            return False
        address = settled.address + copied.start
        if _libc.memcmp(address, copied.content.ctypes.data, size) != 0:
            return False
        try:
            _map(address, size, settled.file.fileno(), copied.start)
        except OSError as error:
            self._refuse(error)
            return False
        settled.bytes += size
        return True

    def settled_bytes(self) -> int:
        """How much of history stands in files now."""
        return sum(settled.bytes for settled in self._settled.values())

    def close(self) -> None:
        """Begin nothing more. What stands in files stays readable as long as its tables are there."""
        self._closed = True
        self._beside.shutdown()
        self._close_files()

    def _close_files(self) -> None:
        for settled in self._settled.values():
            settled.file.close()

    def _old(self, tables: Tables) -> list[tuple[str, Array, int, int]]:
        """Of each table from which byte to which one, whole pages, it is old and in no file."""
        kept_rows = self.hot_bytes // sum(_row_bytes(array) for array, _ in tables.values())
        found = []
        for name, (array, rows) in tables.items():
            end = max(rows - kept_rows, 0) * _row_bytes(array) // mmap.PAGESIZE * mmap.PAGESIZE
            settled = self._settled.get(name)
            start = settled.bytes if settled and settled.address == array.ctypes.data else 0
            found.append((name, array, start, max(start, end)))
        return found

    def _settle(self, todo: list[tuple[str, Array, int]]) -> None:
        if not self.takes_rows:
            return
        try:
            # Or memory that was asked for before would be given to what is mapped now.
            reserved_arrays.wait_until_ready()
            for name, array, end in todo:
                self._settle_one(name, array, end)
        except OSError as error:
            self._refuse(error)
        except MemoryError:
            return  # the next job begins where this one stopped

    def _settle_one(self, name: str, array: Array, end: int) -> None:
        settled = self._file_of(name, array)
        content, file = array.reshape(-1).view(np.uint8).data, settled.file.fileno()
        while settled.bytes < end and not self._closed:
            start, stop = settled.bytes, min(settled.bytes + PIECE_BYTES, end)
            self._check_room(stop - start)
            _write(file, content[start:stop], start)
            # After this the system could drop bytes that the disk failed to write, without an error.
            os.fdatasync(file)
            _map(settled.address + start, stop - start, file, start)
            _advise(name, settled.address + start, stop - start)
            settled.bytes = stop

    def _copy(self, name: str, array: Array, start: int, stop: int, may_go: Callable[[Array], bool]) -> Copied | None:
        row_bytes = _row_bytes(array)
        try:
            if not (self.takes_rows and may_go(array[start // row_bytes : -(-stop // row_bytes)])):
                return None
            reserved_arrays.wait_until_ready()  # as in _settle
            settled, content = self._file_of(name, array), np.empty(stop - start, np.uint8)
            # Torn, perhaps, by the frame that is just being applied: then memory is not the same any more.
            np.copyto(content, array.reshape(-1).view(np.uint8)[start:stop])
            self._check_room(stop - start)
            _write(settled.file.fileno(), content.data, start)
            os.fdatasync(settled.file.fileno())
            return Copied(name, settled.address, start, content)
        except OSError as error:
            self._refuse(error)
        except MemoryError:
            pass  # the rows are found again at the next look
        return None

    def _file_of(self, name: str, array: Array) -> _Settled:
        address = array.ctypes.data
        settled = self._settled.get(name)
        if settled is None or settled.address != address:  # the table moved, and with it came all its rows
            if settled is not None:
                settled.file.close()
            file = cast(BinaryIO, tempfile.TemporaryFile(dir=self._folder, buffering=0))  # noqa: SIM115  closed above
            settled = self._settled[name] = _Settled(file, address)
        return settled

    def _check_room(self, size: int) -> None:
        room = os.statvfs(self._folder)
        if room.f_bavail * room.f_frsize < size + FREE_BYTES_MIN:
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
    """Let these addresses show that part of the file, in one step. Private, a write would stay in this process."""
    found = _libc.mmap(address, size, mmap.PROT_READ | mmap.PROT_WRITE, sharing | _MAP_FIXED, file, offset)
    if found != address:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _advise(name: str, address: int, size: int) -> None:
    if name in _SOUGHT:
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
