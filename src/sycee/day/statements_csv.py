"""Statements that operators and merchants make of their own accounts, as CSV files.

The columns are `account,direction,amount,operation,reference`: the account's id, `in` or `out`, an amount such as
12.50, and, if the party has them, the id of the operation and the bank's reference. An error names the row and the
column and repeats no text, because a reference may name a person.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from blake3 import blake3

from sycee.core import ids, money
from sycee.core.errors import SyceeError, UsageError
from sycee.core.input_files import read_bytes
from sycee.core.money import Currency

COLUMNS: Final = ("account", "direction", "amount", "operation", "reference")
FILE_BYTES_MAX: Final = 512 << 20  # three million lines
REFERENCE_LENGTH_MAX: Final = 35  # of ISO 20022's Max35Text
IN: Final = "in"
OUT: Final = "out"


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line. `minor`: positive if the account received money. `operation` 0 and `reference` "" where unknown."""

    account: int
    minor: int
    operation: int
    reference: str


@dataclass(frozen=True, slots=True)
class ImportedStatement:
    """The lines of one file, and the digest of its bytes, hexadecimal."""

    file: str
    digest: str
    lines: tuple[StatementLine, ...]

    @property
    def accounts(self) -> list[int]:
        """Return the accounts of the file, each once, in its order."""
        return list(dict.fromkeys(line.account for line in self.lines))


def load(path: Path, currency: Currency) -> ImportedStatement:
    """Return the statement in a CSV file. Raises UsageError that names row and column, and errors of reading."""
    return parse(read_bytes(path, FILE_BYTES_MAX, "statement"), str(path), currency)


def parse(content: bytes, file: str, currency: Currency) -> ImportedStatement:
    """Return the statement in the bytes of a CSV file; `file` is its name for errors."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{file}: row {row} is not UTF-8", hint="save the file as UTF-8") from None
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        raise UsageError(f"{file} is not CSV: a quotation mark is not closed", hint="export the file again") from None
    if not rows or tuple(rows[0]) != COLUMNS:
        raise UsageError(f"{file}: the first row is another one", hint=f"write the columns {','.join(COLUMNS)}")
    lines = tuple(_line(row, f"{file}: row {number}", currency) for number, row in enumerate(rows[1:], 2) if row)
    return ImportedStatement(file, blake3(content).hexdigest(), lines)


def _line(row: Sequence[str], where: str, currency: Currency) -> StatementLine:
    if len(row) != len(COLUMNS):
        raise UsageError(f"{where} has {len(row)} fields", hint=f"write {len(COLUMNS)}: {','.join(COLUMNS)}")
    account, direction, amount, operation, reference = (field.strip() for field in row)
    if direction not in (IN, OUT):
        raise UsageError(f"{where}: direction is wrong", hint=f"write {IN} for money received, {OUT} for money paid")
    minor = _minor(amount, f"{where}: amount is wrong", currency)
    if len(reference) > REFERENCE_LENGTH_MAX:
        raise UsageError(f"{where}: reference is too long", hint=f"write at most {REFERENCE_LENGTH_MAX} characters")
    return StatementLine(
        _id(account, f"{where}: account is no id"),
        minor if direction == IN else -minor,
        _id(operation, f"{where}: operation is no id") if operation else 0,
        reference,
    )


def _id(text: str, problem: str) -> int:
    try:
        return ids.parse(text)
    except SyceeError:
        raise UsageError(problem, hint="write a UUID, as `sycee statement` does") from None


def _minor(text: str, problem: str, currency: Currency) -> int:
    try:
        minor = money.parse(text, currency)
    except SyceeError:
        minor = 0
    if minor <= 0:
        raise UsageError(problem, hint=f"write an amount above zero, such as {money.format(1_250, currency)}")
    return minor
