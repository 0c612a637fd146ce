"""Notices to persons: rows of an outbox with sealed addresses, which a delivery service sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core.clock import Clock, read_ns
from sycee.database.transactions import reading, write
from sycee.life.tables import OUTBOX

# Codes of texts. The delivery service has their wording in each language.
KEY_REPLACED: Final = "KEY_REPLACED"  # somebody proved to be you and set a new key: object within 24 hours
WALLET_BLOCKED: Final = "WALLET_BLOCKED"


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to send. `channel_sealed`: the person's phone, sealed for the place "channel"."""

    id: int
    person: int
    channel_sealed: bytes
    text: str
    at_ns: int


class Notices(Protocol):
    """Receiver of notices."""

    def send(self, connection: Connection, id: int, person: int, channel_sealed: bytes, text: str) -> None:
        """Store a notice in the caller's transaction. The same id again changes nothing."""
        ...

    def recall(self, connection: Connection, id: int) -> None:
        """Remove a notice that was not sent yet."""
        ...


class Outbox:
    """Notices as rows of the database."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine, self._clock = engine, clock

    def send(self, connection: Connection, id: int, person: int, channel_sealed: bytes, text: str) -> None:
        """Store a notice in the caller's transaction. The same id again changes nothing."""
        if connection.scalar(sqlalchemy.select(OUTBOX.c.id).where(OUTBOX.c.id == id)) is None:
            row = {"id": id, "person": person, "channel_sealed": channel_sealed, "text": text}
            connection.execute(OUTBOX.insert().values(**row, at_ns=read_ns(self._clock)))

    def recall(self, connection: Connection, id: int) -> None:
        """Remove a notice that was not sent yet."""
        connection.execute(OUTBOX.delete().where(OUTBOX.c.id == id, OUTBOX.c.sent_ns.is_(None)))

    def forget(self, connection: Connection, person: int) -> None:
        """Remove all notices to a person whose data is shredded: their address cannot be read any more."""
        connection.execute(OUTBOX.delete().where(OUTBOX.c.person == person))

    def waiting(self) -> list[Notice]:
        """Return the notices that were not sent yet, oldest first."""
        query = sqlalchemy.select(OUTBOX).where(OUTBOX.c.sent_ns.is_(None)).order_by(OUTBOX.c.id)
        with reading(self._engine) as connection:
            return [
                Notice(row.id, row.person, row.channel_sealed, row.text, row.at_ns) for row in connection.execute(query)
            ]

    def deliver(self, send: Callable[[Notice], None]) -> int:
        """Pass each waiting notice to `send`, and mark it as sent once `send` returned; return their number.

        A crash between the two sends a notice twice, never zero times.
        """
        waiting = self.waiting()
        for notice in waiting:
            send(notice)
            self._mark(notice)
        return len(waiting)

    def _mark(self, notice: Notice) -> None:
        sent = OUTBOX.update().where(OUTBOX.c.id == notice.id).values(sent_ns=read_ns(self._clock))
        write(self._engine, lambda connection: connection.execute(sent))
