"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, Text

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

ID = LargeBinary(16)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and triggers against changes of events."""
    op.create_table(
        "cases_cases",
        Column("number", NUMBER, primary_key=True),
        Column("id", ID, nullable=False),
        Column("kind", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("open", Integer, nullable=False),
        *(Column(name, ID, nullable=False) for name in ("person", "account", "operation", "owner", "hold")),
        Column("opened_ns", BigInteger, nullable=False),
        Column("deadline_ns", BigInteger, nullable=False),
        Column("rules", Text, nullable=False),
    )
    op.create_table(
        "cases_events",
        Column("case_number", NUMBER, primary_key=True, autoincrement=False),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("id", ID, nullable=False),
        Column("what", Text, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        Column("who", ID, nullable=False),
        Column("detail", Text, nullable=False),
        Column("sealed", LargeBinary),
    )
    op.create_table(
        "cases_claims",
        Column("reverse", ID, primary_key=True),
        Column("case_number", NUMBER, nullable=False),
        Column("original", ID, nullable=False),
        Column("payee", ID, nullable=False),
        Column("minor", BigInteger, nullable=False),
        Column("recovered", BigInteger, nullable=False),
        Column(
            "state",
            Text,
            CheckConstraint("state IN ('prepared', 'open', 'collected', 'written_off')"),
            nullable=False,
        ),
        Column("proposal", ID),
    )
    make_append_only(op.get_bind(), "cases_events")
