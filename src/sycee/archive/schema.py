"""Columns of an archive's files and of the views over them: name, SQL type, meaning.

docs/reference/archive.md repeats them; a test compares both with the columns that DuckDB finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is DuckDB's name of the type."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    """One view that queries can name. Without `sql` it is the files of the table with that name."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    sql: str = ""


_PLACE: Final = (
    Column("frame", "BIGINT", "number of the frame"),
    Column("frame_index", "INTEGER", "index of the operation in its frame, from 0"),
    Column("time", "TIMESTAMPTZ_NS", "time of the frame; `epoch_ns(time)` is the ledger's integer"),
)
_DAY: Final = Column("day", "DATE", "UTC day of the frame; a condition on it skips the files of other days")

# Files by day: rows are added and never changed.
MOVEMENTS: Final = (
    _DAY,
    Column("number", "BIGINT", "number of the movement, from 1, without gaps"),
    *_PLACE,
    Column("local_date", "DATE", "day in the currency's time zone"),
    Column("currency", "VARCHAR", "ISO 4217 code, or the number of a book outside ISO 4217"),
    Column("purpose", "VARCHAR", "reason of the movement"),
    Column("amount", "BIGINT", "minor units, positive"),
    Column("debit_account", "UUID", "account that paid; null for a purse"),
    Column("credit_account", "UUID", "account that received; null for a purse"),
    Column(
        "debit_balance",
        "BIGINT",
        "balance of the debit side after the movement; for a purse, without the money that holds reserve",
    ),
    Column(
        "credit_balance",
        "BIGINT",
        "balance of the credit side after the movement; for a purse, without the money that holds reserve",
    ),
    Column("programme", "INTEGER", "programme of the purse, if one side is a purse"),
    Column("member", "BIGINT", "member of the purse, from 0, if one side is a purse"),
    Column("operation", "UUID", "id of the operation that made the movement"),
    Column("leg", "INTEGER", "index of the movement in its operation, from 0"),
)
OPERATIONS: Final = (
    _DAY,
    Column("operation", "UUID", "id of the operation"),
    *_PLACE,
    Column("kind", "VARCHAR", "kind of the operation"),
    Column("result", "VARCHAR", "first result; `CREATED` is success"),
    Column("amount", "BIGINT", "requested amount in minor units; null for kinds without one, and for HOLD"),
)
FRAMES: Final = (
    _DAY,
    Column("frame", "BIGINT", "number of the frame, from 1, without gaps"),
    Column("time", "TIMESTAMPTZ_NS", "time of the frame"),
    Column("operations", "INTEGER", "number of operations bound in the frame"),
    Column("movements", "BIGINT", "number of their movements"),
)
# Registers: complete files, as of the end of the last export.
ACCOUNTS: Final = (
    Column("account", "UUID", "id of the account"),
    Column("currency", "VARCHAR", "currency of the account"),
    Column("kind", "VARCHAR", "kind of the account"),
    Column("operator", "BIGINT", "number of its operator, 0 for none"),
    Column("suspense", "UUID", "account that receives money for this one after it is closed or blocked"),
    Column("link", "UUID", "linked account, or null"),
    Column("rule_set", "INTEGER", "number of its rule set, 0 for none"),
    Column("debit_blocked", "BOOLEAN", "true if it may not pay"),
    Column("credit_blocked", "BOOLEAN", "true if it may not receive"),
    Column("closed", "BOOLEAN", "true if it is closed"),
    Column("held", "BIGINT", "part of its balance that holds reserve, in minor units"),
    Column("incoming", "BIGINT", "money in transit to it or held for it, in minor units"),
)
PURSES: Final = (
    Column("programme", "INTEGER", "number of the programme"),
    Column("member", "BIGINT", "member, from 0, in cohort order"),
    Column("member_id", "UUID", "id of the member in the cohort"),
    Column("wallet", "UUID", "wallet that claimed the purse, or null"),
    Column("state", "VARCHAR", "state of the purse"),
    Column("held", "BIGINT", "part of its balance that holds reserve, in minor units"),
)
PROGRAMMES: Final = (
    Column("programme", "INTEGER", "number of the programme"),
    Column("currency", "VARCHAR", "currency of the programme"),
    Column("funder", "UUID", "account that pays for the programme"),
    Column("members", "BIGINT", "number of members in the cohort"),
    Column("sealed", "BOOLEAN", "true if the cohort is sealed"),
    Column("rule_set", "INTEGER", "number of the rule set for its money"),
    Column("claim_from_ns", "BIGINT", "first nanosecond for claims, since 1970"),
    Column("claim_until_ns", "BIGINT", "first nanosecond after the claims"),
    Column("spend_from_ns", "BIGINT", "first nanosecond for spending"),
    Column("spend_until_ns", "BIGINT", "first nanosecond after the spending"),
)
CURRENCIES: Final = (
    Column("currency", "VARCHAR", "ISO 4217 code, or the number of the book"),
    Column("number", "INTEGER", "number of the currency, from ISO 4217 if listed there"),
    Column("digits", "INTEGER", "digits after the decimal point"),
    Column("zone", "VARCHAR", "time zone of the currency's days"),
)

_OF_MOVEMENTS: Final = {column.name: column for column in MOVEMENTS}
BY_DAY: Final = {"movements": MOVEMENTS, "operations": OPERATIONS, "frames": FRAMES}
REGISTERS: Final = {"accounts": ACCOUNTS, "purses": PURSES, "programmes": PROGRAMMES, "currencies": CURRENCIES}
TABLES: Final = BY_DAY | REGISTERS


def _side(own: str, other: str, sign: str) -> str:
    return f"""
SELECT day, number, frame, time, local_date, currency, {own}_account AS account,
    purpose, {sign}amount AS amount, {own}_balance AS balance, {other}_account AS counterparty,
    programme, member, operation
FROM movements"""  # noqa: S608 - built from constants


VIEWS: Final = {
    view.name: view
    for view in (
        View("movements", "every movement of money, once: one debit, one credit, one amount", MOVEMENTS),
        View(
            "lines",
            "every movement twice, once for each side, as in statements; the amounts of a currency sum to zero",
            (
                *(_OF_MOVEMENTS[name] for name in ("day", "number", "frame", "time", "local_date", "currency")),
                Column("account", "UUID", "account of the line; null for a purse"),
                _OF_MOVEMENTS["purpose"],
                Column("amount", "BIGINT", "minor units: positive was received, negative was paid"),
                Column(
                    "balance", "BIGINT", "balance after the line; for a purse, without the money that holds reserve"
                ),
                Column("counterparty", "UUID", "account on the other side; null for a purse"),
                *(_OF_MOVEMENTS[name] for name in ("programme", "member", "operation")),
            ),
            f"{_side('debit', 'credit', '-')}\nUNION ALL{_side('credit', 'debit', '')}",
        ),
        View("operations", "every operation with a bound id, whether it succeeded or was refused", OPERATIONS),
        View("frames", "every frame, with its time and its numbers of operations and movements", FRAMES),
        View("accounts", "every account, as of the end of the export", ACCOUNTS),
        View(
            "balances",
            "balance of every account after the last exported frame, summed from the movements",
            (
                Column("account", "UUID", "id of the account"),
                Column("currency", "VARCHAR", "currency of the account"),
                Column(
                    "kind", "VARCHAR", "kind of the account; null if it was opened after the registers were written"
                ),
                Column("balance", "BIGINT", "minor units: received less paid"),
                Column("lines", "BIGINT", "number of lines in its statement"),
                Column("last_time", "TIMESTAMPTZ_NS", "time of the newest line, or null"),
            ),
            """
SELECT account, coalesce(accounts.currency, added.currency) AS currency, kind,
    coalesce(balance, 0)::BIGINT AS balance, coalesce(lines, 0) AS lines, last_time
FROM accounts FULL JOIN (
    SELECT account, any_value(currency) AS currency, sum(amount) AS balance, count(*) AS lines, max(time) AS last_time
    FROM lines WHERE account IS NOT NULL GROUP BY account
) AS added USING (account)""",
        ),
        # The table of this name is read as purse_register (`_FILE_VIEWS` of query.py), since the view has its name.
        View(
            "purses",
            "every purse, with sums of its movements up to the last exported frame",
            (
                *PURSES,
                Column("dropped", "BIGINT", "minor units given by the programme"),
                Column("spent", "BIGINT", "minor units paid from it"),
                Column("refunded", "BIGINT", "minor units refunded to it"),
                Column("returned", "BIGINT", "minor units returned to the programme's return account"),
                Column("balance", "BIGINT", "dropped - spent + refunded - returned"),
            ),
            """
SELECT programme, member, member_id, wallet, state, held, coalesce(dropped, 0)::BIGINT AS dropped,
    coalesce(spent, 0)::BIGINT AS spent, coalesce(refunded, 0)::BIGINT AS refunded,
    coalesce(returned, 0)::BIGINT AS returned, coalesce(balance, 0)::BIGINT AS balance
FROM purse_register FULL JOIN (
    SELECT programme, member, sum(amount) AS balance, sum(amount) FILTER (purpose = 'DROP') AS dropped,
        -sum(amount) FILTER (purpose = 'PAY_PURSE') AS spent,
        sum(amount) FILTER (purpose IN ('REFUND_PURSE', 'REVERSAL_PURSE')) AS refunded,
        -sum(amount) FILTER (purpose IN ('RETURN', 'RETURN_SUSPENSE')) AS returned
    FROM lines WHERE account IS NULL GROUP BY programme, member
) USING (programme, member)""",
        ),
        View("programmes", "every programme, as of the end of the export", PROGRAMMES),
        View("currencies", "every currency of the ledger", CURRENCIES),
    )
}
