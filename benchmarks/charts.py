"""Plots of the performance page, drawn by matplotlib: bars, lines, and nested bars of stages."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.tables import figure, name_of

WIDTH: Final = 11.0  # inches
ROW: Final = 0.3  # height of a bar with its gap, inches
COLOURS: Final = ("#2a6f97", "#b5651d", "#5b8c5a", "#7d5ba6", "#a23b4a", "#3d3d3d")  # distinguishable in print
STAGE_COLOURS: Final = {"journal": "#8a5a83", "apply": "#2a6f97"}
QUIET: Final = "#6b7280"
RATIO_MAX: Final = 1.25  # a longer bar is cut, and its note gives the ratio
# Text stays text, ids follow from the content, and no date is written: equal results give an equal file.
STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sycee",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#d9dde3",
}


def limits(rows: Sequence[dict[str, Any]]) -> str:
    """Draw one bar per row: the share of its limit that it reaches, and a tick at its goal, if any."""
    with mpl.rc_context(STYLE):
        drawing = Figure((WIDTH, 1.2 + ROW * max(len(rows), 1)), layout="constrained")
        axes = drawing.subplots()
        axes.set_title("Share of the machine's limit that each row reaches")
        lengths = [min(row["ratio"], RATIO_MAX) for row in rows]
        colours = [COLOURS[1 if row["work"].startswith("peer") else 0] for row in rows]
        axes.barh(range(len(rows)), lengths, height=0.65, color=colours)
        for at, row in enumerate(rows):
            goal = _goal_share(row)
            if goal is not None and goal <= RATIO_MAX:
                axes.plot([goal, goal], [at - 0.45, at + 0.45], color=COLOURS[4], linewidth=2.5)
            reached, limit = (figure(row[name], row["unit"]) for name in ("median", "limit_value"))
            note = f"{reached}; limit {limit}" + (f", {row['ratio']:.0f} times" if row["ratio"] > RATIO_MAX else "")
            axes.text(1.02, at, note, color=QUIET, va="center", transform=axes.get_yaxis_transform())
        axes.set_yticks(range(len(rows)), [name_of(row) for row in rows])
        axes.set_xlim(0, max([1.0, *lengths]))
        axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
        axes.set_xlabel("The red tick is the goal of a row at its full size. Limits are measured in the same run.")
        axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        return _svg(drawing)


def _goal_share(row: dict[str, Any]) -> float | None:
    if row["met"] is None:  # no goal, or a goal for another size
        return None
    share = row["goal_value"] / row["limit_value"]
    return float(share if row["goal"].startswith("≥") else 1 / share)


def millions(rows: Sequence[dict[str, Any]]) -> str:
    """Draw the rate of each million operations of the longer runs: a flat line is a steady rate."""
    with mpl.rc_context(STYLE):
        drawing = Figure((WIDTH, 4), layout="constrained")
        axes = drawing.subplots()
        axes.set_title("Rate of each million operations, in order")
        for at, row in enumerate(sorted(rows, key=lambda row: -row["millions"][-1])):
            rates = [rate / 1e6 for rate in row["millions"]]
            axes.plot(range(1, len(rates) + 1), rates, color=COLOURS[at % len(COLOURS)], label=row["work"])
        axes.set_ylim(bottom=0)
        axes.set_ylabel("million operations/s")
        axes.set_xlabel("million")
        axes.grid(axis="y")
        if rows:
            drawing.legend(loc="outside right upper", frameon=False)
        return _svg(drawing)


def icicle(rows: Sequence[dict[str, Any]], *, note: str) -> str:
    """Draw stages as nested bars, the whole frame on top: a bar is as wide as its stage's mean time."""
    whole = rows[0]
    with mpl.rc_context(STYLE):
        drawing = Figure((WIDTH, 1.8 + 0.62 * ROW * len(rows)), layout="constrained")
        axes, table = drawing.subplots(2, 1, height_ratios=[1.3, 0.62 * ROW * len(rows)])
        axes.set_title(f"Time of the stages of a durable frame of 8,064 transfers, {whole['accounts']:,} accounts")
        starts, ends = {"": 0.0}, dict[str, float]()
        for row in rows:
            parent, _, name = row["stage"].rpartition("/")
            start, depth = ends.get(parent, starts[parent]), row["stage"].count("/")
            starts[row["stage"]], ends[parent] = start, start + row["mean_ms"]
            colour = next(
                (STAGE_COLOURS[part] for part in row["stage"].split("/") if part in STAGE_COLOURS), COLOURS[2]
            )
            shade = {"color": colour, "alpha": 1 - 0.14 * depth, "edgecolor": "white"}
            axes.barh(-depth, row["mean_ms"], left=start, height=0.95, **shade)
            if row["mean_ms"] > 0.012 * len(name) * whole["mean_ms"]:
                axes.text(start + 0.004 * whole["mean_ms"], -depth, name, color="white", va="center", clip_on=True)
        axes.set_xlim(0, whole["mean_ms"])
        axes.set_yticks([])
        axes.set_xlabel(f"milliseconds of {whole['mean_ms']:.2f}: processor time, wall time for write and sync; {note}")
        table.axis("off")
        table.set(xlim=(0, 1), ylim=(len(rows) - 1.5, -0.5))
        for at, row in enumerate(rows[1:]):
            depth = row["stage"].count("/") - 1
            table.text(0.02 * depth, at, f"{row['stage'].rpartition('/')[2]}: {row['what']}", va="center")
            table.text(0.9, at, f"{row['mean_ms']:.3f} ms", va="center", ha="right")
            table.text(1, at, f"{100 * row['share']:.0f} %", va="center", ha="right")
        return _svg(drawing)


def _svg(drawing: Figure) -> str:
    text = io.StringIO()
    drawing.savefig(text, format="svg", metadata={"Date": None})
    return re.sub(r"\s*\n\s*", " ", text.getvalue()).replace("</defs> ", "</defs>\n").strip() + "\n"
