"""Stored programmes and occurrences: rows as immutable values, and the one place that changes an occurrence's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import documents
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.database.events import EventKind, record_event
from sycee.programmes import states
from sycee.programmes.definition import Programme, define
from sycee.programmes.tables import OCCURRENCES, OPERATORS, PROGRAMMES

_DEFINITIONS_MAX: Final = 64  # parsed files in memory


@dataclass(frozen=True, slots=True)
class StoredProgramme:
    """A programme as stored.

    - `digest`: SHA-256 of `text`, the file. `funder`: the account that pays; `operator`: the number of its operator.
    - `operators`: the number on the ledger of each operator that the file names.
    - `block`: the intent of the funder's block that this programme has, None for none.
    - `halted_ns`: None while it is not halted; `halted_by` and `halt_reason` then describe nothing.
    """

    name: str
    text: str
    digest: str
    maker: int
    funder: int
    operator: int
    operators: Mapping[str, int]
    state: str
    halted_ns: int | None
    halted_by: int | None
    halt_reason: str
    block: int | None
    made_ns: int
    changed_ns: int

    @property
    def definition(self) -> Programme:
        """Return the programme as its file defines it."""
        return defined(f"{self.name}.toml", self.text)

    def on(self, occurrence: Occurrence) -> Programme:
        """Return the programme with the windows of one of its occurrences."""
        return self.definition.on(date.fromisoformat(occurrence.date))

    @property
    def is_halted(self) -> bool:
        """Whether its claims are refused now."""
        return self.halted_ns is not None

    def require_running(self) -> None:
        """Raise UsageError while the programme is halted."""
        if self.is_halted:
            raise UsageError(
                f"the programme {self.name} is halted: {self.halt_reason}",
                hint="`sycee drop resume` proposes to end the halt",
            )


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One run of a programme.

    - `date`: the local day of its beginning. `number`, `rule_set`: on the ledger, None before the terms.
    - `entries`: number of people in the frozen list. `members`, `minor`: of the cohort, and the sum of their packets.
    - `announcement`, `cohort`: digests, hexadecimal. `seal`: the id of the SEAL_COHORT.
    - `dropped_frame`: of the last part of the drop that was accepted.
    """

    programme: str
    occurrence: int
    date: str
    state: str
    number: int | None
    rule_set: int | None
    entries: int
    members: int
    minor: int
    announcement: str | None
    published_ns: int | None
    cohort: str | None
    seal: int | None
    attempt: int
    proposal: int | None
    dropped_frame: int | None
    expired_frame: int | None
    made_ns: int
    changed_ns: int

    @property
    def title(self) -> str:
        """Return the occurrence as errors name it."""
        return f"occurrence {self.occurrence} of {self.programme}"

    @property
    def is_dropped_in_part(self) -> bool:
        """Whether the ledger refused a part of the drop and accepted another, and nobody has repeated it."""
        return self.state == states.ALLOTTED and self.dropped_frame is not None


@dataclass(frozen=True, slots=True)
class LedgerNumbers:
    """The numbers of an occurrence on the ledger. `groups`: one per merchant group of the file."""

    number: int
    rule_set: int
    groups: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """The packets of an occurrence on the ledger, in minor units; all 0 before its cohort is added.

    `spent`: without what was refunded. `left`: in packets that are not expired. `claimed`: number of packets that were
    ever claimed.
    """

    members: int = 0
    claimed: int = 0
    dropped_minor: int = 0
    spent_minor: int = 0
    pending_minor: int = 0
    returned_minor: int = 0
    left_minor: int = 0


@lru_cache(_DEFINITIONS_MAX)
def defined(file: str, text: str) -> Programme:
    """Return the programme of a file's text. `file`: its name, for errors. Raises DocumentError for a wrong one."""
    return define(documents.parse(text, file))


def programme_in(connection: Connection, name: str) -> StoredProgramme:
    """Return a programme as a transaction sees it. Raises NotFound if there is none."""
    row = connection.execute(sqlalchemy.select(PROGRAMMES).where(PROGRAMMES.c.name == name)).one_or_none()
    if row is None:
        raise NotFound(f"there is no programme {name!r}", hint="`sycee drop list` shows the programmes")
    return _programme(connection, row)


def programmes_in(connection: Connection, *, after: str = "", most: int | None = None) -> list[StoredProgramme]:
    """Return the programmes whose names follow `after`, by name; at most `most`."""
    query = sqlalchemy.select(PROGRAMMES).where(PROGRAMMES.c.name > after).order_by(PROGRAMMES.c.name).limit(most)
    return [_programme(connection, row) for row in connection.execute(query).all()]


def occurrence_in(connection: Connection, name: str, occurrence: int) -> Occurrence:
    """Return an occurrence as a transaction sees it. Raises NotFound if there is none."""
    chosen = (OCCURRENCES.c.programme == name) & (OCCURRENCES.c.occurrence == occurrence)
    row = connection.execute(sqlalchemy.select(OCCURRENCES).where(chosen)).one_or_none()
    if row is None:
        raise NotFound(f"{name} has no occurrence {occurrence}", hint="`sycee drop show` lists the occurrences")
    return Occurrence(**row._mapping)


def occurrences_in(connection: Connection, name: str = "", *chosen_states: str) -> list[Occurrence]:
    """Return the occurrences of a programme, or of all, in one of the states, or in any: by name and number."""
    query = sqlalchemy.select(OCCURRENCES).order_by(OCCURRENCES.c.programme, OCCURRENCES.c.occurrence)
    query = query.where(OCCURRENCES.c.programme == name) if name else query
    query = query.where(OCCURRENCES.c.state.in_(chosen_states)) if chosen_states else query
    return [Occurrence(**row._mapping) for row in connection.execute(query)]


def new_occurrence(found: Programme, occurrence: int, day: str, now_ns: int) -> dict[str, Any]:
    """Return the row of an occurrence that begins on a local day."""
    return {
        "programme": found.name, "occurrence": occurrence, "date": day, "state": states.DRAFT,
        "entries": 0, "members": 0, "minor": 0, "attempt": 0, "made_ns": now_ns, "changed_ns": now_ns,
    }  # fmt: skip


def set_occurrence(connection: Connection, clock: Clock, occurrence: Occurrence, **values: Any) -> None:
    """Write columns of an occurrence, and the time of the change."""
    chosen = (OCCURRENCES.c.programme == occurrence.programme) & (OCCURRENCES.c.occurrence == occurrence.occurrence)
    connection.execute(OCCURRENCES.update().where(chosen).values(changed_ns=read_ns(clock), **values))


def change_state(
    connection: Connection, clock: Clock, occurrence: Occurrence, state: str, data: Mapping[str, Any], **values: Any
) -> None:
    """Write a new state of an occurrence with other columns, and record its event. Nothing changes if it has the state.

    For a state that an action restores, which the table of changes need not allow: steps call `require_change` first.
    """
    if occurrence.state == state:
        return
    set_occurrence(connection, clock, occurrence, state=state, **values)
    record_programme_event(connection, clock, states.EVENTS[state], occurrence.programme, occurrence.occurrence, data)


def record_programme_event(
    connection: Connection, clock: Clock, kind: EventKind, name: str, occurrence: int, data: Mapping[str, Any]
) -> None:
    """Add an event of an occurrence. `data`: texts and numbers without personal data."""
    operator = connection.scalar(sqlalchemy.select(PROGRAMMES.c.operator).where(PROGRAMMES.c.name == name))
    record_event(connection, clock, kind, name, operator=operator, data={"occurrence": occurrence, **data})


def _programme(connection: Connection, row: Row[Any]) -> StoredProgramme:
    query = sqlalchemy.select(OPERATORS.c.name, OPERATORS.c.operator).where(OPERATORS.c.programme == row.name)
    operators = {each.name: each.operator for each in connection.execute(query)}
    return StoredProgramme(**row._mapping, operators=operators)
