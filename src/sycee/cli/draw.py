"""`sycee draw`: check a published draw, and one's own entry in it, on one's own machine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli import console
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.programmes.draw import Check
    from sycee.programmes.sha256 import Progress

app = App(name="draw", help="Check a published draw: recompute every winner from the published files alone.")


@app.command
def verify(
    folder: Path,
    /,
    *,
    announced: str | None = None,
    as_json: Annotated[bool, Parameter("--json", negative="")] = False,
) -> None:
    """Recompute list, root, tickets and every winner from the published files alone.

    Parameters
    ----------
    folder
        The folder with announcement.json, entries.bin, beacon.json, tickets.bin and winners.csv.
    announced
        SHA-256 of announcement.json in hexadecimal, as it was known before the beacon.
    as_json
        Print one JSON object instead of a table.

    """
    from sycee.programmes import draw

    expected = None if announced is None else _hexadecimal(announced, "--announced")
    folder = _existing(folder)
    with _progress("recomputing") as progress:
        result = draw.verify(folder, announced=expected, progress=progress)
    announcement = result.announcement
    if as_json:
        _print_json(
            {
                "ok": result.ok,
                "programme": announcement.programme if announcement else None,
                "entries": announcement.entries if announcement else None,
                "winners": announcement.winners if announcement else None,
                "root": announcement.root.hex() if announcement else None,
                "synthetic": announcement.synthetic if announcement else None,
                "announcement_sha256": result.announcement_digest.hex(),
                "checks": _as_rows(result.checks),
            }
        )
    else:
        _print_checks(f"Draw in {folder}", result.checks)
        console().print(f"SHA-256 of announcement.json: {result.announcement_digest.hex()}", soft_wrap=True)
    result.require()


@app.command
def entry(
    folder: Path, receipt: Path, /, *, as_json: Annotated[bool, Parameter("--json", negative="")] = False
) -> None:
    """Check one's own entry: is it in the list, does the list lead to the announced root, did it win.

    Parameters
    ----------
    folder
        The folder with the published files.
    receipt
        The registrant's receipt, a JSON file with document, phone and salt. It stays on this machine.
    as_json
        Print one JSON object instead of a table.

    """
    from sycee.programmes import draw

    document, phone, salt = _read_receipt(receipt)
    result = draw.check_entry(_existing(folder), document, phone, salt)
    if as_json:
        _print_json(
            {
                "ok": result.ok,
                "commitment": result.commitment.hex(),
                "index": result.index,
                "stratum": result.stratum,
                "proof": [{"side": side, "hash": neighbour.hex()} for side, neighbour in result.proof],
                "ticket": result.ticket.hex() if result.ticket else None,
                "rank": result.rank,
                "won": result.won,
                "checks": _as_rows(result.checks),
            }
        )
    else:
        _print_checks(f"Entry {result.commitment.hex()[:16]}… in {folder}", result.checks)
        verdict = {True: "this entry won", False: "this entry did not win", None: "not drawn yet, or not in the list"}
        console().print(verdict[result.won])
    result.require()


def _existing(folder: Path) -> Path:
    """The folder, if it holds an announcement: without one there is nothing to check, and nothing was promised."""
    from sycee.programmes.draw_files import ANNOUNCEMENT

    hint = f"name the folder that holds {ANNOUNCEMENT}"
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint=hint)
    if not os.path.lexists(folder / ANNOUNCEMENT):
        if (folder / "draw" / ANNOUNCEMENT).is_file():
            hint = f"did you mean {folder / 'draw'}?"
        raise UsageError(f"{folder} holds no {ANNOUNCEMENT}", hint=hint)
    return folder


def _hexadecimal(text: str, what: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise UsageError(f'{what} is "{text}"', hint="give 32 bytes as 64 hexadecimal digits")
    return bytes.fromhex(text)


def _read_receipt(path: Path) -> tuple[int, int, bytes]:
    hint = 'a receipt is {"document": "digits", "phone": "digits", "salt": "64 hexadecimal digits"}'
    try:
        receipt = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", hint=hint) from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}", hint=hint) from error
    if not isinstance(receipt, dict):
        raise UsageError(f"{path} is not a JSON object", hint=hint)
    numbers = []
    for key in ("document", "phone"):
        # Digits as text: a JSON number of eighteen digits loses the last ones in many programs.
        value = str(receipt.get(key))
        if not re.fullmatch(r"[0-9]{1,20}", value):
            raise UsageError(f"{path}: {key} is {json.dumps(receipt.get(key))}, not digits", hint=hint)
        numbers.append(int(value))
    return numbers[0], numbers[1], _hexadecimal(str(receipt.get("salt")), f"{path}: salt")


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    """A bar on stderr with rate and time left, gone when the work is done."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}")
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, rate="")

        def report(done: int, total: int) -> None:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, total=total, rate=f"{speed:,.0f} hashes/s" if speed else "")

        yield report


def _as_rows(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [{"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks]


def _print_checks(title: str, checks: tuple[Check, ...]) -> None:
    from rich.markup import escape
    from rich.table import Table

    console().print(title, style="bold", markup=False, soft_wrap=True)
    table = Table("check", "")
    table.add_column("what was found", overflow="fold")  # a digest cut short proves nothing
    marks = {True: "[green]ok[/]", False: "[bold red]FAILED[/]", None: "[yellow]open[/]"}
    for check in checks:
        table.add_row(check.name, marks[check.passed], escape(check.detail))
    console().print(table)


def _print_json(fields: dict[str, Any]) -> None:
    print(json.dumps(fields, indent=2, ensure_ascii=False))
