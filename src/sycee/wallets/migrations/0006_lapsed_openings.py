"""Index of the openings whose signatures expired."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0006"
down_revision = "0005"

LAPSED = text("state = 'lapsed'")


def upgrade() -> None:
    """Create the index."""
    op.create_index(
        "wallets_wallets_lapsed", "wallets_wallets", ["operator", "batch"], sqlite_where=LAPSED, postgresql_where=LAPSED
    )
