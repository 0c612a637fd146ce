"""A state kept on disk, so that a start replays the frames after it only.

A snapshot is a convenience and proves nothing: one that cannot be used is passed over, and the ledger is replayed from
its first frame. But a journal that ends before a good snapshot, or has another frame at its place, has lost frames
that were acknowledged, and that is damage.
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
from sycee.journal import snapshot as files
from sycee.journal.disk import Disk
from sycee.journal.frame import Frame, Mark
from sycee.journal.journal import Journal
from sycee.journal.snapshot import Section, Snapshot
from sycee.ledger import invariants, kernels, layout
from sycee.ledger.state import LedgerState
from sycee.sequencer.applier import Applier
from sycee.sequencer.log import Log
from sycee.storage.history import History
from sycee.storage.snapshot_copy import CHANGING, SnapshotCopy
from sycee.storage.table_storage import TableStorage

# What hangs on how a state came about and not on what it is: the dates, since each frame brings its own, and the random
# key that contents of retries are hashed with.
_UNCOMPARED: Final = ("calendar", "content_key")


# A piece is copied, hashed and written in about a millisecond, beside which a frame loses little.
PIECE_BYTES: Final = 1 << 20


@dataclass(slots=True)
class RecoveredState:
    """A state that is at its log's end."""

    state: LedgerState
    findings: list[str] = field(default_factory=list)  # one sentence each
    snapshot_sequence: int = 0  # the frame of the snapshot that it began with, 0 for none


def recover_state(
    log: Log, disk: Disk | None, *, trusted: bool = True, history: History | None = None
) -> RecoveredState:
    """Read a log to its end, from the newest good snapshot on `disk` if there is one and it is `trusted`.

    Where it is not, all is replayed, and each good snapshot still says which frame was durable. The one of a frame that
    a person gives up is removed, since the next start would take it for proof of a loss. Old rows of the state go to
    `history`. Raises what `Log.recover` and `replay` raise.
    """
    state, mark, findings = LedgerState(TableStorage(history)), None, list[str]()
    frames = log.recover()
    if disk is not None and trusted:
        state, mark, findings = _load_newest(log, disk, history)
        if mark is not None:
            frames = log.recover(after=mark)
    elif disk is not None:
        kept = {
            snapshot.mark: snapshot.name for snapshot in _closing_each(files.all_good(disk, log.ledger_id, findings))
        }

        def give_up(sequence: int) -> None:
            for mark, name in kept.items():
                if mark.sequence == sequence:
                    disk.unlink(name)
                    disk.fsync_folder()
                    findings.append(f"{disk.folder}/{name} was removed: frame {sequence} was given up")

        frames = log.recover(known=list(kept), give_up=give_up)
    for frame in frames:
        Applier(state).replay(frame)
    return RecoveredState(state, [*findings, *log.findings], mark.sequence if mark else 0)


class SnapshotTask:
    """A snapshot that is being written, step by step, while frames go on between the steps and beside them.

    `between_frames` gives a context in which no frame is applied; it raises where the ledger has stopped. Making one
    needs that too. After an error nothing of it is left, and the ledger is unharmed.
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
        """Begin: the snapshot is of the state as it is now. Raises UnavailableError where there is no memory for it."""
        if state.sequence != log.last_sequence:
            raise UnavailableError(
                f"no snapshot: the state is at frame {state.sequence}, and its log at {log.last_sequence}",
                hint="open the ledger again",
            )
        self.sequence = log.last_sequence
        self.name = ""  # of the file, once it is durable
        self._disk = disk
        self._ledger_id, self._epoch, self._mark = log.ledger_id, log.epoch, log.mark
        self._between_frames = between_frames
        self._piece_bytes = piece_bytes
        self._copying = SnapshotCopy(state)
        self._writer: files.Writer | None = None
        self._is_abandoned = False
        self._steps = self._all_steps()

    def step(self) -> bool:
        """Write a piece more; False when all is done. Raises UnavailableError when the disk refuses."""
        try:
            return self.is_running and next(self._steps, False)
        except BaseException:
            self.abandon()
            raise

    def run(self) -> str:
        """Do all steps; returns the file's name. Raises what `step` raises."""
        while self.step():
            pass
        return self.name

    @property
    def is_running(self) -> bool:
        """Whether it is neither done nor given up."""
        return not (self.name or self._is_abandoned)

    def abandon(self) -> None:
        """Give it up, and leave nothing of it. Does nothing when it is done."""
        if not self.is_running:
            return
        self._is_abandoned = True
        with suppress(UnavailableError):  # a ledger that has stopped keeps nothing any more
            self._end_copying()
        if self._writer is not None:
            self._writer.abandon()

    def _all_steps(self) -> Iterator[bool]:
        copying, buffer = self._copying, np.empty(self._piece_bytes // 8, np.uint64)
        writer = self._writer = files.Writer(
            self._disk,
            ledger_id=self._ledger_id,
            epoch=self._epoch,
            mark=self._mark,
            rules=copying.rules,
            movement_digest=copying.movement_digest,
            sections=copying.sections,
            small=copying.small,
        )
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
            kept = self._copying.end()
        del kept  # gigabytes, perhaps: given back while frames go on


def load_state(snapshot: Snapshot, history: History | None = None) -> LedgerState:
    """The state that a snapshot keeps. Raises IntegrityError where it does not hold together.

    Digests prove that the bytes are those that were written; that all books sum to zero is checked again here, since a
    start replays nothing of what came before.
    """
    state = LedgerState.load(snapshot.sections, snapshot.small, TableStorage(history))
    if (state.rules, state.movement_digest) != (snapshot.rules, snapshot.movement_digest):
        raise IntegrityError("its tables are not those that its head names")
    try:
        invariants.check_sums(state)
    except IntegrityError as error:
        raise files.SnapshotDamaged(
            f"{snapshot.path}: the snapshot keeps wrong books: {error.message}",
            hint="Remove it, or leave it to be replaced. The ledger itself is unharmed: its journal has everything.",
        ) from error
    return state


def difference(snapshot: Snapshot, state: LedgerState, frame: Frame) -> str:
    """What a snapshot keeps otherwise than one of this state, after this frame, would; empty where it keeps the same.

    Section by section, since the state digest need not see everything that a later frame will rest on. Raises
    IntegrityError where the snapshot is laid out otherwise, and where the disk gives other bytes than before.
    """
    sections, small = state.save()
    if snapshot.small.keys() != small.keys() or _layout(snapshot.sections) != _layout(sections):
        raise IntegrityError("its tables are laid out otherwise")
    if (snapshot.rules, snapshot.movement_digest) != (state.rules, state.movement_digest):
        return "its head names other rules or movements"
    if snapshot.mark != Mark(frame.sequence, frame.time_ns, frame.digest) or snapshot.epoch < frame.epoch:
        return "its head names another frame"
    for name, value in small.items():
        if snapshot.small[name] != value:
            return f"its {name} differ"
    for name, array in sections.items():
        if name not in _UNCOMPARED and not _is_same(name, snapshot.sections[name].read(), array):
            return f"its {name} differ"
    return ""


def open_journal(disk: Disk, kept: Disk, *, create: bool = True, cut_tail: bool = False) -> Journal:
    """Open the journal on `disk`, or create one if there is none and `create` is True.

    `kept` is the disk of the ledger's snapshots. Raises JournalDamaged if there are snapshots but no journal: the
    journal was lost. Raises UsageError if `create` is False and there is neither; else as `Journal.open` and
    `Journal.create`.
    """
    if Journal.exists(disk):
        return Journal.open(disk, cut_tail=cut_tail)
    if names := files.names(kept):
        raise JournalDamaged(
            f"{disk.folder} holds no journal, and {kept.folder}/{names[-1]} says that there was one",
            hint="Nothing was changed. Put the journal back from a copy. For a new ledger choose another folder, or "
            "move the snapshots away.",
        )
    if not create:
        raise UsageError(
            f"{Path(disk.folder).parent} holds no ledger",
            hint="correct the folder's name, or create a ledger there with create=True",
        )
    return Journal.create(disk)


def _layout(sections: Mapping[str, Section] | Mapping[str, Array]) -> dict[str, tuple[np.dtype[Any], int]]:
    return {name: (section.dtype, len(section.shape)) for name, section in sections.items()}


def _is_same(name: str, kept: Array, here: Array) -> bool:
    if name == "bound":  # but for what is hashed with the random key
        return all(np.array_equal(kept[field], here[field]) for field in layout.BOUND.names or () if field != "content")
    if name == "counters":  # how many time-outs the heap holds is found anew
        kept[kernels.TIME_OUTS] = here[kernels.TIME_OUTS]
    # Tables grow ahead of need, and by how much hangs on when: beyond what is in use there are zeros.
    common = tuple(slice(min(lengths)) for lengths in zip(kept.shape, here.shape, strict=True))
    return np.array_equal(_bytes_of(kept[common]), _bytes_of(here[common])) and all(
        np.count_nonzero(_bytes_of(array)) == np.count_nonzero(_bytes_of(array[common]))
        for array in (kept, here)
        if array.shape != array[common].shape
    )


def _bytes_of(array: Array) -> Array:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _closing_each(found: Iterable[Snapshot]) -> Iterator[Snapshot]:
    """The same snapshots, each let go of when it was looked at."""
    for snapshot in found:
        with snapshot:
            yield snapshot


def _load_newest(log: Log, disk: Disk, history: History | None) -> tuple[LedgerState, Mark | None, list[str]]:
    """The state of the newest snapshot that can be used, read and checked in one go."""
    findings: list[str] = []
    for snapshot in _closing_each(files.all_good(disk, log.ledger_id, findings, sections_too=False)):
        try:
            return load_state(snapshot, history), snapshot.mark, findings
        except (files.SnapshotDamaged, UnavailableError) as error:
            findings.append(files.passed_over(error))
        except (SyceeError, KeyError, ValueError, TypeError) as error:
            # Another release laid its tables out otherwise: nothing is lost, for the journal has it all.
            findings.append(f"{disk.folder}/{snapshot.name} does not fit this release ({error}): it was passed over")
    return LedgerState(TableStorage(history)), None, findings
