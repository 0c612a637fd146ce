"""Messages that the house forwards to participants, and requests to return booked payments."""

from __future__ import annotations

import sqlalchemy
from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, Text

revision = "0007"
down_revision = "0006"

NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and let messages name their parts of deliveries."""
    op.add_column("clearing_messages", Column("part", Integer, nullable=False, server_default="-1"))
    op.create_table(
        "clearing_inbox",
        Column("source", NUMBER, primary_key=True, autoincrement=False),
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        Column("participant", Integer, nullable=False),
        Column("kind", Text, nullable=False),
        Column("number", NUMBER, nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in ("at_ns", "exported_ns")),
    )
    op.create_index("clearing_inbox_participant", "clearing_inbox", ["participant", "number"])
    op.create_index("clearing_inbox_number", "clearing_inbox", ["number"])
    op.create_index("clearing_inbox_payment", "clearing_inbox", ["payment"])
    where = sqlalchemy.text("exported_ns = 0")
    op.create_index(
        "clearing_inbox_not_exported", "clearing_inbox", ["number"], sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "clearing_inbox_counter",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("last", NUMBER, nullable=False),
    )
    op.create_table(
        "clearing_investigations",
        Column("asked", NUMBER, primary_key=True, autoincrement=False),
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        Column("answered", NUMBER, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('open', 'accepted', 'rejected')"), nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in ("at_ns", "ended_ns")),
    )
    op.create_index("clearing_investigations_payment", "clearing_investigations", ["payment"])
