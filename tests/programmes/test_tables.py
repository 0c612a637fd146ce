"""The migrations create the tables of this release, on both databases."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.database.migrations import upgrade
from sycee.programmes import registration_tables, tables


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    assert registration_tables.METADATA is tables.METADATA
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []
