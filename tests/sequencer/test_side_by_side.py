"""Two things at a time: what comes of both, of failures, and which thread does which."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from sycee.sequencer.side_by_side import SideBySide


@pytest.fixture
def pair() -> Iterator[SideBySide]:
    made = SideBySide("test-beside")
    yield made
    made.close()


def fail(what: str) -> None:
    raise ValueError(what)


def test_both_are_done_and_say_what_came_of_it(pair: SideBySide) -> None:
    for number in range(50):
        assert pair.both(lambda at=number: at, lambda at=number: -at) == (number, -number)


def test_they_run_at_the_same_time(pair: SideBySide) -> None:
    met = threading.Barrier(2, timeout=30)
    assert pair.both(lambda: met.wait() >= 0, lambda: met.wait() >= 0) == (True, True)


def test_what_fails_is_raised_when_both_have_ended(pair: SideBySide) -> None:
    done = []
    for first, second, said in (
        (lambda: fail("one"), lambda: done.append(2), "one"),
        (lambda: done.append(1), lambda: fail("two"), "two"),
        (lambda: fail("one"), lambda: fail("two"), "one"),
    ):
        with pytest.raises(ValueError, match=said):
            pair.both(first, second)
    assert sorted(done) == [1, 2]
    assert pair.both(lambda: 1, lambda: 2) == (1, 2)


def test_what_takes_longer_is_done_by_the_thread_that_asks(pair: SideBySide) -> None:
    def long() -> str:
        time.sleep(0.005)
        return threading.current_thread().name

    def short() -> str:
        return threading.current_thread().name

    here = threading.current_thread().name
    for _ in range(5):
        found = pair.both(long, short)
    assert found == (here, "test-beside")
    for _ in range(60):
        found = pair.both(short, long)
    assert found == ("test-beside", here)


def test_the_thread_ends(pair: SideBySide) -> None:
    pair.close()
    pair.both(int, int)
    pair.close()
    pair.close()
    assert "test-beside" not in {thread.name for thread in threading.enumerate()}
