"""Two things at a time: a frame is applied while it is made durable."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Final, NamedTuple

Work = Callable[[], Any]

LATEST: Final = 0.1  # how much the latest time counts in the mean


class _End(NamedTuple):
    """What came of something, and how long it took."""

    result: Any
    error: BaseException | None
    took_s: float


class SideBySide:
    """Does two things, one on the thread that asks and one on its own. For one other thread at a time.

    What has lately taken longer is done by the thread that asks, since the other must first wake up, and then say that
    it is done. Not an executor: a future costs a thirtieth of what a full frame takes.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked: SimpleQueue[Work | None] = SimpleQueue()
        self._ends: SimpleQueue[_End] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._first_is_longer_s = 0.0  # by so much, on the mean

    def both(self, first: Work, second: Work) -> tuple[Any, Any]:
        """What came of both, when both are done. Raises what one of them raised, the first if both did.

        Where Ctrl-C ends the waiting, nothing but `close` may follow.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        here, there = (first, second) if self._first_is_longer_s >= 0 else (second, first)
        self._asked.put(there)
        own = _done(here)
        other = self._ends.get()
        one, two = (own, other) if here is first else (other, own)
        for end in (one, two):
            if end.error is not None:
                raise end.error
        self._first_is_longer_s += LATEST * (one.took_s - two.took_s - self._first_is_longer_s)
        return one.result, two.result

    def close(self) -> None:
        """End the thread, after what is at hand."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (work := self._asked.get()) is not None:
            end = _done(work)
            del work  # its records are in memory that is used again once nobody has them any more
            self._ends.put(end)
            del end


def _done(work: Work) -> _End:
    began = perf_counter()
    try:
        result, error = work(), None
    except BaseException as caught:
        result, error = None, caught
    return _End(result, error, perf_counter() - began)
