"""Reread a ledger's folder from its first byte and recompute everything it claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sycee.core import money
from sycee.core.errors import UsageError
from sycee.journal.frame import FrameKind
from sycee.journal.journal import Journal
from sycee.ledger.state import LedgerState
from sycee.sequencer.sequencer import calendar_entry, journal_disk, replay


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
    also: Sequence[Callable[[LedgerState], str]] = (),
) -> Verification:
    """Replay the journal in `folder` without writing to it, and recompute every balance and purse.

    `also` are further checks of the replayed state: each raises IntegrityError or returns what it proved.

    Raises IntegrityError (JournalDamaged, TailInDoubt) with what does not hold and where, UsageError where there is
    no ledger. The folder is neither locked nor changed, so where a process is writing to it the last frame may still be
    on its way, and is then named among the findings or is in doubt. `progress(frames)` says how many frames were read.
    """
    disk = journal_disk(folder)
    if not Journal.exists(disk):
        raise UsageError(f"{folder} holds no ledger", hint="name the folder that was given to --data or Ledger.open")
    journal = Journal.open(disk, read_only=True)
    state = LedgerState()
    frames = operations = last_time_ns = 0
    frame_times: list[int] = [0]
    findings: list[str] = []
    try:
        for frame in journal.recover():
            frames += 1
            frame_times.append(frame.time_ns)
            last_time_ns = frame.time_ns
            if frame.kind is FrameKind.OPERATIONS:
                operations += len(frame.records)
                dates = tuple(calendar_entry(number, zone, frame.time_ns) for number, zone in state.zones.items())
                if frame.calendar != dates and not findings:
                    # A finding and no error: the rules of a zone may have changed since the frame was written.
                    findings.append(f"frame {frame.sequence} has other local dates than this machine's time zones give")
            replay(state, frame)
            if progress:
                progress(frame.sequence)
        findings += journal.findings
    finally:
        journal.close()
    state.check()
    state.check_times(np.array(frame_times))
    return Verification(
        frames=frames,
        operations=operations,
        accounts=state.accounts.size,
        purses=sum(state.purses(int(number)).size for number in state.tables.programmes["defined"].nonzero()[0]),
        movements=state.movements.size,
        first_time_ns=frame_times[1] if frames else 0,
        last_time_ns=last_time_ns,
        supply={_code(number): state.supply(number) for number in state.zones},
        digest=state.digest().hex(),
        proved=(
            "every frame carries its checksum and the digest of the frame before it, and times increase",
            "replaying every operation from the first gives this state digest",
            "per currency all accounts and purses sum to zero",
            "no account but issuance, and no purse, is below zero",
            "the movements, added up from nothing, give every account's and every purse's totals",
            "no purse paid outside its spending window, returned early, or holds money after it expired",
            "no payment was refunded beyond its amount",
            *(check(state) for check in also),
        ),
        findings=tuple(findings),
    )


def _code(number: int) -> str:
    """A currency's letters; a book that ISO 4217 does not know goes by its number."""
    try:
        return money.currency(number).code
    except UsageError:
        return str(number)
