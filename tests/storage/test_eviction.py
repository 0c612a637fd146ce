"""Eviction of purses of finished programmes: they are read and written as before."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ledger.saved_state import kept
from tests.ledger.table import BANK, Table
from tests.ledger.test_snapshot_tables import require_same
from tests.storage.test_history import PAGE_BYTES, lose_writes, memory_bytes

from sycee.ledger.state import LedgerState
from sycee.storage import eviction, history, reserved_arrays
from sycee.storage.history import History
from sycee.storage.table_storage import TableStorage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all stays in memory")

MEMBERS = 300  # 24,000 bytes: five whole pages and a part of one
END_NS = 1_000
DAY_NS = 86_400 * 10**9
LEAVES_NS = END_NS + DAY_NS
BLOCK_PAGES = 5
LATE = "m150"  # her purse stands on the third page of its block


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set pieces and the least block to one page, and check for due blocks at each frame."""
    monkeypatch.setattr(eviction, "PIECE_BYTES", PAGE_BYTES)
    monkeypatch.setattr(eviction, "BLOCK_BYTES_MIN", PAGE_BYTES)
    monkeypatch.setattr(eviction, "CHECK_INTERVAL_NS", 1)


def programme(number: int, until_ns: int = END_NS) -> str:
    """Return lines that drop 1 to each member; ann and bob claim a purse and spend it."""
    names = [f"m{member}" for member in range(MEMBERS)]
    fives = "\n".join(f"members {number} {' '.join(names[at : at + 5])}" for at in range(0, MEMBERS, 5))
    return f"""
        rules     {number}  until={until_ns}  return=treasury
        programme {number}  treasury  {MEMBERS}  claim=0..{until_ns}
        frame
        {fives}
        end
        seal      {number}
        drop      {number}  0..{MEMBERS}  1
        claim     {number}  {LATE}  ann
        claim     {number}  m160  bob
        pay       ann  shop  1  id=lunch{number}
        pay       bob  shop  1  id=dinner{number}
    """


def table_with(history: History | None, *, expired: str = f"0..{MEMBERS}") -> Table:
    """Return a table with two programmes; the first is over, and the given purses are expired."""
    table = Table(compare_every=8)  # `gone_pages` compares too
    table.sides.state = LedgerState(TableStorage(history))
    return table.play(BANK + programme(1) + programme(2, 2**61) + f"at {END_NS}\nexpire 1 {expired}")


def gone_pages(table: Table, now_ns: int) -> int:
    """Evict everything that is due at this time; return the number of pages in files."""
    state = table.play(f"pass {now_ns}").sides.state
    assert isinstance(state.storage, TableStorage)
    assert state.storage.history is not None
    state.evict_history(wait=True)
    table.sides.compare()
    return state.storage.history.evicted_bytes() // PAGE_BYTES


@pytest.fixture
def files(tmp_path: Path) -> Any:
    """Return a history that evicts purses only."""
    kept_files = History(tmp_path, 1 << 40)
    yield kept_files
    kept_files.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("window_s", [0, 1, 3 * 86_400])
def test_a_block_is_evicted_when_the_longest_refund_window_has_passed(files: History, window_s: int) -> None:
    table = table_with(files).play(f"rules 9 window={window_s}\nrules 8 window={window_s // 2}")
    leaves_ns = END_NS + max(window_s * 10**9, DAY_NS)
    assert gone_pages(table, leaves_ns - 1) == 0
    assert gone_pages(table, leaves_ns) == BLOCK_PAGES
    assert gone_pages(table, leaves_ns + DAY_NS) == BLOCK_PAGES


def test_an_evicted_block_uses_memory_only_for_pages_written_later(files: History) -> None:
    table = table_with(files)
    purses = table.sides.state.all_purses
    before, whole = memory_bytes(purses, "Anonymous"), purses.copy()
    assert gone_pages(table, LEAVES_NS) == BLOCK_PAGES
    assert np.array_equal(purses, whole)
    assert memory_bytes(purses, "Anonymous") == before - BLOCK_PAGES * PAGE_BYTES
    table.play("reverse lunch1 1")
    assert memory_bytes(purses, "Anonymous") == before - (BLOCK_PAGES - 1) * PAGE_BYTES


def test_late_refunds_and_reversals_find_an_evicted_block(files: History) -> None:
    """Kernels and twin execute the table, and agree after each line."""
    table = table_with(files)
    assert gone_pages(table, LEAVES_NS) == BLOCK_PAGES
    table.play("""
        purse     1 150  0  EXPIRED  dropped=1  spent=1
        chain
        refund    lunch1  1                     LINKED_FAILED
        transfer  ann  bob  1_000               EXCEEDS_BALANCE
        end
        purse     1 150  0  EXPIRED  dropped=1  spent=1
        refund    lunch1  1
        purse     1 150  0  EXPIRED  dropped=1  spent=1  refunded=1  returned=1
        chain
        reverse   dinner1  1
        transfer  issuance  ann  1
        end
        purse     1 160  0  EXPIRED  dropped=1  spent=1  refunded=1  returned=1
        refund    dinner2  1
        purse     2 160  1  CLAIMED
    """)
    plain = table_with(None)
    plain.play(f"""
        at        {LEAVES_NS}
        refund    lunch1  1
        chain
        reverse   dinner1  1
        transfer  issuance  ann  1
        end
        refund    dinner2  1
    """)
    assert np.array_equal(plain.sides.state.all_purses["refunded"], table.sides.state.all_purses["refunded"])
    assert plain.sides.state.digest() != table.sides.state.digest()  # of the chain that failed, ids are bound


def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece is copied before the frame that asked for it writes."""
    real = History.copy

    def copy(*given: Any) -> Any:
        copying = real(*given)
        copying.result()
        return copying

    monkeypatch.setattr(History, "copy", copy)


def test_a_piece_written_after_its_copy_stays_until_the_next_check(
    files: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(monkeypatch)
    table = table_with(files)
    table.play(f"""
        at        {LEAVES_NS}
        pass      {LEAVES_NS}
        transfer  issuance  treasury  1         # the first page is copied
        transfer  issuance  treasury  1         # the second, and the first is evicted
        refund    lunch1  1                     # the third, and then it is written to
        transfer  issuance  treasury  1
        transfer  issuance  treasury  1
        purse     1 150  0  EXPIRED  dropped=1  spent=1  refunded=1  returned=1
    """)
    assert files.evicted_bytes() == 2 * PAGE_BYTES
    assert gone_pages(table, LEAVES_NS + 1) == BLOCK_PAGES


def test_at_most_one_piece_is_evicted_before_a_frame(files: History, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)
    table = table_with(files).play(f"pass {LEAVES_NS}")
    for gone in (0, 1, 2, 3, 4, 5, 5):
        table.play("transfer issuance treasury 1")
        assert files.evicted_bytes() == gone * PAGE_BYTES


def test_nothing_is_mapped_while_memory_is_allocated(files: History, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)
    table = table_with(files).play(f"pass {LEAVES_NS}")
    with monkeypatch.context() as busy:
        busy.setattr(reserved_arrays, "is_ready", lambda: False)
        table.play("transfer issuance treasury 1\n" * 3)
        assert files.evicted_bytes() == 0
    table.play("transfer issuance treasury 1")
    assert files.evicted_bytes() == PAGE_BYTES


def test_a_page_stays_until_all_its_purses_are_expired(files: History) -> None:
    table = table_with(files, expired="0..100")
    assert gone_pages(table, LEAVES_NS) == 1  # of 51 purses and a part of one
    table.play(f"expire 1 0..{MEMBERS}")
    assert gone_pages(table, LEAVES_NS + 1) == BLOCK_PAGES


def test_blocks_that_end_later_are_evicted_later(files: History) -> None:
    table = table_with(files).play(programme(3, LEAVES_NS + 1))
    assert gone_pages(table, LEAVES_NS) == BLOCK_PAGES
    table.play(f"at {LEAVES_NS + 2}\nexpire 3 0..{MEMBERS}")
    assert gone_pages(table, LEAVES_NS + DAY_NS) == BLOCK_PAGES
    assert gone_pages(table, LEAVES_NS + DAY_NS + 1) == 2 * BLOCK_PAGES
    table.play("refund dinner3 1\nreverse dinner1 1")


def test_a_closed_history_evicts_nothing(files: History, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once(monkeypatch)
    table = table_with(files).play(f"pass {LEAVES_NS}\n" + "transfer issuance treasury 1\n" * 2)
    files.close()
    table.play(f"refund lunch1 1\npass {LEAVES_NS + DAY_NS}\nreverse dinner1 1")
    assert files.evicted_bytes() == PAGE_BYTES


def test_a_memory_error_during_a_copy_refuses_no_frame(files: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError

    at_once(monkeypatch)
    table = table_with(files)
    with monkeypatch.context() as short:
        short.setattr(history, "_write", refuse)
        table.play(f"pass {LEAVES_NS}\n" + "transfer issuance treasury 1\n" * 5)
    assert gone_pages(table, LEAVES_NS + 1) == BLOCK_PAGES
    assert files.refused == ""


def test_an_error_of_a_copy_is_raised_once(files: History, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("a defect")

    table = table_with(files)
    state = table.sides.state
    evicting = eviction.Eviction(files)
    with monkeypatch.context() as defect:
        defect.setattr(files, "_copy", refuse)
        evicting.evict_next(state.tables, LEAVES_NS)
        with pytest.raises(ValueError, match="a defect"):
            evicting.evict_next(state.tables, LEAVES_NS, wait=True)
    evicting.evict_next(state.tables, LEAVES_NS, wait=True)
    assert files.evicted_bytes() == BLOCK_PAGES * PAGE_BYTES


def test_small_blocks_are_not_evicted(files: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eviction, "BLOCK_BYTES_MIN", (BLOCK_PAGES + 1) * PAGE_BYTES)
    assert gone_pages(table_with(files), LEAVES_NS) == 0


def test_a_moved_table_is_in_memory_and_is_evicted_again(files: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the system grants little address space, growing copies the table."""
    monkeypatch.setattr(reserved_arrays, "RESERVED_BYTES", 1 << 16)
    table = table_with(files)
    old = table.sides.state.all_purses.ctypes.data
    assert gone_pages(table, LEAVES_NS) == BLOCK_PAGES
    table.play(programme(3, 2**61).replace("claim=0", f"claim={LEAVES_NS}"))
    state = table.sides.state
    assert state.all_purses.ctypes.data != old
    before = memory_bytes(state.all_purses, "Anonymous")
    assert gone_pages(table, LEAVES_NS + 1) == BLOCK_PAGES
    assert memory_bytes(state.all_purses, "Anonymous") == before - BLOCK_PAGES * PAGE_BYTES
    table.play("refund lunch1 1")


def test_a_loaded_state_is_evicted_again(files: History, tmp_path_factory: pytest.TempPathFactory) -> None:
    table = table_with(files)
    assert gone_pages(table, LEAVES_NS) == BLOCK_PAGES
    table.play("refund lunch1 1")
    other = History(tmp_path_factory.mktemp("other"), 1 << 40)
    again = LedgerState.load(*kept(table.sides.state), TableStorage(other))
    assert other.evicted_bytes() == 0
    again.evict_history(wait=True)
    assert other.evicted_bytes() == BLOCK_PAGES * PAGE_BYTES
    require_same(table.sides.state, again)
    table.sides.state = again
    table.play("reverse dinner1 1")
    other.close()


@pytest.mark.parametrize("fault", ["fdatasync", "full", "map"])
def test_nothing_is_evicted_if_disk_or_system_refuse(
    files: History, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    if fault == "fdatasync":
        lose_writes(monkeypatch)
    elif fault == "full":
        monkeypatch.setattr(history, "FREE_BYTES_MIN", 1 << 60)
    else:
        monkeypatch.setattr(history, "_map", refuse)
    table = table_with(files)
    assert gone_pages(table, LEAVES_NS) == 0
    said = {"fdatasync": "Input/output error", "full": "No space left on device", "map": "Cannot allocate memory"}
    assert files.refused.endswith(said[fault])
    table.play("refund lunch1 1\nreverse dinner1 1")
    assert gone_pages(table, LEAVES_NS + DAY_NS) == 0
