"""What day it is: dates of a time zone to nanoseconds and back, for one moment or for many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import numpy as np

from sycee.core.arguments import check_integer, short_repr
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.sequencer.time_zones import EPOCH, zone_info

Moment = int | date | str  # nanoseconds since 1970, a local date, or its ISO text

NS_PER_S: Final = 10**9
NS_PER_MINUTE: Final = 60 * NS_PER_S
NS_PER_DAY: Final = 86_400 * NS_PER_S
I64_MIN: Final = -(2**63)
YEAR_MIN, YEAR_MAX = 1678, 2261  # whole years of what 64 bits of nanoseconds since 1970 can say


@dataclass(frozen=True, slots=True)
class Period:
    """From a moment on, and before another: nanoseconds since 1970. None: as far as there is history."""

    from_ns: int | None = None
    until_ns: int | None = None

    @classmethod
    def of(cls, zone: str, from_: Moment | None = None, until: Moment | None = None) -> Period:
        """The period between two moments; a date begins at its midnight in `zone`.

        Raises UsageError for what is no moment, and where the end is before the beginning.
        """
        made = cls(*(None if each is None else moment_ns(each, zone) for each in (from_, until)))
        if made.from_ns is not None and made.until_ns is not None and made.until_ns < made.from_ns:
            raise UsageError(
                f"the period ends before it begins: from {from_}, until {until}", hint="until is the first moment after"
            )
        return made

    @classmethod
    def of_year(cls, zone: str, year: int) -> Period:
        """A calendar year of a zone. Raises UsageError for what is none."""
        number = check_integer("year", year, YEAR_MIN, YEAR_MAX - 1)
        return cls(moment_ns(date(number, 1, 1), zone), moment_ns(date(number + 1, 1, 1), zone))


def moment_ns(moment: Moment, zone: str) -> int:
    """Nanoseconds of a moment: an integer is that already, a date or its ISO text begins at midnight in `zone`."""
    if isinstance(moment, str):
        try:
            moment = date.fromisoformat(moment)
        except ValueError as error:
            raise UsageError(f"{short_repr(moment)} is no date", hint='a date looks like "2026-03-31"') from error
    if isinstance(moment, date) and not isinstance(moment, datetime):
        if not YEAR_MIN <= moment.year <= YEAR_MAX:
            raise UsageError(
                f"{moment} does not fit 64 bits of nanoseconds", hint=f"years go from {YEAR_MIN} to {YEAR_MAX}"
            )
        # Where midnight is skipped or comes twice in a zone, the earlier reading is when the day begins.
        local = datetime(moment.year, moment.month, moment.day, tzinfo=zone_info(zone))
        return (local.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1_000
    return check_integer("moment", moment, I64_MIN, I64_MAX)


def local_time(time_ns: int, zone: str) -> datetime:
    """A moment as the clocks of a zone show it, to the microsecond."""
    return (EPOCH + timedelta(microseconds=time_ns // 1_000)).astimezone(zone_info(zone))


def local_days(times_ns: Array, zone: str) -> Array:
    """Local days (since 1970-01-01) of many moments: (n,) int64 nanoseconds to (n,) int64.

    A zone changes its offset on a whole minute, so each minute is looked up once.
    """
    minutes, places = np.unique(times_ns // NS_PER_MINUTE, return_inverse=True)
    days = np.fromiter(_days(minutes.tolist(), zone), np.int64, minutes.size)
    found: Array = days[places]
    return found


def _days(minutes: Iterable[int], zone: str) -> Iterable[int]:
    there = zone_info(zone)
    for minute in minutes:
        yield (EPOCH + timedelta(minutes=minute)).astimezone(there).toordinal() - EPOCH.toordinal()


def utc_day(time_ns: int) -> date:
    """The UTC day of a moment."""
    return date.fromordinal(EPOCH.toordinal() + time_ns // NS_PER_DAY)


def utc_text(time_ns: int) -> str:
    """A moment to the second, for people."""
    return local_time(time_ns, "UTC").strftime("%Y-%m-%d %H:%M:%S UTC")


def exact_text(time_ns: int) -> str:
    """A moment to the nanosecond, as ISO 8601 has it."""
    return f"{local_time(time_ns, 'UTC'):%Y-%m-%dT%H:%M:%S}.{time_ns % NS_PER_S:09d}Z"
