"""Files of the commands that open many wallets: CSV of persons, refused rows, opened wallets."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from sycee.cli.lazy import ids
from sycee.cli.terminal import show
from sycee.core.errors import UsageError
from sycee.core.input_files import read_bytes
from sycee.core.output_files import write_file
from sycee.core.words import quantity

CSV_BYTES_MAX: Final = 1 << 30


def columns_of(path: Path) -> dict[str, list[str]]:
    """Return the columns of a CSV file of persons. Raises UsageError that names row and heading, never a value."""
    from sycee.personal.sealing import FIELDS

    try:
        text = read_bytes(path, CSV_BYTES_MAX, "CSV file of persons").decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 at byte {error.start}", hint="save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""))
    headings = [each.strip() for each in next(reader, [])]
    unknown = [at for at, each in enumerate(headings, 1) if each not in FIELDS]
    if unknown or not headings or len(set(headings)) < len(headings):
        raise UsageError(
            f"{path}: the first line must name fields, each once; column {(unknown or [1])[0]} has another text",
            hint=f"fields: {', '.join(FIELDS)}",
        )
    columns: dict[str, list[str]] = {name: [] for name in headings}
    for number, row in enumerate(reader, 2):
        if len(row) != len(headings):
            raise UsageError(f"{path}: line {number} has {quantity(len(row), 'value')}, not {len(headings)}")
        for name, value in zip(headings, row, strict=True):
            columns[name].append(value)
    return columns


def count_of(columns: Mapping[str, Sequence[str]]) -> int:
    """Return the number of rows."""
    return len(next(iter(columns.values()), []))


def show_opened(
    opened: Sequence[int], refusals: Mapping[int, str], source: Path | None, refused: Path | None, accounts: Path | None
) -> None:  # fmt: skip
    """Print how many wallets were opened, and write the refused rows and the wallets to files.

    `opened`: the wallet of each row, 0 where it was refused. `refusals`: code by row, from 0.
    """

    def write(path: Path, heading: str, rows: Sequence[tuple[int, str]]) -> None:
        write_file(path, "".join([f"row,{heading}\n", *(f"{at},{text}\n" for at, text in rows)]).encode())

    counts = Counter(refusals.values())
    place = ""
    if refusals:
        assert source is not None
        file = refused or source.with_suffix(".refused.csv")
        write(file, "code", sorted((row + 2, code) for row, code in refusals.items()))
        codes = ", ".join(f"{count:,} {code}" for code, count in counts.most_common())
        place = f": {codes} (rows in {file})"
    if accounts is not None:
        write(accounts, "wallet", [(row + 2, ids.format(each)) for row, each in enumerate(opened) if each])
    show(f"{quantity(len(opened) - len(refusals), 'wallet')} opened, {len(refusals):,} refused{place}")
