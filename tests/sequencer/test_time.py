"""Time advances with every frame, with frames without operations if there are no callers, and equally in a replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sequencer.small import ANN, SECOND_NS, SHOP, START_NS, opening, start

from sycee.core.clock import FixedClock, RealClock, SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import HoldState
from sycee.core.result_codes import Result
from sycee.journal import FrameKind, Journal
from sycee.sequencer import ticker as ticker_module
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.ticker import Ticker
from sycee.testing.disk import FakeDisk

HOLD = 500


def hold(until_ns: int, id: int = HOLD) -> operations.Array:
    return operations.hold(id, payer=ANN, payee=SHOP, amount=20, until_ns=until_ns)


def held(sequencer: Sequencer, id: int = HOLD) -> HoldState:
    with sequencer.reading() as state:
        found = state.hold(id)
    assert found is not None
    return found.state


def opened(disk: FakeDisk, clock: SimulatedClock) -> Sequencer:
    sequencer = start(disk, clock)
    sequencer.submit(opening())
    return sequencer


def test_a_tick_writes_a_frame_when_something_is_due_and_only_then() -> None:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = opened(disk, clock)
    assert not sequencer.tick()
    assert sequencer.next_due_ns() is None
    end_ns = START_NS + 60 * SECOND_NS
    assert sequencer.submit(hold(end_ns))["code"].tolist() == [Result.CREATED]
    assert sequencer.next_due_ns() == end_ns
    clock.set(end_ns - 1)
    before = sequencer.durable_sequence
    assert not sequencer.tick()
    assert (sequencer.durable_sequence, held(sequencer)) == (before, HoldState.OPEN)
    clock.set(end_ns)
    assert sequencer.tick()
    assert not sequencer.tick()
    assert (sequencer.durable_sequence, held(sequencer)) == (before + 1, HoldState.TIMED_OUT)
    assert sequencer.next_due_ns() is None
    assert sequencer.frame_times[-1] == end_ns
    with sequencer.reading() as state:
        digest = state.digest()
        state.check()
    sequencer.close()
    frames = list(Journal.open(disk.kill(), read_only=True).recover())
    assert [frame.kind for frame in frames[-2:]] == [FrameKind.EMPTY, FrameKind.CLOSE]
    assert len(frames[-2].calendar) == 1
    reopened = start(disk.kill(), clock)
    assert reopened.state.digest() == digest
    assert reopened.submit(operations.post(501, hold=HOLD, by=SHOP, amount=5))["code"].tolist() == [
        Result.HOLD_TIMED_OUT
    ]


def test_due_holds_end_before_the_next_operations() -> None:
    clock = SimulatedClock(START_NS)
    sequencer = opened(FakeDisk(), clock)
    sequencer.submit(hold(START_NS + SECOND_NS))
    pay = operations.pay(502, payer=ANN, payee=SHOP, amount=40)  # Ann has 50, and 20 of them are held
    assert sequencer.submit(pay)["code"].tolist() == [Result.EXCEEDS_BALANCE]
    clock.advance(SECOND_NS)
    again = operations.pay(503, payer=ANN, payee=SHOP, amount=40)
    assert sequencer.submit(again)["code"].tolist() == [Result.CREATED]
    assert held(sequencer) is HoldState.TIMED_OUT


def test_the_time_of_a_close_passes_in_a_replay() -> None:
    """A hold that ends with the CLOSE frame's time is released at the next start, live and in every later replay."""
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = opened(disk, clock)
    last_ns = int(sequencer.frame_times[-1])
    assert sequencer.submit(hold(last_ns + 2))["code"].tolist() == [
        Result.CREATED
    ]  # the frame of the close is last_ns + 1
    sequencer.close()  # last_ns + 2
    for _ in range(2):
        sequencer = start(disk.kill(), clock)
        assert held(sequencer) is HoldState.TIMED_OUT
        sequencer.submit(operations.transfer(504, debit=ANN, credit=SHOP, amount=50))
        digest = sequencer.state.digest()
    assert start(disk.kill(), clock).state.digest() == digest


def test_a_tick_with_a_wrong_clock_is_refused() -> None:
    clock = SimulatedClock(START_NS)
    sequencer = opened(FakeDisk(), clock)
    sequencer.submit(hold(START_NS + SECOND_NS))
    clock.set(2**63 - 1)
    with pytest.raises(UnavailableError, match="years ahead of the ledger"):
        sequencer.tick()
    clock.set(START_NS + SECOND_NS)
    assert sequencer.tick()


def test_a_closed_ledger_does_not_tick() -> None:
    sequencer = opened(FakeDisk(), SimulatedClock(START_NS))
    with sequencer.reading(), pytest.raises(UsageError, match="tick inside `with reading"):
        sequencer.tick()
    sequencer.close()
    for use in (sequencer.tick, sequencer.next_due_ns):
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            use()


# --- the thread ---


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.005)


def test_a_ledger_ticks_by_itself_and_stops_when_it_is_closed(tmp_path: Path) -> None:
    clock = RealClock()
    ledger = Ledger.open(tmp_path, ticks=True)
    ledger.submit(opening())
    # The later one first: the earlier one must wake the waiting thread.
    for id, wait_ns in ((HOLD, 3600 * SECOND_NS), (HOLD + 1, SECOND_NS // 5)):
        answers = ledger.submit(hold(clock.now_ns() + wait_ns, id))
        assert answers["code"].tolist() == [Result.CREATED]
    before = ledger.sequencer.durable_sequence
    eventually(lambda: held(ledger.sequencer, HOLD + 1) is HoldState.TIMED_OUT)
    assert ledger.sequencer.durable_sequence == before + 1
    assert held(ledger.sequencer) is HoldState.OPEN
    thread = ledger.sequencer._ticker._thread  # type: ignore[union-attr]
    assert thread.is_alive()
    ledger.close()
    assert not thread.is_alive()
    ledger.close()
    with Ledger.open(tmp_path) as reopened:
        assert held(reopened.sequencer, HOLD + 1) is HoldState.TIMED_OUT


def test_ticks_need_the_machines_clock(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ticks=True needs the machine's clock"):
        Ledger.open(tmp_path / "a", ticks=True, clock=FixedClock(START_NS))
    assert not (tmp_path / "a").exists()
    Ledger.open(tmp_path / "b", ticks=True, clock=RealClock()).close()


class Stopped:
    """A ledger whose ticks fail."""

    ticks = 0

    def tick(self) -> bool:
        self.ticks += 1
        raise UnavailableError("the ledger stopped at frame 7")

    def next_due_ns(self) -> int | None:
        raise AssertionError("asked after a failure")


def test_a_ledger_that_stopped_is_asked_again_only_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ticker_module, "WAIT_S_MAX", 0.05)
    stopped = Stopped()
    ticker = Ticker(stopped, RealClock())
    eventually(lambda: stopped.ticks > 2)
    ticker.stop()
    ticks = stopped.ticks
    ticker.stop()
    time.sleep(0.1)
    assert stopped.ticks == ticks
    assert not ticker._thread.is_alive()
