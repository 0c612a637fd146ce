"""Output of commands: data on stdout, messages and progress on stderr."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sycee.core.errors import UnavailableError
from sycee.core.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

TABLE_WIDTH_MAX: Final = 10_000  # wider than any table, so that a narrow terminal truncates no value
MARK_KEY: Final = "mark"  # of a JSON object
_ESCAPE: Final = "sycee-escape"  # name of the handler of encoding errors


@dataclass
class _Mark:
    """The first line of what a command prints to stdout, "" for none, and whether it was printed."""

    text: str = ""
    printed: bool = False


_mark: Final = _Mark()


def mark_output(text: str) -> None:
    """Print a text before all other lines of this command on stdout, and as the first member of JSON; "" for none."""
    if text != _mark.text:
        _mark.text, _mark.printed = text, False


def _print_mark() -> None:
    if _mark.text and not _mark.printed:
        _mark.printed = True
        print(_mark.text)


def console(*, stderr: bool = False) -> Console:
    """Return a console of rich, without colours if NO_COLOR is set or the stream is not a terminal."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            # Rich calls this inside its handler and would exit with 1 itself; main() chooses the exit code.
            raise

    # Rich alone would leave bold and dim text under NO_COLOR.
    return Terminal(
        stderr=stderr, color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False, emoji=False
    )


def show(*lines: str, style: str | None = None) -> None:
    """Print lines of text to stdout, without markup and without wrapping; escape unprintable characters."""
    if lines:
        _print_mark()
    for line in lines:
        console().print(printable(line), style=style, markup=False, soft_wrap=True)


def note(*lines: str) -> None:
    """Print lines of text to stderr, without markup and without wrapping; escape unprintable characters."""
    for line in lines:
        console(stderr=True).print(printable(line), markup=False, soft_wrap=True)


def show_json(members: Mapping[str, Any]) -> None:
    """Print one JSON object to stdout."""
    print(json.dumps({MARK_KEY: _mark.text, **members} if _mark.text else members))


def print_list(
    name: str, rows: Sequence[Mapping[str, Any]], *headings: str, as_json: bool, keys: Sequence[str] = (),
    numbers: tuple[str, ...] = (), called: str = "",
) -> int:  # fmt: skip
    """Print rows as a table, or as JSON under a name; return the exit code 0.

    `headings`: by default the names of the members. `keys`: the members that the columns show, in order; by default
    all. None is shown as "-". Without rows, a note on stderr says that there are none; `called`: the rows in this note,
    if not by the name.
    """
    if as_json:
        show_json({name: list(rows)})
        return 0
    if not rows:
        note(f"there are no {called or name.replace('_', ' ')}")
        return 0
    headings = headings or tuple(rows[0] if rows else ())
    made = table(*headings, numbers=tuple(each for each in numbers if each in headings))
    for row in rows:
        values = [row[key] for key in keys] if keys else row.values()
        made.add_row(*("-" if value is None else str(value) for value in values))
    print_table(made)
    return 0


def table(*headings: str, numbers: tuple[str, ...] = (), ruled: bool = True) -> Table:
    """Return an empty table, ruled below its headings or without headings; columns named in `numbers` align right.

    Headings and cells are plain text, which may come from a file, a customer or a server: markup is not interpreted,
    and unprintable characters are escaped.
    """
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    class PlainTable(Table):
        def add_row(self, *cells: Any, **options: Any) -> None:
            super().add_row(*(Text(printable(each)) if isinstance(each, str) else each for each in cells), **options)

    made = PlainTable(
        box=SIMPLE_HEAD if ruled else None,
        show_header=ruled,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0) if ruled else (0, 2, 0, 0),
    )
    for heading in headings:
        made.add_column(escape(printable(heading)), justify="right" if heading in numbers else "left", no_wrap=True)
    return made


def print_table(table: Table) -> None:
    """Print a table in its full width, regardless of the terminal's width, so that no value is truncated."""
    terminal = console()
    terminal.width = TABLE_WIDTH_MAX
    with terminal.capture() as captured:
        terminal.print(table)
    _print_mark()
    # Rich pads the last column to its width.
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


@contextmanager
def progress(title: str, unit: str = "", *, transient: bool = True) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr while a block runs; yield a function of the numbers done and in total."""
    from sycee.core import progress_bar

    with progress_bar.new(console(stderr=True), transient=transient) as bar:
        task = bar.add_task(title, total=None, unit=unit)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def prepare_streams() -> None:
    r"""Make stdout print any text: a character that its encoding lacks becomes a JSON escape such as `\u4e2d`.

    Raises UnavailableError if stdout is closed. A closed stderr is replaced by the null device.
    """
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for the life of the process
    if sys.stdout is None:
        raise UnavailableError("stdout is closed", hint="redirect it to a file, or to /dev/null")
    codecs.register_error(_ESCAPE, _escaped)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPE)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    content = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{content[at : at + 2].hex()}" for at in range(0, len(content), 2)), error.end


def stdout_fails() -> bool:
    """Return whether stdout cannot be written: its buffer still holds the refused bytes, and flushing fails again."""
    try:
        if getattr(sys.stdout, "write_through", False):  # PYTHONUNBUFFERED: there is no buffer, so write a line end
            sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def discard_stdout() -> None:
    """Redirect stdout to the null device, so that Python's last flush succeeds.

    Do nothing if a program that calls `main` has replaced stdout by a stream without a descriptor.
    """
    with suppress(io.UnsupportedOperation):
        descriptor = sys.stdout.fileno()
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
