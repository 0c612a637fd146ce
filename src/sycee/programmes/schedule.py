"""Schedules of regular programmes: a recurrence rule of RFC 5545 gives the local days on which occurrences begin.

An occurrence begins at the local time of the first one. A time that a change of clocks skips is later by the length of
the gap; of a time that occurs twice, the first counts (RFC 5545, section 3.3.5).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.extras import extra
from sycee.core.limits import PURSES_PER_WALLET_MAX
from sycee.core.time_zones import EPOCH

CATCH_UP: Final = ("each", "last")
FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
PARTS: Final = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")
DAYS_MAX: Final = 3_660  # the ledger's clock may move this far in one step
OCCURRENCES_MAX: Final = DAYS_MAX  # one a day
OCCURRENCES_CHECKED: Final = 1_000  # their windows are compared
_RIGHT: Final = 'a rule of RFC 5545 by days, such as "FREQ=MONTHLY;BYMONTHDAY=1;COUNT=12"'


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a programme is repeated.

    - `rule`: of RFC 5545. `starts`: the local beginning of occurrence 0, without a zone.
    - `catch_up`: of several beginnings that were missed, the occurrences that still begin: "each", or the "last".
    - `overlap`: whether an occurrence may begin before the one before it is finished.
    - `beacon_period_s`: seconds between two rounds of the beacon's source; 0 if nothing is drawn again.
    """

    rule: str
    starts: datetime
    zone: ZoneInfo
    catch_up: str
    overlap: bool
    beacon_period_s: int

    def days(self) -> Iterator[date]:
        """Yield the local days on which occurrences begin, from occurrence 0 on, for ten years at most.

        A rule of which no day fits would be searched for thousands of years.
        """
        with extra("bank"):
            from dateutil.parser import parse
            from dateutil.rrule import rrulestr

        parts = _parts(self.rule)
        count = int(parts.pop("COUNT", OCCURRENCES_MAX))
        until = self.starts + timedelta(days=DAYS_MAX)
        if "UNTIL" in parts:
            until = min(until, parse(parts.pop("UNTIL")))
        rule = rrulestr(";".join(f"{name}={value}" for name, value in parts.items()), dtstart=self.starts)
        for moment in itertools.islice(rule.replace(until=until), count):
            yield moment.date()

    def begins_ns(self, day: date) -> int:
        """Return the moment at which the occurrence of this day begins."""
        return instant(datetime.combine(day, self.starts.time()), self.zone)

    def moved_ns(self, moment_ns: int, day: date) -> int:
        """Return a moment of occurrence 0 as the occurrence of `day` has it: as many local days later."""
        return instant(local_time(moment_ns, self.zone) + (day - self.starts.date()), self.zone)

    def first_after(self, day: date) -> date | None:
        """Return the day of the occurrence that follows the one of `day`; None after the last."""
        return next((each for each in self.days() if each > day), None)


def instant(local: datetime, zone: ZoneInfo) -> int:
    """Return the nanoseconds since 1970-01-01T00:00Z of a local time without a zone."""
    return (local.replace(tzinfo=zone).astimezone(UTC) - EPOCH) // timedelta(microseconds=1) * 1_000


def local_time(moment_ns: int, zone: ZoneInfo) -> datetime:
    """Return the local time of a moment, without a zone. Fractions of a microsecond are dropped."""
    return (EPOCH + timedelta(microseconds=moment_ns // 1_000)).astimezone(zone).replace(tzinfo=None)


def read(table: Table, zone: ZoneInfo, *, begins_ns: int, claim_from_ns: int, expires_ns: int) -> Schedule:
    """Return the schedule of a file's table; the moments are of occurrence 0.

    Raises DocumentError for a rule that is none, that does not include the first day, or by which too many occurrences
    would overlap.
    """
    made = Schedule(
        rule=_checked_rule(table),
        starts=local_time(begins_ns, zone),
        zone=zone,
        catch_up=table.choice("catch_up", CATCH_UP),
        overlap=table.boolean("overlap"),
        beacon_period_s=table.integer("beacon_period_s", least=1, most=366 * 86_400),
    )
    _check_days(table, made)
    _check_windows(table, made, claim_from_ns, expires_ns)
    table.finish()
    return made


def _checked_rule(table: Table) -> str:
    """Return the rule. Raises DocumentError for a text that is no rule, or one of hours, minutes or seconds."""
    rule = table.text("rule")
    values = _parts(rule)
    if unknown := [name for name in values if name not in PARTS]:
        raise table.error("rule", f"{documents.found(rule)} has the part {documents.found(unknown[0])}", right=_RIGHT)
    if len(values) < len(rule.split(";")):
        raise table.error("rule", f"{documents.found(rule)} has a part twice", right=_RIGHT)
    if values.get("FREQ") not in FREQUENCIES:
        raise table.error("rule", f"found {documents.found(rule)}", right=_RIGHT)
    for name in ("INTERVAL", "COUNT"):
        if name in values and not (values[name].isascii() and values[name].isdigit() and int(values[name])):
            raise table.error("rule", f"{documents.found(rule)}: {name} is no number from 1 on", right=_RIGHT)
    with extra("bank"):
        from dateutil.rrule import rrulestr
    try:
        rrulestr(rule, dtstart=datetime.fromisoformat("2000-01-01"))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise table.error("rule", f"{documents.found(rule)} is no rule: {error}", right=_RIGHT) from error
    return rule


def _parts(rule: str) -> dict[str, str]:
    """Return the parts of a rule in capital letters, by name."""
    return {part.partition("=")[0].upper(): part.partition("=")[2].upper() for part in rule.split(";")}


def _check_days(table: Table, schedule: Schedule) -> None:
    first = next(schedule.days(), None)
    if first != schedule.starts.date():
        raise table.error(
            "rule",
            f"registration opens on {schedule.starts.date()}, but the first day of the rule is {first or 'never'}",
            right="a rule that includes the day on which registration opens: it is the first occurrence",
        )


def _check_windows(table: Table, schedule: Schedule, claim_from_ns: int, expires_ns: int) -> None:
    """Raise DocumentError if occurrences overlap without permission, or a wallet would have too many purses."""
    days = list(itertools.islice(schedule.days(), OCCURRENCES_CHECKED))
    begins = [schedule.begins_ns(day) for day in days]
    claims, ends = ([schedule.moved_ns(moment_ns, day) for day in days] for moment_ns in (claim_from_ns, expires_ns))
    for index, (begin, end) in enumerate(zip(begins[1:], ends, strict=False)):
        if begin < end and not schedule.overlap:
            raise table.error(
                "overlap",
                f"occurrence {index + 1} begins {documents.shown_moment(begin, schedule.zone)}, before occurrence "
                f"{index} expires, {documents.shown_moment(end, schedule.zone)}",
                right="overlap = true, a rule with longer distances, or an earlier expiry",
            )
    first = 0
    for index, claim in enumerate(claims):
        while ends[first] <= claim:
            first += 1
        if index - first + 1 > PURSES_PER_WALLET_MAX:
            raise table.error(
                "rule",
                f"from {documents.shown_moment(claim, schedule.zone)} a wallet could have packets of "
                f"{index - first + 1} occurrences that are not expired",
                right=f"at most {PURSES_PER_WALLET_MAX} at once: an earlier expiry, or longer distances",
            )
