"""`sycee query`: SQL over a ledger's archive, without access to anything else."""

from __future__ import annotations

import csv
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from sycee.cli.parameters import AsJson
from sycee.cli.terminal import mark_output, note, print_table, show, show_json, table
from sycee.core.errors import UsageError
from sycee.core.marks import marked_csv

if TYPE_CHECKING:
    from sycee.archive.query import Query, QueryResult

ROWS_SHOWN_MAX: Final = 1_000  # of a table for people


def query(
    folder: Annotated[Path, Parameter(help="A ledger's folder with an archive in it, or the archive itself.")],
    sql: Annotated[str | None, Parameter(help="One SELECT; without it, list the views and their columns.")] = None,
    /,
    *,
    csv_: Annotated[bool, Parameter(name="--csv", negative="", help="Print all rows as CSV to stdout.")] = False,
    json_: AsJson = False,
) -> int:
    """Query an archive in SQL.

    Views: movements, lines, operations, frames, accounts, balances, purses, programmes, currencies.

    The archive ends with the last `sycee export`. DuckDB reads the archive's files alone: no other file, no
    network, no extension.
    """
    from sycee.archive.query import Query
    from sycee.core.timestamps import utc_text

    if csv_ and json_:
        raise UsageError("--csv and --json exclude each other", hint="choose one")
    with Query(folder) as opened:
        manifest = opened.manifest
        mark_output(manifest.mark)
        if sql is None:
            _show_views(opened, json_=json_)
            return 0
        result = opened.run(sql)
        if csv_:
            sys.stdout.write(marked_csv("", manifest.mark))
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(result.names)
            writer.writerows(result.rows)
        elif json_:
            rows = list(result.values())
            show_json({"frame": manifest.frame, "columns": result.names, "types": result.types, "rows": rows})
        else:
            _show(result)
        until = f" of {utc_text(manifest.time_ns)}" if manifest.frame else ""
        note(f"as of frame {manifest.frame:,}{until}")
    return 0


def _show(result: QueryResult) -> None:
    numbers = tuple(name for column, name in enumerate(result.names) if result.is_number(column))
    shown = table(*result.names, numbers=numbers)
    for row in islice(result.rows, ROWS_SHOWN_MAX):
        shown.add_row(*("" if value is None else value for value in row))
    print_table(shown)
    if next(result.rows, None) is not None:
        note(f"these are the first {ROWS_SHOWN_MAX:,} rows; --csv and --json print all")


def _show_views(opened: Query, *, json_: bool) -> None:
    from dataclasses import asdict

    from sycee.archive.schema import VIEWS

    if json_:
        show_json({name: [asdict(column) for column in opened.columns(name)] for name in VIEWS})
        return
    for name, view in VIEWS.items():
        show(f"{name}: {view.meaning}", style="bold")
        shown = table(ruled=False)
        for column in opened.columns(name):
            shown.add_row(f"  {column.name}", column.type, column.meaning)
        print_table(shown)
