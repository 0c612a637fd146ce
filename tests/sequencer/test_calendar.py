"""Local dates of currencies, and times of frames."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from tests.sequencer.small import SHOP, START_NS, TREASURY, opening, some_ids

from sycee.core.clock import FixedClock, SimulatedClock
from sycee.core.errors import UsageError
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.core.result_codes import Result
from sycee.journal import CalendarEntry, Journal
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.time_zones import calendar_entry
from sycee.sequencer.verify import verify
from sycee.testing.disk import FakeDisk


def test_local_dates_change_at_midnight_and_for_a_new_currency() -> None:
    """Dates are cached for one second; another second, another zone or an earlier clock computes them again."""
    midnight_ns = ns("2020-10-18T16:00")  # in Shanghai
    clock = SimulatedClock(midnight_ns - 3)
    disk = FakeDisk()
    sequencer = Sequencer(Journal.create(disk), clock=clock, overlap=False)
    sequencer.submit(opening())
    for number, moment_ns in enumerate((midnight_ns - 1, midnight_ns, midnight_ns + 1)):
        clock.set(moment_ns)
        sequencer.submit(operations.transfer(700 + number, debit=TREASURY, credit=SHOP, amount=1))
    sequencer.submit(operations.define_currency(710, currency=978, zone="Europe/Paris"))
    sequencer.submit(operations.transfer(711, debit=TREASURY, credit=SHOP, amount=1))
    frames = list(Journal.open(disk, read_only=True).recover())[2:]
    for frame in frames:
        zones = {156: "Asia/Shanghai"} | ({978: "Europe/Paris"} if frame is frames[-1] else {})
        assert frame.calendar == tuple(calendar_entry(*zone, frame.time_ns) for zone in zones.items())
    assert frames[0].calendar != frames[1].calendar == frames[2].calendar
    sequencer.close()


def ns(text: str) -> int:
    """Return a UTC time in nanoseconds; a trailing "-1" subtracts one nanosecond."""
    before = text.endswith(" -1")
    moment = datetime.fromisoformat(text.removesuffix(" -1")).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 - before


@pytest.mark.parametrize(
    ("zone", "utc", "local"),
    [
        ("Asia/Shanghai", "2020-10-18T16:00 -1", "2020-10-18"),  # the last nanosecond of the Luohu packets
        ("Asia/Shanghai", "2020-10-18T16:00", "2020-10-19"),
        ("America/New_York", "2021-01-01T05:00 -1", "2020-12-31"),  # year's end
        ("America/New_York", "2021-01-01T05:00", "2021-01-01"),
        ("America/New_York", "2021-07-01T04:00 -1", "2021-06-30"),  # summer time
        ("America/New_York", "2021-07-01T04:00", "2021-07-01"),
        ("Europe/Paris", "2021-03-27T23:00", "2021-03-28"),  # the day of 23 hours begins at +1
        ("Europe/Paris", "2021-03-28T22:00 -1", "2021-03-28"),  # and ends at +2
        ("Europe/Paris", "2021-03-28T22:00", "2021-03-29"),
        ("Europe/Paris", "2021-10-30T22:00", "2021-10-31"),  # the day of 25 hours
        ("Europe/Paris", "2021-10-31T23:00 -1", "2021-10-31"),
        ("Europe/Paris", "2021-10-31T23:00", "2021-11-01"),
        ("Asia/Kathmandu", "2022-04-13T18:15 -1", "2022-04-13"),  # +5:45
        ("Asia/Kathmandu", "2022-04-13T18:15", "2022-04-14"),
        ("America/Sao_Paulo", "2018-11-04T03:00 -1", "2018-11-03"),  # a day without midnight: it begins at 01:00
        ("America/Sao_Paulo", "2018-11-04T03:00", "2018-11-04"),
        ("Pacific/Apia", "2011-12-30T10:00 -1", "2011-12-29"),  # 30 December 2011 was skipped
        ("Pacific/Apia", "2011-12-30T10:00", "2011-12-31"),
        ("Pacific/Kiritimati", "2024-02-28T10:00", "2024-02-29"),  # +14, leap day
        ("UTC", "1970-01-01T00:00", "1970-01-01"),
        ("America/Los_Angeles", "1970-01-01T00:00", "1969-12-31"),
        ("UTC", "2262-04-11T23:47", "2262-04-11"),  # the latest time of a frame
    ],
)
def test_the_local_day_month_and_year(zone: str, utc: str, local: str) -> None:
    day = date.fromisoformat(local)
    assert calendar_entry(999, zone, ns(utc)) == CalendarEntry(
        currency=999,
        day=(day - date(1970, 1, 1)).days,
        month=(day.year - 1970) * 12 + day.month - 1,
        year=day.year,
    )


def test_frames_carry_the_date_of_each_currency_defined_before_them() -> None:
    disk = FakeDisk()
    clock = SimulatedClock(ns("2020-12-31T16:30"))
    sequencer = Sequencer(Journal.create(disk), clock=clock)
    sequencer.submit(operations.define_currency(1, currency=156, zone="Asia/Shanghai"))
    sequencer.submit(operations.define_currency(2, currency=840, zone="America/New_York"))
    sequencer.submit(operations.define_group(3, group=1))
    sequencer.close()
    calendars = [frame.calendar for frame in Journal.open(disk).recover()][1:4]
    new_year, old_year = date(2021, 1, 1), date(2020, 12, 31)
    shanghai = CalendarEntry(156, (new_year - date(1970, 1, 1)).days, 612, 2021)
    new_york = CalendarEntry(840, (old_year - date(1970, 1, 1)).days, 611, 2020)
    assert calendars == [(), (shanghai,), (shanghai, new_york)]


@pytest.mark.parametrize(
    "zone", ["Asia/Shanghia", "asia/", "../../etc/passwd", "/etc/localtime", "Asia", "zone.tab", "UTC "]
)
def test_an_unknown_zone_is_refused_before_anything_is_written(zone: str) -> None:
    disk = FakeDisk()
    sequencer = Sequencer(Journal.create(disk))
    sequencer.submit(opening())
    before = disk.operations.total()
    digest = sequencer.state.digest()
    records = operations.transfer(some_ids("more", 3), debit=TREASURY, credit=SHOP, amount=1)
    records[1] = operations.define_currency(7, currency=978, zone=zone)[0]
    with pytest.raises(UsageError, match="there is no time zone") as error:
        sequencer.submit(records)
    assert repr(zone) in str(error.value)
    assert error.value.hint
    assert disk.operations.total() == before
    assert sequencer.state.digest() == digest
    assert sequencer.submit(records[:1])["code"][0] == Result.CREATED


def test_a_zone_without_a_name_is_the_ledgers_to_refuse() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()))
    record = operations.define_currency(7, currency=978, zone="Europe/Paris")
    record.view("u1")[32] = 0
    assert sequencer.submit(record)["code"].tolist() == [Result.ZONE_MUST_NOT_BE_EMPTY]


def test_times_increase_although_the_clock_does_not() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), clock=FixedClock(START_NS))
    for number in range(1, 6):
        sequencer.submit(operations.define_group(number, group=number))
    assert sequencer.frame_times.tolist() == [0, *range(START_NS, START_NS + 6)]


def test_times_increase_although_the_clock_goes_back() -> None:
    disk, clock = FakeDisk(), SimulatedClock(START_NS)
    sequencer = Sequencer(Journal.create(disk), clock=clock)
    for number, now_ns in enumerate([START_NS, START_NS - 10**18, START_NS + 5, 0, START_NS + 6], 1):
        clock.set(now_ns)
        sequencer.submit(operations.define_group(number, group=number))
    times = sequencer.frame_times.tolist()
    # The first frame has the version of the rules.
    assert times[1:] == [START_NS, START_NS + 1, START_NS + 2, START_NS + 5, START_NS + 6, START_NS + 7]
    sequencer.close()
    clock.set(0)
    reopened = Sequencer(Journal.open(disk), clock=clock)
    reopened.submit(operations.define_group(9, group=9))
    assert all(before < after for before, after in pairwise(reopened.frame_times))
    assert reopened.frame_times[:7].tolist() == times


def test_a_start_from_a_snapshot_writes_the_same_dates(tmp_path: Path) -> None:
    """The snapshot sorts currencies by number, which is another order than that of their definition."""
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        ledger.define_currency("CHF", zone="Europe/Zurich")
        ledger.define_currency("AUD", zone="Australia/Sydney")
        ledger.snapshot()
    with Ledger.open(tmp_path / "ledger") as ledger:
        ledger.open_account("CNY", AccountKind.ISSUANCE)
    report = verify(tmp_path / "ledger")
    assert report.findings == ()
