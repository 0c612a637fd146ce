"""Snapshots of a state on disk, so that a start replays only the frames after the newest one.

A snapshot is an optimisation and proves nothing: one that cannot be used is skipped, and the ledger is replayed from
its first frame. But if a journal ends before a good snapshot, or has a different frame at its sequence, acknowledged
frames are lost, which is damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, JournalDamaged, SyceeError, UnavailableError, UsageError
from sycee.core.records import layout
from sycee.journal import snapshot as files
from sycee.journal.disk import Disk
from sycee.journal.frame import Anchor, Frame
from sycee.journal.journal import Journal
from sycee.journal.snapshot import Section, Snapshot
from sycee.ledger import invariants
from sycee.ledger.kernels import constants
from sycee.ledger.state import LedgerState
from sycee.sequencer.applier import Applier
from sycee.sequencer.log import Log
from sycee.storage.history import History
from sycee.storage.snapshot_copy import CHANGING, SnapshotCopy
from sycee.storage.table_storage import TableStorage

# Sections that may differ between equal states: each frame has dates; the key for content hashes is random.
_UNCOMPARED: Final = ("calendar", "content_key")

# Copying, hashing and writing a piece takes about a millisecond, which hardly delays a frame.
PIECE_BYTES: Final = 1 << 20


@dataclass(slots=True)
class RecoveredState:
    """A state at the end of its log."""

    state: LedgerState
    findings: list[str] = field(default_factory=list)  # one sentence each
    snapshot_sequence: int = 0  # frame of the loaded snapshot, 0 for none


def recover_state(
    log: Log, disk: Disk | None, *, trusted: bool = True, history: History | None = None
) -> RecoveredState:
    """Read a log to its end, from the newest good snapshot on `disk` if there is one and `trusted` is True.

    If `trusted` is False, all frames are replayed, and the good snapshots only prove which frames were durable. The
    snapshot of a frame that is cut is removed; otherwise the next start would report that frame as lost. Old rows of
    the state are moved to `history`. Raises as `Log.recover` and `Applier.replay` do.
    """
    state, anchor, findings = LedgerState(TableStorage(history)), None, list[str]()
    frames = log.recover()
    if disk is not None and trusted:
        state, anchor, findings = _load_newest(log, disk, history)
        if anchor is not None:
            frames = log.recover(after=anchor)
    elif disk is not None:
        good = {each.anchor: each.name for each in _closing_each(files.all_good(disk, log.ledger_id, findings))}

        def give_up(sequence: int) -> None:
            for anchor, name in good.items():
                if anchor.sequence == sequence:
                    disk.unlink(name)
                    disk.fsync_folder()
                    findings.append(f"{disk.folder}/{name} was removed: frame {sequence} was discarded")

        frames = log.recover(anchors=list(good), give_up=give_up)
    applier = Applier(state)
    for frame in frames:
        applier.replay(frame)
    return RecoveredState(state, [*findings, *log.findings], anchor.sequence if anchor else 0)


class SnapshotTask:
    """A snapshot that is written in steps, while frames continue between the steps and in parallel.

    `between_frames` returns a context in which no frame is applied; it raises if the ledger has stopped. The
    constructor must run in such a context as well. After an error no file is left, and the ledger is unharmed.
    """

    def __init__(
        self,
        disk: Disk,
        log: Log,
        state: LedgerState,
        between_frames: Callable[[], AbstractContextManager[None]],
        *,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        """Begin a snapshot of the current state. Raises UnavailableError if memory is insufficient."""
        if state.sequence != log.last_sequence:
            raise UnavailableError(
                f"no snapshot: the state is at frame {state.sequence}, but its log at frame {log.last_sequence}",
                hint="open the ledger again",
            )
        self.sequence = log.last_sequence
        self.name = ""  # of the file, once it is durable
        self._disk = disk
        self._ledger_id, self._epoch, self._anchor = log.ledger_id, log.epoch, log.anchor
        self._between_frames = between_frames
        self._piece_bytes = piece_bytes
        self._copying = SnapshotCopy(state)
        self._writer: files.Writer | None = None
        self._is_abandoned = False
        self._steps = self._all_steps()

    def step(self) -> bool:
        """Write the next piece; return False when all are written. Raises UnavailableError if the disk refuses."""
        try:
            return self.is_running and next(self._steps, False)
        except BaseException:
            self.abandon()
            raise

    def run(self) -> str:
        """Execute all steps; return the file's name. Raises as `step` does."""
        while self.step():
            pass
        return self.name

    @property
    def is_running(self) -> bool:
        """Return whether the snapshot is neither complete nor abandoned."""
        return not (self.name or self._is_abandoned)

    @property
    def is_copying(self) -> bool:
        """Return whether the snapshot still needs pre-images. Afterwards another copy may begin."""
        return self.is_running and self._copying.is_running

    def abandon(self) -> None:
        """Stop, and remove the incomplete file. Does nothing if the snapshot is complete."""
        if not self.is_running:
            return
        self._is_abandoned = True
        with suppress(UnavailableError):  # the ledger has stopped: there is nothing to release
            self._end_copying()
        if self._writer is not None:
            self._writer.abandon()

    def _all_steps(self) -> Iterator[bool]:
        copying, buffer = self._copying, np.empty(self._piece_bytes // 8, np.uint64)
        header = files.SnapshotHeader(
            self._ledger_id, self._epoch, copying.rules, self._anchor, copying.movement_digest
        )
        writer = self._writer = files.Writer(self._disk, header, copying.sections, copying.small)
        for name in CHANGING:
            rows, row_words = copying.sections[name].size, copying.row_bytes(name) // 8
            for first in range(0, rows, buffer.size // row_words):
                count = min(buffer.size // row_words, rows - first)
                piece = buffer[: count * row_words].reshape(count, row_words)
                copying.copy_rows(name, first, piece)
                with self._between_frames():
                    copying.restore(name, first, piece)
                writer.add(piece.reshape(-1).view(np.uint8).data)
                yield True
        self._end_copying()
        for name in copying.sections:
            if name not in CHANGING:
                content = copying.sections[name].reshape(-1).view(np.uint8).data
                for start in range(0, len(content), self._piece_bytes):
                    writer.add(content[start : start + self._piece_bytes])
                    yield True
        self.name = writer.finish()

    def _end_copying(self) -> None:
        with self._between_frames():
            pages = self._copying.end()
        del pages  # possibly gigabytes: freed while frames continue


def load_state(snapshot: Snapshot, history: History | None = None) -> LedgerState:
    """Return the state of a snapshot. Raises IntegrityError if the snapshot is inconsistent.

    Digests prove that the bytes are the written ones. The check that all accounts sum to zero is repeated here, since a
    start does not replay the earlier frames.
    """
    state = LedgerState.load(snapshot.sections, snapshot.small, TableStorage(history))
    if (state.rules, state.movement_digest) != (snapshot.rules, snapshot.movement_digest):
        raise IntegrityError("its tables differ from those in its header")
    try:
        invariants.check_sums(state)
    except IntegrityError as error:
        raise files.SnapshotDamaged(
            f"{snapshot.path}: the snapshot has wrong sums: {error.message}",
            hint="Remove the file, or wait until it is replaced. The ledger is unharmed: its journal is complete.",
        ) from error
    return state


def difference(snapshot: Snapshot, state: LedgerState, frame: Frame) -> str:
    """Return the first difference between a snapshot and this state after this frame; empty if there is none.

    Compares section by section, since the state digest does not cover everything that later frames depend on. Raises
    IntegrityError if the layout differs, or if the disk returns different bytes than before.
    """
    sections, small = state.save()
    if snapshot.small.keys() != small.keys() or _layout(snapshot.sections) != _layout(sections):
        raise IntegrityError("its tables have another layout")
    if (snapshot.rules, snapshot.movement_digest) != (state.rules, state.movement_digest):
        return "its header has other rules or movements"
    if snapshot.anchor != Anchor(frame.sequence, frame.time_ns, frame.digest) or snapshot.epoch < frame.epoch:
        return "its header has another frame"
    for name, value in small.items():
        if snapshot.small[name] != value:
            return f"its {name} differ"
    for name, array in sections.items():
        if name not in _UNCOMPARED and not _is_same(name, snapshot.sections[name].read(), array):
            return f"its {name} differ"
    return ""


def open_journal(disk: Disk, snapshots_on: Disk, *, create: bool = True, cut_tail: bool = False) -> Journal:
    """Open the journal on `disk`, or create one if there is none and `create` is True.

    `snapshots_on` is the disk of the ledger's snapshots. Raises JournalDamaged if there are snapshots but no journal:
    the journal was lost. Raises UsageError if `create` is False and there is neither; else as `Journal.open` and
    `Journal.create`.
    """
    if Journal.exists(disk):
        return Journal.open(disk, cut_tail=cut_tail)
    if names := files.names(snapshots_on):
        raise JournalDamaged(
            f"{disk.folder} holds no journal, but {snapshots_on.folder}/{names[-1]} is a snapshot of one",
            hint="Nothing was changed. Restore the journal from a copy. For a new ledger use another folder, or move "
            "the snapshots away.",
        )
    if not create:
        raise UsageError(
            f"{Path(disk.folder).parent} holds no ledger",
            hint="correct the folder's name, or create a ledger there with create=True",
        )
    return Journal.create(disk)


def _layout(sections: Mapping[str, Section] | Mapping[str, Array]) -> dict[str, tuple[np.dtype[Any], int]]:
    return {name: (section.dtype, len(section.shape)) for name, section in sections.items()}


def _is_same(name: str, one: Array, other: Array) -> bool:
    if name == "bound":  # except hashes with the random key
        return all(np.array_equal(one[field], other[field]) for field in layout.BOUND.names or () if field != "content")
    if name == "counters":  # a start counts the time-outs in the heap again
        one[constants.TIME_OUTS] = other[constants.TIME_OUTS]
    # Tables are allocated ahead of need, so their sizes may differ; unused rows are zero.
    common = tuple(slice(min(lengths)) for lengths in zip(one.shape, other.shape, strict=True))
    return np.array_equal(_bytes_of(one[common]), _bytes_of(other[common])) and all(
        np.count_nonzero(_bytes_of(array)) == np.count_nonzero(_bytes_of(array[common]))
        for array in (one, other)
        if array.shape != array[common].shape
    )


def _bytes_of(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _closing_each(found: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """Yield the snapshots, and close each when the next is requested."""
    for snapshot in found:
        with snapshot:
            yield snapshot


def _load_newest(log: Log, disk: Disk, history: History | None) -> tuple[LedgerState, Anchor | None, list[str]]:
    """Return the state of the newest usable snapshot, its anchor (None without a snapshot) and the findings."""
    findings: list[str] = []
    for snapshot in _closing_each(files.all_good(disk, log.ledger_id, findings, sections_too=False)):
        try:
            return load_state(snapshot, history), snapshot.anchor, findings
        except (files.SnapshotDamaged, UnavailableError) as error:
            findings.append(files.skipped(error))
        except (SyceeError, KeyError, ValueError, TypeError) as error:
            # Another release wrote another layout. Nothing is lost: the journal is complete.
            findings.append(f"{disk.folder}/{snapshot.name} does not fit this release ({error}): it was skipped")
    return LedgerState(TableStorage(history)), None, findings
