"""Growing arrays keep their rows, with much and with little address space."""

from __future__ import annotations

import mmap
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sycee.storage import reserved_arrays
from sycee.storage.reserved_arrays import ReservedArray

pytestmark = pytest.mark.fast

PAIR = np.dtype([("a", "<u8"), ("b", "<i8")])


def filled(array: Any, rows: int) -> None:
    array["a"][:rows] = np.arange(rows)
    array["b"][:rows] = -np.arange(rows)


def test_growing_keeps_the_addresses_of_rows() -> None:
    table = ReservedArray(PAIR, 10)
    filled(table.array, 10)
    address = table.array.ctypes.data
    larger = table.grow(1_000_000)
    assert larger.size == 1_000_000
    assert larger.ctypes.data == address  # nothing moved
    assert larger["a"][:10].tolist() == list(range(10))
    assert not larger["a"][10:].any()


def test_an_empty_table_grows() -> None:
    table = ReservedArray(PAIR, 0)
    assert table.array.size == 0
    assert table.grow(3)["b"].tolist() == [0, 0, 0]


def test_growing_copies_if_address_space_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = mmap.mmap

    def stingy(descriptor: int, size: int, **options: Any) -> mmap.mmap:
        if size > 64 * 1024:
            raise OSError(12, "Cannot allocate memory")
        return real(descriptor, size, **options)

    monkeypatch.setattr(reserved_arrays.mmap, "mmap", stingy)
    table = ReservedArray(PAIR, 100)
    filled(table.array, 100)
    with pytest.raises(MemoryError, match="no address space for 160,000 bytes"):
        table.grow(10_000)
    assert table.array["a"].tolist() == list(range(100))
    monkeypatch.setattr(reserved_arrays.mmap, "mmap", real)
    assert table.grow(10_000)["a"][:100].tolist() == list(range(100))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to see memory in")
def test_memory_is_allocated_before_the_rows_are_written() -> None:
    rows = reserved_arrays.AHEAD_FROM_BYTES // PAIR.itemsize
    table = ReservedArray(PAIR, rows)
    filled(table.array, rows)
    resident = resident_bytes()
    table.use(rows - 1)  # still a small ledger: nothing is asked for
    reserved_arrays.executor.submit(int).result()
    assert resident_bytes() < resident + reserved_arrays.AHEAD_BYTES // 2
    table.use(rows)
    reserved_arrays.executor.submit(int).result()
    if resident_bytes() < resident + reserved_arrays.AHEAD_BYTES // 2:
        pytest.skip("this kernel does not make memory ready ahead")
    ahead = table.grow(rows + reserved_arrays.AHEAD_BYTES // PAIR.itemsize)
    assert not ahead["a"][rows:].any()
    assert ahead["a"][:rows].tolist() == list(range(rows))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is made ready ahead")
def test_memory_is_ready_when_all_requests_are_done() -> None:
    rows, go_on = reserved_arrays.AHEAD_FROM_BYTES // PAIR.itemsize, threading.Event()
    table = ReservedArray(PAIR, rows)
    reserved_arrays.wait_until_ready()
    reserved_arrays.executor.submit(go_on.wait, 10)
    assert reserved_arrays.is_ready()
    table.use(rows)
    assert not reserved_arrays.is_ready()
    go_on.set()
    reserved_arrays.wait_until_ready()
    assert reserved_arrays.is_ready()


MIB = 1 << 20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to see memory in")
def test_memory_of_later_rows_is_kept_while_others_are_written_and_then_released() -> None:
    later, written = 96 * MIB // PAIR.itemsize, 24 * MIB // PAIR.itemsize
    table = ReservedArray(PAIR, later + 4 * written)
    resident = resident_bytes()

    def now_bytes() -> int:
        reserved_arrays.wait_until_ready()
        return resident_bytes() - resident

    for few in range(0, later, later // 50):  # as members are added
        table.use(0, later=few)
    table.use(0, later=later)
    if now_bytes() < 96 * MIB:
        pytest.skip("this kernel does not make memory ready ahead")
    assert now_bytes() < (96 + 70) * MIB
    table.array["a"][:written] = 1  # other rows
    table.use(written, later=later)
    assert (96 + 24) * MIB <= now_bytes() < (96 + 24 + 70) * MIB
    ready = table._ready_bytes
    table.array["a"][: 2 * written] = 1  # later rows come into use
    table.use(2 * written, later=later - written)
    assert table._ready_bytes == ready, "memory was requested for rows that had it"
    calls = 0
    while now_bytes() >= (48 + 70) * MIB and calls < 5:
        table.use(2 * written)
        calls += 1
    assert 1 < calls < 5, "memory is released in pieces"
    assert now_bytes() >= 48 * MIB
    table.use(2 * written)
    assert now_bytes() >= (48 + 30) * MIB, "the memory for the next rows stays"
    assert (table.array["a"][: 2 * written] == 1).all()
    assert not table.array["a"][2 * written :].any()


def test_few_later_rows_need_no_memory() -> None:
    table = ReservedArray(PAIR, 10)
    table.use(3, later=reserved_arrays.AHEAD_STEP_BYTES // PAIR.itemsize - 4)
    assert table._ready_bytes == 0


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE
