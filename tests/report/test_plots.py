from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.dates import num2date
from matplotlib.figure import Figure
from matplotlib.text import Text

from sycee.core import money
from sycee.core.errors import IntegrityError
from sycee.report import chart, plots, sankey
from sycee.report.chart import Drawing, Level, Series
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
    assert chart.moment_text(at(moment), zone) == as_moment
    assert chart.end_text(at(moment), zone) == as_end


def drawn(drawing: Drawing, *, narrow: bool = False) -> Figure:
    figure = Figure(figsize=(9, 4))
    drawing(figure, narrow)
    return figure


def texts(figure: Figure) -> list[str]:
    """Every text of a figure that is not an axis's number, in the order of drawing."""
    found = [text for text in figure.findobj(Text) if text.get_text()]
    ticks = {tick for axes in figure.axes for tick in (*axes.get_yticklabels(), *axes.get_xticklabels(minor=True))}
    return [text.get_text() for text in found if text not in ticks]


def bars(axes: Axes) -> list[list[tuple[float, float, float]]]:
    """(middle, bottom, height) of each bar, by series."""
    return [
        [(bar.get_x() + bar.get_width() / 2, bar.get_y(), bar.get_height()) for bar in series]
        for series in axes.containers
        if isinstance(series, BarContainer)
    ]


def bars_of_hours(axes: Axes) -> list[list[tuple[float, float, float]]]:
    """(middle, bottom, height) of each bar that is not empty, by series: they are one path."""
    paths = [patch.get_path() for patch in axes.patches if patch.get_label()[:1] != "_"]
    corners = [path.vertices.reshape(-1, 5, 2)[:, :4] for path in paths]
    return [[(each[:, 0].mean(), each[:, 1].min(), np.ptp(each[:, 1])) for each in bars] for bars in corners]


def hours(count: int, name: str = "spent") -> Drawing:
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


def test_hours_are_in_local_time_and_running_totals_start_at_nothing() -> None:
    above, below = drawn(hours(3)).axes
    (series,) = bars_of_hours(above)
    middles = [num2date(middle).replace(tzinfo=None) for middle, _, _ in series]
    assert [f"{middle:%Y-%m-%dT%H:%M:%S}" for middle in middles] == ["2020-10-12T19:30:00", "2020-10-12T20:30:00"]
    assert [height for _, _, height in series] == [1.0, 2.0]
    assert above.get_ylim() == (0, pytest.approx(2.1))
    line = below.lines[0]
    assert line.get_xdata()[0] == datetime.fromisoformat("2020-10-12T18:00:00")
    assert list(line.get_ydata()) == [0.0, 0.0, 1.0, 3.0]


def test_days_are_named_with_their_weekday() -> None:
    axes = drawn(hours(150)).axes[1]
    weekdays = list(enumerate(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"], 12))
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{name}\n{day} Oct" for day, name in weekdays]
    assert len(axes.get_xticks()) == 7
    axes = drawn(hours(150), narrow=True).axes[1]
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{name}\n{day}" for day, name in weekdays]


def test_a_long_window_names_some_of_its_days() -> None:
    assert len(drawn(hours(24 * 40)).axes[1].get_xticks()) <= plots.DAYS_NAMED_MAX


def test_a_plot_without_data_is_labelled() -> None:
    none = np.zeros(0, np.int64)
    for drawing in (
        hours(0),
        sankey.flow((("a", "b", 0),), currency=CNY),
        plots.grouped_bars([], ((Series("spent", none, "first"),),), currency=CNY, label="in all"),
        plots.ranks(np.zeros(3, np.int64), currency=CNY, receiver="payee"),
        plots.lorenz(np.zeros(3, np.int64), receivers="payees"),
    ):
        figure = drawn(drawing)
        assert figure.axes == []
        assert texts(figure) == ["nothing to show"]


def test_amounts_left_are_binned_and_both_ends_are_labelled() -> None:
    left = np.array([0] * 40_000 + [20_000] * 1_500 + [1_000, 1_001, 19_999], np.int64)
    figure = drawn(plots.left_over(left, 20_000, currency=CNY, emptied="emptied", untouched="not touched"))
    part, emptied, untouched = bars(figure.axes[0])
    assert sum(height for _, _, height in part) == 3
    assert len(part) == plots.BINS
    assert emptied[0][0] < 0 < 200 < untouched[0][0]
    assert emptied[0][2] < 10
    assert "40,000 emptied, bar cut" in texts(figure)
    assert "1,500 not touched, bar cut" in texts(figure)


def test_amounts_that_are_no_integers_are_refused() -> None:
    with pytest.raises(IntegrityError, match="minor units are integers"):
        chart.major(np.array([1.0, float("nan")]), CNY)


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


def test_a_flow_is_drawn_from_left_to_right_and_its_return_is_a_second_node() -> None:
    diagram = sankey.arrange(FLOWS, "{} (returned)")
    nodes = diagram.nodes
    assert set(nodes) == {"mint", "city", "vault", "packets", "wallets", "shops", "city (returned)"}
    assert all(nodes[each.source].column < nodes[each.target].column for each in diagram.streams)
    assert nodes["shops"].column == nodes["city (returned)"].column
    assert nodes["city (returned)"].top < nodes["shops"].top  # else own money would cross what is returned
    scale = nodes["mint"].height / 120
    heights = sorted(each.height / scale for each in diagram.streams)
    assert heights == pytest.approx([20, 20, 20, 30, 70, 100, 100])
    shown = texts(drawn(sankey.flow(FLOWS, currency=CNY, back="{} (returned)")))
    assert shown[shown.index("city (returned)") + 1] == "CNY 0.30"


def test_streams_of_a_node_do_not_overlap() -> None:
    diagram = sankey.arrange(FLOWS, "{} (returned)")
    for side, top in (("source", "source_top"), ("target", "target_top")):
        for name, node in diagram.nodes.items():
            streams = [each for each in diagram.streams if getattr(each, side) == name]
            edges = sorted((getattr(each, top), getattr(each, top) + each.height) for each in streams)
            assert all(end == pytest.approx(start) for (_, end), (start, _) in pairwise(edges))
            assert all(node.top - 1e-9 <= start and end <= node.top + node.height + 1e-9 for start, end in edges)


def test_a_stream_has_one_colour_until_it_meets_another() -> None:
    nodes = sankey.arrange(FLOWS, "{} (returned)").nodes
    assert {name: node.colour for name, node in nodes.items()} == {
        "mint": "neutral",
        "city": "first",
        "packets": "first",
        "city (returned)": "first",
        "vault": "second",
        "wallets": "second",
        "shops": "meeting",
    }


@given(st.lists(st.tuples(*[st.sampled_from("abcde")] * 2, st.integers(0, 9)), max_size=14))
def test_any_flow_can_be_arranged(flows: list[tuple[str, str, int]]) -> None:
    diagram = sankey.arrange(flows, "{} (again)")
    if not any(minor for _, _, minor in flows):
        assert diagram == sankey.Diagram({}, ())
        return
    assert len(diagram.streams) == sum(minor > 0 for _, _, minor in flows)
    assert all(0 <= node.top <= node.top + node.height < 1 + 1e-9 for node in diagram.nodes.values())


def test_own_money_is_stacked_on_packet_money() -> None:
    packets, own = (Series(name, np.array([300, 100]), "first") for name in ("packets", "own"))
    figure = drawn(plots.grouped_bars(["A", "B"], ((packets, own),), currency=CNY, label="in all"))
    assert [[bottom for _, bottom, _ in series] for series in bars(figure.axes[0])] == [[0.0, 0.0], [3.0, 1.0]]


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
    for drawing in (plots.ranks(amounts, currency=CNY, receiver="payee"), plots.lorenz(amounts, receivers="payees")):
        assert len(chart.svg(drawing, name="plot", width=500, height=300)) < 40_000


def test_payees_without_a_payment_are_no_points_of_a_logarithm() -> None:
    figure = drawn(plots.ranks(np.array([9, 3, 0, 0], np.int64), currency=JPY, receiver="payee"))
    assert list(figure.axes[0].lines[0].get_ydata()) == [9.0, 3.0]


def test_names_are_shown_with_their_tags_and_never_used_as_tags() -> None:
    series = Series(TAG, np.array([1], np.int64), "first")
    drawings = [
        hours(2, TAG),
        sankey.flow(((TAG, "b", 1),), currency=CNY),
        plots.grouped_bars([TAG], ((series,),), currency=CNY, label=TAG),
        plots.ranks(np.array([1]), currency=CNY, receiver=TAG),
        plots.lorenz(np.array([1]), receivers=TAG),
        plots.left_over(np.array([0]), 5, currency=CNY, emptied=TAG, untouched=TAG),
    ]
    for drawing in drawings:
        svg = chart.svg(drawing, name="plot", width=900, height=400)
        assert "<b onclick" not in svg
        assert "&lt;b" in svg
