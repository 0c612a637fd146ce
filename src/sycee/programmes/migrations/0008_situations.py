"""Situations of occurrences, stored each hour."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "programmes_situations",
        Column("programme", Text, primary_key=True),
        Column("occurrence", Integer, primary_key=True, autoincrement=False),
        Column("hour", Text, primary_key=True),
        Column("at_ns", BigInteger, nullable=False),
        Column("document", LargeBinary, nullable=False),
        Column("page", LargeBinary, nullable=False),
    )
