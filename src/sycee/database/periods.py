"""Periods of jobs: `every:NS`, or `daily:HH:MM ZONE`. The next time follows from the one before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sycee.core.errors import UsageError
from sycee.core.time_zones import zone_info

_EVERY = re.compile(r"every:([1-9][0-9]{0,18})")
_DAILY = re.compile(r"daily:([01][0-9]|2[0-3]):([0-5][0-9]) (\S+)")
_SECOND_NS = 10**9


@dataclass(frozen=True, slots=True)
class Period:
    """The distance of a job's times: `every_ns`, or daily at `at` in `zone`. Neither: one run."""

    every_ns: int = 0
    at: time | None = None
    zone: ZoneInfo | None = None

    def following(self, due_ns: int) -> int:
        """Return the time after `due_ns`."""
        if self.at is None or self.zone is None:
            return due_ns + self.every_ns
        day = datetime.fromtimestamp(due_ns // _SECOND_NS, self.zone).date()
        while True:
            # A time that a change of the clocks skips is an hour later on that day.
            found = int(datetime.combine(day, self.at, self.zone).astimezone(UTC).timestamp()) * _SECOND_NS
            if found > due_ns:
                return found
            day += timedelta(days=1)


def parse_period(text: str) -> Period:
    """Return the period of a text. Raises UsageError for another form or an unknown zone."""
    if not text:
        return Period()
    if found := _EVERY.fullmatch(text):
        return Period(every_ns=int(found[1]))
    if found := _DAILY.fullmatch(text):
        return Period(at=time(int(found[1]), int(found[2])), zone=zone_info(found[3]))
    raise UsageError(f"{text!r} is not a period", hint="use every:NANOSECONDS, or daily:HH:MM and a time zone")


def occurrence_at(period: str, due_ns: int, now_ns: int) -> int:
    """Return the last time of a period, from `due_ns` on, that is not later than `now_ns`."""
    parsed = parse_period(period)
    if parsed.every_ns:
        return due_ns + (now_ns - due_ns) // parsed.every_ns * parsed.every_ns
    while (following := parsed.following(due_ns)) <= now_ns:
        due_ns = following
    return due_ns
