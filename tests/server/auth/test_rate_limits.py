"""Rate limits: their windows, their senders, and their bounded memory."""

from __future__ import annotations

import pytest

from sycee.core.clock import SimulatedClock
from sycee.server.auth.rate_limits import Limiter
from sycee.server.auth.refusals import TooManyRequests
from sycee.server.auth.settings import RateLimit

pytestmark = pytest.mark.fast
START_NS = 1_793_580_000 * 10**9


def test_a_sender_is_limited_and_others_are_not() -> None:
    clock = SimulatedClock(START_NS)
    limiter = Limiter(RateLimit(3, 60), clock)
    for _ in range(3):
        limiter.count("a")
    with pytest.raises(TooManyRequests) as caught:
        limiter.count("a")
    assert caught.value.headers["Retry-After"] == "60"
    limiter.count("b")
    clock.advance(60 * 10**9 + 1)  # the window before counts less and less
    with pytest.raises(TooManyRequests):
        limiter.count("a")
    clock.advance(20 * 10**9)
    limiter.count("a")
    clock.advance(120 * 10**9)
    for _ in range(3):
        limiter.count("a")


def test_requiring_counts_nothing() -> None:
    limiter = Limiter(RateLimit(2, 60), SimulatedClock(START_NS))
    for _ in range(5):
        limiter.require("a")
    limiter.add("a")
    limiter.require("a")
    limiter.add("a")
    limiter.add("a")
    with pytest.raises(TooManyRequests):
        limiter.require("a")


def test_memory_is_bounded() -> None:
    limiter = Limiter(RateLimit(1, 60), SimulatedClock(START_NS), senders_max=100)
    for number in range(1_000):
        limiter.count(str(number))
    assert len(limiter.storage) == 100
    with pytest.raises(TooManyRequests):
        limiter.count("999")
    assert limiter.storage.reset() == 100
