"""Read and write transactions, with errors of Sycee.

A reader sees one state of the database from its first query to its last. Writers are serialised: SQLite admits one at a
time; PostgreSQL runs them serialisably and refuses conflicting ones, which are retried from their beginning.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from sycee.core import errors
from sycee.core.errors import SyceeError, UnavailableError
from sycee.database.engines import WRITES, is_sqlite, shown

T = TypeVar("T")
Also = Callable[[Connection], None]  # further writes of a caller, in the transaction of a service

SERIALIZABLE: Final = "SERIALIZABLE"
READ_COMMITTED: Final = "READ COMMITTED"

ATTEMPTS_MAX: Final = 30
PAUSE_S: Final = 0.005  # delay after the first refused attempt; each further delay is longer by as much

# https://www.sqlite.org/rescode.html, the first byte: the others refine it.
_SQLITE_UNAVAILABLE: Final = {
    5: "is in use by another process",
    6: "is in use by another process",
    8: "is read-only",
    10: "cannot be read or written: the disk refuses",
    13: "cannot be written: the disk is full",
    14: "cannot be opened",
}
_SQLITE_DAMAGED: Final = {11: "is damaged", 26: "is not an SQLite database"}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_MET: Final = ("40001", "40P01", "23505")  # serialisation failure, deadlock, and two inserts of the same row
_POSTGRESQL_REFUSED: Final = {"25006": "is read-only", "42501": "denies this user permission"}


def nothing_else(connection: Connection) -> None:
    """Write nothing: the default of an argument `also`."""


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that sees one state of the database. Raises the errors of `translated`."""
    with translated(engine), engine.connect() as connection:
        if not is_sqlite(connection):
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            yield connection


def write(engine: Engine, work: Callable[[Connection], T], *, isolation: str = SERIALIZABLE) -> T:
    """Run `work` in one transaction and return its result once the transaction is on disk.

    `work` may be called several times, so it must have no effect besides queries and writes. Raises the errors of
    `work`, with nothing written; UnavailableError, also after repeated conflicts; IntegrityError if the database
    forbids a change. `isolation` applies to PostgreSQL; SQLite has one level.
    """
    for attempt in range(1, ATTEMPTS_MAX + 1):
        try:
            return _written(engine, work, isolation)
        except DBAPIError as error:
            if is_sqlite(engine) or _state(error) not in _POSTGRESQL_MET or attempt == ATTEMPTS_MAX:
                raise _ours(engine, error) from error
        time.sleep(random.uniform(0, PAUSE_S * attempt))
    raise AssertionError("the last attempt returns or raises")


def _written(engine: Engine, work: Callable[[Connection], T], isolation: str) -> T:
    with engine.connect() as connection:
        if is_sqlite(connection):
            connection = connection.execution_options(**{WRITES: True})
        else:
            connection = connection.execution_options(isolation_level=isolation)
        with connection.begin():
            return work(connection)


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Raise errors of the database driver as UnavailableError or IntegrityError."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(engine, error) from error


def _ours(engine: Engine, error: DBAPIError) -> SyceeError | DBAPIError:
    """Return the error for callers. Errors that only a defect in our SQL can cause stay unchanged."""
    name, text = shown(engine), " ".join(str(error.orig).split())
    if isinstance(error, IntegrityError):
        return errors.IntegrityError(f"{name}: {text}", hint="rows are only added, each once; nothing was written")
    if is_sqlite(engine):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code in _SQLITE_DAMAGED:
            return errors.IntegrityError(f"{name} {_SQLITE_DAMAGED[code]}: {text}", hint="restore it from a copy")
        if code in _SQLITE_UNAVAILABLE:
            return UnavailableError(f"{name} {_SQLITE_UNAVAILABLE[code]}: {text}")
        return error
    if _state(error) in _POSTGRESQL_REFUSED:
        return UnavailableError(f"{name} {_POSTGRESQL_REFUSED[_state(error)]}: {text}")
    if _state(error) in _POSTGRESQL_MET:
        return UnavailableError(f"{name}: {ATTEMPTS_MAX} attempts conflicted with other writers", hint="retry later")
    if isinstance(error, OperationalError):
        return UnavailableError(
            f"{name} cannot be reached: {text}", hint="check that the server is running and accepts this user"
        )
    return error


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
