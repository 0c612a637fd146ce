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


def _required(**types: Any) -> list[Column[Any]]:
    return [Column(name, type_, nullable=False) for name, type_ in types.items()]


def _table(name: str, *columns: Column[Any]) -> Table:
    """Return a table with columns for author and time, in nanoseconds since 1970-01-01T00:00Z."""
    return Table(f"compliance_{name}", METADATA, *columns, *_required(who=Text, at_ns=BigInteger))


def _number() -> Column[Any]:
    return Column("number", NUMBER, primary_key=True)


def _decided() -> list[Column[Any]]:
    """Return the columns of every decision: its inputs, the day, and the record that the digest identifies."""
    inputs = _required(outcome=Text, network=DIGEST, library=DIGEST, day=DAY, reason_code=Text)
    return [*inputs, Column("digest", DIGEST, nullable=False, index=True), *_required(record=Text)]


def _place_in_version() -> list[Column[Any]]:
    version = Column("version", NUMBER, ForeignKey("compliance_versions.number"), primary_key=True)
    return [version, Column("position", Integer, primary_key=True)]


CONTENTS: Final = Table(
    "compliance_contents", METADATA, Column("digest", DIGEST, primary_key=True), *_required(content=Text)
)
# Networks and libraries share one sequence of numbers without gaps.
VERSIONS: Final = _table(
    "versions",
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    Column("kind", Text, CheckConstraint(f"kind IN ('{NETWORK}', '{LIBRARY}')"), nullable=False),
    Column("digest", DIGEST, nullable=False, index=True),
    *_required(engine=Text),  # another engine may read the same texts differently
)
FILES: Final = Table(
    "compliance_files",
    METADATA,
    *_place_in_version(),
    *_required(role=Text, name=Text),  # role: a constant of `versions`
    Column("content", DIGEST, ForeignKey("compliance_contents.digest"), nullable=False),
)
# The newest waiver for a rule and a subject is valid, from the version that added it.
WAIVERS: Final = Table(
    "compliance_waivers",
    METADATA,
    *_place_in_version(),
    *_required(rule=Text, subject=Text, role=Text, reason=Text, from_day=DAY, until_day=DAY),
)
# The newest row of a participant gives its status. `cause` is "asked", "judged-again" or "appeal".
ADMISSIONS: Final = _table("admissions", _number(), *_required(participant=Text, cause=Text), *_decided())
Index("compliance_admissions_newest", ADMISSIONS.c.participant, ADMISSIONS.c.number)
# A decision about a payment is its reference and a form: its record without reference and digest. The form is a
# content, stored once for all payments of a class. `digest_start` is the first 8 bytes of the digest, which both give:
# an index of numbers is a fifth as large as one of digests, and random keys make large indexes slow.
SCREENINGS: Final = _table(
    "screenings",
    _number(),
    Column("payment", Text, nullable=False, index=True),
    Column("form", DIGEST, ForeignKey("compliance_contents.digest"), nullable=False),
    Column("digest_start", BigInteger, nullable=False, index=True),
    *_required(outcome=Text),
)
# One row per call of `rejudge`, also where nothing changed.
ROUNDS: Final = _table(
    "rounds", _number(), *_required(network=DIGEST, library=DIGEST, day=DAY, judged=Integer, changed=Integer)
)
APPEALS: Final = _table("appeals", _number(), *_required(decision=DIGEST, reason=Text))
APPEAL_DECISIONS: Final = _table(
    "answers",
    Column("appeal", NUMBER, ForeignKey("compliance_appeals.number"), primary_key=True, autoincrement=False),
    *_required(granted=Boolean, role=Text, reason=Text),
    Column("until_day", DAY),
)
