"""Events of registers: with the change or not at all, numbered without gaps."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy.engine import Connection, Engine

from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, UsageError
from sycee.database import tables
from sycee.database.engines import engine
from sycee.database.events import EventKind, RegisterEvent, events_after, newest_event, record_event
from sycee.database.migrations import upgrade
from sycee.database.transactions import write

CLOCK = SimulatedClock(7)


@pytest.fixture
def database(where: str) -> Iterator[Engine]:
    made = engine(where)
    upgrade(made, tables.SCHEMA)
    yield made
    made.dispose()


def add(database: Engine, subject: str) -> int:
    return write(database, lambda connection: record_event(connection, CLOCK, EventKind.CASE_OPENED, subject))


def test_an_event_is_stored_with_its_change_and_stays(database: Engine) -> None:
    def fails(connection: Connection) -> None:
        record_event(connection, CLOCK, EventKind.DAY_CLOSED, "2026-11-02")
        raise UsageError("the change is refused")

    assert newest_event(database) == 0
    with pytest.raises(UsageError, match="refused"):
        write(database, fails)
    assert add(database, "1") == 1

    def two(connection: Connection) -> None:
        record_event(connection, CLOCK, EventKind.BREAK_OPENED, "4", operator=2, data={"kind": "transit"})
        record_event(connection, CLOCK, EventKind.BREAK_OPENED, "5")

    write(database, two)
    found = events_after(database, 1, most=10)
    assert found[0] == RegisterEvent(2, EventKind.BREAK_OPENED, "4", 2, 7, {"kind": "transit"})
    assert [each.number for each in found] == [2, 3]
    assert [each.subject for each in events_after(database, 0, most=2)] == ["1", "4"]
    assert newest_event(database) == 3
    with pytest.raises(IntegrityError, match="append-only"):
        write(database, lambda connection: connection.execute(tables.EVENTS.delete()))


def test_changes_at_once_leave_no_gap(database: Engine) -> None:
    with ThreadPoolExecutor(4) as threads:
        numbers = list(threads.map(lambda number: add(database, str(number)), range(24)))
    assert sorted(numbers) == list(range(1, 25))
    assert [each.number for each in events_after(database, 0, most=100)] == list(range(1, 25))
