"""Entries that left a list by hand: who requested it, and who decided it."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, Text

revision = "0003"
down_revision = "0002"

NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "programmes_removals",
        Column("removal", NUMBER, primary_key=True),
        Column("list", NUMBER, nullable=False, index=True),
        Column("entry", Integer, nullable=False),
        Column("kind", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('waiting', 'left', 'refused')"), nullable=False),
        Column("who", LargeBinary(16), nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("decided_by", LargeBinary(16)),
        Column("decided_ns", BigInteger),
    )
