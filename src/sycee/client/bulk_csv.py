"""CSV files of bulk payments, for people: a message with line, column and value for each bad row.

    payee,amount,reference
    01930e2c-5a00-7abc-8def-0123456789ab,12.50,

The file is read as a whole before anything is paid, so that a person can correct it. The column `reference` may be
absent.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.money import Currency
from sycee.core.records.bulk_rows import ROWS_MAX, Rows, code_name

with extra("bank"):
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv

CSV_TYPE: Final = "text/csv"
SHOWN_MAX: Final = 20  # bad rows of one message
_UUID: Final = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"
_UUID_CHARACTERS: Final = 36
_DIGITS_AT: Final = np.array([at for at in range(_UUID_CHARACTERS) if at not in (8, 13, 18, 23)])
_NIBBLES: Final = np.zeros(256, np.uint8)
for _digit in b"0123456789abcdefABCDEF":
    _NIBBLES[_digit] = int(chr(_digit), 16)
_WHOLE_DIGITS_MAX: Final = 16  # before the decimal point
_REQUIRED: Final = ("payee", "amount")
_ALLOWED: Final = (*_REQUIRED, "reference")
_VALUE_CHARACTERS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read. `line`: of the file, from 1; `column`: "" for the whole line."""

    line: int
    column: str
    value: str
    reason: str

    def __str__(self) -> str:
        shown = self.value if len(self.value) <= _VALUE_CHARACTERS_MAX else f"{self.value[:_VALUE_CHARACTERS_MAX]}…"
        place = f"line {self.line:,}, column {self.column}" if self.column else f"line {self.line:,}"
        return f"{place}: {shown!r} {self.reason}"


class BadRows(UsageError):
    """Rows that cannot be read. `rows` has all of them, the message the first."""

    def __init__(self, rows: Sequence[BadRow]) -> None:
        lines = [str(each) for each in rows[:SHOWN_MAX]]
        if len(rows) > SHOWN_MAX:
            lines.append(f"and {len(rows) - SHOWN_MAX:,} more")
        super().__init__("\n".join(lines), hint="correct the file; nothing was paid")
        self.rows = tuple(rows)


def read(source: Any, currency: Currency) -> Rows:
    """Return the rows of a CSV file: a path, bytes, or a binary file. Raises BadRows, UsageError."""
    table, lines, bad = _table(io.BytesIO(source) if isinstance(source, bytes) else source)
    columns = {name: table.column(name).combine_chunks() for name in table.column_names}
    payees = _uuids(columns["payee"], "payee", lines, bad)
    amounts = _amounts(columns["amount"], currency, lines, bad)
    references = None
    if "reference" in columns:
        references = _uuids(columns["reference"], "reference", lines, bad, may_be_empty=True)
        references = references if references.any() else None
    if bad:
        raise BadRows(sorted(bad, key=lambda each: (each.line, each.column)))
    return Rows(payees, amounts, references)


def write_results(first: int, rows: Any, *, header: bool) -> bytes:
    """Return results, an object with the fields of `bulk_arrow.RowResults`, as CSV: row, code, repeated, frame.

    Rows are numbered from 1, in the order of the file.
    """
    size = len(rows.codes)
    codes, at = np.unique(rows.codes, return_inverse=True)
    shown = pa.array([code_name(code) for code in codes.tolist()]).take(pa.array(at))
    repeated = pa.array(["no", "yes"]).take(pa.array(rows.repeated.astype(np.int8)))
    columns = [pa.array(np.arange(first + 1, first + 1 + size)), shown, repeated, pa.array(rows.frames)]
    names = ["row", "code", "repeated", "frame"]
    sink = io.BytesIO()
    if header:
        sink.write(f"{','.join(names)}\n".encode())
    csv.write_csv(pa.table(columns, names=names), sink, csv.WriteOptions(include_header=False, quoting_style="none"))
    return sink.getvalue()


def _table(source: Any) -> tuple[Any, Array, list[BadRow]]:
    """Return the columns as texts, the line of each row, and the lines with another number of columns."""
    bad: list[BadRow] = []

    def wrong(row: Any) -> str:
        reason = f"has {row.actual_columns} columns, not {row.expected_columns}"
        bad.append(BadRow(row.number, "", row.text, reason))
        return "skip"

    try:
        table = csv.read_csv(
            source,
            read_options=csv.ReadOptions(use_threads=False),  # with threads, bad lines have no number
            parse_options=csv.ParseOptions(invalid_row_handler=wrong, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(_ALLOWED, pa.string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise UsageError(f"this is no CSV file in UTF-8: {error}", hint="export it as CSV, UTF-8") from error
    names = table.column_names
    if not set(_REQUIRED) <= set(names) or not set(names) <= set(_ALLOWED) or len(set(names)) < len(names):
        raise UsageError(
            f"the first line names the columns {', '.join(map(repr, names))}",
            hint=f"the columns are {', '.join(_REQUIRED)}, and if needed reference",
        )
    size = table.num_rows + len(bad)
    if not table.num_rows and not bad:
        raise UsageError("the file has no row", hint="the first line names the columns, and each other line is a row")
    if size > ROWS_MAX:
        raise UsageError(f"the file has {size:,} rows; at most {ROWS_MAX:,} are possible", hint="divide it")
    lines = np.arange(2, size + 2)
    if bad:
        lines = np.setdiff1d(lines, np.array([each.line for each in bad]))
    return table, lines, bad


def _uuids(column: Any, name: str, lines: Array, bad: list[BadRow], *, may_be_empty: bool = False) -> Array:
    """Return texts as UUIDs, (n, 16) u1 big-endian; an empty text is zero if it may be empty."""
    good = pc.match_substring_regex(column, _UUID)
    wrong = pc.invert(pc.or_(good, pc.equal(column, "")) if may_be_empty else good)
    _add(column, wrong, name, "is no id such as 01930e2c-5a00-7abc-8def-0123456789ab", lines, bad)
    chosen = column.filter(good)
    made = np.zeros((len(column), 16), np.uint8)
    if len(chosen):
        joined = np.frombuffer(chosen.buffers()[2], np.uint8)
        start = int(np.frombuffer(chosen.buffers()[1], np.int32)[chosen.offset])
        characters = joined[start : start + len(chosen) * _UUID_CHARACTERS].reshape(-1, _UUID_CHARACTERS)
        nibbles = _NIBBLES[characters[:, _DIGITS_AT]]
        made[good.to_numpy(zero_copy_only=False)] = nibbles[:, ::2] << 4 | nibbles[:, 1::2]
    return made


def _amounts(column: Any, currency: Currency, lines: Array, bad: list[BadRow]) -> Array:
    """Return texts such as 12.50 as minor units, (n,) i8."""
    decimals = f"([.][0-9]{{1,{currency.digits}}})?" if currency.digits else ""
    good = pc.match_substring_regex(column, f"^[0-9]{{1,{_WHOLE_DIGITS_MAX}}}{decimals}$")
    example = f"12.{'5'.ljust(currency.digits, '0')}" if currency.digits else "12"
    _add(column, pc.invert(good), "amount", f"is no amount such as {example}", lines, bad)
    chosen = column.filter(good)
    made = np.zeros(len(column), np.int64)
    if len(chosen):
        exact = chosen.cast(pa.decimal128(_WHOLE_DIGITS_MAX + currency.digits, currency.digits))
        words = np.frombuffer(exact.buffers()[1], np.int64)  # 128 bits each, of which the lower half is used
        made[good.to_numpy(zero_copy_only=False)] = words[::2]
        zero = pc.and_(good, pa.array(made == 0))
        _add(column, zero, "amount", "is not above 0", lines, bad)
    return made


def _add(column: Any, wrong: Any, name: str, reason: str, lines: Array, bad: list[BadRow]) -> None:
    """Add the values where `wrong` is true."""
    at = np.flatnonzero(wrong.to_numpy(zero_copy_only=False))
    values = column.take(pa.array(at)).to_pylist()
    bad.extend(
        BadRow(line, name, value, reason if value else "is empty")
        for line, value in zip(lines[at].tolist(), values, strict=True)
    )
