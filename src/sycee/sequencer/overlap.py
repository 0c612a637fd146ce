"""Run two tasks concurrently: a frame is applied while it is appended to the log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any, Final

from sycee.core.worker_thread import Deferred, Worker

Task = Callable[[], Any]

RECORDS_MIN: Final = 256
LATEST_WEIGHT: Final = 0.1  # of the latest difference in the moving average


class Overlap:
    """Runs two tasks, one on the calling thread and one on a worker thread. Not thread-safe.

    The slower task runs on the calling thread, which saves waiting for one wake-up. `records_min`: for smaller frames
    the hand-over to the worker takes longer than it saves, so the caller runs both tasks itself.
    """

    def __init__(self, name: str = "sycee-log", *, records_min: int = RECORDS_MIN) -> None:
        self.records_min = records_min
        # A task that applies a frame begins the digest of its movements: they are in the cache of that thread's core.
        self._worker = Worker(name, is_known_to_tasks=True)
        self._first_is_slower_s = 0.0  # moving average of the difference

    def run(self, first: Task, second: Task) -> tuple[Any, Any]:
        """Run both tasks and return both results. Raises a failed task's error, the first's if both failed."""
        one, two = (Deferred(partial(_timed, task)) for task in (first, second))
        here, there = (one, two) if self._first_is_slower_s >= 0 else (two, one)
        self._worker.enqueue(there)
        here.run()
        there.wait()
        (first_result, first_s), (second_result, second_s) = one.result(), two.result()
        self._first_is_slower_s += LATEST_WEIGHT * (first_s - second_s - self._first_is_slower_s)
        return first_result, second_result

    def close(self) -> None:
        """End the worker thread after its current task."""
        self._worker.close()


def _timed(task: Task) -> tuple[Any, float]:
    """Return the result of a task and its seconds."""
    began = perf_counter()
    result = task()
    return result, perf_counter() - began
