from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sycee.core import money
from sycee.report import chart, plots, sankey
from sycee.report.chart import Level, Series
from sycee.report.plots import HOUR_NS

pytestmark = pytest.mark.fast

CNY, JPY = money.currency("CNY"), money.currency("JPY")
SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
AMOUNTS = st.lists(st.integers(0, 10**13), min_size=1, max_size=400).map(
    lambda values: np.array(sorted(values, reverse=True), np.int64)
)
TAG = "<b onclick=x>&"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.mark.parametrize(
    ("moment", "zone", "as_moment", "as_end"),
    [
        ("2020-10-18T16:00:00", SHANGHAI, "Mon 19 Oct 2020, 00:00", "Sun 18 Oct 2020, 24:00"),
        ("2020-10-12T10:00:00", SHANGHAI, "Mon 12 Oct 2020, 18:00", "Mon 12 Oct 2020, 18:00"),
        ("2021-03-28T01:30:00", BERLIN, "Sun 28 Mar 2021, 03:30", "Sun 28 Mar 2021, 03:30"),
    ],
)
def test_moments_are_shown_in_local_time(moment: str, zone: ZoneInfo, as_moment: str, as_end: str) -> None:
    assert chart.shown(at(moment), zone) == as_moment
    assert chart.shown_end(at(moment), zone) == as_end


def hours(count: int, name: str = "spent") -> plots.Figure:
    starts = at("2020-10-12T10:00:00") + np.arange(count, dtype=np.int64) * HOUR_NS
    series = Series(name, np.arange(count, dtype=np.int64) * 100, "first")
    return plots.hours(
        starts,
        (series,),
        (series,),
        level=Level("budget", 1_000),
        deadline_ns=at("2020-10-18T16:00:00"),
        currency=CNY,
        zone=SHANGHAI,
    )


def test_hours_stand_in_local_time_and_running_totals_start_at_nothing() -> None:
    bar, line = hours(3)["data"]
    assert bar["x"] == ["2020-10-12T18:30:00", "2020-10-12T19:30:00", "2020-10-12T20:30:00"]
    assert bar["y"] == [0.0, 1.0, 2.0]
    assert bar["customdata"][1] == "Mon 12 Oct, 19:00–20:00<br>spent: <b>CNY 1.00</b>"
    assert line["x"][0] == "2020-10-12T18:00:00"
    assert line["y"] == [0.0, 0.0, 1.0, 3.0]


def test_days_are_named_with_their_weekday() -> None:
    axis = hours(150)["layout"]["xaxis"]
    weekdays = enumerate(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], 12)
    assert axis["ticktext"] == [f"{weekday}<br>{day} Oct" for day, weekday in weekdays]
    assert len(axis["tickvals"]) == 7


def test_a_long_window_names_some_of_its_days() -> None:
    assert len(hours(24 * 40)["layout"]["xaxis"]["tickvals"]) <= plots.DAYS_NAMED_MAX


def test_what_holds_nothing_says_so() -> None:
    none = np.zeros(0, np.int64)
    for figure in (
        hours(0),
        sankey.flow((("a", "b", 0),), currency=CNY),
        plots.towers([], (("spent", (Series("spent", none, "first"),)),), currency=CNY, hint="in all"),
        plots.ranks(np.zeros(3, np.int64), currency=CNY, what="payee"),
        plots.lorenz(np.zeros(3, np.int64), what="payees"),
    ):
        assert figure["data"] == []
        assert figure["layout"]["annotations"][0]["text"] == "nothing to show"


def test_what_was_left_is_binned_and_its_ends_called_out() -> None:
    left = np.array([0] * 40_000 + [20_000] * 1_500 + [1_000, 1_001, 19_999], np.int64)
    figure = plots.left_over(left, 20_000, currency=CNY, emptied="emptied", untouched="not touched", in_part="in part")
    part, emptied, untouched = figure["data"]
    assert sum(part["y"]) == 3
    assert len(part["y"]) == plots.BINS
    assert emptied["customdata"] == ["emptied: <b>40,000</b> (bar cut)"]
    assert untouched["customdata"] == ["not touched: <b>1,500</b> (bar cut)"]
    assert emptied["y"][0] < 10
    texts = [note["text"] for note in figure["layout"]["annotations"]]
    assert texts == ["<b>40,000</b> emptied<br>bar cut", "<b>1,500</b> not touched<br>bar cut"]


@given(st.lists(st.integers(0, 7), max_size=60), st.integers(1, 7))
def test_every_packet_is_in_a_bin_or_at_an_end(left: list[int], whole: int) -> None:
    values = np.array([min(value, whole) for value in left], np.int64)
    counts, edges = plots.bins(values, whole)
    assert int(counts.sum()) + int((values == 0).sum()) + int((values == whole).sum()) == len(values)
    assert (edges[0], edges[-1]) == (0, whole)


FLOWS = (
    ("mint", "city", 100),
    ("mint", "vault", 20),
    ("city", "packets", 100),
    ("vault", "wallets", 20),
    ("packets", "shops", 70),
    ("wallets", "shops", 20),
    ("packets", "city", 30),
    ("shops", "nobody", 0),
)


def test_a_flow_reads_from_left_to_right_and_back_is_a_place_of_its_own() -> None:
    trace = sankey.flow(FLOWS, currency=CNY, back="{} (returned)")["data"][0]
    names = [label.split("</b>")[0].removeprefix("<b>") for label in trace["node"]["label"]]
    assert set(names) == {"mint", "city", "vault", "packets", "wallets", "shops", "city (returned)"}
    place = dict(zip(names, zip(trace["node"]["x"], trace["node"]["y"], strict=True), strict=True))
    link = trace["link"]
    assert all(
        place[names[source]][0] < place[names[target]][0]
        for source, target in zip(link["source"], link["target"], strict=True)
    )
    assert place["shops"][0] == place["city (returned)"][0]
    assert place["city (returned)"][1] < place["shops"][1]  # else own money would cross what is returned
    assert sorted(link["value"]) == [0.2, 0.2, 0.2, 0.3, 0.7, 1.0, 1.0]
    assert "<b>city (returned)</b><br>CNY 0.30" in trace["node"]["label"]


def test_a_stream_keeps_its_colour_until_it_meets_another() -> None:
    trace = sankey.flow(FLOWS, currency=CNY, back="{} (returned)")["data"][0]
    names = [label.split("</b>")[0].removeprefix("<b>") for label in trace["node"]["label"]]
    assert dict(zip(names, trace["node"]["color"], strict=True)) == {
        "mint": "var(--neutral)",
        "city": "var(--first)",
        "packets": "var(--first)",
        "city (returned)": "var(--first)",
        "vault": "var(--second)",
        "wallets": "var(--second)",
        "shops": "var(--meeting)",
    }


@given(st.lists(st.tuples(*[st.sampled_from("abcde")] * 2, st.integers(0, 9)), max_size=14))
def test_any_flow_can_be_drawn(flows: list[tuple[str, str, int]]) -> None:
    drawn = sankey.flow(flows, currency=JPY)["data"]
    if not any(minor for _, _, minor in flows):
        assert drawn == []
        return
    (trace,) = drawn
    assert sum(trace["link"]["value"]) == sum(minor for _, _, minor in flows)
    assert all(0 < value < 1 for value in (*trace["node"]["x"], *trace["node"]["y"]))


def test_own_money_stands_on_packet_money() -> None:
    packets, own = (Series(name, np.array([300, 100]), "first") for name in ("packets", "own"))
    data = plots.towers(["A", "B"], (("spent", (packets, own)),), currency=CNY, hint="in all")["data"]
    assert [trace["base"] for trace in data] == [[0.0, 0.0], [3.0, 1.0]]


@given(AMOUNTS)
def test_the_lorenz_curve_rises_below_the_line_of_equals(amounts: np.ndarray) -> None:
    counts, shares = plots.lorenz_points(amounts)
    assert (counts[0], shares[0], counts[-1], shares[-1]) == (0, 0, 1, 1)
    assert all(share <= count + 1e-9 for count, share in zip(counts, shares, strict=True))
    assert shares == sorted(shares)
    assert -1e-9 <= plots.gini(amounts) < 1


@pytest.mark.parametrize(
    ("amounts", "expected"), [([5, 5, 5], 0), ([1, 0, 0, 0], 0.75), ([3, 1], 0.25), ([0, 0], 0), ([], 0)]
)
def test_gini(amounts: list[int], expected: float) -> None:
    assert plots.gini(np.array(amounts, np.int64)) == pytest.approx(expected)


@given(st.integers(0, 10**7))
def test_ranks_are_few_and_hold_the_first_and_the_last(count: int) -> None:
    places = plots.ranks_shown(count)
    assert len(places) <= plots.CURVE_POINTS_MAX
    assert places[:1] + places[-1:] == ([1, count] if count else [])


def test_a_curve_of_a_million_payees_stays_small() -> None:
    amounts = np.arange(1_000_000, 0, -1, dtype=np.int64)
    for figure in (plots.ranks(amounts, currency=CNY, what="payee"), plots.lorenz(amounts, what="payees")):
        assert len(json.dumps(figure)) < 40_000


def test_payees_without_a_payment_are_no_points_of_a_logarithm() -> None:
    figure = plots.ranks(np.array([9, 3, 0, 0], np.int64), currency=JPY, what="payee")
    assert figure["data"][0]["y"] == [9.0, 3.0]


def test_names_are_shown_with_their_tags_and_never_used_as_tags() -> None:
    series = Series(TAG, np.array([1], np.int64), "first")
    figures = [
        hours(2, TAG),
        sankey.flow(((TAG, "b", 1),), currency=CNY),
        plots.towers([TAG], ((TAG, (series,)),), currency=CNY, hint=TAG),
        plots.ranks(np.array([1]), currency=CNY, what=TAG),
        plots.lorenz(np.array([1]), what=TAG),
        plots.left_over(np.array([0]), 5, currency=CNY, emptied=TAG, untouched=TAG, in_part=TAG),
    ]
    for figure in figures:
        assert "<b onclick" not in json.dumps(figure)
        assert "&lt;b" in json.dumps(figure)
