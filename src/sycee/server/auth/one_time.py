"""Secrets that are used once, soon: challenges of passkeys, and the states of logins with a provider."""

from __future__ import annotations

import threading
from typing import Final, Generic, TypeVar

from sycee.core.clock import Clock, read_ns

WAITING_MAX: Final = 1 << 14  # 16,384 begun logins; a further one replaces the oldest
SENDER_MAX: Final = 256  # of one sender; a further one replaces the sender's oldest, and nobody else's
LIFE_NS: Final = 300 * 10**9

Value = TypeVar("Value")


class OneTime(Generic[Value]):
    """Values by secret. Each can be taken once, within LIFE_NS. They end with the process."""

    def __init__(self, clock: Clock, *, waiting_max: int = WAITING_MAX, sender_max: int = SENDER_MAX) -> None:
        self._clock = clock
        self._waiting_max = waiting_max
        self._sender_max = sender_max
        self._lock = threading.Lock()
        self._waiting: dict[bytes, tuple[int, Value, str]] = {}  # oldest first
        self._of_sender: dict[str, dict[bytes, None]] = {}  # secrets, oldest first

    def put(self, secret: bytes, value: Value, sender: str = "") -> None:
        """Store the value of a fresh secret. `sender`: the address for which it is counted."""
        with self._lock:
            own = self._of_sender.get(sender, {})
            if len(own) >= self._sender_max:
                self._pop(next(iter(own)))
            elif len(self._waiting) >= self._waiting_max:
                self._pop(next(iter(self._waiting)))
            self._waiting[secret] = read_ns(self._clock) + LIFE_NS, value, sender
            self._of_sender.setdefault(sender, {})[secret] = None

    def take(self, secret: bytes) -> Value | None:
        """Return the value of a secret and forget it; None if there is none, or it is too old."""
        with self._lock:
            found = self._pop(secret)
        if found is None or read_ns(self._clock) >= found[0]:
            return None
        return found[1]

    def _pop(self, secret: bytes) -> tuple[int, Value, str] | None:
        found = self._waiting.pop(secret, None)
        if found is not None:
            own = self._of_sender[found[2]]
            del own[secret]
            if not own:
                del self._of_sender[found[2]]
        return found

    def __len__(self) -> int:
        return len(self._waiting)
