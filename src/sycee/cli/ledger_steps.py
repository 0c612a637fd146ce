"""Steps that several commands share: finding a ledger, replaying it, and printing its supply."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sycee.cli.terminal import console, mark_output, note
from sycee.core import money
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.archive.history_source import ReplayedLedger
    from sycee.journal.disk import RealDisk


def journal_disk_of(folder: Path) -> RealDisk:
    """Return the disk with the journal of the ledger in `folder`. Raises UsageError if there is no ledger."""
    from sycee.core.marks import mark_of
    from sycee.sequencer.folders import existing_journal_disk

    disk = existing_journal_disk(folder)  # first, because it knows what is wrong with a folder
    mark_output(mark_of(folder))
    return disk


def replay(folder: Path) -> ReplayedLedger:
    """Replay the ledger in `folder`, with progress and findings on stderr."""
    from sycee.archive.history_source import replay_folder
    from sycee.core.marks import mark_of

    mark_output(mark_of(folder))
    with console(stderr=True).status("reading the ledger") as status:
        ledger = replay_folder(folder, progress=lambda frame: status.update(f"{frame:,} frames read"))
    note(*(f"note: {finding}" for finding in ledger.findings))
    return ledger


def circulation(currency: str | int, minor: int) -> str:
    """Return a line with the money in circulation of a currency, the reserves, or a book outside ISO 4217."""
    from sycee.issuance.records import RESERVE_BOOK

    if str(currency) == str(RESERVE_BOOK):
        return f"reserves (book {RESERVE_BOOK}): {minor:,} minor units"
    try:
        known = money.currency(currency)
    except UsageError:
        return f"in circulation: {minor:,} minor units of book {currency}"
    return f"in circulation: {money.with_code(minor, known)}"
