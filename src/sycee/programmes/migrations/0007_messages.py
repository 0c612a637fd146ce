"""Texts of publishers for the registrants of a programme."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, Text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "programmes_messages",
        Column("programme", Text, primary_key=True),
        Column("text", Text, nullable=False),
        Column("by", LargeBinary(16), nullable=False),
        Column("at_ns", BigInteger, nullable=False),
    )
