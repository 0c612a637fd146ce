"""What is worked out by another thread: its value, its error, its order, its end."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from sycee.core.worker_thread import Worker


def test_values_come_in_order() -> None:
    worker, done = Worker("test-worker"), []
    coming = [worker.submit(lambda at=number: done.append(at) or at) for number in range(200)]
    assert [one.result() for one in coming] == list(range(200))
    assert done == list(range(200))
    assert coming[7].result() == 7, "a second time too"
    worker.close()


def test_an_error_is_raised_to_whoever_asks_and_stops_nothing() -> None:
    worker = Worker("test-worker")
    wrong, right = worker.submit(lambda: 1 // 0), worker.submit(lambda: 3)
    assert right.result() == 3
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            wrong.result()
    worker.close()


def test_what_the_work_holds_is_let_go_of_when_it_is_done() -> None:
    class Room:
        pass

    worker, room = Worker("test-worker"), Room()
    gone = weakref.ref(room)
    coming = worker.submit(lambda held=room: held is not None)
    del room
    assert coming.result()
    worker.close()
    assert gone() is None


def test_the_thread_of_a_worker_that_nothing_refers_to_ends() -> None:
    worker = Worker("test-dropped")
    assert worker.submit(lambda: 3).result() == 3
    (thread,) = [each for each in threading.enumerate() if each.name == "test-dropped"]
    last = worker.submit(lambda: "last")
    del worker
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
    assert last.result() == "last"


def test_the_caller_runs_the_work_where_no_thread_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("test-worker")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        assert worker.submit(threading.get_ident).result() == threading.get_ident()
    assert worker.submit(threading.get_ident).result() != threading.get_ident()
    worker.close()


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_many_threads_share_a_worker_that_ends_when_all_is_done() -> None:
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
