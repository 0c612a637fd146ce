"""The plots of the page, as SVG written by hand: bars, a few lines, and an icicle. No library, no fonts to ship."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

from benchmarks.tables import figure

WIDTH: Final = 990
ROW: Final = 26  # height of a bar with its gap
LEFT: Final = 190  # room for names
RIGHT: Final = 280  # room for figures beside a bar
COLOURS: Final = ("#2a6f97", "#b5651d", "#5b8c5a", "#7d5ba6", "#a23b4a")  # told apart in print and by most eyes
QUIET: Final = "#6b7280"
GRID: Final = "#d9dde3"
TEXT: Final = "#1f2933"
SURFACE: Final = "#ffffff"
STEPS: Final = 5  # lines of a grid
RATIO_MAX: Final = 1.25  # a longer bar is cut, and says how long it would be
STAGE_COLOURS: Final = {"journal": "#8a5a83", "apply": "#2a6f97"}


def limits(rows: Sequence[dict[str, Any]]) -> str:
    """A bar for each row: how much of its limit it reaches. A tick stands where its goal is, at the goal's size."""
    top, most = 56, max([1.0, *(min(row["ratio"], RATIO_MAX) for row in rows)])
    width = WIDTH - LEFT - RIGHT
    bottom = top + ROW * len(rows)
    parts = [_text(12, 24, "How much of what the machine allows is reached", size=16, weight="600")]
    for step in range(STEPS + 1):
        x = LEFT + width * step / STEPS / most
        parts.append(_line(x, top - 6, x, bottom, GRID))
        parts.append(_text(x, bottom + 18, f"{100 * step // STEPS} %", fill=QUIET, anchor="middle"))
    for at, row in enumerate(rows):
        y = top + ROW * at
        length = width * min(row["ratio"], most) / most
        parts.append(_text(LEFT - 8, y + 14, row["work"], anchor="end"))
        parts.append(_rect(LEFT, y + 2, max(length, 1), ROW - 9, COLOURS[1 if row["work"].startswith("peer") else 0]))
        goal = _goal_share(row)
        if goal is not None and goal <= most:
            x = LEFT + width * goal / most
            parts.append(_line(x, y - 1, x, y + ROW - 5, COLOURS[4], stroke=2.5))
        reached, limit = (figure(row[name], row["unit"]) for name in ("median", "limit_value"))
        beside = f"{reached}; limit {limit}" + (f", {row['ratio']:.0f} times" if row["ratio"] > most else "")
        parts.append(_text(WIDTH - RIGHT + 14, y + 14, beside, fill=QUIET))
    legend = "The red tick is the goal, where the row has its size. Limits are measured in the same run."
    parts.append(_text(LEFT, bottom + 42, legend, fill=QUIET))
    return _svg(bottom + 56, parts, "How much of its limit each row reaches")


def _goal_share(row: dict[str, Any]) -> float | None:
    if row["met"] is None:  # there is none, or it is for another size
        return None
    share = row["goal_value"] / row["limit_value"]
    return float(share if row["unit"] == "/s" else 1 / share)


def millions(rows: Sequence[dict[str, Any]]) -> str:
    """The rate of each million operations of the longer runs: flat is steady."""
    top, bottom, right = 56, 316, WIDTH - 190
    most = max([rate for row in rows for rate in row["millions"]], default=1.0)
    longest = max([len(row["millions"]) for row in rows], default=2)
    parts = [_text(12, 24, "The rate of each million operations, in order", size=16, weight="600")]
    for step in range(STEPS + 1):
        y = bottom - (bottom - top) * step / STEPS
        parts.append(_line(64, y, right, y, GRID))
        parts.append(_text(56, y + 4, f"{most * step / STEPS / 1e6:.1f} m/s", fill=QUIET, anchor="end"))
    labels: list[float] = []
    for at, row in enumerate(sorted(rows, key=lambda row: -row["millions"][-1])):
        colour = COLOURS[at % len(COLOURS)]
        points = [
            (64 + (right - 64) * number / max(longest - 1, 1), bottom - (bottom - top) * rate / most)
            for number, rate in enumerate(row["millions"])
        ]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"/>')
        labels.append(max([points[-1][1] + 4, *(label + 15 for label in labels[-1:])]))
        parts.append(_text(points[-1][0] + 6, labels[-1], row["work"], fill=colour))
    parts.append(_text(64, bottom + 22, "first million", fill=QUIET))
    parts.append(_text(right, bottom + 22, "last of the longest run", fill=QUIET, anchor="end"))
    return _svg(bottom + 36, parts, "The rate of each million operations")


def icicle(rows: Sequence[dict[str, Any]], *, note: str) -> str:
    """Stages as nested bars, the whole on top: a bar is as wide as its stage's mean time."""
    height, top, width = 34, 64, WIDTH - 24
    whole = rows[0]
    heading = f"Where a durable frame of 8,064 transfers spends its time, {whole['accounts']:,} accounts"
    parts = [
        _text(12, 24, heading, size=16, weight="600"),
        _text(
            12,
            44,
            f"{whole['mean_ms']:.2f} ms: processor time, but for write and sync, one after the other; {note}",
            fill=QUIET,
        ),
    ]
    starts, ends = {"": 12.0}, dict[str, float]()
    for row in rows:
        parent, _, name = row["stage"].rpartition("/")
        start = ends.get(parent, starts[parent])
        length = width * row["mean_ms"] / whole["mean_ms"]
        starts[row["stage"]], ends[parent] = start, start + length
        depth = row["stage"].count("/")
        y = top + depth * (height + 2)
        colour = next((STAGE_COLOURS[part] for part in row["stage"].split("/") if part in STAGE_COLOURS), "#5b8c5a")
        label = f"{name} {row['mean_ms']:.2f}"
        title = f"{row['stage']}: {row['what']}; mean {row['mean_ms']:.3f} ms, {100 * row['share']:.0f} %"
        text = label if len(label) * 6.6 < length - 8 else name if len(name) * 6.6 < length - 8 else ""
        shade = f' fill-opacity="{1 - 0.14 * depth:.2f}"'
        parts.append(
            f"<g><title>{escape(title)}</title>{_rect(start, y, max(length - 1, 0.5), height, colour, shade)}"
            f"{_text(start + 5, y + 21, text, fill=SURFACE)}</g>"
        )
    depth_max = max(row["stage"].count("/") for row in rows)
    y = top + (depth_max + 1) * (height + 2) + 18
    for row in rows[1:]:
        line = f"{'    ' * (row['stage'].count('/') - 1)}{row['stage'].rpartition('/')[2]}: {row['what']}"
        parts.append(_text(12, y, line))
        parts.append(_text(WIDTH - 150, y, f"{row['mean_ms']:.3f} ms", anchor="end"))
        parts.append(_text(WIDTH - 80, y, f"{100 * row['share']:.0f} %", anchor="end"))
        y += 18
    return _svg(y + 6, parts, "Stages of a durable frame")


def _text(
    x: float, y: float, text: str, *, size: int = 12, fill: str = TEXT, anchor: str = "start", weight: str = "400"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}" xml:space="preserve">{escape(text)}</text>'
    )


def _rect(x: float, y: float, width: float, height: float, fill: str, more: str = "") -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}"{more}/>'


def _line(x1: float, y1: float, x2: float, y2: float, stroke_colour: str, *, stroke: float = 1) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke_colour}" '
        f'stroke-width="{stroke:g}"/>'
    )


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    size = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="system-ui, sans-serif" role="img">',
            f"<title>{escape(title)}</title>",
            _rect(0, 0, WIDTH, height, SURFACE),
            *parts,
            "</svg>\n",
        ]
    )
