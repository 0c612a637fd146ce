"""Events of a case: who did what and when. Rows are only added; a repeated call adds nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.cases.tables import EVENTS
from sycee.core.canonical_json import canonical


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `detail`: codes and ids. `sealed`: free text under the key of the case's person, None for none."""

    number: int
    id: int
    what: str
    at_ns: int
    who: int
    detail: Mapping[str, Any]
    sealed: bytes | None = field(repr=False)


def add(
    connection: Connection, case: int, id: int, what: str, who: int, at_ns: int, detail: Mapping[str, Any],
    sealed: bytes | None = None,
) -> None:  # fmt: skip
    """Add an event, unless the case has one with this id and these words."""
    mine = EVENTS.c.case_number == case
    same = mine & (EVENTS.c.id == id) & (EVENTS.c.what == what)
    if connection.scalar(sqlalchemy.select(EVENTS.c.number).where(same)) is not None:
        return
    last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(EVENTS.c.number)).where(mine)) or 0
    connection.execute(
        EVENTS.insert().values(
            case_number=case,
            number=int(last) + 1,
            id=id,
            what=what,
            at_ns=at_ns,
            who=who,
            detail=canonical(dict(detail)).decode(),
            sealed=sealed,
        )
    )


def event_of(row: Row[Any]) -> Event:
    """Return a stored event."""
    sealed = None if row.sealed is None else bytes(row.sealed)
    return Event(row.number, row.id, row.what, row.at_ns, row.who, json.loads(row.detail), sealed)
