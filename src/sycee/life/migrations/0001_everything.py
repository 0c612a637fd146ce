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
NS = BigInteger()
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and the triggers against changes of events."""
    op.create_table(
        "life_events",
        Column("id", ID, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("person", ID, nullable=False, index=True),
        Column("account", ID),
        Column("case", NUMBER),
        Column("at_ns", NS, nullable=False),
        Column("who", ID, nullable=False),
        Column("until_ns", NS),
        Column("proposal", ID),
    )
    op.create_table(
        "life_restrictions",
        Column("account", ID, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("event", ID, nullable=False),
        Column("from_ns", NS, nullable=False),
        Column("until_ns", NS),
        Column("earlier_rule_set", Integer, nullable=False),
        Column("job", NUMBER, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('starting', 'active', 'ended', 'refused')"), nullable=False),
    )
    op.create_table(
        "life_guardians",
        Column("ward", ID, primary_key=True),
        Column("guardian", ID, primary_key=True),
        Column("from_ns", NS, nullable=False),
        Column("until_ns", NS),
        Column("proposal", ID, nullable=False),
    )
    op.create_table(
        "life_outbox",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False),
        Column("channel_sealed", LargeBinary, nullable=False),
        Column("text", Text, nullable=False),
        Column("at_ns", NS, nullable=False),
        Column("sent_ns", NS),
    )
    op.create_index("life_outbox_person", "life_outbox", ["person", "id"])
    make_append_only(op.get_bind(), "life_events")
