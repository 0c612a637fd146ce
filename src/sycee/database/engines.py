"""Location of a database, and the settings of its connections.

SQLite uses a write-ahead log that is synced at every commit (`synchronous=FULL`): acknowledged rows survive a power
cut, and readers do not wait for a writer. A second process waits up to `BUSY_MS_MAX`.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.extras import extra

BUSY_MS_MAX: Final = 30_000  # longer than any transaction of this package
CONNECT_S_MAX: Final = 10
CACHE_KIB_MAX: Final = 64 << 10  # rows with random keys are inserted slowly if their index exceeds the cache
SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
WRITES: Final = "sycee_writes"  # an execution option: this transaction will write

HINT: Final = "name a file, such as compliance.db, or postgresql://USER@HOST/DATABASE"
# Replacing a row deletes one: the delete trigger fires only with recursive triggers.
PRAGMAS: Final = (
    f"busy_timeout={BUSY_MS_MAX}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    f"cache_size=-{CACHE_KIB_MAX}",
)


def engine(where: str | Path, *, read_only: bool = False, secure_delete: bool = False) -> Engine:
    """Return an engine for an SQLite file, created at the first write, or for a URL of SQLite or PostgreSQL.

    Does not connect. Raises UsageError for other locations, UnavailableError if the file's folder is missing. With
    `read_only` every write is refused as unavailable, and a missing file is not created. With `secure_delete` SQLite
    overwrites deleted rows with zeros. Errors never show the parameters of a statement: they may be personal data.
    """
    url = _url(where)
    if url.get_backend_name() == SQLITE:
        return _sqlite(url, read_only, secure_delete)
    with extra("postgresql"):
        import psycopg  # noqa: F401 - the driver that SQLAlchemy loads
    made = sqlalchemy.create_engine(
        url, connect_args={"connect_timeout": CONNECT_S_MAX}, pool_pre_ping=True, hide_parameters=True
    )
    return made.execution_options(postgresql_readonly=True) if read_only else made


def shown(engine: Engine) -> str:
    """Return the name of a database for errors: the file, or the URL without its password."""
    return str(engine.url.database if is_sqlite(engine) else engine.url.render_as_string(hide_password=True))


def is_sqlite(connectable: Engine | Connection) -> bool:
    """Return whether the database is SQLite rather than PostgreSQL."""
    return connectable.dialect.name == SQLITE


def _url(where: str | Path) -> URL:
    text = str(where)
    if "://" not in text:
        return URL.create(SQLITE, database=_named(text))
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise UsageError(f"{text!r} is not the URL of a database", hint=HINT) from error
    if url.get_backend_name() == SQLITE:
        return URL.create(SQLITE, database=_named(url.database or ""))
    if url.get_backend_name() != POSTGRESQL:
        raise UsageError(f"{url.get_backend_name()} is not supported as a database", hint=HINT)
    return url.set(drivername=f"{POSTGRESQL}+psycopg")


def _named(file: str) -> str:
    if file in ("", ":memory:"):
        raise UsageError("a database in memory would lose its rows at the end of the process", hint=HINT)
    return file


def _sqlite(url: URL, read_only: bool, secure_delete: bool) -> Engine:
    path = Path(url.database or "")
    if not path.parent.is_dir():
        raise UnavailableError(
            f"{path}: the folder {path.parent} does not exist", hint="create the folder, or name another file"
        )
    if read_only and not path.is_file():
        raise UnavailableError(f"{path} does not exist, and reading does not create it", hint=HINT)
    made = sqlalchemy.create_engine(url, hide_parameters=True)

    @event.listens_for(made, "connect")
    def _connected(connection: sqlite3.Connection, _: object) -> None:
        # The driver would begin transactions at the first write and never before DDL; this code begins them.
        connection.isolation_level = None
        for pragma in (*PRAGMAS, *("query_only=ON",) * read_only, *("secure_delete=ON",) * secure_delete):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(made, "begin")
    def _begun(connection: Connection) -> None:
        # A transaction that reads and then writes can be refused midway, so a writer locks at its start.
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return made
