"""Rows of registrations as columns of numbers, and the faults of rows that cannot be registered. Pure except for files.

A file is CSV in UTF-8 with headings, or Arrow (IPC stream or file, Parquet). Cells of CSV are texts. Documents and
phones may be numbers in Arrow, times may be timestamps with a zone. A fault names row and column, and never the value
of a document or phone: reports of faults are passed on.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sycee.core import ids, typos
from sycee.core.arrays import Bytes
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.input_files import unreadable
from sycee.programmes.definition import FIRST_COME, Programme
from sycee.programmes.draw_rule import PHONE_MAX
from sycee.programmes.plain_csv import PlainLines, TextColumn

DOCUMENT: Final = "document"
PHONE: Final = "phone"
BANK: Final = "bank"
STRATUM: Final = "stratum"
REGISTERED: Final = "registered_at"
CHECKED: Final = "checked_at"
CONFIRMED: Final = "confirmed_at"
WALLET: Final = "wallet"
COLUMNS: Final = (DOCUMENT, PHONE, BANK, STRATUM, REGISTERED, CHECKED, CONFIRMED, WALLET)

GROUP_ROWS: Final = 65_536  # of one transaction
CELL_CHARACTERS_MAX: Final = 128
DOCUMENT_MAX: Final = 2**64 - 1
ARROW_MAGIC: Final = b"ARROW1"
PARQUET_MAGIC: Final = b"PAR1"
STREAM_MAGIC: Final = b"\xff\xff\xff\xff"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PHONE: Final = re.compile(r"\+[1-9][0-9]{7,14}")
_SEPARATORS: Final = str.maketrans("", "", " -")

# Why a row is refused.
WRONG_CELLS: Final = "WRONG_CELLS"
NO_IDENTITY: Final = "NO_IDENTITY"
INVALID_DOCUMENT: Final = "INVALID_DOCUMENT"
INVALID_PHONE: Final = "INVALID_PHONE"
UNKNOWN_BANK: Final = "UNKNOWN_BANK"
UNKNOWN_STRATUM: Final = "UNKNOWN_STRATUM"
INVALID_TIME: Final = "INVALID_TIME"
OUTSIDE_WINDOW: Final = "OUTSIDE_WINDOW"
IN_THE_FUTURE: Final = "IN_THE_FUTURE"
WRONG_ORDER: Final = "WRONG_ORDER"
INVALID_WALLET: Final = "INVALID_WALLET"
FULL: Final = "FULL"

WORDS: Final[Mapping[str, str]] = {
    WRONG_CELLS: "the row has more or fewer cells than the headings, or a cell of more than 128 characters",
    NO_IDENTITY: "there is no identity key: the programme needs one of its keys at least",
    INVALID_DOCUMENT: "the document is not a number from 1 to 2^64 - 1 in its first characters",
    INVALID_PHONE: "the phone is not + and 8 to 15 digits",
    UNKNOWN_BANK: "the bank is not an operator of the programme file",
    UNKNOWN_STRATUM: "the stratum is not in the programme file",
    INVALID_TIME: "the time is not ISO 8601, or a local time that the zone skips or has twice",
    OUTSIDE_WINDOW: "the registration is outside the window of the programme file",
    IN_THE_FUTURE: "the time is later than now",
    WRONG_ORDER: "the check is before the registration, or the code before the check",
    INVALID_WALLET: "the wallet is not an id",
    FULL: "registration is full",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why one row is refused. `row`: from 1, without the headings; `column`: "" for the row as a whole."""

    row: int
    column: str
    code: str

    def __str__(self) -> str:
        where = f"row {self.row:,}, {self.column}" if self.column else f"row {self.row:,}"
        return f"{where}: {WORDS[self.code]}"


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """n registrations as columns, without the refused rows. `rows`: their numbers in the file, from 1.

    A document or phone of 0 is missing; a time of 0 is missing, too. `wallets`: (n, 16), zeros for none.
    """

    rows: NDArray[np.int64]
    documents: NDArray[np.uint64] = field(repr=False)
    phones: NDArray[np.uint64] = field(repr=False)
    banks: NDArray[np.uint8]
    strata: NDArray[np.uint8]
    registered_ns: NDArray[np.int64]
    checked_ns: NDArray[np.int64]
    confirmed_ns: NDArray[np.int64]
    wallets: Bytes
    faults: tuple[Fault, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int, code: str) -> Rows:
        """Return the first `count` rows; the others are refused with a code."""
        late = tuple(Fault(int(row), "", code) for row in self.rows[count:])
        columns = {name: getattr(self, name)[:count] for name in self.__slots__[:-1]}
        return Rows(**columns, faults=tuple(sorted((*self.faults, *late), key=lambda each: each.row)))


Cells: TypeAlias = Mapping[str, Any]  # column → list of n texts, or an array of n numbers


class Reader:
    """Reads rows for one programme. `phone`: returns the normal form of a phone; `now_ns`: of the import."""

    def __init__(self, programme: Programme, phone: Callable[[str], str], now_ns: int) -> None:
        self._programme, self._phone, self._now_ns = programme, phone, now_ns
        self._characters = programme.registration_rules.document_characters
        self._banks = {name: at for at, each in enumerate(programme.operators) for name in (each.title, each.name)}
        self._strata = {each.name: at for at, each in enumerate(programme.draw.strata)}

    def check_columns(self, names: Sequence[str]) -> None:
        """Raise UsageError for a column that is missing, unknown or there twice."""
        allowed = ", ".join(COLUMNS)
        for name in names:
            if name not in COLUMNS:
                near = typos.hint(name, COLUMNS, f"columns: {allowed}")
                raise UsageError(f"the column {name[:40]!r} is not one of a registration", hint=near)
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise UsageError(f"the column {twice[0]} is there twice", hint="give each column once")
        needed = list(self._programme.identity)
        needed += [BANK] if len(self._programme.operators) > 1 else []
        needed += [STRATUM] if has_strata(self._programme) else []
        needed += [CHECKED] if CONFIRMED in names else []
        if STRATUM in names and not has_strata(self._programme) and len(self._strata) > 1:
            raise UsageError(
                f"the column {STRATUM} has no meaning in a programme of the mode {self._programme.mode}",
                hint="leave it out: the order of registration gives the packets",
            )
        missing = [name for name in needed if name not in names]
        if missing:
            raise UsageError(
                f"the column {missing[0]} is missing", hint=f"{self._programme.name} needs {', '.join(needed)}"
            )

    def read(self, cells: Cells, first_row: int = 1, wrong: Sequence[int] = ()) -> Rows:
        """Return the rows of columns of equal length. `wrong`: rows from 0 that have the wrong number of cells."""
        count = len(next(iter(cells.values()), ()))
        found: dict[int, tuple[str, str]] = dict.fromkeys(wrong, ("", WRONG_CELLS))

        def refuse(row: int, column: str, code: str) -> None:
            found.setdefault(row, (column, code))

        documents = self._numbers(cells, DOCUMENT, count, refuse)
        phones = self._numbers(cells, PHONE, count, refuse)
        keys = {DOCUMENT: documents, PHONE: phones}
        is_empty = np.logical_and.reduce([keys[key] == 0 for key in self._programme.identity])
        for row in np.flatnonzero(is_empty).tolist():
            refuse(row, "", NO_IDENTITY)
        banks = _chosen(cells, BANK, count, self._banks, UNKNOWN_BANK, refuse)
        named = cells if has_strata(self._programme) else {}
        strata = _chosen(named, STRATUM, count, self._strata, UNKNOWN_STRATUM, refuse)
        times = {name: self._times(cells, name, count, refuse) for name in (REGISTERED, CHECKED, CONFIRMED)}
        self._check_times(times, refuse)
        wallets = _wallets(cells, count, refuse)
        kept = np.ones(count, np.bool_)
        kept[list(found)] = False
        faults = tuple(Fault(first_row + row, *found[row]) for row in sorted(found))
        return Rows(
            rows=np.flatnonzero(kept) + first_row,
            documents=documents[kept],
            phones=phones[kept],
            banks=banks[kept],
            strata=strata[kept],
            registered_ns=times[REGISTERED][kept],
            checked_ns=times[CHECKED][kept],
            confirmed_ns=times[CONFIRMED][kept],
            wallets=wallets[kept],
            faults=faults,
        )

    def document_number(self, text: str) -> int:
        """Return the number of a document, 0 for a text that has none."""
        return _or_zero(self._document, text, DOCUMENT_MAX)

    def phone_number(self, text: str) -> int:
        """Return a phone as a number, 0 for a text that is no phone."""
        return _or_zero(self._phone_number, text, PHONE_MAX)

    def _document(self, text: str) -> int:
        """Return the number in the first characters of a document. ValueError if there is none."""
        digits = text.translate(_SEPARATORS)
        digits = digits[: self._characters] if self._characters else digits
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError
        return int(digits)

    def _phone_number(self, text: str) -> int:
        return int((text if _PHONE.fullmatch(text) else self._phone(text))[1:])

    def _plain_documents(self, column: TextColumn) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return the numbers of documents, and which cells are read: those that are digits only."""
        return column.numbers(first=self._characters)

    @staticmethod
    def _plain_phones(column: TextColumn) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return phones as numbers, and which cells are read: those of `_PHONE`."""
        numbers, is_read = column.numbers(sign=b"+")
        digits = column.sizes - 1
        is_phone = (digits >= 8) & (digits <= 15) & (numbers >= 10 ** (np.clip(digits, 1, 15) - 1).astype(np.uint64))
        return numbers, is_read & (is_phone | (column.sizes == 0))

    def _numbers(
        self, cells: Cells, name: str, count: int, refuse: Callable[[int, str, str], None]
    ) -> NDArray[np.uint64]:
        """Return the documents or phones of a column as numbers, 0 for an empty cell."""
        parsed, plain, code, most = {
            DOCUMENT: (self._document, self._plain_documents, INVALID_DOCUMENT, DOCUMENT_MAX),
            PHONE: (self._phone_number, self._plain_phones, INVALID_PHONE, PHONE_MAX),
        }[name]
        made = np.zeros(count, np.uint64)
        column = cells.get(name, ())
        if isinstance(column, np.ndarray):
            wrong = (column < 0) | (column > most)
            made[~wrong] = column[~wrong]
            for row in np.flatnonzero(wrong).tolist():
                refuse(row, name, code)
            return made
        rest: Iterable[tuple[int, str]] = enumerate(column)
        if isinstance(column, TextColumn):
            made, is_read = plain(column)
            is_read &= made <= most
            rest = ((row, column[row]) for row in np.flatnonzero(~is_read).tolist())
        for row, text in rest:
            value = 0
            if text:
                try:
                    value = parsed(text)
                except (ValueError, UsageError):
                    value = -1
                if not 0 < value <= most:
                    refuse(row, name, code)
                    value = 0
            made[row] = value
        return made

    def _times(self, cells: Cells, name: str, count: int, refuse: Callable[[int, str, str], None]) -> NDArray[np.int64]:
        """Return the times of a column in ns, 0 for an empty cell. An empty `registered_at` is now."""
        column = cells.get(name, ())
        if isinstance(column, np.ndarray):
            made = column.astype(np.int64)
        else:
            texts, zone = list(column), self._programme.zone
            read = {text: _moment_or_none(text, zone) if text else 0 for text in set(texts)}
            values = list(map(read.__getitem__, texts))
            if None in read.values():
                for row in [at for at, value in enumerate(values) if value is None]:
                    refuse(row, name, INVALID_TIME)
                    values[row] = 0
            made = np.array(values, np.int64) if values else np.zeros(count, np.int64)
        if name == REGISTERED:
            made = np.where(made == 0, self._now_ns, made)
        return made

    def _check_times(self, times: Mapping[str, NDArray[np.int64]], refuse: Callable[[int, str, str], None]) -> None:
        registered, checked, confirmed = (times[name] for name in (REGISTERED, CHECKED, CONFIRMED))
        window = self._programme.registration
        for name, made in times.items():
            for row in np.flatnonzero(made > self._now_ns).tolist():
                refuse(row, name, IN_THE_FUTURE)
        for row in np.flatnonzero((registered < window.from_ns) | (registered >= window.until_ns)).tolist():
            refuse(row, REGISTERED, OUTSIDE_WINDOW)
        for row in np.flatnonzero((checked != 0) & (checked < registered)).tolist():
            refuse(row, CHECKED, WRONG_ORDER)
        for row in np.flatnonzero(
            (confirmed != 0) & (confirmed < checked) | (confirmed != 0) & (checked == 0)
        ).tolist():
            refuse(row, CONFIRMED, WRONG_ORDER)


def has_strata(programme: Programme) -> bool:
    """Return whether each entry names its stratum: of several, unless the order of registration gives the packets."""
    return len(programme.draw.strata) > 1 and programme.mode != FIRST_COME


def _or_zero(parsed: Callable[[str], int], text: str, most: int) -> int:
    try:
        number = parsed(text) if text else 0
    except (ValueError, UsageError):
        return 0
    return number if number <= most else 0


def _chosen(
    cells: Cells, name: str, count: int, names: Mapping[str, int], code: str, refuse: Callable[[int, str, str], None]
) -> NDArray[np.uint8]:
    """Return the index of each row's name; 0 for a column that is missing, because there is one name."""
    if name not in cells:
        return np.zeros(count, np.uint8)
    found = [names.get(text, -1) for text in cells[name]]
    for row, at in enumerate(found):
        if at < 0:
            refuse(row, name, code)
    return np.maximum(np.array(found, np.int64), 0).astype(np.uint8)


def _wallets(cells: Cells, count: int, refuse: Callable[[int, str, str], None]) -> Bytes:
    made = np.zeros((count, 16), np.uint8)
    for row, text in enumerate(cells.get(WALLET, ())):
        if text:
            try:
                made[row] = np.frombuffer(ids.parse(text).to_bytes(16, "big"), np.uint8)
            except UsageError:
                refuse(row, WALLET, INVALID_WALLET)
    return made


def _moment_or_none(text: str, zone: ZoneInfo) -> int | None:
    try:
        return _moment(text, zone)
    except ValueError:
        return None


@lru_cache(1 << 16)
def _moment(text: str, zone: ZoneInfo) -> int:
    """Return the nanoseconds of a time. A local time is of `zone`. ValueError for another text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
        if first.utcoffset() != second.utcoffset():
            raise ValueError
        moment = first
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000


# --- files --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """Up to GROUP_ROWS rows of a file. `first_row`: from 1. `wrong`: rows from 0 with the wrong number of cells."""

    first_row: int
    cells: Cells
    wrong: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return len(next(iter(self.cells.values())))


def groups_of(path: Path) -> Iterator[Group]:
    """Yield the rows of a CSV, Arrow or Parquet file. The first eight bytes decide which.

    Raises UsageError for a file that is absent, none of these or without headings, UnavailableError for one that cannot
    be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            file.seek(0)
            if head.startswith((ARROW_MAGIC, STREAM_MAGIC, PARQUET_MAGIC)):
                yield from _arrow_groups(file, head, path.name)
            else:
                yield from _csv_groups(file, path.name)
    except OSError as error:
        raise unreadable(str(path), error) from error


def _csv_groups(file: BinaryIO, name: str) -> Iterator[Group]:
    head = file.readline()
    if b'"' in head or b"\r" in head.removesuffix(b"\r\n"):
        file.seek(0)
        yield from _parsed_groups(file, name, [], 1, 0)
        return
    headings = [text.strip() for text in _decoded(head, name).rstrip("\r\n").split(",")]
    _require_headings(headings, name)
    lines = PlainLines(file, len(headings), len(head), 1)
    first, size = 1, GROUP_ROWS
    while size == GROUP_ROWS:
        taken = lines.take(GROUP_ROWS)
        if taken is None:
            file.seek(lines.place)
            yield from _parsed_groups(file, name, headings, first, lines.line)
            return
        columns, wrong = taken
        size = len(columns[0])
        yield _csv_group(first, headings, columns, wrong)
        first += size


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _not_utf8(name) from error


def _not_utf8(name: str) -> UsageError:
    return UsageError(f"{name} is not UTF-8", hint="save it as CSV in UTF-8, or as Arrow or Parquet")


def _require_headings(headings: Sequence[str], name: str) -> None:
    if not any(headings):
        hint = f"the first line names columns: {', '.join(COLUMNS[:5])}"
        raise UsageError(f"{name} has no headings", hint=hint)


def _parsed_groups(file: BinaryIO, name: str, headings: list[str], first: int, line: int) -> Iterator[Group]:
    """Yield the groups from the file's place on, whose first row is `first`, after `line` lines."""
    with io.TextIOWrapper(file, "utf-8" if headings else "utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            if not headings:
                headings = [text.strip() for text in next(reader, [])]
                _require_headings(headings, name)
            rows = []
            for row in reader:
                if row:
                    rows.append(row)
                if len(rows) == GROUP_ROWS:
                    yield _parsed_group(first, headings, rows)
                    first, rows = first + len(rows), []
            yield _parsed_group(first, headings, rows)
        except UnicodeDecodeError as error:
            raise _not_utf8(name) from error
        except csv.Error as error:
            place = f"{name}, line {line + reader.line_num}"
            raise UsageError(f"{place}: {error}", hint="quote cells as RFC 4180 does") from error


def _parsed_group(first: int, headings: Sequence[str], rows: list[list[str]]) -> Group:
    width = len(headings)
    wrong = [at for at, length in enumerate(map(len, rows)) if length != width]
    for at in wrong:
        rows[at] = [""] * width
    columns = list(map(list, zip(*rows, strict=True))) or [[]] * width
    return _csv_group(first, headings, columns, wrong)


def _csv_group(
    first: int, headings: Sequence[str], columns: Sequence[list[str] | TextColumn], wrong: Sequence[int]
) -> Group:
    if len(set(headings)) < len(headings):
        _twice(headings)
    cells: dict[str, list[str] | TextColumn] = {}
    long = set(wrong)
    for name, column in zip(headings, columns, strict=True):
        long |= {at for at in _maybe_long(column) if len(column[at]) > CELL_CHARACTERS_MAX}
        cells[name] = column if isinstance(column, TextColumn) else list(map(str.strip, column))
    return Group(first, cells, tuple(sorted(long)))


def _maybe_long(column: list[str] | TextColumn) -> Iterable[int]:
    """Return the rows in which a cell may exceed CELL_CHARACTERS_MAX."""
    if isinstance(column, TextColumn):
        return np.flatnonzero(column.sizes > CELL_CHARACTERS_MAX).tolist()
    return range(len(column)) if max(map(len, column), default=0) > CELL_CHARACTERS_MAX else ()


def _twice(headings: Sequence[str]) -> Cells:
    name = next(name for name, count in Counter(headings).items() if count > 1)
    raise UsageError(f"the column {name[:40]!r} is there twice", hint="give each column once")


def _arrow_groups(file: BinaryIO, head: bytes, name: str) -> Iterator[Group]:
    with extra("bank"):
        import pyarrow as pa
        import pyarrow.ipc
        import pyarrow.parquet
    first = 1
    try:
        if head.startswith(PARQUET_MAGIC):
            batches = pyarrow.parquet.ParquetFile(file).iter_batches(GROUP_ROWS)
        elif head.startswith(ARROW_MAGIC):
            reader = pyarrow.ipc.open_file(file)
            batches = map(reader.get_batch, range(reader.num_record_batches))
        else:
            batches = iter(pyarrow.ipc.open_stream(file))
        for batch in batches:
            for start in range(0, batch.num_rows, GROUP_ROWS):
                part = batch.slice(start, GROUP_ROWS)
                names = part.schema.names
                if len(set(names)) < len(names):
                    _twice(names)
                yield Group(first, {each: _arrow_column(part, each) for each in names})
                first += part.num_rows
    except pa.ArrowException as error:
        raise UsageError(
            f"{name} is damaged: {error}", hint="write it again; nothing after this place was read"
        ) from error


def _arrow_column(batch: Any, name: str) -> Any:
    """Return a column as texts, or as an array of numbers: times in nanoseconds, 0 for no value."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = batch.column(name)
    kind = column.type
    if pa.types.is_integer(kind):
        return np.asarray(pc.fill_null(column, 0).to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise UsageError(
                f"the column {name} has times without a zone", hint="write timestamps with a zone, such as UTC"
            )
        times = pc.fill_null(column.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64()), 0)
        return np.asarray(times.to_numpy(zero_copy_only=False))
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return [text.strip() if text else "" for text in column.to_pylist()]
    raise UsageError(
        f"the column {name} has the type {kind}", hint="texts, integers, or timestamps with a zone are read"
    )
