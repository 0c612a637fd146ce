"""Registrations: lists, entries, their sealed parts and keyed hashes, files, appeals and holders of packets.

They are defined here and not imported from `registration_tables`, which describes the tables of the current release.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)

revision = "0002"
down_revision = "0001"

ID = LargeBinary(16)
NS = BigInteger()
NUMBER = BigInteger().with_variant(Integer, "sqlite")
HAS_DUE = text("due_ns > 0")


def _state(*states: str) -> Column[str]:
    shown = ", ".join(f"'{state}'" for state in states)
    return Column("state", Text, CheckConstraint(f"state IN ({shown})"), nullable=False)


def _key(name: str, type_: Any = Integer) -> Column[Any]:
    return Column(name, type_, primary_key=True, autoincrement=False)


def upgrade() -> None:
    """Create the tables."""
    _entries()
    _others()


def _entries() -> None:
    op.create_table(
        "programmes_lists",
        Column("list", NUMBER, primary_key=True),
        Column("programme", Text, nullable=False),
        Column("occurrence", Integer, nullable=False),
        Column("secret", ID, nullable=False),
        Column("kept_secret", ID, nullable=False),
        Column("following", Integer, nullable=False),
        Column("indexed", Integer, nullable=False),
        Column("screened_ns", NS),
        Column("shredded_ns", NS),
        UniqueConstraint("programme", "occurrence", name="programmes_lists_occurrence"),
    )
    op.create_table(
        "programmes_entries",
        _key("list", NUMBER),
        _key("entry"),
        _state("registered", "checked", "confirmed", "excluded", "lapsed", "withdrawn"),
        Column("reason", Text, nullable=False),
        Column("bank", SmallInteger, nullable=False),
        Column("stratum", SmallInteger, nullable=False),
        Column("registered_ns", NS, nullable=False),
        Column("checked_ns", NS, nullable=False),
        Column("confirmed_ns", NS, nullable=False),
        Column("due_ns", NS, nullable=False),
        Column("earlier", Text, nullable=False),
        Column("accepted", Integer),
        Column("through", Integer),
        Column("shared", SmallInteger, nullable=False),
        Column("ignored", SmallInteger, nullable=False),
        Column("cleared", SmallInteger, nullable=False),
        Column("attempts", SmallInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "programmes_entries_due", "programmes_entries", ["due_ns"], sqlite_where=HAS_DUE, postgresql_where=HAS_DUE
    )
    op.create_table(
        "programmes_parts",
        _key("list", NUMBER),
        _key("first"),
        Column("size", Integer, nullable=False),
        Column("id", ID, nullable=False, index=True),
        Column("who", ID, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
    )
    op.create_table(
        "programmes_entry_keys",
        _key("list", NUMBER),
        Column("hash", LargeBinary(16), primary_key=True),
        _key("kind", SmallInteger),
        _key("entry"),
        sqlite_with_rowid=False,
    )


def _others() -> None:
    op.create_table(
        "programmes_imports",
        Column("id", ID, primary_key=True),
        Column("list", NUMBER, nullable=False, index=True),
        Column("rows", Integer, nullable=False),
        Column("entries", Integer, nullable=False),
        Column("refused", Text, nullable=False),
        _state("loading", "done"),
        Column("who", ID, nullable=False),
        Column("at_ns", NS, nullable=False),
    )
    op.create_table(
        "programmes_appeals",
        Column("id", ID, primary_key=True),
        Column("list", NUMBER, nullable=False, index=True),
        Column("entry", Integer, nullable=False),
        Column("against", Text, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        Column("who", ID, nullable=False),
        Column("at_ns", NS, nullable=False),
        _state("open", "allowed", "refused"),
        Column("answer", LargeBinary),
        Column("decided_by", ID),
        Column("decided_ns", NS),
    )
    op.create_table(
        "programmes_holders",
        _key("list", NUMBER),
        _key("place"),
        Column("entry", Integer, nullable=False),
        Column("position", Integer, nullable=False),
        Column("packet", Text, nullable=False),
        Column("minor", BigInteger, nullable=False),
        Column("member", ID, nullable=False),
        Column("sealed", LargeBinary, nullable=False),
        UniqueConstraint("list", "entry", name="programmes_holders_entry"),
        UniqueConstraint("list", "member", name="programmes_holders_member"),
    )
