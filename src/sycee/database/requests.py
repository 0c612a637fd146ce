"""Requests by id: a request that is sent again gets its first answer, and its id cannot be used for another request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core import ids
from sycee.core.canonical_json import canonical
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import UsageError
from sycee.core.keyed_locks import KeyedLocks
from sycee.database.tables import REQUESTS
from sycee.database.transactions import reading, write


class RequestConflict(UsageError):
    """The id belongs to another request, or to another caller."""


class StoredRequests:
    """The requests of one bank. Store no personal data in an answer."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self.in_progress: KeyedLocks[int] = KeyedLocks()

    def alone(self, id: int) -> AbstractContextManager[None]:
        """Let one thread at a time work on the request of an id; a later thread finds the stored answer.

        One process has the data folder open, so no other process works on the request.
        """
        return self.in_progress.holding(id)

    def find(self, id: int, who: int, name: str, digest: str) -> Mapping[str, Any] | None:
        """Return the answer to a request, or None if it has none yet. Raises RequestConflict if the id has another."""
        with reading(self._engine) as connection:
            return self._answer(connection, id, who, name, digest)

    def begin(self, id: int, who: int, name: str, digest: str) -> Mapping[str, Any] | None:
        """Bind an id to a request before its work; return the answer if it has one. Raises as `find`.

        `who`: the person who asks, 0 for nobody. `digest`: 64 hexadecimal digits of a keyed digest of the content.
        """
        return write(self._engine, lambda connection: self._begin(connection, id, who, name, digest))

    def finish(self, id: int, answer: Mapping[str, Any]) -> None:
        """Store the answer to a request that was begun; a stored answer stays as it is."""
        write(self._engine, lambda connection: _finish(connection, id, answer))

    def store(
        self, connection: Connection, id: int, who: int, name: str, digest: str, answer: Mapping[str, Any]
    ) -> None:
        """Bind an id and store its answer in the transaction of the request's change. Raises as `find`.

        A crash then leaves both or neither: the request that is sent again changes nothing a second time.
        """
        self._begin(connection, id, who, name, digest)
        _finish(connection, id, answer)

    def prune(self, before_ns: int) -> int:
        """Delete requests that began before a time; return their number. Their ids stay bound in the ledger."""
        return write(
            self._engine,
            lambda connection: connection.execute(REQUESTS.delete().where(REQUESTS.c.at_ns < before_ns)).rowcount,
        )

    def _begin(self, connection: Connection, id: int, who: int, name: str, digest: str) -> Mapping[str, Any] | None:
        query = sqlalchemy.select(REQUESTS.c.id).where(REQUESTS.c.id == id)
        if connection.execute(query).first() is None:
            row = {"id": id, "who": who, "name": name, "digest": digest, "at_ns": read_ns(self._clock)}
            connection.execute(REQUESTS.insert().values(row))
            return None
        return self._answer(connection, id, who, name, digest)

    def _answer(self, connection: Connection, id: int, who: int, name: str, digest: str) -> Mapping[str, Any] | None:
        row = connection.execute(sqlalchemy.select(REQUESTS).where(REQUESTS.c.id == id)).first()
        if row is None:
            return None
        if (row.who, row.name, row.digest) != (who, name, digest):
            raise RequestConflict(
                f"the id {ids.format(id)} belongs to another request", hint="use a fresh id for a new request"
            )
        answer: Mapping[str, Any] | None = None if row.answer is None else json.loads(row.answer)
        return answer


def _finish(connection: Connection, id: int, answer: Mapping[str, Any]) -> None:
    chosen = (REQUESTS.c.id == id) & REQUESTS.c.answer.is_(None)
    connection.execute(REQUESTS.update().where(chosen).values(answer=canonical(answer).decode()))
