"""Whether data that was processed abroad returned by its deadline, by counting the days."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.compliance.naive_logic import Truth, conjunction

from sycee.compliance.profiles import DAYS, Condition


def in_time(moments: Mapping[str, object], condition: Condition) -> Truth:
    """Return whether data taken at one moment was returned and deleted by the deadline of a condition."""
    taken = moments["taken_at"]
    if not isinstance(taken, int):
        return None
    zone = ZoneInfo(condition.zone)
    day = datetime.fromtimestamp(taken / 10**9, zone).date()
    business = []  # the business days from this one on
    while len(business) <= condition.business_days:
        if DAYS[day.weekday()] not in condition.weekend and day.isoformat() not in condition.holidays:
            business.append(day)
        elif not business and condition.business_days:
            business.append(day)  # data taken on a day off has all of the business days after it
        day += timedelta(days=1)
    end = datetime(business[-1].year, business[-1].month, business[-1].day, tzinfo=zone) + timedelta(days=1)
    last = min(taken + condition.hours * 3600 * 10**9, int(end.astimezone(UTC).timestamp()) * 10**9 - 1)
    back = [moments["returned_at"], moments["deleted_at"]]
    return conjunction([taken <= each <= last if isinstance(each, int) else None for each in back])
