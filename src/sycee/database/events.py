"""Events of registers: rows that a change adds in its own transaction, numbered without gaps.

A number is allocated inside the transaction of the change, and writers are serialised. So every event that is committed
after number n has a greater number, and a reader that continues after n misses none. Store ids and codes only, never
personal data, because the rows are never removed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core.canonical_json import canonical
from sycee.core.clock import Clock, read_ns
from sycee.database.tables import EVENTS
from sycee.database.transactions import reading


class EventKind(StrEnum):
    """Kind of a register's event."""

    DAY_CLOSED = "day.closed"
    BREAK_OPENED = "break.opened"
    PROPOSAL_WAITING = "proposal.waiting"
    PROPOSAL_ENDED = "proposal.ended"
    CASE_OPENED = "case.opened"
    PROGRAMME_DRAFTED = "programme.drafted"
    PROGRAMME_REGISTERING = "programme.registering"
    PROGRAMME_FROZEN = "programme.frozen"
    PROGRAMME_PUBLISHED = "programme.published"
    PROGRAMME_DRAWN = "programme.drawn"
    PROGRAMME_APPROVED = "programme.approved"
    PROGRAMME_ALLOTTED = "programme.allotted"
    PROGRAMME_DROPPED = "programme.dropped"
    PROGRAMME_WIDENED = "programme.widened"
    PROGRAMME_EXPIRED = "programme.expired"
    PROGRAMME_CLOSED = "programme.closed"
    PROGRAMME_CANCELLED = "programme.cancelled"
    PROGRAMME_REMOVAL = "programme.removal"
    PROGRAMME_HALTED = "programme.halted"
    PROGRAMME_RESUMED = "programme.resumed"
    BULK_ENDED = "bulk.ended"
    CLEARING_SETTLED = "clearing.settled"
    CLEARING_CANCELLED = "clearing.cancelled"
    CLEARING_CALLED = "clearing.called"
    CLEARING_ACCEPTED = "clearing.accepted"
    CLEARING_MESSAGE = "clearing.message"
    WEBHOOK_DISABLED = "webhook.disabled"


@dataclass(frozen=True, slots=True)
class RegisterEvent:
    """One event. `subject`: the id, number or day of the thing concerned, as text; `operator`: None for all."""

    number: int
    kind: EventKind
    subject: str
    operator: int | None
    at_ns: int
    data: Mapping[str, Any]


class NewEvent(NamedTuple):
    """An event to add. `data`: texts and numbers without personal data."""

    subject: str
    operator: int | None
    data: Mapping[str, Any]


def record_event(
    connection: Connection,
    clock: Clock,
    kind: EventKind,
    subject: str,
    *,
    operator: int | None = None,
    data: Mapping[str, Any] | None = None,
) -> int:
    """Add an event in the caller's transaction, and return its number. Call it inside `write`.

    `data`: texts and numbers without personal data. Raises UsageError for values that canonical JSON does not have.
    """
    return record_events(connection, clock, kind, [NewEvent(subject, operator, data or {})])


def record_events(connection: Connection, clock: Clock, kind: EventKind, events: Sequence[NewEvent]) -> int:
    """Add events of one kind as `record_event`, in order; return the number of the newest stored event."""
    last = int(connection.scalar(sqlalchemy.select(sqlalchemy.func.max(EVENTS.c.number))) or 0)
    rows = [
        {
            "number": number,
            "kind": kind.value,
            "subject": each.subject,
            "operator": each.operator,
            "at_ns": read_ns(clock),
            "data": canonical(dict(each.data)).decode(),
        }
        for number, each in enumerate(events, last + 1)
    ]
    if rows:
        connection.execute(EVENTS.insert(), rows)
    return last + len(rows)


def events_after(engine: Engine, number: int, *, most: int) -> list[RegisterEvent]:
    """Return at most `most` events with greater numbers, in order."""
    query = sqlalchemy.select(EVENTS).where(EVENTS.c.number > number).order_by(EVENTS.c.number).limit(most)
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return [
        RegisterEvent(row.number, EventKind(row.kind), row.subject, row.operator, row.at_ns, json.loads(row.data))
        for row in rows
    ]


def newest_event(engine: Engine) -> int:
    """Return the number of the newest event, 0 for none."""
    with reading(engine) as connection:
        return int(connection.scalar(sqlalchemy.select(sqlalchemy.func.max(EVENTS.c.number))) or 0)
