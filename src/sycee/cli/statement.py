"""`sycee statement`: an account's lines between two dates, as a table, CSV, PDF or JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.lazy import ids
from sycee.cli.ledger_steps import replay
from sycee.cli.parameters import AsJson, LedgerFolder
from sycee.cli.terminal import note, print_table, show, show_json, table
from sycee.cli.wallet_options import is_alias
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.core.marks import marked_csv
from sycee.core.output_files import require_outputs, write_file
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.archive.packets import Packet
    from sycee.archive.statements import Statement, Total


def statement(
    folder: LedgerFolder,
    account: Annotated[str, Parameter(help="Id of the account; in a bank's folder also a phone or a @handle.")],
    /,
    *,
    year: Annotated[int | None, Parameter(help="Show one calendar year.")] = None,
    from_: Annotated[str | None, Parameter(name="--from", help="Begin with this day, such as 2026-03-01.")] = None,
    until: Annotated[str | None, Parameter(help="End before this day.")] = None,
    csv_: Annotated[Path | None, Parameter(name="--csv", help="Write the statement as CSV to this file.")] = None,
    pdf: Annotated[Path | None, Parameter(help="Write the statement as PDF to this file.")] = None,
    title: Annotated[str | None, Parameter(help="Set the title of the PDF.")] = None,
    json_: AsJson = False,
) -> int:
    """Show the money that an account received and paid: in all, in a year, or from one day until before another.

    Days begin at midnight in the time zone of the account's currency. The ledger is only read, without a lock.
    """
    from sycee.archive import statements
    from sycee.core.marks import mark_of

    if title is not None and pdf is None:
        raise UsageError("--title sets the title of a PDF, and --pdf is missing", hint="name the file with --pdf")
    require_outputs({"--csv": csv_, "--pdf": pdf}, outside=folder)
    number = _account_of_alias(folder, account) if is_alias(account) else ids.parse(account)
    if pdf is not None:
        from sycee.archive import statement_pdf  # noqa: F401 - without the extra "bank", fail before reading the ledger
    ledger = replay(folder)
    with_digest = pdf is not None or json_  # shown only there, and slow to compute
    found = statements.statement(
        ledger, number, year=year, from_=from_, until=until, with_packets=True, with_state_digest=with_digest
    )
    _write(found, csv_, pdf, title, mark_of(folder))
    if json_:
        show_json(_as_json(found))
    elif csv_ is None and pdf is None:
        _show(found)
    return 0


def _account_of_alias(folder: Path, alias: str) -> int:
    """Return the account of an alias in the data folder of a bank, which is only read, without a lock."""
    from sycee.bank.config import Config
    from sycee.bank.folder import DataFolder
    from sycee.core.secret_files import SecretKey
    from sycee.database.engines import engine
    from sycee.personal.keys import hash_key_in
    from sycee.wallets.aliases import account_of

    config = Config.load(DataFolder(folder))
    key = hash_key_in(config.path("key_store"), SecretKey.load(config.path("master_key")).secret)
    made = engine(config.database, read_only=True, password_file=config.password_file)
    try:
        return account_of(made, alias, key, config.text("phone_prefix"))
    finally:
        made.dispose()


def _write(found: Statement, csv_: Path | None, pdf: Path | None, title: str | None, mark: str) -> None:
    written = f"{quantity(found.rows.size, 'line')} written to"
    if csv_ is not None:
        from sycee.archive import statement_csv

        write_file(csv_, marked_csv(statement_csv.text(found), mark).encode())
        note(f"{written} {csv_}")
    if pdf is not None:
        from sycee.archive import statement_pdf

        write_file(pdf, statement_pdf.pdf(found, title=f"{f'{mark}: ' if mark else ''}{title or statement_pdf.TITLE}"))
        note(f"{written} {pdf}")


def _show(found: Statement) -> None:
    from sycee.core.money import currency_of
    from sycee.core.timestamps import local_time

    currency = currency_of(found.currency)

    def decimal(minor: int) -> str:
        return money.format(minor, currency)

    shown = table("time", "purpose", "amount", "balance", "counterparty", numbers=("amount", "balance"))
    shown.add_row("", "opening balance", "", decimal(found.opening), "")
    for line in found.lines:
        shown.add_row(
            f"{local_time(line.time_ns, found.zone):%Y-%m-%d %H:%M:%S}",
            line.purpose.name.lower().replace("_", " "),
            decimal(line.amount),
            decimal(line.balance),
            ids.format(line.counterparty) if line.counterparty else "a packet",
        )
    shown.add_row("", "closing balance", "", decimal(found.closing), "")
    print_table(shown)
    for packet in found.packets:
        amounts = [f"{decimal(amount)} {name}" for name, amount in _amounts(packet).items() if amount]
        amounts.append(f"{decimal(packet.balance)} left")
        show(f"packet {packet.member:,} of programme {packet.programme}: {', '.join(amounts)}")
    show(f"{currency.code}, time zone {found.zone}; as of frame {found.basis.frame:,}")


def _as_json(found: Statement) -> dict[str, Any]:
    from sycee.core.money import currency_of

    def id_of(number: int) -> str | None:
        return ids.format(number) if number else None

    return {
        "account": id_of(found.account),
        "kind": found.kind.name,
        "currency": currency_of(found.currency).code,
        "zone": found.zone,
        "from_ns": found.period.from_ns,
        "until_ns": found.period.until_ns,
        "opening_minor": found.opening,
        "closing_minor": found.closing,
        "lines": [
            {
                "time_ns": line.time_ns,
                "purpose": line.purpose.name,
                "amount_minor": line.amount,
                "balance_minor": line.balance,
                "counterparty": id_of(line.counterparty),
                "operation": id_of(line.operation),
            }
            for line in found.lines
        ],
        "packets": [
            {"programme": packet.programme, "member": packet.member}
            | {f"{name}_minor": amount for name, amount in _amounts(packet).items()}
            | {"balance_minor": packet.balance}
            for packet in found.packets
        ],
        "by_purpose": [_total_as_json(total) for total in found.by_purpose],
        "by_month": [_total_as_json(total) for total in found.by_month],
        "ledger": found.basis.ledger_id.hex(),
        "frame": found.basis.frame,
        "time_ns": found.basis.time_ns,
        "movement_digest": found.basis.movement_digest.hex(),
        "state_digest": found.basis.state_digest.hex(),
    }


def _amounts(packet: Packet) -> dict[str, int]:
    return {name: getattr(packet, name) for name in ("dropped", "spent", "refunded", "returned")}


def _total_as_json(total: Total) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": total.name,
        "lines": total.lines,
        "received_minor": total.received,
        "paid_out_minor": total.paid_out,
    }
    return values if total.balance is None else values | {"balance_minor": total.balance}
