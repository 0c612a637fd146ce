"""Records and envelopes of intents in a table of their own."""

from __future__ import annotations

import sqlalchemy
from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0004"
down_revision = "0003"

_MOVED = """
    INSERT INTO database_intent_records (id, records, envelopes)
    SELECT id, records, envelopes FROM database_intents WHERE records IS NOT NULL AND envelopes IS NOT NULL
"""


def upgrade() -> None:
    """Create the table, move the bytes of stored intents into it, and drop their columns."""
    op.create_table(
        "database_intent_records",
        Column("id", LargeBinary(16), primary_key=True),
        Column("records", LargeBinary, nullable=False),
        Column("envelopes", LargeBinary, nullable=False),
    )
    op.execute(sqlalchemy.text(_MOVED))
    op.drop_column("database_intents", "records")
    op.drop_column("database_intents", "envelopes")
