"""Rows to Parquet: arrays as they were copied, made into Arrow tables, and files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from blake3 import blake3

from sycee.archive.manifest import Entry
from sycee.archive.schema import TABLES, Column
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UnavailableError, require
from sycee.ledger.invariants import exact_sum

ROW_GROUP_ROWS: Final = 131_072  # large enough to compress well, small enough that a query skips much
COMPRESSION: Final = "zstd"
# Sums that are taken before writing and again from the file: of these columns, as far as a table has them.
PROVING: Final = ("number", "frame", "amount", "operations", "movements", "held")

_ARROW: Final = {
    "BIGINT": pa.int64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "INTEGER": pa.int32(),
    "TIMESTAMPTZ_NS": pa.timestamp("ns", "UTC"),
    "UUID": pa.uuid(),
    "VARCHAR": pa.string(),
}


@dataclass(frozen=True, slots=True)
class Values:
    """A column's values: numbers, halves of ids, or numbers that have names. Shape (n,)."""

    numbers: Array  # the low halves of ids
    high: Array | None = None  # the high halves
    names: Mapping[int, str] | None = None
    null: Array | None = None  # (n,) bool: where there is none

    def as_arrow(self, kind: str) -> Any:
        """An Arrow array of a type, by its name in SQL."""
        if self.high is not None:
            return self._ids()
        if self.names is not None:
            codes, places = np.unique(self.numbers, return_inverse=True)
            texts = pa.array([self.names[code] for code in codes.tolist()], pa.string())
            return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), texts).dictionary_decode()
        target = _ARROW[kind]
        if kind in ("DATE", "TIMESTAMPTZ_NS"):
            width = np.int32 if kind == "DATE" else np.int64
            return pa.array(self.numbers.astype(width), mask=self.null).cast(target)
        return pa.array(self.numbers.astype(target.to_pandas_dtype()), mask=self.null)

    def _ids(self) -> Any:
        assert self.high is not None
        size = self.numbers.size
        # UUIDs are written with their highest byte first.
        content = np.empty((size, 2), ">u8")
        content[:, 0], content[:, 1] = self.high, self.numbers
        valid = None if self.null is None else pa.py_buffer(np.packbits(~self.null, bitorder="little"))
        storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), size, [valid, pa.py_buffer(content)])
        return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def arrow_schema(columns: Sequence[Column]) -> Any:
    """The Arrow schema of some columns."""
    return pa.schema([(column.name, _ARROW[column.type]) for column in columns])


def arrow_table(table: str, values: Mapping[str, Values]) -> Any:
    """Columns of a table, made into an Arrow table."""
    columns = TABLES[table]
    return pa.table([values[column.name].as_arrow(column.type) for column in columns], schema=arrow_schema(columns))


class FileWriter:
    """Writes one file of a table: beside its place, then durable, read back, renamed."""

    def __init__(self, folder: Path, table: str, *, day: str, first_frame: int, last_frame: int) -> None:
        """A register has no day. Raises UnavailableError where the disk refuses, here and later."""
        place = f"{table}/{day}" if day else table
        self._folder = folder
        self._path = f"{place}/{first_frame:012d}-{last_frame:012d}.parquet"
        self._known = (table, day, first_frame, last_frame)
        self._rows = 0
        self._sums = {column.name: 0 for column in TABLES[table] if column.name in PROVING}
        self._waiting: list[Any] = []
        self._waiting_rows = 0
        # Whoever reads the folder with a pattern does not meet it.
        self._temporary = folder / place / f".{first_frame:012d}-{last_frame:012d}.parquet"
        try:
            self._temporary.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise self._refused(error) from error
        self._writer = pq.ParquetWriter(
            self._file, arrow_schema(TABLES[table]), compression=COMPRESSION, write_page_checksum=True
        )

    def add(self, table: Any) -> None:
        """More rows, as an Arrow table."""
        for name in self._sums:
            self._sums[name] += _sum(table.column(name))
        self._rows += table.num_rows
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        if self._waiting_rows >= ROW_GROUP_ROWS:
            self._write()

    def close(self) -> Entry:
        """Make it durable, read it back and give it its name, which the manifest makes durable when it is to count."""
        try:
            self._write()
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            table, day, first_frame, last_frame = self._known
            entry = Entry(
                table=table,
                path=self._path,
                day=day,
                first_frame=first_frame,
                last_frame=last_frame,
                rows=self._rows,
                bytes=self._temporary.stat().st_size,
                blake3=digest_of(self._temporary),
                sums=self._sums,
            )
            check_file(self._temporary, entry)
            self._temporary.replace(self._folder / self._path)
        except OSError as error:
            self.discard()
            raise self._refused(error) from error
        return entry

    def discard(self) -> None:
        """Give it up. Does nothing once it has its name."""
        with suppress(OSError, ValueError):
            self._writer.close()  # else it would try to when it is forgotten
        with suppress(OSError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _write(self) -> None:
        if not self._waiting:
            return
        try:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=ROW_GROUP_ROWS)
        except OSError as error:
            self.discard()
            raise self._refused(error) from error
        self._waiting, self._waiting_rows = [], 0

    def _refused(self, error: OSError) -> UnavailableError:
        return UnavailableError(
            f"{self._folder / self._path} cannot be written: {error.strerror or error}",
            hint="what was exported before stays as it is; export again once the disk takes it",
        )


def write_file(
    folder: Path, table: str, tables: Iterable[Any], *, day: str = "", first_frame: int, last_frame: int
) -> Entry:
    """Write all rows of one file; nothing is left behind where that cannot be done."""
    writer = FileWriter(folder, table, day=day, first_frame=first_frame, last_frame=last_frame)
    try:
        for each in tables:
            writer.add(each)
        return writer.close()
    except BaseException:
        writer.discard()
        raise


def merged(folder: Path, entries: Sequence[Entry]) -> Iterator[Any]:
    """The rows of several files, one row group at a time. Raises IntegrityError where one cannot be read."""
    for entry in entries:
        with _opened(folder / entry.path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)


def check_file(path: Path, entry: Entry) -> None:
    """Read a file and compare what is in it with what should be. Raises IntegrityError where it differs."""
    with _opened(path) as file:
        require(file.metadata.num_rows == entry.rows, f"{path} has {file.metadata.num_rows} rows, not {entry.rows}")
        sums = dict.fromkeys(entry.sums, 0)
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, columns=list(sums))
            for name in sums:
                sums[name] += _sum(part.column(name))
    require(sums == entry.sums, f"{path} sums to {sums}, not to {entry.sums}")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            hint="Nothing of the ledger is lost: remove the archive's folder and export again.",
        ) from error


def digest_of(path: Path) -> str:
    """BLAKE3-256 of a file's bytes, hexadecimal."""
    digest = blake3()
    digest.update_mmap(path)
    return digest.hexdigest()


def _sum(column: Any) -> int:
    return exact_sum(pc.fill_null(column, 0).to_numpy().astype(np.int64)) if len(column) else 0
