"""Migration and tables of wallets agree."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.core.errors import IntegrityError
from sycee.database.migrations import upgrade
from sycee.database.transactions import write
from sycee.wallets import tables


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []


def test_a_state_outside_the_list_is_refused(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        row = {"operation": 1, "payee": 2, "operator": 2, "code": 48, "at_ns": 0}
        write(engine, lambda connection: connection.execute(tables.REFUSALS.insert().values(row)))
        alias = {"kind": 1, "hash": bytes(16), "account": 1, "masked": "", "state": "lost", "since_ns": 0}
        with pytest.raises(IntegrityError):
            write(engine, lambda connection: connection.execute(tables.ALIASES.insert().values(alias)))
