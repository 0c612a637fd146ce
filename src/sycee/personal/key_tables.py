"""Tables of the key file `people.keys`, and of its backup: one secret per person, in a separate SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table

from sycee.database.columns import NS, Id128, required
from sycee.database.migrations import Schema

METADATA: Final = MetaData()
SCHEMA: Final = Schema("personal_keys", METADATA, Path(__file__).parent / "key_migrations" / "versions")

SECRET_BYTES: Final = 32

# Ids of persons ascend, so that without a rowid new rows are appended.
SECRETS: Final = Table(
    "personal_keys_secrets",
    METADATA,
    Column("person", Id128, primary_key=True),
    *required(LargeBinary(SECRET_BYTES), "secret"),
    *required(Integer, "master"),
    *required(NS, "made_ns"),
    sqlite_with_rowid=False,
)
# A person here never receives a secret again.
SHREDDED: Final = Table(
    "personal_keys_shredded",
    METADATA,
    Column("person", Id128, primary_key=True),
    *required(NS, "at_ns"),
    sqlite_with_rowid=False,
)
# One row: the present master key. `number`: 1 for that of the founding, one more for each rotation. `check`: a keyed
# hash of a constant, which another master key does not give. `hash_key`: wrapped; none where the master key derives it.
MASTERS: Final = Table(
    "personal_keys_masters",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    *required(LargeBinary(32), "check"),
    Column("hash_key", LargeBinary(32)),
)
