"""Messages that the house passes on to participants, and requests to return booked payments."""

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
        *(Column(name, BigInteger, nullable=False) for name in ("at_ns", "read_ns")),
    )
    op.create_index("clearing_inbox_participant", "clearing_inbox", ["participant", "number"])
    op.create_index("clearing_inbox_number", "clearing_inbox", ["number"])
    for name, column, condition in (
        ("clearing_inbox_unread", "number", "read_ns = 0"),
        ("clearing_inbox_waiting", "payment", "number = 0"),
    ):
        where = sqlalchemy.text(condition)
        op.create_index(name, "clearing_inbox", [column], sqlite_where=where, postgresql_where=where)
    op.create_table(
        "clearing_investigations",
        Column("asked", NUMBER, primary_key=True, autoincrement=False),
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        Column("answered", NUMBER, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('open', 'accepted', 'rejected')"), nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in ("at_ns", "ended_ns")),
    )
    op.create_index("clearing_investigations_payment", "clearing_investigations", ["payment"])
