"""A state is the same in every storage; without one it starts no thread and opens no file."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from tests.ledger.saved_state import kept
from tests.ledger.side_by_side import Sides
from tests.ledger.test_snapshot_tables import require_same

from sycee.ledger import state as ledger_state
from sycee.ledger.state import LedgerState
from sycee.ledger.storage import Storage
from sycee.storage import table_storage
from sycee.storage.history import History
from sycee.storage.table_storage import TableStorage
from sycee.testing.histories import random_history


def test_a_state_without_a_storage_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_state, "BACKGROUND_DIGEST_BYTES", 1)
    started: list[str] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread.name))
    sides = Sides()
    sides.history(random_history(9_000_000, 100))
    assert type(sides.state.storage) is Storage
    loaded = LedgerState.load(*kept(sides.state))
    require_same(sides.state, loaded)
    assert started == []


def test_a_state_is_the_same_in_both_storages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_state, "BACKGROUND_DIGEST_BYTES", 1)
    monkeypatch.setattr(table_storage, "PARALLEL_READ_BYTES_MIN", 1)
    plain, reserved = Sides(), Sides()
    history = History(tmp_path, 0)
    reserved.state = LedgerState(TableStorage(history))
    for sides in (plain, reserved):
        sides.history(random_history(9_000_001, 200))
    require_same(plain.state, reserved.state)
    require_same(plain.state, LedgerState.load(*kept(plain.state), TableStorage(History(tmp_path, 0))))
    history.close()


def test_tasks_of_a_state_in_memory_run_at_once() -> None:
    storage = Storage()
    here = threading.get_ident()
    assert storage.begin(threading.get_ident).result() == here
    assert storage.begin_long(threading.get_ident).result() == here
    with pytest.raises(ZeroDivisionError):
        storage.begin(lambda: 1 // 0).result()


def test_an_array_in_memory_keeps_its_rows_and_grows_with_zeros() -> None:
    table = Storage().array(np.dtype(("<u8", 2)), 2)
    table.array[:] = 7
    assert table.grow(5).tolist() == [[7, 7]] * 2 + [[0, 0]] * 3
    table.use(3, expected=2)
