"""Verify a ledger's folder: replay it from its first byte and recompute every figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sycee.core import ids, money
from sycee.core.errors import IntegrityError, SyceeError, UsageError
from sycee.core.keys import PublicKey
from sycee.core.records import layout
from sycee.journal import snapshot as files
from sycee.journal.disk import Disk
from sycee.journal.frame import Anchor, Frame, FrameKind
from sycee.journal.journal import Journal
from sycee.ledger import authority as authorities
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer.applier import Applier
from sycee.sequencer.checkpoint import Checkpoint, Position, check_agreement, is_signed_by, witness_keys
from sycee.sequencer.checkpoint import verify as verify_checkpoint
from sycee.sequencer.folders import existing_journal_disk, snapshot_disk
from sycee.sequencer.time_zones import calendar_of
from sycee.storage.table_storage import TableStorage


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of a verification. Amounts in minor units."""

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
    findings: tuple[str, ...]  # one sentence for each oddity without loss


def verify(
    folder: str | Path,
    *,
    progress: Callable[[int], None] | None = None,
    extra_checks: Sequence[Callable[[LedgerState], str]] = (),
    authority: bool = False,
    checkpoints: Sequence[Checkpoint] = (),
) -> Verification:
    """Replay the journal in `folder` read-only, and recompute every balance and purse.

    - `extra_checks`: called with the replayed state; each raises IntegrityError or returns what it proved.
    - `authority`: verify every signature again, and that every operation has the signatures it needs.
    - `checkpoints`: each must agree with the replay; it counts as proof if a witness of the ledger signed it.
    - `progress`: called with the number of frames read so far.

    Snapshots are compared with the replay and not used by it. The folder is neither locked nor changed: if a process is
    writing to it, the last frame may be incomplete, which is then a finding or TailInDoubt.

    Raises IntegrityError (JournalDamaged, TailInDoubt) with the place and the values that differ, UsageError if
    `folder` holds no ledger, UnavailableError if a newer release wrote it.
    """
    disk = existing_journal_disk(folder)
    signed = _Checkpoints(checkpoints)
    journal = Journal.open(disk, read_only=True)
    # List snapshots before reading the journal, so that the journal contains the frame of each.
    compared = _Snapshots(snapshot_disk(folder), journal.ledger_id)
    state = LedgerState(TableStorage())
    applier = Applier(state)
    report = authorities.Report()
    operations = last_time_ns = first_time_ns = 0
    findings: list[str] = []
    try:
        for frame in journal.recover(anchors=compared.anchors):
            first_time_ns, last_time_ns = first_time_ns or frame.time_ns, frame.time_ns
            if frame.kind is FrameKind.OPERATIONS:
                operations += len(frame.records)
                # A writer that began with a snapshot has another order of currencies.
                if sorted(frame.calendar) != sorted(calendar_of(state.zones, frame.time_ns)) and not findings:
                    # A finding, not an error: the rules of a zone may have changed since the frame was written.
                    findings.append(f"local dates of frame {frame.sequence} differ from this machine's time zones")
                if authority:
                    _check_authority(state, journal.ledger_id, frame, report)
            applier.replay(frame)
            compared.compare(state, frame)
            signed.compare(state, journal.ledger_id, frame)
            if progress:
                progress(frame.sequence)
        findings += journal.findings
    finally:
        compared.close()
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
            "every frame has a valid checksum and the digest of the frame before it, and times increase",
            "replaying every operation from the first gives this state digest",
            "each frame has the digest of all movements before it, equal to the replay's",
            "in each currency all accounts and purses sum to zero",
            "no purse, and no account except issuance, is below zero",
            "the sums of all movements equal the totals of every account and purse",
            "open holds and money in transit equal the pending amounts of accounts and purses",
            "no purse paid outside its spending window, returned money early, or has money after its expiry",
            "no payment was refunded beyond its amount",
            *(report.sentences() if authority else ()),
            *compared.sentences(),
            *signed.proved,
            *(check(state) for check in extra_checks),
        ),
        findings=(*findings, *compared.findings, *signed.findings),
    )


class _Snapshots:
    """Comparison of the good snapshots of a folder with the replay, each at its frame."""

    def __init__(self, disk: Disk, ledger_id: bytes) -> None:
        self.findings: list[str] = []
        self._disk = disk
        # The files stay open: a process that writes to the folder may remove one before the replay reaches its frame.
        self._good = {good.anchor.sequence: good for good in files.all_good(disk, ledger_id, self.findings)}
        self._agreed = 0

    @property
    def anchors(self) -> list[Anchor]:
        """Return the anchors of the snapshots' frames: the journal must contain each, as at a start."""
        return [snapshot.anchor for snapshot in self._good.values()]

    def compare(self, state: LedgerState, frame: Frame) -> None:
        """Compare the snapshot of this frame, if there is one. Raises IntegrityError if its state differs."""
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
                f"{self._disk.folder}/{snapshot.name} is intact, but differs from the replayed state at frame "
                f"{frame.sequence}: {different}",
                hint="The journal is right. Move the file away, so that the ledger is rebuilt from its first frame, "
                "and report this.",
            )
        self._agreed += 1

    def close(self) -> None:
        """Close the files."""
        for snapshot in self._good.values():
            snapshot.close()

    def sentences(self) -> tuple[str, ...]:
        """Return what was proved about the snapshots."""
        return (f"snapshots that equal the replay: {self._agreed}",) if self._agreed else ()


class _Checkpoints:
    """Comparison of checkpoints with the replay, each at its frame."""

    def __init__(self, checkpoints: Sequence[Checkpoint]) -> None:
        self.proved: list[str] = []
        self.findings: list[str] = []
        self._all = checkpoints
        self._sequences = frozenset(checkpoint.position.sequence for checkpoint in checkpoints)
        self._keys_then: dict[int, tuple[PublicKey, ...]] = {}  # witness keys at its frame, by index in `_all`

    def compare(self, state: LedgerState, ledger_id: bytes, frame: Frame) -> None:
        """Compare the checkpoints of this frame. Raises IntegrityError if one differs."""
        if frame.sequence not in self._sequences:
            return
        anchor = Anchor(frame.sequence, frame.time_ns, frame.digest)
        position = Position.of(state, ledger_id=ledger_id, epoch=frame.epoch, anchor=anchor)
        for at, checkpoint in enumerate(self._all):
            if checkpoint.position.sequence == frame.sequence:
                check_agreement(checkpoint, position)
                self._keys_then[at] = witness_keys(state, checkpoint)

    def check_end(self, state: LedgerState, last_sequence: int) -> None:
        """Check the signatures. Raises IntegrityError for a frame beyond the journal's end, or an invalid signature."""
        for at, checkpoint in enumerate(self._all):
            position = checkpoint.position
            if position.sequence > last_sequence:
                raise IntegrityError(
                    f"a checkpoint was signed at frame {position.sequence}, and the journal ends with frame "
                    f"{last_sequence}",
                    hint="Look for a better copy of the journal: frames are missing from this one.",
                )
            signer = ids.format(checkpoint.signer)
            now, then = witness_keys(state, checkpoint), self._keys_then[at]
            if not now and not then:
                self.findings.append(
                    f"the checkpoint at frame {position.sequence} agrees, but the ledger lists no witness {signer}: "
                    "its signature was not verified"
                )
            elif any(is_signed_by(checkpoint, key) for key in now):
                self.proved.append(f"the checkpoint at frame {position.sequence}, signed by witness {signer}, agrees")
            elif any(is_signed_by(checkpoint, key) for key in then):
                self.findings.append(
                    f"the checkpoint at frame {position.sequence} agrees and its signature is valid, but the grant of "
                    f"witness {signer} was revoked since: the signature may have been made after that"
                )
            else:
                verify_checkpoint(checkpoint, (now or then)[0])


def _check_authority(state: LedgerState, ledger_id: bytes, frame: Frame, report: authorities.Report) -> None:
    operations = frame.records.copy().reshape(-1).view(layout.OPERATION)
    authorities.verify_frame(
        state, ledger_id, frame.sequence, frame.time_ns, operations, bytes(frame.envelopes), report
    )


def _code(number: int) -> str:
    """Return a currency's code, or its number if it is not in ISO 4217."""
    try:
        return money.currency(number).code
    except UsageError:
        return str(number)
