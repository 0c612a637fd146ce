"""Statement as CSV: one row for each movement, every amount as an integer of minor units and as a decimal text."""

from __future__ import annotations

import csv
import io
from typing import Final

from sycee.archive.statements import Statement
from sycee.core import ids, money
from sycee.core.money import currency_of
from sycee.core.records.layout import Purpose
from sycee.core.timestamps import exact_text

HEADINGS: Final = (
    "time", "local_date", "purpose", "amount_minor", "amount", "balance_minor", "balance", "currency", "counterparty",
    "programme", "member", "operation",
)  # fmt: skip
OPENING, CLOSING = "OPENING_BALANCE", "CLOSING_BALANCE"  # purposes of the first and the last row, which have no amount


def text(statement: Statement) -> str:
    r"""Return the statement as CSV of RFC 4180, with lines that end in \n."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADINGS)
    currency = currency_of(statement.currency)

    def decimal(minor: int) -> str:
        return money.format(minor, currency, grouped=False)

    def balance_row(purpose: str, balance: int) -> tuple[object, ...]:
        return ("", "", purpose, "", "", balance, decimal(balance), currency.code, "", "", "", "")

    writer.writerow(balance_row(OPENING, statement.opening))
    rows = statement.rows
    has_purse = (rows["debit_is_purse"] | rows["credit_is_purse"]).tolist()
    dates = statement.days.astype("datetime64[D]").astype(str).tolist()
    for at, line in enumerate(statement.lines):
        writer.writerow(
            (
                exact_text(line.time_ns),
                dates[at],
                Purpose(line.purpose).name,
                line.amount,
                decimal(line.amount),
                line.balance,
                decimal(line.balance),
                currency.code,
                ids.format(line.counterparty) if line.counterparty else "",
                rows["programme"][at] if has_purse[at] else "",
                rows["member"][at] if has_purse[at] else "",
                ids.format(line.operation),
            )
        )
    writer.writerow(balance_row(CLOSING, statement.closing))
    return out.getvalue()
