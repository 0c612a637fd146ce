"""The key of search hashes, wrapped under a master key that replaced another."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; a first master key derives the key of search hashes and has none."""
    op.add_column("personal_keys_masters", Column("hash_key", LargeBinary(32)))
