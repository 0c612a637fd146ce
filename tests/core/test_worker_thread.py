"""Tasks on a worker thread: their results, errors and order, and the end of the thread."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from sycee.core.worker_thread import Deferred, Worker, one_ahead


def test_tasks_run_in_order() -> None:
    worker, done = Worker("test-worker"), []
    coming = [worker.submit(lambda at=number: done.append(at) or at) for number in range(200)]
    assert [one.result() for one in coming] == list(range(200))
    assert done == list(range(200))
    assert coming[7].result() == 7, "a second time too"
    worker.close()


def test_work_that_a_task_begins_runs_after_it_on_the_same_thread() -> None:
    def task() -> Deferred[str]:
        worker = Worker.current()
        assert worker is not None
        return worker.submit(lambda: threading.current_thread().name)

    worker, other = Worker("test-worker", is_known_to_tasks=True), Worker("test-other")
    assert worker.submit(task).result().result() == "test-worker"
    assert other.submit(Worker.current).result() is None
    assert Worker.current() is None
    worker.close()
    other.close()


def test_result_raises_the_error_of_its_task_and_later_tasks_run() -> None:
    worker = Worker("test-worker")
    wrong, right = worker.submit(lambda: 1 // 0), worker.submit(lambda: 3)
    assert right.result() == 3
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            wrong.result()
    worker.close()


def test_objects_of_a_task_are_released_when_it_has_ended() -> None:
    class Room:
        pass

    worker, room = Worker("test-worker"), Room()
    gone = weakref.ref(room)
    coming = worker.submit(lambda held=room: held is not None)
    del room
    assert coming.result()
    worker.close()
    assert gone() is None


def test_the_thread_ends_when_its_worker_is_garbage_collected() -> None:
    worker = Worker("test-dropped")
    assert worker.submit(lambda: 3).result() == 3
    (thread,) = [each for each in threading.enumerate() if each.name == "test-dropped"]
    last = worker.submit(lambda: "last")
    del worker
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert last.result() == "last"


def test_the_caller_runs_the_task_if_no_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("test-worker")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        assert worker.submit(threading.get_ident).result() == threading.get_ident()
    assert worker.submit(threading.get_ident).result() != threading.get_ident()
    worker.close()


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_many_threads_share_a_worker_and_close_waits_for_their_tasks() -> None:
    worker, found = Worker("test-worker"), []
    threads = [
        threading.Thread(target=lambda at=number: found.append(worker.submit(lambda: at).result()))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(20))
    last = worker.submit(lambda: "last")
    worker.close()
    assert last.result() == "last"
    assert "test-worker" not in {thread.name for thread in threading.enumerate()}
    worker.close()
    assert worker.submit(lambda: "again").result() == "again"
    worker.close()


def test_one_result_is_computed_ahead_and_no_more() -> None:
    begun: list[int] = []
    third = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if len(begun) == 3:
            third.set()
        return number * 10

    results = one_ahead(work, range(1, 5))
    assert next(results) == 10
    assert not third.wait(0.05), "the third result waits until the second is used"
    assert next(results) == 20
    assert third.wait(10)
    assert list(results) == [30, 40]
    assert begun == [1, 2, 3, 4]
    assert list(one_ahead(work, [])) == []


def test_an_error_ahead_comes_in_its_turn_and_the_thread_ends() -> None:
    results = one_ahead(lambda number: 6 // number, [2, 0, 3])
    assert next(results) == 3
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert not [each for each in threading.enumerate() if each.name == "one-ahead"]
    results = one_ahead(abs, [1, 2, 3])
    next(results)
    results.close()
    assert not [each for each in threading.enumerate() if each.name == "one-ahead"]
