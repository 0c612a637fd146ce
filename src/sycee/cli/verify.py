"""`sycee verify`: reread a ledger's journal and recompute every balance and every purse from the operations."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli import console

if TYPE_CHECKING:
    from sycee.sequencer.verify import Verification


def verify(
    folder: Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")],
    /,
    *,
    authority: Annotated[
        bool, Parameter(negative="", help="Judge every signature again, and that each operation has those it needs.")
    ] = False,
    checkpoint: Annotated[
        Path | None, Parameter(help="Compare the ledger with this checkpoint, at the frame that it names.")
    ] = None,
    key: Annotated[
        str | None, Parameter(help="The public key of who signed the checkpoint, or a file that holds it.")
    ] = None,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Reread a ledger's journal from its first frame and recompute every balance and every purse from the operations.

    Writes nothing. Exit code 3 where something does not hold, with the place; 0 with what was proved.
    """
    from sycee.cli.checkpoint import public_key
    from sycee.core import money
    from sycee.core.errors import IntegrityError, JournalDamaged, UsageError
    from sycee.journal.journal import Journal
    from sycee.programmes.draw_files import WINNERS
    from sycee.programmes.service import check_cohort
    from sycee.sandbox.pilot import DRAW_FOLDER, PROGRAMME_NUMBER
    from sycee.sequencer import checkpoint as checkpoints
    from sycee.sequencer.folders import journal_disk
    from sycee.sequencer.verify import verify as reread

    if key is not None and checkpoint is None:
        raise UsageError("--key says who signed a checkpoint, and there is none", hint="name it with --checkpoint")
    said = [] if checkpoint is None else [checkpoints.Checkpoint.load(checkpoint)]
    witness = None if key is None else public_key(key)

    if not Journal.exists(journal_disk(folder)):
        raise UsageError(f"{folder} holds no ledger", hint="name the folder that was given to --data or Ledger.open")
    # Beside a pilot's ledger lies its draw: whoever was paid must be who was drawn.
    draw = folder / DRAW_FOLDER
    extra_checks = (
        [partial(check_cohort, number=PROGRAMME_NUMBER, draw_folder=draw)] if (draw / WINNERS).is_file() else []
    )
    try:
        if witness is not None:
            checkpoints.verify(said[0], witness)
        with console(stderr=True).status("reading the journal") as status:
            found = reread(
                folder,
                progress=lambda frames: status.update(f"{frames:,} frames read"),
                extra_checks=extra_checks,
                authority=authority,
                checkpoints=said,
            )
    except IntegrityError as error:
        if json_:
            print(json.dumps({"ok": False, "error": error.message}))
        if isinstance(error, JournalDamaged) and "`sycee verify" in (error.hint or ""):
            error.hint = "nothing was changed; restore the file from a copy"  # it would send people here
        raise
    if witness is not None:
        found = _with_key(found, said[0].position.sequence, str(witness))
    if json_:
        print(json.dumps({"ok": True, **asdict(found)}))
        return 0
    terminal = console()

    def moment(time_ns: int) -> str:
        return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

    terminal.print(f"{folder} holds what it claims.", style="bold", markup=False, soft_wrap=True)
    counts = f"{found.frames:,} frames, {found.operations:,} operations, {found.movements:,} movements"
    terminal.print(counts, soft_wrap=True)
    terminal.print(f"{found.accounts:,} accounts, {found.purses:,} purses", soft_wrap=True)
    if found.frames:
        terminal.print(f"from {moment(found.first_time_ns)} to {moment(found.last_time_ns)}")
    for code, supply in found.supply.items():
        try:
            terminal.print(f"in circulation: {money.format(supply, money.currency(code))} {code}")
        except UsageError:
            terminal.print(f"book {code}: {supply:,} minor units issued")
    terminal.print("proved:")
    for sentence in found.proved:
        terminal.print(f"  {sentence}", soft_wrap=True)
    for finding in found.findings:
        terminal.print(f"note: {finding}", style="yellow", markup=False, soft_wrap=True)
    terminal.print(f"state digest {found.digest}", soft_wrap=True)
    return 0


def _with_key(found: Verification, sequence: int, key: str) -> Verification:
    """Say whose key signed the checkpoint; that the ledger does not know its witness is no news then."""
    about = f"the checkpoint at frame {sequence} "
    return replace(
        found,
        proved=(*found.proved, f"{about}agrees, and is signed by {key}"),
        findings=tuple(finding for finding in found.findings if not finding.startswith(about)),
    )
