"""The plots of a report, each as a `Drawing` for `chart.svg`, and the numbers behind them.

Arrays hold minor units, int64. `sankey` draws the flow of money.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.money import Currency
from sycee.report import chart
from sycee.report.chart import Drawing, Level, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HOUR_NS: Final = 3_600_000_000_000
CURVE_POINTS_MAX: Final = 160  # a reader cannot see more, and a page should not hold every payee of a city
BINS: Final = 20
BAR_HOURS: Final = 0.88  # width of the bar of an hour
DAYS_NAMED_MAX: Final = 8  # day names that fit below an axis on a narrow screen


def hours(
    starts_ns: Array,
    stacked: Sequence[Series],
    running: Sequence[Series],
    *,
    level: Level,
    deadline_ns: int,
    currency: Currency,
    zone: ZoneInfo,
) -> Drawing:
    """Draw money by hour as stacked bars and, below on the same days, running totals against a level."""
    if not len(starts_ns):
        return chart.nothing
    time = _TimeAxis.of(starts_ns, deadline_ns, zone)

    def draw(figure: Figure, narrow: bool) -> None:
        bars, lines = figure.subplots(2, 1, sharex=True, height_ratios=(6, 4))
        _stacked_bars(bars, time.middles, stacked, currency)
        ends = [chart.on_axis(int(end), zone) for end in (starts_ns[0], *(starts_ns + HOUR_NS))]
        _running_totals(lines, ends, running, level, currency)
        bars.set_ylabel(f"by hour, {currency.code}")
        lines.set_ylabel(f"in all, {currency.code}")
        time.finish((bars, lines), narrow)
        figure.legend(loc="outside upper left", ncols=2 if narrow else 4)

    return draw


def counts_by_hour(starts_ns: Array, panels: Sequence[Series], *, deadline_ns: int, zone: ZoneInfo) -> Drawing:
    """Draw counts by hour, one panel for each series, all on the same days."""
    if not len(starts_ns):
        return chart.nothing
    time = _TimeAxis.of(starts_ns, deadline_ns, zone)

    def draw(figure: Figure, narrow: bool) -> None:
        every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0].tolist()
        for axes, series in zip(every, panels, strict=True):
            _stacked_bars(axes, time.middles, (series,))
            axes.locator_params(axis="y", integer=True)
            axes.set_ylabel(series.name)
        time.finish(every, narrow)

    return draw


@dataclass(frozen=True, slots=True)
class _TimeAxis:
    """Hours until a deadline, with the local days as labels."""

    first: datetime
    last: datetime
    deadline: datetime
    middles: list[datetime]  # of the hours

    @classmethod
    def of(cls, starts_ns: Array, deadline_ns: int, zone: ZoneInfo) -> _TimeAxis:
        first = chart.on_axis(int(starts_ns[0]), zone)
        return cls(
            # Half of the first day is always visible, so that its name fits.
            first=min(first - timedelta(hours=2), _midnight(first) + timedelta(hours=12)),
            last=chart.on_axis(max(deadline_ns, int(starts_ns[-1]) + HOUR_NS), zone),
            deadline=chart.on_axis(deadline_ns, zone),
            middles=[chart.on_axis(int(start) + HOUR_NS // 2, zone) for start in starts_ns],
        )

    def finish(self, every: Sequence[Axes], narrow: bool) -> None:
        """Draw days and deadline into the panels; the first one names the deadline, the last one the days."""
        days = _days(self.first, self.last)
        for axes in every:
            axes.grid(axis="y")
            for _, end in days[:-1]:
                axes.axvline(end, color=chart.colour("grid"), linewidth=1, zorder=0)  # type: ignore[arg-type]
            axes.axvline(self.deadline, color=chart.colour("warning"), linewidth=1.5)  # type: ignore[arg-type]
            axes.tick_params(axis="x", length=0)
            chart.show_magnitudes(axes)
        above = every[0].get_xaxis_transform()
        every[0].text(
            self.deadline, 1, "deadline", transform=above, ha="right", va="bottom", color=chart.colour("warning")  # type: ignore[arg-type]
        )  # fmt: skip
        every[-1].set_xlim(self.first, self.last + (self.last - self.first) / 60)  # type: ignore[arg-type]
        named = days[:: math.ceil(len(days) / DAYS_NAMED_MAX)]
        names = [f"{start:%a}\n{start.day}" if narrow else f"{start:%a}\n{start.day} {start:%b}" for start, _ in named]
        every[-1].set_xticks([start + (end - start) / 2 for start, end in named], names)  # type: ignore[arg-type]


def left_over(left_minor: Array, whole_minor: int, *, currency: Currency, emptied: str, untouched: str) -> Drawing:
    """Draw a histogram of amounts left, with the emptied and the untouched at its ends.

    A bar at an end that is far higher than all others is cut and hatched, and its text states it.
    """
    counts, edges = bins(left_minor, whole_minor)
    at_none, at_whole = int((left_minor == 0).sum()), int((left_minor == whole_minor).sum())
    edges = edges / 10**currency.digits
    step, whole = edges[1], edges[-1]
    top = max(int(counts.max()) * 4 // 3, 1) if counts.any() else max(at_none, at_whole, 1)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.bar(edges[:-1] + step / 2, counts, width=step * 0.95, color=chart.colour("second"))
        for name, count, place, shade, side in (
            (emptied, at_none, -step, "first", "left"),
            (untouched, at_whole, whole + step, "third", "right"),
        ):
            cut = count > top
            axes.bar(place, min(count, top), width=step * 0.9, color=chart.colour(shade), hatch="//" if cut else None)
            text = f"{count:,} {name}{', bar cut' if cut else ''}"
            edge = place - step * 0.45 if side == "left" else place + step * 0.45
            axes.text(edge, min(count, top) + top * 0.02, text, ha=side, va="bottom")
        axes.set_xlabel(f"left, {currency.code}")
        axes.set_ylabel("count")
        axes.set_xlim(-1.8 * step, whole + 1.8 * step)
        axes.set_ylim(0, 1.15 * top)
        axes.set_xticks([whole * quarter / 4 for quarter in range(5)])
        axes.xaxis.set_major_formatter("{x:,.10g}")
        axes.yaxis.set_major_formatter("{x:,.10g}")
        axes.grid(axis="y")

    return draw


def grouped_bars(
    categories: Sequence[str], groups: Sequence[Sequence[Series]], *, currency: Currency, label: str
) -> Drawing:
    """Draw one bar per category and group; the series of a group are stacked. `label` names the vertical axis."""
    if not categories:
        return chart.nothing
    width = 0.72 / len(groups)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for number, members in enumerate(groups):
            base = np.zeros(len(categories))
            places = np.arange(len(categories)) + (number - (len(groups) - 1) / 2) * width
            for series in members:
                values = chart.major(series.values, currency)
                shade = chart.colour(series.colour)
                axes.bar(places, values, width * 0.94, bottom=base, color=shade, label=series.name)
                base = base + values
        axes.set_xticks(range(len(categories)), categories)
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel(f"{label}, {currency.code}")
        axes.grid(axis="y")
        chart.show_magnitudes(axes)
        figure.legend(loc="outside upper left", ncols=1 if narrow else 3)

    return draw


def ranks(descending_minor: Array, *, currency: Currency, receiver: str) -> Drawing:
    """Draw the amount at each rank, both axes logarithmic. A straight line would be a power law."""
    positive = descending_minor[descending_minor > 0]
    if not len(positive):
        return chart.nothing
    places = ranks_shown(len(positive))
    values = chart.major(positive[np.array(places) - 1], currency)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.loglog(places, values, color=chart.colour("third"), linewidth=2.5)
        axes.set_xlabel(f"rank of the {receiver}, log scale")
        axes.set_ylabel(f"received, {currency.code}, log scale")
        axes.minorticks_off()
        axes.xaxis.set_major_formatter("{x:,.10g}")
        axes.yaxis.set_major_formatter("{x:,.10g}")
        axes.grid()

    return draw


def lorenz(descending_minor: Array, *, receivers: str) -> Drawing:
    """Draw the Lorenz curve against the line of equal shares."""
    if not descending_minor.any():
        return chart.nothing
    counts, shares = lorenz_points(descending_minor)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=chart.colour("quiet"), linewidth=1.5, linestyle=":")
        axes.fill_between(counts, shares, counts, color=chart.colour("third-soft"), linewidth=0)
        axes.plot(counts, shares, color=chart.colour("third"), linewidth=2.5)
        axes.text(0.45, 0.52, "equal shares", ha="right", color=chart.colour("soft"))
        axes.set_xlabel(f"share of {receivers}, smallest first")
        axes.set_ylabel("share of the money")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.grid()

    return draw


def bins(left_minor: Array, whole_minor: int) -> tuple[Array, Array]:
    """Return (counts, edges) of amounts strictly between nothing and the whole: at most BINS bins of equal width."""
    part = left_minor[(left_minor > 0) & (left_minor < whole_minor)]
    edges = np.linspace(0, whole_minor, min(BINS, max(whole_minor, 1)) + 1)
    return np.histogram(part, bins=edges)[0], edges


def ranks_shown(count: int) -> list[int]:
    """Return ranks from 1 to `count` for a logarithmic axis: all of the first, fewer and fewer of the later ones."""
    if count <= CURVE_POINTS_MAX:
        return list(range(1, count + 1))
    return sorted({round(place) for place in np.geomspace(1, count, CURVE_POINTS_MAX)})


def lorenz_points(descending_minor: Array) -> tuple[list[float], list[float]]:
    """Return points of the Lorenz curve: the share of receivers, smallest first, and their share of the money."""
    count = len(descending_minor)
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(descending_minor[::-1], dtype=np.int64)])
    total = int(running[-1])
    if total == 0:
        return [0.0, 1.0], [0.0, 1.0]
    places = sorted({round(place) for place in np.linspace(0, count, min(count, CURVE_POINTS_MAX) + 1)})
    return [place / count for place in places], [int(running[place]) / total for place in places]


def gini(descending_minor: Array) -> float:
    """Return the Gini coefficient: 0 for equal amounts, towards 1 where one receiver has everything.

    (n + 1 - 2 Σ running totals / total) / n over ascending amounts (Gini 1912, in the form for sorted samples).
    """
    count, total = len(descending_minor), int(descending_minor.sum())
    if total == 0:
        return 0.0
    running = np.cumsum(descending_minor[::-1], dtype=np.int64)
    # Python's integers: the sum of running totals of a country's money exceeds 64 bits.
    return (count + 1 - 2 * sum(int(each) for each in running) / total) / count


def _stacked_bars(
    axes: Axes, middles: list[datetime], stacked: Sequence[Series], currency: Currency | None = None
) -> None:
    """Draw the bars of each series as one path: a patch for each hour of some months would take seconds.

    currency: of amounts; None for counts.
    """
    from matplotlib.dates import date2num
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    axes.xaxis_date()
    places: Array = date2num(middles)  # type: ignore[no-untyped-call]
    half = BAR_HOURS / 24 / 2
    base = np.zeros(len(middles))
    for series in stacked:
        values = series.values.astype(np.float64) if currency is None else chart.major(series.values, currency)
        top = base + values
        corners = zip((-half, -half, half, half), (base, top, top, base), strict=True)
        bars = np.stack([np.stack([places + side, height], axis=-1) for side, height in corners], axis=1)[values != 0]
        patch = PathPatch(Path.make_compound_path_from_polys(bars), linewidth=0, label=series.name)
        patch.set_facecolor(chart.colour(series.colour))
        axes.add_artist(patch)
        base = top
    axes.set_ylim(0, 1.05 * float(base.max()) or 1)


def _running_totals(
    axes: Axes, ends: list[datetime], running: Sequence[Series], level: Level, currency: Currency
) -> None:
    highest = level.minor
    for number, series in enumerate(running):
        totals = np.concatenate([np.zeros(1, np.int64), np.cumsum(series.values, dtype=np.int64)])
        style = "--" if number else "-"
        shade = chart.colour(series.colour)
        axes.plot(ends, chart.major(totals, currency), style, color=shade, linewidth=2.5, label=series.name)  # type: ignore[arg-type]
        highest = max(highest, int(totals[-1]))
    height = level.minor / 10**currency.digits
    axes.axhline(height, color=chart.colour("quiet"), linewidth=1.5, linestyle=":")
    text = f"{level.name} {money.format(level.minor, currency, code=True)}"
    left, shade = axes.get_yaxis_transform(), chart.colour("soft")
    axes.annotate(text, (0, height), (4, 3), xycoords=left, textcoords="offset points", color=shade)
    axes.set_ylim(0, 1.25 * highest / 10**currency.digits)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0)


def _days(first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    """Return the local days between two moments as (start, end); the first and the last day are cut there."""
    days = []
    while first < last:
        end = min(_midnight(first) + timedelta(days=1), last)
        days.append((first, end))
        first = end
    return days
