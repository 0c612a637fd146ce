"""Figures as plain dictionaries, for the plotting library that a page carries.

They are built by hand: plotly's classes for Python check every value against a schema, which takes longer than all the
rest of a report, and would refuse colours such as `var(--first)`. Those are resolved in the page, so that plots follow
its light and dark colours. A figure may hold `narrow`: layout keys that win on a narrow screen.

`parts` holds what they share; `flow` makes the picture of money on its way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from sycee.core.arrays import Array
from sycee.core.money import Currency
from sycee.report import chart
from sycee.report.chart import Level, Series, local
from sycee.report.page import Figure

HOUR_NS: Final = 3_600_000_000_000
CURVE_POINTS_MAX: Final = 160  # more would not be seen, and a page should not carry every payee of a city
BINS: Final = 20
DAYS_NAMED_MAX: Final = 8  # names below an axis that a narrow screen has room for


def hours(
    starts_ns: Array,
    stacked: Sequence[Series],
    running: Sequence[Series],
    *,
    level: Level,
    deadline_ns: int,
    currency: Currency,
    zone: ZoneInfo,
) -> Figure:
    """Money by hour as stacked bars, and below on the same days its running totals against a level."""
    if not len(starts_ns):
        return chart.nothing()
    bars, lines = _stack(starts_ns, stacked, currency, zone), _totals(starts_ns, running, currency, zone)
    deadline = chart.axis_time(deadline_ns, zone)
    highest = max([level.minor, *(int(series.values.sum()) for series in running)])
    first = local(int(starts_ns[0]), zone).replace(tzinfo=None)
    last = local(max(deadline_ns, int(starts_ns[-1]) + HOUR_NS), zone).replace(tzinfo=None)
    # Half a day of the first day is always shown, so that there is room for its name.
    first = min(first - timedelta(hours=2), _midnight(first) + timedelta(hours=12))
    days = _days(first, last)
    every = math.ceil(len(days) / DAYS_NAMED_MAX)
    return {
        "data": bars + lines,
        "layout": chart.layout(
            barmode="stack",
            bargap=0.12,
            xaxis=chart.axis(
                type="date",
                anchor="y2",
                range=[chart.axis_text(first), chart.axis_text(last + (last - first) / 60)],
                tickvals=[chart.axis_text(start + (end - start) / 2) for start, end in days[::every]],
                ticktext=[f"{start:%a}<br>{start.day} {start:%b}" for start, _ in days[::every]],
                tickangle=0,
                ticks="",
                showgrid=False,
            ),
            yaxis=chart.axis(
                domain=[0.46, 1], title=chart.title(f"by hour, {currency.code}"), tickformat=chart.ticks(bars)
            ),
            yaxis2=chart.axis(
                domain=[0, 0.36],
                title=chart.title(f"in all, {currency.code}"),
                range=[0, 1.18 * highest / 10**currency.digits],
                tickformat="~s",
                nticks=5,
            ),
            legend=chart.legend(),
            margin={"l": 64, "r": 16, "t": 44, "b": 44},
            shapes=[
                *(
                    chart.line(
                        {"x0": chart.axis_text(end), "x1": chart.axis_text(end), "yref": "paper", "y0": 0, "y1": 1},
                        "grid",
                        "solid",
                    )
                    | {"layer": "below"}
                    for _, end in days[:-1]
                ),
                chart.line({"x0": deadline, "x1": deadline, "yref": "paper", "y0": 0, "y1": 1}, "warning", "solid"),
                chart.line(
                    {
                        "xref": "paper",
                        "x0": 0,
                        "x1": 1,
                        "yref": "y2",
                        "y0": level.minor / 10**currency.digits,
                        "y1": level.minor / 10**currency.digits,
                    },
                    "quiet",
                    "dot",
                ),
            ],
            annotations=[
                chart.note(
                    "deadline", x=deadline, yref="paper", y=1, xanchor="right", yanchor="bottom", shade="warning"
                ),
                chart.note(
                    f"{level.name} {chart.amount(level.minor, currency)}",
                    xref="paper",
                    x=0.005,
                    yref="y2",
                    y=level.minor / 10**currency.digits,
                    xanchor="left",
                    yanchor="bottom",
                    shade="quiet",
                ),
            ],
        ),
        "narrow": {
            "margin": {"l": 52, "r": 8, "t": 64, "b": 44},
            "font.size": 11,
            "xaxis.ticktext": [f"{start:%a}<br>{start.day}" for start, _ in days[::every]],
        },
    }


def left_over(
    left_minor: Array, whole_minor: int, *, currency: Currency, emptied: str, untouched: str, in_part: str
) -> Figure:
    """What was left, as a histogram. The emptied and the untouched stand at its ends, cut where they are too many."""
    counts, edges = bins(left_minor, whole_minor)
    at_none, at_whole = int((left_minor == 0).sum()), int((left_minor == whole_minor).sum())
    step = edges[1] - edges[0]
    top = max(int(counts.max()) * 4 // 3, 1) if counts.any() else max(at_none, at_whole, 1)
    scale = 10**currency.digits
    spans = [
        f"{chart.amount(int(low), currency)} to {chart.amount(int(high), currency)}" for low, high in pairwise(edges)
    ]
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": chart.plain(in_part),
            "x": [float(edge + step / 2) / scale for edge in edges[:-1]],
            "y": [int(count) for count in counts],
            "width": [float(step) / scale] * len(counts),
            "marker": {"color": chart.colour("second"), "line": {"width": 1, "color": chart.colour("surface")}},
            "customdata": [f"left {span}: <b>{count:,}</b>" for span, count in zip(spans, counts, strict=True)],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
    ]
    notes = []
    for name, count, place, colour, anchor in (
        (emptied, at_none, -step, "first", "left"),
        (untouched, at_whole, whole_minor + step, "third", "right"),
    ):
        cut = count > top
        data.append(
            {
                "type": "bar",
                "name": chart.plain(name),
                "x": [float(place) / scale],
                "y": [min(count, top)],
                "width": [float(step) * 0.9 / scale],
                "marker": {"color": chart.colour(colour), "pattern": {"shape": "/" if cut else "", "solidity": 0.35}},
                "customdata": [f"{chart.plain(name)}: <b>{count:,}</b>" + (" (bar cut)" if cut else "")],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
        text = f"<b>{count:,}</b> {chart.plain(name)}" + ("<br>bar cut" if cut else "")
        notes.append(
            chart.note(text, x=float(place) / scale, y=min(count, top), xanchor=anchor, yanchor="bottom", escaped=True)
        )
        notes[-1]["align"] = anchor
        notes[-1]["xshift"] = -8 if anchor == "left" else 8
    return {
        "data": data,
        "layout": chart.layout(
            showlegend=False,
            bargap=0,
            xaxis=chart.axis(
                title=chart.title(f"left, {currency.code}"),
                range=[float(-1.8 * step) / scale, float(whole_minor + 1.8 * step) / scale],
                tickvals=[whole_minor * quarter / 4 / scale for quarter in range(5)],
                tickformat=",~f",
                showgrid=False,
                zeroline=False,
            ),
            yaxis=chart.axis(title=chart.title("how many"), range=[0, 1.22 * top], tickformat=",d"),
            margin={"l": 60, "r": 12, "t": 12, "b": 48},
            annotations=notes,
        ),
    }


def towers(
    categories: Sequence[str], groups: Sequence[tuple[str, Sequence[Series]]], *, currency: Currency, hint: str
) -> Figure:
    """Money by category: for each one a bar per group, each bar made of its series. `hint` names the axis."""
    if not categories:
        return chart.nothing()
    data = []
    for number, (group, members) in enumerate(groups):
        base = np.zeros(len(categories), np.int64)
        for series in members:
            data.append(
                {
                    "type": "bar",
                    "name": chart.plain(series.name),
                    "x": [chart.plain(category) for category in categories],
                    "y": chart.major(series.values, currency),
                    "base": chart.major(base, currency),
                    "offsetgroup": str(number),
                    "marker": {"color": chart.colour(series.colour)},
                    "customdata": [
                        f"<b>{chart.plain(category)}</b>, {chart.plain(group)}<br>{chart.plain(series.name)}: "
                        f"<b>{chart.amount(value, currency)}</b>"
                        for category, value in zip(categories, series.values, strict=True)
                    ],
                    "hovertemplate": "%{customdata}<extra></extra>",
                }
            )
            base = base + series.values
    return {
        "data": data,
        "layout": chart.layout(
            barmode="group",
            bargap=0.3,
            bargroupgap=0.06,
            xaxis=chart.axis(type="category", showgrid=False),
            yaxis=chart.axis(
                title=chart.title(f"{hint}, {currency.code}"), tickformat=chart.ticks(data), rangemode="tozero"
            ),
            legend=chart.legend(),
            margin={"l": 64, "r": 12, "t": 44, "b": 36},
        ),
        "narrow": {"margin": {"l": 52, "r": 8, "t": 64, "b": 36}, "font.size": 11},
    }


def ranks(descending_minor: Array, *, currency: Currency, what: str) -> Figure:
    """What the one at each rank got, both axes logarithmic. A straight line would be a power law."""
    got = descending_minor[descending_minor > 0]
    if not len(got):
        return chart.nothing()
    places = ranks_shown(len(got))
    values = [int(got[place - 1]) for place in places]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": places,
                "y": [value / 10**currency.digits for value in values],
                "line": {"color": chart.colour("third"), "width": 2.5},
                "customdata": [
                    f"rank {place:,}: <b>{chart.amount(value, currency)}</b>"
                    for place, value in zip(places, values, strict=True)
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        ],
        "layout": chart.layout(
            showlegend=False,
            xaxis=chart.axis(type="log", title=chart.title(f"rank of the {what}, log scale"), dtick=1, tickformat=",d"),
            yaxis=chart.axis(
                type="log", title=chart.title(f"received, {currency.code}, log scale"), dtick=1, tickformat=",~f"
            ),
            margin={"l": 72, "r": 16, "t": 12, "b": 48},
        ),
        "narrow": {"font.size": 11},
    }


def lorenz(descending_minor: Array, *, what: str) -> Figure:
    """Which share of the money the lower part got, against equal shares."""
    if not descending_minor.any():
        return chart.nothing()
    counts, shares = lorenz_points(descending_minor)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [0, 1],
                "y": [0, 1],
                "line": {"color": chart.colour("quiet"), "width": 1.5, "dash": "dot"},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "x": counts,
                "y": shares,
                "fill": "tonexty",
                "fillcolor": chart.colour("third-soft"),
                "line": {"color": chart.colour("third"), "width": 2.5},
                "hovertemplate": f"the lower %{{x:.0%}} of the {chart.plain(what)} received %{{y:.1%}}<extra></extra>",
            },
        ],
        "layout": chart.layout(
            showlegend=False,
            xaxis=chart.axis(title=chart.title(f"share of the {what}, smallest first"), range=[0, 1], tickformat=".0%"),
            yaxis=chart.axis(title=chart.title("share of the money"), range=[0, 1.01], tickformat=".0%"),
            margin={"l": 60, "r": 20, "t": 12, "b": 48},
            annotations=[
                chart.note("if all were equal", x=0.5, y=0.5, xanchor="right", yanchor="bottom", shade="quiet"),
            ],
        ),
        "narrow": {"font.size": 11},
    }


def bins(left_minor: Array, whole_minor: int) -> tuple[Array, Array]:
    """Counts and edges of what lies between nothing and the whole, both excluded; edges in minor units."""
    part = left_minor[(left_minor > 0) & (left_minor < whole_minor)]
    edges = np.linspace(0, whole_minor, min(BINS, max(whole_minor, 1)) + 1)
    return np.histogram(part, bins=edges)[0], edges


def ranks_shown(count: int) -> list[int]:
    """Ranks from 1 to `count` that a logarithmic axis needs: all of the first, ever fewer of the later ones."""
    if count <= CURVE_POINTS_MAX:
        return list(range(1, count + 1))
    return sorted({round(place) for place in np.geomspace(1, count, CURVE_POINTS_MAX)})


def lorenz_points(descending_minor: Array) -> tuple[list[float], list[float]]:
    """Points of the Lorenz curve: share of the receivers, smallest first, and their share of the money."""
    count = len(descending_minor)
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(descending_minor[::-1], dtype=np.int64)])
    total = int(running[-1])
    if total == 0:
        return [0.0, 1.0], [0.0, 1.0]
    places = sorted({round(place) for place in np.linspace(0, count, min(count, CURVE_POINTS_MAX) + 1)})
    return [place / count for place in places], [int(running[place]) / total for place in places]


def gini(descending_minor: Array) -> float:
    """The Gini coefficient: 0 where all got the same, towards 1 where one got everything.

    (n + 1 - 2 Σ running totals / total) / n over ascending amounts (Gini 1912, in the form for sorted samples).
    """
    count, total = len(descending_minor), int(descending_minor.sum())
    if total == 0:
        return 0.0
    running = np.cumsum(descending_minor[::-1], dtype=np.int64)
    # Python's integers: the sum of running totals of a country's money leaves 64 bits.
    return (count + 1 - 2 * sum(int(each) for each in running) / total) / count


def _stack(starts_ns: Array, stacked: Sequence[Series], currency: Currency, zone: ZoneInfo) -> list[dict[str, Any]]:
    middles = [chart.axis_time(int(start) + HOUR_NS // 2, zone) for start in starts_ns]
    spans = [_hour(int(start), zone) for start in starts_ns]
    return [
        {
            "type": "bar",
            "name": chart.plain(series.name),
            "x": middles,
            "y": chart.major(series.values, currency),
            "marker": {"color": chart.colour(series.colour), "line": {"width": 0}},
            "customdata": [
                f"{span}<br>{chart.plain(series.name)}: <b>{chart.amount(value, currency)}</b>"
                for span, value in zip(spans, series.values, strict=True)
            ],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        for series in stacked
    ]


def _totals(starts_ns: Array, running: Sequence[Series], currency: Currency, zone: ZoneInfo) -> list[dict[str, Any]]:
    ends_ns = [int(starts_ns[0]), *(int(start) + HOUR_NS for start in starts_ns)]
    lines: list[dict[str, Any]] = []
    for series in running:
        totals = np.concatenate([np.zeros(1, np.int64), np.cumsum(series.values, dtype=np.int64)])
        name = chart.plain(series.name)
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": [chart.axis_time(end, zone) for end in ends_ns],
                "y": chart.major(totals, currency),
                "yaxis": "y2",
                "line": {"color": chart.colour(series.colour), "width": 2.5, "dash": "dash" if lines else "solid"},
                "customdata": [
                    f"until {chart.shown_end(end, zone)}<br>{name}: <b>{chart.amount(value, currency)}</b>"
                    for end, value in zip(ends_ns, totals, strict=True)
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    return lines


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0)


def _days(first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    """The local days between two moments, the first and the last of them cut at these."""
    days = []
    while first < last:
        end = min(_midnight(first) + timedelta(days=1), last)
        days.append((first, end))
        first = end
    return days


def _hour(start_ns: int, zone: ZoneInfo) -> str:
    start, end = local(start_ns, zone), local(start_ns + HOUR_NS, zone)
    closing = "24:00" if end.hour == 0 else f"{end:%H:%M}"
    return f"{start:%a} {start.day} {start:%b, %H:%M}–{closing}"
