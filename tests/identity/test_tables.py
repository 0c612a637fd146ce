"""Migration and tables of identity agree."""

from __future__ import annotations

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.database.places import opened

from sycee.core.errors import IntegrityError
from sycee.database.migrations import upgrade
from sycee.database.transactions import write
from sycee.identity import tables


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": tables.SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, tables.METADATA) == []


def test_checks_and_signatures_are_only_added(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        signature = {"proposal": 1, "signer": 2, "public_key": "", "envelope": None, "approval": bytes(64), "at_ns": 3}
        check = {"institution": 1, "kind": "papers", "outcome": "passed", "proposal": 2, "at_ns": 3}
        for table, row in ((tables.SIGNATURES, signature), (tables.CHECKS, check)):
            write(engine, lambda connection, at=table, new=row: connection.execute(at.insert().values(new)))
            for statement in (table.update().values(at_ns=4), table.delete()):
                with pytest.raises(IntegrityError, match=r"append-only"):
                    write(engine, lambda connection, said=statement: connection.execute(said))


def test_a_state_outside_the_list_is_refused(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, tables.SCHEMA)
        row = {"id": 1, "state": "asleep", "made_ns": 0}
        with pytest.raises(IntegrityError):
            write(engine, lambda connection: connection.execute(tables.PERSONS.insert().values(row)))
        row["state"] = tables.ACTIVE
        write(engine, lambda connection: connection.execute(tables.PERSONS.insert().values(row)))
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.select(tables.PERSONS.c.id)).scalar() == 1
