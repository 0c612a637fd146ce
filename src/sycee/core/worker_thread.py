"""A worker thread for tasks whose results are needed later.

Not an executor: in a frame of 1.5 ms, the 0.03 ms of a `concurrent.futures` future count.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, Generic, ParamSpec, TypeVar
from weakref import WeakSet

S = TypeVar("S")
T = TypeVar("T")
P = ParamSpec("P")


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Deferred(Generic[T]):
    """A task and, after `run`, its result."""

    __slots__ = ("_error", "_pending", "_value", "_work")

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._value: Any = None
        self._error: BaseException | None = None
        self._pending = threading.Lock()
        self._pending.acquire()

    def wait(self) -> None:
        """Block until the task has ended, by a result or an error."""
        with self._pending:
            pass

    def done(self) -> bool:
        """Return whether the task has ended."""
        return not self._pending.locked()

    def result(self) -> T:
        """Block until the task has ended; return its result or raise its error."""
        self.wait()
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def run(self) -> None:
        """Run the task on this thread."""
        work, self._work = self._work, None  # the task's objects must be free as soon as it has ended
        try:
            self._value = work() if work else None
        except BaseException as error:
            self._error = error
        del work
        self._pending.release()


class Worker:
    """A daemon thread that runs queued tasks in order.

    The thread starts with the first task. It ends with `close`, or when the worker is garbage-collected.
    """

    def __init__(self, name: str, *, is_known_to_tasks: bool = False) -> None:
        """Create a worker. `is_known_to_tasks`: `current` returns it to its tasks, so that they can queue others."""
        self._name = name
        self._is_known_to_tasks = is_known_to_tasks
        self._begin_without_thread()
        _with_threads.add(self)

    def _begin_without_thread(self) -> None:
        self._queue: SimpleQueue[Deferred[Any] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        weakref.finalize(self, self._queue.put, None).atexit = False

    def submit(self, work: Callable[[], T]) -> Deferred[T]:
        """Queue a task behind the earlier ones."""
        deferred = Deferred(work)
        self.enqueue(deferred)
        return deferred

    @staticmethod
    def current() -> Worker | None:
        """Return the worker that runs the calling task, if it `is_known_to_tasks`.

        A task must not wait for a task that it queues there.
        """
        reference = getattr(_current, "worker", None)
        return reference() if reference else None

    def enqueue(self, deferred: Deferred[Any]) -> None:
        """Queue a deferred task behind the earlier ones. Run it immediately where the system refuses a thread."""
        if self._thread is None:
            with self._starting:
                if not self._start():
                    deferred.run()
                    return
        self._queue.put(deferred)

    def _start(self) -> bool:
        """Start the thread, once; return False where the system refuses it."""
        if self._thread is not None:
            return True
        # The thread refers to the queue only, so that an unused worker is collected and its thread ends.
        known = weakref.ref(self) if self._is_known_to_tasks else None
        thread = threading.Thread(target=_run_all, args=(self._queue, known), name=self._name, daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            return False
        self._thread = thread
        return True

    def close(self) -> None:
        """End the thread after all queued tasks."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None


_current: Final = threading.local()  # in a worker's thread: a weak reference to the worker, or None


def _run_all(queue: SimpleQueue[Deferred[Any] | None], worker: weakref.ref[Worker] | None) -> None:
    """Run queued tasks until the sentinel None. `worker`: for `Worker.current`."""
    _current.worker = worker
    while (deferred := queue.get()) is not None:
        deferred.run()
        del deferred


def one_ahead(work: Callable[[S], T], items: Iterable[S]) -> Generator[T, None, None]:
    """Yield `work(item)` of each item in order. A thread takes and computes the next one while the caller uses this."""
    worker, left = Worker("one-ahead"), iter(items)

    def following() -> tuple[T] | None:
        for item in left:
            return (work(item),)
        return None

    try:
        waiting = worker.submit(following)
        while (found := waiting.result()) is not None:
            waiting = worker.submit(following)
            yield found[0]
    finally:
        worker.close()


class Executor:
    """A ThreadPoolExecutor of one thread for the whole program, which a forked child replaces."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin_without_thread()
        _with_threads.add(self)

    def submit(self, work: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> Future[T]:
        """Queue a task behind the earlier ones."""
        return self._executor.submit(work, *arguments, **options)

    def _begin_without_thread(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)


# A forked child has none of these threads. Tasks that the parent had queued belong to the parent.
_with_threads: Final[WeakSet[Worker | Executor]] = WeakSet()


def _begin_without_threads() -> None:
    for each in list(_with_threads):
        each._begin_without_thread()


os.register_at_fork(after_in_child=_begin_without_threads)
