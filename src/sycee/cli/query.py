"""`sycee query`: SQL over a ledger's archive, without a way to anything else."""

from __future__ import annotations

import csv
import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli import console

if TYPE_CHECKING:
    from rich.table import Table

    from sycee.archive.query import Answer, Query

ROWS_SHOWN_MAX = 1_000  # of a table for people
TABLE_WIDTH_MAX = 10_000  # wider than any table, so that no value is cut where the terminal is narrow


def query(
    folder: Annotated[Path, Parameter(help="A ledger's folder with an archive in it, or the archive itself.")],
    sql: Annotated[str | None, Parameter(help="One SELECT. Without it: the views and their columns.")] = None,
    /,
    *,
    csv_: Annotated[bool, Parameter(name="--csv", negative="", help="Print the rows as CSV to stdout.")] = False,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Ask an archive, in SQL: movements, lines, operations, frames, accounts, balances, purses, programmes, currencies.

    It stands where the last `sycee export` ended. DuckDB reads the archive's files and nothing else: no other file, no
    network, no extension.
    """
    from sycee.archive.query import Query
    from sycee.archive.timestamps import utc_text
    from sycee.core.errors import UsageError

    if csv_ and json_:
        raise UsageError("--csv and --json exclude each other", hint="choose one")
    with Query(folder) as opened:
        manifest = opened.manifest
        if sql is None:
            _show_views(opened, json_=json_)
            return 0
        answer = opened.run(sql)
        if csv_:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.names)
            writer.writerows(answer.rows)
        elif json_:
            rows = list(answer.values())
            print(
                json.dumps(
                    {"frame": manifest.frame, "columns": answer.names, "types": answer.types, "rows": rows},
                    ensure_ascii=False,
                )
            )
        else:
            _show(answer)
        until = f" of {utc_text(manifest.time_ns)}" if manifest.frame else ""
        console(stderr=True).print(f"as of frame {manifest.frame:,}{until}", soft_wrap=True)
    return 0


def _show(answer: Answer) -> None:
    table = _table()
    for column, name in enumerate(answer.names):
        table.add_column(name, justify="right" if answer.is_number(column) else "left", no_wrap=True)
    for row in islice(answer.rows, ROWS_SHOWN_MAX):
        table.add_row(*(_printable(value) for value in row))
    print_table(table)
    if next(answer.rows, None) is not None:
        console(stderr=True).print(f"the first {ROWS_SHOWN_MAX:,} rows; --csv and --json give all", soft_wrap=True)


def _show_views(opened: Query, *, json_: bool) -> None:
    from sycee.archive.schema import VIEWS

    if json_:
        print(
            json.dumps(
                {
                    name: [
                        {"name": column.name, "type": column.type, "meaning": column.meaning}
                        for column in opened.columns(name)
                    ]
                    for name in VIEWS
                }
            )
        )
        return
    terminal = console()
    for name, view in VIEWS.items():
        terminal.print(f"{name}: {view.meaning}", style="bold", soft_wrap=True)
        table = _table(show_header=False)
        for column in opened.columns(name):
            table.add_row(f"  {column.name}", column.type, column.meaning)
        print_table(table)


def _table(*, show_header: bool = True) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(
        box=SIMPLE_HEAD if show_header else None,
        show_header=show_header,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0) if show_header else (0, 2, 0, 0),
    )


def print_table(table: Table) -> None:
    """Print a table as wide as it needs to be, whatever the terminal's width, so that nothing of it is cut."""
    terminal = console()
    terminal.width = TABLE_WIDTH_MAX
    with terminal.capture() as captured:
        terminal.print(table)
    # Cells are filled up to their column's width; the last need not be.
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _printable(value: str | None) -> str:
    """A value for a terminal: what could move its cursor is shown as what it is, and mark-up is none."""
    from rich.markup import escape

    return "" if value is None else escape("".join(each if each.isprintable() else repr(each)[1:-1] for each in value))
