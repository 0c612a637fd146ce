"""Limits for the time of a frame. A first frame with a wrong time would make every later frame impossible."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.small import ANN, BOB, START_NS, opening

from sycee.core.clock import SimulatedClock, read_ns
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.frame_time import FIRST_TIME_NS_MAX, RELEASED_NS, next_time_ns

YEAR_2199_NS = 7_226_582_400 * 10**9


class Says:
    """A clock that returns a given value."""

    def __init__(self, now: Any) -> None:
        self.now = now

    def now_ns(self) -> Any:
        return self.now


@pytest.mark.parametrize("clock_ns", [FIRST_TIME_NS_MAX + 1, YEAR_2199_NS, 2**63 - 1])
def test_a_first_frame_of_a_wild_clock_is_refused(tmp_path: Path, clock_ns: int) -> None:
    clock = SimulatedClock(clock_ns)
    with Ledger.open(tmp_path, clock=clock) as ledger:
        with pytest.raises(UnavailableError, match="years ahead of this release of 2026-11-27"):
            ledger.submit(opening())
        clock.set(START_NS)  # nothing was written, so the right time is accepted
        assert set(ledger.submit(opening())["code"].tolist()) == {Result.CREATED}
    with Ledger.open(tmp_path, clock=clock) as ledger:
        assert ledger.transfer(ANN, BOB, 1) is Result.CREATED


def test_a_first_frame_may_be_twenty_years_after_the_release_and_no_later(tmp_path: Path) -> None:
    assert next_time_ns(SimulatedClock(FIRST_TIME_NS_MAX), 0) == FIRST_TIME_NS_MAX
    assert next_time_ns(SimulatedClock(0), 0) == 1  # a replay of the past has its own clock


@pytest.mark.parametrize("machine_ns", [0, RELEASED_NS - 1, FIRST_TIME_NS_MAX + 1])
def test_the_machines_clock_is_also_not_before_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine_ns: int
) -> None:
    """An empty battery gives 1970; the right time would then be too far ahead of the ledger forever."""
    with Ledger.open(tmp_path) as ledger:
        with monkeypatch.context() as patched:
            patched.setattr("sycee.core.clock.time.time_ns", lambda: machine_ns)
            with pytest.raises(UnavailableError, match=r"before this release of|years ahead of this release of"):
                ledger.submit(opening())
            patched.setattr("sycee.core.clock.time.time_ns", lambda: RELEASED_NS)
            assert set(ledger.submit(opening())["code"].tolist()) == {Result.CREATED}
            # Later frames succeed although the clock went back before the release.
            patched.setattr("sycee.core.clock.time.time_ns", lambda: 0)
            assert ledger.transfer(ANN, BOB, 1) is Result.CREATED
        assert ledger.sequencer.frame_times.tolist()[1:] == [RELEASED_NS, RELEASED_NS + 1, RELEASED_NS + 2]


def test_the_machines_clock_is_right() -> None:
    assert RELEASED_NS <= time.time_ns() <= FIRST_TIME_NS_MAX


@pytest.mark.parametrize("now", [1.5e18, None, "2026", np.float64(1.5e18), np.array([1, 2]), b"\1"])
def test_a_clock_that_returns_no_integer_is_a_usage_error(tmp_path: Path, now: Any) -> None:
    clock = Says(START_NS)
    with Ledger.open(tmp_path, clock=clock) as ledger:
        ledger.submit(opening())
        clock.now = now
        for call in (lambda: ledger.transfer(ANN, BOB, 1, id=1), ledger.new_id, lambda: ledger.transfer(ANN, BOB, 1)):
            with pytest.raises(UsageError, match=r"the clock Says returned .* for the time"):
                call()
        clock.now = np.int64(START_NS + 5)  # also an integer
        assert ledger.transfer(ANN, BOB, 1, id=1) is Result.CREATED
        assert ledger.balance(BOB) == 1


def test_a_tick_by_a_clock_that_returns_no_integer(tmp_path: Path) -> None:
    clock = Says(START_NS)
    with Ledger.open(tmp_path, clock=clock) as ledger:
        ledger.submit(opening())
        assert ledger.hold(ANN, BOB, 1, until_ns=START_NS + 10**9) is Result.CREATED
        clock.now = 1.5e18
        with pytest.raises(UsageError, match="the clock Says returned"):
            ledger.tick()
        clock.now = START_NS + 2 * 10**9
        assert ledger.tick()


def test_an_integer_of_any_kind_is_read() -> None:
    assert read_ns(Says(np.uint64(7))) == 7
    assert type(read_ns(Says(np.uint64(7)))) is int
