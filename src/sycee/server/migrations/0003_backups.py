"""Backups that the server wrote."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, LargeBinary, String, Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "server_backups",
        Column("id", LargeBinary(16), primary_key=True),
        Column("who", LargeBinary(16), nullable=False),
        Column("state", Text, CheckConstraint("state IN ('running', 'done', 'failed')"), nullable=False),
        Column("reason", Text, nullable=False),
        Column("frame", BigInteger),
        Column("state_digest", String(64)),
        Column("supply", BigInteger),
        Column("file_bytes", BigInteger),
        Column("at_ns", BigInteger, nullable=False, index=True),
        Column("finished_ns", BigInteger),
    )
