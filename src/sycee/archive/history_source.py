"""Sources of a history: an open ledger, a sequencer, or a folder whose journal is replayed without a lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sycee.journal.frame import Frame
from sycee.journal.journal import Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import existing_journal_disk, snapshot_disk


class StateReader(Protocol):
    """Read access to the state between two frames, such as a sequencer gives."""

    @property
    def ledger_id(self) -> bytes:
        """The ledger's id, 16 bytes."""
        ...

    def reading(self) -> AbstractContextManager[LedgerState]:
        """Return a context with the state after the newest durable frame; no frame is applied inside the context."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayedLedger:
    """State of a ledger that was replayed into memory and no longer changes."""

    ledger_id: bytes
    state: LedgerState
    findings: tuple[str, ...] = ()  # irregularities without loss, one sentence each

    @contextmanager
    def reading(self) -> Iterator[LedgerState]:
        """Yield the state."""
        yield self.state


Source = Ledger | StateReader


def reader_of(ledger: Source) -> StateReader:
    """Return the state reader of an embedded ledger, or the argument if it is a state reader itself."""
    return ledger.sequencer if isinstance(ledger, Ledger) else ledger


def replay_folder(folder: str | Path, *, progress: Callable[[int], None] | None = None) -> ReplayedLedger:
    """Replay the ledger in `folder` up to its last frame, from the newest good snapshot.

    The folder is neither locked nor changed, so another process may own the ledger. `progress(sequence)` is called
    after each frame. Raises UsageError if there is no ledger, IntegrityError if the journal fails verification,
    UnavailableError if a newer release wrote it.
    """
    log = _ProgressJournal.open(existing_journal_disk(folder), read_only=True)
    assert isinstance(log, _ProgressJournal)
    log.progress = progress
    snapshot_files = snapshot_disk(folder)
    try:
        start = snapshots.recover_state(log, snapshot_files if snapshot_files.exists() else None)
    finally:
        log.close()
    return ReplayedLedger(log.ledger_id, start.state, tuple(start.findings))


class _ProgressJournal(Journal):
    """Read-only journal that reports each frame it has read."""

    progress: Callable[[int], None] | None = None

    def recover(self, *arguments: Any, **options: Any) -> Iterator[Frame]:
        """Yield the frames of `Journal.recover`, and report each after the consumer has processed it."""
        for frame in super().recover(*arguments, **options):
            yield frame
            if self.progress:
                self.progress(frame.sequence)
