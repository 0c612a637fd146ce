"""A thread that works things out for another one, which needs them later.

Not an executor: where a frame takes a millisecond and a half, a future's 0.03 ms are felt.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, Generic, ParamSpec, TypeVar
from weakref import WeakSet

T = TypeVar("T")
P = ParamSpec("P")


class Deferred(Generic[T]):
    """What is being worked out."""

    __slots__ = ("_error", "_pending", "_value", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._value: Any = None
        self._error: BaseException | None = None
        self._pending = threading.Lock()
        self._pending.acquire()

    def wait(self) -> None:
        """Until it is worked out, or has failed."""
        with self._pending:
            pass

    def result(self) -> T:
        """The value, as soon as it is there. Raises what the work raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def run(self) -> None:
        """Work it out on this thread."""
        work, self._work = self._work, None  # what it holds may be used again as soon as it is done
        try:
            self._value = work() if work else None
        except BaseException as error:
            self._error = error
        del work
        self._pending.release()


class Worker:
    """A daemon thread that runs queued work in order. It starts with the first call and ends with `close`, or when the
    worker is garbage-collected.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin_without_thread()
        _with_threads.add(self)

    def _begin_without_thread(self) -> None:
        self._asked: SimpleQueue[Deferred[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        weakref.finalize(self, self._asked.put, None).atexit = False

    def submit(self, work: Callable[[], T]) -> Deferred[T]:
        """Have it done, after what was asked for before."""
        coming = Deferred(work)
        self.enqueue(coming)
        return coming

    def enqueue(self, coming: Deferred[Any]) -> None:
        """The same of what is known already as coming."""
        if self._thread is None:
            with self._starting:
                if not self._start():
                    coming.run()
                    return
        self._asked.put(coming)

    def _start(self) -> bool:
        """Start the thread, once; return False where the system refuses it. The caller then runs the work itself."""
        if self._thread is not None:
            return True
        # The thread holds the queue only, so that a worker without an owner is collected and its thread ends.
        thread = threading.Thread(target=_run_all, args=(self._asked,), name=self._name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            return False
        self._thread = thread
        return True

    def close(self) -> None:
        """End the thread, after all that was asked for."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join()
            self._thread = None


def _run_all(asked: SimpleQueue[Deferred[Any] | None]) -> None:
    """Run queued work until the sentinel None."""
    while (coming := asked.get()) is not None:
        coming.run()
        del coming


class Executor:
    """A ThreadPoolExecutor of one thread for the whole program, which a forked child starts anew."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin_without_thread()
        _with_threads.add(self)

    def submit(self, work: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        """Have it done, after what was submitted before."""
        return self._executor.submit(work, *arguments, **options)

    def _begin_without_thread(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)


# A forked child has none of these threads. What the parent had queued is the parent's.
_with_threads: Final[WeakSet[Worker | Executor]] = WeakSet()


def _begin_without_threads() -> None:
    for each in list(_with_threads):
        each._begin_without_thread()


os.register_at_fork(after_in_child=_begin_without_threads)
