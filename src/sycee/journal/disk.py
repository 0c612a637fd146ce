"""What the journal needs of a disk, and the real one. `sycee.testing.disk.FakeDisk` is the other.

A disk here is one flat folder of files. Every refusal of the machine becomes an UnavailableError that says what to
do. Nothing is tried twice: after a failed fsync the kernel may have dropped the bytes and report success next time.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import stat
import time
import weakref
from pathlib import Path
from typing import Final, Protocol, TypeVar

import numpy as np

from sycee.core.errors import UnavailableError
from sycee.core.fork_guard import Owner, close_in_children, no_fork

T = TypeVar("T")

LOCK_NAME: Final = "lock"
BLOCK_BYTES: Final = 4096  # memory and places of direct writes are multiples of it on every disk of today
ZERO_CHUNK_BYTES: Final = 1 << 20  # large enough for full disk speed, small enough to keep around

# A frame's file is looked for by its name this often; whether it has a name at all is checked at every fdatasync.
LOOK_S: Final = 0.1

Buffer = bytes | bytearray | memoryview | mmap.mmap


class DiskFile(Protocol):
    """One open file. Offsets and sizes are bytes. Every method raises UnavailableError when the machine refuses."""

    name: str  # for messages; set by the caller that renames the file

    def pwrite(self, data: memoryview, offset: int) -> None:
        """Write all of `data` at `offset`. Durable only after `fdatasync`."""

    def pread_into(self, data: memoryview, offset: int) -> int:
        """Fill `data` from `offset`; returns how many bytes there were."""

    def size(self) -> int:
        """Bytes in the file."""

    def zero_fill(self, size_bytes: int, *, written: bool = True) -> None:
        """Make the file `size_bytes` of zeros. `written` to the disk, a later write there changes no metadata."""

    def fdatasync(self) -> None:
        """Return once everything written so far, and the size, would be found after a power cut.

        Raises UnavailableError also where the file was removed, replaced or moved meanwhile: a start would not find it.
        """

    def close(self) -> None:
        """Give the file back. Makes nothing durable."""


class Disk(Protocol):
    """One flat folder of files."""

    folder: str  # for messages
    concurrent: bool  # whether a second thread may work on other files of it at the same time

    def exists(self) -> bool:
        """Whether the folder is there. Raises UnavailableError where that cannot be seen."""

    def make_folder(self) -> None:
        """Make the folder, and its parents, durably. Does nothing if it is there."""

    def names(self) -> list[str]:
        """Names of the files, sorted."""

    def create(self, name: str) -> DiskFile:
        """A new, empty, writable file. Its name is durable only after `fsync_folder`."""

    def open(self, name: str, *, writable: bool) -> DiskFile:
        """A file that is there."""

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, at once. Durable only after `fsync_folder`."""

    def unlink(self, name: str) -> None:
        """Remove a file. Durable only after `fsync_folder`."""

    def fsync_folder(self) -> None:
        """Return once all names are as they are now even after a power cut."""

    def lock(self) -> None:
        """Own the folder until `unlock` or the end of the process.

        Raises UnavailableError, naming the process, when another owns it.
        """

    def unlock(self) -> None:
        """Give the folder back. Does nothing if it is not ours."""


def unavailable(error: OSError, doing: str, path: str) -> UnavailableError:
    """The machine's refusal in words: what we were doing, where, and what to do next."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UnavailableError(
            f"{path}: no space left on the disk while {doing}",
            hint="Free some space and start again; everything acknowledged is safe.",
        )
    if error.errno == errno.EROFS:
        return UnavailableError(
            f"{path}: the disk is read-only; refused while {doing}",
            hint="Mount its file system for writing, or use a folder on another one. A file system often turns "
            "read-only after an error of its disk: look into that first. Everything acknowledged is safe.",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return UnavailableError(
            f"{path}: not allowed for user {os.geteuid()} while {doing}: {os.strerror(error.errno)}",
            hint="Give this user the right to read and write the folder and its files, or start as their owner. "
            "Nothing was changed; everything acknowledged is safe.",
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return UnavailableError(
            f"{path}: something of that name is in the way while {doing}: {os.strerror(error.errno)}",
            hint="Choose another name for the folder, or move what is there away. Nothing was changed.",
        )
    reason = os.strerror(error.errno) if error.errno else str(error)
    return UnavailableError(
        f"{path}: the disk refused while {doing}: {reason}",
        hint="Look into the disk before starting again. Everything acknowledged was durable, and the next start checks "
        "it.",
    )


def removed(path: str, open_as: str) -> UnavailableError:
    """The refusal to promise anything in a file that no longer has its name; `open_as` is how to read it still."""
    return UnavailableError(
        f"{path}: the file was removed, replaced or moved while it was open",
        hint=f"Do not end this process yet: copy {open_as}, which still is the file, to a safe place first. Then put "
        "the folder back and start again. Everything acknowledged is in its files; what was being written is not "
        "acknowledged.",
    )


class RealFile:
    """A DiskFile on a file descriptor.

    Whole blocks from a whole block of memory, as frames are, go to the disk past the system's cache, which would copy
    them first and write them at the fdatasync: half the speed, where another file is being zero-filled beside it.

    A forked child may read and close its copy of the descriptor, and is refused everything else. A file that is
    garbage-collected is closed.
    """

    __slots__ = ("__weakref__", "_descriptor", "_direct", "_finalizer", "_folder", "_looked_s", "_owner", "name")

    def __init__(self, folder: Path, name: str, descriptor: int, *, direct: bool = False) -> None:
        self.name = name
        self._folder = folder
        self._owner = Owner()
        self._looked_s = 0.0
        self._descriptor = descriptor
        self._direct = _direct(f"/proc/self/fd/{descriptor}") if direct else -1
        self._finalizer = _close_when_collected(self, self._descriptor, self._direct)

    @property
    def _path(self) -> str:
        return str(self._folder / self.name)

    def pwrite(self, data: memoryview, offset: int) -> None:
        """See DiskFile."""
        self._owner.check_for_writing(self._folder, self.name)
        try:
            written = self._write_past_cache(data, offset)
            # A short write is no failure: the kernel took what it could, and says why at the next call.
            while written < len(data):
                written += os.pwrite(self._descriptor, data[written:], offset + written)
        except OSError as error:
            raise unavailable(error, f"writing {len(data)} bytes at byte {offset}", self._path) from error

    def _write_past_cache(self, data: memoryview, offset: int) -> int:
        """How many bytes were written so: none where these are not whole blocks, or the disk wants other ones."""
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
        try:
            done = 0
            while done < len(data):
                count = os.preadv(self._descriptor, [data[done:]], offset + done)
                if count == 0:
                    break
                done += count
        except OSError as error:
            raise unavailable(error, f"reading {len(data)} bytes at byte {offset}", self._path) from error
        return done

    def size(self) -> int:
        """See DiskFile."""
        try:
            return os.fstat(self._descriptor).st_size
        except OSError as error:
            raise unavailable(error, "reading its size", self._path) from error

    def zero_fill(self, size_bytes: int, *, written: bool = True) -> None:
        """See DiskFile."""
        self._owner.check_for_writing(self._folder, self.name)
        try:
            # Ask for all the space first: a full disk then says so before we have written most of it.
            os.posix_fallocate(self._descriptor, 0, size_bytes)
            if not written:
                return
            with mmap.mmap(-1, ZERO_CHUNK_BYTES) as zeros, memoryview(zeros) as view:
                offset = 0
                while offset < size_bytes:
                    with view[: min(ZERO_CHUNK_BYTES, size_bytes - offset)] as chunk:
                        self.pwrite(chunk, offset)
                        offset += len(chunk)
        except OSError as error:
            raise unavailable(error, f"reserving {size_bytes} bytes", self._path) from error

    def fdatasync(self) -> None:
        """See DiskFile."""
        self._owner.check_for_writing(self._folder, self.name)
        try:
            os.fdatasync(self._descriptor)
            is_there = self._is_there()
        except OSError as error:
            raise unavailable(error, "making it durable (fdatasync)", self._path) from error
        if not is_there:
            raise removed(self._path, f"/proc/{os.getpid()}/fd/{self._descriptor}")

    def _is_there(self) -> bool:
        """Whether the file still has its name. The name is looked up every LOOK_S only: 2 µs more than its links."""
        status = os.fstat(self._descriptor)
        if not status.st_nlink:
            return False
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_S:
            return True
        self._looked_s = now_s
        try:
            found = os.stat(f"{self._folder}/{self.name}")  # noqa: PTH116 - a Path would take twice as long
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (found.st_ino, found.st_dev) == (status.st_ino, status.st_dev)

    def close(self) -> None:
        """See DiskFile."""
        self._finalizer.detach()
        descriptors = self._descriptor, self._direct
        self._descriptor = self._direct = -1  # first: after Ctrl-C a second call must not close another file's number
        for descriptor in descriptors:
            if descriptor >= 0:
                os.close(descriptor)


class RealDisk:
    """A Disk on a folder of the operating system's file system. Makes nothing until it is asked to.

    A forked child may read through its copy, and is refused every change. The child's copy holds no lock. A disk that
    is garbage-collected gives its lock back.
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
            # Not "there is none": who may not look into the folder above must not be told to make a new ledger.
            raise unavailable(error, "looking for the folder", self.folder) from error

    def make_folder(self) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        try:
            missing = []
            folder = self._path.absolute()
            while not folder.is_dir():
                missing.append(folder)
                folder = folder.parent
            for folder in reversed(missing):
                folder.mkdir(exist_ok=True)
                _fsync_folder(folder.parent)
        except OSError as error:
            raise unavailable(error, "making the folder", self.folder) from error

    def names(self) -> list[str]:
        """See Disk."""
        try:
            return sorted(path.name for path in self._path.iterdir())
        except OSError as error:
            raise unavailable(error, "listing the folder", self.folder) from error

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
        try:
            descriptor = os.open(path, flags | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unavailable(error, doing, str(path)) from error
        return RealFile(self._path, name, descriptor, direct=bool(flags & os.O_RDWR))

    def rename(self, old: str, new: str) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        try:
            (self._path / old).rename(self._path / new)
        except OSError as error:
            raise unavailable(error, f"renaming {old} to {new}", self.folder) from error

    def unlink(self, name: str) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        try:
            (self._path / name).unlink()
        except OSError as error:
            raise unavailable(error, "removing the file", str(self._path / name)) from error

    def fsync_folder(self) -> None:
        """See Disk."""
        self._owner.check_for_writing(self.folder)
        try:
            _fsync_folder(self._path)
        except OSError as error:
            raise unavailable(error, "making its names durable (fsync)", self.folder) from error

    def lock(self) -> None:
        """See Disk. The lock is the kernel's (flock), so a killed process leaves none behind.

        It is on the file, which holds the owner's process id, and on the folder, against removing and making it again.
        """
        self._owner.check_for_writing(self.folder)
        with no_fork:
            close_in_children(self)
            self._lock()

    def _lock(self) -> None:
        path = self._path / LOCK_NAME
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise unavailable(error, "opening the lock", str(path)) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._folder_descriptor = _lock_folder(self._path)
            # The number is for people who read the refusal below; the lock itself is the kernel's.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            raise UnavailableError(
                f"{self.folder} is in use by {holder}",
                hint="One process owns a ledger: wait until it ends or stop it, then try again. Nothing was changed.",
            ) from error
        except OSError as error:
            os.close(descriptor)
            self._unlock_folder()
            raise unavailable(error, "locking the folder", str(path)) from error
        self._lock_descriptor = descriptor
        self._finalizer = _close_when_collected(self, descriptor, self._folder_descriptor)

    def locked_by(self) -> str:
        """Return the folder's owner in words; empty where it has none or that cannot be read. Changes nothing."""
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
                # Truncate first: a stale number would send people after a process that is long gone.
                with contextlib.suppress(OSError):
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
    """Close descriptors when their owner is garbage-collected, unless the result is detached before.

    Not `__del__`, which would run for each closed file too: Python drops a Ctrl-C that arrives there.
    """
    finalizer = weakref.finalize(owner, _close, descriptors)
    finalizer.atexit = False
    return finalizer


def _close(descriptors: tuple[int, ...]) -> None:
    with no_fork:  # some may hold a lock
        for descriptor in descriptors:
            if descriptor >= 0:
                with contextlib.suppress(OSError):  # closed behind the owner's back
                    os.close(descriptor)


def _direct(path: str) -> int:
    """A descriptor that writes past the system's cache; -1 where the system or the file system has no such thing."""
    flag = getattr(os, "O_DIRECT", 0)
    try:
        return os.open(path, os.O_WRONLY | flag | os.O_CLOEXEC) if flag else -1
    except OSError:
        return -1


def _lock_folder(folder: Path) -> int:
    """A descriptor that holds the lock of the folder itself. Raises BlockingIOError where another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some file systems, of networks mostly, lock no folders: there the lock on the file must do.
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            os.close(descriptor)
            raise
    return descriptor


def _holder(descriptor: int) -> str:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    if not text.isdecimal():
        return "another process"
    return f"this process (pid {text})" if int(text) == os.getpid() else f"the process with pid {text}"


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
