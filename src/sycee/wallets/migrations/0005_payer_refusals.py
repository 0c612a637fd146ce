"""Refused payments of an operator's own payers."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary

revision = "0005"
down_revision = "0004"

ID = LargeBinary(16)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "wallets_payer_refusals",
        Column("operation", ID, primary_key=True),
        Column("payer", ID, nullable=False),
        Column("operator", Integer, nullable=False),
        Column("code", Integer),
        Column("at_ns", BigInteger, nullable=False),
    )
    op.create_index("wallets_payer_refusals_operator", "wallets_payer_refusals", ["operator", "at_ns"])
