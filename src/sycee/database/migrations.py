"""Migrate a package's tables to the form of this release.

Each package has its own history: a folder of Alembic revisions next to its tables, and a version table in the database.
This package runs any history passed to it (decision 17). All steps of one `upgrade` are one transaction, on both
databases.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from sycee.core.errors import UnavailableError
from sycee.database.engines import is_sqlite, shown
from sycee.database.transactions import READ_COMMITTED, reading, write

if TYPE_CHECKING:
    from sycee.database.actions import Action

_ENVIRONMENT: Final = Path(__file__).parent / "environment"
_ALEMBIC: Final = threading.Lock()  # the Alembic context used by revisions is global to the process
VERSION_SUFFIX: Final = "_revision"  # of the names of version tables
_UPGRADING: Final = 0x73796365  # "syce": the advisory lock that serialises upgrades on PostgreSQL


@dataclass(frozen=True)
class Schema:
    """Tables of one package. `migrations` is a folder of Alembic revisions in one line, first to last.

    `actions`: of a package above `bank`, which a bank registers when it is opened with the schema.
    """

    package: str
    tables: sqlalchemy.MetaData
    migrations: Path
    actions: tuple[Action, ...] = ()

    @property
    def version_table(self) -> str:
        """Return the name of the table with the database's revision."""
        return self.package + VERSION_SUFFIX

    @property
    def head(self) -> str:
        """Return the last revision of this release."""
        return next(iter(_revisions(self.migrations)), "")


def upgrade(engine: Engine, *schemas: Schema) -> None:
    """Create or upgrade the tables of packages in one transaction.

    Several processes may call it concurrently. Raises UnavailableError if the database is of a newer release,
    read-only, or unreachable.
    """

    def steps(connection: Connection) -> None:
        if not is_sqlite(connection):
            connection.execute(sqlalchemy.select(sqlalchemy.func.pg_advisory_xact_lock(_UPGRADING)))
        for schema, found in _current(engine, connection, schemas).items():
            if found != schema.head:
                with _ALEMBIC:
                    attributes = {"connection": connection, "version_table": schema.version_table}
                    command.upgrade(_config(schema.migrations, **attributes), "head")

    # After waiting for the lock this process must see the holder's changes: a serialisable transaction would take its
    # snapshot before the wait.
    write(engine, steps, isolation=READ_COMMITTED)


def require_current(engine: Engine, schema: Schema) -> None:
    """Raise UnavailableError unless the package's tables have the form of this release."""
    with reading(engine) as connection:
        found = _current(engine, connection, [schema])[schema]
    if found != schema.head:
        problem = f"is at revision {found} of {schema.package}" if found else f"has no tables of {schema.package} yet"
        hint = f"call sycee.database.migrations.upgrade with the schema of {schema.package}"
        raise UnavailableError(f"{shown(engine)} {problem}; this release needs {schema.head}", hint=hint)


def _current(engine: Engine, connection: Connection, schemas: Sequence[Schema]) -> dict[Schema, str]:
    """Return the revision of each package in a database; "" if the package has no tables.

    Raises UnavailableError for a revision of a newer release.
    """
    names = set(sqlalchemy.inspect(connection).get_table_names())
    revision = sqlalchemy.column("version_num", sqlalchemy.String)
    selects = [
        sqlalchemy.select(sqlalchemy.literal(number), revision).select_from(sqlalchemy.table(schema.version_table))
        for number, schema in enumerate(schemas)
        if schema.version_table in names
    ]
    # One query for all tables: a bank has more than ten packages, and a separate query for each takes milliseconds.
    rows = connection.execute(sqlalchemy.union_all(*selects)) if selects else ()
    found = dict.fromkeys(schemas, "") | {schemas[number]: is_at for number, is_at in rows}
    for schema, is_at in found.items():
        if is_at and is_at not in _revisions(schema.migrations):
            raise UnavailableError(
                f"{shown(engine)} was upgraded by a newer release: {schema.package} is at revision {is_at}, "
                f"and this release supports up to {schema.head}",
                hint="install the newer release; nothing was changed",
            )
    return found


@cache  # a bank opens many schemas, each several times; reading a folder of revisions takes milliseconds
def _revisions(migrations: Path) -> tuple[str, ...]:
    """Return the revisions in a folder, last to first."""
    return tuple(each.revision for each in ScriptDirectory.from_config(_config(migrations)).walk_revisions())


def _config(migrations: Path, **attributes: object) -> Config:
    config = Config(attributes=attributes)
    config.set_main_option("path_separator", "newline")  # folder names may contain blanks and colons
    config.set_main_option("script_location", _escaped(_ENVIRONMENT))
    config.set_main_option("version_locations", _escaped(migrations))
    return config


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")
