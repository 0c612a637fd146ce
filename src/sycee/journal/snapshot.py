"""Snapshots: the state of a ledger after one frame, in one file, so that a start need not read every frame.

Snapshots are optional. The journal contains everything, and a start without a valid snapshot reads from the first
frame. So a failure to write one is harmless, and a damaged one is skipped. The file is written under a temporary name
and renamed when it is durable: a file with the name of a snapshot is complete. BLAKE3 detects later damage, with a
digest of each section and a digest of the table of these digests. So each section can be read once, straight into
memory, in any order. This module does not interpret sections. docs/reference/journal.md describes the bytes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
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
from sycee.journal.snapshot_format import HEADER_BYTES, SectionEntry
from sycee.journal.snapshot_format import SnapshotHeader as SnapshotHeader

KEPT: Final = 2  # the newest, and the one before it in case the newest is damaged
CHUNK_BYTES: Final = 4 << 20  # enough for full disk speed; the memory that checking needs
# Written bytes are made durable in portions of this size: a frame's fdatasync waits for one portion at most.
SYNC_BYTES: Final = 4 << 20

_NAME: Final = re.compile(r"\d{20}\.snapshot")


class SnapshotDamaged(IntegrityError):
    """Bytes of a snapshot differ from those written. The message names the file and the part."""


class Section:
    """One array of a snapshot on disk."""

    def __init__(self, file: DiskFile, path: str, entry: SectionEntry) -> None:
        self.name = entry.name
        self.dtype = entry.dtype
        self.shape = entry.shape
        self.size_bytes = entry.size_bytes
        self._file = file
        self._path = path
        self._entry = entry

    def read_into(self, target: Array) -> None:
        """Fill `target`, a contiguous array of this type and shape, directly from the disk.

        Raises ValueError for another array, UnavailableError if the disk refuses, IntegrityError for damaged bytes. The
        content of `target` is then undefined.
        """
        fits = target.dtype == self.dtype and target.shape == self.shape
        if not fits or not target.flags.c_contiguous or not target.flags.writeable:
            raise ValueError(
                f"section {self.name} is {self.dtype} of shape {self.shape}, the target array {target.dtype} of shape "
                f"{target.shape}"
            )
        content = layout.flat(target)
        self._check(content[start : start + CHUNK_BYTES] for start in range(0, self.size_bytes, CHUNK_BYTES))

    def read(self) -> Array:
        """Return a new array with the section's content. Errors as `read_into`."""
        array: Array = np.empty(self.shape, self.dtype)
        self.read_into(array)
        return array

    def check(self, buffer: memoryview) -> None:
        """Read all bytes through `buffer` and compare the digest. Errors as `read_into`."""
        step = len(buffer)
        self._check(buffer[: min(step, self.size_bytes - start)] for start in range(0, self.size_bytes, step))

    def _check(self, chunks: Iterable[memoryview]) -> None:
        """Read the section into these chunks, one after another, and compare its digest."""
        hasher, offset = blake3(), self._entry.offset
        for chunk in chunks:
            self._file.pread_into(chunk, offset)
            hasher.update(chunk)
            offset += len(chunk)
        padding = memoryview(bytearray(layout.padded(self.size_bytes) - self.size_bytes))
        self._file.pread_into(padding, self._entry.offset + self.size_bytes)
        if hasher.digest() != self._entry.digest or any(padding):
            raise _damaged(self._path, f"section {self.name} at byte {self._entry.offset} does not match its digest")


class Snapshot:
    """A snapshot with a valid header and table; each section is checked when it is read. Has an open file."""

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
        """Check all sections. Raises IntegrityError for a damaged one."""
        buffer = memoryview(bytearray(min(CHUNK_BYTES, self.size_bytes)))
        for section in self.sections.values():
            section.check(buffer)

    def close(self) -> None:
        """Close the file: sections cannot be read any more."""
        self._file.close()

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def names(disk: Disk) -> list[str]:
    """Return the names of the snapshots in the folder, valid or not, oldest first."""
    return [name for name in disk.names() if _NAME.fullmatch(name)] if disk.exists() else []


class Writer:
    """Writes a snapshot, piece by piece, in the order of the sections.

    Every method raises UnavailableError if the disk refuses, without harm to the ledger. The caller then calls
    `abandon`, which removes the incomplete file.
    """

    def __init__(
        self, disk: Disk, header: SnapshotHeader, sections: Mapping[str, Array], small: Mapping[str, Any]
    ) -> None:
        """Begin a snapshot of the state after frame `header.anchor.sequence`.

        `sections`: arrays of plain numbers, of which only types and shapes are used here. `small`: values for JSON.
        Raises ValueError for values that no snapshot can have.
        """
        self._plan = layout.Plan(header, sections, small)
        self._disk = disk
        self._sequence = header.anchor.sequence
        self._temporary = f"{self._sequence:020}{TEMPORARY_SUFFIX}"
        self._digests: list[bytes] = []
        self._hasher = blake3()
        self._written = 0  # bytes of the current section
        self._unsynced = 0
        self._file: DiskFile | None = None
        with self._refusing():
            disk.make_folder()
            _remove(disk, [other for other in disk.names() if other.endswith(TEMPORARY_SUFFIX)])
            self._file = disk.create(self._temporary)

    def add(self, content: memoryview) -> None:
        """Write the next bytes, all of one section."""
        assert self._file is not None
        self._end_full_sections()
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
        self._end_full_sections()
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
        """Remove the incomplete file; do nothing after `finish`."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            # Its space is needed for the journal. If this fails too, the next snapshot removes the file.
            with contextlib.suppress(UnavailableError):
                self._disk.unlink(self._temporary)

    def _end_full_sections(self) -> None:
        """Store the digests of sections that are complete, and write their padding."""
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
                hint="The ledger is unharmed and can continue: its journal has everything, and only the next start "
                "takes longer. Repair the disk (space, owner and mode, mounted for writing); a later snapshot retries.",
            ) from error


def all_good(disk: Disk, ledger_id: bytes, findings: list[str], *, sections_too: bool = True) -> Iterator[Snapshot]:
    """Yield every valid snapshot of this ledger, newest first; each is opened when it is requested.

    Appends one sentence to `findings` for each that is skipped. The caller closes the snapshots. Without `sections_too`
    the sections are not checked before, for a caller who reads all of them.
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
            if name in names(disk):  # a writer may have removed it meanwhile
                findings.append(skipped(error))
        else:
            yield found


def skipped(error: SyceeError) -> str:
    """Return the sentence about a snapshot that is skipped for this reason."""
    return f"{error.message}: skipped, because the journal has everything"


def open_good(disk: Disk, name: str, ledger_id: bytes, *, sections_too: bool = True) -> Snapshot:
    """Return the snapshot in a file after checking all of it, or all but its sections.

    Raises IntegrityError if it is damaged or of another ledger, UnavailableError if another version wrote it or the
    disk refuses.
    """
    path = f"{disk.folder}/{name}"
    file = disk.open(name, writable=False)
    try:
        header, table = _checked_ends(file)
        if header.ledger_id != ledger_id:
            raise IntegrityError(
                f"{path}: the snapshot belongs to another ledger, {header.ledger_id.hex()}",
                hint="Move it to its ledger. This ledger is unharmed: its journal has everything.",
            )
        if name != f"{header.anchor.sequence:020}.snapshot":
            raise Flaw(f"its header has frame {header.anchor.sequence}")
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
                hint="Use that release to read it. The ledger is unharmed: its journal has everything.",
            ) from error
        raise


def _checked_ends(file: DiskFile) -> tuple[SnapshotHeader, memoryview]:
    """Return header and padded table of a file, after checking its digest of both. Raises Flaw or OtherVersion."""
    block = memoryview(bytearray(HEADER_BYTES))
    header = layout.decode_header(block[: file.pread_into(block, 0)])
    file_bytes = file.size()
    if file_bytes != header.file_bytes:
        raise Flaw(f"the file has {file_bytes} bytes, but {header.file_bytes} in its header")
    end = memoryview(bytearray(file_bytes - header.table_offset))
    file.pread_into(end, header.table_offset)
    table, expected = end[:-DIGEST_BYTES], end[-DIGEST_BYTES:]
    if layout.digest_of(block, table) != expected:
        raise Flaw("its table does not match the file's digest")
    return header, table


def _damaged(path: str, how: str) -> SnapshotDamaged:
    return SnapshotDamaged(
        f"{path}: the snapshot is damaged: {how}",
        hint="Remove it, or let later snapshots replace it. The ledger is unharmed: its journal has everything.",
    )


def _remove(disk: Disk, some: list[str]) -> None:
    for name in some:
        disk.unlink(name)
    if some:
        disk.fsync_folder()
