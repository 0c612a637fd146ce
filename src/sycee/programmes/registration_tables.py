"""SQL tables of registrations. No column has a document, a phone or a salt as text.

`sealed` is encrypted under a key of the list, which the key file has (`sycee.personal.keys`); `hash` is keyed with it,
too. Deleting the key shreds everybody of the list.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, SmallInteger, Table, Text, UniqueConstraint

from sycee.database.columns import MINOR, NS, NUMBER, Id128, required, state_column
from sycee.programmes.tables import METADATA

REGISTERED: Final = "registered"
CHECKED: Final = "checked"
CONFIRMED: Final = "confirmed"
EXCLUDED: Final = "excluded"
LAPSED: Final = "lapsed"
WITHDRAWN: Final = "withdrawn"
ENTRY_STATES: Final = (REGISTERED, CHECKED, CONFIRMED, EXCLUDED, LAPSED, WITHDRAWN)
LIVE: Final = (REGISTERED, CHECKED, CONFIRMED)
DUPLICATE: Final = "duplicate"  # shown for a live entry with `accepted`; the row keeps its state

LOADING: Final = "loading"
DONE: Final = "done"

WAITING: Final = "waiting"
LEFT: Final = "left"

OPEN: Final = "open"
ALLOWED: Final = "allowed"
REFUSED: Final = "refused"

# The registrations of one occurrence. `secret`: id of its key in the key file; `kept_secret`: of the key of the persons
# with a packet, whose data outlives the shredding. `following`: the number of the next entry. `indexed`: entries whose
# hashes are stored.
LISTS: Final = Table(
    "programmes_lists",
    METADATA,
    Column("list", NUMBER, primary_key=True),
    *required(Text, "programme"),
    *required(Integer, "occurrence"),
    *required(Id128, "secret", "kept_secret"),
    *required(Integer, "following", "indexed"),
    Column("screened_ns", NS),
    Column("shredded_ns", NS),
    UniqueConstraint("programme", "occurrence", name="programmes_lists_occurrence"),
)
# One row per registration. A time of 0 is none. `due_ns`: when it lapses without its next step. `earlier`: the state
# before it lapsed, was excluded or withdrawn, "" for none.
# Of a duplicate, `accepted` is the person's accepted entry, `through` the entry that connects the two, and `shared` the
# keys that they share. `ignored`: the keys that an appeal ended for this entry. `cleared`: whether an appeal ended its
# exclusion.
ENTRIES: Final = Table(
    "programmes_entries",
    METADATA,
    Column("list", NUMBER, primary_key=True, autoincrement=False),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    state_column(*ENTRY_STATES),
    *required(Text, "reason"),
    *required(SmallInteger, "bank", "stratum"),
    *required(NS, "registered_ns", "checked_ns", "confirmed_ns", "due_ns"),
    *required(Text, "earlier"),
    Column("accepted", Integer),
    Column("through", Integer),
    *required(SmallInteger, "shared", "ignored", "cleared", "attempts"),
    sqlite_with_rowid=False,
)
Index(
    "programmes_entries_due",
    ENTRIES.c.due_ns,
    sqlite_where=ENTRIES.c.due_ns > 0,
    postgresql_where=ENTRIES.c.due_ns > 0,
)
# Documents, phones, salts and wallets of `size` entries from `first` on, sealed together. `id`: of the request or file.
PARTS: Final = Table(
    "programmes_parts",
    METADATA,
    Column("list", NUMBER, primary_key=True, autoincrement=False),
    Column("first", Integer, primary_key=True, autoincrement=False),
    *required(Integer, "size"),
    Column("id", Id128, nullable=False, index=True),
    *required(Id128, "who"),
    *required(LargeBinary, "sealed"),
)
# Keyed hashes of documents and phones. `kind`: duplicates.BY_DOCUMENT or BY_PHONE.
KEYS: Final = Table(
    "programmes_entry_keys",
    METADATA,
    Column("list", NUMBER, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(16), primary_key=True),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("entry", Integer, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
# Files that were registered. `id`: the first 16 bytes of SHA-256 of list and file. `rows`: read so far. `refused`: the
# number of rows refused by code, as JSON.
IMPORTS: Final = Table(
    "programmes_imports",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("list", NUMBER, nullable=False, index=True),
    *required(Integer, "rows", "entries"),
    *required(Text, "refused"),
    state_column(LOADING, DONE),
    *required(Id128, "who"),
    *required(NS, "at_ns"),
)
# `sealed`, `answer`: the texts of the registrant and of the caseworker, under the list's key.
APPEALS: Final = Table(
    "programmes_appeals",
    METADATA,
    Column("id", Id128, primary_key=True),
    Column("list", NUMBER, nullable=False, index=True),
    *required(Integer, "entry"),
    *required(Text, "against"),
    *required(LargeBinary, "sealed"),
    *required(Id128, "who"),
    *required(NS, "at_ns"),
    state_column(OPEN, ALLOWED, REFUSED),
    Column("answer", LargeBinary),
    Column("decided_by", Id128),
    Column("decided_ns", NS),
)
# Entries that were removed manually, or wait for it. `kind`: withdrawn, lapsed or excluded. `decided_by`: the second
# person.
REMOVALS: Final = Table(
    "programmes_removals",
    METADATA,
    Column("removal", NUMBER, primary_key=True),
    Column("list", NUMBER, nullable=False, index=True),
    *required(Integer, "entry"),
    *required(Text, "kind", "reason"),
    state_column(WAITING, LEFT, REFUSED),
    *required(Id128, "who"),
    *required(NS, "at_ns"),
    Column("decided_by", Id128),
    Column("decided_ns", NS),
)
# Who has a packet, in cohort order. `member`: the id in the cohort. `position`: in the published list. `packet`: the
# name of the share. `sealed`: the entry, under the key that outlives the shredding.
HOLDERS: Final = Table(
    "programmes_holders",
    METADATA,
    Column("list", NUMBER, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    *required(Integer, "entry", "position"),
    *required(Text, "packet"),
    *required(MINOR, "minor"),
    *required(Id128, "member"),
    *required(LargeBinary, "sealed"),
    UniqueConstraint("list", "entry", name="programmes_holders_entry"),
    UniqueConstraint("list", "member", name="programmes_holders_member"),
)
