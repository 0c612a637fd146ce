"""Parquet files: copied arrays as Arrow tables, and files that are written atomically."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from blake3 import blake3

from sycee.archive.manifest import Entry
from sycee.archive.schema import TABLES, Column
from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UnavailableError, require
from sycee.core.extras import extra
from sycee.ledger.invariants import exact_sum

with extra("bank"):
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq


ROW_GROUP_ROWS: Final = 131_072  # large enough to compress well, small enough that a query skips many
COMPRESSION: Final = "zstd"
# Columns whose sums are taken before writing and again from the file, if the table has them.
SUMMED_COLUMNS: Final = ("number", "frame", "amount", "operations", "movements", "held")

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
class ColumnValues:
    """Values of a column, shape (n,): numbers, numbers with names, or both halves of ids."""

    numbers: Array  # the low halves of ids
    high: Array | None = None  # the high halves of ids
    names: Mapping[int, str] | None = None
    null: Array | None = None  # (n,) bool: true where the value is null

    def as_arrow(self, sql_type: str) -> Any:
        """Return an Arrow array of a type, given by its name in SQL."""
        if self.high is not None:
            return self._ids(self.high)
        if self.names is not None:
            codes, places = np.unique(self.numbers, return_inverse=True)
            texts = pa.array([self.names[code] for code in codes.tolist()], pa.string())
            return pa.DictionaryArray.from_arrays(pa.array(places.astype(np.int32)), texts).dictionary_decode()
        target = _ARROW[sql_type]
        if sql_type in ("DATE", "TIMESTAMPTZ_NS"):
            width = np.int32 if sql_type == "DATE" else np.int64
            return pa.array(self.numbers.astype(width), mask=self.null).cast(target)
        return pa.array(self.numbers.astype(target.to_pandas_dtype()), mask=self.null)

    def _ids(self, high: Array) -> Any:
        size = self.numbers.size
        content = np.empty((size, 2), ">u8")  # a UUID has its highest byte first
        content[:, 0], content[:, 1] = high, self.numbers
        valid = None if self.null is None else pa.py_buffer(np.packbits(~self.null, bitorder="little"))
        storage = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), size, [valid, pa.py_buffer(content)])
        return pa.ExtensionArray.from_storage(pa.uuid(), storage)


def arrow_table(table: str, values: Mapping[str, ColumnValues]) -> Any:
    """Build an Arrow table from the columns of a table."""
    columns = TABLES[table]
    return pa.table([values[column.name].as_arrow(column.type) for column in columns], schema=_schema(columns))


def write_file(
    folder: Path, table: str, parts: Iterable[Any], *, day: str = "", frames: tuple[int, int], mark: str = ""
) -> Entry:
    """Write Arrow tables to one file: under a temporary name, made durable, read back, renamed.

    mark: in the file's metadata, "" for none.
    frames: the first and the last frame. `day` is "" for a register, a table of things as they are now. Raises
    UnavailableError if the disk refuses; no file is then left. The new name becomes durable with the manifest that
    lists it.
    """
    name = f"{frames[0]:012d}-{frames[1]:012d}.parquet"
    path = folder / table / day / name
    temporary = path.with_name(f".{name}")  # a pattern such as *.parquet does not match it
    columns, rows = TABLES[table], 0
    schema = _schema(columns).with_metadata({"mark": mark}) if mark else _schema(columns)
    sums = {column.name: 0 for column in columns if column.name in SUMMED_COLUMNS}
    options = {"compression": COMPRESSION, "write_page_checksum": True}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            with pq.ParquetWriter(file, schema, **options) as writer:
                for batch in _batches(parts):
                    rows += batch.num_rows
                    for column in sums:
                        sums[column] += _sum(batch.column(column))
                    writer.write_table(batch, row_group_size=ROW_GROUP_ROWS)
            file.flush()
            os.fsync(file.fileno())
        entry = Entry(
            table=table,
            path=path.relative_to(folder).as_posix(),
            day=day,
            first_frame=frames[0],
            last_frame=frames[1],
            rows=rows,
            bytes=temporary.stat().st_size,
            blake3=digest_of(temporary),
            sums=sums,
        )
        check_file(temporary, entry)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="earlier exports are unharmed: export again when the disk accepts writes",
        ) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return entry


def row_groups(folder: Path, entries: Sequence[Entry]) -> Iterator[Any]:
    """Yield the row groups of several files in order. Raises IntegrityError if one cannot be read."""
    for entry in entries:
        with _opened(folder / entry.path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group)


def check_file(path: Path, entry: Entry) -> None:
    """Read a file and compare its row count and sums with `entry`. Raises IntegrityError if they differ."""
    with _opened(path) as file:
        require(file.metadata.num_rows == entry.rows, f"{path} has {file.metadata.num_rows} rows, not {entry.rows}")
        sums = dict.fromkeys(entry.sums, 0)
        for group in range(file.num_row_groups):
            part = file.read_row_group(group, columns=list(sums))
            for name in sums:
                sums[name] += _sum(part.column(name))
    require(sums == entry.sums, f"{path} sums to {sums}, not to {entry.sums}")


def digest_of(path: Path) -> str:
    """Return the BLAKE3-256 of a file's bytes, hexadecimal."""
    digest = blake3()
    digest.update_mmap(path)
    return digest.hexdigest()


def _schema(columns: Sequence[Column]) -> Any:
    return pa.schema([(column.name, _ARROW[column.type]) for column in columns])


def _batches(parts: Iterable[Any]) -> Iterator[Any]:
    """Combine tables until each has ≥ ROW_GROUP_ROWS rows, except for the last."""
    waiting, rows = list[Any](), 0
    for part in parts:
        waiting.append(part)
        rows += part.num_rows
        if rows >= ROW_GROUP_ROWS:
            yield pa.concat_tables(waiting)
            waiting, rows = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pa.ArrowException, OSError) as error:
        raise IntegrityError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            hint="nothing of the ledger is lost: remove the archive's folder and export again",
        ) from error


def _sum(column: Any) -> int:
    return exact_sum(pc.fill_null(column, 0).to_numpy().astype(np.int64)) if len(column) else 0
