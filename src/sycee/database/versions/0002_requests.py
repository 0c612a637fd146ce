"""Answers to the requests of a server's callers."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, LargeBinary, String, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table and its index by time."""
    op.create_table(
        "database_requests",
        Column("id", LargeBinary(16), primary_key=True),
        Column("who", LargeBinary(16), nullable=False),
        Column("name", Text, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("answer", Text),
        Column("at_ns", BigInteger, nullable=False),
    )
    op.create_index("database_requests_at", "database_requests", ["at_ns"])
