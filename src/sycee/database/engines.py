"""Location of a database, and the settings of its connections.

No URL has a password: it would be in settings, process lists and histories of shells. PostgreSQL reads passwords by its
own means (`~/.pgpass`, `PGPASSFILE`, a service file), or the caller names a file.

SQLite uses a write-ahead log that is synced at every commit (`synchronous=FULL`): acknowledged rows survive a power
cut, and readers do not wait for a writer. A second process waits up to `BUSY_MS_MAX`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import Final

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

from sycee.core.errors import UnavailableError, UsageError
from sycee.core.extras import extra
from sycee.core.input_files import read_bytes
from sycee.core.passwords import contains_password
from sycee.core.secret_files import read_secret, require_own

BUSY_MS_MAX: Final = 30_000  # longer than any transaction of this package
CONNECT_S_MAX: Final = 10
CACHE_KIB_MAX: Final = 64 << 10  # rows with random keys are inserted slowly if their index exceeds the cache
SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
WRITES: Final = "sycee_writes"  # an execution option: this transaction will write

HINT: Final = "name a file, such as compliance.db, or postgresql://USER@HOST/DATABASE"
NO_PASSWORD: Final = (
    "leave it out: PostgreSQL reads it from ~/.pgpass, PGPASSFILE or a service file (postgresql:///?service=NAME), or "  # noqa: S105 - words
    "put it into a file of mode 0600, named by the setting database_password_file or by --database-password-file"
)
PASSWORD_BYTES_MAX: Final = 4096
SERVICE_BYTES_MAX: Final = 1 << 20
# Replacing a row deletes one: the delete trigger fires only with recursive triggers.
PRAGMAS: Final = (
    f"busy_timeout={BUSY_MS_MAX}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
    f"cache_size=-{CACHE_KIB_MAX}",
)


def engine(
    where: str | Path, *, read_only: bool = False, secure_delete: bool = False, password_file: Path | None = None
) -> Engine:
    """Return an engine for an SQLite file, or for a URL of SQLite or PostgreSQL without a password.

    Does not connect. Raises UsageError for other locations, UnavailableError if the file's folder is missing. The first
    connection creates an SQLite file, which only its owner can read. With `read_only` every write is refused as
    unavailable, and a missing file is not created. With `secure_delete` SQLite overwrites deleted rows with zeros.
    `password_file`: the file of the PostgreSQL user's password, read at each connection, so that it may be replaced.
    Errors never show the parameters of a statement: they may be personal data.
    """
    url = _url(where)
    if url.get_backend_name() == SQLITE:
        if password_file:
            raise UsageError(
                f"the SQLite database {url.database} has no password, and {password_file} is named as the file of one",
                hint="leave the file out, or name a PostgreSQL database",
            )
        return _sqlite(url, read_only, secure_delete)
    if "service" in url.query:
        _require_own_service_file()
    with extra("bank"):
        import psycopg  # noqa: F401 - the driver that SQLAlchemy loads

    def connect() -> DBAPIConnection:
        arguments, named = made.dialect.create_connect_args(url)
        named["connect_timeout"] = CONNECT_S_MAX
        if password_file:
            named["password"] = password_in(password_file)
        return made.dialect.connect(*arguments, **named)

    made = sqlalchemy.create_engine(url, creator=connect, pool_pre_ping=True, hide_parameters=True)
    return made.execution_options(postgresql_readonly=True) if read_only else made


def password_in(path: Path) -> str:
    """Return the password in a file, without the end of its line. Raises UsageError as `read_secret`."""
    hint = "the file has one line: the password of the PostgreSQL user"
    text = read_secret(path, what="password file", hint=hint, bytes_max=PASSWORD_BYTES_MAX).decode("utf-8", "replace")
    password = text.removesuffix("\n").removesuffix("\r")
    if not password or "\n" in password or "\0" in password:
        raise UsageError(f"the password file {path} does not have one line with a password", hint=hint)
    return password


def require_no_password(text: str, what: str) -> None:
    """Raise UsageError for a URL or connection string with a password, which the message does not repeat."""
    if contains_password(text):
        raise UsageError(f"{what} contains a password, which belongs into no URL", hint=NO_PASSWORD)


def shown(engine: Engine) -> str:
    """Return the name of a database for errors: the file, or the URL without its password."""
    return str(engine.url.database if is_sqlite(engine) else engine.url.render_as_string(hide_password=True))


def is_sqlite(connectable: Engine | Connection) -> bool:
    """Return whether the database is SQLite rather than PostgreSQL."""
    return connectable.dialect.name == SQLITE


def _url(where: str | Path) -> URL:
    text = str(where)
    require_no_password(text, "the location of the database")
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


def _require_own_service_file() -> None:
    """Raise UsageError if PostgreSQL's service file has a password that other users can read."""
    default = Path.home() / ".pg_service.conf"
    path = Path(os.environ.get("PGSERVICEFILE") or default)
    if path.is_file():
        content = read_bytes(path, SERVICE_BYTES_MAX, "service file")
        has_password = re.search(rb"(?mi)^\s*(ssl)?password\s*=", content)
        require_own(path, what="service file", is_secret=has_password is not None)


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

    def connect() -> DBAPIConnection:
        arguments, named = made.dialect.create_connect_args(url)
        if not read_only:  # SQLite would let every user read a new file. Files beside it get the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return made.dialect.connect(*arguments, **named)

    made = sqlalchemy.create_engine(url, creator=connect, hide_parameters=True)

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
