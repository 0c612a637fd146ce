"""Tables of the first release.

They are defined here and not imported from `tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, ForeignKey, Integer, String, Text

from sycee.database.append_only import make_append_only

revision = "0001"
down_revision = None

DIGEST = String(64)
DAY = String(10)
NUMBER = BigInteger().with_variant(Integer, "sqlite")
TABLES = (*("contents", "versions", "files", "waivers"), *("admissions", "crossings", "rounds", "appeals", "answers"))


def upgrade() -> None:
    """Create the tables and their triggers against changes."""
    _versions()
    _decisions()
    make_append_only(op.get_bind(), *(f"compliance_{name}" for name in TABLES))


def _versions() -> None:
    op.create_table(
        "compliance_contents", Column("digest", DIGEST, primary_key=True), Column("content", Text, nullable=False)
    )
    op.create_table(
        "compliance_versions",
        Column("number", NUMBER, primary_key=True, autoincrement=False),
        Column("kind", Text, CheckConstraint("kind IN ('network', 'library')"), nullable=False),
        Column("digest", DIGEST, nullable=False, index=True),
        *_required(engine=Text),
        *_who(),
    )
    op.create_table(
        "compliance_files",
        *_place_in_version(),
        *_required(role=Text, name=Text),
        Column("content", DIGEST, ForeignKey("compliance_contents.digest"), nullable=False),
    )
    op.create_table(
        "compliance_waivers",
        *_place_in_version(),
        *_required(rule=Text, subject=Text, role=Text, reason=Text, from_day=DAY, until_day=DAY),
    )


def _decisions() -> None:
    for name, columns in {
        "admissions": [*_required(participant=Text, cause=Text), *_decided()],
        "crossings": [Column("payment", Text, nullable=False, index=True), *_required(flow=DIGEST), *_decided()],
        "rounds": _required(network=DIGEST, library=DIGEST, day=DAY, judged=Integer, changed=Integer),
        "appeals": _required(decision=DIGEST, reason=Text),
    }.items():
        op.create_table(f"compliance_{name}", Column("number", NUMBER, primary_key=True), *columns, *_who())
    op.create_index("compliance_admissions_newest", "compliance_admissions", ["participant", "number"])
    op.create_table(
        "compliance_answers",
        Column("appeal", NUMBER, ForeignKey("compliance_appeals.number"), primary_key=True, autoincrement=False),
        *_required(granted=Boolean, role=Text, reason=Text),
        Column("until_day", DAY),
        *_who(),
    )


def _required(**types: Any) -> list[Column[Any]]:
    return [Column(name, type_, nullable=False) for name, type_ in types.items()]


def _decided() -> list[Column[Any]]:
    inputs = _required(outcome=Text, network=DIGEST, library=DIGEST, day=DAY, reason_code=Text)
    return [*inputs, Column("digest", DIGEST, nullable=False, index=True), *_required(record=Text)]


def _place_in_version() -> list[Column[Any]]:
    version = Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True)
    return [version, Column("position", Integer, primary_key=True)]


def _who() -> list[Column[Any]]:
    return _required(who=Text, at_ns=BigInteger)
