"""Two things at a time: a frame is applied while it is made durable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Final

from sycee.core.worker import Coming, Worker

Work = Callable[[], Any]

LATEST: Final = 0.1  # how much the latest time counts in the mean


class SideBySide:
    """Does two things, one on the thread that asks and one on its own. For one other thread at a time.

    What has lately taken longer is done by the thread that asks, since the other must first wake up, and then say that
    it is done.
    """

    def __init__(self, name: str) -> None:
        self._worker = Worker(name)
        self._first_is_longer_s = 0.0  # by so much, on the mean

    def both(self, first: Work, second: Work) -> tuple[Any, Any]:
        """What came of both, when both are done. Raises what one of them raised, the first if both did."""
        one, two = (Coming(partial(_timed, work)) for work in (first, second))
        here, there = (one, two) if self._first_is_longer_s >= 0 else (two, one)
        self._worker.take(there)
        here.run()
        there.wait()
        (first_result, first_s), (second_result, second_s) = one.result(), two.result()
        self._first_is_longer_s += LATEST * (first_s - second_s - self._first_is_longer_s)
        return first_result, second_result

    def close(self) -> None:
        """End the thread, after what is at hand."""
        self._worker.close()


def _timed(work: Work) -> tuple[Any, float]:
    """What comes of it, and how long it takes."""
    began = perf_counter()
    result = work()
    return result, perf_counter() - began
