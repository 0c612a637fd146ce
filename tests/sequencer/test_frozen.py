"""`Sequencer.frozen` beside snapshots, other callers, Ctrl-C and the close."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.sequencer.small import opening
from tests.sequencer.test_snapshots import name_of
from tests.sequencer.test_snapshots_behind import PATIENCE_S, Gate, group, in_a_thread, snapshots_in

from sycee.core.errors import UnavailableError, UsageError
from sycee.journal import snapshot as files
from sycee.ledger.kernels import constants
from sycee.sequencer import snapshot_schedule
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Sequencer


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path, snapshot_frames=None) as ledger:
        ledger.submit(opening())
        yield ledger


def saves_preimages(ledger: Ledger) -> bool:
    return bool(ledger.sequencer.state.tables.counters[constants.PREIMAGE_MODE])


def test_a_reader_is_refused_while_a_snapshot_copies_for_long(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot_schedule, "FROZEN_WAIT_S", 0.05)
    gate = Gate(monkeypatch)
    thread = in_a_thread(ledger.snapshot)
    assert gate.reached.wait(PATIENCE_S)
    with pytest.raises(UnavailableError, match="a snapshot is being written"), ledger.sequencer.frozen():
        pass
    gate.opened.set()
    thread.join(PATIENCE_S)
    with ledger.sequencer.frozen() as tables:
        assert tables.sequence == 2


def test_a_reader_does_not_wait_for_the_disk_of_a_snapshot(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, opened = threading.Event(), threading.Event()
    finish = files.Writer.finish

    def waiting(writer: files.Writer) -> str:
        reached.set()
        assert opened.wait(PATIENCE_S)
        return finish(writer)

    monkeypatch.setattr(files.Writer, "finish", waiting)
    thread = in_a_thread(ledger.snapshot)
    assert reached.wait(PATIENCE_S)
    with ledger.sequencer.frozen():
        with pytest.raises(UsageError, match="a snapshot is being written"):
            ledger.sequencer.begin_snapshot()
        opened.set()
        thread.join(PATIENCE_S)
        assert saves_preimages(ledger), "the end of the snapshot left the reader's pre-images"
    assert snapshots_in(tmp_path) == [name_of(2)]
    assert not saves_preimages(ledger)


def test_an_abandoned_snapshot_leaves_the_preimages_of_a_reader(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = ledger.sequencer.begin_snapshot()
    with pytest.raises(UsageError, match="a snapshot is being written"), ledger.sequencer.frozen():
        pass
    while writing.is_copying:
        assert writing.step()
    with ledger.sequencer.frozen():
        writing.abandon()
        assert saves_preimages(ledger)
    assert not saves_preimages(ledger)


def test_a_snapshot_waits_for_the_end_of_the_block(ledger: Ledger, tmp_path: Path) -> None:
    with ledger.sequencer.frozen() as tables:
        thread = in_a_thread(ledger.snapshot)
        ledger.submit(group(1))
        thread.join(0.05)
        assert thread.is_alive()
        assert (tables.sequence, ledger.sequencer.durable_sequence) == (2, 3)
    thread.join(PATIENCE_S)
    assert snapshots_in(tmp_path) == [name_of(3)]


def test_the_close_waits_for_the_block_and_a_closed_ledger_refuses(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path, snapshot_frames=1)
    ledger.submit(opening())
    with ledger.sequencer.frozen():
        thread = in_a_thread(ledger.close)
        thread.join(0.05)
        assert thread.is_alive()
    thread.join(PATIENCE_S)
    assert snapshots_in(tmp_path) == [name_of(2)]
    with pytest.raises(UnavailableError, match="closed"), ledger.sequencer.frozen():
        pass


def test_an_error_in_the_block_ends_the_copy(ledger: Ledger) -> None:
    with pytest.raises(AssertionError), ledger.sequencer.frozen():
        assert not saves_preimages(ledger)
    assert not saves_preimages(ledger)


def freeze(sequencer: Sequencer) -> None:
    with sequencer.frozen():
        pass


@pytest.mark.parametrize("again", [freeze, Sequencer.snapshot])
def test_a_copy_that_ctrl_c_left_is_ended_by_the_next(ledger: Ledger, again: Callable[[Sequencer], object]) -> None:
    def interrupted() -> AbstractContextManager[None]:
        raise KeyboardInterrupt

    sequencer = ledger.sequencer
    with pytest.raises(KeyboardInterrupt), sequencer.frozen() as tables:
        between, tables._between_frames = tables._between_frames, interrupted
    tables._between_frames = between
    assert sequencer._snapshots._frozen is tables
    ledger.submit(group(1))
    again(sequencer)
    assert not saves_preimages(ledger)
    assert sequencer._snapshots._frozen is None


@pytest.mark.parametrize("name", ["frozen", "snapshot", "close"])
def test_calls_that_would_wait_for_their_own_block_are_refused(ledger: Ledger, name: str) -> None:
    call = freeze if name == "frozen" else getattr(Sequencer, name)
    refused: list[str] = []

    def inside() -> None:
        with ledger.sequencer.frozen():
            try:
                call(ledger.sequencer)
            except UsageError as error:
                refused.append(error.message)

    thread = threading.Thread(target=inside, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert refused == [f"{name} inside `with frozen()` would wait for itself"]
