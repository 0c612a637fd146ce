"""Migration and tables of the clearing house agree."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.clearing import tables
from sycee.database.migrations import upgrade


def test_migrations_make_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []
