"""SQL tables of personal data in the main database. No column holds a name, a phone or a paper as text.

`records` and the columns named `sealed` are encrypted under the person's key; `search` holds keyed hashes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import CheckConstraint, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

from sycee.database.columns import DAY, NS, NUMBER, Id128, required
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("personal", METADATA, Path(__file__).parent / "migrations")

HASH_BYTES: Final = 16
CHAIN_BYTES: Final = 32

# One JSON object with all fields of the person. A change adds a version.
RECORDS: Final = Table(
    "personal_records",
    METADATA,
    Column("person", Id128, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    *required(LargeBinary, "sealed"),
    *required(NS, "at_ns"),
    sqlite_with_rowid=False,
)
# `kind`: `sealing.SearchKind`. Without a rowid SQLite stores each hash once rather than twice. There is no index by
# person: only changing and shredding would use it, and each opening of a wallet would pay for it.
SEARCH: Final = Table(
    "personal_search",
    METADATA,
    Column("hash", LargeBinary(HASH_BYTES), primary_key=True),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("person", Id128, primary_key=True),
    sqlite_with_rowid=False,
)
# A hash chain in one sequence of numbers without gaps. `fields`: names of fields, never their content. `invitation`,
# `inviter`: by which staff let the reader's login be made.
ACCESSES: Final = Table(
    "personal_accesses",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    *required(LargeBinary(CHAIN_BYTES), "previous", "digest"),
    *required(NS, "at_ns"),
    *required(Id128, "who", "person"),
    *required(Text, "fields", "reason"),
    *required(NUMBER, "case"),
    Column("invitation", Id128),
    Column("inviter", Id128),
)
Index("personal_accesses_person", ACCESSES.c.person, ACCESSES.c.number)
# Orders that keep entries of one case out of the log which the person reads, until the order ends.
DELAYS: Final = Table(
    "personal_delays",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(NUMBER, "case"),
    *required(NS, "from_ns"),
    Column("until_ns", NS, CheckConstraint("until_ns > from_ns"), nullable=False),
    *required(Id128, "proposal"),
)
# `basis`: a key of the rules in `data/retention`.
RETENTION: Final = Table(
    "personal_retention",
    METADATA,
    Column("person", Id128, primary_key=True),
    Column("basis", Text, primary_key=True),
    *required(DAY, "since_day"),
    Column("until_day", DAY, nullable=False, index=True),
)
# A legal hold without `until_ns` lasts until an order ends it: the proposal `ended_by`.
HOLDS: Final = Table(
    "personal_holds",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("person", Id128, nullable=False, index=True),
    *required(NUMBER, "case"),
    *required(NS, "from_ns"),
    Column("until_ns", NS),
    *required(Id128, "proposal"),
    Column("ended_by", Id128),
)
SHREDS: Final = Table(
    "personal_shreds",
    METADATA,
    Column("person", Id128, primary_key=True),
    *required(NS, "at_ns"),
    *required(Id128, "who"),
    *required(Text, "basis"),
)
