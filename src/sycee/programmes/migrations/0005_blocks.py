"""The block of a programme's funder that the programme has."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0005"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("programmes_programmes", Column("block", LargeBinary(16)))
