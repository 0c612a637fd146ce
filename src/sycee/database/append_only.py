"""Append-only tables: triggers refuse to change or remove rows, on both databases.

The triggers prevent mistakes in code and at a database prompt. The owner of the database can drop them; digests prove
that stored rows are the ones that were judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy.engine import Connection

from sycee.database.engines import is_sqlite

_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION sycee_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE restrict_violation USING MESSAGE = TG_TABLE_NAME || ' is append-only';
END $$
"""


def make_append_only(connection: Connection, *tables: str) -> None:
    """Create the triggers of these tables. For migrations, once for each table."""
    if not is_sqlite(connection):
        connection.exec_driver_sql(_FUNCTION)
    for table in tables:
        for statement in _sqlite(connection, table) if is_sqlite(connection) else _postgresql(table):
            connection.exec_driver_sql(statement)


def _sqlite(connection: Connection, table: str) -> Iterator[str]:
    # INSERT OR REPLACE deletes a row, which fires no trigger on foreign connections, so it is refused earlier.
    keys = [row.name for row in connection.exec_driver_sql(f"PRAGMA table_info({table})") if row.pk]
    same = " AND ".join(f"{key} = NEW.{key}" for key in keys)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    there = f"EXISTS (SELECT * FROM {table} WHERE {same})"  # noqa: S608  (names of our own tables)
    yield f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {there} {refuse}"
    for act in ("UPDATE", "DELETE"):
        yield f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} {refuse}"


def _postgresql(table: str) -> Iterator[str]:
    for acts, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        yield (
            f"CREATE TRIGGER {table}_no_{acts.split()[0].lower()} BEFORE {acts} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION sycee_only_added_to()"
        )
