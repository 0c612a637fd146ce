"""`sycee day`: close business days, countersign their packs, follow breaks, and check packs anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from cyclopts import App, Parameter

from sycee.cli.bank_options import BankFolder, local_time, named_key, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import note, print_table, progress, show, show_json, table
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.output_files import require_new, require_outputs, write_file
from sycee.core.words import quantity

if TYPE_CHECKING:
    from datetime import date

    from sycee.core.keys import SigningKey
    from sycee.core.money import Currency
    from sycee.day.breaks import Break

DayText: TypeAlias = Annotated[str, Parameter(help="The business day, such as 2026-11-02.")]
Number: TypeAlias = Annotated[str, Parameter(name="BREAK", help="Number of the break, as `sycee day breaks` shows it.")]
KeyFile: TypeAlias = Annotated[Path, Parameter(help="File with the private key of the person who does this.")]

app = App(name="day", help="Close business days, countersign their packs, and check packs.")


@app.command
def close(
    folder: BankFolder,
    day: DayText,
    /,
    *,
    key: KeyFile,
    witness: Annotated[Path | None, Parameter(help="File with the key of a witness, who signs the checkpoint.")] = None,
    statement: Annotated[
        list[Path] | None,
        Parameter(negative="", help="CSV file with an operator's or merchant's statement; may be repeated."),
    ] = None,
    json: AsJson = False,
) -> int:
    """Close a business day after its cut-off, while payments continue, and sign its pack.

    A day that is closed already stays as it is; its pack is shown again.
    """
    from sycee.day import statements_csv

    wanted, closer = _day(day), _key(key)
    signs = _key(witness) if witness else None
    with open_bank(folder) as bank:
        currency = bank.config.currency
        statements = [statements_csv.load(file, currency) for file in statement or ()]
        pack = bank.day.close(wanted, closer, statements=statements, witness=signs)
        if json:
            show_json({"digest": pack.digest.hex(), **pack.body})
            return 0
        payments = sum(pack.body["operations"].get(name, 0) for name in ("PAY", "POST", "STAGE"))
        found = pack.body["breaks"]
        show(
            f"day {day} closed at frame {pack.frame:,}: {quantity(payments, 'payment')}, "
            f"{quantity(len(found), 'open break')}; pack {pack.digest.hex()}"
        )
        if found:
            show("`sycee day breaks` shows them")
    return 0


@app.command
def countersign(
    folder: BankFolder,
    day: DayText,
    /,
    *,
    key: KeyFile,
    out: Annotated[Path | None, Parameter(help="Write the signed pack to this new file, too.")] = None,
) -> int:
    """Check the pack of a closed day against ledger, access log and earlier packs, and sign it as another person."""
    require_outputs({"--out": out}, outside=folder)
    if out is not None:
        require_new(out)
    wanted, signer = _day(day), _key(key)
    with open_bank(folder) as bank:
        pack = bank.day.countersign(wanted, signer)
        if out is not None:
            write_file(out, pack.text().encode("ascii"))
        show(f"pack of {day} has two signatures: {out or bank.day.path(wanted)}")
    return 0


@app.command(name="list")
def list_(folder: BankFolder, /, *, json: AsJson = False) -> int:
    """List the closed days, and the day that is to be closed next."""
    with open_bank(folder) as bank:
        following, zone = bank.day.next_day(), bank.config.text("zone")
        rows = [
            {
                "day": each.day.isoformat(),
                "state": each.state,
                "cutoff": local_time(each.cutoff_ns, zone),
                "frame": each.cutoff_frame,
                "closed_by": ids.format(each.closed_by),
                "countersigned_by": ids.format(each.countersigned_by) if each.countersigned_by else "",
                "pack": each.pack,
            }
            for each in bank.day.days()
        ]
    if json:
        show_json({"days": rows, "next": following.isoformat()})
        return 0
    made = table("day", "state", "cut-off", "frame", "pack", numbers=("frame",))
    for row in rows:
        made.add_row(
            str(row["day"]), str(row["state"]), str(row["cutoff"]), f"{row['frame']:,}", str(row["pack"])[:16] + "…"
        )
    print_table(made)
    show(f"next: {following}")
    return 0


@app.command
def breaks(
    folder: BankFolder,
    /,
    *,
    all: Annotated[bool, Parameter(name="--all", negative="", help="Also show breaks that are closed.")] = False,
    json: AsJson = False,
) -> int:
    """List breaks: differences that a close found, with owner, age and proposed cause."""
    with open_bank(folder) as bank:
        found = bank.day.breaks.list(open_only=not all)
        closed = bank.day.days()
        newest = closed[-1].day if closed else bank.day.next_day()
        currency = bank.config.currency
    if json:
        show_json({"breaks": [_break_row(each, newest) for each in found]})
        return 0
    made = table("break", "kind", "party", "amount", "age", "owner", "cause", numbers=("break", "amount", "age"))
    for each in found:
        made.add_row(*_break_cells(each, newest, currency))
    print_table(made)
    return 0


@app.command
def assign(
    folder: BankFolder,
    number: Number,
    /,
    *,
    owner: Annotated[str, Parameter(help="Id of the new owner of the break.")],
    key: KeyFile,
    case: Annotated[str | None, Parameter(help="Number of the case that follows the break.")] = None,
) -> int:
    """Name the person who owns a break, and the case that follows it."""
    wanted, signer = _number(number, "break"), _key(key)
    with open_bank(folder) as bank:
        by = bank.people.person_of_key(signer.public)
        of_case = _number(case, "case") if case else 0
        found = bank.day.breaks.assign(wanted, ids.parse(owner), by=by, case=of_case)
    show(f"break {found.number} is owned by {owner}")
    return 0


@app.command
def resolve(
    folder: BankFolder,
    number: Number,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why the break is closed: at most 35 characters, no person's name.")],
    key: KeyFile,
) -> int:
    """Close a break manually.

    A break that no longer exists is closed by the next close of a day.
    """
    wanted, signer = _number(number, "break"), _key(key)
    with open_bank(folder) as bank:
        by = bank.people.person_of_key(signer.public)
        bank.day.breaks.close(wanted, reason, day=bank.day.next_day(), by=by)
    show(f"break {wanted} is closed")
    return 0


@app.command
def verify(
    packs: Annotated[list[Path], Parameter(negative="", help="Files of packs, in any order.")],
    /,
    *,
    ledger: Annotated[
        Path | None, Parameter(help="Folder with a copy of the ledger: compute all figures again.")
    ] = None,
    key: Annotated[
        list[str] | None,
        Parameter(negative="", help="Public key of a person who may sign, or a file with it; may be repeated."),
    ] = None,
    json: AsJson = False,
) -> int:
    """Check packs on any machine: one chain, valid signatures, and the figures of the ledger.

    This needs no database.
    """
    from sycee.day.verify import verify_packs

    keys = [named_key(each) for each in key or ()]
    with progress("verifying", "frames") as advance:
        report = verify_packs(packs, ledger=ledger, keys=keys, progress=lambda frame: advance(frame, frame))
    if json:
        show_json(
            {
                "packs": report.packs,
                "first": report.first,
                "last": report.last,
                "proved": list(report.proved),
                "findings": list(report.findings),
            }
        )
        return 0
    show(f"packs are right: {report.first} to {report.last}", *(f"  {each}" for each in report.proved))
    note(*(f"note: {each}" for each in report.findings))
    return 0


def _day(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is not a day", hint="write a date such as 2026-11-02") from None


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:19]) < 2**31 and len(text) < 19):
        raise UsageError(f"{text[:40]!r} is no number of a {what}", hint="write a whole number such as 1")
    return int(text)


def _key(file: Path) -> SigningKey:
    from sycee.core.keys import SigningKey

    return SigningKey.load(file)


def _break_row(each: Break, newest: date) -> dict[str, Any]:
    closed = each.closed_day.isoformat() if each.closed_day else ""
    return {**each.document(newest), "closed": closed, "closed_as": each.closed_as}


def _break_cells(each: Break, newest: date, currency: Currency) -> tuple[str, ...]:
    age = f"{each.age_days(newest)} d" if each.closed_day is None else "closed"
    owner = ids.format(each.owner) if each.owner else each.party
    cause = each.cause if each.closed_day is None else each.closed_as
    return str(each.number), each.kind, each.party, money.format(each.minor, currency), age, owner, cause
