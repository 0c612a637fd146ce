"""Insert many rows fast: no object per row, and COPY on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Connection

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
    with driver.cursor() as cursor, cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(row)
