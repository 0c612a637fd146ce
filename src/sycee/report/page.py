"""One self-contained HTML page: tiles, tables and plots, in sections.

A `Page` is a value made of the blocks below. `render` returns its HTML; `write` replaces a file by it atomically. The
file holds its own styles and drawings. Its content security policy forbids every connection and every script, so that
text from a file can never run as code, even if escaping failed.

Text is always plain text; it is escaped here, and in drawings by matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar, Final

from sycee.core import output_files
from sycee.core.errors import require
from sycee.report import chart
from sycee.report.chart import Drawing

NARROW_WIDTH: Final = 400  # CSS pixels of a drawing for narrow screens
# No script runs, and nothing is fetched or sent. matplotlib's SVG needs inline styles.
POLICY: Final = (
    "default-src 'none'; script-src 'none'; style-src 'unsafe-inline'; "
    "connect-src 'none'; base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str
    kind: ClassVar = "paragraph"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The one thing to take away: whether it is good, and the sentence that says so."""

    good: bool
    text: str
    kind: ClassVar = "verdict"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader must know before believing what follows."""

    text: str
    kind: ClassVar = "notice"


@dataclass(frozen=True, slots=True)
class Tile:
    """One big figure. `unit` stands before it, small; `note` below it."""

    label: str
    value: str
    unit: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Big figures in a row."""

    tiles: tuple[Tile, ...]
    kind: ClassVar = "tiles"


@dataclass(frozen=True, slots=True)
class Share:
    """One part of a whole: `share` from 0 to 1 is drawn, the texts are read. `colour` is one of COLOURS."""

    label: str
    count: str
    share: float
    note: str
    colour: str


@dataclass(frozen=True, slots=True)
class Shares:
    """A whole and its parts as bars. Needs no script."""

    caption: str
    shares: tuple[Share, ...]
    kind: ClassVar = "shares"


@dataclass(frozen=True, slots=True)
class Mark:
    """A cell that says yes (True), no (False) or neither (None), by sign and word and not by colour alone."""

    value: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads to an address on the web."""

    text: str
    url: str

    def __post_init__(self) -> None:
        require(self.url.startswith(("https://", "http://")), f"{self.url!r} is not an address on the web")


CellValue = str | Mark | Link


@dataclass(frozen=True, slots=True)
class Column:
    """A column's title, and whether it holds figures (set flush right), short words (never broken) or text."""

    title: str
    is_figure: bool = False
    is_short: bool = False


def columns(*titles: str) -> tuple[Column, ...]:
    """Columns by their titles; one that begins with ">" holds figures, one that begins with "=" short words."""
    return tuple(
        Column(title.removeprefix(">").removeprefix("="), title.startswith(">"), title.startswith("="))
        for title in titles
    )


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `total` is a last row set apart. With `folded`, the reader opens it by that sentence.

    On a narrow screen a `stacked` table becomes one card per row; another one scrolls sideways within the page.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[CellValue, ...], ...]
    total: tuple[CellValue, ...] | None = None
    folded: str = ""
    stacked: bool = False
    kind: ClassVar = "table"

    def __post_init__(self) -> None:
        for row in (*self.rows, *([self.total] if self.total else [])):
            require(len(row) == len(self.columns), f"table {self.caption!r}: a row has {len(row)} cells")


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, drawn once for wide screens and once for narrow ones.

    `sentence` gives its numbers in words: below the plot, and to readers who cannot see it. `badge` is shown beside the
    title, such as "synthetic data".
    """

    name: str  # small letters and hyphens, unique in the page
    title: str
    sentence: str
    drawing: Drawing
    width: int = 900  # CSS pixels of the drawing, which is scaled to the page
    height: int = 380
    width_min: int = 0  # CSS pixels; a narrower screen scrolls the wide drawing sideways, and there is no narrow one
    badge: str = ""
    kind: ClassVar = "plot"

    def drawings(self) -> list[tuple[str, str]]:
        """Return (CSS class, SVG) of each drawing."""
        wide = chart.svg(self.drawing, name=self.name, width=self.width, height=self.height)
        if self.width_min:
            return [("", wide)]
        narrow = chart.svg(self.drawing, name=self.name, width=NARROW_WIDTH, height=self.height, narrow=True)
        return [("wide", wide), ("narrow", narrow)]


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values. Where `is_code`, values are set as code and may break anywhere."""

    facts: tuple[tuple[str, str], ...]
    is_code: bool = False
    kind: ClassVar = "facts"


@dataclass(frozen=True, slots=True)
class Command:
    """A command line to type, and what it does."""

    line: str
    text: str
    kind: ClassVar = "command"


@dataclass(frozen=True, slots=True)
class Points:
    """A list: a term, and what is to be said about it."""

    points: tuple[tuple[str, str], ...]
    kind: ClassVar = "points"


@dataclass(frozen=True, slots=True)
class Beside:
    """Blocks side by side where there is room, else below one another."""

    blocks: tuple[Block, ...]
    kind: ClassVar = "beside"


@dataclass(frozen=True, slots=True)
class Chip:
    """A small mark: a sign on one of the page's colours, and the word that says the same. `link` is an anchor."""

    sign: str
    text: str
    colour: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Stack:
    """One bar of parts that lie end to end. Their lengths are their counts."""

    label: str
    note: str
    parts: tuple[tuple[Chip, int], ...]


@dataclass(frozen=True, slots=True)
class Stacks:
    """Bars, each as long as the others whatever it adds up to. Needs no script."""

    caption: str
    stacks: tuple[Stack, ...]
    kind: ClassVar = "stacks"


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands where a row and a column meet: a mark, and what the reader sees who opens it. None: nothing."""

    chip: Chip | None
    points: tuple[Chip, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows and columns of marks that open. Each row has a name and a note."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Cell, ...]], ...]
    kind: ClassVar = "matrix"

    def __post_init__(self) -> None:
        for name, _, cells in self.rows:
            require(len(cells) == len(self.columns), f"matrix {self.caption!r}: {name!r} has {len(cells)} cells")


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG drawing that our own code made, texts in it escaped. It says by itself what it shows."""

    svg: str
    caption: str
    width_min: int = 0  # below this it scrolls sideways within the page
    kind: ClassVar = "picture"


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks under a heading that the reader opens and closes. `name` is its anchor."""

    title: str
    blocks: tuple[Block, ...]
    name: str = ""
    note: str = ""
    chips: tuple[Chip, ...] = ()
    opened: bool = False
    kind: ClassVar = "fold"


Block = (
    Paragraph
    | Verdict
    | Notice
    | Tiles
    | Shares
    | Stacks
    | Table
    | Matrix
    | Plot
    | Picture
    | Facts
    | Command
    | Points
    | Beside
    | Fold
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page with a heading. `name` is its anchor; `short` stands in the page's navigation."""

    name: str
    title: str
    short: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page. `promise` is what it is, in one sentence; `facts` are what one must know about it."""

    kicker: str
    title: str
    promise: str
    facts: tuple[tuple[str, str], ...]
    opening: tuple[Block, ...]  # before the first heading: verdict, notice, tiles
    sections: tuple[Section, ...]
    footer: str = ""


def plots_in(page: Page) -> list[Plot]:
    """Every plot of the page, in its order."""

    def within(blocks: Sequence[Block]) -> Iterator[Plot]:
        for block in blocks:
            if isinstance(block, Plot):
                yield block
            elif isinstance(block, Beside | Fold):
                yield from within(block.blocks)

    return [plot for blocks in (page.opening, *(each.blocks for each in page.sections)) for plot in within(blocks)]


def render(page: Page) -> str:
    """Return the page as HTML."""
    # Imported here: a command that writes no report should not wait for them.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    names = [plot.name for plot in plots_in(page)]
    require(len(set(names)) == len(names), f"plots share a name: {sorted(names)}")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_part("template.html.jinja"))
    style = Markup(_part("style.css"))  # noqa: S704 - our own file
    return template.render(page=page, policy=POLICY, style=style, drawing=Markup)


def write(page: Page, path: Path) -> None:
    """Render the page and write it to `path`, whole or not at all. Raises like `core.output_files.write_file`."""
    output_files.require_place(path)
    output_files.write_file(path, render(page).encode("utf-8"))


def _part(name: str) -> str:
    return resources.files("sycee.report").joinpath(name).read_text(encoding="utf-8")
