"""Snapshots: the whole state of a ledger at one frame, in one file, so that a start need not read every frame.

A snapshot is a convenience. The journal alone has everything, and a start that finds no good snapshot, or none at all,
reads from the first frame. So a snapshot that cannot be written harms nothing, and one that is damaged is passed over.
Its file is written under a temporary name and renamed when it is durable: under its own name it is whole, and BLAKE3
over all of it says whether it still is. This module knows nothing of what the sections mean.
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
from xxhash import xxh3_128_digest

from sycee.core.errors import IntegrityError, SyceeError, UnavailableError
from sycee.journal import snapshot_format as layout
from sycee.journal.disk import Disk, DiskFile
from sycee.journal.frame import DIGEST_BYTES, Flaw, Mark
from sycee.journal.segments import TEMPORARY_SUFFIX
from sycee.journal.snapshot_format import (
    HEADER_BYTES,
    Array,
    SectionEntry,
    SnapshotHeader,
)

KEPT: Final = 2  # the newest, and the one before it, should the newest rot
CHUNK_BYTES: Final = 4 << 20  # large enough for full disk speed; all the memory that writing and checking take

_NAME: Final = re.compile(r"\d{20}\.snapshot")


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
        other bytes than when the snapshot was checked; `target` then holds nothing that can be used.
        """
        fits = target.dtype == self.dtype and target.shape == self.shape
        if not fits or not target.flags.c_contiguous or not target.flags.writeable:
            raise ValueError(
                f"section {self.name} is {self.dtype} of shape {self.shape}, the array to fill {target.dtype} of shape "
                f"{target.shape}"
            )
        content = layout.flat(target)
        if self._file.pread_into(content, self._entry.offset) < self.size_bytes or not self._holds(content):
            raise IntegrityError(
                f"{self._path}: section {self.name} at byte {self._entry.offset} is no longer what it was when it was "
                "checked",
                hint="Look into the disk. The ledger itself is unharmed: without this file it is rebuilt from its "
                "journal.",
            )

    def read(self) -> Array:
        """A new array with the section's content; errors as of `read_into`."""
        array: Array = np.empty(self.shape, self.dtype)
        self.read_into(array)
        return array

    def _holds(self, content: memoryview) -> bool:
        return bool(xxh3_128_digest(content) == self._entry.checksum)


class Snapshot:
    """A snapshot whose every byte was checked. Keeps its file open until `close`."""

    def __init__(self, file: DiskFile, path: str, header: SnapshotHeader, table: layout.Table) -> None:
        self.name = file.name
        self.size_bytes = header.file_bytes
        self.ledger_id = header.ledger_id
        self.epoch = header.epoch
        self.mark: Mark = header.mark
        self.rules = header.rules  # version of the rules in force after that frame
        self.movement_digest = header.movement_digest  # after that frame
        self.small: dict[str, Any] = table.small
        self.sections = {entry.name: Section(file, path, entry) for entry in table.sections}
        self._file = file

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
    mark: Mark,
    rules: int,
    movement_digest: bytes,
    sections: Mapping[str, Array],
    small: Mapping[str, Any],
) -> str:
    """Write a snapshot of the state after frame `mark.sequence`; returns its file's name once it is durable.

    `sections` are arrays of plain numbers, none of which may change meanwhile; `small` is anything that JSON holds.
    The newest snapshot before it is kept, older ones are removed. Raises ValueError for what no snapshot holds, and
    UnavailableError when the disk refuses: no half of a snapshot is left then, and the ledger itself is unharmed.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in sections.items()}
    header, table = layout.encode(
        SnapshotHeader(ledger_id, epoch, rules, mark, movement_digest), arrays=arrays, small=small
    )
    name = f"{mark.sequence:020}.snapshot"
    try:
        disk.make_folder()
        _remove(disk, [other for other in disk.names() if other.endswith(TEMPORARY_SUFFIX)])
        _write_durably(disk, name, [header, table, *(layout.flat(array) for array in arrays.values())])
        older = [other for other in names(disk) if other < name]
        _remove(disk, older[: -(KEPT - 1)])
    except UnavailableError as error:
        raise UnavailableError(
            f"the snapshot of frame {mark.sequence} failed: {error.message}",
            hint="The ledger itself is unharmed and can go on: its journal has everything, and only the next start "
            "takes longer. Put the disk right (space, owner and mode, mounted for writing); a later snapshot tries "
            "again.",
        ) from error
    return name


def newest_good(disk: Disk, ledger_id: bytes) -> tuple[Snapshot | None, list[str]]:
    """The newest snapshot of this ledger that is whole, and one sentence for each that was passed over.

    Changes nothing, needs no lock, and takes little memory: the content is read when a section is. The caller closes
    the snapshot.
    """
    findings: list[str] = []
    return next(all_good(disk, ledger_id, findings), None), findings


def all_good(disk: Disk, ledger_id: bytes, findings: list[str]) -> Iterator[Snapshot]:
    """Every snapshot of this ledger that is whole, newest first, each opened when it is asked for.

    `findings` grows by one sentence for each that was passed over. The caller closes the snapshots.
    """
    try:
        newest_first = names(disk)[::-1]
    except UnavailableError as error:
        findings.append(f"no snapshot was used: {error.message}")
        return
    for name in newest_first:
        try:
            found = open_good(disk, name, ledger_id)
        except SyceeError as error:
            if name in names(disk):  # who only reads may look at what a writer has removed by now
                findings.append(f"{error.message}: passed over, since the journal has all of it")
        else:
            yield found


def open_good(disk: Disk, name: str, ledger_id: bytes) -> Snapshot:
    """One snapshot, by its file's name, after every byte of it was checked.

    Raises IntegrityError when it is damaged or another ledger's, UnavailableError when a newer version wrote it or the
    disk refuses.
    """
    path = f"{disk.folder}/{name}"
    file = disk.open(name, writable=False)
    try:
        header = _checked_header(file)
        if header.ledger_id != ledger_id:
            raise IntegrityError(
                f"{path}: the snapshot belongs to another ledger, {header.ledger_id.hex()}",
                hint="Move it to where its ledger is. This ledger is unharmed: its journal has everything.",
            )
        if name != f"{header.mark.sequence:020}.snapshot":
            raise Flaw(f"its header says that it is of frame {header.mark.sequence}")
        table = memoryview(bytearray(header.table_bytes))
        file.pread_into(table, HEADER_BYTES)
        return Snapshot(file, path, header, layout.decode_table(table, header))
    except Flaw as flaw:
        file.close()
        raise IntegrityError(
            f"{path}: the snapshot is damaged: {flaw}",
            hint="Remove it, or leave it to be replaced. The ledger itself is unharmed: its journal has everything.",
        ) from flaw
    except BaseException as error:
        file.close()
        if isinstance(error, layout.Newer):
            raise UnavailableError(
                f"{path}: the snapshot was written by a newer version of Sycee: {error}",
                hint="Use that release to read it. The ledger itself is unharmed: its journal has everything.",
            ) from error
        raise


def _checked_header(file: DiskFile) -> SnapshotHeader:
    """The header of a file whose digest holds. Raises Flaw or Newer."""
    block = memoryview(bytearray(HEADER_BYTES))
    header = layout.decode_header(block[: file.pread_into(block, 0)])
    file_bytes = file.size()
    if file_bytes != header.file_bytes:
        raise Flaw(f"the file has {file_bytes} bytes, its header says {header.file_bytes}")
    hasher = blake3()
    buffer = memoryview(bytearray(min(CHUNK_BYTES, file_bytes)))
    end = file_bytes - DIGEST_BYTES
    for offset in range(0, end, len(buffer)):
        chunk = buffer[: min(len(buffer), end - offset)]
        if file.pread_into(chunk, offset) < len(chunk):
            raise Flaw(f"the file ends before byte {offset + len(chunk)}")
        hasher.update(chunk)
    expected = memoryview(bytearray(DIGEST_BYTES))
    file.pread_into(expected, end)
    if hasher.digest() != expected:
        raise Flaw("its content does not match its digest")
    return header


def _write_durably(disk: Disk, name: str, parts: list[memoryview]) -> None:
    """Write the parts, each on its own blocks, and their digest; give the file its name when all of it is durable."""
    temporary = f"{name.partition('.')[0]}{TEMPORARY_SUFFIX}"
    file = disk.create(temporary)
    try:
        try:
            hasher = blake3()
            offset = 0
            for part in parts:
                for start in range(0, len(part), CHUNK_BYTES):
                    chunk = part[start : start + CHUNK_BYTES]
                    file.pwrite(chunk, offset + start)
                    hasher.update(chunk)
                padding = bytes(layout.padded(len(part)) - len(part))
                if padding:
                    file.pwrite(memoryview(padding), offset + len(part))
                    hasher.update(padding)
                offset += layout.padded(len(part))
            file.pwrite(memoryview(hasher.digest()), offset)
            file.fdatasync()
        finally:
            file.close()
        disk.rename(temporary, name)
    except Exception:
        # No half of a snapshot may take the space that the journal needs. Should this fail too, the next one does it.
        with contextlib.suppress(UnavailableError):
            disk.unlink(temporary)
        raise
    disk.fsync_folder()


def _remove(disk: Disk, some: list[str]) -> None:
    for name in some:
        disk.unlink(name)
    if some:
        disk.fsync_folder()
