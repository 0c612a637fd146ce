"""Migrations and tables of days and cases agree."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.cases.tables import SCHEMA as CASES
from sycee.core.errors import IntegrityError
from sycee.database.migrations import Schema, upgrade
from sycee.database.transactions import write
from sycee.day import tables


@pytest.mark.parametrize("schema", [tables.SCHEMA, CASES], ids=["day", "cases"])
def test_migrations_create_the_tables_of_this_release(where: str, schema: Schema) -> None:
    with opened(where) as engine:
        upgrade(engine, schema)
        with engine.connect() as connection:
            options = {"version_table": schema.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, schema.tables) == []


def test_packs_are_only_added(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        row = {"digest": "0" * 64, "signatures": 1, "day": "2026-11-02", "text": "{}"}
        write(engine, lambda connection: connection.execute(tables.PACKS.insert().values(**row)))
        for statement in (tables.PACKS.delete(), tables.PACKS.update().values(text="[]")):
            with pytest.raises(IntegrityError, match="append-only"):
                write(engine, lambda connection, said=statement: connection.execute(said))
