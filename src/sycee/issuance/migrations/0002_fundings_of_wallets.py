"""Index of the fundings by wallet: a holder lists them without a scan of all."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the index."""
    op.create_index("issuance_fundings_wallet", "issuance_fundings", ["wallet", "id"])
