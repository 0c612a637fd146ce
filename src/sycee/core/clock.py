"""Clocks. This is the only module that reads the time; all others get a Clock as argument.

Times are integers of nanoseconds since 1970-01-01T00:00:00Z. A clock may repeat a time or move backwards, as the
machine's clock does when it is set: the sequencer makes frame times strictly increasing in any case.
"""

from __future__ import annotations

import operator
import time
from typing import Protocol, runtime_checkable

from sycee.core.errors import UsageError

NS_MIN = 0
NS_MAX = 2**63 - 1  # a frame stores its time as a signed 64-bit integer: it lasts until the year 2262


@runtime_checkable
class Clock(Protocol):
    """Interface of a clock."""

    def now_ns(self) -> int:
        """Return the time in nanoseconds since 1970-01-01T00:00:00Z."""
        ...


class RealClock:
    """The machine's clock."""

    __slots__ = ()

    def now_ns(self) -> int:
        """Return the machine's time."""
        return time.time_ns()


class FixedClock:
    """A clock that always returns the same time."""

    __slots__ = ("_ns",)

    def __init__(self, ns: int) -> None:
        self._ns = _checked(ns)

    def now_ns(self) -> int:
        """Return the fixed time."""
        return self._ns


class SimulatedClock:
    """A clock that replays and tests set, also backwards."""

    __slots__ = ("_ns",)

    def __init__(self, start_ns: int) -> None:
        self._ns = _checked(start_ns)

    def now_ns(self) -> int:
        """Return the time that was set last."""
        return self._ns

    def set(self, ns: int) -> None:
        """Set the time, which may be earlier than before."""
        self._ns = _checked(ns)

    def advance(self, ns: int) -> None:
        """Move the time forward by `ns` nanoseconds. UsageError for a negative number."""
        if ns < 0:
            raise UsageError(f"time cannot advance by {ns} ns", hint="set() can set an earlier time")
        self._ns = _checked(self._ns + ns)


def read_ns(clock: Clock) -> int:
    """Return the clock's time as a Python integer. Raises UsageError where the clock returns no integer."""
    ns: object = clock.now_ns()
    try:
        return operator.index(ns)  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(
            f"the clock {type(clock).__name__} returned {ns!r:.60}, a {type(ns).__name__}, for the time",
            hint="now_ns() returns an integer of nanoseconds since 1970-01-01T00:00:00Z, as time.time_ns() does",
        ) from error


def _checked(ns: int) -> int:
    if not NS_MIN <= ns <= NS_MAX:
        raise UsageError(
            f"{ns} ns does not fit a frame, whose time is from {NS_MIN} (1970) to {NS_MAX} (2262)",
            hint="times are integers of nanoseconds since 1970-01-01T00:00:00Z",
        )
    return ns
