"""`sycee snapshot`: write a snapshot of a ledger's state."""

from __future__ import annotations

from sycee.cli.ledger_steps import journal_disk_of
from sycee.cli.parameters import AsJson, LedgerFolder
from sycee.cli.terminal import console, note, show, show_json


def snapshot(folder: LedgerFolder, /, *, json_: AsJson = False) -> int:
    """Write a snapshot of the ledger's state, so that its next start replays later frames only.

    Locks the folder meanwhile. A snapshot proves nothing; the journal is unchanged.
    """
    from sycee.sequencer.embedded import Ledger

    journal_disk_of(folder)
    with console(stderr=True).status("reading the ledger"), Ledger.open(folder, snapshot_frames=None) as ledger:
        note(*(f"note: {finding}" for finding in ledger.sequencer.findings))
        sequence = ledger.sequencer.durable_sequence
        name = ledger.snapshot()
    path = folder / "snapshots" / name
    if json_:
        show_json({"file": str(path), "sequence": sequence, "bytes": path.stat().st_size})
    else:
        show(f"{path}: the state after frame {sequence:,}")
    return 0
