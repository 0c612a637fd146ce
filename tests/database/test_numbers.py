"""Numbers are allocated once, and rows are inserted in bulk, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import sqlalchemy
from sqlalchemy.engine import Connection, Engine
from tests.database.places import opened

from sycee.core import ids
from sycee.core.clock import FixedClock
from sycee.core.errors import IntegrityError, UsageError
from sycee.database import tables
from sycee.database.bulk import any_of, insert_columns, insert_rows, update_columns
from sycee.database.columns import id_bytes, ids_bytes
from sycee.database.migrations import upgrade
from sycee.database.numbers import Numbers
from sycee.database.transactions import reading, write

NUMBERS = Numbers(FixedClock(5))


@pytest.fixture
def engine(where: str) -> Iterator[Engine]:
    with opened(where) as made:
        upgrade(made, tables.SCHEMA)
        yield made


def allocate(engine: Engine, kind: str, owner: str, count: int = 1) -> int:
    return write(engine, lambda connection: NUMBERS.allocate(connection, kind, owner, count))


def test_the_same_owner_gets_the_same_numbers(engine: Engine) -> None:
    assert allocate(engine, Numbers.OPERATORS, "north") == 2
    assert allocate(engine, Numbers.OPERATORS, "south") == 3
    assert allocate(engine, Numbers.OPERATORS, "north") == 2
    assert allocate(engine, Numbers.RULE_SETS, "tiers", 4) == 1
    assert allocate(engine, Numbers.RULE_SETS, "next") == 5
    assert allocate(engine, Numbers.BANK_RULE_SETS, "north") == 60_001
    with pytest.raises(UsageError, match="tiers has 4 numbers of kind rule-set, not 3"):
        allocate(engine, Numbers.RULE_SETS, "tiers", 3)


def test_nothing_is_allocated_outside_the_range(engine: Engine) -> None:
    assert allocate(engine, Numbers.GROUPS, "all but one", 4_095) == 1
    assert allocate(engine, Numbers.GROUPS, "last") == 4_096
    with pytest.raises(UsageError, match="no 1 numbers of kind group are left"):
        allocate(engine, Numbers.GROUPS, "one more")
    with pytest.raises(UsageError, match="kind 'colour'"):
        allocate(engine, "colour", "red")


def test_eight_threads(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(lambda at: allocate(engine, Numbers.PROGRAMMES, f"owner {at % 16}", 3), range(32)))
    assert len(set(firsts)) == 16
    assert sorted(set(firsts)) == list(range(1, 49, 3))


def test_rows_in_bulk(engine: Engine) -> None:
    runs = tables.RUNS
    rows = [(id_bytes(2**100 + at), at, 7, 9) for at in range(3_000)]

    def insert(connection: Connection) -> None:
        insert_rows(connection, runs, ["run", "job", "due_ns", "finished_ns"], iter(rows))
        insert_rows(connection, runs, ["run", "job", "due_ns", "finished_ns"], [])

    write(engine, insert)
    with reading(engine) as connection:
        assert connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(runs)) == 3_000
        row = connection.execute(sqlalchemy.select(runs).where(runs.c.run == 2**100 + 77)).one()
        assert tuple(row) == (2**100 + 77, 77, 7, 9)


def test_rows_in_bulk_by_columns(engine: Engine) -> None:
    """Numbers, texts and bytes of any length, also empty, are stored as the rows of the table have them."""
    size, intents = 300, tables.INTENTS
    columns: dict[str, Any] = {
        "id": ids_bytes(ids.generate(size, time_ms=1)),
        "payload": ["", "W*** 王", "a\nb" * 20] * 100,
        "results": [b"", b"\0\xff" * 9, b"\0"] * 100,
        "size": np.arange(size) * 10**6,
        "action": "town.found", "state": "pending", "digest": "", "valid_until_ns": 1, "who": id_bytes(9),
        "made_ns": 2, "reason": "",
    }  # fmt: skip

    def insert(connection: Connection) -> None:
        insert_columns(connection, intents, columns)
        insert_columns(connection, intents, {"id": columns["id"][:0], "action": "town.found"})

    write(engine, insert)
    with reading(engine) as connection:
        rows = connection.execute(sqlalchemy.select(intents).order_by(intents.c.id)).all()
        assert [id_bytes(row.id) for row in rows] == [each.tobytes() for each in columns["id"]]
        assert [(row.payload, bytes(row.results)) for row in rows] == list(
            zip(columns["payload"], columns["results"], strict=True)
        )
        assert [row.size for row in rows] == [at * 10**6 for at in range(size)]
        assert {(row.action, row.who, row.made_ns, row.frame) for row in rows} == {("town.found", 9, 2, None)}
        wanted = np.concatenate([ids_bytes(ids.generate(5, time_ms=2)), columns["id"][7:9]])
        for values, found in ((wanted, 2), (wanted[:0], 0)):
            condition, parameters = any_of(connection, "id", values)
            query = f"SELECT id FROM {intents.name} WHERE {condition}"  # noqa: S608 - places only
            assert len(connection.exec_driver_sql(query, parameters).all()) == found


def test_rows_that_exist_may_be_inserted_in_bulk_again(engine: Engine) -> None:
    """Constants, ascending and other numbers of every width are stored; a row that exists stays as it was."""
    size, numbers = 200, tables.NUMBERS
    columns: dict[str, Any] = {
        "kind": "a kind",
        "number": 7 + np.arange(size, dtype=np.uint16),
        "owner": [f"owner {at}" for at in range(size)],
        "at_ns": np.array([-(1 << 63), 0, (1 << 63) - 1, -1], np.int64)[np.arange(size) % 4],
    }
    first = {name: each if isinstance(each, str) else each[:150] for name, each in columns.items()}
    later = {**columns, "at_ns": np.full(size, 5, np.uint8)}
    write(engine, lambda connection: insert_columns(connection, numbers, first))
    for _ in range(2):
        write(engine, lambda connection: insert_columns(connection, numbers, later, may_exist=True))
    with reading(engine) as connection:
        chosen = sqlalchemy.select(numbers).where(numbers.c.kind == "a kind").order_by(numbers.c.number)
        rows = connection.execute(chosen).all()
    at_ns = [*columns["at_ns"][:150].tolist(), *[5] * 50]
    assert [tuple(row) for row in rows] == [("a kind", 7 + at, f"owner {at}", at_ns[at]) for at in range(size)]


def test_rows_are_changed_in_bulk(engine: Engine) -> None:
    """Columns of the rows that are found are set, each to its own value; other rows stay as they were."""
    size, numbers = 200, tables.NUMBERS
    columns = {"kind": "changed", "number": np.arange(size), "owner": [f"owner {at}" for at in range(size)], "at_ns": 7}
    chosen = np.arange(0, 2 * size, 3)
    changes = {"number": chosen, "owner": [f"new 王 {at}" for at in chosen.tolist()], "at_ns": chosen * 10**9}

    def change(connection: Connection) -> None:
        insert_columns(connection, numbers, columns)
        for _ in range(2):
            update_columns(connection, numbers, changes, key="number")
        update_columns(connection, numbers, {"number": chosen[:0], "owner": []}, key="number")

    write(engine, change)
    with reading(engine) as connection:
        rows = connection.execute(sqlalchemy.select(numbers).order_by(numbers.c.number)).all()
    expected = [
        ("changed", at, f"owner {at}" if at % 3 else f"new 王 {at}", 7 if at % 3 else at * 10**9) for at in range(size)
    ]
    assert [tuple(row) for row in rows if row.kind == "changed"] == expected


def test_a_conflict_in_bulk_is_retried_or_translated(engine: Engine) -> None:
    columns, attempts = ["run", "job", "due_ns", "finished_ns"], []
    write(engine, lambda connection: insert_rows(connection, tables.RUNS, columns, [(id_bytes(1), 1, 2, 3)]))

    def again(connection: Connection) -> int:
        attempts.append(1)
        id = 1 if len(attempts) < 3 else 2
        insert_rows(connection, tables.RUNS, columns, [(id_bytes(id), 1, 2, 3)])
        return id

    if engine.dialect.name == "sqlite":
        with pytest.raises(IntegrityError, match="append-only"):
            write(engine, again)
    else:  # a row that another writer inserted is a conflict: the work runs again
        assert write(engine, again) == 2
        assert len(attempts) == 3
