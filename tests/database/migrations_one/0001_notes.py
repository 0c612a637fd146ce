"""Notes."""

from __future__ import annotations

import sqlalchemy
from alembic import op

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "notes",
        sqlalchemy.Column("number", sqlalchemy.BigInteger, primary_key=True, autoincrement=False),
        sqlalchemy.Column("text", sqlalchemy.Text, nullable=False),
    )
    make_append_only(op.get_bind(), "notes")
