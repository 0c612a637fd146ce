"""One self-contained HTML page: tiles, tables and plots, in sections.

A `Page` is a value made of the blocks below. `render` returns its HTML; `write` replaces a file by it atomically. The
file contains its own styles and drawings. Its content security policy forbids every connection and every script, so
that text from a file can never run as code, even if escaping failed.

Text is always plain text; it is escaped here, and in drawings by matplotlib.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from sycee.core import output_files
from sycee.core.errors import require
from sycee.report import chart
from sycee.report.chart import Drawing

if TYPE_CHECKING:
    from jinja2 import Template

NARROW_WIDTH: Final = 400  # CSS pixels of a drawing for narrow screens
# No script runs, and nothing is fetched or sent. matplotlib's SVG needs inline styles.
POLICY: Final = (
    "default-src 'none'; script-src 'none'; style-src 'unsafe-inline'; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'"
)


class Block:
    """A block of a page. The template selects its markup by `kind`."""

    __slots__ = ()

    @property
    def kind(self) -> str:
        """Name of the class in lower case."""
        return type(self).__name__.lower()


@dataclass(frozen=True, slots=True)
class Paragraph(Block):
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class Verdict(Block):
    """The main result: whether it is good, and a sentence."""

    good: bool
    text: str


@dataclass(frozen=True, slots=True)
class Notice(Block):
    """A warning or condition for everything below it."""

    text: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A large figure with a small `unit` before it and a `note` below it."""

    label: str
    value: str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tiles(Block):
    """Large figures in a row."""

    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole. `share`, from 0 to 1, is drawn as a bar; `colour` is one of `chart.COLOURS`."""

    label: str
    count: str
    share: float
    note: str
    colour: str


@dataclass(frozen=True, slots=True)
class Shares(Block):
    """A whole and its parts as bars."""

    caption: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class YesNo:
    """A cell with yes (True), no (False) or neither (None), shown by sign, word and colour."""

    value: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A cell with a link to a web address."""

    text: str
    url: str

    def __post_init__(self) -> None:
        require(self.url.startswith(("https://", "http://")), f"{self.url!r} is not a web address")


CellValue: TypeAlias = str | YesNo | Link


@dataclass(frozen=True, slots=True)
class Column:
    """A column of figures (aligned right), short words (never broken) or text."""

    title: str
    is_figure: bool = False
    is_short: bool = False


def columns(*titles: str) -> tuple[Column, ...]:
    """Return columns from titles. The prefix ">" declares figures, "=" short words."""
    return tuple(
        Column(title.removeprefix(">").removeprefix("="), title.startswith(">"), title.startswith("="))
        for title in titles
    )


@dataclass(frozen=True, slots=True)
class Table(Block):
    """A table. `total` is the last row, below a line. A table with `folded` is hidden behind that sentence.

    On a narrow screen a `stacked` table becomes one card per row; other tables scroll sideways within the page.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[CellValue, ...], ...]
    total: tuple[CellValue, ...] | None = None
    folded: str = ""
    stacked: bool = False

    def __post_init__(self) -> None:
        for row in (*self.rows, *([self.total] if self.total else [])):
            require(len(row) == len(self.columns), f"table {self.caption!r}: a row has {len(row)} cells")


@dataclass(frozen=True, slots=True)
class Plot(Block):
    """A plot, drawn once for wide screens and once for narrow ones.

    `sentence` gives its numbers in words, below the plot and for screen readers. `badge` is a note in the title, such
    as "synthetic data".
    """

    name: str  # small letters and hyphens, unique in the page
    title: str
    sentence: str
    drawing: Drawing
    width: int = 900  # CSS pixels of the drawing, which is scaled to the page
    height: int = 380
    width_min: int = 0  # CSS pixels; a narrower screen scrolls the wide drawing sideways, and there is no narrow one
    badge: str = ""

    def drawings(self) -> list[tuple[str, str]]:
        """Return (CSS class, SVG) of each drawing."""
        wide = chart.svg(self.drawing, name=self.name, width=self.width, height=self.height)
        if self.width_min:
            return [("", wide)]
        narrow = chart.svg(self.drawing, name=self.name, width=NARROW_WIDTH, height=self.height, narrow=True)
        return [("wide", wide), ("narrow", narrow)]


@dataclass(frozen=True, slots=True)
class Facts(Block):
    """Names and values. Values of code are monospaced and may break anywhere."""

    facts: tuple[tuple[str, str], ...]
    is_code: bool = False


@dataclass(frozen=True, slots=True)
class Command(Block):
    """A command line and its effect."""

    line: str
    text: str


@dataclass(frozen=True, slots=True)
class Points(Block):
    """A list of terms with explanations."""

    points: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SideBySide(Block):
    """Blocks in columns; on a narrow screen one below the other."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Chip:
    """A sign on a dot, and its meaning. `colour`: first to sixth, neutral or warning. `link`: an anchor."""

    sign: str
    text: str
    colour: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Stack:
    """A bar of consecutive parts, as long as their counts."""

    label: str
    note: str
    parts: tuple[tuple[Chip, int], ...]


@dataclass(frozen=True, slots=True)
class Stacks(Block):
    """Stacked bars, all of the same length."""

    caption: str
    stacks: tuple[Stack, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a matrix: a chip or a `quiet` text, and the points that a reader can open."""

    chip: Chip | None
    points: tuple[Chip, ...] = ()
    quiet: str = ""


@dataclass(frozen=True, slots=True)
class Matrix(Block):
    """A matrix of chips that open. A row is (name, note, cells)."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]

    def __post_init__(self) -> None:
        for name, _, cells in self.rows:
            require(len(cells) == len(self.columns), f"matrix {self.caption!r}: {name!r} has {len(cells)} cells")


@dataclass(frozen=True, slots=True)
class Picture(Block):
    """An SVG drawing from our own code, with escaped texts and a title."""

    svg: str
    caption: str
    width_min: int = 0  # CSS pixels; a narrower screen scrolls it sideways


@dataclass(frozen=True, slots=True)
class Fold(Block):
    """Blocks under a heading that opens and closes them. `name` is its anchor; a `Filter` selects it by its `tags`."""

    title: str
    blocks: tuple[Block, ...]
    name: str = ""
    note: str = ""
    chips: tuple[Chip, ...] = ()
    opened: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a choice. It shows the folds that have its tag; without a tag it shows all."""

    text: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """Options of which a reader selects one; the first is selected at first. `name` is unique in the page."""

    name: str  # small letters and hyphens, as are the tags
    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Filter(Block):
    """Folds that a reader selects by choices, without a script: those that every selected option shows."""

    choices: tuple[Choice, ...]
    folds: tuple[Fold, ...]

    def __post_init__(self) -> None:
        names = [each.name for each in self.choices] + [option.tag for each in self.choices for option in each.options]
        for name in names:  # they are written into a style sheet
            require(re.fullmatch("[a-z0-9-]*", name), f"{name!r} is no name of a choice or tag")


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading. `name` is its anchor, `short` its title in the navigation."""

    name: str
    title: str
    short: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A page. `kicker` is the line above the title; `summary` is one sentence; `facts` are below it.

    `mark` is the first line of the page, such as "rehearsal, invented people"; "" for none.
    """

    kicker: str
    title: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    opening: tuple[Block, ...]  # before the first heading: verdict, notice, tiles
    sections: tuple[Section, ...]
    footer: str = ""
    mark: str = ""


def plots_in(page: Page) -> list[Plot]:
    """Return every plot of the page, in order."""

    def within(blocks: Sequence[Block]) -> Iterator[Plot]:
        for block in blocks:
            if isinstance(block, Plot):
                yield block
            elif isinstance(block, SideBySide | Fold):
                yield from within(block.blocks)
            elif isinstance(block, Filter):
                yield from within(block.folds)

    return [plot for blocks in (page.opening, *(each.blocks for each in page.sections)) for plot in within(blocks)]


def render(page: Page) -> str:
    """Return the page as HTML."""
    from markupsafe import Markup  # imported late: a command without a report does not need it

    names = [plot.name for plot in plots_in(page)]
    require(len(set(names)) == len(names), f"plots share a name: {sorted(names)}")
    style = Markup(_part("style.css"))  # noqa: S704 - our own file
    return _template().render(page=page, policy=POLICY, style=style, drawing=Markup)


@cache  # compiling it takes longer than rendering most pages
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined  # imported late: a command without a report does not need it

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("template.html.jinja"))


def write(page: Page, path: Path) -> None:
    """Render the page and write it to `path` atomically. Raises like `core.output_files.write_file`."""
    output_files.require_place(path)
    output_files.write_file(path, render(page).encode("utf-8"))


def _part(name: str) -> str:
    return resources.files("sycee.report").joinpath(name).read_text(encoding="utf-8")
