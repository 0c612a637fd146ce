"""Snapshots that are written while frames continue: no caller waits for one, and a failed one does no harm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sequencer.small import LEDGER_ID, SEGMENT_BYTES, START_NS, opening
from tests.sequencer.test_snapshots import name_of

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.records import operations
from sycee.journal import Journal
from sycee.journal import snapshot as files
from sycee.ledger.kernels import constants
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.verify import verify
from sycee.testing.disk import FakeDisk

PATIENCE_S = 60.0  # for busy machines
AGREES = "snapshots that equal the replay"


def group(number: int) -> Array:
    return operations.define_group(number, group=number)


class Gate:
    """Blocks threads that write a piece of a snapshot."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        add = files.Writer.add

        def waiting(writer: files.Writer, content: memoryview) -> None:
            self.reached.set()
            assert self.opened.wait(PATIENCE_S)
            add(writer, content)

        monkeypatch.setattr(files.Writer, "add", waiting)


def in_a_thread(do: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=do)
    thread.start()
    return thread


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def snapshots_in(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "snapshots").glob("*.snapshot"))


def test_frames_and_reads_go_on_while_one_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    with Ledger.open(tmp_path, snapshot_frames=None) as ledger:
        ledger.submit(opening())
        thread = in_a_thread(ledger.snapshot)
        assert gate.reached.wait(PATIENCE_S)
        for number in range(1, 6):
            ledger.submit(group(number))
        assert ledger.supply("CNY") == 10_000
        with pytest.raises(UsageError, match="a snapshot is being written"):
            ledger.sequencer.begin_snapshot()
        gate.opened.set()
        thread.join(PATIENCE_S)
        digest = ledger.digest()
    assert snapshots_in(tmp_path) == [name_of(2)]
    assert verify(tmp_path).proved[-1] == f"{AGREES}: 1"
    with Ledger.open(tmp_path) as ledger:
        assert ledger.digest() == digest


def test_a_snapshot_is_written_after_every_n_frames(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, snapshot_frames=None, snapshot_every=4) as ledger:
        for number in range(1, 30):
            ledger.submit(group(number))
        until(lambda: bool(snapshots_in(tmp_path)))
    assert ledger.findings == ()
    assert 1 <= len(snapshots_in(tmp_path)) <= files.KEPT
    assert verify(tmp_path).proved[-1].startswith(AGREES)


def test_a_close_waits_for_the_one_that_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    ledger = Ledger.open(tmp_path, snapshot_frames=4, snapshot_every=5)
    for number in range(1, 6):
        ledger.submit(group(number))
    assert gate.reached.wait(PATIENCE_S)
    thread = in_a_thread(ledger.close)
    thread.join(0.05)
    assert thread.is_alive()
    gate.opened.set()
    thread.join(PATIENCE_S)
    assert snapshots_in(tmp_path) == [name_of(5)], "only one frame came after it: none of its own"
    assert verify(tmp_path).proved[-1] == f"{AGREES}: 1"


def test_a_disk_that_refuses_one_is_a_finding_and_is_not_asked_at_every_frame(tmp_path: Path) -> None:
    with Ledger.open(tmp_path, snapshot_frames=None, snapshot_every=4) as ledger:
        (tmp_path / "snapshots").write_text("in the way", encoding="utf-8")
        for number in range(1, 7):
            ledger.submit(group(number))
        until(lambda: bool(ledger.findings))
    assert len(ledger.findings) == 1
    assert ledger.findings[0].startswith("no snapshot was written: the snapshot of frame ")
    with Ledger.open(tmp_path, snapshot_frames=None) as ledger:
        assert ledger.sequencer.durable_sequence == 8


def small(journal: FakeDisk, kept: FakeDisk) -> Sequencer:
    sequencer = Sequencer(
        Journal.create(journal, ledger_id=LEDGER_ID, segment_bytes=SEGMENT_BYTES),
        clock=SimulatedClock(START_NS),
        overlap=False,
        snapshot_disk=kept,
        snapshot_frames=None,
    )
    sequencer.submit(opening())
    return sequencer


def test_a_ledger_that_stops_leaves_no_half_of_one() -> None:
    journal, kept = FakeDisk(), FakeDisk(folder="fake/snapshots")
    sequencer = small(journal, kept)
    writing = sequencer.begin_snapshot(piece_bytes=256)
    assert writing.step()
    assert len(kept.names()) == 1
    journal.fail_sync_at = journal.operations["fdatasync"] + 1
    with pytest.raises(UnavailableError):
        sequencer.submit(group(1))
    with pytest.raises(UnavailableError, match="the ledger stopped at frame"):
        writing.run()
    assert kept.names() == []
    assert not writing.is_running
    sequencer.close()


def test_a_close_abandons_an_unfinished_snapshot() -> None:
    kept = FakeDisk(folder="fake/snapshots")
    sequencer = small(FakeDisk(), kept)
    writing = sequencer.begin_snapshot(piece_bytes=256)
    assert writing.step()
    sequencer.close()
    assert kept.names() == []
    assert not writing.step()
    assert not sequencer.state.tables.counters[constants.PREIMAGE_MODE]


def test_one_that_is_done_step_by_step_counts_for_the_close() -> None:
    kept = FakeDisk(folder="fake/snapshots")
    sequencer = small(FakeDisk(), kept)
    sequencer._snapshots._at_close = 1
    sequencer.begin_snapshot(piece_bytes=256).run()
    sequencer.close()
    assert kept.names() == [name_of(2)]
