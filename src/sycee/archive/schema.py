"""Every column of an archive's files and of the views over them: its name, its type in SQL, what it means.

docs/reference/archive.md says the same; a test compares the two, and both with what DuckDB finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is DuckDB's name of it."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class View:
    """What can be named in a query. Without `sql` it is the files of the table of that name."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    sql: str = ""


_PLACE: Final = (
    Column("frame", "BIGINT", "the frame it happened in"),
    Column("frame_index", "INTEGER", "which operation of the frame, from 0"),
    Column("time", "TIMESTAMPTZ_NS", "the frame's time; `epoch_ns(time)` is the ledger's own number"),
)
_DAY: Final = Column("day", "DATE", "UTC day of the frame; a condition on it skips what is of other days")

# Files by day. They grow, and what stands in them is never changed.
MOVEMENTS: Final = (
    _DAY,
    Column("number", "BIGINT", "of the movement, from 1, without a gap"),
    *_PLACE,
    Column("local_date", "DATE", "the day where the currency is at home"),
    Column("currency", "VARCHAR", "its code; the number of a book that ISO 4217 does not know"),
    Column("purpose", "VARCHAR", "why it was made"),
    Column("amount", "BIGINT", "minor units, positive"),
    Column("debit_account", "UUID", "whose money it was; null where it was a purse's"),
    Column("credit_account", "UUID", "who got it; null where that is a purse"),
    Column("debit_balance", "BIGINT", "of the debit side after it; of a purse what is left and not held"),
    Column("credit_balance", "BIGINT", "of the credit side after it, likewise"),
    Column("programme", "INTEGER", "where one side is a purse: its programme"),
    Column("member", "BIGINT", "and its member, from 0"),
    Column("operation", "UUID", "which operation made it"),
    Column("leg", "INTEGER", "which of that operation's movements, from 0"),
)
OPERATIONS: Final = (
    _DAY,
    Column("operation", "UUID", "its id"),
    *_PLACE,
    Column("kind", "VARCHAR", "what it asked for"),
    Column("result", "VARCHAR", "what it was answered first; `CREATED` is done"),
    Column("amount", "BIGINT", "minor units it asked for; null where that is none, and for HOLD"),
)
FRAMES: Final = (
    _DAY,
    Column("frame", "BIGINT", "its number, from 1, without a gap"),
    Column("time", "TIMESTAMPTZ_NS", "its time"),
    Column("operations", "INTEGER", "how many operations were bound in it"),
    Column("movements", "BIGINT", "how many movements they made"),
)
# Registers: whole files, as found when the last export ended.
ACCOUNTS: Final = (
    Column("account", "UUID", "its id"),
    Column("currency", "VARCHAR", "its currency"),
    Column("kind", "VARCHAR", "what it is for"),
    Column("operator", "BIGINT", "number of its operator, 0 for none"),
    Column("suspense", "UUID", "where money goes that it cannot take"),
    Column("link", "UUID", "the account it is linked to, or null"),
    Column("rule_set", "INTEGER", "number of its rule set, 0 for none"),
    Column("debit_blocked", "BOOLEAN", "whether it may not give"),
    Column("credit_blocked", "BOOLEAN", "whether it may not take"),
    Column("closed", "BOOLEAN", "whether it is closed"),
    Column("held", "BIGINT", "of its balance, kept by holds"),
    Column("coming", "BIGINT", "on its way to it, or held for it"),
)
PURSES: Final = (
    Column("programme", "INTEGER", "its programme"),
    Column("member", "BIGINT", "its member, from 0, in cohort order"),
    Column("member_id", "UUID", "the member's id in the cohort"),
    Column("wallet", "UUID", "the wallet that claimed it, or null"),
    Column("state", "VARCHAR", "where it is in its life"),
    Column("held", "BIGINT", "of what is left, kept by holds"),
)
PROGRAMMES: Final = (
    Column("programme", "INTEGER", "its number"),
    Column("currency", "VARCHAR", "its currency"),
    Column("funder", "UUID", "the account whose money it gives"),
    Column("members", "BIGINT", "how many its cohort has"),
    Column("sealed", "BOOLEAN", "whether the cohort is sealed"),
    Column("rule_set", "INTEGER", "number of the rule set its money lives under"),
    Column("claim_from_ns", "BIGINT", "from when on it can be claimed, nanoseconds since 1970"),
    Column("claim_until_ns", "BIGINT", "and before when"),
    Column("spend_from_ns", "BIGINT", "from when on its money can be spent"),
    Column("spend_until_ns", "BIGINT", "and before when"),
)
CURRENCIES: Final = (
    Column("currency", "VARCHAR", "its code, or the book's number"),
    Column("number", "INTEGER", "its number, in ISO 4217 if it is there"),
    Column("digits", "INTEGER", "how many digits follow the point"),
    Column("zone", "VARCHAR", "the time zone where it is at home"),
)

BY_DAY: Final = {"movements": MOVEMENTS, "operations": OPERATIONS, "frames": FRAMES}
REGISTERS: Final = {"accounts": ACCOUNTS, "purses": PURSES, "programmes": PROGRAMMES, "currencies": CURRENCIES}
TABLES: Final = BY_DAY | REGISTERS


def _side(own: str, other: str, sign: str) -> str:
    return f"""
SELECT day, number, frame, time, local_date, currency, {own}_account AS account,
    purpose, {sign}amount AS amount, {own}_balance AS balance, {other}_account AS counterparty,
    programme, member, operation
FROM movements"""  # noqa: S608 - of the names above alone


VIEWS: Final = {
    view.name: view
    for view in (
        View("movements", "every movement of money, once: one debit, one credit, one amount", MOVEMENTS),
        View(
            "lines",
            "every movement twice, once for each side, as statements show it; all amounts of a currency sum to zero",
            (
                *(column for column in MOVEMENTS if column.name in ("day", "number", "frame", "time", "local_date")),
                Column("currency", "VARCHAR", "its code, or the book's number"),
                Column("account", "UUID", "whose line it is; null where it is a purse's"),
                Column("purpose", "VARCHAR", "why it was made"),
                Column("amount", "BIGINT", "minor units: positive came in, negative went out"),
                Column("balance", "BIGINT", "after it; of a purse what is left and not held"),
                Column("counterparty", "UUID", "the account on the other side; null where that is a purse"),
                Column("programme", "INTEGER", "where one side is a purse, this or the other: its programme"),
                Column("member", "BIGINT", "and its member, from 0"),
                Column("operation", "UUID", "which operation made it"),
            ),
            f"{_side('debit', 'credit', '-')}\nUNION ALL{_side('credit', 'debit', '')}",
        ),
        View("operations", "every operation that was judged, under the id it is bound to for ever", OPERATIONS),
        View("frames", "every frame: what was done at one time, in one order", FRAMES),
        View("accounts", "every account, as found when the export ended", ACCOUNTS),
        View(
            "balances",
            "every account's balance after the last exported frame, added up from the movements",
            (
                Column("account", "UUID", "its id"),
                Column("currency", "VARCHAR", "its currency"),
                Column("kind", "VARCHAR", "what it is for; null where it was opened after the registers were written"),
                Column("balance", "BIGINT", "minor units: what came in less what went out"),
                Column("lines", "BIGINT", "how many lines its statement has"),
                Column("last_time", "TIMESTAMPTZ_NS", "of the newest of them, or null"),
            ),
            """
SELECT account, coalesce(accounts.currency, added.currency) AS currency, kind,
    coalesce(balance, 0)::BIGINT AS balance, coalesce(lines, 0) AS lines, last_time
FROM accounts FULL JOIN (
    SELECT account, any_value(currency) AS currency, sum(amount) AS balance, count(*) AS lines, max(time) AS last_time
    FROM lines WHERE account IS NOT NULL GROUP BY account
) AS added USING (account)""",
        ),
        View(
            "purses",
            "every purse, with what its movements come to after the last exported frame",
            (
                *PURSES,
                Column("dropped", "BIGINT", "minor units that the programme gave"),
                Column("spent", "BIGINT", "that were paid from it"),
                Column("refunded", "BIGINT", "that came back to it"),
                Column("returned", "BIGINT", "that went back to the programme's return account"),
                Column("balance", "BIGINT", "dropped less spent, with refunded, less returned"),
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
        View("programmes", "every programme, as found when the export ended", PROGRAMMES),
        View("currencies", "every currency that the ledger keeps", CURRENCIES),
    )
}
