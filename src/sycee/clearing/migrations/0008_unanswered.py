"""An index of messages that have no answer, which a start reads."""

from __future__ import annotations

import sqlalchemy
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the index."""
    where = sqlalchemy.text("answer IS NULL")
    op.create_index(
        "clearing_messages_unanswered", "clearing_messages", ["message"], sqlite_where=where, postgresql_where=where
    )
