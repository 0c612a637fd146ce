"""Disk of the simulator: one fake disk with both folders of a ledger, and a journal whose appends are recorded.

Journal and snapshots share the disk, so that power cuts, full disks and misdirected writes affect both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, Unpack

import numpy as np

from sycee.journal.disk import Disk
from sycee.journal.frame import NO_DIGEST, Anchor, Frame, FrameKind, resolve_digest
from sycee.journal.journal import FrameFields, Journal
from sycee.testing.disk import SECTOR_BYTES, FakeDisk, FakeFile

JOURNAL: Final = "journal"
SNAPSHOTS: Final = "snapshots"
LEDGER_ID: Final = bytes(range(16))
# Space for about fifteen frames: a history needs several segments.
SEGMENT_BYTES: Final = 64 << 10


class Folder:
    """One folder of a fake disk, as a Disk."""

    concurrent = False

    def __init__(self, disk: FakeDisk, name: str) -> None:
        self.folder = f"{disk.folder}/{name}"
        self._disk = disk
        self._prefix = f"{name}/"

    def exists(self) -> bool:
        return self._disk.exists()

    def make_folder(self) -> None:
        self._disk.make_folder()

    def names(self) -> list[str]:
        return [name.removeprefix(self._prefix) for name in self._disk.names() if name.startswith(self._prefix)]

    def create(self, name: str) -> FakeFile:
        return self._named(self._disk.create(self._prefix + name), name)

    def open(self, name: str, *, writable: bool) -> FakeFile:
        return self._named(self._disk.open(self._prefix + name, writable=writable), name)

    def rename(self, old: str, new: str) -> None:
        self._disk.rename(self._prefix + old, self._prefix + new)

    def unlink(self, name: str) -> None:
        self._disk.unlink(self._prefix + name)

    def fsync_folder(self) -> None:
        """Implement Disk. The other folder's names become durable too, as on most file systems."""
        self._disk.fsync_folder()

    def lock(self) -> None:
        self._disk.lock()

    def unlock(self) -> None:
        self._disk.unlock()

    def content(self, name: str) -> bytes:
        return self._disk.content(self._prefix + name)

    def replace(self, name: str, content: bytes) -> None:
        self._disk.replace(self._prefix + name, content)

    def remove(self, name: str) -> None:
        self._disk.remove(self._prefix + name)

    def _named(self, file: FakeFile, name: str) -> FakeFile:
        file.name = name
        return file


class Written(NamedTuple):
    """A frame as submitted, or as read back."""

    sequence: int
    kind: FrameKind
    time_ns: int
    records: bytes
    calendar: tuple[tuple[int, int, int, int], ...]
    envelopes: bytes
    movement_digest: bytes

    @classmethod
    def of(cls, frame: Frame) -> Written:
        """Return the content of a frame that was read."""
        return cls(
            frame.sequence,
            frame.kind,
            frame.time_ns,
            np.ascontiguousarray(frame.records).tobytes(),
            tuple((entry.currency, entry.day, entry.month, entry.year) for entry in frame.calendar),
            bytes(frame.envelopes),
            bytes(frame.movement_digest),
        )


@dataclass(slots=True)
class Watch:
    """Record of the journal's appends that survives power cuts."""

    durable: list[Written] = field(default_factory=list)  # appends that returned
    in_flight: Written | None = None  # the append that did not return
    after: int = 0  # frame of the snapshot that the newest start used


class WatchedJournal(Journal):
    """Journal that records its appends."""

    watch: Watch

    def recover(
        self,
        after: Anchor | None = None,
        *,
        anchors: Sequence[Anchor] = (),
        give_up: Callable[[int], None] | None = None,
    ) -> Iterator[Frame]:
        self.watch.after = after.sequence if after else 0
        return super().recover(after, anchors=anchors, give_up=give_up)

    def append(self, **fields: Unpack[FrameFields]) -> int:
        records, envelopes = fields.get("records", b""), fields.get("envelopes", b"")
        written = Written(
            self.last_sequence + 1,
            fields["kind"],
            fields["time_ns"],
            records if isinstance(records, bytes) else records.tobytes(),
            tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in fields.get("calendar", ())),
            envelopes if isinstance(envelopes, bytes) else envelopes.tobytes(),
            resolve_digest(fields.get("movement_digest", NO_DIGEST)),
        )
        self.watch.in_flight = written
        sequence = super().append(**fields)
        self.watch.in_flight = None
        self.watch.durable.append(written)
        return sequence


def open_journal(disk: Disk, watch: Watch, *, cut_tail: bool) -> WatchedJournal:
    """Open the journal on this disk; create it if there is none."""
    if Journal.exists(disk):
        journal = WatchedJournal.open(disk, cut_tail=cut_tail)
    else:
        journal = WatchedJournal.create(disk, ledger_id=LEDGER_ID, segment_bytes=SEGMENT_BYTES)
    assert isinstance(journal, WatchedJournal)
    journal.watch = watch
    return journal


def read_all(disk: Disk, *, cut_tail: bool = False) -> list[Written]:
    """Return every frame on this disk. Raises the errors of `Journal.recover`."""
    journal = Journal.open(disk, cut_tail=cut_tail, read_only=True)
    return [Written.of(frame) for frame in journal.recover()]


def remove_end(disk: Folder, first: int, *, fill_until: int = 0) -> None:
    """Remove all frames from `first` on without a trace; then write empty frames up to `fill_until`.

    The result is a valid journal: only an external record shows that it had another end.
    """
    journal = Journal.open(disk, read_only=True)
    frames = list(journal.recover())
    place = frames[first - 1].location
    for name in disk.names():
        if name > place.file and name.endswith(".segment"):
            disk.remove(name)
    content = disk.content(place.file)
    disk.replace(place.file, content[: place.offset] + bytes(len(content) - place.offset))
    journal = Journal.open(disk)
    for _ in journal.recover():
        pass
    for frame in frames[first - 1 : fill_until]:
        # One nanosecond later, so that even an empty frame differs from the original.
        journal.append(kind=FrameKind.EMPTY, time_ns=frame.time_ns + 1, movement_digest=frame.movement_digest)
    journal.close(clean=False)


@dataclass(slots=True)
class Damage:
    """Damaged bytes and their original values."""

    disk: FakeDisk
    name: str
    offset: int = 0
    good: bytes = b""
    bad: bytes = b""
    is_lost: bool = False  # the whole file, with content `good`

    @classmethod
    def bit(cls, disk: FakeDisk, name: str, offset: int, bit: int) -> Damage:
        good = disk.content(name)[offset]
        disk.damage(name, offset, 1 << bit)
        return cls(disk, name, offset, bytes([good]), bytes([good ^ 1 << bit]))

    @classmethod
    def sector(cls, disk: FakeDisk, name: str, sector: int, value: int) -> Damage:
        """Set every byte of a sector to one value."""
        offset = sector * SECTOR_BYTES
        good = disk.content(name)[offset : offset + SECTOR_BYTES]
        for at, byte in enumerate(good):
            if byte != value:
                disk.damage(name, offset + at, byte ^ value)
        return cls(disk, name, offset, good, bytes([value]) * len(good))

    @classmethod
    def lost(cls, disk: FakeDisk, name: str) -> Damage:
        good = disk.content(name)
        disk.remove(name)
        disk.faults["file lost"] += 1
        return cls(disk, name, good=good, is_lost=True)

    def repair(self) -> None:
        """Restore the original bytes, unless something else was written there meanwhile."""
        disk = self.disk
        if self.is_lost:
            disk.replace(self.name, self.good)
            return
        if self.name not in disk.names():
            return
        now = disk.content(self.name)[self.offset : self.offset + len(self.bad)]
        if now == self.bad:
            for at, (good, bad) in enumerate(zip(self.good, self.bad, strict=True)):
                if good != bad:
                    disk.damage(self.name, self.offset + at, good ^ bad)


def copy_out(disk: FakeDisk, folder: Path) -> None:
    """Copy the disk's files to a real folder."""
    for name in disk.names():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(disk.content(name))


def copy_in(folder: Path, disk: FakeDisk) -> None:
    """Replace the disk's files by those of a real folder."""
    for name in disk.names():
        disk.remove(name)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            disk.replace(path.relative_to(folder).as_posix(), path.read_bytes())
