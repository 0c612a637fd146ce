"""Drawings as SVG text: colours of the page, money and moments on axes, and the call of matplotlib.

A `Drawing` fills an empty matplotlib figure. `svg` calls it and returns SVG whose text follows the font of the page and
whose colours are CSS variables of the page, so that one SVG serves the light, the dark and the printed page. matplotlib
knows no CSS variable: `colour` returns a placeholder, and `svg` replaces it.

Money is in minor units. Axes show major units as floats, accurate to a pixel; texts show exact amounts.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.extras import extra
from sycee.core.money import Currency

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawing: TypeAlias = "Callable[[Figure, bool], None]"  # (empty figure, whether it is for a narrow screen)

# Colours that style.css defines as CSS variables.
COLOURS: Final = (
    *("ink", "soft", "quiet", "line", "grid", "surface", "warning", "neutral", "meeting"),
    *("first", "second", "third", "fourth", "fifth", "sixth"),
    *("neutral-soft", "meeting-soft", "first-soft", "second-soft", "third-soft"),
    *("fourth-soft", "fifth-soft", "sixth-soft"),
)
FONT_SIZE: Final = 12  # CSS pixels in a drawing of its full width

_PLACEHOLDERS: Final = {name: f"#fe00{number:02x}" for number, name in enumerate(COLOURS)}
_POINTS_PER_INCH: Final = 72  # matplotlib's SVG has one unit a point
# The declaration and the document type; ids without a reference; fonts; a style that would apply to the whole page.
_UNWANTED: Final = re.compile(
    r"""\A.*?(?=<svg)|\ id="[^"]+_[0-9]+"|\ xmlns:xlink="[^"]*"|<defs>\s*<style[^>]*>.*?</style>\s*</defs>"""
    r"""|(?<=;)\ ?font-family:[^;"]*;?|(?<=<svg)\ height="[^"]*"|(?<=<svg)\ width="[^"]*\"""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Series:
    """Named values, one per hour or per category; `colour` is one of COLOURS."""

    name: str
    values: Array
    colour: str


@dataclass(frozen=True, slots=True)
class Level:
    """A named constant amount, drawn as a line."""

    name: str
    minor: int


def svg(drawing: Drawing, *, name: str, width: int, height: int, narrow: bool = False) -> str:
    """Return the SVG element of a drawing, `width` × `height` CSS pixels in its own coordinates.

    `name` is unique in the page: references inside the SVG are derived from it. Equal arguments give equal bytes.
    """
    with extra("pilot"):
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure

    ink, soft, line = colour("ink"), colour("soft"), colour("line")
    settings: dict[Any, Any] = {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": f"{name}{width}",
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "font.size": FONT_SIZE,
        "text.color": ink,
        "axes.labelcolor": soft,
        "axes.edgecolor": line,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.axisbelow": True,
        "grid.color": colour("grid"),
        "grid.linewidth": 1,
        "hatch.color": colour("surface"),
        "hatch.linewidth": 2,
        "legend.frameon": False,
        "xtick.color": line,
        "ytick.color": line,
        "ytick.major.size": 0,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
    }
    with mpl.rc_context(settings), warnings.catch_warnings():
        # matplotlib measures with its own font; the browser shows a missing character with another font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        size = (width / _POINTS_PER_INCH, height / _POINTS_PER_INCH)
        figure = Figure(figsize=size, dpi=_POINTS_PER_INCH, layout="constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        drawing(figure, narrow)
        # matplotlib would draw everything twice, the first time for the layout alone.
        layout = figure.get_layout_engine()
        if layout is not None and figure.axes:
            layout.execute(figure)
        figure.set_layout_engine("none")
        content = StringIO()
        figure.savefig(content, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    text = _UNWANTED.sub("", content.getvalue()).replace("xlink:href", "href")
    for shade, placeholder in _PLACEHOLDERS.items():
        text = text.replace(placeholder, f"var(--{shade})")
    return text


def colour(name: str) -> str:
    """Return the placeholder of one of COLOURS for matplotlib."""
    return _PLACEHOLDERS[name]


def nothing(figure: Figure, narrow: bool) -> None:
    """Draw "nothing to show" instead of an empty frame."""
    figure.text(0.5, 0.5, "nothing to show", ha="center", va="center", color=colour("soft"))


def show_magnitudes(axes: Axes) -> None:
    """Label the vertical axis with thousands in full below a million, else as in 1.2M."""
    from matplotlib.ticker import EngFormatter, StrMethodFormatter

    highest = axes.get_ylim()[1]
    axes.yaxis.set_major_formatter(EngFormatter(sep="") if highest >= 1_000_000 else StrMethodFormatter("{x:,.10g}"))


def local(moment_ns: int, zone: ZoneInfo) -> datetime:
    """Return a moment in the local time of `zone`."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=moment_ns // 1_000_000_000)).astimezone(zone)


def on_axis(moment_ns: int, zone: ZoneInfo) -> datetime:
    """Return a moment for an axis: local time without a zone, which every reader sees the same."""
    return local(moment_ns, zone).replace(tzinfo=None)


def moment_text(moment_ns: int, zone: ZoneInfo) -> str:
    """Return a moment for a reader, such as "Mon 12 Oct 2020, 18:00"."""
    moment = local(moment_ns, zone)
    return f"{moment:%a} {moment.day} {moment:%b %Y, %H:%M}"


def end_text(moment_ns: int, zone: ZoneInfo) -> str:
    """Return the end of a window for a reader: midnight is 24:00 of the day that ends."""
    moment = local(moment_ns, zone)
    if (moment.hour, moment.minute, moment.second) != (0, 0, 0):
        return moment_text(moment_ns, zone)
    before = moment - timedelta(days=1)
    return f"{before:%a} {before.day} {before:%b %Y}, 24:00"


def major(minor: Array, currency: Currency) -> NDArray[np.float64]:
    """Return minor units (any integers) in major units, for an axis."""
    require(np.issubdtype(minor.dtype, np.integer), f"minor units are integers, not {minor.dtype}")
    return minor.astype(np.float64) / np.float64(10**currency.digits)
