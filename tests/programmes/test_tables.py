"""The migrations create the tables of this release, on both databases, and each keeps the rows that it finds."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Engine
from tests.database.places import opened

from sycee.database.migrations import upgrade
from sycee.database.transactions import reading, write
from sycee.programmes import registration_tables, tables

FILES = sorted(tables.SCHEMA.migrations.glob("0*.py"))
# A row of each table that a later migration changes.
PROGRAMME = {
    "name": "spring", "text": "", "digest": "00" * 32, "maker": bytes(16), "funder": bytes(16), "operator": 2,
    "state": "running", "halt_reason": "", "made_ns": 1, "changed_ns": 1,
}  # fmt: skip


def names(engine: Engine) -> list[str]:
    with reading(engine) as connection:
        return list(connection.scalars(sqlalchemy.text("SELECT name FROM programmes_programmes")))


def test_each_migration_keeps_the_rows_of_the_release_before(where: str, tmp_path: Path) -> None:
    assert len(FILES) >= 7
    with opened(where) as engine:
        for number, last in enumerate(FILES, 1):
            folder = tmp_path / last.stem
            folder.mkdir()
            for each in FILES[:number]:
                shutil.copy(each, folder)
            upgrade(engine, replace(tables.SCHEMA, migrations=folder))
            if number == 1:
                found = sqlalchemy.Table("programmes_programmes", sqlalchemy.MetaData(), autoload_with=engine)
                write(engine, lambda connection, into=found: connection.execute(into.insert().values(PROGRAMME)))
            assert names(engine) == ["spring"], last.stem
        upgrade(engine, tables.SCHEMA)
        with reading(engine) as connection:
            row = connection.execute(sqlalchemy.select(tables.PROGRAMMES)).one()
        assert (row.name, row.block, row.operator) == ("spring", None, 2)


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    assert registration_tables.METADATA is tables.METADATA
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []
