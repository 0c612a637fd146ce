"""The migrations create the tables of this release, on both databases."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.core.errors import IntegrityError
from sycee.database.migrations import Schema, upgrade
from sycee.database.transactions import write
from sycee.life import tables as life
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
