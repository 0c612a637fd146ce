"""Tables of the first release with bulk payments.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text

revision = "0001"
down_revision = None

ID = LargeBinary(16)
NS = BigInteger()
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables."""
    states = "'waiting', 'open', 'settling', 'settled', 'discarded'"
    op.create_table(
        "bulk_files",
        Column("id", ID, primary_key=True),
        Column("payer", ID, nullable=False),
        Column("operator", Integer, nullable=False),
        Column("mode", Text, CheckConstraint("mode IN ('each', 'all')"), nullable=False),
        Column("rows", BigInteger, nullable=False),
        Column("sum_minor", BigInteger, nullable=False),
        Column("batches", LargeBinary, nullable=False),
        Column("digest", String(64), nullable=False),
        Column("settlement", NUMBER, nullable=False),
        Column("proposal", ID),
        Column("state", Text, CheckConstraint(f"state IN ({states})"), nullable=False),
        Column("who", ID, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("ended_ns", NS),
    )
    op.create_index("bulk_files_payer", "bulk_files", ["payer", "id"])
    op.create_index("bulk_files_settlement", "bulk_files", ["settlement"])
    op.create_table(
        "bulk_bad_rows",
        Column("file", ID, primary_key=True),
        Column("row", NUMBER, primary_key=True),
        Column("code", Integer, nullable=False),
    )
