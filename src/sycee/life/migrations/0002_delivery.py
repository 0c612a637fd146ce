"""State, attempts, secret and end of each message of the outbox."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns, and set the state of the messages that were sent."""
    op.add_column("life_outbox", Column("secret_sealed", LargeBinary))
    op.add_column("life_outbox", Column("until_ns", BigInteger, nullable=False, server_default="0"))
    op.add_column("life_outbox", Column("state", Text, nullable=False, server_default="waiting"))
    op.add_column("life_outbox", Column("attempts", Integer, nullable=False, server_default="0"))
    op.add_column("life_outbox", Column("retry_ns", BigInteger, nullable=False, server_default="0"))
    op.add_column("life_outbox", Column("reason", Text, nullable=False, server_default=""))
    op.execute("UPDATE life_outbox SET state = 'sent' WHERE sent_ns IS NOT NULL")
    op.create_index("life_outbox_state", "life_outbox", ["state", "id"])
