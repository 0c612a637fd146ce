"""Migration and tables of issuance agree."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.core.errors import IntegrityError
from sycee.database.migrations import upgrade
from sycee.database.transactions import write
from sycee.issuance import tables


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []


def test_reserve_rules_are_only_added(where: str) -> None:
    row = {"wallet_class": "class-4", "from_day": "2026-01-01", "proposal": 1, "holder": "issuer", "source": "a law"}
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        write(engine, lambda connection: connection.execute(tables.RESERVE_RULES.insert().values(**row, share_ppm=1)))
        for statement in (tables.RESERVE_RULES.delete(), tables.RESERVE_RULES.update().values(share_ppm=2)):
            with pytest.raises(IntegrityError, match="append-only"):
                write(engine, lambda connection, said=statement: connection.execute(said))
