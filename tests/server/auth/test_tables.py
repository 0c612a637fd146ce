"""The migrations create the tables of this release, and backups of a bank contain them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sqlalchemy
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
from sycee.database.migrations import Schema, upgrade
from sycee.database.transactions import reading, write
from sycee.server.auth.logins import had_login, passkey_id
from sycee.server.auth.registers import Registers
from sycee.server.auth.tables import FIRST_USES, INVITATIONS, PASSKEYS, SESSIONS
from sycee.server.tables import SCHEMA

KEY = SecretKey(bytes(range(32)))


def test_migrations_create_the_tables_of_this_release(where: str) -> None:
    with opened(where) as engine:
        upgrade(engine, SCHEMA)
        with engine.connect() as connection:
            options = {"version_table": SCHEMA.version_table, "compare_type": True}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, SCHEMA.tables) == []


def test_an_upgrade_ends_codes_that_staff_read_whole(where: str, tmp_path: Path) -> None:
    """Unused codes and sessions end; who has a login keeps it, with its inviter, and is not invited again."""
    for name in sorted(SCHEMA.migrations.glob("000[123]*.py")):
        shutil.copy(name, tmp_path)
    earlier = Schema("server", SCHEMA.tables, tmp_path)
    id = {name: bytes([number]) * 16 for number, name in enumerate(("leo", "north", "used", "open"), 1)}
    with opened(where) as engine:
        upgrade(engine, earlier)

        def fill(connection: sqlalchemy.Connection) -> None:
            for name, used_ns in (("used", 3), ("open", None)):
                insert(connection, "server_invitations", id=id[name], person=id["leo"], code=name, made_ns=1,
                       until_ns=9, made_by=id["north"], used_ns=used_ns)  # fmt: skip
            insert(connection, "server_passkeys", credential=b"c", person=id["leo"], public_key=b"k", sign_count=0,
                   invitation=id["used"], made_ns=3)  # fmt: skip
            session = {
                "token": "t",
                "person": id["leo"],
                "method": "passkey",
                "made_ns": 3,
                "used_ns": 3,
                "until_ns": 9,
            }
            insert(connection, "server_sessions", **session)

        write(engine, fill)
        upgrade(engine, SCHEMA)
        leo = int.from_bytes(id["leo"], "big")
        with reading(engine) as connection:
            states = connection.execute(sqlalchemy.select(INVITATIONS.c.code, INVITATIONS.c.revoked_ns)).all()
            assert sorted(map(tuple, states)) == [("open", 1), ("used", None)]
            (passkey,) = connection.execute(sqlalchemy.select(PASSKEYS))
            assert (passkey.inviter, passkey.masked_until_ns) == (int.from_bytes(id["north"], "big"), 0)
            (first,) = connection.execute(sqlalchemy.select(FIRST_USES))
            assert (first.login, first.person, first.at_ns) == (passkey_id(b"c"), leo, 3)
            assert list(connection.execute(sqlalchemy.select(SESSIONS))) == []
            assert had_login(connection, leo)


def insert(connection: sqlalchemy.Connection, table: str, **values: object) -> None:
    columns = [sqlalchemy.column(name) for name in values]
    connection.execute(sqlalchemy.table(table, *columns).insert().values(values))


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
