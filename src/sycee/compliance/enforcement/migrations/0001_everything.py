"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Integer, String, Text

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

DIGEST = String(64)
DAY = String(10)
NUMBER = BigInteger().with_variant(Integer, "sqlite")
TABLES = (
    *("contents", "versions", "files", "waivers"),
    *("admissions", "crossings", "rounds", "appeals", "answers"),
)


def upgrade() -> None:
    """Create the tables and their triggers against changes."""
    _versions()
    _decisions()
    make_append_only(op.get_bind(), *(f"compliance_{name}" for name in TABLES))


def _versions() -> None:
    op.create_table(
        "compliance_contents",
        Column("digest", DIGEST, primary_key=True),
        Column("content", Text, nullable=False),
    )
    op.create_table(
        "compliance_versions",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        Column("kind", Text, CheckConstraint("kind IN ('network', 'library')"), nullable=False),
        Column("digest", DIGEST, nullable=False, index=True),
        Column("engine", Text, nullable=False),
        *_who(),
    )
    op.create_table(
        "compliance_files",
        Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("role", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("content", DIGEST, ForeignKey("compliance_contents.digest"), nullable=False),
    )
    op.create_table(
        "compliance_waivers",
        Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("rule", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("from_day", DAY, nullable=False),
        Column("until_day", DAY, nullable=False),
    )


def _decisions() -> None:
    op.create_table(
        "compliance_admissions",
        Column("number", NUMBER, primary_key=True),
        Column("participant", Text, nullable=False),
        Column("cause", Text, nullable=False),
        *_decided(),
        *_who(),
    )
    op.create_index("compliance_admissions_newest", "compliance_admissions", ["participant", "number"])
    op.create_table(
        "compliance_crossings",
        Column("number", NUMBER, primary_key=True),
        Column("payment", Text, nullable=False, index=True),
        Column("flow", DIGEST, nullable=False),
        *_decided(),
        *_who(),
    )
    op.create_table(
        "compliance_rounds",
        Column("number", NUMBER, primary_key=True),
        Column("network", DIGEST, nullable=False),
        Column("library", DIGEST, nullable=False),
        Column("day", DAY, nullable=False),
        Column("judged", Integer, nullable=False),
        Column("changed", Integer, nullable=False),
        *_who(),
    )
    op.create_table(
        "compliance_appeals",
        Column("number", NUMBER, primary_key=True),
        Column("decision", DIGEST, nullable=False),
        Column("reason", Text, nullable=False),
        *_who(),
    )
    op.create_table(
        "compliance_answers",
        Column("appeal", NUMBER, ForeignKey("compliance_appeals.number"), primary_key=True, autoincrement=False),
        Column("granted", Boolean, nullable=False),
        Column("role", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("until_day", DAY),
        *_who(),
    )


def _decided() -> list[Column[object]]:
    return [
        Column("outcome", Text, nullable=False),
        Column("network", DIGEST, nullable=False),
        Column("library", DIGEST, nullable=False),
        Column("day", DAY, nullable=False),
        Column("reason_code", Text, nullable=False),
        Column("digest", DIGEST, nullable=False, index=True),
        Column("record", Text, nullable=False),
    ]


def _who() -> list[Column[object]]:
    return [Column("who", Text, nullable=False), Column("at_ns", BigInteger, nullable=False)]
