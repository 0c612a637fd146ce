"""`sycee export`: export a ledger's history to Parquet files by day, for DuckDB and similar tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.ledger_steps import replay
from sycee.cli.parameters import AsJson, LedgerFolder
from sycee.cli.terminal import console, progress, show, show_json
from sycee.core.output_files import refuse_inside

if TYPE_CHECKING:
    from sycee.archive.export import ExportResult


def export(
    folder: LedgerFolder,
    /,
    *,
    to: Annotated[
        Path | None, Parameter(help="Write to this folder, or continue there; the default is FOLDER/archive.")
    ] = None,
    json_: AsJson = False,
) -> int:
    """Export movements, operations and frames to Parquet by UTC day, and registers of accounts, purses and programmes.

    Continues where the last export ended, and compares the whole archive with the ledger at the end. The ledger is
    only read, without a lock.
    """
    from sycee.archive.check import check
    from sycee.archive.export import ExportSession
    from sycee.archive.manifest import DEFAULT_FOLDER
    from sycee.core.marks import mark_of

    for name in ("journal", "snapshots"):
        refuse_inside(to or folder / DEFAULT_FOLDER, folder / name, "--to")
    ledger = replay(folder)
    try:
        with ExportSession(ledger, to or folder / DEFAULT_FOLDER, mark=mark_of(folder)) as session:
            with progress("exporting", "rows", transient=False) as report:
                result = session.advance(progress=report)
            with console(stderr=True).status("comparing the archive with the ledger"):
                proved = check(ledger, result.folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the archive is whole; the same command continues from here") from None
    _show(result, proved, json_=json_)
    return 0


def _show(result: ExportResult, proved: tuple[str, ...], *, json_: bool) -> None:
    from sycee.core.timestamps import utc_text

    added = {"frames": result.frames, "operations": result.operations, "movements": result.movements}
    if json_:
        show_json(
            {
                "folder": str(result.folder),
                "frame": result.frame,
                "time_ns": result.time_ns,
                "added": added,
                "files": result.files,
                "bytes": result.bytes,
                "proved": proved,
            }
        )
        return
    until = f" of {utc_text(result.time_ns)}" if result.frame else ""
    show(f"{result.folder} holds the ledger up to frame {result.frame:,}{until}.", style="bold")
    show(f"added: {', '.join(f'{count:,} {name}' for name, count in added.items())}")
    show("proved:", *(f"  {sentence}" for sentence in proved))
