"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

ID = LargeBinary(16)
DAY = String(10)
DIGEST = String(64)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and triggers against changes of packs and statements."""
    op.create_table(
        "day_days",
        Column("day", DAY, primary_key=True),
        Column("cutoff_ns", BigInteger, nullable=False),
        Column("cutoff_frame", BigInteger, nullable=False),
        Column("checkpoint_frame", BigInteger, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('closed', 'signed')"), nullable=False),
        Column("pack", DIGEST, nullable=False),
        Column("closed_by", ID, nullable=False),
        Column("countersigned_by", ID),
    )
    op.create_table(
        "day_packs",
        Column("digest", DIGEST, primary_key=True),
        Column("signatures", Integer, primary_key=True, autoincrement=False),
        Column("day", DAY, nullable=False),
        Column("text", Text, nullable=False),
    )
    op.create_table(
        "day_statements",
        Column("digest", DIGEST, primary_key=True),
        Column("day", DAY, primary_key=True),
        Column("accounts", Integer, nullable=False),
        Column("lines", Integer, nullable=False),
        Column("credits_minor", BigInteger, nullable=False),
        Column("debits_minor", BigInteger, nullable=False),
    )
    op.create_table(
        "day_breaks",
        Column("number", NUMBER, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("party", Text, nullable=False),
        Column("account", ID, nullable=False),
        Column("operation", ID, nullable=False),
        Column("minor", BigInteger, nullable=False),
        Column("cause", Text, nullable=False),
        Column("owner", ID),
        Column("opened_day", DAY, nullable=False),
        Column("closed_day", DAY),
        Column("closed_as", Text, nullable=False),
        Column("case_number", NUMBER, nullable=False),
    )
    op.create_index("day_breaks_open", "day_breaks", ["closed_day", "number"])
    make_append_only(op.get_bind(), "day_packs")
    make_append_only(op.get_bind(), "day_statements")
