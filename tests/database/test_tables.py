"""The tables of `database` itself, on both databases."""

from __future__ import annotations

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.database import tables
from sycee.database.columns import id_bytes
from sycee.database.migrations import upgrade
from sycee.database.transactions import reading, write


def test_migrations_make_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with reading(engine) as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []


def test_ids_are_numbers_here_and_sorted_bytes_there(where: str) -> None:
    chosen = [0, 1, 255, 256, 2**64, 2**64 - 1, 2**127 + 3, 2**128 - 1]
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        rows = [{"run": each, "job": 1, "due_ns": 0, "finished_ns": 0} for each in chosen]
        write(engine, lambda connection: connection.execute(tables.RUNS.insert(), rows))
        run = tables.RUNS.c.run
        with reading(engine) as connection:
            assert list(connection.scalars(sqlalchemy.select(run).order_by(run))) == sorted(chosen)
            assert connection.scalar(sqlalchemy.select(run).where(run == 2**64)) == 2**64
            stored = connection.exec_driver_sql("SELECT run FROM database_runs").scalars()
            assert sorted(bytes(each) for each in stored) == sorted(map(id_bytes, chosen))
