"""`sycee draw`: check a programme file, a published draw, and one entry in it, on this machine."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.parameters import AsJson
from sycee.cli.terminal import console, progress, show
from sycee.core import json_documents, money
from sycee.core.errors import UsageError
from sycee.core.terminal_text import printable
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.programmes.definition import Programme, Window
    from sycee.programmes.draw import Check, Verification

Folder: TypeAlias = Annotated[Path, Parameter(help="The folder with the published files of a draw.")]
Announced: TypeAlias = Annotated[
    str | None,
    Parameter(help="SHA-256 of announcement.json in hexadecimal, as published elsewhere before the beacon."),
]
RECEIPT_BYTES_MAX: Final = 1 << 16

app = App(
    name="draw",
    help="Check a programme file, or a published draw with every winner.",
)


@app.command
def verify(
    folder: Folder,
    /,
    *,
    announced: Announced = None,
    json_: AsJson = False,
) -> None:
    """Recompute list, root, tickets and every winner from the published files alone."""
    from sycee.programmes import draw, draw_files

    expected = None if announced is None else _hexadecimal(announced, "--announced")
    names = (draw_files.ENTRIES, draw_files.BEACON, draw_files.TICKETS, draw_files.WINNERS)
    folder = _with_files(folder, *names)
    with progress("recomputing", "hashes") as report:
        result = draw.verify(folder, announced=expected, progress=report)
    if json_:
        _print_json(_verification_json(result))
    else:
        _print_checks(f"Draw in {folder}", result.checks)
        show(f"SHA-256 of announcement.json: {result.announcement_digest.hex()}")
        show(*_beacon_lines(result), _verdict(result))
    result.require()


@app.command(name="list")
def list_(
    folder: Folder,
    /,
    *,
    announced: Announced = None,
    json_: AsJson = False,
) -> None:
    """Check that a frozen list did not change: recompute its root, before the draw or after it."""
    from sycee.programmes import draw, draw_files

    expected = None if announced is None else _hexadecimal(announced, "--announced")
    folder = _with_files(folder, draw_files.ENTRIES)
    with progress("recomputing", "hashes") as report:
        result = draw.verify_list(folder, announced=expected, progress=report)
    if json_:
        _print_json(_verification_json(result))
    else:
        _print_checks(f"List in {folder}", result.checks)
        show(f"SHA-256 of announcement.json: {result.announcement_digest.hex()}")
        failed = ", ".join(check.name for check in result.checks if not check.passed)
        entries = 0 if result.announcement is None else result.announcement.entries
        show(
            f"verification failed: {failed}"
            if failed
            else f"verification passed: {quantity(entries, 'entry', 'entries')}, as announced"
        )
    result.require("the list is not the announced one")


@app.command
def entry(
    folder: Folder,
    receipt: Annotated[
        Path, Parameter(help="The receipt, a JSON file with document, phone and salt. It stays on this machine.")
    ],
    /,
    *,
    json_: AsJson = False,
) -> None:
    """Check one entry: whether it is in the list, whether the list has the announced root, and whether it won."""
    from sycee.programmes import draw

    document, phone, salt = _read_receipt(receipt)
    result = draw.check_entry(_with_files(folder), document, phone, salt)
    if json_:
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
        show(verdict[result.won])
    result.require()


@app.command(name="check")
def check_(
    file: Annotated[Path, Parameter(help="A programme file, such as spring.toml.")],
    /,
    *,
    variant: Annotated[Path | None, Parameter(help="A file of dotted keys whose values replace the file's.")] = None,
    json_: AsJson = False,
) -> None:
    """Check a programme file, and show its packets, its draw and its times."""
    from sycee.programmes import definition, variants

    if variant is None:
        programme = definition.load(file)
    else:
        changed = variants.load(file, variant)
        programme = changed.programme
    if json_:
        _print_json(_programme_json(programme))
    else:
        show(f"{file} is a programme: {programme.title} ({programme.name})", *_programme_lines(programme))
        if variant is not None:
            show(f"  {variant} changes {', '.join(changed.keys) or 'nothing'}")


def _programme_lines(programme: Programme) -> Iterator[str]:
    from sycee.core import documents

    amount = partial(money.with_code, currency=programme.currency)

    def window(of: Window) -> str:
        return f"{documents.shown_moment(of.from_ns, zone)} until {documents.shown_moment(of.until_ns, zone)}"

    zone, draw = programme.zone, programme.draw
    yield f"  mode          {programme.mode}"
    yield f"  budget        {amount(programme.budget_minor)}, paid by {programme.funder.name}"
    yield from (
        f"  packets       {each.count:,} x {amount(each.amount_minor)}: {each.name}" for each in programme.packets
    )
    yield f"  registration  {window(programme.registration)}"
    if draw.is_drawn:
        due = documents.shown_moment(draw.beacon_due_ns, zone)
        yield f"  draw          {draw.rule}, with {draw.beacon_source}, round {draw.beacon_round}, due {due}"
        yield from (f"  winners       {each.winners:,} in {each.name}" for each in draw.strata)
    if (split := programme.split) is not None:
        yield f"  split         at least {amount(split.least_minor)} each, in steps of {amount(split.step_minor)}"
    yield f"  claim         {window(programme.claim)}"
    yield f"  spending      {window(programme.spending)}"
    yield f"  expiry        {documents.shown_moment(programme.expires_ns, zone)}; the rest returns to the funder"
    if most := programme.rules.per_payment_max_minor:
        yield f"  one payment   takes at most {amount(most)} from a packet"
    if least := programme.rules.payment_min_minor:
        yield f"  one payment   of less than {amount(least)} passes a packet over"
    if (schedule := programme.schedule) is not None:
        second = schedule.first_after(schedule.starts.date())
        next_begins = "" if second is None else f", next {documents.shown_moment(schedule.begins_ns(second), zone)}"
        yield f"  schedule      {schedule.rule}{next_begins}"


def _programme_json(programme: Programme) -> dict[str, Any]:
    return {
        "ok": True,
        "name": programme.name,
        "title": programme.title,
        "mode": programme.mode,
        "currency": programme.currency.code,
        "budget_minor": programme.budget_minor,
        "packets": [asdict(each) for each in programme.packets],
        "strata": [asdict(each) for each in programme.draw.strata],
        "registration": asdict(programme.registration),
        "beacon_due_ns": programme.draw.beacon_due_ns,
        "claim": asdict(programme.claim),
        "spending": asdict(programme.spending),
        "expires_ns": programme.expires_ns,
        "per_payment_max_minor": programme.rules.per_payment_max_minor,
        "payment_min_minor": programme.rules.payment_min_minor,
        "schedule": None if programme.schedule is None else programme.schedule.rule,
    }


def _with_files(folder: Path, *names: str) -> Path:
    """Return the folder. UsageError unless it has an announcement and the named files."""
    from sycee.programmes.draw_files import ANNOUNCEMENT

    hint = f"name the folder that holds {ANNOUNCEMENT}"
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint=hint)
    if not os.path.lexists(folder / ANNOUNCEMENT):
        if (folder / "draw" / ANNOUNCEMENT).is_file():
            hint = f"did you mean {folder / 'draw'}?"
        raise UsageError(f"{folder} holds no {ANNOUNCEMENT}", hint=hint)
    missing = [name for name in names if not os.path.lexists(folder / name)]
    if missing:
        raise UsageError(
            f"{folder} lacks {', '.join(missing)}",
            hint="copy every published file into the folder; before the draw, check your entry with `sycee draw entry`",
        )
    return folder


def _verification_json(result: Verification) -> dict[str, Any]:
    announcement, beacon = result.announcement, result.beacon
    return {
        "ok": result.ok,
        "programme": announcement.programme if announcement else None,
        "entries": announcement.entries if announcement else None,
        "winners": announcement.winners if announcement else None,
        "root": announcement.root.hex() if announcement else None,
        "synthetic": announcement.synthetic if announcement else None,
        "announcement_sha256": result.announcement_digest.hex(),
        "beacon": {
            "source": beacon.source,
            "round": beacon.round,
            "value": beacon.value.hex(),
            "compare_at": beacon.address,
        }
        if beacon
        else None,
        "checks": _as_rows(result.checks),
    }


def _beacon_lines(result: Verification) -> list[str]:
    beacon = result.beacon
    if beacon is None:
        return []
    return [
        "Compare the beacon with its source:",
        f"  source  {beacon.source}",
        f"  round   {beacon.round}",
        f"  value   {beacon.value.hex()}",
        f"  where   {beacon.address}",
    ]


def _verdict(result: Verification) -> str:
    if result.ok and result.announcement is not None:
        winners, entries = result.announcement.winners, result.announcement.entries
        return f"verification passed: {winners:,} of {quantity(entries, 'entry', 'entries')} won, each as computed"
    failed = [check.name for check in result.checks if check.passed is False]
    return f"verification failed: {', '.join(failed)}"


def _hexadecimal(text: str, field: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise UsageError(f'{field} is "{printable(text)}"', hint="give 32 bytes as 64 hexadecimal digits")
    return bytes.fromhex(text)


def _read_receipt(path: Path) -> tuple[int, int, bytes]:
    """Return document, phone and salt. Spaces are ignored, and in a phone hyphens and a plus sign at the start."""
    hint = 'a receipt is {"document": "digits", "phone": "digits", "salt": "64 hexadecimal digits"}'
    receipt = json_documents.read(path, "receipt", RECEIPT_BYTES_MAX)
    if not isinstance(receipt, dict):
        raise UsageError(f"the receipt {path} is not a JSON object", hint=hint)
    texts = {key: "".join(str(receipt.get(key)).split()) for key in ("document", "phone", "salt")}
    texts["phone"] = texts["phone"].replace("-", "").removeprefix("+")
    for key in ("document", "phone"):
        # Digits as text: a JSON number of eighteen digits loses the last ones in many programs.
        if not re.fullmatch(r"[0-9]{1,20}", texts[key]):
            raise UsageError(f"{path}: {key} is {json.dumps(receipt.get(key))}, not digits", hint=hint)
    return int(texts["document"]), int(texts["phone"]), _hexadecimal(texts["salt"], f"{path}: salt")


def _as_rows(checks: tuple[Check, ...]) -> list[dict[str, Any]]:
    return [{"name": check.name, "passed": check.passed, "detail": check.detail} for check in checks]


def _print_checks(title: str, checks: tuple[Check, ...]) -> None:
    from rich.markup import escape
    from rich.table import Table

    show(title, style="bold")
    table = Table("check", "")
    table.add_column("finding", overflow="fold")  # a digest cut short proves nothing
    marks = {True: "[green]ok[/]", False: "[bold red]FAILED[/]", None: "[yellow]open[/]"}
    for check in checks:
        table.add_row(check.name, marks[check.passed], escape(check.detail))
    console().print(table)


def _print_json(fields: dict[str, Any]) -> None:
    print(json.dumps(fields, indent=2))
