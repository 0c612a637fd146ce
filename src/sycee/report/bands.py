"""Plot of predicted bands: 5 to 95 % as a thin line, 25 to 75 % as a thick one, the median, and results beside them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sycee.report import chart
from sycee.report.chart import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BANDS_MAX: Final = 60  # rows that a reader can tell apart
LARGE: Final = 10_000  # an axis with such values is labelled as in 1.2M
NAME_NARROW: Final = 26  # characters of a line of a name, of which a row has two at most
NAME_WIDE: Final = 60


@dataclass(frozen=True, slots=True)
class Band:
    """One row: quantiles at 5, 25, 50, 75 and 95 %, and the bounds of a published result."""

    name: str
    quantiles: tuple[float, float, float, float, float]
    result: tuple[float, float] | None = None
    is_hit: bool = True

    def scaled(self) -> Band:
        """Return the band in widths of its 90 % band around the median, so that rows of all units can be compared."""
        low, _, middle, _, high = self.quantiles
        width = (high - low) or abs(middle) or 1.0
        low, lower, middle, upper, high = ((value - middle) / width for value in self.quantiles)
        found = None
        if self.result is not None:
            found = ((self.result[0] - self.quantiles[2]) / width, (self.result[1] - self.quantiles[2]) / width)
        return Band(self.name, (low, lower, middle, upper, high), found, self.is_hit)


def bands(rows: Sequence[Band], *, label: str, limit: float | None = None) -> Drawing:
    """Draw one row per band, the first at the top. limit: results further from 0 are drawn at it, as an arrow."""
    shown = rows[:BANDS_MAX]
    if not shown:
        return chart.nothing

    def draw(figure: Figure, narrow: bool) -> None:
        from matplotlib.ticker import EngFormatter

        axes = figure.subplots()
        for place, row in enumerate(shown):
            low, lower, middle, upper, high = row.quantiles
            axes.plot([low, high], [place, place], color=chart.colour("first-soft"), linewidth=5, solid_capstyle="butt")
            axes.plot([lower, upper], [place, place], color=chart.colour("first"), linewidth=5, solid_capstyle="butt")
            axes.plot([middle], [place], "|", color=chart.colour("ink"), markersize=10)
            if row.result is None:
                continue
            colour = chart.colour("second" if row.is_hit else "warning")
            first, last = row.result
            if limit is not None and (last < -limit or first > limit):
                at = limit if first > limit else -limit
                axes.plot([at], [place], ">" if first > limit else "<", color=colour, markersize=7)
            else:
                axes.plot([first, last], [place, place], color=colour, linewidth=2)
                axes.plot([(first + last) / 2], [place], "o", color=colour, markersize=5)
        names = [_fitted(row.name, NAME_NARROW if narrow else NAME_WIDE) for row in shown]
        axes.set_yticks(range(len(shown)), names)
        if any("\n" in name for name in names):
            axes.tick_params(axis="y", labelsize=9)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel(label)
        axes.tick_params(axis="both", length=0)
        axes.locator_params(axis="x", nbins=4 if narrow else 8)
        if max(abs(value) for row in shown for value in row.quantiles) >= LARGE:
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.grid(axis="x")

    return draw


def not_drawn(count: int) -> str:
    """Return a blank and the sentence about rows of `count` that `bands` leaves out; "" if it draws all."""
    return f" Only the first {BANDS_MAX} of {count} rows are drawn." if count > BANDS_MAX else ""


def _fitted(name: str, width: int) -> str:
    """Return a name in one or two lines of this width; a longer one is cut."""
    lines = textwrap.wrap(name, width) or [name]
    if len(lines) > 2:
        lines = [lines[0], f"{lines[1][: width - 2]} …"]
    return "\n".join(lines)
