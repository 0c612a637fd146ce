"""Webhooks and their dead letters."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "server_webhooks",
        Column("id", LargeBinary(16), primary_key=True),
        Column("client", LargeBinary(16), nullable=False, index=True),
        Column("person", LargeBinary(16), nullable=False, index=True),
        Column("operator", Integer),
        Column("url", Text, nullable=False),
        Column("types", Text, nullable=False),
        Column("cursor", Text, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('active', 'disabled')"), nullable=False),
        Column("failures", Integer, nullable=False),
        Column("buried", Integer, nullable=False),
        Column("retry_ns", BigInteger, nullable=False),
        Column("made_ns", BigInteger, nullable=False),
        Column("reason", Text, nullable=False),
    )
    op.create_table(
        "server_dead_letters",
        Column("webhook", LargeBinary(16), primary_key=True),
        Column("event", Text, primary_key=True),
        Column("type", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('dead', 'waiting')"), nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
