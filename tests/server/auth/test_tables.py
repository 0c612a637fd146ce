"""The migrations create the tables of this release, and backups of a bank contain them."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.bank import world
from tests.database.places import opened
from tests.server.auth.parties import new_key, public_of

from sycee.bank.backup import write_backup
from sycee.bank.bank import Bank
from sycee.bank.restoring import restore_bank
from sycee.core.errors import UsageError
from sycee.core.secret_files import SecretKey
from sycee.database.migrations import upgrade
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

KEY = SecretKey(bytes(range(32)))


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, SCHEMA.tables) == []


def test_a_backup_contains_the_tables_of_the_server(tmp_path: Path) -> None:
    world.founded("").copy(tmp_path)
    with Bank.open(tmp_path / "bank", schemas=(SCHEMA,)) as bank:
        officer = bank.people.person_of_key(world.ANN.public)
        made = Registers(bank).clients.register(officer, public_of(new_key("ES256")), by=officer, name="reports")
        write_backup(bank, tmp_path / "one.backup", KEY)
    keys = {"master_key": tmp_path / "master.key", "key_backup": tmp_path / "people-backup"}
    with pytest.raises(UsageError, match="with other tables than this release"):
        restore_bank(tmp_path / "one.backup", tmp_path / "again", KEY, **keys)
    restore_bank(tmp_path / "one.backup", tmp_path / "again", KEY, **keys, schemas=(SCHEMA,))
    with Bank.open(tmp_path / "again", schemas=(SCHEMA,)) as bank:
        assert Registers(bank).clients.list() == [made]


def test_a_backup_never_leaves_tables_out(tmp_path: Path) -> None:
    world.founded("").copy(tmp_path)
    Bank.open(tmp_path / "bank", schemas=(SCHEMA,)).close()
    with Bank.open(tmp_path / "bank") as bank, pytest.raises(UsageError, match="has tables of server"):
        write_backup(bank, tmp_path / "one.backup", KEY)


def test_a_backup_without_these_tables_is_restored(tmp_path: Path) -> None:
    world.founded("").copy(tmp_path)
    with Bank.open(tmp_path / "bank") as bank:
        write_backup(bank, tmp_path / "one.backup", KEY)
    keys = {"master_key": tmp_path / "master.key", "key_backup": tmp_path / "people-backup"}
    restore_bank(tmp_path / "one.backup", tmp_path / "again", KEY, **keys, schemas=(SCHEMA,))
    with Bank.open(tmp_path / "again", schemas=(SCHEMA,)) as bank:
        assert Registers(bank).clients.list() == []
