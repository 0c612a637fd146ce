"""`sycee init`: found a bank."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sycee.cli.bank_options import local_time, moment, named_key
from sycee.cli.lazy import ids
from sycee.cli.terminal import console, show

if TYPE_CHECKING:
    from sycee.bank.bank import Bank
    from sycee.bank.founding import StoredFounding


def init(
    folder: Annotated[Path, Parameter(help="New folder for the bank's data.")],
    /,
    *,
    currency: Annotated[str, Parameter(help="ISO 4217 code of the currency.")],
    zone: Annotated[str, Parameter(help="Time zone whose midnight ends a day.")],
    preset: Annotated[str, Parameter(help="Wallet classes: a shipped preset or a TOML file.")],
    retention: Annotated[str, Parameter(help="Rules for keeping personal data: a shipped name or a TOML file.")],
    officer: Annotated[list[str], Parameter(negative="", help="Key of an officer of the board; two or more.")],
    desk: Annotated[str, Parameter(help="Key of the reserve desk, which signs redemptions.")],
    witness: Annotated[str, Parameter(help="Key of the witness, who signs checkpoints.")],
    master_key: Annotated[Path, Parameter(help="File of the master key of personal data, created if absent.")],
    key_backup: Annotated[Path, Parameter(help="Folder for the backup of per-person keys, on another disk.")],
    database: Annotated[str | None, Parameter(help="PostgreSQL URL without a password, or a file for SQLite.")] = None,
    database_password_file: Annotated[
        Path | None, Parameter(help="File with the password of the PostgreSQL user.")
    ] = None,
    until: Annotated[str | None, Parameter(help="Day on which these duties end; five years by default.")] = None,
    rehearsal_from: Annotated[
        str | None, Parameter(help="Give the bank its own clock, which starts at this local time.")
    ] = None,
    without_compliance: Annotated[
        bool,
        Parameter(
            negative="",
            help="Open wallets at operators that compliance did not admit, and clear payments without its permit.",
        ),
    ] = False,
) -> int:
    """Found a bank: its ledger, its database, its key files and the duties of its first persons.

    Keys are public keys, files with one, or files of `sycee key new`. After an interruption the same command continues.
    """
    from sycee.bank.bank import Bank
    from sycee.bank.founding import Founding, StoredFounding

    settings = {"database": database} if database else {}
    if database_password_file:
        settings["database_password_file"] = str(database_password_file)
    if without_compliance:
        settings["compliance"] = "false"
    founding = Founding(
        currency=currency,
        zone=zone,
        preset=preset,
        retention=retention,
        officers=[named_key(each) for each in officer],
        desk=named_key(desk),
        witness=named_key(witness),
        master_key=master_key,
        key_backup=key_backup,
        until_ns=moment(until, zone) if until else 0,
        rehearsal_from_ns=moment(rehearsal_from, zone) if rehearsal_from else None,
        settings=settings,
    )
    with console(stderr=True).status("founding the bank"):
        bank = Bank.create(folder, founding)
    with bank:
        record = StoredFounding.load(bank.folder)
        ledger = bank.stores.ledger.sequencer
        show(
            f"bank created: currency {currency}, ledger {ledger.ledger_id.hex()}, frame {_first_frame(bank, record):,}"
        )
        names = {0: "operator 0", 1: "reserve desk"}
        for person in record.persons():
            name = person.duty.value if person.operator is None else names[person.operator]
            show(f"{name} {ids.format(person.person)} {person.key}")
        show(
            f"duties end on {local_time(record.until_ns, zone)}",
            f"key of operator 0: {record.technical_key_file}",
        )
        if bank.is_rehearsal:
            show(f"rehearsal: the bank's clock shows {local_time(bank.stores.clock.now_ns(), zone)}")
    return 0


def _first_frame(bank: Bank, record: StoredFounding) -> int:
    stored = bank.stores.intents.find(record.id("founding"))
    return stored.frame if stored else 0
