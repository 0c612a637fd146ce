"""Insert and find many rows fast: one statement without an object per value on SQLite, and COPY on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any, Final, TypeAlias

import numpy as np
from sqlalchemy import Table
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from sycee.core.arrays import Array, Bytes
from sycee.core.limits import I64_MAX
from sycee.database.engines import is_sqlite

# (n, width) uint8: n byte strings of one length. (n,) integers of 64 bits. A list: n texts or byte strings. Any other
# value is that of all rows.
Values: TypeAlias = Any

# The row numbers from 0 to the parameter. SQLite has no series of numbers besides this one.
_ROWS: Final = "WITH RECURSIVE row (at) AS (SELECT 0 UNION ALL SELECT at + 1 FROM row WHERE at < ?)"
_DIGITS: Final = 12  # of a length or place, a number from 0 to 10**12 - 1, in a parameter
_WIDTHS: Final = (4, 8, 12, 16, 20)  # digits of other numbers: of their distance from the least
_FOUR_DIGITS: Final = np.frombuffer(b"".join(b"%04d" % number for number in range(10_000)), np.uint8).reshape(-1, 4)


def insert_rows(connection: Connection, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows of values in the order of `columns`.

    Values are those of the driver: an id is the 16 bytes of `columns.id_bytes`. Raises the driver's errors, which
    `write` translates.
    """
    names = _names(table, columns)
    if is_sqlite(connection):
        places = ", ".join("?" * len(columns))
        values = [tuple(row) for row in rows]
        if values:
            connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) VALUES ({places})', values)  # noqa: S608
    else:
        _copy(connection, f'COPY "{table.name}" ({names}) FROM STDIN', rows)


def insert_columns(
    connection: Connection, table: Table, columns: Mapping[str, Values], *, may_exist: bool = False
) -> None:
    """Insert the n rows that `columns` give; one of them at least is no constant. Errors as `insert_rows`.

    `may_exist`: rows whose key is in the table already are omitted. On SQLite one statement inserts all rows and has
    few parameters per column, so that other threads run meanwhile.
    """
    count = next(len(values) for values in columns.values() if isinstance(values, np.ndarray | list))
    names = _names(table, columns)
    if not count:
        return
    if is_sqlite(connection):
        parts = [_expression(values) for values in columns.values()]
        selected = ", ".join(expression for expression, _ in parts)
        insert = "INSERT OR IGNORE" if may_exist else "INSERT"
        statement = f'{insert} INTO "{table.name}" ({names}) {_ROWS} SELECT {selected} FROM row'  # noqa: S608
        connection.exec_driver_sql(statement, (count - 1, *(each for _, found in parts for each in found)))
    else:
        rows = zip(*(_cells(values) for values in columns.values()), strict=False)
        target = f"{table.name}_copied" if may_exist else table.name
        if may_exist:
            like = f'CREATE TEMPORARY TABLE "{target}" (LIKE "{table.name}" INCLUDING DEFAULTS) ON COMMIT DROP'
            connection.exec_driver_sql(like)
        _copy(connection, f'COPY "{target}" ({names}) FROM STDIN', rows)
        if may_exist:
            chosen = f'SELECT {names} FROM "{target}" ON CONFLICT DO NOTHING'  # noqa: S608
            connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) {chosen}')


def update_columns(connection: Connection, table: Table, columns: Mapping[str, Values], *, key: str) -> None:
    """Set columns of n rows: `columns` give the new values, and those of the column `key`, which find the rows.

    Errors as `insert_rows`. Rows that are not there are omitted. On SQLite one statement, as for `insert_columns`.
    """
    count = len(columns[key])
    if not count:
        return
    changed = ", ".join(f'"{name}" = "new"."{name}"' for name in columns if name != key)
    found = f'"{table.name}"."{key}" = "new"."{key}"'
    if is_sqlite(connection):
        parts = {name: _expression(values) for name, values in columns.items()}
        selected = ", ".join(f'{expression} AS "{name}"' for name, (expression, _) in parts.items())
        new = f'({_ROWS} SELECT {selected} FROM row) AS "new"'  # noqa: S608
        statement = f'UPDATE "{table.name}" SET {changed} FROM {new} WHERE {found}'  # noqa: S608
        connection.exec_driver_sql(statement, (count - 1, *(each for _, found in parts.values() for each in found)))
    else:
        names = _names(table, columns)
        empty = f'SELECT {names} FROM "{table.name}" WITH NO DATA'  # noqa: S608
        connection.exec_driver_sql(f'CREATE TEMPORARY TABLE "new" ON COMMIT DROP AS {empty}')
        _copy(
            connection,
            f'COPY "new" ({names}) FROM STDIN',
            zip(*(_cells(each) for each in columns.values()), strict=False),
        )
        connection.exec_driver_sql(f'UPDATE "{table.name}" SET {changed} FROM "new" WHERE {found}')  # noqa: S608
        connection.exec_driver_sql('DROP TABLE "new"')


def any_of(connection: Connection, column: str, values: Bytes) -> tuple[str, tuple[Any, ...]]:
    """Return the condition that a column has one of n byte strings, (n, width), in SQL, and its parameters."""
    if is_sqlite(connection):
        expression, parameters = _expression(values)
        condition = f"{column} IN ({_ROWS} SELECT {expression} FROM row)"  # noqa: S608 - places only
        return condition, (len(values) - 1, *parameters)
    return f"{column} = ANY(%s::bytea[])", (_cells(values),)


def _names(table: Table, columns: Iterable[str]) -> str:
    return ", ".join(f'"{table.c[name].name}"' for name in columns)


def _copy(connection: Connection, statement: str, rows: Iterable[Sequence[Any]]) -> None:
    driver: Any = connection.connection
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


def _cells(values: Values) -> Iterable[Any]:
    """Return a value for each row."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        content, width = values.tobytes(), values.shape[1]
        return [content[at : at + width] for at in range(0, len(content), width)]
    if isinstance(values, np.ndarray):
        cells: list[int] = values.tolist()
        return cells
    return values if isinstance(values, list) else repeat(values)


def _expression(values: Values) -> tuple[str, tuple[Any, ...]]:
    """Return the SQLite expression of the value in row `at`, and its parameters."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        width = values.shape[1]
        return f"substr(?, at * {width} + 1, {width})", (values.tobytes(),)
    if isinstance(values, np.ndarray):
        least = int(values.min())
        distances = (values - values.dtype.type(least)).astype(np.uint64)
        most = int(distances.max(initial=0))
        if not most:
            return "?", (least,)
        if most > I64_MAX:  # SQLite has no digits of a larger number
            (high, of_high), (low, of_low) = _expression(values >> 32), _expression(values & 0xFFFF_FFFF)
            return f"({high}) * {1 << 32} + ({low})", (*of_high, *of_low)
        if most == len(values) - 1 and (np.diff(distances) == 1).all():
            return "? + at", (least,)
        width = next(width for width in _WIDTHS if most < 10**width)
        return f"? + {_number(0, 1, width)}", (least, _digits(distances, width))
    if not isinstance(values, list):
        return "?", (values,)
    if values.count(values[0]) == len(values):
        return "?", (values[0],)
    is_text = isinstance(values[0], str)
    parts = [each.encode() for each in values] if is_text else values
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    places = _digits(np.stack([np.cumsum(lengths) - lengths + 1, lengths], axis=1))
    part = f"substr(?, {_number(0, 2)}, {_number(1, 2)})"
    content = b"".join(parts) + b"\0"  # a part of an empty parameter would be NULL
    return f"CAST({part} AS TEXT)" if is_text else part, (content, places, places)


def _number(index: int, count: int, width: int = _DIGITS) -> str:
    """Return the expression of number `index` of the `count` numbers in row `at` of a parameter made by `_digits`."""
    return f"CAST(substr(?, at * {width * count} + {width * index + 1}, {width}) AS INTEGER)"


def _digits(numbers: Array, width: int = _DIGITS) -> bytes:
    """Return numbers as decimal digits of one length, a multiple of four."""
    made = np.empty((*numbers.shape, width), np.uint8)
    rest = numbers.astype(np.uint64)
    for at in range(width - 4, -1, -4):
        higher = rest // np.uint64(10_000)
        made[..., at : at + 4] = _FOUR_DIGITS[rest - higher * np.uint64(10_000)]
        rest = higher
    return made.tobytes()
