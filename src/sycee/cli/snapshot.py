"""`sycee snapshot`: keep a ledger's state on disk, so that its next start is quick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli import console


def snapshot(
    folder: Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")],
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Write a snapshot of the ledger's state, so that its next start need not replay what came before.

    Takes the folder for itself while it does. The journal stays what it is: a snapshot proves nothing.
    """
    from sycee.core.errors import UsageError
    from sycee.journal.journal import Journal
    from sycee.sequencer.embedded import Ledger
    from sycee.sequencer.folders import journal_disk

    if not Journal.exists(journal_disk(folder)):
        raise UsageError(f"{folder} holds no ledger", hint="name the folder that was given to --data or Ledger.open")
    talk = console(stderr=True)
    with talk.status("reading the ledger"), Ledger.open(folder, snapshot_frames=None) as ledger:
        for finding in ledger.sequencer.findings:
            talk.print(f"note: {finding}", markup=False, soft_wrap=True)
        sequence = ledger.sequencer.durable_sequence
        name = ledger.snapshot()
    path = folder / "snapshots" / name
    if json_:
        print(json.dumps({"file": str(path), "sequence": sequence, "bytes": path.stat().st_size}))
    else:
        console().print(f"{path}: the state after frame {sequence:,}", markup=False, soft_wrap=True)
    return 0
