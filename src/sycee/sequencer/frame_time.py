"""The time of the next frame, the local dates that go with it, and which times of a clock are refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sycee.core import limits
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.errors import UnavailableError
from sycee.journal.frame import CalendarEntry
from sycee.sequencer.time_zones import EPOCH, calendar_of

NS_PER_S: Final = 10**9
# When this file was written. The machine's clock was set wrong where it says less; a battery that is empty says 1970.
RELEASED_NS: Final = int(datetime(2026, 11, 27, tzinfo=UTC).timestamp()) * NS_PER_S
# A first frame has none before it to measure its clock by, so the release is the measure. Nobody begins a ledger with
# a release of twenty years ago; a first frame in 2200 would let no other follow.
FIRST_TIME_NS_MAX: Final = RELEASED_NS + 20 * 366 * 86_400 * NS_PER_S

assert limits.FRAME_TIME_NS_MAX > FIRST_TIME_NS_MAX


def next_time_ns(clock: Clock, last_ns: int) -> int:
    """Return the time of the frame after one of `last_ns`, 0 for none: the clock's, or 1 ns later where it went back.

    Raises UnavailableError for a clock gone wild: no later frame could ever have an earlier time. Of a ledger's first
    frame the machine's clock must also not be before the release, or the right time would be years ahead of the ledger
    later. Raises UsageError where the clock returns no integer.
    """
    clock_ns = read_ns(clock)
    if last_ns:
        latest_ns, against = min(last_ns + limits.CLOCK_AHEAD_NS_MAX, limits.FRAME_TIME_NS_MAX), "the ledger"
    else:
        latest_ns, against = FIRST_TIME_NS_MAX, f"this release of {_date(RELEASED_NS)}"
    if clock_ns > latest_ns:
        raise UnavailableError(
            f"the clock says {_date(clock_ns)}, years ahead of {against}",
            hint="set the machine's clock; nothing was written",
        )
    if not last_ns and clock_ns < RELEASED_NS and isinstance(clock, RealClock):
        raise UnavailableError(
            f"the machine's clock says {_date(clock_ns)}, before {against} was made",
            hint="set the machine's clock; nothing was written",
        )
    return max(clock_ns, last_ns + 1)


class FrameTimes:
    """Reads the clock for the writer. For one thread."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._key: tuple[int, dict[int, str]] = (-1, {})  # the second and the zones of the dates below
        self._calendar: tuple[CalendarEntry, ...] = ()

    def calendar_at(self, now_ns: int, zones: dict[int, str]) -> tuple[CalendarEntry, ...]:
        """Return each currency's local date. Offsets of zones change at whole seconds, so dates are kept for one."""
        key = now_ns // NS_PER_S, dict(zones)
        if key != self._key:
            self._key, self._calendar = key, calendar_of(zones, now_ns)
        return self._calendar


def _date(ns: int) -> str:
    """A day in words; ns of a frame's 64 bits, which end in 2262, or of more."""
    return f"{EPOCH + timedelta(microseconds=ns // 1000):%F}" if ns <= limits.I64_MAX else f"{ns} ns after 1970"
