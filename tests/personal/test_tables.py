"""The migrations create the tables of this release, on both databases."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError
from sycee.database.migrations import Schema, upgrade
from sycee.database.transactions import write
from sycee.life import tables as life
from sycee.life.notices import Outbox
from sycee.personal import key_tables, tables

SCHEMAS = [tables.SCHEMA, key_tables.SCHEMA, life.SCHEMA]


@pytest.mark.parametrize("schema", SCHEMAS, ids=[each.package for each in SCHEMAS])
def test_migrations_create_the_tables_of_this_release(where: str, schema: Schema) -> None:
    with opened(where) as engine:
        upgrade(engine, schema)
        with engine.connect() as connection:
            options = {"version_table": schema.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, schema.tables) == []


def test_logs_are_append_only(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        upgrade(engine, life.SCHEMA)
        row = {"person": 1, "at_ns": 1, "who": 2, "basis": "relation-ended"}
        write(engine, lambda connection: connection.execute(tables.SHREDS.insert().values(**row)))
        for statement in (tables.SHREDS.delete(), tables.SHREDS.update().values(at_ns=2)):
            with pytest.raises(IntegrityError, match="append-only"):
                write(engine, lambda connection, said=statement: connection.execute(said))


def test_notices_of_an_older_release_wait_or_were_sent(where: str, tmp_path: Path) -> None:
    shutil.copy(life.SCHEMA.migrations / "0001_everything.py", tmp_path)
    row = {"person": b"p" * 16, "channel": b"c", "text": "KEY_REPLACED", "at": 1}
    insert = sqlalchemy.text(
        "INSERT INTO life_outbox (id, person, channel_sealed, text, at_ns, sent_ns) "
        "VALUES (:id, :person, :channel, :text, :at, :sent)"
    )
    rows = [{"id": bytes([number]) * 16, "sent": sent, **row} for number, sent in ((1, None), (2, 5))]
    with opened(where) as engine:
        upgrade(engine, Schema("life", life.METADATA, tmp_path))
        write(engine, lambda connection: connection.execute(insert, rows))
        upgrade(engine, life.SCHEMA)
        (notice,) = Outbox(engine, SimulatedClock(0)).waiting()
    assert (notice.id, notice.state, notice.attempts) == (int.from_bytes(b"\1" * 16, "big"), "waiting", 0)
