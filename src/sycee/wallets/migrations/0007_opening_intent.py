"""Name of the column that holds the intent which opened a wallet's account."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Rename the column and its index."""
    op.drop_index("ix_wallets_wallets_batch", "wallets_wallets")
    op.alter_column("wallets_wallets", "batch", new_column_name="intent")
    op.create_index("ix_wallets_wallets_intent", "wallets_wallets", ["intent"])
