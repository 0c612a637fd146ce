from __future__ import annotations

import ast
import re
import time
from pathlib import Path

import pytest

import sycee.core.clock
from sycee.core.clock import NS_MAX, Clock, FixedClock, RealClock, SimulatedClock
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

START_NS = 1_602_461_400_000_000_000  # 2020-10-12 00:10 UTC
SOURCES = Path(sycee.core.clock.__file__).parent.parent
# Calls that read the time of day; perf_counter and monotonic measure durations only.
READERS = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime", "clock_gettime"}
MENTIONED = re.compile(rf"\b(time|datetime|date)\s*\.\s*({'|'.join(sorted(READERS))})\s*\(")


@pytest.mark.parametrize("clock", [RealClock(), FixedClock(START_NS), SimulatedClock(START_NS)])
def test_every_clock_implements_the_protocol(clock: Clock) -> None:
    assert isinstance(clock, Clock)
    assert isinstance(clock.now_ns(), int)


def test_the_real_clock_returns_the_time_of_the_machine() -> None:
    before = time.time_ns()
    assert before <= RealClock().now_ns() <= time.time_ns()


def test_the_fixed_clock_always_returns_the_same_time() -> None:
    clock = FixedClock(START_NS)
    assert [clock.now_ns() for _ in range(3)] == [START_NS] * 3


def test_the_simulated_clock_changes_only_by_set_and_advance() -> None:
    clock = SimulatedClock(START_NS)
    assert clock.now_ns() == clock.now_ns() == START_NS
    clock.advance(5)
    assert clock.now_ns() == START_NS + 5
    clock.advance(0)
    assert clock.now_ns() == START_NS + 5
    clock.set(START_NS - 1)
    assert clock.now_ns() == START_NS - 1


def test_times_that_do_not_fit_a_frame_are_refused() -> None:
    clock = SimulatedClock(NS_MAX)
    with pytest.raises(UsageError, match="does not fit a frame"):
        clock.advance(1)
    assert clock.now_ns() == NS_MAX
    with pytest.raises(UsageError, match="cannot advance by -1"):
        clock.advance(-1)
    with pytest.raises(UsageError, match="does not fit a frame"):
        clock.set(-1)
    with pytest.raises(UsageError, match="does not fit a frame"):
        FixedClock(-1)
    with pytest.raises(UsageError, match="does not fit a frame"):
        SimulatedClock(NS_MAX + 1)


def test_no_other_module_reads_the_time() -> None:
    found = []
    for source in sorted(SOURCES.rglob("*.py")):
        text = source.read_text(encoding="utf-8")
        if source == Path(sycee.core.clock.__file__) or not MENTIONED.search(text):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if node.func.attr in READERS and name in {"time", "datetime", "date"}:
                found.append(f"{source.relative_to(SOURCES)}:{node.lineno}: {name}.{node.func.attr}()")
    assert found == []
