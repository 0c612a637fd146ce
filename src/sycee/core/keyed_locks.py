"""Locks by key: threads with the same key run one at a time, threads with other keys do not wait."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class KeyedLocks(Generic[Key]):
    """One lock for each key that is in use. A lock is not reentrant."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._locks: dict[Key, tuple[Lock, int]] = {}  # the number of threads that hold the lock or wait for it

    @contextmanager
    def holding(self, key: Key) -> Iterator[None]:
        """Hold the lock of `key` in the block; wait for another thread that holds it."""
        with self._guard:
            lock, users = self._locks.get(key) or (Lock(), 0)
            self._locks[key] = (lock, users + 1)
        try:
            with lock:
                yield
        finally:
            with self._guard:
                lock, users = self._locks.pop(key)
                if users > 1:
                    self._locks[key] = (lock, users - 1)

    def users(self, key: Key) -> int:
        """Return the number of threads that hold the lock of `key` or wait for it."""
        with self._guard:
            return self._locks.get(key, (None, 0))[1]
