"""Insert many rows fast: no object per row, and COPY on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from sycee.database.engines import is_sqlite


def insert_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of values in the order of `columns`.

    Values are those of the driver: an id is the 16 bytes of `columns.id_bytes`. Raises the driver's errors, which
    `write` translates.
    """
    names = ", ".join(f'"{table.c[name].name}"' for name in columns)
    if is_sqlite(connection):
        places = ", ".join("?" * len(columns))
        values = [tuple(row) for row in rows]
        if values:
            connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({places})', values)  # noqa: S608
        return
    driver: Any = connection.connection
    statement = f'COPY "{table.name}" ({names}) FROM STDIN'
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as error:
        # SQLAlchemy does not see a COPY: without its error, `write` would neither translate nor retry.
        raise DBAPIError.instance(
            statement, None, error, connection.dialect.loaded_dbapi.Error, hide_parameters=True,
            dialect=connection.dialect,
        ) from error  # fmt: skip
