"""SQL tables of the compliance service: versions and decisions. Rows are only added.

A version is of the network (declarations and granted waivers) or of the library (profiles and lists). Texts are stored
by digest, so a file that several versions share is stored once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

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


def _required(type_: Any, *names: str) -> tuple[Column[object], ...]:
    return tuple(Column(name, type_, nullable=False) for name in names)


def _table(name: str, *columns: Column[object]) -> Table:
    """Return a table with columns for author and time, in nanoseconds since 1970-01-01T00:00Z."""
    return Table(f"compliance_{name}", METADATA, *columns, *_required(Text, "who"), *_required(BigInteger, "at_ns"))


def _decided() -> tuple[Column[object], ...]:
    """Return the columns of every decision: its inputs, the day, and the record that the digest identifies."""
    return (
        *_required(Text, "outcome"),
        *_required(DIGEST, "network", "library"),
        *_required(DAY, "day"),
        *_required(Text, "reason_code"),
        Column("digest", DIGEST, nullable=False, index=True),
        *_required(Text, "record"),
    )


CONTENTS: Final = Table(
    "compliance_contents", METADATA, Column("digest", DIGEST, primary_key=True), *_required(Text, "content")
)
# Networks and libraries share one sequence of numbers without gaps.
VERSIONS: Final = _table(
    "versions",
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("kind", Text, CheckConstraint(f"kind IN ('{NETWORK}', '{LIBRARY}')"), nullable=False),
    Column("digest", DIGEST, nullable=False, index=True),
    *_required(Text, "engine"),  # another engine may read the same texts differently
)
FILES: Final = Table(
    "compliance_files",
    METADATA,
    Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True),
    Column("position", Integer, primary_key=True),
    *_required(Text, "role", "name"),  # role: declaration, profile or list
    Column("content", DIGEST, ForeignKey("compliance_contents.digest"), nullable=False),
)
# The newest waiver for a rule and a subject is valid, from the version that added it.
WAIVERS: Final = Table(
    "compliance_waivers",
    METADATA,
    Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True),
    Column("position", Integer, primary_key=True),
    *_required(Text, "rule", "subject", "role", "reason"),
    *_required(DAY, "from_day", "until_day"),
)
# The newest row of a participant gives its status. `cause` is "asked", "judged-again" or "appeal".
ADMISSIONS: Final = _table(
    "admissions",
    Column("number", NUMBER, primary_key=True),
    *_required(Text, "participant", "cause"),
    *_decided(),
)
Index("compliance_admissions_newest", ADMISSIONS.c.participant, ADMISSIONS.c.number)
SCREENINGS: Final = _table(
    "crossings",
    Column("number", NUMBER, primary_key=True),
    Column("payment", Text, nullable=False, index=True),
    *_required(DIGEST, "flow"),  # digest of the flow class
    *_decided(),
)
# One row per call of `rejudge`, also where nothing changed.
ROUNDS: Final = _table(
    "rounds",
    Column("number", NUMBER, primary_key=True),
    *_required(DIGEST, "network", "library"),
    *_required(DAY, "day"),
    *_required(Integer, "judged", "changed"),
)
APPEALS: Final = _table(
    "appeals",
    Column("number", NUMBER, primary_key=True),
    *_required(DIGEST, "decision"),
    *_required(Text, "reason"),
)
APPEAL_DECISIONS: Final = _table(
    "answers",
    Column("appeal", NUMBER, ForeignKey("compliance_appeals.number"), primary_key=True, autoincrement=False),
    *_required(Boolean, "granted"),
    *_required(Text, "role", "reason"),
    Column("until_day", DAY),
)
