"""A state kept on disk, so that a start replays the frames after it only.

A snapshot is a convenience and proves nothing: one that cannot be used is passed over, and the ledger is replayed from
its first frame. But a journal that ends before a good snapshot, or has another frame at its place, has lost frames
that were acknowledged, and that is damage.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sycee.core.errors import IntegrityError, SyceeError
from sycee.journal import snapshot as files
from sycee.journal.disk import Disk
from sycee.journal.frame import Mark
from sycee.journal.snapshot import Snapshot
from sycee.ledger.state import LedgerState
from sycee.sequencer.log import Log
from sycee.sequencer.replaying import replay


@dataclass(slots=True)
class Start:
    """A state that is at its log's end."""

    state: LedgerState
    findings: list[str] = field(default_factory=list)  # one sentence each
    snapshot_sequence: int = 0  # the frame of the snapshot that it began with, 0 for none


def start(log: Log, disk: Disk | None, *, trusted: bool = True) -> Start:
    """Read a log to its end, from the newest good snapshot on `disk` if there is one and it is `trusted`.

    Raises what `Log.recover` and `replay` raise.
    """
    state, mark, findings = LedgerState(), None, list[str]()
    if disk is not None and trusted:
        state, mark, findings = _newest(log, disk)
    for frame in log.recover() if mark is None else log.recover(after=mark):
        replay(state, frame)
    if disk is not None and not trusted:
        findings += _remove_beyond(disk, log.last_sequence)
    return Start(state, [*findings, *log.findings], mark.sequence if mark else 0)


def write(disk: Disk, log: Log, state: LedgerState) -> str:
    """Write a snapshot of the state, which must be at the log's end; returns its file's name.

    Raises UnavailableError where the disk refuses.
    """
    sections, small = state.save()
    return files.write(
        disk,
        ledger_id=log.ledger_id,
        epoch=log.epoch,
        mark=log.mark,
        rules=state.rules,
        movement_digest=state.movement_digest,
        sections=sections,
        small=small,
    )


def state_of(snapshot: Snapshot) -> LedgerState:
    """The state that a snapshot keeps. Raises IntegrityError where it does not hold together."""
    state = LedgerState.load(snapshot.sections, snapshot.small)
    if (state.rules, state.movement_digest) != (snapshot.rules, snapshot.movement_digest):
        raise IntegrityError("its tables are not those that its head names")
    return state


def _newest(log: Log, disk: Disk) -> tuple[LedgerState, Mark | None, list[str]]:
    snapshot, findings = files.newest_good(disk, log.ledger_id)
    if snapshot is None:
        return LedgerState(), None, findings
    with snapshot:
        try:
            return state_of(snapshot), snapshot.mark, findings
        except (SyceeError, KeyError, ValueError, TypeError) as error:
            # Another release laid its tables out otherwise: nothing is lost, for the journal has it all.
            findings.append(f"{disk.folder}/{snapshot.name} does not fit this release ({error}): it was passed over")
            return LedgerState(), None, findings


def _remove_beyond(disk: Disk, last_sequence: int) -> list[str]:
    """Remove the snapshots of frames that are no more: the next start would take them for proof of a loss."""
    findings = []
    if disk.exists():
        for name in files.names(disk):
            if int(name.partition(".")[0]) > last_sequence:
                disk.unlink(name)
                findings.append(f"{disk.folder}/{name} was removed: the journal now ends with frame {last_sequence}")
        if findings:
            disk.fsync_folder()
    return findings
