"""Ends of files: a file that is paid as a whole was settled or discarded; of another, every row has a result."""

from __future__ import annotations

import threading
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.bulk import results
from sycee.bulk.files import File, get
from sycee.bulk.tables import FILES, OPEN
from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.records.bulk_rows import Mode, RowCode
from sycee.database.events import EventKind, record_event
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write

ANSWERED: Final = "answered"  # of a file whose rows are paid one by one: every row has a result
FILES_MAX: Final = 64  # files in memory, the newest


def record_end(connection: Connection, stores: Stores, id: int, state: str, **values: Any) -> None:
    """Store the end of a file with other columns, and record its event; nothing if the file has ended.

    `state`: the new state of a file that is paid as a whole, else ANSWERED, and the file stays open: the same rows sent
    again are answered with their first results.
    """
    now_ns = read_ns(stores.clock)
    chosen = (FILES.c.id == id) & FILES.c.ended_ns.is_(None)
    kept = {} if state == ANSWERED else {"state": state}
    if not connection.execute(FILES.update().where(chosen).values({"ended_ns": now_ns} | kept | values)).rowcount:
        return
    file = get(connection, id)
    data = {"payer": ids.format(file.payer), "state": state, "rows": file.content.rows}
    record_event(connection, stores.clock, EventKind.BULK_ENDED, ids.format(id), operator=file.operator, data=data)


class Answered:
    """Finds the moment when every row of a file has a result, whose rows are paid one by one."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._lock = threading.Lock()
        self._answered: dict[int, set[int]] = {}  # batches with results, by file
        self._waiting: dict[int, int] = {}  # a batch without results, by file

    def note(self, file: File, number: int) -> None:
        """Note that a batch was answered; record the end of the file if it was the last one.

        Batches arrive in any order. The results of other batches are read when one that had none was answered.
        """
        if file.content.mode is not Mode.EACH or file.ended_ns is not None:
            return
        with self._lock:
            while file.id not in self._answered and len(self._answered) >= FILES_MAX:
                self._forget(next(iter(self._answered)))
            if self._waiting.get(file.id, number) != number:
                self._answered.setdefault(file.id, set()).add(number)
                return
            if self._all_answered(file, self._answered.setdefault(file.id, set())):
                self._end(file.id)

    def find_ended(self) -> None:
        """Record the end of files that a kill interrupted between the last answer and its event."""
        chosen = (FILES.c.mode == Mode.EACH.value) & (FILES.c.state == OPEN) & FILES.c.ended_ns.is_(None)
        with reading(self._stores.engine) as connection:
            unfinished = [File.of(row) for row in connection.execute(sqlalchemy.select(FILES).where(chosen))]
        for each in unfinished:
            if self._all_answered(each, set()):
                self._end(each.id)

    def _all_answered(self, file: File, answered: set[int]) -> bool:
        """Return whether every row has a result; otherwise wait for the last batch without."""
        for number in reversed(range(file.content.count)):
            if number in answered:
                continue
            found, _ = results.read(self._stores, file, number)
            if (found.codes == RowCode.NOT_PAID_YET).any():
                self._waiting[file.id] = number
                return False
            answered.add(number)
        return True

    def _end(self, id: int) -> None:
        self._forget(id)
        write(self._stores.engine, lambda connection: record_end(connection, self._stores, id, ANSWERED))

    def _forget(self, id: int) -> None:
        self._answered.pop(id, None)
        self._waiting.pop(id, None)
