"""Calendars: weekends, holidays, days worked instead, and the time at which a day ends."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from sycee import data
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError
from sycee.day import calendar


@pytest.mark.parametrize(
    ("name", "day", "reason"),
    [
        ("weekends", "2026-11-07", "Saturday"),
        ("weekends", "2026-11-09", ""),
        ("every-day", "2026-11-07", ""),
        ("cn-2026", "2026-10-01", "National Day"),
        ("cn-2026", "2026-10-07", "National Day"),
        ("cn-2026", "2026-10-08", ""),
        ("cn-2026", "2026-10-10", ""),  # a Saturday on which people work
        ("cn-2026", "2026-10-11", "Sunday"),
        ("cn-2026", "2026-02-23", "Spring Festival"),
        ("target-2026", "2026-04-03", "Good Friday"),
        ("target-2026", "2027-03-29", "Easter Monday"),
        ("target-2026", "2028-12-26", "Christmas"),
        ("target-2026", "2026-05-04", ""),
    ],
)
def test_days(name: str, day: str, reason: str) -> None:
    assert calendar.load(name).reason(date.fromisoformat(day)) == reason


def test_the_next_business_day_skips_a_holiday() -> None:
    found = calendar.load("cn-2026")
    assert found.following(date(2026, 9, 30)) == date(2026, 10, 8)
    assert found.following(date(2026, 2, 13)) == date(2026, 2, 14)
    with pytest.raises(UsageError, match="2026-10-03 is no business day in the calendar cn-2026: National Day"):
        found.require_business_day(date(2026, 10, 3))
    with pytest.raises(UsageError, match="the calendar cn-2026 ends before 2027-01-04"):
        found.reason(date(2027, 1, 4))


def test_every_shipped_calendar_is_read_and_names_its_source() -> None:
    for name in data.names(calendar.FOLDER):
        found = calendar.load(name)
        assert found.name == name
        assert len(found.source) > 10


@pytest.mark.parametrize(
    ("cutoff", "zone", "expected"),
    [
        ("23:00", "Asia/Shanghai", "2026-11-02T15:00"),
        ("24:00", "Asia/Shanghai", "2026-11-02T16:00"),
        ("18:00", "Europe/Berlin", "2026-11-02T17:00"),
    ],
)
def test_a_day_ends_at_its_cutoff(cutoff: str, zone: str, expected: str) -> None:
    ends_ns = calendar.cutoff_ns(date(2026, 11, 2), cutoff, zone)
    assert datetime.fromtimestamp(ends_ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M") == expected
    assert calendar.local_day(ends_ns - 1, zone) == date(2026, 11, 2)


def test_a_holiday_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    text = data.content(calendar.FOLDER, "cn-2026").decode().replace("until = 2026-01-04", "until = 2026-01-01")
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(DocumentError, match="the holiday ends on 2026-01-01"):
        calendar.load(tmp_path / "mine.toml")
