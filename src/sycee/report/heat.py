"""Plot of a table of figures as shaded cells: one colour above a middle, another below it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from sycee.report import chart
from sycee.report.chart import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHADE_MAX: Final = 0.75  # opacity of the strongest colour, on which the text is legible
COLUMNS_NARROW: Final = 6  # whose figures fit a narrow screen


def heat(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
    *,
    middle: float,
    span: float = 0.0,
    text: Callable[[float], str],
    across: str = "",
    down: str = "",
) -> Drawing:
    """Draw a cell for each row and column, the first row at the top; None is an empty cell.

    middle: the value without colour; one that is `span` away from it has the strongest, without it the furthest one.
    text: a value in words. across, down: names of the axes.
    """
    known = [value for row in values for value in row if value is not None]
    if not known:
        return chart.nothing
    furthest = span or max(abs(value - middle) for value in known) or 1.0

    def draw(figure: Figure, narrow: bool) -> None:
        from matplotlib.patches import Rectangle

        axes = figure.subplots()
        shown = not narrow or len(columns) <= COLUMNS_NARROW
        for down_at, row in enumerate(values):
            for across_at, value in enumerate(row):
                if value is None:
                    continue
                colour = chart.colour("first" if value >= middle else "second")
                shade = SHADE_MAX * abs(value - middle) / furthest
                cell = Rectangle((across_at - 0.5, down_at - 0.5), 1, 1, facecolor=colour, alpha=shade, linewidth=0)
                axes.add_patch(cell)
                if shown:
                    axes.text(across_at, down_at, text(value), ha="center", va="center", color=chart.colour("ink"))
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        turned = sum(map(len, columns)) > (30 if narrow else 90)
        axes.set_xticks(range(len(columns)), columns, rotation=90 if turned else 0)
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xlabel(across)
        axes.set_ylabel(down)
        axes.tick_params(axis="both", length=0)
        axes.spines["bottom"].set_visible(False)

    return draw
