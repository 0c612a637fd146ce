"""The command line: `sycee`. One file per command group, imported only when its command is called.

Exit codes: 0 done, 1 refused, 2 usage, 3 integrity, 4 unavailable, 130 interrupted.
stdout is data, stderr is talk: what a command found goes to the one; progress, `error:` and `hint:` to the other.
"""

from __future__ import annotations

from sycee.cli import early_interrupt  # isort: split

import errno
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, UnknownCommandError

from sycee.core import typos
from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.core.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def _version() -> str:
    import sycee

    return f"sycee {sycee.__version__}"


app = App(
    name="sycee",
    help="Run a digital currency: mint it, drop it on a city, pay with it, and account for every cent.",
    version=_version,
    help_flags=["--help", "-h"],
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)

# Registered by name: `sycee --help` imports none of these, and so neither numba nor numpy nor matplotlib.
# The help is repeated here for the same reason.
app.command(
    "sycee.cli.pilot:app",
    name="pilot",
    help="Replay a historic pilot, end to end, on a durable ledger.",
    sort_key=1,
)
app.command(
    "sycee.cli.verify:verify",
    name="verify",
    help="Reread a ledger's journal and recompute every balance and every purse from the operations.",
    sort_key=2,
)
app.command(
    "sycee.cli.draw:app",
    name="draw",
    help="Check a published draw: recompute every winner from the published files alone.",
    sort_key=3,
)
app.command(
    "sycee.cli.simulate:simulate",
    name="simulate",
    help="Run random histories against power cuts, damaged disks and wild clocks, beside a naive twin.",
    sort_key=4,
)
app.command(
    "sycee.cli.snapshot:snapshot",
    name="snapshot",
    help="Keep a ledger's state on disk, so that its next start is quick.",
    sort_key=5,
)
app.command(
    "sycee.cli.restore:restore",
    name="restore",
    help="Make a ledger's folder again from a copy of its journal.",
    sort_key=6,
)
app.command(
    "sycee.cli.checkpoint:app",
    name="checkpoint",
    help="Say, signed, where a ledger stands, and check what a witness said.",
    sort_key=7,
)
app.command(
    "sycee.cli.key:app",
    name="key",
    help="Make a signing key.",
    sort_key=8,
)
app.command(
    "sycee.cli.statement:statement",
    name="statement",
    help="Say what came in and went out of an account.",
    sort_key=9,
)
app.command(
    "sycee.cli.export:export",
    name="export",
    help="Write a ledger's history to Parquet, by day.",
    sort_key=10,
)
app.command(
    "sycee.cli.query:query",
    name="query",
    help="Ask an exported ledger, in SQL.",
    sort_key=11,
)
app.command(
    "sycee.cli.compliance:app",
    name="compliance",
    help="Judge declared facts under several regimes at once.",
    sort_key=12,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `arguments` are the process's own unless given."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(tokens)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has what it wanted.
        _drop_stdout()
        return 0
    except OSError as error:
        if not _stdout_fails():
            raise
        _drop_stdout()
        return _say(UnavailableError(f"stdout cannot be written: {error.strerror}", hint=_hint_of_disk(error)))
    return code


def _stdout_fails() -> bool:
    """Whether stdout is what cannot be written: what it refused is still in its buffer, and is refused again."""
    try:
        if getattr(sys.stdout, "write_through", False):  # PYTHONUNBUFFERED: nothing is kept, so a line end is tried
            sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return True
    return False


def _drop_stdout() -> None:
    """Let Python not fail once more on closing stdout."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def console(*, stderr: bool = False) -> Console:
    """Return a terminal to write to, plain where NO_COLOR is set or nobody is looking."""
    from rich.console import Console

    class Terminal(Console):
        def on_broken_pipe(self) -> None:
            # Rich calls this while it handles the error, and would itself exit with 1; main() decides here.
            raise

    # Rich alone would keep bold and dim under NO_COLOR; plain means plain.
    return Terminal(stderr=stderr, color_system=None if os.environ.get("NO_COLOR") else "auto", highlight=False)


def _run(tokens: list[str]) -> int:
    try:
        result = app(
            tokens,
            console=console(),
            error_console=console(stderr=True),
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except CycloptsError as error:
        return _say(UsageError(_one_line(error), hint=_usage_hint(tokens)))
    except SyceeError as error:
        return _say(error)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is None:
            raise
        return _say(UnavailableError(f"{error.filename}: {error.strerror}", hint=_hint_of_disk(error)))
    except KeyboardInterrupt as interrupt:
        # A command that had done its work by then says so itself.
        left = f"; {interrupt.args[0]}" if interrupt.args else _left_behind(tokens)
        sys.stderr.write(f"\ninterrupted{left}\n")
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else 0


def _left_behind(tokens: list[str]) -> str:
    """What an interrupted command leaves behind: a pilot keeps what it wrote where it was told to."""
    if tokens[:1] == ["restore"]:
        return "; nothing was restored"
    if tokens[:1] != ["pilot"]:
        return "; nothing was changed"
    if any(each.split("=")[0] == "--data" for each in tokens):
        return ": the journal is whole; the same command goes on from where it stopped"
    return ": the journal is whole; with --data it would have been kept, to go on from there"


def _hint_of_disk(error: OSError) -> str | None:
    if error.errno == errno.EROFS:
        return "the file system is read-only; name a place on another one"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk or the quota is full; make room, or name a place on another disk"
    return None


def _say(error: SyceeError) -> int:
    """Print an error with its hint, texts from files escaped, and return its exit code."""
    lines = [*f"error: {error.message}".split("\n"), *([f"hint: {error.hint}"] if error.hint else [])]
    sys.stderr.write("".join(f"{printable(line)}\n" for line in lines))
    return error.exit_code


def _one_line(error: CycloptsError) -> str:
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        # cyclopts would import every command to write this sentence.
        return _unknown_command(error.unused_tokens[0], error.app or app)
    error.verbose = False
    return " ".join(str(error).split())


def _unknown_command(word: str, group: App) -> str:
    if word.startswith("-"):
        return f"there is no option {word}"
    names = [name for name in group if not name.startswith("-")]
    near = typos.nearest(word, names)
    suggestion = f'; did you mean "{near}"?' if near else f": there are {', '.join(names)}"
    return f'there is no command "{word}"{suggestion}'


def _usage_hint(tokens: list[str]) -> str:
    # A mistyped group or command is no name to ask help of: stop at the first word that is not one.
    known: list[str] = []
    command: App = app
    for token in tokens:
        if token.startswith("-") or token not in list(command):
            break
        command = command[token]
        known.append(token)
    return " ".join(["sycee", *known, "--help"]) + " shows what there is"


early_interrupt.release()
