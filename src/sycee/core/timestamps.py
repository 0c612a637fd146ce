"""Conversions between nanoseconds and dates of a time zone, for one time or for arrays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

import numpy as np

from sycee.core.arguments import check_integer, short_repr
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.core.time_zones import EPOCH, zone_info

Moment = int | date | str  # nanoseconds since 1970, a local date, or its ISO text

NS_PER_S: Final = 10**9
NS_PER_MINUTE: Final = 60 * NS_PER_S
NS_PER_DAY: Final = 86_400 * NS_PER_S
I64_MIN: Final = -(2**63)
YEAR_MIN, YEAR_MAX = 1678, 2261  # whole years within 64 bits of nanoseconds since 1970


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open interval of nanoseconds since 1970: from ≤ time < until. None is unbounded."""

    from_ns: int | None = None
    until_ns: int | None = None

    @classmethod
    def of(cls, zone: str, from_: Moment | None = None, until: Moment | None = None) -> Period:
        """Return the period between two moments; a date begins at its midnight in `zone`.

        Raises UsageError for an invalid moment, and if the end is before the beginning.
        """
        period = cls(*(None if each is None else moment_ns(each, zone) for each in (from_, until)))
        if period.from_ns is not None and period.until_ns is not None and period.until_ns < period.from_ns:
            raise UsageError(
                f"the period ends before it begins: from {from_}, until {until}",
                hint="until is the first day, or nanosecond, after the period",
            )
        return period

    @classmethod
    def of_year(cls, zone: str, year: int) -> Period:
        """Return a calendar year of a zone. Raises UsageError for a year outside the range of 64-bit nanoseconds."""
        number = check_integer("year", year, YEAR_MIN, YEAR_MAX - 1)
        return cls(moment_ns(date(number, 1, 1), zone), moment_ns(date(number + 1, 1, 1), zone))


def moment_ns(moment: Moment, zone: str) -> int:
    """Return the nanoseconds of a moment: an integer unchanged; a date, or its ISO text, as its midnight in `zone`."""
    if isinstance(moment, str):
        try:
            moment = date.fromisoformat(moment)
        except ValueError as error:
            raise UsageError(f"{short_repr(moment)} is not a date", hint="write a date such as 2026-03-31") from error
    if isinstance(moment, date) and not isinstance(moment, datetime):
        if not YEAR_MIN <= moment.year <= YEAR_MAX:
            raise UsageError(
                f"{moment} does not fit 64 bits of nanoseconds", hint=f"give a year from {YEAR_MIN} to {YEAR_MAX}"
            )
        # If a zone skips or repeats midnight, the day begins at the earlier reading.
        local = datetime(moment.year, moment.month, moment.day, tzinfo=zone_info(zone))
        return (local.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1_000
    return check_integer("moment", moment, I64_MIN, I64_MAX)


def local_time(time_ns: int, zone: str) -> datetime:
    """Return the local time of a zone, to the microsecond."""
    return (EPOCH + timedelta(microseconds=time_ns // 1_000)).astimezone(zone_info(zone))


def local_days(times_ns: Array, zone: str) -> Array:
    """Return local days since 1970-01-01: (n,) int64 nanoseconds to (n,) int64.

    Each minute is looked up once, because a zone changes its offset on a whole minute.
    """
    minutes, places = np.unique(times_ns // NS_PER_MINUTE, return_inverse=True)
    days: Array = np.fromiter(_days(minutes.tolist(), zone), np.int64, minutes.size)[places]
    return days


def _days(minutes: Iterable[int], zone: str) -> Iterable[int]:
    local = zone_info(zone)
    for minute in minutes:
        yield (EPOCH + timedelta(minutes=minute)).astimezone(local).toordinal() - EPOCH.toordinal()


def utc_day(time_ns: int) -> date:
    """Return the UTC day of a time."""
    return date.fromordinal(EPOCH.toordinal() + time_ns // NS_PER_DAY)


def utc_text(time_ns: int) -> str:
    """Return a time as text for people, to the second."""
    return local_time(time_ns, "UTC").strftime("%Y-%m-%d %H:%M:%S UTC")


def exact_text(time_ns: int) -> str:
    """Return a time in ISO 8601, to the nanosecond."""
    return f"{_second_text(time_ns // NS_PER_S)}.{time_ns % NS_PER_S:09d}Z"


@lru_cache(maxsize=1_024)  # times that are shown together often share their second
def _second_text(second: int) -> str:
    return (EPOCH + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
