"""Two concurrent tasks: results, failures, and the thread of each."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from sycee.sequencer.overlap import Overlap


@pytest.fixture
def pair() -> Iterator[Overlap]:
    made = Overlap("test-beside")
    yield made
    made.close()


def fail(what: str) -> None:
    raise ValueError(what)


def test_both_results_are_returned(pair: Overlap) -> None:
    for number in range(50):
        assert pair.run(lambda at=number: at, lambda at=number: -at) == (number, -number)


def test_they_run_at_the_same_time(pair: Overlap) -> None:
    met = threading.Barrier(2, timeout=30)
    assert pair.run(lambda: met.wait() >= 0, lambda: met.wait() >= 0) == (True, True)


def test_an_error_is_raised_when_both_have_ended(pair: Overlap) -> None:
    done = []
    for first, second, message in (
        (lambda: fail("one"), lambda: done.append(2), "one"),
        (lambda: done.append(1), lambda: fail("two"), "two"),
        (lambda: fail("one"), lambda: fail("two"), "one"),
    ):
        with pytest.raises(ValueError, match=message):
            pair.run(first, second)
    assert sorted(done) == [1, 2]
    assert pair.run(lambda: 1, lambda: 2) == (1, 2)


def test_the_slower_task_runs_on_the_calling_thread(pair: Overlap) -> None:
    def long() -> str:
        time.sleep(0.005)
        return threading.current_thread().name

    def short() -> str:
        return threading.current_thread().name

    here = threading.current_thread().name
    for _ in range(5):
        found = pair.run(long, short)
    assert found == (here, "test-beside")
    for _ in range(60):
        found = pair.run(short, long)
    assert found == ("test-beside", here)


def test_the_thread_ends(pair: Overlap) -> None:
    pair.close()
    pair.run(int, int)
    pair.close()
    pair.close()
    assert "test-beside" not in {thread.name for thread in threading.enumerate()}
