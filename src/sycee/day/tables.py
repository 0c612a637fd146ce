"""SQL tables of closed days, their packs, the statements that were matched, and breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, MetaData, Table, Text

from sycee.database.columns import DAY, DIGEST, MINOR, NS, NUMBER, Id128, required
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("day", METADATA, Path(__file__).parent / "migrations")

CLOSED: Final = "closed"
SIGNED: Final = "signed"

# `pack`: digest of the pack in `day_packs`. A day is signed once another person countersigned it.
DAYS: Final = Table(
    "day_days",
    METADATA,
    Column("day", DAY, primary_key=True),
    *required(NS, "cutoff_ns"),
    *required(MINOR, "cutoff_frame", "checkpoint_frame"),
    Column("state", Text, CheckConstraint(f"state IN ('{CLOSED}', '{SIGNED}')"), nullable=False),
    *required(DIGEST, "pack"),
    *required(Id128, "closed_by"),
    Column("countersigned_by", Id128),
)
# A pack is stored as it was closed, and again with the second signature: the digest covers no signature.
PACKS: Final = Table(
    "day_packs",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("signatures", Integer, primary_key=True, autoincrement=False),
    *required(DAY, "day"),
    *required(Text, "text"),
)
# `digest`: of the file's bytes.
STATEMENTS: Final = Table(
    "day_statements",
    METADATA,
    Column("digest", DIGEST, primary_key=True),
    Column("day", DAY, primary_key=True),
    *required(Integer, "accounts", "lines"),
    *required(MINOR, "credits_minor", "debits_minor"),
)
# `operation` 0 and `account` 0: the break concerns none. `minor`: the ledger's amount less the other side's.
BREAKS: Final = Table(
    "day_breaks",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    *required(Text, "kind", "party"),
    *required(Id128, "account", "operation"),
    *required(MINOR, "minor"),
    *required(Text, "cause"),
    Column("owner", Id128),
    *required(DAY, "opened_day"),
    Column("closed_day", DAY),
    *required(Text, "closed_as"),
    *required(NUMBER, "case_number"),
)
Index("day_breaks_open", BREAKS.c.closed_day, BREAKS.c.number)
