"""Options, rows and files that the commands of vouchers share, on a folder and over a server."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from cyclopts import Parameter

from sycee.cli.parameters import Between
from sycee.cli.terminal import print_table, show, table
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.output_files import write_file
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.client.values import VoucherRow
    from sycee.vouchers.service import RowResult

FILE_BYTES_MAX: Final = 1 << 20
GroupName: TypeAlias = Annotated[str, Parameter(help="Name of the group of vouchers.")]
Serial: TypeAlias = Annotated[int, Parameter(help="Serial of the voucher: the first ten digits of its number.")]
BatchId: TypeAlias = Annotated[str, Parameter(help="Id of the batch, as `sycee voucher new` printed it.")]
Count: TypeAlias = Annotated[
    int, Parameter(help="Number of vouchers of this amount.", validator=Between("--count", 1, 1_000, 50))
]
Number: TypeAlias = Annotated[str, Parameter(help="Number of the voucher, 24 digits.")]
Beneficiary: TypeAlias = Annotated[str, Parameter(help="Id that must be the one of the activation.")]
Budget: TypeAlias = Annotated[str, Parameter(help="The most that the vouchers promise, such as 5000.00.")]
Merchants: TypeAlias = Annotated[str, Parameter(help="Payee group of the programme; may be omitted if it has one.")]
Activations: TypeAlias = Annotated[
    Path, Parameter(help="CSV with the columns serial and beneficiary; an id is stored as a hash.")
]
Output: TypeAlias = Annotated[
    Path | None, Parameter(help="CSV file to write; without it, the rows are printed to stdout.")
]
ResultsOutput: TypeAlias = Annotated[Path | None, Parameter(help="CSV file to write with the outcome of each row.")]


def finish(rows: Sequence[RowResult] | Sequence[VoucherRow], word: str, output: Path | None) -> int:
    """Show how many rows were done, write the outcomes to a file, and return the exit code."""
    done = sum(not each.code for each in rows)
    show(f"{done:,} of {quantity(len(rows), 'voucher')} {word}")
    if output is not None:
        write_results(rows, output)
    return show_refused(rows)


def show_refused(rows: Sequence[RowResult] | Sequence[VoucherRow]) -> int:
    """Show the rows that were refused, and return the exit code."""
    refused = [each for each in rows if each.code]
    if refused:
        made = table("serial", "refused")
        for each in refused:
            made.add_row(str(each.serial), each.code)
        print_table(made)
    return 1 if refused else 0


def write_results(rows: Sequence[RowResult] | Sequence[VoucherRow], output: Path | None) -> None:
    """Write the outcome of each row as CSV."""
    headings = ("serial", "step", "outcome", "code", "minor", "state")
    write_rows(headings, ([getattr(each, name) for name in headings] for each in rows), output)


def write_rows(
    headings: Sequence[str], rows: Iterable[Sequence[object]], output: Path | None, *, secret: bool = False
) -> None:
    """Write a CSV file, or print it. `secret`: a new file that its owner alone may read."""
    from sycee.core.secret_files import write_secret

    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows(rows)
    if output is None:
        sys.stdout.write(made.getvalue())
        return
    if secret:
        write_secret(output, made.getvalue().encode(), what="file of numbers")
    else:
        write_file(output, made.getvalue().encode())
    show(f"wrote {output}")


def read_activations(path: Path) -> list[tuple[int, str]]:
    """Return serial and beneficiary of each row of a CSV file."""
    text = read_bytes(path, FILE_BYTES_MAX, "file of activations").decode("utf-8-sig", errors="replace")
    reader = csv.DictReader(io.StringIO(text))
    if not {"serial", "beneficiary"} <= set(reader.fieldnames or ()):
        raise UsageError(f"{path} lacks the columns serial and beneficiary", hint="its first line has the headings")
    return [(_serial(row["serial"] or "", reader.line_num), row["beneficiary"] or "") for row in reader]


def _serial(text: str, line: int) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"line {line}: {text!r} is no serial", hint="a serial has digits only")
    return int(text)
