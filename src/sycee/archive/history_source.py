"""Where a history is read from: an open ledger, a sequencer, or a folder whose journal is replayed without a lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sycee.core import money
from sycee.core.errors import UsageError
from sycee.journal.disk import Disk
from sycee.journal.frame import Anchor, Frame
from sycee.journal.journal import Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk, snapshot_disk


class Reading(Protocol):
    """What gives the state between two frames: a sequencer does."""

    @property
    def ledger_id(self) -> bytes:
        """The ledger's 16 bytes."""
        ...

    def reading(self) -> AbstractContextManager[LedgerState]:
        """The state after the newest durable frame, for as long as the block lasts; nothing else is done meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class Replayed:
    """A state that nobody changes any more."""

    ledger_id: bytes
    state: LedgerState
    findings: tuple[str, ...] = ()  # what was odd, though nothing is lost

    @contextmanager
    def reading(self) -> Iterator[LedgerState]:
        """The state."""
        yield self.state


Source = Ledger | Reading


def source_of(ledger: Source) -> Reading:
    """What an embedded ledger, or anything that can be read, is read through."""
    return ledger.sequencer if isinstance(ledger, Ledger) else ledger


def replayed(folder: str | Path, *, progress: Callable[[int], None] | None = None) -> Replayed:
    """The ledger in `folder` as of its last frame, from the newest good snapshot and the frames after it.

    It is neither locked nor changed, so this works beside the process that owns it. `progress(sequence)` is called
    after each frame. Raises UsageError where there is no ledger, IntegrityError where the journal does not prove
    itself, UnavailableError where a newer release wrote it.
    """
    disk = journal_disk(folder)
    if not Journal.exists(disk):
        raise UsageError(f"{folder} holds no ledger", hint="name the folder that was given to --data or Ledger.open")
    log = _Watched.open(disk, read_only=True)
    assert isinstance(log, _Watched)
    log.progress = progress
    kept: Disk = snapshot_disk(folder)
    try:
        start = snapshots.recover_state(log, kept if kept.exists() else None)
    finally:
        log.close()
    return Replayed(log.ledger_id, start.state, tuple(start.findings))


def currency_code(number: int) -> str:
    """A currency's letters; a book that ISO 4217 does not know goes by its number, as in `sycee verify`."""
    try:
        return money.currency(number).code
    except UsageError:
        return str(number)


def currency_of(number: int) -> money.Currency:
    """How a currency's amounts are written; a book that ISO 4217 does not know has no decimals."""
    try:
        return money.currency(number)
    except UsageError:
        return money.Currency(code=str(number), numeric=number, digits=0, name=f"book {number}")


class _Watched(Journal):
    """A journal that is only read, and says how far it has been."""

    progress: Callable[[int], None] | None = None

    def recover(
        self,
        after: Anchor | None = None,
        *,
        anchors: Sequence[Anchor] = (),
        give_up: Callable[[int], None] | None = None,
    ) -> Iterator[Frame]:
        """Every frame in order, or those after an anchor."""
        for frame in super().recover(after, anchors=anchors, give_up=give_up):
            yield frame
            if self.progress:
                self.progress(frame.sequence)
