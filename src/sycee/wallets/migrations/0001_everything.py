"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
)

revision = "0001"
down_revision = None

ID = LargeBinary(16)
HASH = LargeBinary(16)
ORDER = String(35)


def upgrade() -> None:
    """Create the tables."""
    _wallets()
    _payments()
    _merchants()


def _wallets() -> None:
    op.create_table(
        "wallets_wallets",
        Column("account", ID, primary_key=True),
        Column("holder", ID, nullable=False, index=True),
        Column("operator", Integer, nullable=False),
        Column("class", Text, nullable=False),
        Column("rule_set", Integer, nullable=False),
        Column("is_custodial", Boolean, nullable=False),
        _state("opening", "open", "refused", "lapsed", "closed"),
        Column("batch", ID, nullable=False, index=True),
        Column("opened_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "wallets_aliases",
        Column("kind", SmallInteger, primary_key=True, autoincrement=False),
        Column("hash", HASH, primary_key=True),
        Column("account", ID, nullable=False, index=True),
        Column("masked", Text, nullable=False),
        _state("active", "cooling", "ended"),
        Column("since_ns", BigInteger, nullable=False),
        Column("until_ns", BigInteger),
        Column("to_account", ID),
    )
    op.create_table(
        "wallets_challenges",
        Column("id", ID, primary_key=True),
        Column("kind", SmallInteger, nullable=False),
        Column("hash", HASH, nullable=False, index=True),
        Column("account", ID, nullable=False),
        Column("code_hash", HASH, nullable=False),
        Column("sealed", LargeBinary),
        Column("attempts", Integer, nullable=False),
        Column("expires_ns", BigInteger, nullable=False),
        _state("waiting", "used", "failed"),
    )
    op.create_table(
        "wallets_lookups",
        Column("who", ID, primary_key=True),
        Column("day", String(10), primary_key=True),
        Column("count", Integer, nullable=False),
    )


def _payments() -> None:
    op.create_table(
        "wallets_references",
        Column("id", ID, primary_key=True),
        Column("operation", ID, nullable=False, index=True),
        Column("original", ID, index=True),
        Column("payer", ID, nullable=False),
        Column("payee", ID, nullable=False),
        Column("minor", BigInteger, nullable=False),
        Column("payer_sealed", LargeBinary),
        Column("payee_sealed", LargeBinary),
        Column("till", ID),
        Column("order_number", ORDER),
        Column("at_ns", BigInteger, nullable=False),
        _state("sent", "done", "refused", "lapsed"),
    )
    op.create_index("wallets_references_till", "wallets_references", ["till", "at_ns"])
    op.create_table(
        "wallets_orders",
        Column("merchant", ID, primary_key=True),
        Column("order_number", ORDER, primary_key=True),
        Column("reference", ID, nullable=False),
        Column("operation", ID, nullable=False),
        Column("minor", BigInteger, nullable=False),
        _state("asked", "paid", "refused", "lapsed"),
    )
    op.create_table(
        "wallets_requests",
        Column("id", ID, primary_key=True),
        Column("payee", ID, nullable=False, index=True),
        Column("payer", ID, index=True),
        Column("minor", BigInteger, nullable=False),
        Column("currency", Integer, nullable=False),
        Column("till", ID),
        Column("order_number", ORDER),
        Column("payee_sealed", LargeBinary),
        Column("signer_key", Text, nullable=False),
        Column("signature", LargeBinary(64), nullable=False),
        Column("expires_ns", BigInteger, nullable=False),
        _state("open", "paying", "paid", "declined", "expired", "withdrawn"),
        Column("operation", ID),
    )


def _merchants() -> None:
    op.create_table(
        "wallets_sweeps",
        Column("id", ID, primary_key=True),
        Column("merchant", ID, nullable=False, index=True),
        Column("account", ID, nullable=False),
        Column("operator", Integer, nullable=False),
        Column("bank_reference", ORDER, nullable=False, unique=True),
        Column("minor", BigInteger, nullable=False),
        Column("first_frame", BigInteger, nullable=False),
        Column("last_frame", BigInteger, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        _state("sending", "sent", "confirmed", "rejected", "refused", "lapsed"),
    )
    op.create_table(
        "wallets_refusals",
        Column("operation", ID, primary_key=True),
        Column("payee", ID, nullable=False),
        Column("operator", Integer, nullable=False),
        Column("code", Integer, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
    op.create_index("wallets_refusals_operator", "wallets_refusals", ["operator", "at_ns"])
    op.create_table(
        "wallets_links",
        Column("account", ID, primary_key=True),
        Column("transit", ID, nullable=False),
        Column("bank_sealed", LargeBinary, nullable=False),
        _state("sending", "active", "refused", "ended"),
    )


def _state(*states: str) -> Column[str]:
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)
