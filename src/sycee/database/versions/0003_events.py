"""Events of registers."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, Text

from sycee.database.append_only import make_append_only

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the append-only table of events."""
    op.create_table(
        "database_events",
        Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
        Column("kind", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("operator", Integer),
        Column("at_ns", BigInteger, nullable=False),
        Column("data", Text, nullable=False),
    )
    make_append_only(op.get_bind(), "database_events")
