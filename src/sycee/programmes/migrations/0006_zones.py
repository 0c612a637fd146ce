"""Zones of occurrences that were dropped."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "programmes_zones",
        Column("programme", Text, primary_key=True),
        Column("occurrence", Integer, primary_key=True, autoincrement=False),
        Column("zone", Text, primary_key=True),
        Column("frame", BigInteger, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
