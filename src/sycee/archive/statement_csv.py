"""A statement as CSV: one line for each movement, every amount twice, as an integer and as people write it."""

from __future__ import annotations

import csv
import io
from typing import Final

from sycee.archive.history_source import currency_of
from sycee.archive.statements import Statement
from sycee.archive.timestamps import exact_text
from sycee.core import ids, money
from sycee.ledger.layout import Purpose

HEADINGS: Final = (
    "time", "local_date", "purpose", "amount_minor", "amount", "balance_minor", "balance", "currency", "counterparty",
    "programme", "member", "operation",
)  # fmt: skip
OPENING, CLOSING = "OPENING_BALANCE", "CLOSING_BALANCE"  # in place of a purpose, in the first line and the last


def text(statement: Statement) -> str:
    """The statement as RFC 4180 has it, but for line ends, which are those of this system.

    Without amount: the first line with the opening balance, the last with the closing balance.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADINGS)
    currency = currency_of(statement.currency)

    def written(minor: int) -> str:
        return money.format(minor, currency, grouped=False)

    def frame(purpose: str, balance: int) -> tuple[object, ...]:
        return ("", "", purpose, "", "", balance, written(balance), currency.code, "", "", "", "")

    writer.writerow(frame(OPENING, statement.opening))
    rows = statement.rows
    touches_purse = (rows["debit_is_purse"] | rows["credit_is_purse"]).tolist()
    dates = statement.days.astype("datetime64[D]").astype(str).tolist()
    for at, line in enumerate(statement.lines):
        writer.writerow(
            (
                exact_text(line.time_ns),
                dates[at],
                Purpose(line.purpose).name,
                line.amount,
                written(line.amount),
                line.balance,
                written(line.balance),
                currency.code,
                ids.format(line.counterparty) if line.counterparty else "",
                rows["programme"][at] if touches_purse[at] else "",
                rows["member"][at] if touches_purse[at] else "",
                ids.format(line.operation),
            )
        )
    writer.writerow(frame(CLOSING, statement.closing))
    return out.getvalue()
