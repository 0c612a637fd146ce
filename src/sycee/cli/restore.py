"""`sycee restore`: restore a ledger from a copy of its journal."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.ledgers import journal_of
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import console, show, show_json

if TYPE_CHECKING:
    from sycee.sequencer.restore import Restored


def restore(
    source: Annotated[Path, Parameter(help="Folder with a copy of the ledger: a backup, or the disk of a machine.")],
    target: Annotated[Path, Parameter(help="Folder for the restored ledger, empty or new.")],
    /,
    *,
    cut_tail: Annotated[bool, Parameter(negative="", help="Discard a last frame of SOURCE that is in doubt.")] = False,
    json_: AsJson = False,
) -> int:
    """Copy a ledger into a new folder, check the journal from its first byte, and begin a new epoch.

    SOURCE is not changed. If its former owner writes to it again, the epoch tells those frames from the frames of
    TARGET.
    """
    from sycee.core.output_files import refuse_inside
    from sycee.sequencer.restore import restore as copy

    journal_of(source)
    refuse_inside(target, source, "TARGET")
    result = None
    try:
        with console(stderr=True).status("reading the journal") as status:
            result = copy(
                source, target, cut_tail=cut_tail, progress=lambda frames: status.update(f"{frames:,} frames read")
            )
        _show(result, source, target, json_=json_)
    except KeyboardInterrupt:
        if result is None:
            raise
        raise KeyboardInterrupt(f"{target} holds the ledger, now in epoch {result.epoch}") from None
    return 0


def _show(result: Restored, source: Path, target: Path, *, json_: bool) -> None:
    if json_:
        show_json(asdict(result))
        return
    show(f"{source} was restored to {target}", style="bold")
    show(f"{result.frames:,} frames; the next frame begins epoch {result.epoch}")
    show(*(f"note: {finding}" for finding in result.findings), style="yellow")
    show(f"state digest {result.digest}")
