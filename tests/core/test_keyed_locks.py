"""Locks by key."""

from __future__ import annotations

import threading

import pytest

from sycee.core.keyed_locks import KeyedLocks

pytestmark = pytest.mark.fast

WAIT_S = 60


def test_one_thread_at_a_time_holds_a_key() -> None:
    locks: KeyedLocks[int] = KeyedLocks()
    inside, most, threads = 0, 0, 4
    started = threading.Barrier(threads)

    def work() -> None:
        nonlocal inside, most
        started.wait(WAIT_S)
        for _ in range(200):
            with locks.holding(7):
                inside += 1
                most = max(most, inside)
                inside -= 1

    running = [threading.Thread(target=work) for _ in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join(WAIT_S)
    assert (inside, most, locks.users(7)) == (0, 1, 0)


def test_other_keys_do_not_wait() -> None:
    locks: KeyedLocks[str] = KeyedLocks()
    held = threading.Event()

    def work() -> None:
        with locks.holding("b"):
            held.set()

    with locks.holding("a"):
        thread = threading.Thread(target=work)
        thread.start()
        assert held.wait(WAIT_S)
        thread.join(WAIT_S)
        assert locks.users("a") == 1


def test_an_error_gives_the_lock_back() -> None:
    locks: KeyedLocks[int] = KeyedLocks()
    with pytest.raises(ValueError, match="no"), locks.holding(1):
        raise ValueError("no")
    assert locks.users(1) == 0
    with locks.holding(1):
        assert locks.users(1) == 1
