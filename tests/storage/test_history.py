"""Eviction of old rows to a file: they are read at the same addresses as before."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ledger.saved_state import kept
from tests.ledger.test_snapshot_tables import apply, require_same

from sycee import AccountKind, Ledger
from sycee.core.errors import UnavailableError
from sycee.core.records import operations
from sycee.ledger.state import LedgerState
from sycee.storage import history, reserved_arrays, table_storage
from sycee.storage.history import History
from sycee.storage.reserved_arrays import ReservedArray
from sycee.storage.table_storage import TableStorage
from sycee.testing.histories import random_history

PAGE_BYTES = 4_096
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all stays in memory")


def table_of(rows: int) -> np.ndarray:
    array = ReservedArray(np.dtype(("<u8", 2)), rows).array
    array[:] = np.arange(2 * rows, dtype=np.uint64).reshape(rows, 2)
    return array


def memory_bytes(array: np.ndarray, kind: str) -> int:
    """Return the bytes of one kind in the mappings of an array, from /proc/self/smaps."""
    start, found, inside = array.ctypes.data, 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first, _, rest = line.partition(" ")
        if "-" in first and not first.endswith(":"):
            low, high = (int(part, 16) for part in first.split("-"))
            inside = low < start + array.nbytes and start < high
        elif inside and first == kind + ":":
            found += int(rest.split()[0]) * 1_024
    return found


@linux_only
def test_evicted_rows_keep_their_addresses_and_use_no_memory(tmp_path: Path) -> None:
    array, rows = table_of(1_000_000), 900_000
    whole = array.copy()
    files = History(tmp_path, 160_000)
    assert memory_bytes(array, "Anonymous") >= array.nbytes
    files.evict({"run_ids": (array, rows)}, wait=True)
    assert files.evicted_bytes() == (rows - 10_000) * 16 // PAGE_BYTES * PAGE_BYTES
    assert memory_bytes(array, "Anonymous") <= array.nbytes - files.evicted_bytes() + (4 << 20)
    assert np.array_equal(array, whole)
    assert list(tmp_path.iterdir()) == []  # the file has no name
    array[rows:] = 7  # rows to come are written as before
    files.evict({"run_ids": (array, 1_000_000)}, wait=True)
    whole[rows:] = 7
    assert np.array_equal(array, whole)
    files.close()
    assert np.array_equal(array, whole)
    assert files.refused == ""


@linux_only
def test_loaded_rows_are_written_to_the_file_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "JOB_BYTES_MIN", PAGE_BYTES)
    array, rows = ReservedArray(np.dtype(("<u8", 2)), 1_000_000).array, 900_000
    files = History(tmp_path, 160_000)
    files.begin_loading({"bound": (array, rows)})
    array[:rows] = table_of(rows)
    assert memory_bytes(array, "Anonymous") < 1 << 20
    files.finish_loading()
    settled = files.evicted_bytes()
    assert settled == (rows - 10_000) * 16 // PAGE_BYTES * PAGE_BYTES
    array[0] = 7  # a write to what stands in the file would stay in this process
    array[rows:] = 7
    files.evict({"bound": (array, len(array))}, wait=True)
    assert files.evicted_bytes() > settled
    assert array[0].tolist() == array[-1].tolist() == [7, 7]
    array[0] = 0, 1
    assert np.array_equal(array[:rows], table_of(rows))
    files.begin()  # another state may stand at the same addresses
    assert files.evicted_bytes() == 0
    files.close()


@linux_only
def test_requested_memory_is_allocated_before_a_file_is_mapped(tmp_path: Path) -> None:
    array = table_of(100_000)
    files, released = History(tmp_path, 0), threading.Event()
    reserved_arrays.executor.submit(released.wait, 10)
    settling = threading.Thread(target=files.evict, args=({"run_ids": (array, len(array))},), kwargs={"wait": True})
    settling.start()
    settling.join(0.1)
    assert settling.is_alive()
    assert files.evicted_bytes() == 0
    released.set()
    settling.join()
    assert files.evicted_bytes() == array.nbytes // PAGE_BYTES * PAGE_BYTES
    files.close()


@linux_only
def test_eviction_waits_if_rows_arrive_faster_than_the_disk_accepts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "JOB_BYTES_MIN", PAGE_BYTES)
    array = table_of(100_000)
    files, released = History(tmp_path, 3 * PAGE_BYTES), threading.Event()
    reserved_arrays.executor.submit(released.wait, 10)
    files.evict({"run_ids": (array, 1_024)})  # a page of four is old: a job, which cannot go on
    files.evict({"run_ids": (array, 1_536)})  # three are, no more than are files anyway
    assert files.evicted_bytes() == 0
    threading.Timer(0.1, released.set).start()
    files.evict({"run_ids": (array, 2_048)})
    assert files.evicted_bytes() >= PAGE_BYTES
    files.close()


def test_all_rows_stay_in_memory_if_the_disk_refuses(tmp_path: Path) -> None:
    array = table_of(100_000)
    files = History(tmp_path / "missing", 0)
    for _ in range(2):
        files.evict({"run_ids": (array, 100_000)}, wait=True)
        assert files.evicted_bytes() == 0
    if sys.platform == "linux":
        assert files.refused == f"old rows stay in memory: {tmp_path}/missing: No such file or directory"
    assert array[-1].tolist() == [199_998, 199_999]
    files.close()


@linux_only
def test_a_nearly_full_disk_is_left_to_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "FREE_BYTES_MIN", 1 << 60)
    monkeypatch.setattr(history, "JOB_BYTES_MIN", PAGE_BYTES)
    array = table_of(100_000)
    for is_read in (True, False):
        files = History(tmp_path, 0)
        if is_read:
            files.begin_loading({"run_ids": (array, len(array))})
            files.finish_loading()
        else:
            files.evict({"run_ids": (array, len(array))}, wait=True)
        assert files.refused == f"old rows stay in memory: {tmp_path}: No space left on device"
        assert files.evicted_bytes() == 0
        files.close()
    assert np.array_equal(array, table_of(100_000))


def lose_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the disk lose everything that is written to unlinked files from now on."""
    real = os.fdatasync

    def fdatasync(file: int) -> None:
        if not os.fstat(file).st_nlink:
            raise OSError(5, "Input/output error")
        real(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)


@linux_only
def test_rows_that_the_disk_lost_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "JOB_BYTES_MIN", PAGE_BYTES)
    lose_writes(monkeypatch)
    array = table_of(100_000)
    files = History(tmp_path, 0)
    files.evict({"run_ids": (array, len(array))}, wait=True)
    assert (files.evicted_bytes(), files.refused) == (0, f"old rows stay in memory: {tmp_path}: Input/output error")
    assert np.array_equal(array, table_of(100_000))
    files.close()
    files = History(tmp_path, 0)
    files.begin_loading({"run_ids": (array, len(array))})
    with pytest.raises(UnavailableError, match="Input/output error"):
        files.finish_loading()
    files.close()


@linux_only
@pytest.mark.parametrize("error", [MemoryError(), ValueError("a defect")])
def test_an_error_of_a_job_is_raised_once_and_a_memory_error_never(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "JOB_BYTES_MIN", PAGE_BYTES)
    array = table_of(100_000)
    tables = {"run_ids": (array, len(array))}
    files = History(tmp_path, 0)
    with monkeypatch.context() as patched:
        patched.setattr(history, "_write", lambda *_: _raise(error))
        files.evict(tables)
        if isinstance(error, ValueError):
            with pytest.raises(ValueError, match="a defect"):
                files.evict(tables, wait=True)
        else:
            files.evict(tables, wait=True)
    assert memory_bytes(array, "Anonymous") >= array.nbytes
    files.evict(tables, wait=True)
    assert memory_bytes(array, "Anonymous") < 4 << 20
    assert files.refused == ""
    assert np.array_equal(array, table_of(100_000))
    files.close()


@linux_only
def test_rows_stay_in_memory_if_no_thread_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = table_of(100_000)
    for begin in (
        lambda files: files.evict({"run_ids": (array, len(array))}, wait=True),
        lambda files: files.copy("purses", array, 0, PAGE_BYTES, lambda _: True).result(0),
    ):
        files = History(tmp_path, 0)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", lambda _: _raise(RuntimeError("can't start new thread")))
            assert begin(files) is None
        assert files.refused == f"old rows stay in memory: {tmp_path}: can't start new thread"
        files.close()


def _raise(error: Exception) -> None:
    raise error


def submit_transfers(ledger: Ledger, first: int) -> None:
    records: Any = operations.transfer(first, debit=1, credit=2, amount=1).repeat(500)
    records["id_low"] = np.arange(first, first + 500)
    assert not ledger.submit(records)["code"].any()


@linux_only
def test_a_ledger_in_a_folder_evicts_old_rows_to_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_storage, "EVICTION_ROWS", 20)
    monkeypatch.setattr(history, "JOB_BYTES_MIN", PAGE_BYTES)

    def settled() -> int:
        storage = ledger.sequencer.state.storage
        assert isinstance(storage, TableStorage)
        assert storage.history is not None
        storage.close()
        return storage.history.evicted_bytes()

    with Ledger.open(tmp_path, history_bytes=0, snapshot_frames=0) as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        ledger.open_account("CNY", AccountKind.ISSUANCE, account=1)
        ledger.open_account("CNY", AccountKind.RESERVE, account=2)
        for first in range(1_000, 6_000, 500):
            submit_transfers(ledger, first)
        digest = ledger.digest()
        assert settled() >= PAGE_BYTES
    for _ in range(2):
        with Ledger.open(tmp_path, history_bytes=0, snapshot_frames=None) as ledger:
            assert ledger.findings == ()
            assert ledger.digest() == digest
            assert settled() >= PAGE_BYTES
    lose_writes(monkeypatch)
    with Ledger.open(tmp_path, history_bytes=0, snapshot_frames=None) as ledger:
        assert ledger.digest() == digest
        assert [finding for finding in ledger.findings if "Input/output error" in finding] == list(ledger.findings)
        assert "skipped" in ledger.findings[0]
        assert ledger.findings[-1].startswith("old rows stay in memory")
        submit_transfers(ledger, 7_000)


@pytest.mark.parametrize("seed", [0, 2])
def test_a_state_with_evicted_rows_is_the_same_state(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_storage, "EVICTION_ROWS", 20)
    monkeypatch.setattr(history, "JOB_BYTES_MIN", PAGE_BYTES)
    kept_files, other = History(tmp_path, 0), History(tmp_path, 0)
    state, plain = LedgerState(TableStorage(kept_files)), LedgerState()
    frames = random_history(8_000_000 + seed, 600)
    for sequence, frame in enumerate(frames, 1):
        assert apply(state, sequence, frame) == apply(plain, sequence, frame)
        state.evict_history(wait=True)
    require_same(plain, state)
    again = LedgerState.load(*kept(state), TableStorage(other))
    require_same(plain, again)
    if sys.platform == "linux":
        assert kept_files.evicted_bytes() >= 2 * PAGE_BYTES
        assert other.evicted_bytes() >= 2 * PAGE_BYTES
    kept_files.close()
    other.close()
