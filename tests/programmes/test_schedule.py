"""Schedules: the local days of a rule, windows that move with them, and rules that a programme cannot follow."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sycee.core import documents
from sycee.core.documents import DocumentError
from sycee.programmes.definition import Programme, define
from sycee.programmes.schedule import Schedule

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "programme.md"
SPRING = PAGE.read_text().partition("```toml title=spring.toml\n")[2].partition("```")[0]
MONTHLY = "FREQ=MONTHLY;BYMONTHDAY=1;COUNT=12"


def programme(rule: str, *, overlap: bool = True, expiry: str = "2027-05-31 24:00") -> Programme:
    """The programme of the reference, repeated; its registration opens on 1 March 2027 at 08:00 in Paris."""
    table = f'\n[schedule]\nrule = "{rule}"\ncatch_up = "each"\noverlap = {str(overlap).lower()}\nbeacon_period_s = 3\n'
    return define(documents.parse(SPRING.replace("2027-05-31 24:00", expiry) + table, "spring.toml"))


def days(made: Programme, count: int) -> list[str]:
    assert made.schedule is not None
    return [each.isoformat() for each in itertools.islice(made.schedule.days(), count)]


def test_the_days_of_a_rule() -> None:
    assert days(programme(MONTHLY), 4) == ["2027-03-01", "2027-04-01", "2027-05-01", "2027-06-01"]
    assert len(days(programme(MONTHLY), 99)) == 12
    weekly = programme("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO;UNTIL=20270401T000000")
    assert days(weekly, 99) == ["2027-03-01", "2027-03-15", "2027-03-29"]
    assert weekly.schedule is not None
    assert weekly.schedule.first_after(date(2027, 3, 2)) == date(2027, 3, 15)
    assert weekly.schedule.first_after(date(2027, 3, 29)) is None


def test_windows_move_by_local_days_across_a_change_of_the_clocks() -> None:
    made = programme(MONTHLY)
    april = made.on(date(2027, 4, 1))
    assert made.on(date(2027, 3, 1)) is made

    def utc(ns: int) -> str:
        return datetime.fromtimestamp(ns // 10**9, UTC).isoformat()

    # 08:00 in Paris is 07:00 UTC in March, and 06:00 UTC from 28 March on.
    assert utc(made.registration.from_ns) == "2027-03-01T07:00:00+00:00"
    assert utc(april.registration.from_ns) == "2027-04-01T06:00:00+00:00"
    assert utc(april.expires_ns) == "2027-07-01T22:00:00+00:00"  # 31 days after 1 June at 00:00, local time
    # The draw is due an hour earlier in UTC: 31 days less an hour are 891,600 periods of 3 s.
    assert april.draw.beacon_round - made.draw.beacon_round == (31 * 86_400 - 3_600) // 3
    assert utc(april.draw.beacon_due_ns) == "2027-04-15T10:00:00+00:00"


def test_a_time_that_the_clocks_skip_is_later_and_one_that_occurs_twice_is_the_first() -> None:
    paris = ZoneInfo("Europe/Paris")
    half_past_two = datetime.fromisoformat("2027-03-01T02:30")
    made = Schedule("FREQ=DAILY", half_past_two, paris, "each", overlap=True, beacon_period_s=3)
    begins = {
        day: datetime.fromtimestamp(made.begins_ns(date.fromisoformat(day)) // 10**9, paris).isoformat()
        for day in ("2027-03-28", "2027-10-31")
    }
    assert begins == {"2027-03-28": "2027-03-28T03:30:00+02:00", "2027-10-31": "2027-10-31T02:30:00+02:00"}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=HOURLY", "rule of RFC 5545 by days"),
        ("FREQ=MONTHLY;BYHOUR=3", 'the part "BYHOUR"'),
        ("every month", "rule of RFC 5545 by days"),
        ("FREQ=MONTHLY;FREQ=DAILY", "a part twice"),
        ("FREQ=MONTHLY;COUNT=many", "COUNT is no number from 1 on"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL is no number from 1 on"),
        ("FREQ=MONTHLY;UNTIL=soon", "is no rule"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "the first day of the rule is never"),
        ("FREQ=MONTHLY;BYMONTHDAY=2", "the first day of the rule is 2027-03-02"),
        ("FREQ=WEEKLY;COUNT=40", "a wallet could have packets of 17 occurrences"),
    ],
)
def test_rules_that_a_programme_cannot_follow(rule: str, said: str) -> None:
    with pytest.raises(DocumentError, match=r"spring.toml:[0-9]+: schedule.rule") as caught:
        programme(rule, expiry="2027-07-31 24:00")
    assert said in f"{caught.value} {caught.value.hint}"


def test_occurrences_overlap_only_with_leave() -> None:
    with pytest.raises(
        DocumentError, match=r"occurrence 1 begins 2027-04-01 08:00:00.02:00, before occurrence 0 expires"
    ):
        programme(MONTHLY, overlap=False)
    assert programme("FREQ=MONTHLY;INTERVAL=4;COUNT=3", overlap=False).schedule is not None
