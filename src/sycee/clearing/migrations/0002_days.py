"""Days of the house: rounds, calls for money, and participants that failed a call."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text

revision = "0002"
down_revision = "0001"

DAY = String(10)
STATES = "'open', 'called', 'funded', 'settled', 'ended'"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "clearing_days",
        Column("day", DAY, primary_key=True),
        Column("close_ns", BigInteger, nullable=False),
        Column("funding_ns", BigInteger, nullable=False),
        Column("last", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
        Column("cancelled", BigInteger, nullable=False),
        Column("opened_ns", BigInteger, nullable=False),
        Column("ended_ns", BigInteger, nullable=False),
        Column("state", Text, CheckConstraint(f"state IN ({STATES})"), nullable=False),
        Column("who", LargeBinary(16), nullable=False),
    )
    op.create_table(
        "clearing_rounds",
        Column("day", DAY, primary_key=True),
        Column("due_ns", BigInteger, primary_key=True),
        Column("done_ns", BigInteger, nullable=False),
    )
    op.create_table(
        "clearing_calls",
        Column("day", DAY, primary_key=True),
        Column("participant", Integer, primary_key=True),
        Column("currency", Integer, primary_key=True),
        Column("minor", BigInteger, nullable=False),
        Column("left_minor", BigInteger, nullable=False),
    )
    op.create_table(
        "clearing_defaults",
        Column("day", DAY, primary_key=True),
        Column("participant", Integer, primary_key=True),
        Column("block", LargeBinary(16), nullable=False),
    )
