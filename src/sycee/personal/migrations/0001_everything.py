"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, SmallInteger, String, Text

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

ID = LargeBinary(16)
NS = BigInteger()
DAY = String(10)
NUMBER = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Create the tables, and the triggers against changes of the access log and of the list of shredded persons."""
    _records()
    _accesses()
    _retention()
    make_append_only(op.get_bind(), "personal_accesses", "personal_shreds")


def _records() -> None:
    op.create_table(
        "personal_records",
        Column("person", ID, primary_key=True),
        Column("version", Integer, primary_key=True, autoincrement=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("at_ns", NS, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "personal_search",
        Column("hash", LargeBinary(16), primary_key=True),
        Column("kind", SmallInteger, primary_key=True, autoincrement=False),
        Column("person", ID, primary_key=True),
        sqlite_with_rowid=False,
    )


def _accesses() -> None:
    op.create_table(
        "personal_accesses",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        Column("previous", LargeBinary(32), nullable=False),
        Column("digest", LargeBinary(32), nullable=False),
        Column("at_ns", NS, nullable=False),
        Column("who", ID, nullable=False),
        Column("person", ID, nullable=False),
        Column("fields", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("case", NUMBER, nullable=False),
    )
    op.create_index("personal_accesses_person", "personal_accesses", ["person", "number"])
    op.create_table(
        "personal_delays",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("case", NUMBER, nullable=False),
        Column("from_ns", NS, nullable=False),
        Column("until_ns", NS, CheckConstraint("until_ns > from_ns"), nullable=False),
        Column("proposal", ID, nullable=False),
    )


def _retention() -> None:
    op.create_table(
        "personal_retention",
        Column("person", ID, primary_key=True),
        Column("basis", Text, primary_key=True),
        Column("since_day", DAY, nullable=False),
        Column("until_day", DAY, nullable=False, index=True),
    )
    op.create_table(
        "personal_holds",
        Column("id", ID, primary_key=True),
        Column("person", ID, nullable=False, index=True),
        Column("case", NUMBER, nullable=False),
        Column("from_ns", NS, nullable=False),
        Column("until_ns", NS),
        Column("proposal", ID, nullable=False),
        Column("ended_by", ID),
    )
    op.create_table(
        "personal_shreds",
        Column("person", ID, primary_key=True),
        Column("at_ns", NS, nullable=False),
        Column("who", ID, nullable=False),
        Column("basis", Text, nullable=False),
    )
