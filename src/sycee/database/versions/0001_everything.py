"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

ID = LargeBinary(16)
DIGEST = String(64)
NUMBER = BigInteger().with_variant(Integer, "sqlite")
PENDING = text("state = 'pending'")


def upgrade() -> None:
    """Create the tables, and the triggers against changes of runs."""
    _intents()
    _jobs()
    op.create_table(
        "database_numbers",
        Column("kind", Text, primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
        Column("owner", Text, nullable=False),
        Column("at_ns", BigInteger, nullable=False),
        UniqueConstraint("kind", "owner", "number", name="database_numbers_owner"),
    )
    make_append_only(op.get_bind(), "database_runs")


def _intents() -> None:
    op.create_table(
        "database_intents",
        Column("id", ID, primary_key=True),
        Column("action", Text, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('pending', 'done', 'lapsed')"), nullable=False),
        Column("payload", Text, nullable=False),
        Column("records", LargeBinary),
        Column("envelopes", LargeBinary),
        Column("size", Integer, nullable=False),
        Column("digest", DIGEST, nullable=False),
        Column("valid_until_ns", BigInteger, nullable=False),
        Column("results", LargeBinary),
        Column("frame", BigInteger),
        Column("who", ID, nullable=False),
        Column("made_ns", BigInteger, nullable=False),
        Column("finished_ns", BigInteger),
        Column("reason", Text, nullable=False),
    )
    op.create_index(
        "database_intents_pending", "database_intents", ["id"], sqlite_where=PENDING, postgresql_where=PENDING
    )


def _jobs() -> None:
    op.create_table(
        "database_jobs",
        Column("number", NUMBER, primary_key=True),
        Column("name", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("due_ns", BigInteger, nullable=False),
        Column("payload", Text, nullable=False),
        Column("period", Text, nullable=False),
        Column("state", Text, CheckConstraint("state IN ('waiting', 'done', 'stopped')"), nullable=False),
        Column("owner", Text),
        Column("lease_until_ns", BigInteger),
        Column("run", ID),
        Column("attempts", Integer, nullable=False),
        Column("retry_ns", BigInteger),
        Column("error", Text, nullable=False),
        UniqueConstraint("name", "key", name="database_jobs_key"),
    )
    op.create_index("database_jobs_due", "database_jobs", ["state", "due_ns"])
    op.create_table(
        "database_runs",
        Column("run", ID, primary_key=True),
        Column("job", NUMBER, nullable=False),
        Column("due_ns", BigInteger, nullable=False),
        Column("finished_ns", BigInteger, nullable=False),
    )
