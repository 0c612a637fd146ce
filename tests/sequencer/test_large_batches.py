"""Large batches are copied into frame buffers, and one kernel inspects them during the copy."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sequencer.small import ANN, SHOP, TREASURY, opening

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool
from sycee.core.limits import FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FRAME_RECORDS_MAX
from sycee.core.records import layout, operations
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.ledger import batch as batches
from sycee.ledger import kernels
from sycee.ledger.state import LedgerState
from sycee.sequencer.embedded import Ledger

POOL = BufferPool(FRAME_BYTES_MAX, FRAME_HEADER_BYTES)
MANY = batches.BUFFERED_RECORDS_MIN
NUMBERS = st.integers(0, 2**64 - 1) | st.integers(0, 60)


def some(count: int) -> ids.Ids:
    return ids.generate(count, time_ms=time.time_ns() // 10**6)


def transfers(count: int = MANY) -> Array:
    return operations.transfer(some(count), debit=TREASURY, credit=ANN, amount=1)


@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 2**16 - 1), NUMBERS, st.booleans()), min_size=1, max_size=20),
    st.booleans(),
)
def test_the_kernel_agrees_with_separate_passes(rows: list[tuple[int, int, int, bool]], in_order: bool) -> None:
    """Kinds, links, malformed records and the order of ids, compared with a separate pass for each."""
    records = transfers(len(rows))
    if not in_order:
        records["id_low"], records["id_high"] = np.roll(records["id_low"], 1), np.roll(records["id_high"], 1)
    for record, (kind, flags, number, is_changed) in zip(records, rows, strict=True):
        if is_changed:
            record["kind"], record["flags"], record["credit_low"] = kind, flags, number
    source = records.view(np.uint64).reshape(-1, 16)
    copy = np.zeros(records.size, layout.OPERATION)
    seen = kernels.copy_records(source, kernels.kernel_view(copy), copy.view(np.uint64).reshape(-1, 16))
    assert copy.tobytes() == records.tobytes()
    kinds = 0
    for kind in records["kind"].tolist():
        kinds |= 1 << (kind if kind < 63 else 0)
    links = bool((records["flags"] & layout.LINKED).any())
    unlinked = records.copy()
    unlinked["flags"] &= ~np.uint16(layout.LINKED) if links else np.uint16(0xFFFF)
    is_in_order = in_order or records.size == 1
    if not links:
        is_in_order = is_in_order and LedgerState().resolve(unlinked)[1] == records.size
        assert seen == (kinds, links, is_in_order)
    else:
        assert seen[:2] == (kinds, links)


def test_records_are_where_a_frame_has_them() -> None:
    records = transfers()
    batch = batches.prepare(records, buffers=POOL)
    assert batch.buffer is not None
    start = FRAME_HEADER_BYTES
    assert bytes(batch.buffer.memory[start : start + records.nbytes]) == records.tobytes()
    assert np.shares_memory(batch.operations, np.frombuffer(batch.buffer.memory, np.uint8))
    assert (batch.kinds, batch.in_order) == (1 << Kind.TRANSFER, True)


@pytest.mark.parametrize("shape", ["read-only", "every other", "backwards"])
def test_any_array_of_records_is_accepted(shape: str) -> None:
    records = np.repeat(transfers(), 2)[::2] if shape == "every other" else transfers()
    if shape == "read-only":
        records.flags.writeable = False
    if shape == "backwards":
        records = records[::-1]
    taken = batches.prepare(records, buffers=POOL)
    assert taken.operations.tobytes() == records.tobytes()
    assert taken.in_order == (shape != "backwards")


@pytest.mark.parametrize("count", [MANY - 1, MANY, 1_000, FRAME_RECORDS_MAX, 2 * FRAME_RECORDS_MAX + MANY])
def test_submitted_records_are_in_the_journal(tmp_path: Path, count: int) -> None:
    """Also if the caller's array changes afterwards, with repeated ids and single operations in between."""
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.submit(opening())
        records = transfers(count)
        records["amount"] = 0
        records["amount"][: count // 2] = 1
        kept = records.copy()
        codes = ledger.submit(records)["code"]
        assert (codes[: count // 2] == Result.CREATED).all() or Result.EXCEEDS_BALANCE in codes
        assert (codes[count // 2 :] == Result.AMOUNT_MUST_BE_POSITIVE).all()
        records[:] = 0
        again = ledger.submit(kept)["code"]
        assert (again[: count // 2] == Result.EXISTS).all()
        ledger.submit(operations.transfer(some(1), debit=TREASURY, credit=SHOP, amount=1))
        later = transfers(count)
        ledger.submit(later)
        with ledger.sequencer.reading() as state:
            state.check()
            digest = state.digest()
    with Ledger.open(tmp_path / "ledger") as ledger, ledger.sequencer.reading() as state:
        assert state.digest() == digest
        bound = {(int(low), int(high)) for low, high in zip(state.bound["id_low"], state.bound["id_high"], strict=True)}
        for record in (*kept[: count // 2], *later):
            assert (int(record["id_low"]), int(record["id_high"])) in bound
