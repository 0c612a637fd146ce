"""Files that nobody here has seen: a design with every key, and results that a prediction does not have."""

from __future__ import annotations

from typing import Any

import pytest

from sycee import data
from sycee.core.errors import UsageError
from sycee.sandbox.inference import fitting, posterior
from sycee.sandbox.pilots import description, published, sectors, town
from sycee.sandbox.validity import predicting, scoring

EVERY_KEY = """
[pilot]
name = "harbour-coupons"
title = "Harbour coupons"
country = "Utopia"
currency = "JPY"
zone = "Asia/Tokyo"
area_km2 = 812.5
source = "a made announcement"
[people]
population = 640_000
eligible = 210_000
registered = 400_000
income_month_median = 180_000
consumption_month = "121000"
age_60_share = 0.31
wallet_share = 0.7
[grant]
how = "first_come"
kind = "coupon"
unit = "household"
recipients = 90_000
amount = 10_250
amount_by_size = { 1 = "8000", 2 = "10000", 3 = "12000" }
pieces = 10
piece_amount = 1_000
price = "5000"
[coupon]
payment_min = "2000"
per_payment_max = "3000"
stacking = true
[channel]
kind = "paper"
activation = true
automatic = false
[delivery]
[[delivery.share]]
date = 2026-06-01
share = 0.4
[[delivery.share]]
date = 2026-06-20
share = 1.0
[window]
claim_from = 2026-06-01T09:00:00
claim_until = "2026-08-31 24:00"
spend_from = 2026-06-05
spend_until = 2026-10-31
[[window.moved]]
announced = 2026-10-01
until = 2026-11-30
[merchants]
count = 2_300
share_of_retail = 0.5
sectors = ["Restaurants", "retail & wholesale", "blacksmiths"]
online = false
large_chains = false
[rules]
divisible = false
own_money = true
transferable = true
cash_out = false
decay_week = 0.02
[ask]
outcomes = ["claim_rate", "spent_of_claimed", "spent_of_issued", "payments_per_claimer", "payment_mean", "own_money_of_spent", "mpc", "mpc_of_issued", "own_money_per_subsidy", "sector_share", "size_share"]
dates = [2026-07-31, 2026-11-30]
horizon_days = 60
"""  # noqa: E501


@pytest.fixture(scope="module")
def prediction() -> dict[str, Any]:
    return predicting.predict(description.parse(EVERY_KEY.encode(), "x.toml"), posterior.prior(), draws=3, people=1_000)


def scored(prediction: dict[str, Any], text: str) -> scoring.Scores:
    whole = f'pilot = "harbour-coupons"\n[[outcome]]\n{text}\nsource = "s"\nmark = 2\n'
    return scoring.score(prediction, published.parse(whole.encode(), "r.toml"))


def test_a_design_with_every_key_is_predicted_and_what_is_not_used_is_said(prediction: dict[str, Any]) -> None:
    assert prediction["absent"] == {}
    assert [text.partition(":")[0] for text in prediction["not_used"]] == [
        "pilot.area_km2",
        "rules.transferable",
        "grant.piece_amount",
        "merchants.sectors",
        "people.eligible",
    ]
    assert "blacksmiths" in prediction["not_used"][3]
    assert all(row["quantiles"] for row in prediction["outcomes"])
    pilot = description.parse(EVERY_KEY.encode(), "x.toml")
    assert pilot.design.amount_by_size == (8_000, 10_000, 12_000)
    assert town.known_sectors(pilot, town.neutral()) == ("food-shops", "eating-out", "clothing", "household-goods")


def test_a_sector_of_another_name_is_a_sum_of_the_towns_sectors(prediction: dict[str, Any]) -> None:
    (found,) = scored(prediction, 'name = "sector_share"\nsector = "Retail and Wholesale"\nvalue = 0.5').scores
    rows = {row["sector"]: row for row in prediction["outcomes"] if row["date"] == "2026-11-30"}
    parts = [rows[name]["sample"] for name in ("food-shops", "clothing", "household-goods")]
    assert found.quantiles == predicting.quantiles([sum(each) for each in zip(*parts, strict=True)])
    assert sectors.named("food_shops", ["eating-out"]) == ()


def test_a_share_of_small_shops_is_between_those_of_the_bounds_around_its_turnover(prediction: dict[str, Any]) -> None:
    rows = [row for row in prediction["outcomes"] if row["name"] == "size_share" and row["date"] == "2026-11-30"]
    assert [row["sector"] for row in rows[:2]] == ["3,630,000", "12,100,000"]  # 30 and 100 months of consumption
    (found,) = scored(prediction, 'name = "size_share"\nsector = "below 8 million yen"\nvalue = 0.5').scores
    assert rows[0]["quantiles"]["50"] <= found.quantiles["50"] <= rows[1]["quantiles"]["50"]
    (same,) = scored(prediction, 'name = "size_share"\nsector = "12,100,000"\nvalue = 0.5').scores
    assert same.quantiles == rows[1]["quantiles"]
    assert sectors.turnover("1.5 bn") == 1.5e9
    assert "from 3,630,000" in scored(prediction, 'name = "size_share"\nsector = "3"\nvalue = 0.5').missing[0].why


def test_a_result_without_a_date_is_at_the_last_one(prediction: dict[str, Any]) -> None:
    (found,) = scored(prediction, 'name = "claim_rate"\nvalue = 0.5').scores
    (same,) = scored(prediction, 'name = "claim_rate"\ndate = "2026-11-30"\nvalue = 0.5').scores
    assert found.quantiles == same.quantiles


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('name = "claim_rate"\ndate = 2026-08-01\nvalue = 0.5', "add 2026-08-01 to `ask.dates`"),
        ('name = "mpc"\nhorizon_days = 90\nvalue = 0.5', "set `ask.horizon_days` to 90"),
        ('name = "sector_share"\nsector = "blacksmiths"\nvalue = 0.5', "it has food-shops"),
        ('name = "sector_share"\nvalue = 0.5', "names no sector"),
        ('name = "mpc"\nsector = "health"\nvalue = 0.5', "has no sectors"),
    ],
)
def test_a_result_that_was_not_predicted_says_why(prediction: dict[str, Any], text: str, why: str) -> None:
    found = scored(prediction, text)
    assert found.scores == ()
    assert why in found.missing[0].why
    assert found.as_json()["not_predicted"][0]["why"] == found.missing[0].why


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "claim_rate"', 'name = "mpc_of_issued"', "does not ask for mpc_of_issued"),
        ("date = 2020-10-18", "date = 2020-10-17", "does not ask for .* on 2020-10-17"),
        ('pilot = "luohu-2020"', 'pilot = "luohu"', 'the results are of "luohu"'),
        ('name = "claim_rate"\ndate = 2020-10-18', 'name = "mpc"\nhorizon_days = 7', "within 30 days"),
    ],
)
def test_a_wrong_set_of_pilots_is_refused(old: str, new: str, problem: str) -> None:
    text = data.content(published.FOLDER, "luohu-2020").decode()
    assert old in text
    results = published.parse(text.replace(old, new).encode(), "r.toml")
    with pytest.raises(UsageError, match=problem):
        fitting.Case.of(description.load("luohu-2020"), results, 1)


def test_the_results_of_one_pilot_are_fitted_with_sums_of_sectors() -> None:
    text = 'pilot = "jersey-2020"\n[[outcome]]\nname = "sector_share"\nsector = "retail"\nvalue = 0.6\n'
    text += 'source = "s"\nmark = "1"\n'
    case = fitting.Case.of(description.load("jersey-2020"), published.parse(text.encode(), "r.toml"), 1)
    assert [key.sector for key in case.keys[0]] == ["food-shops", "clothing", "household-goods"]
    values = dict.fromkeys(case.keys[0], 0.25)
    assert fitting.statistics(case, dict(values)) == [pytest.approx(0.15 / fitting.TOLERANCE_RATE)]
