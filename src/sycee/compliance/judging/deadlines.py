"""The deadline for returning data from abroad: the earlier of some hours and the end of a business day."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sycee.compliance.profiles import DAYS, Condition

_NS: Final = 10**9
_HOUR_NS: Final = 3600 * _NS


def start_ns(day: date, zone: tzinfo) -> int:
    """Return the first moment of a day in a time zone, in ns since 1970-01-01T00:00Z."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) * _NS


class Deadline:
    """Both limits of one condition `returned-in-time`."""

    def __init__(self, condition: Condition) -> None:
        self._hours_ns = condition.hours * _HOUR_NS
        self._business_days = condition.business_days
        self._zone = ZoneInfo(condition.zone)
        self._weekend = frozenset(DAYS.index(day) for day in condition.weekend)
        self._holidays = condition.holidays
        self._end_of_day_ns = lru_cache(maxsize=None)(self._end_ns)

    def of(self, taken_ns: int) -> int:
        """Return the last permitted moment for data that left at `taken_ns`, both ns since 1970-01-01T00:00Z."""
        hours_ns = taken_ns + self._hours_ns
        try:
            day = datetime.fromtimestamp(taken_ns // _NS, self._zone).date()
            return min(hours_ns, self._end_of_day_ns(day))
        except (OverflowError, ValueError):  # the day is beyond the end of the calendar
            return hours_ns

    def _end_ns(self, day: date) -> int:
        """Return the last moment of the business day that ends the period.

        That is the day itself with a limit of 0 business days, or the next business day if it is a day off.
        """
        left = self._business_days
        while left or not self._is_business(day):
            day += timedelta(days=1)
            left -= left > 0 and self._is_business(day)
        return start_ns(day + timedelta(days=1), self._zone) - 1

    def _is_business(self, day: date) -> bool:
        return day.weekday() not in self._weekend and day.isoformat() not in self._holidays
