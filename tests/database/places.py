"""The databases that tests run on: a new file of SQLite, and a new database of a PostgreSQL of the tests' own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import Engine

from sycee.core.errors import UnavailableError
from sycee.database.engines import engine
from sycee.testing import postgresql

# A test kills clients, never the server: it need not sync.
SETTINGS = ("fsync=off", "shared_buffers=32MB", "max_connections=40")


@contextmanager
def server() -> Iterator[Path]:
    """The folder of a server's socket. Where there is none the tests that need it are skipped, and fail under CI."""
    with tempfile.TemporaryDirectory() as folder:  # not pytest's own, where no other user may pass
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
    """The URL of a database that is made and dropped."""
    with psycopg.connect(postgresql.url(sockets), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield postgresql.url(sockets, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextmanager
def opened(where: str | Path, *, read_only: bool = False) -> Iterator[Engine]:
    """An engine whose connections are closed at the end."""
    made = engine(where, read_only=read_only)
    try:
        yield made
    finally:
        made.dispose()
