"""Messages that name each other, chains of both sides, and pay-outs that messages ask for."""

from __future__ import annotations

import sqlalchemy
from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

revision = "0004"
down_revision = "0003"

ID = LargeBinary(16)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.add_column("clearing_permits", Column("back_chain", NUMBER, nullable=False, server_default="0"))
    op.create_table(
        "clearing_pairs",
        Column("payment", NUMBER, primary_key=True, autoincrement=False),
        Column("uetr", ID, nullable=False),
    )
    op.create_index("ix_clearing_pairs_uetr", "clearing_pairs", ["uetr"])
    op.create_table(
        "clearing_pay_outs",
        Column("message", NUMBER, primary_key=True, autoincrement=False),
        *(Column(name, Integer, nullable=False) for name in ("participant", "currency")),
        Column("minor", BigInteger, nullable=False),
        Column("intent", ID, nullable=False),
        *(Column(name, BigInteger, nullable=False) for name in ("ended_ns", "answered_ns")),
        *(Column(name, Text, nullable=False) for name in ("reason", "words")),
    )
    op.create_index("clearing_payments_message", "clearing_payments", ["message"])
    where = sqlalchemy.text("back_message > 0")
    op.create_index(
        "clearing_payments_back", "clearing_payments", ["back_message"], sqlite_where=where, postgresql_where=where
    )
    where = sqlalchemy.text("answered_ns = 0")
    op.create_index(
        "clearing_pay_outs_open", "clearing_pay_outs", ["message"], sqlite_where=where, postgresql_where=where
    )
