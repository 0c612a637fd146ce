"""Two things at a time: a frame is applied while it is made durable."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from sycee.core.worker import Worker

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
        ends = [_End(first), _End(second)]
        here, there = ends if self._first_is_longer_s >= 0 else reversed(ends)
        coming = self._worker.begin(there.run)
        here.run()
        coming.result()
        one, two = ends
        for end in ends:
            if end.error is not None:
                raise end.error
        self._first_is_longer_s += LATEST * (one.took_s - two.took_s - self._first_is_longer_s)
        return one.result, two.result

    def close(self) -> None:
        """End the thread, after what is at hand."""
        self._worker.close()


class _End:
    """What came of something, and how long it took."""

    def __init__(self, work: Work) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.took_s = 0.0
        self._work = work

    def run(self) -> None:
        began = perf_counter()
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error
        self.took_s = perf_counter() - began
