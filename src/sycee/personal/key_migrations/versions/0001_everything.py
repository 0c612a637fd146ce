"""Tables of the first release.

They are defined here and not imported from `key_tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary

revision = "0001"
down_revision = None

ID = LargeBinary(16)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "personal_keys_secrets",
        Column("person", ID, primary_key=True),
        Column("secret", LargeBinary(32), nullable=False),
        Column("master", Integer, nullable=False),
        Column("made_ns", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "personal_keys_shredded",
        Column("person", ID, primary_key=True),
        Column("at_ns", BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "personal_keys_masters",
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("check", LargeBinary(32), nullable=False),
    )
