"""Figures as plain dictionaries, for the plotting library that a page carries.

They are built by hand: plotly's classes for Python check every value against a schema, which takes longer than all the
rest of a report, and would refuse colours such as `var(--first)`. Those are resolved in the page, so that plots follow
its light and dark colours. A figure may hold `narrow`: layout keys that win on a narrow screen.

Money comes in minor units. It is drawn in major units, where a float is near enough for a pixel, and shown by
`money.format`, exactly. Text is escaped here, because plots understand a few tags.
"""

from __future__ import annotations

import html
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np

from sycee.core import money
from sycee.core.money import Currency
from sycee.report.page import Figure

Array = np.ndarray[Any, Any]

HOUR_NS: Final = 3_600_000_000_000
STREAMS: Final = ("first", "second", "third", "fourth", "fifth", "sixth")  # the page's colours, told apart by anyone
CURVE_POINTS_MAX: Final = 160  # more would not be seen, and a page should not carry every payee of a city
BINS: Final = 20


@dataclass(frozen=True, slots=True)
class Series:
    """Named values, one per hour or per category; `colour` is a name among the page's colours."""

    name: str
    values: Array
    colour: str


@dataclass(frozen=True, slots=True)
class Level:
    """A named amount that does not change, drawn as a line."""

    name: str
    minor: int


def local(moment_ns: int, zone: ZoneInfo) -> datetime:
    """A moment as the clocks of `zone` show it."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment_ns // 1_000_000_000)).astimezone(zone)


def shown(moment_ns: int, zone: ZoneInfo) -> str:
    """A moment for people, such as "Mon 12 Oct 2020, 18:00"."""
    moment = local(moment_ns, zone)
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M}"


def shown_end(moment_ns: int, zone: ZoneInfo) -> str:
    """The end of a window for people: midnight is 24:00 of the day that ends."""
    moment = local(moment_ns, zone)
    if (moment.hour, moment.minute, moment.second) != (0, 0, 0):
        return shown(moment_ns, zone)
    before = moment - timedelta(days=1)
    return f"{before:%a} {before.day} {before:%b %Y}, 24:00"


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
    bars = []
    middles = [_axis_time(int(start) + HOUR_NS // 2, zone) for start in starts_ns]
    spans = [_hour(int(start), zone) for start in starts_ns]
    for series in stacked:
        bars.append(
            {
                "type": "bar",
                "name": _plain(series.name),
                "x": middles,
                "y": _major(series.values, currency),
                "marker": {"color": _var(series.colour), "line": {"width": 0}},
                "customdata": [
                    f"{span}<br>{_plain(series.name)}: <b>{_money(value, currency)}</b>"
                    for span, value in zip(spans, series.values, strict=True)
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    lines = []
    ends = [_axis_time(int(starts_ns[0]), zone)] if len(starts_ns) else []
    ends += [_axis_time(int(start) + HOUR_NS, zone) for start in starts_ns]
    for series in running:
        totals = np.concatenate([np.zeros(min(len(starts_ns), 1), np.int64), np.cumsum(series.values, dtype=np.int64)])
        lines.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": _plain(series.name),
                "x": ends,
                "y": _major(totals, currency),
                "yaxis": "y2",
                "line": {"color": _var(series.colour), "width": 2.5, "dash": "solid" if not lines else "dash"},
                "customdata": [
                    f"until {_plain(end.replace('T', ' ')[:16])}<br>{_plain(series.name)}: <b>{_money(value, currency)}</b>"
                    for end, value in zip(ends, totals, strict=True)
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
    deadline = _axis_time(deadline_ns, zone)
    highest = max([level.minor, *(int(series.values.sum()) for series in running)])
    days = max((int(starts_ns[-1]) - int(starts_ns[0])) // (24 * HOUR_NS), 1) if len(starts_ns) else 1
    first = local(int(starts_ns[0]) if len(starts_ns) else deadline_ns, zone)
    last = local(max(deadline_ns, int(starts_ns[-1]) + HOUR_NS if len(starts_ns) else 0), zone)
    pad = timedelta(hours=max(2, days))
    return {
        "data": bars + lines,
        "layout": _layout(
            barmode="stack",
            bargap=0.12,
            xaxis=_axis(
                type="date",
                anchor="y2",
                range=[_text(first - timedelta(hours=2)), _text(last + pad)],
                # A tick at every local midnight, or every second one and so on for a long window.
                tick0=_text(first.replace(hour=0, minute=0, second=0)),
                dtick=math.ceil(days / 8) * 86_400_000,
                tickformat="%a<br>%-d %b",
                ticklabelmode="period" if days <= 8 else "instant",
                showgrid=True,
            ),
            yaxis=_axis(domain=[0.46, 1], title=_title(f"by hour, {currency.code}"), tickformat=_ticks(bars)),
            yaxis2=_axis(
                domain=[0, 0.36],
                title=_title(f"in all, {currency.code}"),
                range=[0, 1.18 * highest / 10**currency.digits],
                tickformat="~s",
                nticks=5,
            ),
            legend=_legend(),
            margin={"l": 64, "r": 16, "t": 44, "b": 44},
            shapes=[
                _line({"x0": deadline, "x1": deadline, "yref": "paper", "y0": 0, "y1": 1}, "warning", "solid"),
                _line(
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
                _note("deadline", x=deadline, yref="paper", y=1, xanchor="right", yanchor="top", colour="warning"),
                _note(
                    f"{level.name} {_money(level.minor, currency)}",
                    xref="paper",
                    x=0.005,
                    yref="y2",
                    y=level.minor / 10**currency.digits,
                    xanchor="left",
                    yanchor="bottom",
                    colour="quiet",
                ),
            ],
        ),
        "narrow": {"margin": {"l": 52, "r": 8, "t": 64, "b": 44}, "font.size": 11},
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
        f"{_money(int(low), currency)} to {_money(int(high), currency)}"
        for low, high in zip(edges, edges[1:], strict=False)
    ]
    data: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": _plain(in_part),
            "x": [float(edge + step / 2) / scale for edge in edges[:-1]],
            "y": [int(count) for count in counts],
            "width": [float(step) / scale] * len(counts),
            "marker": {"color": _var("second"), "line": {"width": 1, "color": _var("surface")}},
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
                "name": _plain(name),
                "x": [float(place) / scale],
                "y": [min(count, top)],
                "width": [float(step) * 0.9 / scale],
                "marker": {"color": _var(colour), "pattern": {"shape": "/" if cut else "", "solidity": 0.35}},
                "customdata": [f"{_plain(name)}: <b>{count:,}</b>" + (" (bar cut)" if cut else "")],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        )
        text = f"<b>{count:,}</b> {_plain(name)}" + ("<br>bar cut" if cut else "")
        notes.append(
            _note(text, x=float(place) / scale, y=min(count, top), xanchor=anchor, yanchor="bottom", escaped=True)
        )
        notes[-1]["align"] = anchor
        notes[-1]["xshift"] = -8 if anchor == "left" else 8
    return {
        "data": data,
        "layout": _layout(
            showlegend=False,
            bargap=0,
            xaxis=_axis(
                title=_title(f"left, {currency.code}"),
                range=[float(-1.8 * step) / scale, float(whole_minor + 1.8 * step) / scale],
                tickvals=[whole_minor * quarter / 4 / scale for quarter in range(5)],
                tickformat=",~f",
            ),
            yaxis=_axis(title=_title("how many"), range=[0, 1.22 * top], tickformat=",d"),
            margin={"l": 60, "r": 12, "t": 12, "b": 48},
        ),
    }


def flow(flows: Sequence[tuple[str, str, int]], *, currency: Currency, back: str = "{} (again)") -> Figure:
    """Money on its way as a Sankey picture.

    A stream keeps its colour until it meets another. Where money comes back to where it was before, that place is shown
    a second time, named by `back`, since the picture reads from left to right.
    """
    links = _unrolled([(source, target, minor) for source, target, minor in flows if minor > 0], back)
    names = list(dict.fromkeys(name for source, target, _ in links for name in (source, target)))
    number = {name: index for index, name in enumerate(names)}
    into: dict[str, int] = defaultdict(int)
    out: dict[str, int] = defaultdict(int)
    for source, target, minor in links:
        out[source] += minor
        into[target] += minor
    colours = _stream_colours(links)
    through = {name: max(into[name], out[name]) for name in names}
    return {
        "data": [
            {
                "type": "sankey",
                "orientation": "h",
                "arrangement": "snap",
                "valueformat": ",.2f",
                "textfont": {"color": _var("ink"), "shadow": "none"},
                "node": {
                    "label": [f"<b>{_plain(name)}</b><br>{_money(through[name], currency)}" for name in names],
                    "color": [_var(colours[name]) for name in names],
                    "customdata": [f"{_plain(name)}: {_money(through[name], currency)}" for name in names],
                    "hovertemplate": "%{customdata}<extra></extra>",
                    "pad": 44,
                    "thickness": 16,
                    "line": {"width": 0},
                },
                "link": {
                    "source": [number[source] for source, _, _ in links],
                    "target": [number[target] for _, target, _ in links],
                    "value": [minor / 10**currency.digits for _, _, minor in links],
                    "color": [_var(f"{_link_colour(colours, source, target)}-soft") for source, target, _ in links],
                    "customdata": [
                        f"{_plain(source)} → {_plain(target)}<br><b>{_money(minor, currency)}</b>"
                        for source, target, minor in links
                    ],
                    "hovertemplate": "%{customdata}<extra></extra>",
                },
            }
        ],
        "layout": _layout(margin={"l": 8, "r": 8, "t": 28, "b": 28}),
    }


def towers(
    categories: Sequence[str], groups: Sequence[tuple[str, Sequence[Series]]], *, currency: Currency, hint: str
) -> Figure:
    """Money by category: for each one a bar per group, each bar made of its series. `hint` names the axis."""
    data = []
    for number, (group, members) in enumerate(groups):
        base = np.zeros(len(categories), np.int64)
        for series in members:
            data.append(
                {
                    "type": "bar",
                    "name": _plain(series.name),
                    "x": [_plain(category) for category in categories],
                    "y": _major(series.values, currency),
                    "base": _major(base, currency),
                    "offsetgroup": str(number),
                    "marker": {"color": _var(series.colour)},
                    "customdata": [
                        f"<b>{_plain(category)}</b>, {_plain(group)}<br>{_plain(series.name)}: "
                        f"<b>{_money(value, currency)}</b>"
                        for category, value in zip(categories, series.values, strict=True)
                    ],
                    "hovertemplate": "%{customdata}<extra></extra>",
                }
            )
            base = base + series.values
    return {
        "data": data,
        "layout": _layout(
            barmode="group",
            bargap=0.3,
            bargroupgap=0.06,
            xaxis=_axis(type="category", showgrid=False),
            yaxis=_axis(title=_title(f"{hint}, {currency.code}"), tickformat=_ticks(data), rangemode="tozero"),
            legend=_legend(),
            margin={"l": 64, "r": 12, "t": 44, "b": 36},
        ),
        "narrow": {"margin": {"l": 52, "r": 8, "t": 64, "b": 36}, "font.size": 11},
    }


def ranks(descending_minor: Array, *, currency: Currency, what: str) -> Figure:
    """What the one at each rank got, both axes logarithmic. A straight line would be a power law."""
    got = descending_minor[descending_minor > 0]
    places = ranks_shown(len(got))
    values = [int(got[place - 1]) for place in places]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": places,
                "y": [value / 10**currency.digits for value in values],
                "line": {"color": _var("third"), "width": 2.5},
                "customdata": [
                    f"rank {place:,}: <b>{_money(value, currency)}</b>"
                    for place, value in zip(places, values, strict=True)
                ],
                "hovertemplate": "%{customdata}<extra></extra>",
            }
        ],
        "layout": _layout(
            showlegend=False,
            xaxis=_axis(type="log", title=_title(f"rank of the {what}, log scale"), dtick=1, tickformat=",d"),
            yaxis=_axis(type="log", title=_title(f"received, {currency.code}, log scale"), dtick=1, tickformat=",~f"),
            margin={"l": 72, "r": 16, "t": 12, "b": 48},
        ),
        "narrow": {"font.size": 11},
    }


def lorenz(descending_minor: Array, *, what: str) -> Figure:
    """Which share of the money the lower part got, against equal shares."""
    counts, shares = lorenz_points(descending_minor)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [0, 1],
                "y": [0, 1],
                "line": {"color": _var("quiet"), "width": 1.5, "dash": "dot"},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "lines",
                "x": counts,
                "y": shares,
                "fill": "tonexty",
                "fillcolor": _var("third-soft"),
                "line": {"color": _var("third"), "width": 2.5},
                "hovertemplate": f"the lower %{{x:.0%}} of the {_plain(what)} received %{{y:.1%}}<extra></extra>",
            },
        ],
        "layout": _layout(
            showlegend=False,
            xaxis=_axis(title=_title(f"share of the {what}, smallest first"), range=[0, 1], tickformat=".0%"),
            yaxis=_axis(title=_title("share of the money"), range=[0, 1.01], tickformat=".0%"),
            margin={"l": 60, "r": 20, "t": 12, "b": 48},
            annotations=[
                _note("if all were equal", x=0.5, y=0.5, xanchor="right", yanchor="bottom", colour="quiet"),
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


def _unrolled(links: Sequence[tuple[str, str, int]], back: str) -> list[tuple[str, str, int]]:
    """The same links without circles: one that leads back to where its money was before ends in a place of its own."""
    after: dict[str, set[str]] = defaultdict(set)
    unrolled = []
    for source, target, minor in links:
        if source == target or source in _reached(after, target):
            target = back.format(target)
        after[source].add(target)
        unrolled.append((source, target, minor))
    return unrolled


def _reached(after: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in after.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _stream_colours(links: Sequence[tuple[str, str, int]]) -> dict[str, str]:
    """A colour for each place: its stream's, where one stream alone feeds it, or the one for places where streams meet."""
    feeds: dict[str, list[str]] = defaultdict(list)
    names = list(dict.fromkeys(name for source, target, _ in links for name in (source, target)))
    for source, target, _ in links:
        feeds[target].append(source)
    streams: Iterable[str] = iter(STREAMS)
    roots = {name for name in names if not feeds[name]}
    colours = dict.fromkeys(roots, "neutral")
    waiting = [name for name in names if name not in roots]
    while waiting:
        for name in list(waiting):
            if any(source not in colours for source in feeds[name]):
                continue
            waiting.remove(name)
            fed = {colours[source] for source in feeds[name]}
            if set(feeds[name]) <= roots:
                colours[name] = next(iter(streams), "neutral")
            else:
                colours[name] = fed.pop() if len(fed) == 1 else "meeting"
    return colours


def _link_colour(colours: dict[str, str], source: str, target: str) -> str:
    return colours[target] if colours[source] == "neutral" else colours[source]


def _plain(text: str) -> str:
    """Text that a plot shows as it is, tags and all."""
    return html.escape(text, quote=False)


def _money(minor: Any, currency: Currency) -> str:
    return money.format(minor, currency, code=True)


def _major(minor: Array, currency: Currency) -> list[float]:
    return [int(value) / 10**currency.digits for value in minor]


def _text(moment: datetime) -> str:
    """As an axis wants it: without a zone, so that it shows the same to readers anywhere."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def _axis_time(moment_ns: int, zone: ZoneInfo) -> str:
    return _text(local(moment_ns, zone))


def _hour(start_ns: int, zone: ZoneInfo) -> str:
    start, end = local(start_ns, zone), local(start_ns + HOUR_NS, zone)
    closing = "24:00" if end.hour == 0 else f"{end:%H:%M}"
    return f"{start:%a} {start.day} {start:%b, %H:%M}–{closing}"


def _var(name: str) -> str:
    return f"var(--{name})"


def _layout(**more: Any) -> dict[str, Any]:
    layout: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": _var("ink"), "size": 13},
        "hoverlabel": {"bgcolor": _var("surface"), "bordercolor": _var("line"), "font": {"color": _var("ink")}},
        "hovermode": "closest",
        "dragmode": False,
    }
    return layout | more


def _axis(**more: Any) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "gridcolor": _var("grid"),
        "zerolinecolor": _var("line"),
        "linecolor": _var("line"),
        "tickcolor": _var("line"),
        "fixedrange": True,
        "automargin": True,
    }
    return axis | more


def _ticks(traces: Sequence[dict[str, Any]]) -> str:
    """Thousands in full while they are few digits, then 1.2M."""
    highest = max((value for trace in traces for value in trace["y"]), default=0.0)
    return "~s" if highest >= 1_000_000 else ",~f"


def _title(text: str) -> dict[str, Any]:
    return {"text": _plain(text), "font": {"size": 12, "color": _var("soft")}, "standoff": 8}


def _legend() -> dict[str, Any]:
    return {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "font": {"size": 12}}


def _line(ends: dict[str, Any], colour: str, dash: str) -> dict[str, Any]:
    return {"type": "line", "line": {"color": _var(colour), "width": 1.5, "dash": dash}} | ends


def _note(text: str, *, colour: str = "ink", escaped: bool = False, **place: Any) -> dict[str, Any]:
    return {
        "text": text if escaped else _plain(text),
        "showarrow": False,
        "font": {"size": 12, "color": _var(colour)},
    } | place
