"""Rows of SQL tables as lines of JSON, the same for SQLite and PostgreSQL.

The first line names the table and its columns. Each further line is one row: a list, with bytes and ids as hexadecimal
text. A dump is loaded into empty tables of the same revisions only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Boolean, Column, Integer, LargeBinary, Table, func, select
from sqlalchemy.engine import Connection

from sycee.core.errors import IntegrityError
from sycee.database.bulk import insert_rows
from sycee.database.columns import Id128
from sycee.database.engines import is_sqlite
from sycee.database.migrations import Schema

BLOCK_BYTES: Final = 1 << 18
ROWS: Final = 10_000  # of one insert


def tables_of(schemas: Sequence[Schema]) -> list[Table]:
    """Return all tables in an order in which each row follows the rows that it refers to."""
    return [table for schema in schemas for table in schema.tables.sorted_tables]


def dump(connection: Connection, table: Table) -> Iterator[bytes]:
    """Yield the lines of a table in blocks, in the order of its primary key."""
    columns = list(table.columns)
    head = {"table": table.name, "columns": [column.name for column in columns]}
    block = bytearray(json.dumps(head).encode() + b"\n")
    order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    names = ", ".join(f'"{column.name}"' for column in columns)
    packers = [_packer(column) for column in columns]
    streaming = connection.execution_options(stream_results=True, yield_per=ROWS)
    rows = streaming.exec_driver_sql(f'SELECT {names} FROM "{table.name}" ORDER BY {order}')  # noqa: S608
    for row in rows:
        values = [pack(value) for pack, value in zip(packers, row, strict=True)]
        block += json.dumps(values, separators=(",", ":")).encode() + b"\n"
        if len(block) >= BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    yield bytes(block)


def load(connection: Connection, table: Table, lines: Iterable[bytes]) -> int:
    """Insert the rows of a dump into an empty table; return their number.

    Raises IntegrityError if the dump is of another table or has other columns, or the table has rows.
    """
    if connection.execute(select(table).limit(1)).first() is not None:
        raise IntegrityError(f"the table {table.name} is not empty", hint="name a new database")
    found = iter(lines)
    columns = list(table.columns)
    head = json.loads(next(found, b"{}"))
    expected = {"table": table.name, "columns": [column.name for column in columns]}
    if head != expected:
        raise IntegrityError(f"the dump of {table.name} is of another form", hint="use the release that wrote it")
    unpackers = [_unpacker(column) for column in columns]
    total = 0
    batch: list[list[Any]] = []
    for line in found:
        batch.append([unpack(value) for unpack, value in zip(unpackers, json.loads(line), strict=True)])
        if len(batch) == ROWS:
            insert_rows(connection, table, expected["columns"], batch)
            total += len(batch)
            batch = []
    insert_rows(connection, table, expected["columns"], batch)
    _continue_numbers(connection, table)
    return total + len(batch)


def lines_of(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines of a stream of blocks, which may be divided anywhere."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _packer(column: Column[Any]) -> Any:
    if isinstance(column.type, LargeBinary | Id128):
        return lambda value: None if value is None else bytes(value).hex()
    if isinstance(column.type, Boolean):
        return lambda value: None if value is None else bool(value)
    return lambda value: value


def _unpacker(column: Column[Any]) -> Any:
    if isinstance(column.type, LargeBinary | Id128):
        return lambda value: None if value is None else bytes.fromhex(value)
    return lambda value: value


def _continue_numbers(connection: Connection, table: Table) -> None:
    """On PostgreSQL, make the next number of an auto-incremented key follow the loaded ones."""
    column = table.autoincrement_column
    if is_sqlite(connection) or column is None or not isinstance(column.type, Integer):
        return
    sequence = connection.scalar(select(func.pg_get_serial_sequence(table.name, column.name)))
    last = connection.scalar(select(func.max(column)))
    if sequence and last:
        connection.execute(select(func.setval(sequence, last)))
