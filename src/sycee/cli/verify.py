"""`sycee verify`: reread a ledger's journal and recompute every balance and every purse from the operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.ledger_steps import circulation, journal_disk_of
from sycee.cli.parameters import AsJson, LedgerFolder
from sycee.cli.terminal import console, show, show_json
from sycee.core.errors import IntegrityError, JournalDamaged, UsageError

if TYPE_CHECKING:
    from sycee.sequencer.verify import Verification


def verify(
    folder: LedgerFolder,
    /,
    *,
    authority: Annotated[
        bool, Parameter(negative="", help="Check every signature, and that each operation has the signatures it needs.")
    ] = False,
    checkpoint: Annotated[Path | None, Parameter(help="Compare the ledger with this checkpoint, at its frame.")] = None,
    key: Annotated[str | None, Parameter(help="Public key of the checkpoint's signer, or a file with it.")] = None,
    json_: AsJson = False,
) -> int:
    """Reread a ledger's journal from its first frame and recompute every balance and every purse from the operations.

    Writes nothing. Exit code 0 and a list of the proved properties, or 3 and the place of the first failure.
    """
    from sycee.cli.checkpoint import public_key
    from sycee.programmes.draw_files import WINNERS
    from sycee.programmes.records import check_cohort
    from sycee.sandbox.pilot import DRAW_FOLDER, PROGRAMME_NUMBER
    from sycee.sequencer.checkpoint import Checkpoint
    from sycee.sequencer.checkpoint import verify as verify_signature
    from sycee.sequencer.verify import verify as verify_journal

    if key is not None and checkpoint is None:
        raise UsageError("--key needs a checkpoint whose signature it checks", hint="name the file with --checkpoint")
    signed = None if checkpoint is None else Checkpoint.load(checkpoint)
    witness = None if key is None else public_key(key)
    journal_disk_of(folder)
    # A pilot's folder also has its draw: check that the members of the programme are the winners.
    draw = folder / DRAW_FOLDER
    has_draw = (draw / WINNERS).is_file()
    try:
        if signed and witness:
            verify_signature(signed, witness)
        with console(stderr=True).status("reading the journal") as status:
            found = verify_journal(
                folder,
                progress=lambda frames: status.update(f"{frames:,} frames read"),
                extra_checks=[partial(check_cohort, number=PROGRAMME_NUMBER, draw_folder=draw)] if has_draw else [],
                authority=authority,
                checkpoints=[signed] if signed else [],
            )
    except IntegrityError as error:
        if json_:
            show_json({"ok": False, "error": error.message})
        if isinstance(error, JournalDamaged) and "`sycee verify" in (error.hint or ""):
            error.hint = "nothing was changed; restore the file from a copy"  # the user already runs `sycee verify`
        raise
    if signed and witness:
        found = _with_key(found, signed.position.sequence, str(witness))
    if json_:
        show_json({"ok": True, **asdict(found)})
        return 0
    show(f"verification passed: {folder}", style="bold")
    show(*_lines(found))
    show(*(f"note: {finding}" for finding in found.findings), style="yellow")
    show(f"state digest {found.digest}")
    return 0


def _lines(found: Verification) -> Iterator[str]:
    from sycee.core.timestamps import utc_text

    yield f"{found.frames:,} frames, {found.operations:,} operations, {found.movements:,} movements"
    yield f"{found.accounts:,} accounts, {found.purses:,} purses"
    if found.frames:
        yield f"from {utc_text(found.first_time_ns)} to {utc_text(found.last_time_ns)}"
    for currency, supply in found.supply.items():
        yield circulation(currency, supply)
    yield "proved:"
    for sentence in found.proved:
        yield f"  {sentence}"


def _with_key(found: Verification, sequence: int, key: str) -> Verification:
    """Add the checkpoint's key to the proved properties, and remove the note that the ledger has no such witness."""
    checkpoint = f"the checkpoint at frame {sequence} "
    return replace(
        found,
        proved=(*found.proved, f"{checkpoint}agrees, and is signed by {key}"),
        findings=tuple(finding for finding in found.findings if not finding.startswith(checkpoint)),
    )
