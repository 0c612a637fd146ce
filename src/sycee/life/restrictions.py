"""Rows of events and of the restrictions that they put on accounts. All functions work in the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.life.tables import ACTIVE, EVENTS, RESTRICTIONS, STARTING


@dataclass(frozen=True, slots=True)
class Restriction:
    """Restriction that an event puts on an account. `until_ns` is None until an order or a person ends it."""

    account: int
    kind: str
    event: int
    from_ns: int
    until_ns: int | None
    earlier_rule_set: int
    state: str


def add_event(connection: Connection, id: int, kind: str, payload: Mapping[str, Any], who: int) -> None:
    """Insert an event once. `payload`: person, at_ns, and where they apply account, case, until_ns, proposal."""
    if has_event(connection, id):
        return
    connection.execute(
        EVENTS.insert().values(
            id=id,
            kind=kind,
            person=ids.parse(payload["person"]),
            account=_id_or_none(payload.get("account")),
            case=payload.get("case"),
            at_ns=payload["at_ns"],
            who=who,
            until_ns=payload.get("until_ns"),
            proposal=_id_or_none(payload.get("proposal")),
        )
    )


def has_event(connection: Connection, id: int) -> bool:
    """Return whether the event of this id is stored."""
    return connection.scalar(sqlalchemy.select(EVENTS.c.id).where(EVENTS.c.id == id)) is not None


def put(
    connection: Connection,
    account: int,
    kind: str,
    *,
    event: int,
    from_ns: int,
    state: str,
    until_ns: int | None = None,
    earlier_rule_set: int = 0,
    job: int = 0,
) -> None:
    """Insert or replace the restriction of one kind of an account."""
    mine = (RESTRICTIONS.c.account == account) & (RESTRICTIONS.c.kind == kind)
    row = {
        "event": event,
        "from_ns": from_ns,
        "until_ns": until_ns,
        "earlier_rule_set": earlier_rule_set,
        "job": job,
        "state": state,
    }
    if not connection.execute(RESTRICTIONS.update().where(mine).values(**row)).rowcount:
        connection.execute(RESTRICTIONS.insert().values(account=account, kind=kind, **row))


def set_state(connection: Connection, account: int, kind: str, state: str, *, event: int | None = None) -> None:
    """Set the state of a restriction; with `event` only if that event made it."""
    mine = (RESTRICTIONS.c.account == account) & (RESTRICTIONS.c.kind == kind)
    if event is not None:
        mine &= RESTRICTIONS.c.event == event
    connection.execute(RESTRICTIONS.update().where(mine).values(state=state))


def find(connection: Connection, account: int, kind: str) -> Restriction | None:
    """Return the restriction of one kind that starts or is active, or None."""
    mine = (RESTRICTIONS.c.account == account) & (RESTRICTIONS.c.kind == kind)
    found = select(connection, mine & RESTRICTIONS.c.state.in_((STARTING, ACTIVE)))
    return found[0] if found else None


def select(connection: Connection, where: sqlalchemy.ColumnElement[bool]) -> list[Restriction]:
    """Return the restrictions that meet a condition, by account and kind."""
    query = sqlalchemy.select(RESTRICTIONS).where(where).order_by(RESTRICTIONS.c.account, RESTRICTIONS.c.kind)
    return [
        Restriction(row.account, row.kind, row.event, row.from_ns, row.until_ns, row.earlier_rule_set, row.state)
        for row in connection.execute(query)
    ]


def _id_or_none(text: str | None) -> int | None:
    return ids.parse(text) if text else None
