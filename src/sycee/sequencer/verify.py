"""Reread a ledger's folder from its first byte and recompute everything it claims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sycee.core import money
from sycee.core.errors import IntegrityError, UsageError
from sycee.journal.frame import FrameKind
from sycee.journal.journal import Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer.sequencer import journal_disk, replay


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


def verify(folder: str | Path, *, progress: Callable[[int], None] | None = None) -> Verification:
    """Replay the journal in `folder` without writing to it, and check every invariant.

    Raises IntegrityError (JournalDamaged, TailInDoubt) with what does not hold and where, UsageError where there is
    no ledger. The folder is neither locked nor changed, so where a process is writing to it the last frame may still be
    on its way, and is then named among the findings or is in doubt. `progress(frames)` says how many frames were read.
    """
    disk = journal_disk(folder)
    if not Journal.exists(disk):
        raise UsageError(f"{folder} holds no ledger", hint="name the folder that was given to --data or Ledger.open")
    journal = Journal.open(disk, read_only=True)
    state = LedgerState()
    frames = operations = first_time_ns = last_time_ns = 0
    try:
        for frame in journal.recover():
            replay(state, frame)
            frames += 1
            first_time_ns = first_time_ns or frame.time_ns
            last_time_ns = frame.time_ns
            if frame.kind is FrameKind.OPERATIONS:
                operations += len(frame.records)
                if state.bound.size > operations:
                    raise IntegrityError(f"frame {frame.sequence} binds more ids than it holds operations")
            if progress:
                progress(frame.sequence)
        findings = tuple(journal.findings)
    finally:
        journal.close()
    state.check()
    return Verification(
        frames=frames,
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
            "per currency all accounts and purses sum to zero",
            "no account but issuance, and no purse, is below zero",
            "the movements, added up from nothing, give every account's and every purse's totals",
            "per purse: dropped = spent - refunded + left + returned",
        ),
        findings=findings,
    )


def _code(number: int) -> str:
    """A currency's letters; a book that ISO 4217 does not know goes by its number."""
    try:
        return money.currency(number).code
    except UsageError:
        return str(number)
