"""SQL tables of cases, their events, and claims on record. Free text is sealed under the key of the case's person."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import CheckConstraint, Column, Integer, LargeBinary, MetaData, Table, Text

from sycee.database.columns import MINOR, NS, NUMBER, Id128, required
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("cases", METADATA, Path(__file__).parent / "migrations")

PREPARED: Final = "prepared"  # of a claim: the REVERSE is proposed
OPEN: Final = "open"
COLLECTED: Final = "collected"
WRITTEN_OFF: Final = "written_off"

# `kind`, `state`: names in the rules, whose text has the digest `rules`. `deadline_ns`: of the state, 0 for none.
# `open`: whether the state is no end. `hold`: the hold that keeps the money until the case is decided, 0 for none.
CASES: Final = Table(
    "cases_cases",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    *required(Id128, "id"),
    *required(Text, "kind", "state"),
    *required(Integer, "open"),
    *required(Id128, "person", "account", "operation", "owner", "hold"),
    *required(NS, "opened_ns", "deadline_ns"),
    *required(Text, "rules"),
)
# `detail`: canonical JSON of codes and ids, never text of persons.
EVENTS: Final = Table(
    "cases_events",
    METADATA,
    Column("case_number", NUMBER, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *required(Id128, "id"),
    *required(Text, "what"),
    *required(NS, "at_ns"),
    *required(Id128, "who"),
    *required(Text, "detail"),
    Column("sealed", LargeBinary),
)
# `reverse`: the REVERSE that found too little money. `minor`: what was missing, `recovered`: what was collected since.
CLAIMS: Final = Table(
    "cases_claims",
    METADATA,
    Column("reverse", Id128, primary_key=True),
    *required(NUMBER, "case_number"),
    *required(Id128, "original", "payee"),
    *required(MINOR, "minor", "recovered"),
    Column(
        "state",
        Text,
        CheckConstraint(f"state IN ('{PREPARED}', '{OPEN}', '{COLLECTED}', '{WRITTEN_OFF}')"),
        nullable=False,
    ),
    Column("proposal", Id128),
)
