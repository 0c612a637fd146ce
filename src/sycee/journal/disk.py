"""The journal's interface to a disk, and its implementation for real ones. `sycee.testing.disk.FakeDisk` is the other.

A disk is one flat folder of files. Every error of the system becomes an UnavailableError with a next step. No operation
is retried: after a failed fsync the kernel may have dropped the bytes, and would report success the second time.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import stat
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TypeVar

import numpy as np

from sycee.core.errors import UnavailableError
from sycee.core.fork_guard import Owner, close_in_children, no_fork
from sycee.core.output_files import sync_folder

T = TypeVar("T")

LOCK_NAME: Final = "lock"
BLOCK_BYTES: Final = 4096  # addresses and offsets of direct writes are multiples of it on every current disk
ZERO_CHUNK_BYTES: Final = 1 << 20  # enough for full disk speed

# Interval of looking up a file by its name; its count of names is checked at every fdatasync.
LOOK_UP_S: Final = 0.1
_COMMIT_FAILED: Final = (errno.EROFS, errno.EIO)  # other errors, such as ENOSPC, do not concern what is written already

Buffer = bytes | bytearray | memoryview | mmap.mmap


class DiskFile(Protocol):
    """One open file. Offsets and sizes are bytes. Every method raises UnavailableError when the system refuses."""

    name: str  # set by the caller that renames the file

    def pwrite(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`. Durable only after `fdatasync`."""

    def pread_into(self, data: memoryview, offset: int) -> int:
        """Fill `data` from `offset`; return the number of bytes that the file had."""

    def size(self) -> int:
        """Return the size of the file."""

    def zero_fill(self, size_bytes: int, *, written: bool = True) -> None:
        """Extend the file to `size_bytes` of zeros. If they are `written`, later writes change no metadata."""

    def fdatasync(self) -> None:
        """Return once all written bytes, and the size, would survive a power cut.

        Raises UnavailableError also if the file was removed, replaced or moved: a start would not find it.
        """

    def close(self) -> None:
        """Close the file. Makes nothing durable."""


class Disk(Protocol):
    """One flat folder of files."""

    folder: str
    concurrent: bool  # whether a second thread may use other files at the same time

    def exists(self) -> bool:
        """Return whether the folder exists. Raises UnavailableError where that cannot be determined."""

    def make_folder(self) -> None:
        """Create the folder and its parents durably, if it does not exist."""

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""

    def create(self, name: str) -> DiskFile:
        """Create an empty file, open for writing. Its name is durable only after `fsync_folder`."""

    def open(self, name: str, *, writable: bool) -> DiskFile:
        """Open an existing file."""

    def rename(self, old: str, new: str) -> None:
        """Rename a file atomically. Durable only after `fsync_folder`."""

    def unlink(self, name: str) -> None:
        """Remove a file. Durable only after `fsync_folder`."""

    def fsync_folder(self) -> None:
        """Return once all current names would survive a power cut."""

    def lock(self) -> None:
        """Own the folder until `unlock` or the end of the process.

        Raises UnavailableError with the id of the process that owns it already.
        """

    def unlock(self) -> None:
        """Release the folder. Does nothing if this object does not own it."""


def unavailable(error: OSError, doing: str, path: str) -> UnavailableError:
    """Return the error for a refusal of the system: the action, the path, the reason and the next step."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(
            f"{path}: no space left on the disk while {doing}",
            hint="Free some space and start again; everything acknowledged is safe.",
        )
    if error.errno == errno.EROFS:
        return UnavailableError(
            f"{path}: the disk is read-only; refused while {doing}",
            hint="Mount its file system for writing, or use a folder on another one. File systems often become "
            "read-only after a disk error: check the disk first. Everything acknowledged is safe.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnavailableError(
            f"{path}: not allowed for user {os.geteuid()} while {doing}: {os.strerror(error.errno)}",
            hint="Give this user the right to read and write the folder and its files, or start as their owner. "
            "Nothing was changed; everything acknowledged is safe.",
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return UnavailableError(
            f"{path}: a file of this name already exists; refused while {doing}: {os.strerror(error.errno)}",
            hint="Choose another name for the folder, or move the existing file away. Nothing was changed.",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UnavailableError(
        f"{path}: the disk refused while {doing}: {reason}",
        hint="Check the disk before starting again. Everything acknowledged is durable, and the next start checks it.",
    )


@contextmanager
def _refusing(doing: str, path: str | Path) -> Iterator[None]:
    """Turn an OSError inside into an UnavailableError."""
    try:
        yield
    except OSError as error:
        raise unavailable(error, doing, str(path)) from error


def removed(path: str, open_as: str) -> UnavailableError:
    """Return the error for an open file that lost its name; `open_as` is a path under which it is still readable."""
    return UnavailableError(
        f"{path}: the file was removed, replaced or moved while it was open",
        hint=f"Do not end this process yet: copy {open_as}, which is still this file, to a safe place first. Then "
        "restore the folder and start again. Its files contain everything acknowledged, without the last write.",
    )


class RealFile:
    """A DiskFile on a file descriptor.

    Writes of whole blocks from block-aligned memory, such as frames, bypass the system's cache. The cache would copy
    them first and write them at the fdatasync, at half the speed while another file is zero-filled.

    In a forked child, only reading and closing are allowed. A file that is garbage-collected is closed.
    """

    __slots__ = (
        "__weakref__", "_descriptor", "_direct", "_finalizer", "_folder", "_is_reserved", "_looked_up_s", "_owner",
        "name",
    )  # fmt: skip

    def __init__(self, folder: Path, name: str, descriptor: int, *, direct: bool = False) -> None:
        self.name = name
        self._folder = folder
        self._owner = Owner()
        self._looked_up_s = 0.0
        self._descriptor = descriptor
        self._direct = _direct(f"/proc/self/fd/{descriptor}") if direct else -1
        self._is_reserved = direct and _has_unwritten_space(descriptor)  # writes then change metadata
        self._finalizer = _close_when_collected(self, self._descriptor, self._direct)

    @property
    def _path(self) -> str:
        return str(self._folder / self.name)

    def pwrite(self, data: memoryview, offset: int) -> None:
        """See DiskFile."""
        self._owner.check_for_writing(self._folder, self.name)
        try:
            written = self._write_past_cache(data, offset)
            # A short write is no failure: the next call reports the reason.
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], offset + written)
        except OSError as error:
            raise unavailable(error, f"writing {len(data)} bytes at byte {offset}", self._path) from error

    def _write_past_cache(self, data: memoryview, offset: int) -> int:
        """Return the number of bytes written directly: 0 unless these are whole blocks as the disk requires."""
        if self._direct < 0 or offset % BLOCK_BYTES or len(data) % BLOCK_BYTES:
            return 0
        if np.frombuffer(data, np.uint8).ctypes.data % BLOCK_BYTES:
            return 0
        try:
            return os.pwrite(self._direct, data, offset)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._finalizer.detach()
            os.close(self._direct)
            self._direct = -1
            self._finalizer = _close_when_collected(self, self._descriptor)
            return 0

    def pread_into(self, data: memoryview, offset: int) -> int:
        """See DiskFile."""
        with _refusing(f"reading {len(data)} bytes at byte {offset}", self._path):
            done = 0
            while done < len(data):
                count = os.preadv(self._descriptor, [data[done:]], offset + done)
                if count == 0:
                    break
                done += count
        return done

    def size(self) -> int:
        """See DiskFile."""
        with _refusing("reading its size", self._path):
            return os.fstat(self._descriptor).st_size

    def zero_fill(self, size_bytes: int, *, written: bool = True) -> None:
        """See DiskFile."""
        self._owner.check_for_writing(self._folder, self.name)
        with _refusing(f"reserving {size_bytes} bytes", self._path):
            # Reserve all space first, so that a full disk refuses before most of it is written.
            os.posix_fallocate(self._descriptor, 0, size_bytes)
            if not written:
                self._is_reserved = True
                return
            with mmap.mmap(-1, ZERO_CHUNK_BYTES) as zeros, memoryview(zeros) as view:
                offset = 0
                while offset < size_bytes:
                    with view[: min(ZERO_CHUNK_BYTES, size_bytes - offset)] as chunk:
                        self.pwrite(chunk, offset)
                        offset += len(chunk)

    def fdatasync(self) -> None:
        """See DiskFile."""
        self._owner.check_for_writing(self._folder, self.name)
        try:
            os.fdatasync(self._descriptor)
            if self._is_reserved:
                self._require_committed()
            is_there = self._is_there()
        except OSError as error:
            raise unavailable(error, "making it durable (fdatasync)", self._path) from error
        if not is_there:
            raise removed(self._path, f"/proc/{os.getpid()}/fd/{self._descriptor}")

    def _require_committed(self) -> None:
        """Raise OSError if the file system could not commit its metadata, without which written bytes are not found.

        If its commit failed for another caller before this file's fdatasync, ext4 returns success from that fdatasync.
        The next change of metadata is refused; this one, of space that the file has already, changes nothing.
        """
        try:
            os.posix_fallocate(self._descriptor, 0, 1)
        except OSError as error:
            if error.errno in _COMMIT_FAILED:
                raise

    def _is_there(self) -> bool:
        """Return whether the file still has its name. A lookup by name costs 2 µs, so it is done every LOOK_UP_S."""
        status = os.fstat(self._descriptor)
        if not status.st_nlink:
            return False
        now_s = time.monotonic()
        if now_s - self._looked_up_s < LOOK_UP_S:
            return True
        self._looked_up_s = now_s
        try:
            found = os.stat(f"{self._folder}/{self.name}")  # noqa: PTH116 - a Path would take twice as long
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_ino, found.st_dev) == (status.st_ino, status.st_dev)

    def close(self) -> None:
        """See DiskFile."""
        self._finalizer.detach()
        descriptors = self._descriptor, self._direct
        # First, so that a second call after Ctrl-C does not close the descriptor of another file.
        self._descriptor = self._direct = -1
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)


class RealDisk:
    """A Disk on a folder of the operating system's file system. Creating the object changes nothing.

    In a forked child, only reading is allowed, and the child holds no lock. A disk that is garbage-collected releases
    its lock.
    """

    concurrent = True

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._path = Path(folder)
        self.folder = str(self._path)
        self._owner = Owner()
        self._lock_descriptor = -1
        self._folder_descriptor = -1
        self._finalizer: weakref.finalize[..., RealDisk] | None = None

    def exists(self) -> bool:
        """See Disk."""
        try:
            return stat.S_ISDIR(self._path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            # Not False: a user without access to the parent folder must not be told to create a new ledger.
            raise unavailable(error, "looking for the folder", self.folder) from error

    def make_folder(self) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        with _refusing("making the folder", self._path):
            missing = []
            folder = self._path.absolute()
            while not folder.is_dir():
                missing.append(folder)
                folder = folder.parent
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                sync_folder(folder.parent)

    def names(self) -> list[str]:
        """See Disk."""
        with _refusing("listing the folder", self._path):
            return sorted(path.name for path in self._path.iterdir())

    def create(self, name: str) -> RealFile:
        """See Disk."""
        return self._open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, "making the file")

    def open(self, name: str, *, writable: bool) -> RealFile:
        """See Disk."""
        return self._open(name, os.O_RDWR if writable else os.O_RDONLY, "opening the file")

    def _open(self, name: str, flags: int, doing: str) -> RealFile:
        path = self._path / name
        if flags & os.O_RDWR:
            self._owner.check_for_writing(str(path))
        with _refusing(doing, path):
            descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
        return RealFile(self._path, name, descriptor, direct=bool(flags & os.O_RDWR))

    def rename(self, old: str, new: str) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        with _refusing(f"renaming {old} to {new}", self._path):
            (self._path / old).rename(self._path / new)

    def unlink(self, name: str) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        with _refusing("removing the file", self._path / name):
            (self._path / name).unlink()

    def fsync_folder(self) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        with _refusing("making its names durable (fsync)", self._path):
            sync_folder(self._path)
            # See RealFile._require_committed: after a failed commit, this change makes the second fsync fail.
            os.utime(self._path)
            sync_folder(self._path)

    def lock(self) -> None:
        """See Disk. The lock is the kernel's (flock): it ends with its process, however that ends.

        Both the file, which contains the owner's process id, and the folder are locked: the file alone could be
        replaced.
        """
        self._owner.check_for_writing(self.folder)
        with no_fork:
            close_in_children(self)
            self._lock()

    def _lock(self) -> None:
        path = self._path / LOCK_NAME
        with _refusing("opening the lock", path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._folder_descriptor = _lock_folder(self._path)
            # The number is only for the error below; the lock itself is the kernel's.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder, hint = _holder(descriptor), "wait for its end or stop it, then retry"
            os.close(descriptor)
            if holder.startswith("this process"):
                hint = "this program has it open already, so use that Ledger, or close it first"
            raise UnavailableError(
                f"{self.folder} is in use by {holder}",
                hint=f"Only one process can use a ledger, and once: {hint}. Nothing was changed.",
            ) from error
        except OSError as error:
            os.close(descriptor)
            self._unlock_folder()
            raise unavailable(error, "locking the folder", str(path)) from error
        self._lock_descriptor = descriptor
        self._finalizer = _close_when_collected(self, descriptor, self._folder_descriptor)

    def locked_by(self) -> str:
        """Return a description of the folder's owner; empty where it has none or none can be read. Changes nothing."""
        try:
            descriptor = os.open(self._path / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(descriptor)
        except OSError:
            return ""
        finally:
            os.close(descriptor)
        return ""

    def unlock(self) -> None:
        """See Disk."""
        with no_fork:
            if self._lock_descriptor >= 0 and os.getpid() == self._owner.process:
                # Truncate first: a stale number would name a process that has ended.
                with suppress(OSError):
                    os.ftruncate(self._lock_descriptor, 0)
            self.close_lock()

    def close_lock(self) -> None:
        """See HoldsLock."""
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        if self._lock_descriptor >= 0:
            os.close(self._lock_descriptor)
            self._lock_descriptor = -1
        self._unlock_folder()

    def _unlock_folder(self) -> None:
        if self._folder_descriptor >= 0:
            os.close(self._folder_descriptor)
            self._folder_descriptor = -1


def _close_when_collected(owner: T, *descriptors: int) -> weakref.finalize[..., T]:
    """Close descriptors when their owner is garbage-collected, unless the returned finalizer is detached before.

    Not `__del__`, which would run for each closed file too: Python ignores a Ctrl-C that arrives there.
    """
    finalizer = weakref.finalize(owner, _close, descriptors)
    finalizer.atexit = False
    return finalizer


def _close(descriptors: tuple[int, ...]) -> None:
    with no_fork:  # a descriptor may hold a lock
        for descriptor in descriptors:
            if descriptor >= 0:
                with suppress(OSError):  # closed by other code
                    os.close(descriptor)


def _direct(path: str) -> int:
    """Return a descriptor for writes that bypass the cache; -1 where the system or the file system has none."""
    flag = getattr(os, "O_DIRECT", 0)
    try:
        return os.open(path, os.O_WRONLY | flag | os.O_CLOEXEC) if flag else -1
    except OSError:
        return -1


def _has_unwritten_space(descriptor: int) -> bool:
    """Return whether space of the file was reserved and not written yet, or may have been."""
    try:
        return os.lseek(descriptor, 0, os.SEEK_HOLE) < os.fstat(descriptor).st_size
    except OSError:  # the file is empty, or the file system has no such call
        return False


def _lock_folder(folder: Path) -> int:
    """Return a descriptor that holds the lock of the folder itself. Raises BlockingIOError where another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some file systems, mostly of networks, cannot lock folders: there the lock on the file must suffice.
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            os.close(descriptor)
            raise
    return descriptor


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    if not text.isdecimal():
        return "another process"
    return f"this process (pid {text})" if int(text) == os.getpid() else f"the process with pid {text}"
