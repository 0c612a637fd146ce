"""Secrets that are used once, soon: challenges of passkeys, and the states of logins with a provider."""

from __future__ import annotations

import threading
from typing import Final, Generic, TypeVar

from sycee.core.clock import Clock, read_ns

WAITING_MAX: Final = 1 << 14  # 16,384 begun logins; a further one replaces the oldest
LIFE_NS: Final = 300 * 10**9

Value = TypeVar("Value")


class OneTime(Generic[Value]):
    """Values by secret. Each can be taken once, within LIFE_NS. They end with the process."""

    def __init__(self, clock: Clock, *, waiting_max: int = WAITING_MAX) -> None:
        self._clock = clock
        self._waiting_max = waiting_max
        self._lock = threading.Lock()
        self._waiting: dict[bytes, tuple[int, Value]] = {}  # oldest first

    def put(self, secret: bytes, value: Value) -> None:
        """Store the value of a fresh secret."""
        with self._lock:
            if len(self._waiting) >= self._waiting_max:
                del self._waiting[next(iter(self._waiting))]
            self._waiting[secret] = read_ns(self._clock) + LIFE_NS, value

    def take(self, secret: bytes) -> Value | None:
        """Return the value of a secret and forget it; None if there is none, or it is too old."""
        with self._lock:
            until_ns, value = self._waiting.pop(secret, (0, None))
        return value if read_ns(self._clock) < until_ns else None

    def __len__(self) -> int:
        return len(self._waiting)
