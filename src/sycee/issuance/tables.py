"""SQL tables of a live bank's operators, the movements of money to and from wallets, and reserve rules."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text

from sycee.database.columns import DAY, MINOR, NS, Id128, required, state_column
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("issuance", METADATA, Path(__file__).parent / "migrations")

JOINING: Final = "joining"
ACTIVE: Final = "active"
LEAVING: Final = "leaving"
LEFT: Final = "left"
REFUSED: Final = "refused"
OPERATOR_STATES: Final = (JOINING, ACTIVE, LEAVING, LEFT, REFUSED)

TO_WALLET: Final = "in"
TO_BANK: Final = "out"
SENDING: Final = "sending"
SENT: Final = "sent"
CONFIRMED: Final = "confirmed"
REJECTED: Final = "rejected"
LAPSED: Final = "lapsed"
FUNDING_STATES: Final = (SENDING, SENT, CONFIRMED, REJECTED, REFUSED, LAPSED)


OPERATORS: Final = Table(
    "issuance_operators",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    *required(Id128, "institution", "suspense", "reserve_suspense", "transit_suspense", "vault", "reserve", "transit"),
    *required(Integer, "quota_rule_set"),
    state_column(*OPERATOR_STATES),
    *required(Id128, "proposal"),
    Column("joined_ns", NS),
    Column("left_ns", NS),
)
# `id`: of the SEND. `bank_reference`: the bank's own text for its leg of the payment; it names no person.
FUNDINGS: Final = Table(
    "issuance_fundings",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("direction", String(3), CheckConstraint(f"direction IN ('{TO_WALLET}', '{TO_BANK}')"), nullable=False),
    *required(Integer, "operator"),
    *required(Id128, "wallet"),
    *required(MINOR, "minor"),
    *required(String(35), "bank_reference"),
    state_column(*FUNDING_STATES),
    *required(Text, "reason"),
    *required(NS, "at_ns"),
    Column("decided_ns", NS),
)
# Not unique: a payment that was refused may be made again under the same reference.
Index("issuance_fundings_reference", FUNDINGS.c.operator, FUNDINGS.c.direction, FUNDINGS.c.bank_reference)
Index("issuance_fundings_wallet", FUNDINGS.c.wallet, FUNDINGS.c.id)
# `share_ppm`: reserves per million of money in the wallets of the class.
RESERVE_RULES: Final = Table(
    "issuance_reserve_rules",
    METADATA,
    Column("wallet_class", Text, primary_key=True),
    Column("from_day", DAY, primary_key=True),
    Column("proposal", Id128, primary_key=True),
    *required(Text, "holder"),
    *required(Integer, "share_ppm"),
    *required(Text, "source"),
)
