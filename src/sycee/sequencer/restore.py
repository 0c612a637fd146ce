"""Restore a ledger's folder from a copy of its journal.

The copy may be a backup, or the folder of a machine that failed. It is replayed from its first byte before anything is
copied. The new folder begins a new epoch, so that frames of the old machine, should it return, and frames of the new
one can be distinguished.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee.core.errors import IntegrityError, UsageError
from sycee.journal import segments
from sycee.journal.disk import RealDisk
from sycee.journal.journal import Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer.applier import Applier
from sycee.sequencer.folders import folder_path, journal_disk
from sycee.storage.table_storage import TableStorage

_CHUNK_BYTES: Final = 1 << 20
_NAME: Final = "journal"
_PARTIAL_NAME: Final = "journal.partial"  # under this name the folder holds no ledger yet


@dataclass(frozen=True, slots=True)
class Restored:
    """Result of a restore."""

    frames: int
    last_sequence: int
    last_time_ns: int
    epoch: int  # the new one
    digest: str  # of the state, hexadecimal
    findings: tuple[str, ...]  # one sentence for each cut or repair, and for a source in use


def restore(
    source: str | Path,
    target: str | Path,
    *,
    cut_tail: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Restored:
    """Copy the ledger in the folder `source` into `target`, which is empty or does not exist, and begin a new epoch.

    `source` is not changed and may be read-only. Only its journal is copied: snapshots can be written again, and other
    files are not part of the ledger. `cut_tail` discards a last frame in doubt; `progress` is called with the number of
    frames read so far.

    Raises UsageError if `source` holds no ledger or `target` is not empty; JournalDamaged, TailInDoubt or
    IntegrityError if the journal is damaged or changes meanwhile; UnavailableError if a disk refuses. After any error
    `target` holds no ledger.
    """
    source_disk, target_folder = journal_disk(source), folder_path(target)
    if not Journal.exists(source_disk):
        raise UsageError(f"{source} holds no ledger", hint="give the folder that contains the copy's folder `journal`")
    _require_empty(target_folder)
    owner = source_disk.locked_by()
    state, original = _read(source_disk, cut_tail=cut_tail, progress=progress)
    digest = state.digest().hex()
    partial, whole = RealDisk(target_folder / _PARTIAL_NAME), RealDisk(target_folder)
    is_being_named = False
    try:
        partial.make_folder()
        _copy(source_disk, partial)
        journal = Journal.open(partial, cut_tail=cut_tail)
        try:
            for _ in journal.recover():
                pass
            if journal.anchor != original.anchor:
                raise IntegrityError(
                    f"{source_disk.folder} changed while it was copied: it ended with frame "
                    f"{original.last_sequence}, and its copy ends with frame {journal.last_sequence}",
                    hint="Stop the process that writes to it first. Nothing was restored.",
                )
            epoch = journal.begin_epoch()
        finally:
            journal.close(movement_digest=state.movement_digest)
        restored = Restored(
            frames=original.last_sequence,
            last_sequence=journal.last_sequence,
            last_time_ns=journal.last_time_ns,
            epoch=epoch,
            digest=digest,
            findings=(
                *original.findings,
                *_in_use_finding(source_disk.folder, owner or source_disk.locked_by(), original),
            ),
        )
        is_being_named = True
        whole.rename(_PARTIAL_NAME, _NAME)
        whole.fsync_folder()
    except BaseException:
        # The restore has failed, so `target` must hold no ledger, not even one that lacks only its last fsync.
        with suppress(OSError):
            half = target_folder / _PARTIAL_NAME
            if is_being_named and not half.exists():
                (target_folder / _NAME).rename(half)
            shutil.rmtree(half, ignore_errors=True)
        raise
    return restored


def _in_use_finding(folder: str, owner: str, original: Journal) -> list[str]:
    """Return the finding for a source that was open while it was copied, or nothing."""
    if not owner:
        return []
    finding = f"{folder} was in use by {owner} while it was copied: operations after frame {original.last_sequence}"
    return [f"{finding} are not in the copy. Stop that process, or two ledgers continue from here"]


def _require_empty(target: Path) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    hint = "give a folder that is empty or does not exist"
    if target.is_dir() and [path.name for path in target.iterdir()] == [_PARTIAL_NAME]:
        hint = f"{target / _PARTIAL_NAME} is an incomplete copy: if no restore is running, remove it and try again"
    raise UsageError(f"{target} is not empty", hint=hint)


def _read(disk: RealDisk, *, cut_tail: bool, progress: Callable[[int], None] | None) -> tuple[LedgerState, Journal]:
    journal = Journal.open(disk, cut_tail=cut_tail, read_only=True)
    state = LedgerState(TableStorage())
    applier = Applier(state)
    for frame in journal.recover():
        applier.replay(frame)
        if progress:
            progress(frame.sequence)
    state.check()
    return state, journal


def _copy(source: RealDisk, target: RealDisk) -> None:
    buffer = memoryview(bytearray(_CHUNK_BYTES))
    for number in segments.segment_numbers(source):
        name = segments.segment_name(number)
        read = source.open(name, writable=False)
        try:
            written = target.create(name)
            try:
                offset = 0
                while count := read.pread_into(buffer, offset):
                    written.pwrite(buffer[:count], offset)
                    offset += count
                written.fdatasync()
            finally:
                written.close()
        finally:
            read.close()
    target.fsync_folder()
