"""Webhooks as stored: registered by programs, with a position in the feed, failures and dead letters."""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.database.events import EventKind, record_event
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.server.auth.caller import Caller, CallerKind
from sycee.server.events.feed import Cursor
from sycee.server.events.kinds import NAMES
from sycee.server.events.sender import check_url
from sycee.server.events.tables import ACTIVE, DEAD, DEAD_LETTERS, DISABLED, WAITING, WEBHOOKS

WEBHOOKS_PER_CLIENT_MAX: Final = 10
WEBHOOKS_MAX: Final = 500  # of one server: each has a task and a connection
BURIED_MAX: Final = 3  # dead letters one after the other that disable a webhook
DEAD_LETTERS_SHOWN_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook. `types` is empty for all; `failures`: attempts for the event after `cursor`."""

    id: int
    client: int
    person: int
    operator: int | None
    url: str
    types: frozenset[str]
    cursor: Cursor
    state: str
    failures: int
    buried: int
    retry_ns: int
    made_ns: int
    reason: str

    @property
    def caller(self) -> Caller:
        """Return the caller for whom events are chosen: the program that registered the webhook."""
        return Caller(CallerKind.MACHINE, "", self.person, self.client, self.operator)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that could not be delivered, by its number."""

    event: str
    type: str
    reason: str
    state: str
    attempts: int
    at_ns: int


class Webhooks:
    """The webhooks of one server. Threads may share it. `clock`: the machine's."""

    def __init__(self, stores: Stores, clock: Clock) -> None:
        self._stores = stores
        self._engine = stores.engine
        self._clock = clock

    def register(self, id: int, caller: Caller, url: str, types: Collection[str], cursor: Cursor) -> None:
        """Register a webhook of a program. The same id again changes nothing.

        Raises UsageError for a caller that is no program, a wrong URL or type, and too many webhooks.
        """
        if caller.kind is not CallerKind.MACHINE:
            raise UsageError("a webhook belongs to a program", hint="register it with the program's access token")
        check_url(url)
        if unknown := sorted(set(types) - set(NAMES)):
            raise UsageError(f"there is no type of events {unknown[0][:60]!a}", hint="the page of events lists them")

        def work(connection: Connection) -> None:
            if (earlier := _row(connection, id)) is not None:
                if earlier.client != caller.client:
                    raise UsageError(f"another webhook has the id {ids.format(id)}", hint="use a fresh id")
                return
            count = sqlalchemy.select(sqlalchemy.func.count()).select_from(WEBHOOKS)
            mine = connection.scalar(count.where(WEBHOOKS.c.client == caller.client)) or 0
            if mine >= WEBHOOKS_PER_CLIENT_MAX or (connection.scalar(count) or 0) >= WEBHOOKS_MAX:
                raise UsageError(
                    f"a program has up to {WEBHOOKS_PER_CLIENT_MAX} webhooks, a server {WEBHOOKS_MAX}",
                    hint="remove one that is not used",
                )
            row = {
                "id": id,
                "client": caller.client,
                "person": caller.person,
                "operator": caller.operator,
                "url": url,
                "types": " ".join(sorted(set(types))),
                "cursor": str(cursor),
                "state": ACTIVE,
                "failures": 0,
                "buried": 0,
                "retry_ns": 0,
                "made_ns": read_ns(self._clock),
                "reason": "",
            }
            connection.execute(WEBHOOKS.insert().values(row))

        write(self._engine, work)

    def all(self, *, state: str = "") -> list[Webhook]:
        """Return the webhooks, or those in one state, oldest first."""
        query = sqlalchemy.select(WEBHOOKS).order_by(WEBHOOKS.c.id)
        with reading(self._engine) as connection:
            rows = connection.execute(query.where(WEBHOOKS.c.state == state) if state else query).all()
        return [_webhook(row) for row in rows]

    def find(self, id: int) -> Webhook | None:
        """Return a webhook, or None."""
        with reading(self._engine) as connection:
            row = _row(connection, id)
        return None if row is None else _webhook(row)

    def remove(self, id: int) -> None:
        """Remove a webhook and its dead letters. Removing it again changes nothing."""

        def work(connection: Connection) -> None:
            connection.execute(DEAD_LETTERS.delete().where(DEAD_LETTERS.c.webhook == id))
            connection.execute(WEBHOOKS.delete().where(WEBHOOKS.c.id == id))

        write(self._engine, work)

    def enable(self, id: int) -> None:
        """Continue a disabled webhook after its last event, without its failures."""
        self._set(id, state=ACTIVE, failures=0, buried=0, retry_ns=0, reason="")

    def disable(self, webhook: Webhook, reason: str) -> None:
        """Stop a webhook until it is enabled, and record an event."""

        def work(connection: Connection) -> None:
            chosen = (WEBHOOKS.c.id == webhook.id) & (WEBHOOKS.c.state == ACTIVE)
            if connection.execute(WEBHOOKS.update().where(chosen).values(state=DISABLED, reason=reason)).rowcount:
                subject = ids.format(webhook.id)
                record_event(
                    connection, self._stores.clock, EventKind.WEBHOOK_DISABLED, subject, operator=webhook.operator
                )

        write(self._engine, work)

    # --- deliveries ---

    def moved(self, id: int, cursor: Cursor, *, taken: bool) -> None:
        """Store the position after events that were taken or are not wanted. `taken`: whether one was taken."""
        values: dict[str, Any] = {"buried": 0, "reason": ""} if taken else {}
        self._set(id, cursor=str(cursor), failures=0, retry_ns=0, **values)

    def failed(self, id: int, cursor: Cursor, failures: int, retry_ns: int, reason: str) -> None:
        """Store a failed attempt for the event after `cursor`."""
        self._set(id, cursor=str(cursor), failures=failures, retry_ns=retry_ns, reason=reason)

    def bury(self, webhook: Webhook, letter: DeadLetter, after: Cursor) -> int:
        """Make an event a dead letter, and move on; return the number of dead letters one after the other."""

        def work(connection: Connection) -> int:
            row = _row(connection, webhook.id)
            if row is None:
                return 0
            key = (DEAD_LETTERS.c.webhook == webhook.id) & (DEAD_LETTERS.c.event == letter.event)
            connection.execute(DEAD_LETTERS.delete().where(key))
            values = {
                "webhook": webhook.id,
                "event": letter.event,
                "type": letter.type,
                "reason": letter.reason,
                "state": DEAD,
                "attempts": letter.attempts,
                "at_ns": letter.at_ns,
            }
            connection.execute(DEAD_LETTERS.insert().values(values))
            moved = {"cursor": str(after), "failures": 0, "retry_ns": 0, "buried": row.buried + 1}
            connection.execute(WEBHOOKS.update().where(WEBHOOKS.c.id == webhook.id).values(moved))
            return int(row.buried) + 1

        return write(self._engine, work)

    # --- dead letters ---

    def dead_letters(self, id: int, *, state: str = "", most: int = DEAD_LETTERS_SHOWN_MAX) -> list[DeadLetter]:
        """Return the dead letters of a webhook, or those in one state, oldest first."""
        query = sqlalchemy.select(DEAD_LETTERS).where(DEAD_LETTERS.c.webhook == id)
        if state:
            query = query.where(DEAD_LETTERS.c.state == state)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(DEAD_LETTERS.c.at_ns, DEAD_LETTERS.c.event).limit(most)).all()
        return [_letter(row) for row in rows]

    def resend(self, id: int, events: Sequence[str]) -> int:
        """Have dead letters sent again, all without `events`; return their number. Raises NotFound for other events."""

        def work(connection: Connection) -> int:
            chosen = DEAD_LETTERS.c.webhook == id
            if events:
                found = set(connection.scalars(sqlalchemy.select(DEAD_LETTERS.c.event).where(chosen)))
                if missing := [each for each in events if each not in found]:
                    raise NotFound(f"there is no dead letter {missing[0]}", hint="list the dead letters of the webhook")
                chosen &= DEAD_LETTERS.c.event.in_(events)
            return connection.execute(DEAD_LETTERS.update().where(chosen).values(state=WAITING)).rowcount

        return write(self._engine, work)

    def resent(self, id: int, letter: DeadLetter, reason: str) -> None:
        """Store the end of an attempt to send a dead letter again. `reason` "": it was taken."""
        key = (DEAD_LETTERS.c.webhook == id) & (DEAD_LETTERS.c.event == letter.event)
        statement: Any = DEAD_LETTERS.delete().where(key)
        if reason:
            values = {"state": DEAD, "reason": reason, "attempts": letter.attempts + 1}
            statement = DEAD_LETTERS.update().where(key).values(values)
        write(self._engine, lambda connection: connection.execute(statement))

    def _set(self, id: int, **values: Any) -> None:
        statement = WEBHOOKS.update().where(WEBHOOKS.c.id == id).values(values)
        write(self._engine, lambda connection: connection.execute(statement))


# --- messages ---


def message_id(webhook: int, event: str) -> str:
    """Return the id of a message: the same at every attempt."""
    return f"evt_{webhook:032x}_{event.replace('.', '_')}"


def signed_headers(key: SigningKey, id: str, at_s: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message, https://www.standardwebhooks.com, version 1.0.0, with an Ed25519 signature."""
    signature = base64.b64encode(key.sign(f"{id}.{at_s}.".encode() + body)).decode()
    return {"webhook-id": id, "webhook-timestamp": str(at_s), "webhook-signature": f"v1a,{signature}"}


def public_key_text(key: PublicKey) -> str:
    """Return an Ed25519 public key as Standard Webhooks writes it."""
    return f"whpk_{base64.b64encode(key.key).decode()}"


def _row(connection: Connection, id: int) -> Row[Any] | None:
    return connection.execute(sqlalchemy.select(WEBHOOKS).where(WEBHOOKS.c.id == id)).one_or_none()


def _webhook(row: Row[Any]) -> Webhook:
    values = dict(row._mapping)
    return Webhook(**values | {"types": frozenset(row.types.split()), "cursor": Cursor.parse(row.cursor)})


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(row.event, row.type, row.reason, row.state, row.attempts, row.at_ns)
