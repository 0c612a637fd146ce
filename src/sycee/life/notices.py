"""Messages to the phones of persons: rows of an outbox with sealed addresses, which a delivery service sends."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Final, Protocol

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core import ids
from sycee.core.clock import Clock, RealClock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.database.transactions import Also, nothing_else, reading, write
from sycee.life.tables import DEAD, EXPIRED, OUTBOX, SENT, WAITING

# Codes of texts. The delivery service has their wording in each language.
KEY_REPLACED: Final = "KEY_REPLACED"  # somebody proved to be you and set a new key: object within 24 hours
WALLET_BLOCKED: Final = "WALLET_BLOCKED"
LOGIN_CODE: Final = "LOGIN_CODE"  # with a secret: the second half of a code for a login
LOGIN_INVITED: Final = "LOGIN_INVITED"
LOGIN_CREATED: Final = "LOGIN_CREATED"
LOGIN_PASSKEY_ADDED: Final = "LOGIN_PASSKEY_ADDED"
LOGIN_RECOVERY: Final = "LOGIN_RECOVERY"
PROGRAM_REGISTERED: Final = "PROGRAM_REGISTERED"

WITH_SECRET: Final = frozenset({LOGIN_CODE})
DELIVER: Final = "message.deliver"


@dataclass(frozen=True, slots=True)
class Addressed:
    """A message to the phone of a person, for `Outbox.send`. `Life.addressed` makes it.

    - `channel_sealed`, `secret_sealed`: phone and secret, sealed under the person's key.
    - `until_ns`: by the machine's clock; from then on the message is not sent. 0: no end.
    """

    person: int
    text: str
    channel_sealed: bytes = field(repr=False)
    secret_sealed: bytes | None = field(default=None, repr=False)
    until_ns: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """A message of the outbox, with everything sealed. `attempts`: failed ones; `reason`: of the last one."""

    id: int
    person: int
    text: str
    at_ns: int
    until_ns: int
    state: str
    attempts: int
    retry_ns: int
    reason: str
    channel_sealed: bytes = field(repr=False)
    secret_sealed: bytes | None = field(repr=False)


class Notices(Protocol):
    """Receiver of messages."""

    def send(self, connection: Connection, id: int, message: Addressed) -> None:
        """Store a message in the caller's transaction. The same id again changes nothing."""
        ...

    def recall(self, connection: Connection, id: int) -> None:
        """Remove a message that was not sent yet."""
        ...


class Outbox:
    """Messages as rows of the database. `machine`: the clock of ends and retries, also in a rehearsal."""

    def __init__(self, engine: Engine, clock: Clock, machine: Clock | None = None) -> None:
        self._engine, self._clock = engine, clock
        self.machine: Clock = machine or RealClock()

    def send(self, connection: Connection, id: int, message: Addressed) -> None:
        """Store a message in the caller's transaction. The same id again changes nothing."""
        if connection.scalar(sqlalchemy.select(OUTBOX.c.id).where(OUTBOX.c.id == id)) is None:
            row = {
                "id": id,
                "person": message.person,
                "channel_sealed": message.channel_sealed,
                "text": message.text,
                "at_ns": read_ns(self._clock),
                "secret_sealed": message.secret_sealed,
                "until_ns": message.until_ns,
                "state": WAITING,
                "attempts": 0,
                "retry_ns": 0,
                "reason": "",
            }
            connection.execute(OUTBOX.insert().values(row))

    def recall(self, connection: Connection, id: int) -> None:
        """Remove a message that was not sent yet."""
        connection.execute(OUTBOX.delete().where(OUTBOX.c.id == id, OUTBOX.c.state != SENT))

    def forget(self, connection: Connection, person: int) -> None:
        """Remove all messages to a person whose data is shredded: their address cannot be read any more."""
        connection.execute(OUTBOX.delete().where(OUTBOX.c.person == person))

    # --- reading ---

    def waiting(self) -> list[Notice]:
        """Return the messages that wait, also those whose next attempt is later, oldest first."""
        return self._select(OUTBOX.c.state == WAITING, OUTBOX.c.id)

    def due(self) -> Notice | None:
        """Return the message to try now: those with an end first, then the oldest. Those that are over expire."""
        self.expire()
        due = (OUTBOX.c.state == WAITING) & (OUTBOX.c.retry_ns <= read_ns(self.machine))
        return next(iter(self._select(due, OUTBOX.c.until_ns == 0, OUTBOX.c.id, most=1)), None)

    def undelivered(self, *, after: int = 0, most: int | None = None) -> list[Notice]:
        """Return the messages that wait, are dead letters or have expired, oldest first; `most` after an id."""
        self.expire()
        chosen = OUTBOX.c.state.in_((WAITING, DEAD, EXPIRED)) & (OUTBOX.c.id > after)
        return self._select(chosen, OUTBOX.c.id, most=most)

    # --- delivery ---

    def expire(self) -> None:
        """End the messages that wait and whose end has come: they have no secret any more."""
        over = (OUTBOX.c.until_ns > 0) & (OUTBOX.c.until_ns <= read_ns(self.machine))
        waiting = (OUTBOX.c.state == WAITING) & over
        with reading(self._engine) as connection:  # so that nothing is written at most calls
            if connection.scalar(sqlalchemy.select(OUTBOX.c.id).where(waiting).limit(1)) is None:
                return
        expired = OUTBOX.update().where(waiting).values(state=EXPIRED, secret_sealed=None)
        write(self._engine, lambda connection: connection.execute(expired))

    def sent(self, id: int) -> None:
        """Mark a message as sent. A crash before this sends it twice, never zero times."""
        self._change(id, state=SENT, sent_ns=read_ns(self._clock), secret_sealed=None, reason="")

    def failed(self, id: int, reason: str, retry_ns: int) -> None:
        """Store a failed attempt; the next one is not before `retry_ns`."""
        self._change(id, attempts=OUTBOX.c.attempts + 1, reason=reason, retry_ns=retry_ns)

    def bury(self, id: int, reason: str) -> None:
        """Make a message a dead letter after its last attempt. It has no secret any more."""
        self._change(id, attempts=OUTBOX.c.attempts + 1, reason=reason, state=DEAD, secret_sealed=None)

    def hurry(self) -> None:
        """Let the messages that wait be due now, without the delay after a failed attempt."""
        now = OUTBOX.update().where(OUTBOX.c.state == WAITING, OUTBOX.c.retry_ns > 0).values(retry_ns=0)
        write(self._engine, lambda connection: connection.execute(now))

    def again(self, id: int, *, also: Also = nothing_else) -> None:
        """Have a dead letter sent again. `also` writes in the same transaction.

        Raises NotFound without such a message; UsageError if it had a secret, was sent or has expired.
        """

        def work(connection: Connection) -> None:
            query = sqlalchemy.select(OUTBOX.c.state, OUTBOX.c.text).where(OUTBOX.c.id == id)
            row = connection.execute(query).one_or_none()
            name = ids.format(id)
            if row is None:
                raise NotFound(f"there is no message {name}", hint="list the messages that were not delivered")
            if row.text in WITH_SECRET:
                raise UsageError(
                    f"message {name} had a secret, which is removed when a message is given up",
                    hint="invite the person again: a new code has a new message",
                )
            if row.state not in (DEAD, WAITING):
                raise UsageError(f"message {name} is {row.state}, not dead", hint="only dead letters are sent again")
            values = {"state": WAITING, "attempts": 0, "retry_ns": 0}
            connection.execute(OUTBOX.update().where(OUTBOX.c.id == id, OUTBOX.c.state == DEAD).values(values))
            also(connection)

        write(self._engine, work)

    def _change(self, id: int, **values: Any) -> None:
        """Change a message that still waits: one that was recalled or has expired meanwhile stays as it is."""
        changed = OUTBOX.update().where(OUTBOX.c.id == id, OUTBOX.c.state == WAITING).values(values)
        write(self._engine, lambda connection: connection.execute(changed))

    def _select(self, where: sqlalchemy.ColumnElement[bool], *order: Any, most: int | None = None) -> list[Notice]:
        query = sqlalchemy.select(*(OUTBOX.c[each.name] for each in fields(Notice))).where(where).order_by(*order)
        with reading(self._engine) as connection:
            return [Notice(**row._mapping) for row in connection.execute(query.limit(most))]
