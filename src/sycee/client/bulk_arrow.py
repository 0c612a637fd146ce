"""Rows and results of bulk payments as Arrow IPC streams. docs/reference/bulk.md has the schemas.

Client and server share this module, so that both read a column in the same way. No function has a loop over rows.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import SyceeError, UsageError
from sycee.core.extras import extra
from sycee.core.limits import ENVELOPE_BYTES
from sycee.core.records.bulk_rows import BATCH_ROWS, BATCHES_MAX, ENVELOPES_MAX, Rows, code_name
from sycee.core.records.envelopes import decode

with extra("bank"):
    import pyarrow as pa

STREAM_TYPE: Final = "application/vnd.apache.arrow.stream"
BATCH: Final = b"sycee.batch"  # members of a batch's metadata
ENVELOPES: Final = b"sycee.envelopes"
FIRST: Final = b"sycee.first"
PROBLEM: Final = b"sycee.problem"

# A batch of BATCH_ROWS with every column has 340 kB.
MESSAGE_BYTES_MAX: Final = 1 << 20
_RECORD_BATCH: Final = 3  # of MessageHeader in Message.fbs
_COMPRESSION: Final = 3  # number of the field in RecordBatch
_U16, _I32, _U32 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
_MALFORMED: Final = (pa.ArrowException, OSError, ValueError)  # the error of Arrow for bytes in another format
_UUID_BYTES: Final = 16
PAYEE: Final = pa.field("payee", pa.binary(_UUID_BYTES))
AMOUNT: Final = pa.field("amount", pa.int64())
REFERENCE: Final = pa.field("reference", pa.binary(_UUID_BYTES))
FLAGS: Final = pa.field("flags", pa.uint16())
RESULTS: Final = pa.schema([("code", pa.uint16()), ("repeated", pa.bool_()), ("frame", pa.uint64())])
_COLUMNS: Final = {field.name: field for field in (PAYEE, AMOUNT, REFERENCE, FLAGS)}
_HINT: Final = "columns are payee (16 bytes of a UUID), amount (int64), and if needed reference and flags"


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A batch of a stream: its number from 0, -1 if the stream has none; its rows; and its envelopes."""

    number: int
    rows: Rows
    envelopes: Array  # (m,) envelopes.ENVELOPE


@dataclass(frozen=True, slots=True, eq=False)
class RowResults:
    """Results of consecutive rows: codes (n,) u2 of bulk_rows, whether repeated (n,) bool, and frames (n,) u8."""

    first: int
    codes: Array
    repeated: Array
    frames: Array

    def names(self) -> list[str]:
        """Return the name of each row's code."""
        named = {code: code_name(code) for code in np.unique(self.codes).tolist()}
        return [named[code] for code in self.codes.tolist()]


# --- rows ---


def schema_of(rows: Rows) -> Any:
    """Return the schema of a stream with these rows' columns."""
    optional = ((REFERENCE, rows.references), (FLAGS, rows.flags))
    return pa.schema([PAYEE, AMOUNT, *(field for field, column in optional if column is not None)])


def batch_of(rows: Rows) -> Any:
    """Return rows as an Arrow record batch, without copying them."""
    columns: list[Any] = [_uuids(rows.payees), pa.array(rows.amounts)]
    if rows.references is not None:
        columns.append(_uuids(rows.references))
    if rows.flags is not None:
        columns.append(pa.array(rows.flags))
    return pa.RecordBatch.from_arrays(columns, schema=schema_of(rows))


def rows_of(batch: Any) -> Rows:
    """Return the rows of a record batch or a table. Raises UsageError for other columns or types.

    A missing payee is the id zero and a missing amount 0, which the ledger refuses by their codes.
    """
    names = batch.schema.names
    unknown = [name for name in names if name not in _COLUMNS]
    if unknown or len(set(names)) < len(names) or not {"payee", "amount"} <= set(names):
        raise UsageError(f"the columns are {', '.join(names) or 'none'}", hint=_HINT)
    columns = {name: _whole(batch.column(name), name) for name in names}
    references = columns.get("reference")
    flags = columns.get("flags")
    return Rows(
        _bytes_of(columns["payee"]),
        _numbers_of(columns["amount"], np.int64),
        None if references is None else _bytes_of(references),
        None if flags is None else _numbers_of(flags, np.uint16),
    )


def write_rows(batches: Iterable[tuple[int, Rows, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a stream, one piece for each batch: its number, its rows, and its envelopes' bytes."""
    sink = _Sink()
    writer = None
    for number, rows, envelopes in batches:
        if writer is None:
            writer = pa.ipc.new_stream(sink, schema_of(rows))
        metadata = {BATCH: b"%d" % number}
        if envelopes:
            metadata[ENVELOPES] = base64.b64encode(envelopes)
        writer.write_batch(batch_of(rows), custom_metadata=metadata)
        yield sink.take()
    if writer is not None:
        writer.close()
        yield sink.take()


def read_rows(source: Any) -> Iterator[Batch]:
    """Yield the batches of a stream as they arrive. `source`: a file that blocks until it has bytes.

    Raises UsageError for bytes that are no such stream, for a batch that is larger than its rows need, and for a
    compressed one, which could fill the memory.
    """
    try:
        reader = pa.ipc.open_stream(_Bounded(source))
        rows_of(reader.schema.empty_table())  # wrong columns are found before the first row
        while True:
            try:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                return
            batch.validate()  # buffers that are shorter than their columns
            members = dict(metadata or {})
            yield Batch(_number_of(members), rows_of(batch), envelopes_of(members.get(ENVELOPES, b"")))
    except SyceeError:
        raise
    except _MALFORMED as error:
        raise UsageError(f"this is no Arrow IPC stream: {error}", hint="write it with an Arrow library") from error


def envelopes_of(text: bytes) -> Array:
    """Return envelopes, (m,) envelopes.ENVELOPE, of their base64. Raises UsageError for another text."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise UsageError("the envelopes of a batch are not base64", hint="encode 104 bytes for each") from error
    if len(raw) > ENVELOPES_MAX * ENVELOPE_BYTES:
        raise UsageError(f"a batch has up to {ENVELOPES_MAX} envelopes; got {len(raw) / ENVELOPE_BYTES:g}")
    return decode(raw)


# --- results ---


class ResultWriter:
    """Writes results as one Arrow IPC stream, piece after piece."""

    def __init__(self) -> None:
        self._sink = _Sink()
        self._writer = pa.ipc.new_stream(self._sink, RESULTS)

    def add(self, results: Any) -> bytes:
        """Return the bytes of a batch of results, an object with the fields of RowResults."""
        columns = [pa.array(results.codes), pa.array(results.repeated), pa.array(results.frames)]
        batch = pa.RecordBatch.from_arrays(columns, schema=RESULTS)
        self._writer.write_batch(batch, custom_metadata={FIRST: b"%d" % results.first})
        return self._sink.take()

    def fail(self, problem: bytes) -> bytes:
        """Return the bytes of the end of a stream that a problem, as JSON, ended."""
        empty = pa.RecordBatch.from_arrays([pa.array([], field.type) for field in RESULTS], schema=RESULTS)
        self._writer.write_batch(empty, custom_metadata={PROBLEM: problem})
        return self._sink.take() + self.end()

    def end(self) -> bytes:
        """Return the bytes of the end of the stream."""
        self._writer.close()
        return self._sink.take()


def read_results(source: Any) -> Iterator[RowResults | Mapping[str, Any]]:
    """Yield results as they arrive, and at a problem its members. Raises UsageError for another stream."""
    try:
        reader = pa.ipc.open_stream(source)
        if reader.schema != RESULTS:
            raise UsageError(f"the columns of the results are {', '.join(reader.schema.names)}")
        while True:
            try:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
            except StopIteration:
                return
            members = dict(metadata or {})
            if PROBLEM in members:
                yield json.loads(members[PROBLEM])
                return
            codes, repeated, frames = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
            yield RowResults(int(members[FIRST]), codes, repeated, frames)
    except SyceeError:
        raise
    except (*_MALFORMED, KeyError) as error:
        raise UsageError(f"the results cannot be read: {error}") from error


# --- helpers ---


class _Bounded:
    """A file of which no message of Arrow may be larger than MESSAGE_BYTES_MAX, or compressed."""

    closed = False

    def __init__(self, source: Any) -> None:
        self._source = source
        self._metadata_bytes = 0  # of the message that begins

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        if size > MESSAGE_BYTES_MAX:
            raise UsageError(
                f"this is no Arrow IPC stream, or a batch of it has {size:,} bytes, more than {MESSAGE_BYTES_MAX:,}",
                hint=f"divide the rows into batches of {BATCH_ROWS:,}",
            )
        data: bytes = self._source.read(size)
        if len(data) == self._metadata_bytes and _is_compressed(data):
            raise UsageError("the batches are compressed", hint="write the stream without compression")
        # A message begins with FF FF FF FF and the length of its metadata, read together or one after the other.
        self._metadata_bytes = int.from_bytes(data[-4:], "little") if len(data) in (4, 8) else 0
        return data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        """Do nothing: the caller closes the source."""


def _is_compressed(metadata: bytes) -> bool:
    """Return whether the metadata of a message, a FlatBuffer, is of a compressed record batch.

    Arrow checks the FlatBuffer itself afterwards: https://arrow.apache.org/docs/format/Columnar.html.
    """
    try:
        message = _U32.unpack_from(metadata)[0]
        kind, header = (_field(metadata, message, number) for number in (1, 2))
        if not kind or metadata[kind] != _RECORD_BATCH or not header:
            return False
        batch = header + _U32.unpack_from(metadata, header)[0]
        return _field(metadata, batch, _COMPRESSION) != 0
    except (struct.error, IndexError):
        return False


def _field(buffer: bytes, table: int, number: int) -> int:
    """Return the place of a field of a FlatBuffer's table, 0 if it has none."""
    names = table - _I32.unpack_from(buffer, table)[0]
    if 4 + 2 * number >= _U16.unpack_from(buffer, names)[0]:
        return 0
    offset: int = _U16.unpack_from(buffer, names + 4 + 2 * number)[0]
    return table + offset if offset else 0


class _Sink:
    """A file to which Arrow writes, and whose bytes are taken piece after piece."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def take(self) -> bytes:
        """Return what was written since the last call."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _number_of(members: Mapping[bytes, bytes]) -> int:
    text = members.get(BATCH, b"")
    if not text:
        return -1
    if not text.isdigit() or len(text) > 6 or int(text) >= BATCHES_MAX:
        raise UsageError(f"{text[:20]!r} is no number of a batch", hint="batches are numbered from 0")
    return int(text)


def _whole(column: Any, name: str) -> Any:
    """Return a column as one array of its type. Raises UsageError for another type."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ExtensionArray):  # arrow.uuid
        column = column.storage
    if column.type != _COLUMNS[name].type:
        raise UsageError(f"column {name} has the type {column.type}, not {_COLUMNS[name].type}", hint=_HINT)
    return column


def _bytes_of(column: Any) -> Array:
    """Return a column of 16 bytes as (n, 16) u1; nulls are zero."""
    return _buffer_of(column, np.uint8, _UUID_BYTES).reshape(-1, _UUID_BYTES)


def _numbers_of(column: Any, kind: Any) -> Array:
    """Return a column of numbers as (n,); nulls are 0."""
    return _buffer_of(column, kind, 1)


def _buffer_of(column: Any, kind: Any, each: int) -> Array:
    size = len(column)
    buffer = column.buffers()[1]
    if not size or buffer is None:
        return np.zeros(size * each, kind)
    itemsize = np.dtype(kind).itemsize * each
    found: Array = np.frombuffer(buffer, kind, size * each, column.offset * itemsize)
    if column.null_count:
        found = found.copy()
        found.reshape(size, each)[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def _uuids(column: Array) -> Any:
    buffer = pa.py_buffer(np.ascontiguousarray(column))
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(_UUID_BYTES), len(column), [None, buffer])
