"""Descriptions and results of pilots: what a file may say, and what errors say about a wrong one."""

from __future__ import annotations

import re
from datetime import date

import pytest

from sycee import data
from sycee.core.documents import DocumentError
from sycee.sandbox.behaviour.design import NEVER, Moved
from sycee.sandbox.pilots import description, published

TEXT = data.content(description.FOLDER, "malta-2021").decode()


def parse(*changes: tuple[str, str]) -> description.Description:
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return description.parse(text.encode(), "pilot.toml")


def deliveries(day: str, share: float, later: str, more: float) -> str:
    rows = ((day, share), (later, more))
    return "".join(f"[[delivery.share]]\ndate = {when}\nshare = {part}\n" for when, part in rows)


def test_every_shipped_pilot_has_results_of_outcomes_that_its_description_asks_for() -> None:
    for name in data.names(description.FOLDER):
        pilot, results = description.load(name), published.load(name)
        assert pilot.name == results.pilot == name
        for each in results.results:
            assert each.outcome in pilot.ask.outcomes
            assert each.date is None or each.date in pilot.ask.dates


def test_days_are_counted_from_the_first_day_and_a_moved_deadline_is_announced() -> None:
    pilot = parse()
    assert pilot.first == date(2021, 6, 7)
    assert pilot.design.spend_until == pilot.day(date(2021, 9, 15)) == 100
    assert pilot.design.moved == (Moved(96, 146),)
    assert pilot.design.claim_until == 146
    assert pilot.days == 180
    assert set(pilot.absent) == {"people.income_month_median", "people.age_60_share"}
    assert pilot.unused == ("rules.transferable: no rule of behaviour reads it",)


def test_an_amount_is_a_text_or_a_number_in_major_units() -> None:
    for written in ('"100"', "100", "100.0", '"100.00"'):
        assert parse(('amount = "100"', f"amount = {written}")).design.amount == 10_000
    assert parse(('amount = "100"', "amount = 29.5")).design.amount == 2_950
    for wrong in ('"29.555"', "true", "nan", "1e30", "-1.0"):
        with pytest.raises(DocumentError, match=r"grant\.amount: "):
            parse(('amount = "100"', f"amount = {wrong}"))


def test_a_number_with_more_digits_than_the_currency_is_rounded_since_means_have_more() -> None:
    assert parse(('amount = "100"', "amount = 83.3333")).design.amount == 8_333
    yen = parse(('currency = "EUR"', 'currency = "JPY"'), ('amount = "100"', "amount = 10_250.4"))
    assert yen.design.amount == 10_250


def test_amounts_by_size_are_a_list_or_a_table_with_every_size() -> None:
    unit = ('amount = "100"', 'amount = "100"\nunit = "household"\namount_by_size = ')
    for written in ('["80", 120.0, 140]', '{ 2 = "120", 1 = "80", 3 = 140 }'):
        assert parse((unit[0], unit[1] + written)).design.amount_by_size == (8_000, 12_000, 14_000)


def test_a_day_is_a_date_or_a_moment_and_midnight_ends_the_day_before() -> None:
    for written in ("2021-09-15", '"2021-09-15"', '"2021-09-15 24:00"', "2021-09-15T23:59:00", "2021-09-16T00:00:00"):
        pilot = parse(("spend_until = 2021-09-15", f"spend_until = {written}"))
        assert pilot.design.spend_until == 100, written


def test_more_recipients_than_people_are_everybody_and_said() -> None:
    pilot = parse(("recipients = 447_669", "recipients = 600_000"))
    assert pilot.design.recipients == pilot.population == 516_100
    assert pilot.unused[-1].startswith("grant.recipients")


def test_an_area_that_no_rule_reads_is_said() -> None:
    pilot = parse(('currency = "EUR"', 'currency = "EUR"\narea_km2 = 316'))
    assert pilot.unused[0].startswith("pilot.area_km2")


def test_money_that_can_be_cashed_out_has_no_deadline() -> None:
    assert parse(("cash_out = false", "cash_out = true")).design.last_day == NEVER


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("population = 516_100\n", "", r"people\.population: missing"),
        ("eligible =", "eligble =", "eligible"),
        ("recipients = 447_669", "recipients = 447_669\nwinners = 3", "unknown key"),
        ('kind = "label"', 'kind = "labels"', 'did you mean "label"'),
        ('"claim_rate"', '"claim_rates"', 'did you mean "claim_rate"'),
        ("dates = [2021-07-18", "dates = [2021-05-18", "before the first day"),
        ("share_of_retail = 0.6", "share_of_retail = 60", "from 0 to 1"),
        ('zone = "Europe/Malta"', 'zone = "Europe/Valetta"', "time zone"),
        ("[pilot]\nname", '[[outcome]]\nname = "mpc"\nvalue = 1\n\n[pilot]\nname', "has no results"),
        (
            "announced = 2021-09-11",
            "announced = 2021-10-11",
            r"window\.moved\[1\]\.announced: found 2021-10-11, and the deadline known then is 2021-09-15",
        ),
        ("until = 2021-10-31", "until = 2021-05-01", r"window\.moved\[1\]\.until: found 2021-05-01"),
        ("horizon_days = 180", "horizon_days = 180\nclaim_rate = 0.9", r"ask\.claim_rate: .* has no results"),
        ("eligible =", "spent_of_issued = 0.9\neligible =", r"people\.spent_of_issued: .* has no results"),
        (
            "spend_until = 2021-09-15",
            "spend_until = 2021-05-15",
            r"window\.spend_until: found 2021-05-15, and `spend_from` is",
        ),
        ('amount = "100"', 'amount = "100"\namount_by_size = ["80", "120"]', r"grant\.amount_by_size: the unit is not"),
        ('amount = "100"', 'amount = "100"\namount_by_size = ["80", "-1"]', r"grant\.amount_by_size: found"),
        ('amount = "100"', 'amount = "100"\namount_by_size = { 1 = "80", 3 = "9" }', r"found the sizes 1, 3"),
        ('amount = "100"', 'amount = "100"\namount_by_size = ["0", "0"]', r"grant\.amount_by_size: every amount is 0"),
        ('amount = "100"', 'amount = "100"\nprice = "100.01"', r"grant\.price: the recipient would pay more"),
        ("consumption_month = ", "consumption_month = 0 # ", r"people\.consumption_month: found 0"),
        ("consumption_month = ", "consumption_month = 9e13 # ", r"people\.consumption_month: found 9"),
        ("[people]", "[people]\nincome_month_median = 0", r"people\.income_month_median: found 0"),
        (
            "[window]",
            deliveries("2021-06-08", 0.5, "2021-06-07", 0.9) + "[window]",
            r"delivery\.share\[2\]\.date: found 2021-06-07",
        ),
        (
            "[window]",
            deliveries("2021-06-07", 0.5, "2021-06-08", 0.4) + "[window]",
            r"delivery\.share\[2\]\.share: the cumulative share falls",
        ),
    ],
)
def test_a_wrong_description_names_the_key(old: str, new: str, problem: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse((old, new))
    assert re.search(problem, f"{caught.value} {caught.value.hint}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('pilot = "p"\n', "outcome: missing"),
        (
            'pilot = "p"\n[[outcome]]\nname = "mpc"\nvalue = 1\nlow = 0\nsource = "s"\nmark = 1\n',
            "the result has a value",
        ),
        ('pilot = "p"\n[[outcome]]\nname = "mpc"\nlow = 2\nhigh = 1\nsource = "s"\nmark = 1\n', "high"),
        ('pilot = "p"\n[[outcome]]\nname = "mpc"\nlo = 0\nhigh = 1\nsource = "s"\nmark = 1\n', 'low: missing .* "lo"'),
        ('pilot = "p"\n[[outcome]]\nname = "mpc"\nvalu = 1\nsource = "s"\nmark = 1\n', "valu"),
        ('pilot = "p"\n[[outcome]]\nname = "mpk"\nvalue = 1\nsource = "s"\nmark = 1\n', "mpk"),
    ],
)
def test_a_wrong_file_of_results_names_the_key(text: str, problem: str) -> None:
    with pytest.raises(DocumentError, match=problem):
        published.parse(text.encode(), "results.toml")
