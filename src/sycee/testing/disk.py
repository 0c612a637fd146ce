"""Simulated disk in memory that loses unsynced data like a real one.

Data written since a file's last fdatasync is *pending*. After `crash` each 512-byte sector of a pending write is
present or lost, independently of its neighbours. The same applies to each name created, changed or removed since the
folder's last fsync. `kill -9` of a real process does not test this, because the kernel's memory survives the process;
`kill` simulates that case.

The disk also simulates defective hardware: a write that reports success and is lost or written to another place, and
bits that change. `faults` counts these events, so that a test can show that they happened.
"""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final

import numpy as np

from sycee.core.errors import UnavailableError
from sycee.journal.disk import removed, unavailable

SECTOR_BYTES: Final = 512  # the largest unit that a disk writes atomically


class PowerCut(BaseException):
    """Power cut of the simulated machine. Not an Exception, because no error handler can handle it."""


class Loss(Enum):
    """Effect of a power cut on each pending write."""

    RANDOM = "each sector kept or lost by itself"
    LOST = "all lost"
    KEPT = "all kept"
    FIRST = "only some first sectors kept: torn"
    LAST = "only some last sectors kept: reordered"
    SHUFFLED = "whole writes kept or lost, and done in another order than they were asked for"


class _Inode:
    """A file without its names."""

    def __init__(self, durable: bytes = b"") -> None:
        self.durable = bytearray(durable)  # durable content
        self.cached = bytearray(durable)  # content as seen by reads
        self.pending: list[tuple[int, bytes]] = []  # pending writes, in order

    def write(self, offset: int, data: bytes) -> None:
        _overlay(self.cached, offset, data)
        self.pending.append((offset, data))

    def sync(self) -> None:
        for offset, data in self.pending:
            _overlay(self.durable, offset, data)
        self.pending.clear()

    def after_crash(self, random: np.random.Generator, loss: Loss, faults: Counter[str]) -> _Inode:
        content = bytearray(self.durable)
        pending = self.pending
        if loss is Loss.SHUFFLED:
            order = random.permutation(len(pending))
            faults["writes done in another order"] += int(np.count_nonzero(order != np.arange(len(pending))))
            pending = [self.pending[int(index)] for index in order]
        for offset, data in pending:
            first = offset // SECTOR_BYTES
            kept = _kept(random, loss, -(-(offset + len(data)) // SECTOR_BYTES) - first)
            faults["sectors lost in a power cut"] += int(np.count_nonzero(~kept))
            for index in np.flatnonzero(kept):
                start = max((first + int(index)) * SECTOR_BYTES, offset)
                end = min((first + int(index) + 1) * SECTOR_BYTES, offset + len(data))
                _overlay(content, start, data[start - offset : end - offset])
        return _Inode(bytes(content))


class FakeFile:
    """DiskFile of a FakeDisk."""

    def __init__(self, disk: FakeDisk, name: str, inode: _Inode) -> None:
        self.name = name
        self._disk = disk
        self._inode = inode

    def pwrite(self, data: memoryview, offset: int) -> None:
        """Implement DiskFile. A power cut during the call leaves the write pending: any part of it may be present."""
        self._disk._reserve(self.name, len(self._inode.cached), offset + len(data))
        self._disk._write(self._inode, offset, bytes(data))
        self._disk._done("pwrite")

    def pread_into(self, data: memoryview, offset: int) -> int:
        self._disk._alive()
        found = bytes(self._inode.cached[offset : offset + len(data)])
        data[: len(found)] = found
        return len(found)

    def size(self) -> int:
        self._disk._alive()
        return len(self._inode.cached)

    def zero_fill(self, size_bytes: int, *, written: bool = True) -> None:
        """Implement DiskFile. Ranges that were never written read as zeros anyway."""
        self._disk._reserve(self.name, len(self._inode.cached), size_bytes)
        self._inode.write(0, bytes(size_bytes))
        self._disk._done("zero_fill")

    def fdatasync(self) -> None:
        """Implement DiskFile. On failure the pending writes are dropped; a second call would succeed."""
        self._disk._done("fdatasync")
        if self._disk._sync_fails():
            self._inode.pending.clear()
            self._disk.faults["failed fdatasync"] += 1
            raise unavailable(OSError(errno.EIO, ""), "making it durable (fdatasync)", self._disk._path(self.name))
        if not any(inode is self._inode for inode in self._disk._names.values()):
            raise removed(self._disk._path(self.name), "the fake file")
        self._inode.sync()

    def close(self) -> None:
        """Implement DiskFile."""


@dataclass(kw_only=True, eq=False, repr=False)
class FakeDisk:
    """Disk in memory. The first five attributes may be set at any time.

    Disks created by `crash` and `kill` share `faults`.
    """

    cut_after: int | None = None  # number of modifying operations before PowerCut is raised during the next one
    space_bytes: int | None = None  # total space for all files
    fail_sync_at: int | None = None  # number, from 1, of the fdatasync that fails
    read_only: bool = False  # refuse every modification
    # Actual target (file, offset in bytes) of a pwrite by its number from 1; None: the write is lost. Both "succeed".
    misdirected: dict[int, tuple[str, int] | None] = field(default_factory=dict)
    folder: str = "fake/journal"
    operations: Counter[str] = field(default_factory=Counter, init=False)  # modifying operations
    faults: Counter[str] = field(default_factory=Counter, init=False)
    concurrent: ClassVar[bool] = False  # makes the order of operations, and so every power cut, reproducible
    _names: dict[str, _Inode] = field(default_factory=dict, init=False)
    _durable_names: dict[str, _Inode] = field(default_factory=dict, init=False)
    # Removed name, new name, file.
    _pending_names: list[tuple[str, str, _Inode]] = field(default_factory=list, init=False)
    _locked: bool = field(default=False, init=False)
    _off: bool = field(default=False, init=False)

    def exists(self) -> bool:
        """Implement Disk. The folder always exists."""
        self._alive()
        return True

    def make_folder(self) -> None:
        self._writable("making the folder")

    def names(self) -> list[str]:
        self._alive()
        return sorted(self._names)

    def create(self, name: str) -> FakeFile:
        self._writable("making the file", name)
        if name in self._names:
            raise unavailable(FileExistsError(errno.EEXIST, ""), "making the file", self._path(name))
        inode = _Inode()
        self._change_name("", name, inode)
        self._done("create")
        return FakeFile(self, name, inode)

    def open(self, name: str, *, writable: bool) -> FakeFile:
        self._alive()
        if writable:
            self._writable("opening the file", name)
        return FakeFile(self, name, self._inode(name, "opening the file"))

    def rename(self, old: str, new: str) -> None:
        self._writable(f"renaming {old} to {new}")
        self._change_name(old, new, self._inode(old, f"renaming to {new}"))
        self._done("rename")

    def unlink(self, name: str) -> None:
        self._writable("removing the file", name)
        self._change_name(name, "", self._inode(name, "removing the file"))
        self._done("unlink")

    def fsync_folder(self) -> None:
        self._done("fsync_folder")
        self._durable_names = dict(self._names)
        self._pending_names.clear()

    def lock(self) -> None:
        self._writable("opening the lock")
        if self._locked:
            raise UnavailableError(
                f"{self.folder} is in use by this process",
                hint="One process owns a ledger: wait until it ends or stop it, then try again. Nothing was changed.",
            )
        self._locked = True

    def unlock(self) -> None:
        self._locked = False

    def crash(self, seed: int = 0, loss: Loss = Loss.RANDOM) -> FakeDisk:
        """Return the disk after a power cut now. The same seed returns the same disk."""
        random = np.random.default_rng(seed)
        names = dict(self._durable_names)
        self.faults["power cut"] += 1
        if loss is Loss.KEPT:
            kept = [True] * len(self._pending_names)
        elif loss is Loss.LOST:
            kept = [False] * len(self._pending_names)
        else:
            kept = [bool(bit) for bit in random.integers(0, 2, len(self._pending_names))]
        for (old, new, inode), is_kept in zip(self._pending_names, kept, strict=True):
            if is_kept:
                _apply_name(names, old, new, inode)
            else:
                self.faults["names lost in a power cut"] += 1
        after = self._successor()
        inodes = {id(inode): inode.after_crash(random, loss, self.faults) for inode in names.values()}
        after._names = {name: inodes[id(inode)] for name, inode in names.items()}
        after._durable_names = dict(after._names)
        return after

    def kill(self) -> FakeDisk:
        """Return the disk after a kill of the process: nothing is lost, pending data stays pending."""
        after = self._successor()
        after._names = self._names
        after._durable_names = self._durable_names
        after._pending_names = self._pending_names
        return after

    def _successor(self) -> FakeDisk:
        after = FakeDisk(folder=self.folder)
        after.faults = self.faults
        return after

    def flip_bits(self, seed: int, *, bits: int = 1, name: str = "") -> list[tuple[str, int]]:
        """Flip `bits` random durable bits, in the file `name` or anywhere; return file and byte of each.

        The same seed on the same content flips the same bits. Empty files and an empty disk are left unchanged.
        """
        random = np.random.default_rng(seed)
        files = [one for one in ([name] if name else sorted(self._names)) if self._names[one].cached]
        sizes = np.array([len(self._names[one].cached) for one in files], dtype=np.int64)
        hits = []
        for _ in range(bits if files else 0):
            place = int(random.integers(int(sizes.sum())))
            which = int(np.searchsorted(sizes.cumsum(), place, side="right"))
            offset = place - int(sizes[:which].sum())
            self.damage(files[which], offset, 1 << int(random.integers(8)))
            hits.append((files[which], offset))
        return hits

    def content(self, name: str) -> bytes:
        """Return the content of a whole file as seen by reads."""
        return bytes(self._inode(name, "reading").cached)

    def damage(self, name: str, offset: int, xor: int) -> None:
        """Change one durable byte by exclusive or."""
        inode = self._inode(name, "damaging")
        self.faults["byte damaged"] += 1
        inode.cached[offset] ^= xor
        if offset < len(inode.durable):
            inode.durable[offset] ^= xor

    def replace(self, name: str, content: bytes) -> None:
        """Replace the durable content of a file, for damage larger than one byte."""
        self._names[name] = self._durable_names[name] = _Inode(content)

    def remove(self, name: str) -> None:
        """Remove a file durably."""
        del self._names[name]
        self._durable_names.pop(name, None)

    def _inode(self, name: str, doing: str) -> _Inode:
        if name not in self._names:
            raise unavailable(FileNotFoundError(errno.ENOENT, ""), doing, self._path(name))
        return self._names[name]

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}"

    def _change_name(self, old: str, new: str, inode: _Inode) -> None:
        _apply_name(self._names, old, new, inode)
        self._pending_names.append((old, new, inode))

    def _alive(self) -> None:
        if self._off:
            raise PowerCut

    def _writable(self, doing: str, name: str = "") -> None:
        self._alive()
        if self.read_only:
            self.faults["refused: read-only"] += 1
            raise unavailable(OSError(errno.EROFS, ""), doing, self._path(name))

    def _reserve(self, name: str, size_bytes: int, new_size_bytes: int) -> None:
        self._writable("writing", name)
        if self.space_bytes is None or new_size_bytes <= size_bytes:
            return
        used = sum(len(inode.cached) for inode in self._names.values())
        if used - size_bytes + new_size_bytes > self.space_bytes:
            self.faults["refused: no space"] += 1
            raise unavailable(OSError(errno.ENOSPC, ""), f"writing up to byte {new_size_bytes}", self._path(name))

    def _write(self, inode: _Inode, offset: int, data: bytes) -> None:
        """Write at the requested place, or at the misdirected place."""
        number = self.operations["pwrite"] + 1
        if number not in self.misdirected:
            inode.write(offset, data)
            return
        elsewhere = self.misdirected[number]
        if elsewhere is None:
            self.faults["write lost"] += 1
            return
        self.faults["write misdirected"] += 1
        # A misdirected write is durable and visible immediately, whether synced or not.
        for content in (self._inode(elsewhere[0], "writing").cached, self._inode(elsewhere[0], "writing").durable):
            _overlay(content, elsewhere[1], data)

    def _sync_fails(self) -> bool:
        return self.operations["fdatasync"] == self.fail_sync_at

    def _done(self, operation: str) -> None:
        """Count an operation; raise PowerCut at the configured one."""
        self._alive()
        if self.cut_after is not None and self.operations.total() >= self.cut_after:
            self._off = True
            raise PowerCut
        self.operations[operation] += 1


def _overlay(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _kept(random: np.random.Generator, loss: Loss, sectors: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which sectors of one pending write became durable."""
    if loss is Loss.SHUFFLED:
        return np.full(sectors, random.integers(0, 2) > 0)
    if loss is Loss.RANDOM:
        return random.integers(0, 2, sectors) > 0
    if loss is Loss.LOST:
        return np.zeros(sectors, dtype=np.bool_)
    if loss is Loss.KEPT:
        return np.ones(sectors, dtype=np.bool_)
    some = int(random.integers(0, sectors))  # at least one is lost
    index = np.arange(sectors)
    return index < some if loss is Loss.FIRST else index >= sectors - some


def _apply_name(names: dict[str, _Inode], old: str, new: str, inode: _Inode) -> None:
    if old:
        names.pop(old, None)
    if new:
        names[new] = inode
