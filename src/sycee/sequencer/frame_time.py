"""The time of the next frame, its local dates, and limits for the time that a clock may return."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sycee.core import limits
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.errors import UnavailableError
from sycee.core.time_zones import EPOCH
from sycee.journal.frame import CalendarEntry
from sycee.sequencer.time_zones import calendar_of

NS_PER_S: Final = 10**9
# Release date. An earlier time means that the machine's clock is wrong, for example 1970 after an empty battery.
RELEASED_NS: Final = int(datetime(2026, 11, 27, tzinfo=UTC).timestamp()) * NS_PER_S
# A first frame has no previous frame to compare its time with, so the release date is the reference. No ledger is
# created with a release that is twenty years old, and a first frame in 2200 would make every later frame impossible.
FIRST_TIME_NS_MAX: Final = RELEASED_NS + 20 * 366 * 86_400 * NS_PER_S

assert limits.FRAME_TIME_NS_MAX > FIRST_TIME_NS_MAX


def next_time_ns(clock: Clock, last_ns: int) -> int:
    """Return the time of the next frame: the clock's, or `last_ns` + 1 if the clock moved backwards.

    `last_ns`: time of the last frame, 0 for none. Raises UnavailableError if the clock is years ahead, since no later
    frame could have an earlier time; and, for a ledger's first frame, if the machine's clock is before the release
    date. Raises UsageError if the clock returns no integer.
    """
    clock_ns = read_ns(clock)
    if last_ns:
        latest_ns, reference = min(last_ns + limits.CLOCK_AHEAD_NS_MAX, limits.FRAME_TIME_NS_MAX), "the ledger"
    else:
        latest_ns, reference = FIRST_TIME_NS_MAX, f"this release of {_date(RELEASED_NS)}"
    if clock_ns > latest_ns:
        raise UnavailableError(
            f"the clock returned {_date(clock_ns)}, years ahead of {reference}",
            hint="set the machine's clock; nothing was written",
        )
    if not last_ns and clock_ns < RELEASED_NS and isinstance(clock, RealClock):
        raise UnavailableError(
            f"the machine's clock returned {_date(clock_ns)}, before {reference}",
            hint="set the machine's clock; nothing was written",
        )
    return max(clock_ns, last_ns + 1)


class FrameTimes:
    """Clock and local dates for the writer. For one thread."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._key: tuple[int, dict[int, str]] = (-1, {})  # second and zones of the cached dates
        self._calendar: tuple[CalendarEntry, ...] = ()

    def calendar_at(self, now_ns: int, zones: dict[int, str]) -> tuple[CalendarEntry, ...]:
        """Return each currency's local date, cached for one second: offsets of zones change at whole seconds only."""
        key = now_ns // NS_PER_S, dict(zones)
        if key != self._key:
            self._key, self._calendar = key, calendar_of(zones, now_ns)
        return self._calendar


def _date(ns: int) -> str:
    """Return the date of `ns`, or the number itself if it is beyond 64 bits (the year 2262)."""
    return f"{EPOCH + timedelta(microseconds=ns // 1000):%F}" if ns <= limits.I64_MAX else f"{ns} ns after 1970"
