"""Bring a room's tables to the form that this release knows.

Each room has a history of its own: a folder of Alembic revisions beside its tables, and a table in the database that
says how far it is. This room below them runs whichever it is handed, and knows none (decision 17). All steps of one
`upgrade` are one transaction, on both databases.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from sycee.core.errors import UnavailableError
from sycee.database.engines import is_sqlite, shown
from sycee.database.transactions import READ_COMMITTED, reading, write

_ENVIRONMENT: Final = Path(__file__).parent / "environment"
_ALEMBIC: Final = threading.Lock()  # what revisions call is one for the whole process
_UPGRADING: Final = 0x73796365  # "syce": the advisory lock that PostgreSQL's upgraders take in turn


@dataclass(frozen=True)
class Schema:
    """The tables of one room. `migrations` is a folder of Alembic revisions in one line, first to last."""

    room: str
    tables: sqlalchemy.MetaData
    migrations: Path

    @property
    def version_table(self) -> str:
        """The table that says which revision a database is at."""
        return f"{self.room}_revision"

    @property
    def head(self) -> str:
        """The last revision that this release knows."""
        return _scripts(self).get_current_head() or ""


def upgrade(engine: Engine, schema: Schema) -> None:
    """Make the room's tables, or bring them to this release's form, whole or not at all.

    Several processes may do so at once. Raises UnavailableError where the database is of a newer release, may only be
    read, or cannot be reached.
    """

    def steps(connection: Connection) -> None:
        if not is_sqlite(connection):
            connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_UPGRADING)))
        if _known(engine, connection, schema) != schema.head:
            with _ALEMBIC:
                command.upgrade(_config(schema, connection), "head")

    # Whoever waited for the lock must see what its holder did: a serialisable transaction would look before it waits.
    write(engine, steps, isolation=READ_COMMITTED)


def require_current(engine: Engine, schema: Schema) -> None:
    """Raise UnavailableError unless the room's tables have the form that this release knows."""
    with reading(engine) as connection:
        found = _known(engine, connection, schema)
    if found != schema.head:
        there = f"is at revision {found} of {schema.room}" if found else f"has no tables of {schema.room} yet"
        hint = f"call sycee.database.migrations.upgrade with the schema of {schema.room}"
        raise UnavailableError(f"{shown(engine)} {there}; this release needs {schema.head}", hint=hint)


def _known(engine: Engine, connection: Connection, schema: Schema) -> str:
    """The revision that a database is at, or nothing. Raises UnavailableError if a newer release made it."""
    context = MigrationContext.configure(connection, opts={"version_table": schema.version_table})
    found = context.get_current_revision() or ""
    if found and found not in {each.revision for each in _scripts(schema).walk_revisions()}:
        raise UnavailableError(
            f"{shown(engine)} was made by a newer release: {schema.room} is at revision {found}, "
            f"and this release knows up to {schema.head}",
            hint="install the newer release; nothing was changed",
        )
    return found


def _scripts(schema: Schema) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(schema))


def _config(schema: Schema, connection: Connection | None = None) -> Config:
    config = Config(attributes={"connection": connection, "version_table": schema.version_table})
    config.set_main_option("path_separator", "newline")  # a folder's name may have blanks and colons in it
    config.set_main_option("script_location", _escaped(_ENVIRONMENT))
    config.set_main_option("version_locations", _escaped(schema.migrations))
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
