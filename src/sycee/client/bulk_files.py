"""Files of rows on this machine: CSV, Arrow or Parquet, and the id under which each is paid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from sycee.client import bulk_arrow, bulk_csv
from sycee.client.calls import fresh_id
from sycee.core import ids
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.extras import extra
from sycee.core.money import Currency
from sycee.core.output_files import write_file
from sycee.core.records.bulk_rows import ROWS_MAX, Rows

with extra("bank"):
    import pyarrow as pa
    import pyarrow.parquet as pq

ID_SUFFIX: Final = ".id"  # of the file with the id, beside the file with the rows


def read(path: Path, currency: Currency) -> Rows:
    """Return the rows of a file, by its suffix: .csv, .arrow, .arrows or .parquet.

    Raises BadRows for rows of CSV that cannot be read, UsageError for another file, OSError.
    """
    if path.suffix.lower() == ".csv":
        with path.open("rb") as file:
            return bulk_csv.read(file, currency)
    try:
        rows = bulk_arrow.rows_of(_table(path))
    except pa.ArrowInvalid as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="write it with an Arrow library") from error
    if not 0 < rows.size <= ROWS_MAX:
        raise UsageError(f"{path} has {rows.size:,} rows; 1 to {ROWS_MAX:,} are possible")
    return rows


def file_id(path: Path, given: str = "") -> int:
    """Return the id under which a file is paid: `given`, or the one beside the file.

    Without either, a fresh one is written beside the file: the same command again pays the rows that are unpaid, and
    no row twice. Raises UsageError, UnavailableError.
    """
    if given:
        return ids.parse(given)
    place = path.with_name(path.name + ID_SUFFIX)
    if place.exists():
        return ids.parse(place.read_text(encoding="ascii", errors="replace").strip())
    made = fresh_id()
    try:
        write_file(place, f"{ids.format(made)}\n".encode())
    except OSError as error:
        raise UnavailableError(
            f"{place} cannot be written: {error.strerror}", hint="name an id with --id, and keep it until all is paid"
        ) from error
    return made


def _table(path: Path) -> Any:
    match path.suffix.lower():
        case ".parquet":
            return pq.read_table(path)
        case ".arrow" | ".feather":
            with pa.memory_map(str(path)) as file:
                return pa.ipc.open_file(file).read_all()
        case ".arrows":
            with pa.memory_map(str(path)) as file:
                return pa.ipc.open_stream(file).read_all()
    raise UsageError(
        f"{path.name} has no suffix of a file of rows", hint="name a .csv, .arrow, .arrows or .parquet file"
    )
