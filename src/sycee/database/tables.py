"""SQL tables of `database` itself: intents, jobs and their runs, numbers, answers to requests, events of registers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from sycee.database.columns import DIGEST, NS, NUMBER, Id128, required
from sycee.database.migrations import Schema
from sycee.database.states import DONE, LAPSED, PENDING, STOPPED, WAITING

METADATA: Final = MetaData()
SCHEMA: Final = Schema("database", METADATA, Path(__file__).parent / "versions")

# `results`: one u2 per record, its first result. `frame`: the newest frame with one of the records; 0 before it is
# known.
INTENTS: Final = Table(
    "database_intents",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(Text, "action"),
    Column("state", Text, CheckConstraint(f"state IN ('{PENDING}', '{DONE}', '{LAPSED}')"), nullable=False),
    *required(Text, "payload"),
    *required(Integer, "size"),  # number of records
    *required(DIGEST, "digest"),
    *required(NS, "valid_until_ns"),
    Column("results", LargeBinary),
    Column("frame", BigInteger),
    *required(Id128, "who"),
    *required(NS, "made_ns"),
    Column("finished_ns", NS),
    *required(Text, "reason"),
)
Index(
    "database_intents_pending",
    INTENTS.c.id,
    sqlite_where=INTENTS.c.state == PENDING,
    postgresql_where=INTENTS.c.state == PENDING,
)
# The bytes submitted to the ledger; `prune` removes the row. They are not in the row of the intent because an update
# writes a whole row: an outcome would write up to 1 MB again, and the journal on the same disk would wait for that.
INTENT_RECORDS: Final = Table(
    "database_intent_records",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(LargeBinary, "records", "envelopes"),
)
# `run`: chosen when a run is first claimed and kept by its retries, so that they use the same id. The lease is in the
# machine's time, all other times are of the bank's clock. `retry_ns`: a failed run is not repeated before.
JOBS: Final = Table(
    "database_jobs",
    METADATA,
    Column("number", NUMBER, primary_key=True),
    *required(Text, "name", "key"),
    *required(NS, "due_ns"),
    *required(Text, "payload", "period"),
    Column("state", Text, CheckConstraint(f"state IN ('{WAITING}', '{DONE}', '{STOPPED}')"), nullable=False),
    Column("owner", Text),
    Column("lease_until_ns", NS),
    Column("run", Id128),
    *required(Integer, "attempts"),
    Column("retry_ns", NS),
    *required(Text, "error"),
    UniqueConstraint("name", "key", name="database_jobs_key"),
)
Index("database_jobs_due", JOBS.c.state, JOBS.c.due_ns)
RUNS: Final = Table(
    "database_runs",
    METADATA,
    Column("run", Id128, primary_key=True),
    *required(NUMBER, "job"),
    *required(NS, "due_ns", "finished_ns"),
)
NUMBERS: Final = Table(
    "database_numbers",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    *required(Text, "owner"),
    *required(NS, "at_ns"),
    UniqueConstraint("kind", "owner", "number", name="database_numbers_owner"),
)
# Requests of a server's callers. `digest` is keyed, since a request may contain personal data; `answer` is canonical
# JSON without any, and null while the request is in progress.
REQUESTS: Final = Table(
    "database_requests",
    METADATA,
    Column("id", Id128, primary_key=True),
    *required(Id128, "who"),
    *required(Text, "name"),
    *required(DIGEST, "digest"),
    Column("answer", Text),
    *required(NS, "at_ns"),
)
Index("database_requests_at", REQUESTS.c.at_ns)
# Events of registers, append-only. `operator`: the operator concerned, null for none. `data`: canonical JSON without
# personal data.
EVENTS: Final = Table(
    "database_events",
    METADATA,
    Column("number", NUMBER, primary_key=True, autoincrement=False),
    *required(Text, "kind", "subject"),
    Column("operator", Integer),
    *required(NS, "at_ns"),
    *required(Text, "data"),
)
