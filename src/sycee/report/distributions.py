"""Plots of distributions: bars by name, a pyramid of two groups, a histogram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.money import Currency
from sycee.report import chart
from sycee.report.chart import Drawing, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HISTOGRAM_BINS: Final = 40
BARS_MAX: Final = 40  # names that a reader can tell apart


def bars(names: Sequence[str], series: Sequence[Series], *, label: str) -> Drawing:
    """Draw horizontal bars by name, the first at the top; several series are drawn side by side."""
    if not names:
        return chart.nothing
    height = 0.8 / len(series)

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for number, each in enumerate(series):
            places = np.arange(len(names)) + (number - (len(series) - 1) / 2) * height
            axes.barh(places, each.values, height * 0.94, color=chart.colour(each.colour), label=each.name)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        _finish_counts(axes, label)
        if len(series) > 1:
            figure.legend(loc="outside upper left", ncols=1 if narrow else len(series))

    return draw


def pyramid(names: Sequence[str], left: Series, right: Series, *, label: str) -> Drawing:
    """Draw two groups back to back by name, the first name at the bottom."""
    if not names:
        return chart.nothing

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        places = np.arange(len(names))
        axes.barh(places, -left.values, 0.92, color=chart.colour(left.colour), label=left.name)
        axes.barh(places, right.values, 0.92, color=chart.colour(right.colour), label=right.name)
        step = 2 if narrow or len(names) > 2 * HISTOGRAM_BINS else 1
        axes.set_yticks(places[::step], list(names[::step]))
        highest = float(max(left.values.max(), right.values.max(), 1)) * 1.05
        axes.set_xlim(-highest, highest)
        _finish_counts(axes, label)
        figure.legend(loc="outside upper left", ncols=2)

    return draw


def histogram(minor: Array, *, most_minor: int, currency: Currency, label: str, counted: str) -> Drawing:
    """Draw a histogram of amounts from 0 to `most_minor`; larger amounts are in no bar."""
    if not minor.size or most_minor <= 0:
        return chart.nothing
    edges = np.linspace(0, most_minor, HISTOGRAM_BINS + 1)
    counts = np.histogram(minor, bins=edges)[0]
    major = edges / 10**currency.digits

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        width = major[1] - major[0]
        axes.bar(major[:-1] + width / 2, counts, width=width * 0.94, color=chart.colour("second"))
        axes.set_xlabel(f"{label}, {currency.code}")
        axes.set_ylabel(counted)
        axes.set_xlim(0, major[-1])
        axes.xaxis.set_major_formatter("{x:,.10g}")
        axes.locator_params(axis="x", nbins=4 if narrow else 8)
        axes.grid(axis="y")
        axes.tick_params(axis="x", length=0)
        chart.show_magnitudes(axes)

    return draw


def _finish_counts(axes: Axes, label: str) -> None:
    """Label the horizontal axis with magnitudes, without signs."""
    from matplotlib.ticker import EngFormatter, FuncFormatter

    short = EngFormatter(sep="")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short(abs(value))))
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(label)
    axes.tick_params(axis="both", length=0)
    axes.grid(axis="x")
