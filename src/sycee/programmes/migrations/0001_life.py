"""Programmes, their occurrences, funders, operators, beacons and shops.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, CheckConstraint, Column, Integer, LargeBinary, String, Text, UniqueConstraint

revision = "0001"
down_revision = None

ID = LargeBinary(16)
NS = BigInteger()
DIGEST = String(64)


def _state(*states: str) -> Column[str]:
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "programmes_funders",
        Column("account", ID, primary_key=True),
        Column("name", Text, nullable=False),
        Column("operator", Integer, nullable=False),
        _state("opening", "open", "refused"),
        Column("made_ns", NS, nullable=False),
    )
    op.create_table(
        "programmes_programmes",
        Column("name", Text, primary_key=True),
        Column("text", Text, nullable=False),
        Column("digest", DIGEST, nullable=False),
        Column("maker", ID, nullable=False),
        Column("funder", ID, nullable=False),
        Column("operator", Integer, nullable=False),
        _state("draft", "running", "closed", "cancelled"),
        Column("halted_ns", NS),
        Column("halted_by", ID),
        Column("halt_reason", Text, nullable=False),
        Column("made_ns", NS, nullable=False),
        Column("changed_ns", NS, nullable=False),
    )
    op.create_table(
        "programmes_operators",
        Column("programme", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("operator", Integer, nullable=False),
    )
    op.create_table(
        "programmes_occurrences",
        Column("programme", Text, primary_key=True),
        Column("occurrence", Integer, primary_key=True, autoincrement=False),
        Column("date", String(10), nullable=False),
        _state(
            *("draft", "registration", "frozen", "drawn", "approved", "allotted", "dropped", "expired", "closed"),
            "cancelled",
        ),
        Column("number", Integer),
        Column("rule_set", Integer),
        Column("entries", Integer, nullable=False),
        Column("members", Integer, nullable=False),
        Column("minor", BigInteger, nullable=False),
        Column("announcement", DIGEST),
        Column("published_ns", NS),
        Column("cohort", DIGEST),
        Column("seal", ID),
        Column("attempt", Integer, nullable=False),
        Column("proposal", ID),
        Column("dropped_frame", BigInteger),
        Column("expired_frame", BigInteger),
        Column("made_ns", NS, nullable=False),
        Column("changed_ns", NS, nullable=False),
        UniqueConstraint("programme", "date", name="programmes_occurrences_date"),
    )
    op.create_table(
        "programmes_beacons",
        Column("programme", Text, primary_key=True),
        Column("occurrence", Integer, primary_key=True, autoincrement=False),
        Column("person", ID, primary_key=True),
        Column("value", String(64), nullable=False),
        Column("at_ns", NS, nullable=False),
    )
    op.create_table(
        "programmes_applications",
        Column("programme", Text, primary_key=True),
        Column("account", ID, primary_key=True),
        Column("group", Text, nullable=False),
        Column("merchant", ID, nullable=False),
        Column("operator", Integer, nullable=False),
        _state("applied", "accepted", "declined", "joined", "left"),
        Column("by", ID, nullable=False),
        Column("at_ns", NS, nullable=False),
        Column("checked_by", ID),
        Column("checked_ns", NS),
        Column("reason", Text, nullable=False),
    )
    op.create_table(
        "programmes_evidence",
        Column("programme", Text, primary_key=True),
        Column("kind", Text, primary_key=True),
        Column("operator", Integer, primary_key=True, autoincrement=False),
        Column("digest", DIGEST, nullable=False),
        Column("passed", Integer, nullable=False),
        Column("by", ID, nullable=False),
        Column("at_ns", NS, nullable=False),
    )
