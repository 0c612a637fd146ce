"""Index of the codes by their end: a server searches often for those that wait."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the index."""
    op.create_index("wallets_challenges_expires", "wallets_challenges", ["expires_ns"])
