"""`sycee supply`: the page about the money in circulation that anyone may read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, local_day, open_bank
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import show, show_json
from sycee.core.errors import IntegrityError
from sycee.core.output_files import require_outputs


def supply(
    folder: BankFolder,
    /,
    *,
    checkpoint: Annotated[
        Path | None, Parameter(help="File of a signed checkpoint; by default that of the newest day.")
    ] = None,
    html: Annotated[Path | None, Parameter(help="Also write a page to this file.")] = None,
    json_: AsJson = False,
) -> int:
    """Show the money in circulation, the converted reserves that equal it, and digests to compare a copy with."""
    from sycee.issuance import supply_page
    from sycee.sequencer.checkpoint import Checkpoint

    require_outputs({"--html": html}, outside=folder)
    signed = None if checkpoint is None else Checkpoint.load(checkpoint)
    with open_bank(folder) as bank:
        mark = bank.config.mark
        witnessed = [pack.checkpoint for pack in bank.day.packs() if pack.is_witnessed]
        newest = signed or (witnessed[-1] if witnessed else None)
        found = bank.supply.current(
            local_day(bank), newest, is_rehearsal=bank.is_rehearsal, with_state_digest=True
        )  # fmt: skip
    if json_:
        show_json(supply_page.as_json(found))
    else:
        show(*supply_page.sentences(found))
    if html is not None:
        supply_page.write_html(found, html, mark)
    if not found.is_backed:
        raise IntegrityError(
            "the money in circulation does not equal the converted reserves", hint="run `sycee verify` on the folder"
        )
    return 0
