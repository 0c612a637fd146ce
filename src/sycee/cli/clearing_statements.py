"""`sycee clearing`: statements of other institutions against positions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from sycee.cli.bank_options import BankFolder, open_bank
from sycee.cli.clearing_files import read_file
from sycee.cli.operator import Operator, operator_number
from sycee.cli.parameters import AsJson
from sycee.cli.terminal import print_list, show, show_json
from sycee.core.words import quantity

if TYPE_CHECKING:
    from sycee.iso20022.reconciliation import Break
    from sycee.iso20022.statements import Statement


def reconcile(
    folder: BankFolder,
    operator: Operator,
    file: Annotated[Path, Parameter(help="File with a camt.053.")],
    /,
    *,
    json_: AsJson = False,
) -> int:
    """Compare a participant's statement (camt.053) with its positions: list breaks, each with a proposed cause.

    Exit code 1 if there is a break.
    """
    from sycee.iso20022.messages import read

    message = read(read_file(file))
    with open_bank(folder) as bank:
        found = list(bank.clearing.received_statements().compare(operator_number(bank, operator), message))
    rows = [_row(statement, each) for statement, made in found for each in made.breaks]
    agreed, pending = (sum(getattr(made, name) for _, made in found) for name in ("agreed", "pending"))
    if json_:
        show_json({"agreed": agreed, "pending": pending, "breaks": rows})
    else:
        words = quantity(agreed, "entry agrees", "entries agree")
        show(f"{words}, {pending:,} not booked there yet, {quantity(len(rows), 'break')}")
        if rows:
            print_list("breaks", rows, numbers=("stated", "booked", "difference"), as_json=False)
    return 1 if rows else 0


def _row(statement: Statement, each: Break) -> dict[str, Any]:
    from sycee.clearing.received_statements import currency_of
    from sycee.core import money

    currency = currency_of(statement)
    sums = {"stated": each.stated_minor, "booked": each.booked_minor, "difference": each.minor}
    return {
        "statement": statement.id,
        "cause": each.cause.value,
        "reference": each.reference,
        **{name: money.format(minor, currency) for name, minor in sums.items()},
        "currency": currency.code,
    }
