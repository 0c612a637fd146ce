"""Calendar of business days: dated data with a source, and the time at which each day ends.

Payments never stop. A business day begins at the end of the business day before it. So payments of a weekend or a
holiday belong to the next business day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from sycee import data
from sycee.core.errors import UsageError
from sycee.core.time_zones import EPOCH, zone_info

FOLDER: Final = "calendars"
MARKS: Final = ("1", "2", "assumed")  # found in one source, found in two or more, assumed by us
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ONE_DAY: Final = timedelta(days=1)

_TIME: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")
_SEARCH_MAX: Final = 60  # days: no calendar has a longer holiday


@dataclass(frozen=True, slots=True)
class Calendar:
    """Business days from `first` until `end`, which is excluded.

    `holidays`, `workdays`: name of each day that differs from its week.
    """

    name: str
    title: str
    first: date
    end: date
    weekend: frozenset[int]
    holidays: Mapping[date, str]
    workdays: Mapping[date, str]
    source: str

    def reason(self, day: date) -> str:
        """Return why a day is no business day: its weekday or the name of its holiday; "" for a business day.

        Raises UsageError for a day outside the calendar.
        """
        if not self.first <= day < self.end:
            raise UsageError(
                f"the calendar {self.name} ends before {day}" if day >= self.end else f"it begins after {day}",
                hint="name a newer calendar in the setting `calendar` of sycee.toml",
            )
        if day in self.workdays:
            return ""
        return self.holidays.get(day) or (WEEKDAYS[day.weekday()] if day.weekday() in self.weekend else "")

    def following(self, day: date) -> date:
        """Return the first business day after a day. Raises UsageError at the end of the calendar."""
        for number in range(1, _SEARCH_MAX):
            found = day + number * ONE_DAY
            if not self.reason(found):
                return found
        raise UsageError(f"the calendar {self.name} has no business day soon after {day}", hint="correct its holidays")

    def on_or_after(self, day: date) -> date:
        """Return the first business day that is not before a day."""
        return self.following(day - ONE_DAY)

    def require_business_day(self, day: date) -> None:
        """Raise UsageError for a day on which nothing closes."""
        if reason := self.reason(day):
            raise UsageError(
                f"{day} is no business day in the calendar {self.name}: {reason}",
                hint=f"its payments belong to {self.following(day)}",
            )


def load(source: Path | str) -> Calendar:
    """Return the calendar of a shipped name, such as "weekends", or of a TOML file. Errors of `data.document`."""
    table = data.document(FOLDER, source, "calendar")
    holidays: dict[date, str] = {}
    for each in table.tables("holidays") if "holidays" in table else ():
        name, day, end = each.text("name"), each.day("from"), each.day("until")
        each.finish()
        if not ONE_DAY <= end - day <= _SEARCH_MAX * ONE_DAY:
            raise each.error("until", f"the holiday ends on {end}", right="the first day after the holiday")
        while day < end:
            holidays[day], day = name, day + ONE_DAY
    workdays: dict[date, str] = {}
    for each in table.tables("workdays") if "workdays" in table else ():
        workdays[each.day("day")] = each.text("name")
        each.finish()
    table.choice("mark", MARKS)
    weekend = table.texts("weekend", choices=WEEKDAYS, empty=True)
    calendar = Calendar(
        name=table.text("name"),
        title=table.text("title"),
        first=table.day("from"),
        end=table.day("until"),
        weekend=frozenset(WEEKDAYS.index(each) for each in weekend),
        holidays=holidays,
        workdays=workdays,
        source=table.text("source"),
    )
    table.offer("holidays")
    table.offer("workdays")
    table.finish()
    return calendar


def cutoff_ns(day: date, cutoff: str, zone: str) -> int:
    """Return the nanoseconds at which a business day ends: the first that no longer belong to it.

    `cutoff`: local time such as "23:00"; "24:00" is the midnight after the day. Where a clock shows the time twice, the
    first counts.
    """
    matched = _TIME.fullmatch(cutoff)
    if matched is None:
        raise UsageError(f"{cutoff!r} is no time of a day", hint="write a time such as 23:00")
    hours, minutes = int(matched[1]), int(matched[2])
    at = day + (ONE_DAY if hours == 24 else timedelta())
    local = datetime(at.year, at.month, at.day, hours % 24, minutes, tzinfo=zone_info(zone))
    return (local.astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1_000


def local_day(ns: int, zone: str) -> date:
    """Return the local day of a time."""
    return (EPOCH + timedelta(microseconds=ns // 1_000)).astimezone(zone_info(zone)).date()
