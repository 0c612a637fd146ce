"""Indexes of payments by sender and by receiver: reports and lists of one participant."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the indexes."""
    for name in ("sender", "receiver"):
        op.create_index(f"clearing_payments_{name}", "clearing_payments", [name, "number"])
