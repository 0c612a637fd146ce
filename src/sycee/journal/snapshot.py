"""Snapshots: the whole state of a ledger at one frame, in one file, so that a start need not read every frame.

A snapshot is a convenience. The journal alone has everything, and a start that finds no good snapshot, or none at all,
reads from the first frame. So a snapshot that cannot be written harms nothing, and one that is damaged is passed over.
Its file is written under a temporary name and renamed when it is durable: under its own name it is whole, and BLAKE3
says whether it still is: of each section, and over the table that names these digests. So a section is read once, to
where it is needed, and in any order. This module knows nothing of what the sections mean.
docs/reference/journal.md gives the bytes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Final

import numpy as np
from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, SyceeError, UnavailableError
from sycee.journal import snapshot_format as layout
from sycee.journal.disk import Disk, DiskFile
from sycee.journal.frame import DIGEST_BYTES, Anchor, Flaw
from sycee.journal.segments import TEMPORARY_SUFFIX
from sycee.journal.snapshot_format import (
    HEADER_BYTES,
    SectionEntry,
    SnapshotHeader,
)

KEPT: Final = 2  # the newest, and the one before it, should the newest rot
CHUNK_BYTES: Final = 4 << 20  # large enough for full disk speed; all the memory that writing and checking take
# Written bytes are made durable so many at a time: a frame that is made durable meanwhile waits for no more than these.
SYNC_BYTES: Final = 4 << 20

_NAME: Final = re.compile(r"\d{20}\.snapshot")


class SnapshotDamaged(IntegrityError):
    """Bytes of a snapshot are others than were written. The message names the file and what in it."""


class Section:
    """One array of a snapshot, still on disk."""

    def __init__(self, file: DiskFile, path: str, entry: SectionEntry) -> None:
        self.name = entry.name
        self.dtype = entry.dtype
        self.shape = entry.shape
        self.size_bytes = entry.size_bytes
        self._file = file
        self._path = path
        self._entry = entry

    def read_into(self, target: Array) -> None:
        """Fill `target`, an array of this type and shape without gaps, straight from the disk.

        Raises ValueError for another array, UnavailableError when the disk refuses, IntegrityError when it gives
        other bytes than were written; `target` then holds nothing that can be used.
        """
        fits = target.dtype == self.dtype and target.shape == self.shape
        if not fits or not target.flags.c_contiguous or not target.flags.writeable:
            raise ValueError(
                f"section {self.name} is {self.dtype} of shape {self.shape}, the array to fill {target.dtype} of shape "
                f"{target.shape}"
            )
        content = layout.flat(target)
        hasher = blake3()
        for start in range(0, self.size_bytes, CHUNK_BYTES):
            chunk = content[start : start + CHUNK_BYTES]
            self._file.pread_into(chunk, self._entry.offset + start)
            hasher.update(chunk)
        self._compare(hasher)

    def read(self) -> Array:
        """A new array with the section's content; errors as of `read_into`."""
        array: Array = np.empty(self.shape, self.dtype)
        self.read_into(array)
        return array

    def check(self, buffer: memoryview) -> None:
        """Read all bytes by way of `buffer`. Errors as of `read_into`."""
        hasher = blake3()
        for start in range(0, self.size_bytes, len(buffer)):
            chunk = buffer[: min(len(buffer), self.size_bytes - start)]
            self._file.pread_into(chunk, self._entry.offset + start)
            hasher.update(chunk)
        self._compare(hasher)

    def _compare(self, hasher: blake3) -> None:
        padding = memoryview(bytearray(layout.padded(self.size_bytes) - self.size_bytes))
        self._file.pread_into(padding, self._entry.offset + self.size_bytes)
        if hasher.digest() != self._entry.digest or any(padding):
            raise _damaged(self._path, f"section {self.name} at byte {self._entry.offset} is not as it was written")


class Snapshot:
    """A snapshot whose header and table hold; its sections say so when they are read. Keeps its file open."""

    def __init__(self, file: DiskFile, path: str, header: SnapshotHeader, table: layout.Table) -> None:
        self.name = file.name
        self.path = path  # for messages
        self.size_bytes = header.file_bytes
        self.ledger_id = header.ledger_id
        self.epoch = header.epoch
        self.anchor: Anchor = header.anchor
        self.rules = header.rules  # version of the rules in force after that frame
        self.movement_digest = header.movement_digest  # after that frame
        self.small: dict[str, Any] = table.small
        self.sections = {entry.name: Section(file, path, entry) for entry in table.sections}
        self._file = file

    def check(self) -> None:
        """Read every byte of the sections. Raises IntegrityError where one is damaged."""
        buffer = memoryview(bytearray(min(CHUNK_BYTES, self.size_bytes)))
        for section in self.sections.values():
            section.check(buffer)

    def close(self) -> None:
        """Let the file go; sections cannot be read any more."""
        self._file.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def names(disk: Disk) -> list[str]:
    """Names of the snapshots there, oldest first; whether they are good is another matter."""
    return [name for name in disk.names() if _NAME.fullmatch(name)] if disk.exists() else []


def write(
    disk: Disk,
    *,
    ledger_id: bytes,
    epoch: int,
    anchor: Anchor,
    rules: int,
    movement_digest: bytes,
    sections: Mapping[str, Array],
    small: Mapping[str, Any],
) -> str:
    """Write a snapshot of the state after frame `anchor.sequence`; returns its file's name once it is durable.

    `sections` are arrays of plain numbers, none of which may change meanwhile; `small` is anything that JSON holds.
    Errors as of `Writer`.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in sections.items()}
    writer = Writer(
        disk,
        ledger_id=ledger_id,
        epoch=epoch,
        anchor=anchor,
        rules=rules,
        movement_digest=movement_digest,
        sections=arrays,
        small=small,
    )
    try:
        for array in arrays.values():
            content = layout.flat(array)
            for start in range(0, len(content), CHUNK_BYTES):
                writer.add(content[start : start + CHUNK_BYTES])
        return writer.finish()
    except Exception:
        writer.abandon()
        raise


class Writer:
    """A snapshot that is being written, its sections piece by piece in order.

    Every method raises UnavailableError when the disk refuses; the ledger itself is unharmed. The caller then
    calls `abandon`, so that no half of a snapshot is left.
    """

    def __init__(
        self,
        disk: Disk,
        *,
        ledger_id: bytes,
        epoch: int,
        anchor: Anchor,
        rules: int,
        movement_digest: bytes,
        sections: Mapping[str, Array],
        small: Mapping[str, Any],
    ) -> None:
        """Begin. Of `sections` only types and shapes are looked at. Raises ValueError for what no snapshot holds."""
        header = SnapshotHeader(ledger_id, epoch, rules, anchor, movement_digest)
        self._plan = layout.Plan(header, sections, small)
        self._disk = disk
        self._sequence = anchor.sequence
        self._temporary = f"{anchor.sequence:020}{TEMPORARY_SUFFIX}"
        self._digests: list[bytes] = []
        self._hasher = blake3()
        self._written = 0  # bytes of the section at hand
        self._unsynced = 0
        self._file: DiskFile | None = None
        with self._refusing():
            disk.make_folder()
            _remove(disk, [other for other in disk.names() if other.endswith(TEMPORARY_SUFFIX)])
            self._file = disk.create(self._temporary)

    def add(self, content: memoryview) -> None:
        """The next bytes, all of one section."""
        assert self._file is not None
        self._pass_full_sections()
        offset = self._plan.offsets[len(self._digests)] + self._written
        with self._refusing():
            self._file.pwrite(content, offset)
            self._unsynced += len(content)
            if self._unsynced >= SYNC_BYTES:
                self._file.fdatasync()
                self._unsynced = 0
        self._hasher.update(content)
        self._written += len(content)

    def finish(self) -> str:
        """All is added: make it durable and give it its name, which is returned.

        The newest snapshot before it is kept, older ones are removed.
        """
        assert self._file is not None
        self._pass_full_sections()
        name = f"{self._sequence:020}.snapshot"
        with self._refusing():
            header, end = self._plan.ends(self._digests)
            self._file.pwrite(memoryview(header), 0)
            self._file.pwrite(memoryview(end), self._plan.header.table_offset)
            self._file.fdatasync()
            self._file.close()
            self._disk.rename(self._temporary, name)
            self._file = None
            self._disk.fsync_folder()
            older = [other for other in names(self._disk) if other < name]
            _remove(self._disk, older[: -(KEPT - 1)])
        return name

    def abandon(self) -> None:
        """Leave nothing behind; does nothing once it is finished."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            # It may not take the space that the journal needs. Should this fail too, the next snapshot does it.
            with contextlib.suppress(UnavailableError):
                self._disk.unlink(self._temporary)

    def _pass_full_sections(self) -> None:
        """Note the digests of sections of which every byte is there."""
        sizes = self._plan.sizes
        while len(self._digests) < len(sizes) and self._written == sizes[len(self._digests)]:
            at = self._plan.offsets[len(self._digests)] + self._written
            padding = bytes(-at % HEADER_BYTES)
            if padding and self._file is not None:
                with self._refusing():
                    self._file.pwrite(memoryview(padding), at)
            self._digests.append(self._hasher.digest())
            self._hasher, self._written = blake3(), 0

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except UnavailableError as error:
            raise UnavailableError(
                f"the snapshot of frame {self._sequence} failed: {error.message}",
                hint="The ledger itself is unharmed and can go on: its journal has everything, and only the next start "
                "takes longer. Put the disk right (space, owner and mode, mounted for writing); a later snapshot tries "
                "again.",
            ) from error


def newest_good(disk: Disk, ledger_id: bytes) -> tuple[Snapshot | None, list[str]]:
    """The newest snapshot of this ledger that is whole, and one sentence for each that was passed over.

    Changes nothing, needs no lock, and takes little memory: the content is read when a section is. The caller closes
    the snapshot.
    """
    findings: list[str] = []
    return next(all_good(disk, ledger_id, findings), None), findings


def all_good(disk: Disk, ledger_id: bytes, findings: list[str], *, sections_too: bool = True) -> Iterator[Snapshot]:
    """Every snapshot of this ledger that is whole, newest first, each opened when it is asked for.

    `findings` grows by one sentence for each that was passed over. The caller closes the snapshots. Who reads all of
    one leaves out `sections_too`: then it is checked as it is read.
    """
    try:
        newest_first = names(disk)[::-1]
    except UnavailableError as error:
        findings.append(f"no snapshot was used: {error.message}")
        return
    for name in newest_first:
        try:
            found = open_good(disk, name, ledger_id, sections_too=sections_too)
        except SyceeError as error:
            if name in names(disk):  # who only reads may look at what a writer has removed by now
                findings.append(passed_over(error))
        else:
            yield found


def passed_over(error: SyceeError) -> str:
    """The sentence about a snapshot that cannot be used for this reason."""
    return f"{error.message}: passed over, since the journal has all of it"


def open_good(disk: Disk, name: str, ledger_id: bytes, *, sections_too: bool = True) -> Snapshot:
    """One snapshot, by its file's name, after every byte of it was checked, or all but those of its sections.

    Raises IntegrityError when it is damaged or another ledger's, UnavailableError when another version wrote it or the
    disk refuses.
    """
    path = f"{disk.folder}/{name}"
    file = disk.open(name, writable=False)
    try:
        header, table = _checked_ends(file)
        if header.ledger_id != ledger_id:
            raise IntegrityError(
                f"{path}: the snapshot belongs to another ledger, {header.ledger_id.hex()}",
                hint="Move it to where its ledger is. This ledger is unharmed: its journal has everything.",
            )
        if name != f"{header.anchor.sequence:020}.snapshot":
            raise Flaw(f"its header says that it is of frame {header.anchor.sequence}")
        snapshot = Snapshot(file, path, header, layout.decode_table(table[: header.table_bytes], header))
        if sections_too:
            snapshot.check()
        return snapshot
    except Flaw as flaw:
        file.close()
        raise _damaged(path, str(flaw)) from flaw
    except BaseException as error:
        file.close()
        if isinstance(error, layout.OtherVersion):
            raise UnavailableError(
                f"{path}: the snapshot was written by another version of Sycee: {error}",
                hint="Use that release to read it. The ledger itself is unharmed: its journal has everything.",
            ) from error
        raise


def _checked_ends(file: DiskFile) -> tuple[SnapshotHeader, memoryview]:
    """Header and padded table of a file whose digest of both holds. Raises Flaw or OtherVersion."""
    block = memoryview(bytearray(HEADER_BYTES))
    header = layout.decode_header(block[: file.pread_into(block, 0)])
    file_bytes = file.size()
    if file_bytes != header.file_bytes:
        raise Flaw(f"the file has {file_bytes} bytes, its header says {header.file_bytes}")
    end = memoryview(bytearray(file_bytes - header.table_offset))
    file.pread_into(end, header.table_offset)
    table, expected = end[:-DIGEST_BYTES], end[-DIGEST_BYTES:]
    if layout.digest_of(block, table) != expected:
        raise Flaw("its table does not match the file's digest")
    return header, table


def _damaged(path: str, how: str) -> SnapshotDamaged:
    return SnapshotDamaged(
        f"{path}: the snapshot is damaged: {how}",
        hint="Remove it, or leave it to be replaced. The ledger itself is unharmed: its journal has everything.",
    )


def _remove(disk: Disk, some: list[str]) -> None:
    for name in some:
        disk.unlink(name)
    if some:
        disk.fsync_folder()
