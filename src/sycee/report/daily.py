"""Plots by day of a programme: stacked amounts, and running totals; and gains beside losses by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sycee.core.money import Currency
from sycee.report import chart
from sycee.report.chart import Drawing, Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def stacked(series: Sequence[Series], *, first: date, currency: Currency, label: str) -> Drawing:
    """Draw the amounts of each day from the first as one bar of several parts. Values: (days,) minor units, >= 0."""
    days = _days(first, series)
    if not days:
        return chart.nothing

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        bottom = np.zeros(len(days))
        for each in series:
            amounts = chart.major(each.values, currency)
            axes.bar(days, amounts, 0.86, bottom=bottom, color=chart.colour(each.colour), label=each.name)
            bottom += amounts
        _finish(axes, f"{label}, {currency.code}", narrow)
        figure.legend(loc="outside upper left", ncols=1 if narrow else len(series))

    return draw


def lines(series: Sequence[Series], *, first: date, currency: Currency, label: str) -> Drawing:
    """Draw amounts at the end of each day from the first as lines. Values: (days,) minor units."""
    days = _days(first, series)
    if not days:
        return chart.nothing

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for each in series:
            amounts = chart.major(each.values, currency)
            axes.plot(days, amounts, color=chart.colour(each.colour), linewidth=2, label=each.name)
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        _finish(axes, f"{label}, {currency.code}", narrow)
        figure.legend(loc="outside upper left", ncols=2 if narrow else len(series))

    return draw


def changes(names: Sequence[str], minor: Sequence[int], *, currency: Currency, label: str) -> Drawing:
    """Draw gains to the right and losses to the left of 0, by name, the first at the top."""
    if not names:
        return chart.nothing
    amounts = chart.major(np.array(minor, np.int64), currency)

    def draw(figure: Figure, narrow: bool) -> None:
        from matplotlib.ticker import EngFormatter

        axes = figure.subplots()
        colours = [chart.colour("first" if amount >= 0 else "warning") for amount in amounts]
        axes.barh(range(len(names)), amounts, 0.8, color=colours)
        axes.axvline(0, color=chart.colour("line"), linewidth=1)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.locator_params(axis="x", nbins=4 if narrow else 8)
        axes.set_xlabel(f"{label}, {currency.code}")
        axes.tick_params(axis="both", length=0)
        axes.grid(axis="x")

    return draw


def _days(first: date, series: Sequence[Series]) -> list[Any]:
    # Dates: matplotlib converts them, but its types accept numbers alone.
    return [first + timedelta(days=day) for day in range(len(series[0].values))]


def _finish(axes: Axes, label: str, narrow: bool) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=5 if narrow else 10)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_ylabel(label)
    axes.tick_params(axis="both", length=0)
    axes.grid(axis="y")
    chart.show_magnitudes(axes)
