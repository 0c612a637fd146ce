from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from sycee.client import bulk_arrow
from sycee.client.bulk_arrow import ResultWriter, RowResults
from sycee.core.errors import UsageError
from sycee.core.limits import ENVELOPE_BYTES
from sycee.core.records.bulk_rows import Rows

UUIDS = np.arange(48, dtype=np.uint8).reshape(3, 16)
ROWS = Rows(UUIDS, np.array([1, 2, 3]), UUIDS[::-1].copy(), np.array([0, 1, 2], np.uint16))


def test_rows_return_from_a_stream_with_their_envelopes() -> None:
    envelopes = bytes(range(ENVELOPE_BYTES))
    plain = Rows(UUIDS, np.array([1, 2, 3]))
    for rows in (ROWS, plain):
        written = b"".join(bulk_arrow.write_rows([(0, rows, envelopes), (1, rows.part(1, 3), b"")]))
        first, second = bulk_arrow.read_rows(io.BytesIO(written))
        assert (first.number, first.rows.digest(), first.envelopes.tobytes()) == (0, rows.digest(), envelopes)
        assert (second.number, second.rows.digest(), second.envelopes.size) == (1, rows.part(1, 3).digest(), 0)
    assert list(bulk_arrow.write_rows([])) == []


def table(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


def payees(*many: bytes | None) -> pa.Array:
    return pa.array(many, pa.binary(16))


def test_missing_values_become_zero_and_slices_are_read() -> None:
    one = bytes(range(16))
    rows = bulk_arrow.rows_of(table(payee=payees(None, one, one), amount=pa.array([5, None, 7])).slice(0, 2))
    assert rows.payees.tolist() == [[0] * 16, list(one)]
    assert rows.amounts.tolist() == [5, 0]
    part = bulk_arrow.rows_of(table(payee=payees(None, one, one), amount=pa.array([5, None, 7])).slice(2))
    assert (part.payees.tolist(), part.amounts.tolist()) == ([list(one)], [7])


def test_the_type_of_uuids_is_taken() -> None:
    one = bytes(range(16))
    storage = pa.ExtensionArray.from_storage(pa.uuid(), payees(one))
    rows = bulk_arrow.rows_of(pa.table({"amount": pa.array([5]), "payee": storage}))
    assert rows.payees.tolist() == [list(one)]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (table(payee=payees(b"1" * 16)), "the columns are payee"),
        (table(payee=payees(b"1" * 16), amount=pa.array([1.5])), "column amount has the type double"),
        (table(payee=pa.array(["x"]), amount=pa.array([1])), "column payee has the type string"),
        (
            table(payee=payees(b"1" * 16), amount=pa.array([1]), note=pa.array([1])),
            "the columns are payee, amount, note",
        ),
    ],
)
def test_other_columns_are_refused(batch: pa.RecordBatch, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        bulk_arrow.rows_of(batch)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({bulk_arrow.BATCH: b"-1"}, "is no number of a batch"),
        ({bulk_arrow.BATCH: b"99999"}, "is no number of a batch"),
        ({bulk_arrow.BATCH: b"0", bulk_arrow.ENVELOPES: b"*"}, "not base64"),
        ({bulk_arrow.BATCH: b"0", bulk_arrow.ENVELOPES: b"AAAA"}, "are not envelopes"),
        ({bulk_arrow.BATCH: b"0", bulk_arrow.ENVELOPES: b"A" * 1_000}, "up to 4 envelopes"),
    ],
)
def test_wrong_metadata_is_refused(metadata: dict[bytes, bytes], message: str) -> None:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, bulk_arrow.schema_of(ROWS)) as writer:
        writer.write_batch(bulk_arrow.batch_of(ROWS), custom_metadata=metadata)
    with pytest.raises(UsageError, match=message):
        list(bulk_arrow.read_rows(io.BytesIO(sink.getvalue())))


@pytest.mark.parametrize("content", [b"", b"payee,amount\n", b"\xff\xff\xff\xff" + bytes(60)])
def test_other_bytes_are_no_stream(content: bytes) -> None:
    with pytest.raises(UsageError, match="no Arrow IPC stream"):
        list(bulk_arrow.read_rows(io.BytesIO(content)))


def stream_of(rows: Rows, **options: Any) -> bytes:
    sink = io.BytesIO()
    made = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(sink, bulk_arrow.schema_of(rows), options=made) as writer:
        writer.write_batch(bulk_arrow.batch_of(rows), custom_metadata={bulk_arrow.BATCH: b"0"})
    return sink.getvalue()


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_a_compressed_stream_is_refused(compression: str) -> None:
    many = Rows(np.zeros((5_000, 16), np.uint8), np.zeros(5_000, np.int64))
    assert len(stream_of(many, compression=compression)) < 5_000
    with pytest.raises(UsageError, match="the batches are compressed"):
        list(bulk_arrow.read_rows(io.BytesIO(stream_of(many, compression=compression))))
    (batch,) = bulk_arrow.read_rows(io.BytesIO(stream_of(many)))
    assert batch.rows.size == 5_000


def test_a_batch_that_fills_the_memory_is_refused() -> None:
    many = Rows(np.zeros((60_000, 16), np.uint8), np.zeros(60_000, np.int64))
    with pytest.raises(UsageError, match="a batch of it has 1,440,000 bytes"):
        list(bulk_arrow.read_rows(io.BytesIO(stream_of(many))))


def test_bytes_that_were_changed_are_refused_or_read() -> None:
    """No change of a stream's bytes ends in another error than a usage error."""
    content = stream_of(ROWS)
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 0xFF
        try:
            for batch in bulk_arrow.read_rows(io.BytesIO(bytes(changed))):
                assert batch.rows.digest()
        except UsageError:
            continue


def test_results_and_a_problem_return_from_a_stream() -> None:
    found = RowResults(16_000, np.array([0, 1_000], np.uint16), np.array([True, False]), np.array([7, 0], np.uint64))
    writer = ResultWriter()
    content = writer.add(found) + writer.fail(b'{"status": 503}')
    first, problem = bulk_arrow.read_results(io.BytesIO(content))
    assert isinstance(first, RowResults)
    assert (first.first, first.names()) == (16_000, ["CREATED", "PAYEE_CANNOT_RECEIVE"])
    assert first.repeated.tolist() == [True, False]
    assert first.frames.tolist() == [7, 0]
    assert problem == {"status": 503}
    writer = ResultWriter()
    (again,) = bulk_arrow.read_results(io.BytesIO(writer.add(found) + writer.end()))
    assert isinstance(again, RowResults)
    assert again.codes.tolist() == [0, 1_000]
    with pytest.raises(UsageError, match="cannot be read"):
        list(bulk_arrow.read_results(io.BytesIO(b"x")))
