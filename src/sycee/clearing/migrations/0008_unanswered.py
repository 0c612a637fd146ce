"""A mark on messages that wait for their answer, and its index, which a start reads."""

from __future__ import annotations

import sqlalchemy
from alembic import op
from sqlalchemy import Column, Integer

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the mark and its index. Messages of earlier versions have none."""
    op.add_column("clearing_messages", Column("owes_answer", Integer, nullable=False, server_default="0"))
    where = sqlalchemy.text("owes_answer = 1")
    op.create_index(
        "clearing_messages_unanswered", "clearing_messages", ["message"], sqlite_where=where, postgresql_where=where
    )
