"""SQL tables of programmes. Rows hold files, ids, numbers and digests; registrations are in separate tables."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, Text, UniqueConstraint

from sycee.database.columns import DAY, DIGEST, MINOR, NS, Id128, required, state_column
from sycee.database.migrations import Schema
from sycee.programmes.states import OCCURRENCE_STATES, PROGRAMME_STATES

METADATA: Final = MetaData()
SCHEMA: Final = Schema("programmes", METADATA, Path(__file__).parent / "migrations")

OPENING: Final = "opening"
OPEN: Final = "open"
REFUSED: Final = "refused"
FUNDER_STATES: Final = (OPENING, OPEN, REFUSED)

# Accounts that pay programmes. `operator`: serves the account.
FUNDERS: Final = Table(
    "programmes_funders",
    METADATA,
    Column("account", Id128, primary_key=True),
    *required(Text, "name"),
    *required(Integer, "operator"),
    state_column(*FUNDER_STATES),
    *required(NS, "made_ns"),
)
# `text`: the file. `digest`: its SHA-256. `operator`: of the funder. `halted_ns`: None while it is not halted.
# `block`: the intent of the funder's block that it has.
PROGRAMMES: Final = Table(
    "programmes_programmes",
    METADATA,
    Column("name", Text, primary_key=True),
    *required(Text, "text"),
    *required(DIGEST, "digest"),
    *required(Id128, "maker", "funder"),
    *required(Integer, "operator"),
    state_column(*PROGRAMME_STATES),
    Column("halted_ns", NS),
    Column("halted_by", Id128),
    *required(Text, "halt_reason"),
    Column("block", Id128),
    *required(NS, "made_ns", "changed_ns"),
)
# The number on the ledger of each operator that a file names.
OPERATORS: Final = Table(
    "programmes_operators",
    METADATA,
    Column("programme", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    *required(Integer, "operator"),
)
# `date`: the local day of its beginning, from which its ids follow. `number`, `rule_set`: on the ledger, None before
# the terms. `entries`: of the frozen list. `members`, `minor`: of its cohort, and the sum of their packets.
# `announcement`: SHA-256 of announcement.json. `cohort`: digest of the members. `attempt`: grows when a step was
# refused, so that a repetition has fresh ids.
OCCURRENCES: Final = Table(
    "programmes_occurrences",
    METADATA,
    Column("programme", Text, primary_key=True),
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    *required(DAY, "date"),
    state_column(*OCCURRENCE_STATES),
    Column("number", Integer),
    Column("rule_set", Integer),
    *required(Integer, "entries", "members"),
    *required(MINOR, "minor"),
    Column("announcement", DIGEST),
    Column("published_ns", NS),
    Column("cohort", DIGEST),
    Column("seal", Id128),
    *required(Integer, "attempt"),
    Column("proposal", Id128),
    Column("dropped_frame", BigInteger),
    Column("expired_frame", BigInteger),
    *required(NS, "made_ns", "changed_ns"),
    UniqueConstraint("programme", "date", name="programmes_occurrences_date"),
)
# Zones that were dropped. `frame`: of the drop.
ZONES: Final = Table(
    "programmes_zones",
    METADATA,
    Column("programme", Text, primary_key=True),
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("zone", Text, primary_key=True),
    *required(BigInteger, "frame"),
    *required(NS, "at_ns"),
)
# The publisher's texts for registrants. `text`: the file.
MESSAGES: Final = Table(
    "programmes_messages",
    METADATA,
    Column("programme", Text, primary_key=True),
    *required(Text, "text"),
    *required(Id128, "by"),
    *required(NS, "at_ns"),
)
# The situation of each hour of a dropped occurrence. `hour`: local; `document`, `page`: JSON and HTML, by zlib.
SITUATIONS: Final = Table(
    "programmes_situations",
    METADATA,
    Column("programme", Text, primary_key=True),
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("hour", Text, primary_key=True),
    *required(NS, "at_ns"),
    *required(LargeBinary, "document", "page"),
)
# The value of the beacon, as each person brought it: hexadecimal. Two persons must bring the same.
BEACONS: Final = Table(
    "programmes_beacons",
    METADATA,
    Column("programme", Text, primary_key=True),
    Column("occurrence", Integer, primary_key=True, autoincrement=False),
    Column("person", Id128, primary_key=True),
    *required(String(64), "value"),
    *required(NS, "at_ns"),
)

APPLIED: Final = "applied"
ACCEPTED: Final = "accepted"
DECLINED: Final = "declined"
JOINED: Final = "joined"
LEFT: Final = "left"
# Accounts of merchants that applied for a payee group of a programme. `group`: its name in the file.
APPLICATIONS: Final = Table(
    "programmes_applications",
    METADATA,
    Column("programme", Text, primary_key=True),
    Column("account", Id128, primary_key=True),
    *required(Text, "group"),
    *required(Id128, "merchant"),
    *required(Integer, "operator"),
    state_column(APPLIED, ACCEPTED, DECLINED, JOINED, LEFT),
    *required(Id128, "by"),
    *required(NS, "at_ns"),
    Column("checked_by", Id128),
    Column("checked_ns", NS),
    *required(Text, "reason"),
)

CONFORMANCE: Final = "conformance"
RESTORE: Final = "restore"
# Results of runs elsewhere that a person filed; the newest of each kind and operator. `digest`: SHA-256 of the content.
EVIDENCE: Final = Table(
    "programmes_evidence",
    METADATA,
    Column("programme", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("operator", Integer, primary_key=True, autoincrement=False),
    *required(DIGEST, "digest"),
    *required(Integer, "passed"),
    *required(Id128, "by"),
    *required(NS, "at_ns"),
)
