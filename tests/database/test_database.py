"""Engines, transactions, migrations and append-only tables, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import Connection, Engine
from tests.database import places
from tests.database.example_schema import NOTES, RELEASES
from tests.database.places import opened

from sycee.core.errors import IntegrityError, UnavailableError, UsageError
from sycee.database import transactions
from sycee.database.engines import BUSY_MS_MAX, engine, shown
from sycee.database.migrations import require_current, upgrade
from sycee.database.transactions import reading, write
from sycee.testing import postgresql

OLD, NEW = RELEASES


def put(made: Engine, number: int, text: str = "a note") -> None:
    write(made, lambda connection: connection.execute(NOTES.insert().values(number=number, text=text)))


def numbers(made: Engine) -> list[int]:
    with reading(made) as connection:
        return list(connection.scalars(sqlalchemy.select(NOTES.c.number).order_by(NOTES.c.number)))


# --- files and URLs ---


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("mysql://somewhere/db", "mysql is not supported as a database"),
        ("://", "not the URL of a database"),
        ("sqlite://", "in memory"),
        (":memory:", "in memory"),
    ],
)
def test_unsupported_databases_are_refused(where: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        engine(where)
    assert caught.value.hint


def test_a_file_and_its_url_are_the_same(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db") as first, opened(f"sqlite:///{tmp_path}/a.db") as second:
        upgrade(first, OLD)
        put(first, 1)
        assert numbers(second) == [1]
        assert shown(first) == shown(second) == f"{tmp_path}/a.db"


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with opened(tmp_path / "a.db") as made:
            assert not (tmp_path / "a.db").exists()
            upgrade(made, OLD)
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"a.db": 0o600, "a.db-wal": 0o600, "a.db-shm": 0o600}


def test_settings_of_sqlite(tmp_path: Path) -> None:
    with opened(tmp_path / "a.db") as made, reading(made) as connection:
        said = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "recursive_triggers")
        }
    assert said == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": BUSY_MS_MAX,
        "recursive_triggers": 1,
    }


def test_a_missing_folder_file_or_server_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"the folder .* does not exist"):
        engine(tmp_path / "nowhere" / "a.db")
    with pytest.raises(UnavailableError, match="does not exist"):
        engine(tmp_path / "a.db", read_only=True)
    with opened(f"postgresql://sycee@/kept?host={tmp_path}") as made, pytest.raises(UnavailableError, match="reached"):
        upgrade(made, OLD)


def test_a_file_that_is_no_sqlite_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"anything but a database, and long enough to be taken for one" * 20)
    with opened(tmp_path / "a.db") as made, pytest.raises(IntegrityError, match="not an SQLite database"):
        upgrade(made, OLD)


# --- migrations ---


def test_upgrade_creates_the_tables_and_does_nothing_the_second_time(where: str) -> None:
    with opened(where) as made:
        with pytest.raises(UnavailableError, match="no tables of diary"):
            require_current(made, OLD)
        upgrade(made, OLD)
        require_current(made, OLD)
        put(made, 1)
        upgrade(made, OLD)
        assert numbers(made) == [1]


def test_upgrade_keeps_existing_rows(where: str) -> None:
    with opened(where) as made:
        upgrade(made, OLD)
        put(made, 1)
        with pytest.raises(UnavailableError, match="is at revision 0001 of diary; this release needs 0002"):
            require_current(made, NEW)
        upgrade(made, NEW)
        require_current(made, NEW)
        assert numbers(made) == [1]
        assert "tags" in sqlalchemy.inspect(made).get_table_names()


def test_a_database_of_a_newer_release_is_refused_and_unchanged(where: str) -> None:
    with opened(where) as made:
        upgrade(made, NEW)
        for call in (upgrade, require_current):
            with pytest.raises(UnavailableError, match="upgraded by a newer release: diary is at revision 0002"):
                call(made, OLD)
        require_current(made, NEW)


def test_an_upgrade_that_fails_changes_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(where) as made:
        monkeypatch.setenv("FAIL_IN_0002", "1")
        with pytest.raises(ArithmeticError):
            upgrade(made, NEW)
        assert sqlalchemy.inspect(made).get_table_names() == []  # 0001 was applied and rolled back
        monkeypatch.delenv("FAIL_IN_0002")
        upgrade(made, NEW)
        require_current(made, NEW)


def test_each_package_has_its_own_history(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(OLD, package="other", migrations=Path(__file__).parent / "migrations_other")
    with opened(where) as made:
        monkeypatch.setenv("FAIL_IN_0002", "1")
        with pytest.raises(ArithmeticError):
            upgrade(made, other, NEW)
        assert sqlalchemy.inspect(made).get_table_names() == []  # the upgrades of one call are one transaction
        monkeypatch.delenv("FAIL_IN_0002")
        upgrade(made, other, NEW)
        upgrade(made, NEW, other)
        require_current(made, NEW)
        require_current(made, other)
        assert {"diary_revision", "other_revision", "notes", "tags", "letters"} == set(
            sqlalchemy.inspect(made).get_table_names()
        )
        with pytest.raises(UnavailableError, match="upgraded by a newer release: diary is at revision 0002"):
            upgrade(made, other, OLD)


def test_upgrades_may_run_concurrently(where: str) -> None:
    def one(_: int) -> None:
        with opened(where) as made:
            upgrade(made, NEW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(4)))
    with opened(where) as made:
        require_current(made, NEW)


# --- append-only tables ---


def test_an_append_only_table_refuses_other_statements(where: str) -> None:
    own = "TRUNCATE notes" if "://" in where else "REPLACE INTO notes VALUES (1, 'another')"
    with opened(where) as made:
        upgrade(made, OLD)
        put(made, 1)
        for statement in ("UPDATE notes SET text = 'another'", "DELETE FROM notes", own):
            with pytest.raises(IntegrityError, match="notes is append-only"):
                write(made, lambda connection, said=statement: connection.exec_driver_sql(said))
        with reading(made) as connection:
            assert connection.execute(NOTES.select()).all() == [(1, "a note")]


def test_the_same_row_twice_is_refused(where: str) -> None:
    with opened(where) as made:
        upgrade(made, OLD)
        put(made, 1)
        with pytest.raises(IntegrityError, match=r"(?i)unique|notes is append-only"):
            put(made, 1)


def test_a_connection_without_our_settings_cannot_replace_a_row(tmp_path: Path) -> None:
    """A connection without our pragmas, such as that of an interactive shell."""
    with opened(tmp_path / "a.db") as made:
        upgrade(made, OLD)
        put(made, 1)
        other = sqlite3.connect(tmp_path / "a.db")
        for statement in ("INSERT OR REPLACE", "REPLACE", "INSERT OR IGNORE"):
            with pytest.raises(sqlite3.IntegrityError, match="notes is append-only"):
                other.execute(f"{statement} INTO notes VALUES (1, 'another')")
        other.execute("INSERT INTO notes VALUES (2, 'one more')")
        other.commit()
        other.close()
        with reading(made) as connection:
            assert connection.execute(NOTES.select()).all() == [(1, "a note"), (2, "one more")]


# --- transactions ---


def test_a_failed_transaction_writes_nothing(where: str) -> None:
    def half(connection: Connection) -> None:
        connection.execute(NOTES.insert().values(number=1, text="a"))
        raise ArithmeticError("in the middle")

    with opened(where) as made:
        upgrade(made, OLD)
        with pytest.raises(ArithmeticError):
            write(made, half)
        assert numbers(made) == []


def test_a_reader_sees_one_state(where: str) -> None:
    with opened(where) as made, opened(where) as other:
        upgrade(made, OLD)
        put(made, 1)
        with reading(made) as connection:
            count = sqlalchemy.select(sqlalchemy.func.count()).select_from(NOTES)
            assert connection.scalar(count) == 1
            put(other, 2)
            assert connection.scalar(count) == 1
        assert numbers(made) == [1, 2]


def test_writers_are_serialised(where: str) -> None:
    """Each writer reads the highest number and writes the next: every number is written once."""

    def following(connection: Connection) -> None:
        last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(NOTES.c.number))) or 0
        connection.execute(NOTES.insert().values(number=last + 1, text=threading.current_thread().name))

    def many(_: int) -> None:
        with opened(where) as made:
            for _ in range(10):
                write(made, following)

    with opened(where) as made:
        upgrade(made, OLD)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(many, range(3)))
        assert numbers(made) == list(range(1, 31))


def test_a_read_only_database_refuses_writes(where: str) -> None:
    with opened(where) as made:
        upgrade(made, OLD)
        put(made, 1)
    with opened(where, read_only=True) as made:
        require_current(made, OLD)
        assert numbers(made) == [1]
        with pytest.raises(UnavailableError, match="is read-only"):
            put(made, 2)
        with pytest.raises(UnavailableError, match="is read-only"):
            upgrade(made, NEW)


def test_a_database_locked_by_another_process_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sycee.database import engines

    monkeypatch.setattr(engines, "PRAGMAS", ("busy_timeout=50", "journal_mode=WAL"))
    with opened(tmp_path / "a.db") as made:
        upgrade(made, OLD)
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE").close()
        with pytest.raises(UnavailableError, match="in use by another process"):
            put(made, 1)
        other.close()
        put(made, 1)
        assert numbers(made) == [1]


def test_a_writer_whose_attempts_all_conflict_is_unavailable(sockets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "ATTEMPTS_MAX", 2)
    with places.new_database(sockets, "crowded") as url, opened(url) as made, opened(url) as other:
        upgrade(made, OLD)
        calls: list[int] = []

        def counted(connection: Connection, number: int) -> int:
            count = connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(NOTES))
            connection.execute(NOTES.insert().values(number=number, text="by its count"))
            return count or 0

        def overtaken(connection: Connection) -> None:
            calls.append(counted(connection, 100 + len(calls)))
            write(other, lambda faster: counted(faster, len(calls)))

        with pytest.raises(UnavailableError, match="2 attempts conflicted with other writers"):
            write(made, overtaken)
        assert calls == [0, 1]
        assert numbers(made) == [1, 2]


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_without_postgresql_tests_are_skipped_or_fail_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(_: str) -> list[str]:
        raise UnavailableError("PostgreSQL is not on this machine")

    monkeypatch.setattr(postgresql, "command", nowhere)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="make services"), places.server():
        pass
