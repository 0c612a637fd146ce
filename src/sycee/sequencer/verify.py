"""Reread a ledger's folder from its first byte and recompute everything it claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sycee.core import ids, money
from sycee.core.errors import IntegrityError, SyceeError, UsageError
from sycee.core.keys import PublicKey
from sycee.journal import snapshot as files
from sycee.journal.disk import Disk
from sycee.journal.frame import Frame, FrameKind, Mark
from sycee.journal.journal import Journal
from sycee.ledger import authority as authorities
from sycee.ledger import layout
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer.applier import Applier
from sycee.sequencer.checkpoint import Checkpoint, Position, check_agreement, witness_keys
from sycee.sequencer.checkpoint import verify as verify_checkpoint
from sycee.sequencer.folders import journal_disk, snapshot_disk
from sycee.sequencer.time_zones import calendar_of
from sycee.storage.table_storage import TableStorage


@dataclass(frozen=True, slots=True)
class Verification:
    """What a ledger's folder proved. Amounts in minor units."""

    frames: int
    operations: int
    accounts: int
    purses: int
    movements: int
    first_time_ns: int
    last_time_ns: int
    supply: dict[str, int]  # money in circulation by currency code
    digest: str  # hexadecimal
    proved: tuple[str, ...]
    findings: tuple[str, ...]  # what was odd, though nothing is lost


def verify(
    folder: str | Path,
    *,
    progress: Callable[[int], None] | None = None,
    extra_checks: Sequence[Callable[[LedgerState], str]] = (),
    authority: bool = False,
    checkpoints: Sequence[Checkpoint] = (),
) -> Verification:
    """Replay the journal in `folder` without writing to it, and recompute every balance and purse.

    - `extra_checks`: called with the replayed state; each raises IntegrityError or returns what it proved.
    - `authority`: verify every signature again, and that every operation has the signatures it needs.
    - `checkpoints`: each must agree with the replay; it counts as proof if a witness of the ledger signed it.
    - `progress`: called with the number of frames read so far.

    Raises IntegrityError (JournalDamaged, TailInDoubt) with what does not hold and where, UsageError where there is
    no ledger, UnavailableError where a newer release wrote it. The folder is neither locked nor changed, so where a
    process is writing to it the last frame may still be on its way, and is then named among the findings or is in
    doubt.
    """
    disk = journal_disk(folder)
    if not Journal.exists(disk):
        raise UsageError(f"{folder} holds no ledger", hint="name the folder that was given to --data or Ledger.open")
    signed = _Checkpoints(checkpoints)
    journal = Journal.open(disk, read_only=True)
    # Before the journal is read: whatever is there now is of a frame that the reading will find.
    kept = _Snapshots(snapshot_disk(folder), journal.ledger_id)
    state = LedgerState(TableStorage())
    report = authorities.Report()
    operations = last_time_ns = first_time_ns = 0
    findings: list[str] = []
    try:
        for frame in journal.recover(known=kept.marks):
            first_time_ns, last_time_ns = first_time_ns or frame.time_ns, frame.time_ns
            if frame.kind is FrameKind.OPERATIONS:
                operations += len(frame.records)
                if frame.calendar != calendar_of(state.zones, frame.time_ns) and not findings:
                    # A finding and no error: the rules of a zone may have changed since the frame was written.
                    findings.append(f"frame {frame.sequence} has other local dates than this machine's time zones give")
                if authority:
                    _check_authority(state, journal.ledger_id, frame, report)
            Applier(state).replay(frame)
            kept.compare(state, frame)
            signed.compare(state, journal.ledger_id, frame)
            if progress:
                progress(frame.sequence)
        findings += journal.findings
    finally:
        kept.close()
        journal.close()
    signed.check_end(state, journal.last_sequence)
    state.check()
    return Verification(
        frames=journal.last_sequence,
        operations=operations,
        accounts=state.accounts.size,
        purses=sum(state.purses(int(number)).size for number in state.tables.programmes["defined"].nonzero()[0]),
        movements=state.movements.size,
        first_time_ns=first_time_ns,
        last_time_ns=last_time_ns,
        supply={_code(number): state.supply(number) for number in state.zones},
        digest=state.digest().hex(),
        proved=(
            "every frame carries its checksum and the digest of the frame before it, and times increase",
            "replaying every operation from the first gives this state digest",
            "each frame names the digest of all movements before it, and the replay made the same",
            "per currency all accounts and purses sum to zero",
            "no account but issuance, and no purse, is below zero",
            "the movements, added up from nothing, give every account's and every purse's totals",
            "what open holds keep and what is on its way is what accounts and purses have pending",
            "no purse paid outside its spending window, returned early, or holds money after it expired",
            "no payment was refunded beyond its amount",
            *(report.sentences() if authority else ()),
            *kept.sentences(),
            *signed.proved,
            *(check(state) for check in extra_checks),
        ),
        findings=(*findings, *kept.findings, *signed.findings),
    )


class _Snapshots:
    """The good snapshots of a folder, each compared with the replay when it comes to its frame."""

    def __init__(self, disk: Disk, ledger_id: bytes) -> None:
        self.findings: list[str] = []
        self._disk = disk
        # They stay open: a process that writes to the folder may remove one before the replay comes to it.
        self._good = {good.mark.sequence: good for good in files.all_good(disk, ledger_id, self.findings)}
        self._agreed = 0

    @property
    def marks(self) -> list[Mark]:
        """The frames that they are of: as in a start, the journal must have each."""
        return [snapshot.mark for snapshot in self._good.values()]

    def compare(self, state: LedgerState, frame: Frame) -> None:
        """Compare the snapshot of this frame, if there is one. Raises IntegrityError where it is another state."""
        snapshot = self._good.get(frame.sequence)
        if snapshot is None:
            return
        try:
            different = snapshots.difference(snapshot, state, frame)
        except SyceeError as error:
            self.findings.append(f"{self._disk.folder}/{snapshot.name} does not fit this release ({error})")
            return
        if different:
            raise IntegrityError(
                f"{self._disk.folder}/{snapshot.name} is whole, but is not the state that frame {frame.sequence} of "
                f"the journal leaves: {different}",
                hint="The journal is right. Move the file away, so that the ledger is rebuilt from its first frame, "
                "and report this.",
            )
        self._agreed += 1

    def close(self) -> None:
        """Let their files go."""
        for snapshot in self._good.values():
            snapshot.close()

    def sentences(self) -> tuple[str, ...]:
        """What was proved of them."""
        return (f"snapshots that are what the replay gives: {self._agreed}",) if self._agreed else ()


class _Checkpoints:
    """Checkpoints, each compared with the replay when it comes to its frame."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self.proved: list[str] = []
        self.findings: list[str] = []
        self._all = checkpoints
        self._sequences = frozenset(checkpoint.position.sequence for checkpoint in checkpoints)
        self._keys_then: dict[int, tuple[PublicKey, ...]] = {}  # by place in `_all`: of its witness, at its frame

    def compare(self, state: LedgerState, ledger_id: bytes, frame: Frame) -> None:
        """Compare those of this frame. Raises IntegrityError where one says otherwise."""
        if frame.sequence not in self._sequences:
            return
        mark = Mark(frame.sequence, frame.time_ns, frame.digest)
        position = Position.of(state, ledger_id=ledger_id, epoch=frame.epoch, mark=mark)
        for at, checkpoint in enumerate(self._all):
            if checkpoint.position.sequence == frame.sequence:
                check_agreement(checkpoint, position)
                self._keys_then[at] = witness_keys(state, checkpoint)

    def check_end(self, state: LedgerState, last_sequence: int) -> None:
        """Say who signed them. Raises IntegrityError where one is of a frame that is not there, or signed wrongly."""
        for at, checkpoint in enumerate(self._all):
            position = checkpoint.position
            if position.sequence > last_sequence:
                raise IntegrityError(
                    f"a checkpoint was signed at frame {position.sequence}, and the journal ends with frame "
                    f"{last_sequence}",
                    hint="Look for a better copy of the journal; frames that were there are missing from this one.",
                )
            signer = ids.format(checkpoint.signer)
            now, then = witness_keys(state, checkpoint), self._keys_then[at]
            if not now and not then:
                self.findings.append(
                    f"the checkpoint at frame {position.sequence} agrees, but the ledger knows no witness {signer}: "
                    "its signature was not judged"
                )
            elif any(_is_signed_by(checkpoint, key) for key in now):
                self.proved.append(f"the checkpoint at frame {position.sequence}, signed by witness {signer}, agrees")
            elif any(_is_signed_by(checkpoint, key) for key in then):
                self.findings.append(
                    f"the checkpoint at frame {position.sequence} agrees and its signature holds, but the grant of "
                    f"witness {signer} was revoked since: whoever had that key may have made it later"
                )
            else:
                verify_checkpoint(checkpoint, (now or then)[0])


def _is_signed_by(checkpoint: Checkpoint, key: PublicKey) -> bool:
    try:
        verify_checkpoint(checkpoint, key)
    except IntegrityError:
        return False
    return True


def _check_authority(state: LedgerState, ledger_id: bytes, frame: Frame, report: authorities.Report) -> None:
    operations = frame.records.copy().reshape(-1).view(layout.OPERATION)
    authorities.verify_frame(
        state, ledger_id, frame.sequence, frame.time_ns, operations, bytes(frame.envelopes), report
    )


def _code(number: int) -> str:
    """A currency's letters; a book that ISO 4217 does not know goes by its number."""
    try:
        return money.currency(number).code
    except UsageError:
        return str(number)
