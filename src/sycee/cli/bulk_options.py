"""Parameters and lines that the commands of bulk payments share, on a folder and over a server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.lazy import ids
from sycee.cli.terminal import note, print_table, show, table
from sycee.core import money
from sycee.core.output_files import write_file
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client.bulk import BulkFile
    from sycee.core.money import Currency
    from sycee.core.records.bulk_rows import Content

RowsFile: TypeAlias = Annotated[
    Path, Parameter(help="File with the rows: .csv, .arrow, .arrows (a stream) or .parquet.")
]
BulkFileId: TypeAlias = Annotated[str, Parameter(help="Id of the file, as `sycee bulk pay` printed it.")]
GivenId: TypeAlias = Annotated[
    str, Parameter(name="--id", help="Id of the file; by default that in FILE.id, which is written beside the rows.")
]
AllOrNothing: TypeAlias = Annotated[
    bool, Parameter(name="--all-or-nothing", negative="", help="Stage all rows; `sycee bulk settle` then pays them.")
]
Discard: TypeAlias = Annotated[bool, Parameter(negative="", help="Pay no row, and end the file.")]
Output: TypeAlias = Annotated[
    Path | None, Parameter(help="CSV file to write; without it, the results are printed to stdout.")
]
RowsOutput: TypeAlias = Annotated[Path | None, Parameter(help="CSV file to write with the result of each row.")]


LISTED: Final = ("file", "mode", "rows", "sum", "state")  # columns of a list of files
LISTED_NUMBERS: Final = ("rows", "sum")


def listed(file: str, content: Content | BulkFile, state: str, currency: Currency) -> dict[str, Any]:
    """Return a file as a list shows it; JSON has the members that the table has not, too."""
    return {
        "file": file,
        "mode": content.mode.value,
        "rows": content.rows,
        "sum": money.format(content.sum_minor, currency),
        "sum_minor": content.sum_minor,
        "state": state,
    }


def counted(codes: Iterable[Any]) -> dict[str, int]:
    """Return the number of rows by the name of their code. `codes`: arrays of codes."""
    import numpy as np

    from sycee.core.records.bulk_rows import code_name

    found: dict[int, int] = {}
    for each in codes:
        for code, rows in zip(*(part.tolist() for part in np.unique(each, return_counts=True)), strict=True):
            found[code] = found.get(code, 0) + rows
    return {code_name(code): found[code] for code in sorted(found)}


def show_paid(counts: Mapping[str, int], file: int, *, staged: bool) -> int:
    """Show the rows of a paid or staged file by cause, and the next step; return the exit code."""
    is_whole = show_counts(counts, paid="staged, and none is paid yet" if staged else "paid")
    if staged and is_whole:
        note(f"next: `sycee bulk settle` with {ids.format(file)} pays all rows, or none")
    return 0 if is_whole else 1


def show_counts(counts: Mapping[str, int], *, paid: str) -> bool:
    """Show the rows by cause; return whether all have succeeded. `paid`: the word for rows that succeeded."""
    total, good = sum(counts.values()), counts.get("CREATED", 0) + counts.get("STAGED", 0)
    show(f"{good:,} of {quantity(total, 'row')} {paid}")
    if good == total:
        return True
    made = table("cause", "rows", numbers=("rows",))
    for name, rows in counts.items():
        if name not in ("CREATED", "STAGED"):
            made.add_row(name, f"{rows:,}")
    print_table(made)
    return False


def write_results(results: Iterable[Any], output: Path | None) -> None:
    """Write results as CSV to a file or to stdout."""
    import sys

    from sycee.client import bulk_csv

    parts = (bulk_csv.write_results(each.first, each, header=number == 0) for number, each in enumerate(results))
    if output is None:
        for part in parts:
            sys.stdout.write(part.decode())
    else:
        write_file(output, b"".join(parts))
