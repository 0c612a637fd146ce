"""Who invited the login under which personal data was read."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, LargeBinary

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    for name in ("invitation", "inviter"):
        op.add_column("personal_accesses", Column(name, LargeBinary(16)))
