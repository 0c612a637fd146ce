"""Table of holds."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0002"
down_revision = "0001"

ID = LargeBinary(16)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "wallets_holds",
        Column("id", ID, primary_key=True),
        Column("reference", ID, nullable=False, unique=True),
        Column("payer", ID, nullable=False, index=True),
        Column("payee", ID, nullable=False, index=True),
    )
