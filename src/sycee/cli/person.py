"""`sycee person`: personal data, its access log and its deletion. Events of a life are in `person_events`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sycee.cli import person_events
from sycee.cli.bank_options import BankFolder, KeyFiles, local_time, moment, open_bank
from sycee.cli.lazy import ids
from sycee.cli.parameters import AsJson
from sycee.cli.person_options import (
    CaseNumber,
    PersonId,
    ReasonName,
    access_of,
    case_number,
    one_key,
    person_with,
)
from sycee.cli.proposing import maker_of, sign_and_show, signing_keys
from sycee.cli.terminal import note, print_table, show, show_json, table
from sycee.core.errors import UsageError
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.personal.access import Entry

app = App(name="person", help="Read, log and delete personal data; lost phones, deaths, court orders.")


@app.command(name="show")
def show_(
    folder: BankFolder,
    person: PersonId,
    /,
    *,
    field: Annotated[
        list[str],
        Parameter(
            negative="", help="Field to read: name, phone, paper, paper_kind, birth or address; may be repeated."
        ),
    ],
    reason: ReasonName,
    case: CaseNumber = "",
    key: KeyFiles = None,
    json_: AsJson = False,
) -> int:
    """Read fields of a person, after an entry in the access log.

    The key is of a person with the duty to read personal data, or, for the reason own-request, of a wallet of the
    person.
    """
    number = ids.parse(person)
    private = one_key(key)
    with open_bank(folder) as bank:
        access = access_of(bank, private, reason, case)
        found = bank.personal.read(number, field, access=access)
        if json_:
            show_json({"person": ids.format(number), "fields": found})
            return 0
        rows = table("field", "value")
        for name, value in found.items():
            rows.add_row(name, value)
        print_table(rows)
    return 0


@app.command
def find(
    folder: BankFolder,
    text: Annotated[str, Parameter(help='A phone, a paper ("passport:E1234567"), or "1990-12-31 Wang Li".')],
    /,
    *,
    by: Annotated[str, Parameter(help="Kind of the text: phone, paper or birth.")] = "phone",
    reason: ReasonName,
    case: CaseNumber = "",
    key: KeyFiles = None,
    json_: AsJson = False,
) -> int:
    """Find persons by phone, by paper, or by birth and name, and print their ids.

    A search is an access: everyone whom it finds gets an entry in the access log.
    """
    from sycee.personal.sealing import SearchKind

    kinds = {"phone": SearchKind.PHONE, "paper": SearchKind.PAPER, "birth": SearchKind.NAME_AND_BIRTH}
    if by not in kinds:
        raise UsageError(f"--by {by[:40]!r} is not a kind of text", hint=f"use one of: {', '.join(kinds)}")
    private = one_key(key)
    with open_bank(folder) as bank:
        found = bank.personal.find(kinds[by], text, access=access_of(bank, private, reason, case))
        if json_:
            show_json({"persons": [ids.format(each) for each in found]})
            return 0
        show(*(ids.format(each) for each in found))
        note(f"{len(found):,} found")
    return 0


@app.command
def log(folder: BankFolder, person: PersonId, /, *, key: KeyFiles = None, json_: AsJson = False) -> int:
    """Show who read the data of a person, when, which fields and why, and who invited the reader's login.

    The key is of a wallet of the person, of a guardian's, or of somebody with the duty to read the log.
    """
    number = ids.parse(person)
    private = one_key(key)
    with open_bank(folder) as bank:
        entries = bank.life.access_log(number, by=person_with(bank, private))
        if json_:
            show_json({"person": ids.format(number), "entries": [_as_json(entry) for entry in entries]})
            return 0
        rows = table("number", "time", "who", "fields", "reason", "case", "inviter", numbers=("number", "case"))
        for entry in entries:
            rows.add_row(
                f"{entry.number:,}",
                local_time(entry.at_ns, bank.config.text("zone")),
                ids.format(entry.who),
                ", ".join(entry.fields),
                entry.reason,
                f"{entry.case:,}" if entry.case else "",
                ids.format(entry.inviter) if entry.inviter else "",
            )
        print_table(rows)
    return 0


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "number": entry.number,
        "at_ns": entry.at_ns,
        "who": ids.format(entry.who),
        "fields": list(entry.fields),
        "reason": entry.reason,
        "case": entry.case,
        "invitation": ids.format(entry.invitation) if entry.invitation else None,
        "inviter": ids.format(entry.inviter) if entry.inviter else None,
    }


@app.command
def verify(
    folder: BankFolder,
    /,
    *,
    head: Annotated[
        list[str] | None,
        Parameter(
            negative="", help="Number and digest of an entry, NUMBER:HEX, as a signed pack has them; repeatable."
        ),
    ] = None,
    pack: Annotated[
        list[Path] | None,
        Parameter(negative="", help="File with the signed pack of a day, which names the newest entry; repeatable."),
    ] = None,
    json_: AsJson = False,
) -> int:
    """Recompute the access log, and compare the register of persons with the key file and its backup."""
    heads = [*(_head(text) for text in head or ()), *(_head_in(path) for path in pack or ())]
    with open_bank(folder) as bank:
        entries = bank.access.verify(heads)
        found = [*bank.personal.disagreements(), *bank.life.disagreements()]
        secrets, missing = len(bank.personal_keys.persons()), len(bank.personal_keys.missing_in_backup())
        digest = bank.access.head()[1].hex()
    if json_:
        show_json(
            {
                "entries": entries,
                "digest": digest,
                "secrets": secrets,
                "missing_in_backup": missing,
                "disagreements": found,
            }
        )
    else:
        show(f"access log: {entries:,} entries form one chain; newest digest {digest}")
        show(f"key file: {secrets:,} secrets, {missing:,} of them not in the backup")
        show(*found)
    return 3 if found or missing else 0


def _head(text: str) -> tuple[int, bytes]:
    number, _, digits = text.partition(":")
    try:
        digest = bytes.fromhex(digits)
        if len(digest) != 32 or not number.isdigit() or not number.isascii():
            raise ValueError
    except ValueError as error:
        raise UsageError(
            f"--head {text[:80]!r} is not NUMBER:HEX", hint="a digest has 64 hexadecimal digits, as the pack shows it"
        ) from error
    return int(number), digest


def _head_in(path: Path) -> tuple[int, bytes]:
    """Return number and digest of the newest entry that a signed pack names."""
    from sycee.core.records.day_packs import check_signatures
    from sycee.day.pack import Pack

    pack = Pack.load(path)
    check_signatures(pack, complete=False)
    named = pack.body["access_log"]
    return int(named["entry"]), bytes.fromhex(named["digest"])


@app.command
def due(folder: BankFolder, /, *, json_: AsJson = False) -> int:
    """List the persons whose retention is over and who are under no legal hold."""
    with open_bank(folder) as bank:
        found = [ids.format(person) for person in bank.retention.due()]
    if json_:
        show_json({"persons": found})
        return 0
    show(*found)
    note(f"{quantity(len(found), 'person')} may be shredded")
    return 0


@app.command
def shred(
    folder: BankFolder,
    person: PersonId,
    /,
    *,
    basis: Annotated[str, Parameter(help="Why now: the basis whose period is over.")] = "relation-ended",
    key: KeyFiles = None,
) -> int:
    """Delete the secret of a person, so that no copy of the data can be read again, not even from a backup.

    Refused while retention runs and under a legal hold. The key is of a person with the duty privacy.
    """
    number = ids.parse(person)
    private = one_key(key)
    with open_bank(folder) as bank:
        bank.personal.shred(number, who=person_with(bank, private), basis=basis)
    show(f"{ids.format(number)} is shredded")
    return 0


@app.command
def hold(
    folder: BankFolder,
    person: PersonId,
    /,
    *,
    case: CaseNumber = "",
    until: Annotated[
        str, Parameter(help="End, as a date or a local time; without it the hold lasts until it is ended.")
    ] = (""),
    key: KeyFiles = None,
) -> int:
    """Propose a legal hold, which stops shredding. Two persons sign; without a case the holds are listed."""
    number = ids.parse(person)
    with open_bank(folder) as bank:
        zone = bank.config.text("zone")
        if not case:
            for order in bank.orders.holds_of(number):
                end = "until ended" if order.until_ns is None else f"until {local_time(order.until_ns, zone)}"
                show(f"{ids.format(order.id)} case {order.case:,}, from {local_time(order.from_ns, zone)} {end}")
            return 0
        keys = signing_keys(key)
        until_ns = moment(until, zone) if until else None
        proposal = bank.orders.hold(number, case_number(case), until_ns=until_ns, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


@app.command
def release(
    folder: BankFolder,
    hold: Annotated[str, Parameter(help="Id of the legal hold, as UUID text.")],
    /,
    *,
    key: KeyFiles = None,
) -> int:
    """Propose to end a legal hold. Two persons sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        return sign_and_show(bank, bank.orders.release(ids.parse(hold), maker=maker_of(bank, keys)), keys)


@app.command
def delay(
    folder: BankFolder,
    person: PersonId,
    /,
    *,
    case: CaseNumber,
    until: Annotated[str, Parameter(help="End of the delay, as a date or a local time.")],
    key: KeyFiles = None,
) -> int:
    """Propose to hide the entries of one case from the person until a time. Two persons sign."""
    keys = signing_keys(key)
    with open_bank(folder) as bank:
        until_ns = moment(until, bank.config.text("zone"))
        proposal = bank.orders.delay(ids.parse(person), case_number(case), until_ns, maker=maker_of(bank, keys))
        return sign_and_show(bank, proposal, keys)


for _command in person_events.COMMANDS:
    app.command(_command)
