"""SQL tables of the compliance service: versions and decisions. Rows are only added.

A version is of the network (declarations and granted waivers) or of the library (profiles and lists). Texts are stored
by digest, so a file that several versions share is stored once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("compliance", METADATA, Path(__file__).parent / "migrations")

NETWORK: Final = "network"
LIBRARY: Final = "library"

DIGEST: Final = String(64)  # BLAKE3, hexadecimal
DAY: Final = String(10)  # ISO 8601
NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")  # SQLite auto-increments INTEGER only


def _table(name: str, *columns: Column[object] | CheckConstraint | Index) -> Table:
    """Return a table with columns for author and time, in nanoseconds since 1970-01-01T00:00Z."""
    who = (Column("who", Text, nullable=False), Column("at_ns", BigInteger, nullable=False))
    return Table(f"compliance_{name}", METADATA, *columns, *who)


def _decided() -> tuple[Column[object], ...]:
    """Return the columns of every decision: its inputs, the day, and the record that the digest identifies."""
    return (
        Column("outcome", Text, nullable=False),
        Column("network", DIGEST, nullable=False),
        Column("library", DIGEST, nullable=False),
        Column("day", DAY, nullable=False),
        Column("reason_code", Text, nullable=False),
        Column("digest", DIGEST, nullable=False, index=True),
        Column("record", Text, nullable=False),
    )


CONTENTS: Final = Table(
    "compliance_contents",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("content", Text, nullable=False),
)
# Networks and libraries share one sequence of numbers without gaps.
VERSIONS: Final = _table(
    "versions",
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("kind", Text, CheckConstraint(f"kind IN ('{NETWORK}', '{LIBRARY}')"), nullable=False),
    Column("digest", DIGEST, nullable=False, index=True),
    Column("engine", Text, nullable=False),  # another engine may read the same texts differently
)
FILES: Final = Table(
    "compliance_files",
    METADATA,
    Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("role", Text, nullable=False),  # declaration, profile or list
    Column("name", Text, nullable=False),
    Column("content", DIGEST, ForeignKey("compliance_contents.digest"), nullable=False),
)
# The newest waiver for a rule and a subject is valid, from the version that added it.
WAIVERS: Final = Table(
    "compliance_waivers",
    METADATA,
    Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("from_day", DAY, nullable=False),
    Column("until_day", DAY, nullable=False),
)
# The newest row of a participant gives its status. `cause` is "asked", "judged-again" or "appeal".
ADMISSIONS: Final = _table(
    "admissions",
    Column("number", NUMBER, primary_key=True),
    Column("participant", Text, nullable=False),
    Column("cause", Text, nullable=False),
    *_decided(),
)
Index("compliance_admissions_newest", ADMISSIONS.c.participant, ADMISSIONS.c.number)
SCREENINGS: Final = _table(
    "crossings",
    Column("number", NUMBER, primary_key=True),
    Column("payment", Text, nullable=False, index=True),
    Column("flow", DIGEST, nullable=False),  # digest of the flow class
    *_decided(),
)
# One row per call of `rejudge`, also where nothing changed.
ROUNDS: Final = _table(
    "rounds",
    Column("number", NUMBER, primary_key=True),
    Column("network", DIGEST, nullable=False),
    Column("library", DIGEST, nullable=False),
    Column("day", DAY, nullable=False),
    Column("judged", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
)
APPEALS: Final = _table(
    "appeals",
    Column("number", NUMBER, primary_key=True),
    Column("decision", DIGEST, nullable=False),
    Column("reason", Text, nullable=False),
)
APPEAL_DECISIONS: Final = _table(
    "answers",
    Column("appeal", NUMBER, ForeignKey("compliance_appeals.number"), primary_key=True, autoincrement=False),
    Column("granted", Boolean, nullable=False),
    Column("role", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until_day", DAY),
)
