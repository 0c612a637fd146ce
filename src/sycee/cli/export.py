"""`sycee export`: a ledger's history as Parquet, by day, for DuckDB and everything else that reads it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token

from sycee.cli import console
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.archive.export import Exported, Exporting
    from sycee.archive.history_source import Replayed


def _folder(_: Any, tokens: Sequence[Token]) -> Path:
    """The folder of --to. A script whose variable is empty does not mean the folder it stands in."""
    if not tokens[0].value:
        raise UsageError("--to is empty", hint="name a folder, or leave --to out")
    return Path(tokens[0].value)


def export(
    folder: Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")],
    /,
    *,
    to: Annotated[
        Path | None,
        Parameter(help="Write to this folder, or go on there; FOLDER/archive unless given.", converter=_folder),
    ] = None,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Write movements, operations and frames to Parquet by UTC day, and registers of accounts, purses and programmes.

    It goes on where the last export ended, and compares at the end what is there with the ledger. The ledger itself is
    only read, and not locked.
    """
    from sycee.archive.check import check
    from sycee.archive.export import Exporting
    from sycee.archive.manifest import DEFAULT_FOLDER

    ledger = replayed(folder)
    try:
        with Exporting(ledger, to or folder / DEFAULT_FOLDER) as exporting:
            made = _watched(exporting)
            with console(stderr=True).status("comparing the archive with the ledger"):
                proved = check(ledger, made.folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the archive is whole; the same command goes on from where it stopped") from None
    _show(made, proved, json_=json_)
    return 0


def replayed(folder: Path) -> Replayed:
    """The ledger in a folder, with a word on stderr while it is read."""
    from sycee.archive.history_source import replayed as read

    talk = console(stderr=True)
    with talk.status("reading the ledger") as status:
        ledger = read(folder, progress=lambda frame: status.update(f"{frame:,} frames read"))
    for finding in ledger.findings:
        talk.print(f"note: {finding}", markup=False, soft_wrap=True)
    return ledger


def _watched(exporting: Exporting) -> Exported:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    terminal = console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:,.0f} rows"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=terminal,
        disable=not terminal.is_terminal,
    ) as bar:
        task = bar.add_task("exporting", total=None)
        return exporting.advance(progress=lambda done, total: bar.update(task, completed=done, total=total))


def _show(made: Exported, proved: tuple[str, ...], *, json_: bool) -> None:
    if json_:
        print(
            json.dumps(
                {
                    "folder": str(made.folder),
                    "frame": made.frame,
                    "time_ns": made.time_ns,
                    "added": {"frames": made.frames, "operations": made.operations, "movements": made.movements},
                    "files": made.files,
                    "bytes": made.bytes,
                    "proved": proved,
                }
            )
        )
        return
    from sycee.archive.timestamps import utc_text

    terminal = console()
    until = f" of {utc_text(made.time_ns)}" if made.frame else ""
    terminal.print(
        f"{made.folder} holds the ledger up to frame {made.frame:,}{until}.",
        style="bold", markup=False, soft_wrap=True,
    )  # fmt: skip
    added = f"added: {made.frames:,} frames, {made.operations:,} operations, {made.movements:,} movements"
    terminal.print(added, soft_wrap=True)
    terminal.print("proved:")
    for sentence in proved:
        terminal.print(f"  {sentence}", soft_wrap=True)
