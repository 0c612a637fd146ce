"""Rate limits per sender, applied before any signature is verified, with the library `limits`.

A failure counts against the address that sent the request, and never against an account, person or client that the
request names: otherwise anybody could lock another's account. Memory is bounded: at most SENDERS_MAX senders are
counted, and a new one replaces the one that began first.
"""

from __future__ import annotations

import math
import threading
from hashlib import sha256
from typing import Final

from sycee.core.clock import Clock, read_ns
from sycee.core.extras import extra
from sycee.server.auth.refusals import TooManyRequests
from sycee.server.auth.settings import RateLimit

with extra("bank"):
    from limits import RateLimitItem, RateLimitItemPerSecond
    from limits.storage.base import SlidingWindowCounterSupport, Storage
    from limits.strategies import SlidingWindowCounterRateLimiter

SENDERS_MAX: Final = 1 << 16  # of each limit's counters: 65,536 entries are about 20 MB


class BoundedStorage(Storage, SlidingWindowCounterSupport):
    """Counters of the current and the previous window of each key, in a dictionary of bounded size.

    `limits.storage.MemoryStorage` has no bound, and starts a thread that walks all keys a hundred times a second.
    """

    STORAGE_SCHEME = None

    def __init__(self, clock: Clock, *, keys_max: int = SENDERS_MAX) -> None:
        super().__init__()
        self._clock = clock
        self._keys_max = keys_max
        self._lock = threading.Lock()
        self._counters: dict[str, tuple[int, int, int]] = {}  # key: number of its window, previous count, count

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return the error that a storage over a network would raise."""
        return ValueError

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count `amount` and return true if the weighted count stays within `limit`."""
        with self._lock:
            window, previous, current, left_s = self._read(key, expiry)
            if previous * left_s / expiry + current + amount > limit:
                return False
            if key not in self._counters and len(self._counters) >= self._keys_max:
                del self._counters[next(iter(self._counters))]
            self._counters[key] = window, previous, current + amount
            return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the counts of the previous and the current window, each with the seconds until it ends to count."""
        with self._lock:
            _, previous, current, left_s = self._read(key, expiry)
        return previous, left_s, current, left_s + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forget a key."""
        with self._lock:
            self._counters.pop(key, None)

    def _read(self, key: str, expiry: int) -> tuple[int, int, int, float]:
        now_s = read_ns(self._clock) / 1e9
        window = int(now_s // expiry)
        left_s = (window + 1) * expiry - now_s
        stored, previous, current = self._counters.get(key, (window, 0, 0))
        if stored == window:
            return window, previous, current, left_s
        return window, current if stored == window - 1 else 0, 0, left_s

    def __len__(self) -> int:
        return len(self._counters)

    # --- required by the interface, and used by fixed windows only ---

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Raise NotImplementedError: only sliding windows are stored."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """Raise NotImplementedError: only sliding windows are stored."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """Raise NotImplementedError: only sliding windows are stored."""
        raise NotImplementedError

    def check(self) -> bool:
        """Return true: memory is always available."""
        return True

    def reset(self) -> int:
        """Forget all keys; return their number."""
        with self._lock:
            count = len(self._counters)
            self._counters.clear()
        return count

    def clear(self, key: str) -> None:
        """Forget a key."""
        self.clear_sliding_window(key, 0)


class Limiter:
    """One rate limit, by sender. Threads may share it."""

    def __init__(self, limit: RateLimit, clock: Clock, *, senders_max: int = SENDERS_MAX) -> None:
        self.storage = BoundedStorage(clock, keys_max=senders_max)
        self._item: RateLimitItem = RateLimitItemPerSecond(limit.count, limit.seconds)
        self._limiter = SlidingWindowCounterRateLimiter(self.storage)

    def count(self, sender: str) -> None:
        """Count an event. Raises TooManyRequests, without counting, if the limit is reached."""
        if not self._limiter.hit(self._item, sender):
            raise self._refused(sender)

    def add(self, sender: str) -> None:
        """Count an event whose sender is not told when the limit is reached."""
        self._limiter.hit(self._item, sender)

    def require(self, sender: str) -> None:
        """Raise TooManyRequests if the limit is reached; count nothing."""
        if not self._limiter.test(self._item, sender):
            raise self._refused(sender)

    def _refused(self, sender: str) -> TooManyRequests:
        _, left_s, _, _ = self.storage.get_sliding_window(self._item.key_for(sender), self._item.get_expiry())
        return TooManyRequests(math.ceil(left_s))


def token_name(token: str) -> str:
    """Return the name under which a token is counted. It is not the token, which would stay in memory."""
    return sha256(token.encode()).hexdigest()[:32]
