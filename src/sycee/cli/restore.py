"""`sycee restore`: make a ledger's folder again from a copy of its journal."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli import console

if TYPE_CHECKING:
    from sycee.sequencer.restore import Restored


def restore(
    source: Annotated[Path, Parameter(help="A folder with a copy of the ledger: a backup, or a dead machine's disk.")],
    target: Annotated[Path, Parameter(help="Where the ledger goes on: a folder that is empty or not there yet.")],
    /,
    *,
    cut_tail: Annotated[bool, Parameter(negative="", help="Give up a last frame of SOURCE that is in doubt.")] = False,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Copy a ledger into a new folder, checked from its first byte, and begin a new epoch there.

    SOURCE is not changed. Should whoever wrote to it come back, the new epoch tells its frames from those of TARGET.
    """
    from sycee.sequencer.restore import restore as copy

    made = None
    try:
        with console(stderr=True).status("reading the journal") as status:
            made = copy(
                source, target, cut_tail=cut_tail, progress=lambda frames: status.update(f"{frames:,} frames read")
            )
        return _show(made, source, target, json_=json_)
    except KeyboardInterrupt:
        if made is None:
            raise
        raise KeyboardInterrupt(f"{target} holds the ledger: what comes now is epoch {made.epoch}") from None


def _show(made: Restored, source: Path, target: Path, *, json_: bool) -> int:
    if json_:
        print(json.dumps(asdict(made)))
        return 0
    terminal = console()
    terminal.print(f"{target} holds the ledger of {source}.", style="bold", markup=False, soft_wrap=True)
    terminal.print(f"{made.frames:,} frames; what comes now is epoch {made.epoch}")
    for finding in made.findings:
        terminal.print(f"note: {finding}", style="yellow", markup=False, soft_wrap=True)
    terminal.print(f"state digest {made.digest}", soft_wrap=True)
    return 0
