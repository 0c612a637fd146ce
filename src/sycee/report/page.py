"""One self-contained HTML page: tiles, tables and plots, in sections.

A `Page` is a value made of the blocks below. `render` gives its HTML, `write` puts it in a file atomically. The file
holds its own styles, plots and the plotting library, once; its content security policy forbids every connection and
every script but the two it was made with, so that a title from somebody's file can never run, even if escaping failed.

Text is always plain text; it is escaped here. Where plots take text, `plots` escapes it.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar

from sycee.core.errors import UnavailableError, UsageError, require

Figure = dict[str, Any]  # data, layout and perhaps `narrow`: see plots


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
    rows: tuple[tuple[str | Mark, ...], ...]
    total: tuple[str | Mark, ...] | None = None
    folded: str = ""
    stacked: bool = False
    kind: ClassVar = "table"

    def __post_init__(self) -> None:
        for row in (*self.rows, *([self.total] if self.total else [])):
            require(len(row) == len(self.columns), f"table {self.caption!r}: a row has {len(row)} cells")


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture. `sentence` tells its numbers to whoever cannot see it, and to everybody below it."""

    name: str  # small letters and hyphens, unique in the page
    title: str
    sentence: str
    figure: Figure
    height: int = 380  # CSS pixels
    width_min: int = 0  # below this the plot scrolls sideways within the page
    kind: ClassVar = "plot"


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
    # Imported here: a command line that writes no report should not wait for them.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    plots = plots_in(page)
    names = [plot.name for plot in plots]
    require(len(set(names)) == len(names), f"plots share a name: {sorted(names)}")

    scripts = [_script(get_plotlyjs()), _script(_part("plots.js"))] if plots else []
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    # NaN is no JSON, and a browser would show an empty plot instead of saying why.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    return environment.from_string(_part("template.html.jinja")).render(
        page=page,
        policy=_policy(scripts),
        style=Markup(_part("style.css")),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files and plotly's
        drawing=Markup,
    )


def write(page: Page, path: Path) -> None:
    """Render the page and put it at `path`, whole or not at all; what was there before stays until then.

    UsageError where `path` cannot be a file, UnavailableError where the disk refuses.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="name a file, such as report.html")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", hint="make it first, or name a file elsewhere")
    content = render(page).encode("utf-8")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror or error}", hint="free some space, or name a file elsewhere"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def _part(name: str) -> str:
    return resources.files("sycee.report").joinpath(name).read_text(encoding="utf-8")


def _script(source: str) -> str:
    """A script as it will stand in the page, with the line ends that a browser sees when it checks the hash."""
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    require("</script" not in source.lower() and "<!--" not in source, "a script would end before its end")
    return source


def _policy(scripts: Sequence[str]) -> str:
    """Nothing may be fetched or sent, and only these very scripts may run. Plotly sets styles as it draws."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
