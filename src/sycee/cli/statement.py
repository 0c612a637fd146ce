"""`sycee statement`: an account's lines between two dates, as a table, CSV, PDF or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli import console
from sycee.core.errors import UsageError

if TYPE_CHECKING:
    from sycee.archive.statements import Statement, Total


def statement(
    folder: Annotated[Path, Parameter(help="The ledger's folder, as given to --data or Ledger.open.")],
    account: Annotated[str, Parameter(help="The account's id.")],
    /,
    *,
    year: Annotated[int | None, Parameter(help="A calendar year.")] = None,
    from_: Annotated[str | None, Parameter(name="--from", help="The first day, as in 2026-03-01.")] = None,
    until: Annotated[str | None, Parameter(help="The first day that is no longer in it.")] = None,
    csv_: Annotated[Path | None, Parameter(name="--csv", help="Write it as CSV to this file.")] = None,
    pdf: Annotated[Path | None, Parameter(help="Write it as PDF to this file.")] = None,
    title: Annotated[str | None, Parameter(help="What stands at the head of the PDF.")] = None,
    json_: Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object to stdout.")] = False,
) -> int:
    """Say what came in and went out of an account: all of it, a year, or from one day on and before another.

    Days begin at midnight where the account's currency is at home. The ledger is only read, and not locked.
    """
    from sycee.archive import statements
    from sycee.cli.export import replayed
    from sycee.core import ids

    if year is not None and (from_ is not None or until is not None):
        raise UsageError("--year is a period by itself", hint="leave it out, or leave out --from and --until")
    if title is not None and pdf is None:
        raise UsageError("--title stands at the head of a PDF, and none is asked for", hint="name its file with --pdf")
    number = ids.parse(account)
    ledger = replayed(folder)
    with_digest = pdf is not None or json_  # only there is it shown, and it takes a while
    if year is not None:
        found = statements.statement_of_year(ledger, number, year, with_packets=True, with_state_digest=with_digest)
    else:
        found = statements.statement(
            ledger, number, from_=from_, until=until, with_packets=True, with_state_digest=with_digest
        )
    talk = console(stderr=True)
    for path, content in _files(found, csv_, pdf, title):
        _write(path, content)
        talk.print(f"{found.rows.size:,} lines written to {path}", markup=False, soft_wrap=True)
    if json_:
        print(json.dumps(_as_json(found)))
    elif csv_ is None and pdf is None:
        _show(found)
    return 0


def _files(found: Statement, csv_: Path | None, pdf: Path | None, title: str | None) -> list[tuple[Path, bytes]]:
    made = []
    if csv_ is not None:
        from sycee.archive import statement_csv

        made.append((csv_, statement_csv.text(found).encode()))
    if pdf is not None:
        from sycee.archive import statement_pdf

        made.append((pdf, statement_pdf.pdf(found, title=title or statement_pdf.TITLE)))
    return made


def _write(path: Path, content: bytes) -> None:
    from sycee.core.output_files import write_file

    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"{path} is no place for a file", hint="name a file in a folder that is there")
    write_file(path, content)


def _show(found: Statement) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from sycee.archive.history_source import currency_of
    from sycee.archive.timestamps import local_time
    from sycee.cli.query import print_table
    from sycee.core import ids, money

    currency = currency_of(found.currency)

    def written(minor: int) -> str:
        return money.format(minor, currency)

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("time", "purpose", "amount", "balance", "counterparty"):
        table.add_column(heading, justify="right" if heading in ("amount", "balance") else "left", no_wrap=True)
    table.add_row("", "opening balance", "", written(found.opening), "")
    for line in found.lines:
        table.add_row(
            f"{local_time(line.time_ns, found.zone):%Y-%m-%d %H:%M:%S}",
            line.purpose.name.lower().replace("_", " "),
            written(line.amount),
            written(line.balance),
            ids.format(line.counterparty) if line.counterparty else "a packet",
        )
    table.add_row("", "closing balance", "", written(found.closing), "")
    print_table(table)
    for packet in found.packets:
        amounts = {
            "dropped": packet.dropped,
            "spent": packet.spent,
            "refunded": packet.refunded,
            "returned": packet.returned,
            "left": packet.balance,
        }
        said = ", ".join(f"{written(amount)} {name}" for name, amount in amounts.items() if amount or name == "left")
        console().print(
            f"packet {packet.member:,} of programme {packet.programme}: {said}", markup=False, soft_wrap=True
        )
    console().print(
        f"{currency.code}, in the time of {found.zone}; as of frame {found.basis.frame:,}", markup=False, soft_wrap=True
    )


def _as_json(found: Statement) -> dict[str, Any]:
    from sycee.archive.history_source import currency_of
    from sycee.core import ids

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
            {
                "programme": packet.programme,
                "member": packet.member,
                "dropped_minor": packet.dropped,
                "spent_minor": packet.spent,
                "refunded_minor": packet.refunded,
                "returned_minor": packet.returned,
                "balance_minor": packet.balance,
            }
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


def _total_as_json(total: Total) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": total.name,
        "lines": total.lines,
        "came_in_minor": total.came_in,
        "went_out_minor": total.went_out,
    }
    return values if total.balance is None else values | {"balance_minor": total.balance}
