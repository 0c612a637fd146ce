"""What figures are put together from: names and colours, money and moments on axes, layouts, notes.

Money comes in minor units. It is drawn in major units, where a float is near enough for a pixel, and shown by
`money.format`, exactly. `plain` escapes text, because plots understand a few tags. Colours are names that the page's
style defines.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.money import Currency
from sycee.report.page import Figure


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


def plain(text: str) -> str:
    """Text that a plot shows as it is, tags and all."""
    return html.escape(text, quote=False)


def amount(minor: Any, currency: Currency) -> str:
    """Minor units for a reader, such as "CNY 1,234.50"."""
    return money.format(minor, currency, code=True)


def major(minor: Array, currency: Currency) -> list[float]:
    """Minor units for an axis, in major units."""
    return [int(value) / 10**currency.digits for value in minor]


def axis_text(moment: datetime) -> str:
    """As an axis wants it: without a zone, so that it shows the same to readers anywhere."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def axis_time(moment_ns: int, zone: ZoneInfo) -> str:
    """A moment for an axis, as the clocks of `zone` show it."""
    return axis_text(local(moment_ns, zone))


def colour(name: str) -> str:
    """A colour by its name in the page's style, for the page to resolve."""
    return f"var(--{name})"


def layout(**more: Any) -> dict[str, Any]:
    """A layout on the page's ground and in its ink; `more` wins."""
    keys: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": colour("ink"), "size": 13},
        "hoverlabel": {"bgcolor": colour("surface"), "bordercolor": colour("line"), "font": {"color": colour("ink")}},
        "hovermode": "closest",
        "dragmode": False,
    }
    return keys | more


def nothing() -> Figure:
    """A figure without data, which would be an empty frame, or more than plotly can draw, says so instead."""
    words = note("nothing to show", xref="paper", yref="paper", x=0.5, y=0.5, shade="soft")
    return {"data": [], "layout": layout(xaxis={"visible": False}, yaxis={"visible": False}, annotations=[words])}


def axis(**more: Any) -> dict[str, Any]:
    """A quiet axis that a finger cannot drag; `more` wins."""
    keys: dict[str, Any] = {
        "gridcolor": colour("grid"),
        "zerolinecolor": colour("line"),
        "linecolor": colour("line"),
        "tickcolor": colour("line"),
        "fixedrange": True,
        "automargin": True,
    }
    return keys | more


def ticks(traces: Sequence[dict[str, Any]]) -> str:
    """Thousands in full while they are few digits, then 1.2M."""
    highest = max((value for trace in traces for value in trace["y"]), default=0.0)
    return "~s" if highest >= 1_000_000 else ",~f"


def title(text: str) -> dict[str, Any]:
    """An axis's title."""
    return {"text": plain(text), "font": {"size": 12, "color": colour("soft")}, "standoff": 8}


def legend() -> dict[str, Any]:
    """A legend in a row above the plot."""
    return {"orientation": "h", "x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}


def line(ends: dict[str, Any], shade: str, dash: str) -> dict[str, Any]:
    """A straight line between two ends, in the colour named `shade`."""
    return {"type": "line", "line": {"color": colour(shade), "width": 1.5, "dash": dash}} | ends


def note(text: str, *, shade: str = "ink", escaped: bool = False, **place: Any) -> dict[str, Any]:
    """Words in a plot, in the colour named `shade`; `escaped` text may hold tags, its names went through `plain`."""
    return {
        "text": text if escaped else plain(text),
        "showarrow": False,
        "font": {"size": 12, "color": colour(shade)},
    } | place
