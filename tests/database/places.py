"""Databases for the tests: new files of SQLite, and new databases on a PostgreSQL server of the tests."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import Engine, make_url
from tests.database import sql_cache

from sycee.core.errors import UnavailableError
from sycee.database.engines import engine
from sycee.testing import postgresql

# A test kills clients, never the server: it need not sync.
SETTINGS = ("fsync=off", "shared_buffers=32MB", "max_connections=40")

sql_cache.share()

_NUMBERS = itertools.count(1)
_FILE_COPY_SINCE = 15_00_00  # version of PostgreSQL; older ones have no other strategy


@contextmanager
def server() -> Iterator[Path]:
    """Yield the folder of a server's socket. Without PostgreSQL, tests are skipped, and fail under CI."""
    # Not pytest's own folder, which other users may not enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        try:
            postgresql.command("postgres")
        except UnavailableError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{error.message}, and CI must not skip what needs it: `make services`")
            pytest.skip(f"NOT RUN: {error.message} (`make services` brings it)")
        with postgresql.cluster(Path(folder) / "cluster", SETTINGS) as sockets:
            yield sockets


@contextmanager
def new_database(sockets: Path, name: str) -> Iterator[str]:
    """Create a database, yield its URL, and drop it at the end."""
    with psycopg.connect(postgresql.url(sockets), autocommit=True) as connection:
        _create(connection, name)
        yield postgresql.url(sockets, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def guarded(role: str, password: str) -> Iterator[str]:
    """Yield the URL of a new database for a user who needs a password, on a server of its own."""
    with server() as sockets, new_database(sockets, "guarded") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
            connection.execute(f"ALTER DATABASE guarded OWNER TO {role}".encode())
            ((rules,),) = connection.execute("SHOW hba_file").fetchall()
            file = Path(rules)
            file.write_text(f"local all {role} scram-sha-256\n{file.read_text()}")
            connection.execute("SELECT pg_reload_conf()")
        yield f"postgresql://{role}@/guarded?host={sockets}"


@contextmanager
def opened(where: str | Path, *, read_only: bool = False) -> Iterator[Engine]:
    """Yield an engine, and close its connections at the end."""
    made = engine(where, read_only=read_only)
    try:
        yield made
    finally:
        made.dispose()


def copied_database(where: str) -> str:
    """The URL of a new PostgreSQL database with the content of another, which nobody has open."""
    url = make_url(where)
    name = f"copy_{url.database}_{next(_NUMBERS)}"
    with psycopg.connect(maintenance(where), autocommit=True) as connection:
        _create(connection, name, f"TEMPLATE {url.database}")
    return url.set(database=name).render_as_string(hide_password=False)


def _create(connection: psycopg.Connection, name: str, template: str = "") -> None:
    # The default writes each page to the write-ahead log, too, which takes three times as long.
    how = "STRATEGY FILE_COPY" if connection.info.server_version >= _FILE_COPY_SINCE else ""
    connection.execute(f"CREATE DATABASE {name} {template} {how}".encode())


def drop_database(where: str) -> None:
    """Drop a database of a test that is over. `where`: its URL; SQLite's files go with the folder of the test."""
    if "://" in where:
        with psycopg.connect(maintenance(where), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {make_url(where).database} WITH (FORCE)".encode())


def maintenance(where: str) -> str:
    """Return the URL of the database from which others of the same server are created."""
    return make_url(where).set(database="postgres").render_as_string(hide_password=False)


def temporary_folder() -> Path:
    """A new folder, which is removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="sycee-world-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def empty_database(server: str) -> str:
    """The URL of a new, empty PostgreSQL database."""
    name = f"empty_{next(_NUMBERS)}"
    with psycopg.connect(maintenance(server), autocommit=True) as connection:
        _create(connection, name)
    return make_url(server).set(database=name).render_as_string(hide_password=False)
