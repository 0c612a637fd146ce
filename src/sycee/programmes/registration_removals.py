"""Manual removals of entries from a list: withdrawals, lapses of winners, and exclusions.

From the freeze on, an entry that leaves may hand its packet to another person. Therefore only its own operator
bank lets it leave, an exclusion after the draw needs a second person, and each is stored with its persons and is an
event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core.errors import NotFound, UsageError
from sycee.database.events import EventKind, record_event
from sycee.database.transactions import reading, write
from sycee.identity import duties
from sycee.programmes import states
from sycee.programmes.registration_appeals import DECIDE
from sycee.programmes.registration_entering import REGISTER, Entering
from sycee.programmes.registration_lists import NO_ANSWER, Entry, Found, entry_of
from sycee.programmes.registration_store import ListRow
from sycee.programmes.registration_tables import (
    CONFIRMED,
    ENTRIES,
    EXCLUDED,
    LAPSED,
    LEFT,
    LISTS,
    LIVE,
    REFUSED,
    REMOVALS,
    WAITING,
    WITHDRAWN,
)

REMOVE: Final = "programme.remove"

# Reasons of exclusion.
STAFF: Final = "staff"
OWNER: Final = "merchant-owner"
HAS_WON: Final = "has-won"
OTHER: Final = "other"
EXCLUSIONS: Final = (STAFF, OWNER, HAS_WON, OTHER)


@dataclass(frozen=True, slots=True)
class Removal:
    """An entry that was removed manually, or waits for the second person.

    - `kind`: `withdrawn`, `lapsed` or `excluded`. `state`: `waiting`, `left` or `refused`.
    - `who`: the person who requested it; `decided_by`: the second person, None if none was needed.
    """

    number: int
    programme: str
    occurrence: int
    entry: int
    kind: str
    reason: str
    state: str
    who: int
    at_ns: int
    decided_by: int | None
    decided_ns: int | None


class Removals(Entering):
    """Withdrawals, lapses and exclusions of entries."""

    def withdraw(self, programme: str, occurrence: int, entry: int, *, who: int, is_lapse: bool = False) -> Entry:
        """Withdraw an entry at the wish of its person, or let a winner lapse who does not answer (`is_lapse`).

        Until the freeze the entry leaves the list, and the staff of any operator may withdraw it. After the freeze
        `who` must be staff of the entry's bank; after the draw the next published ticket follows. Raises UsageError
        once the terms are proposed.
        """
        self._people.require(who, REGISTER)
        operators = self._operators_of(who)
        state, reason = (LAPSED, NO_ANSWER) if is_lapse else (WITHDRAWN, "")

        def work(connection: Connection) -> Entry:
            found = self._lists.found_in(connection, programme, occurrence)
            found.require_removable()
            stored = self._lists.entry_in(connection, found.list, entry)
            _require_own_bank(found, stored, operators)
            if is_lapse and found.occurrence.state in (states.DRAFT, states.REGISTRATION):
                raise UsageError(
                    f"entry {entry} has not been drawn", hint="before the freeze an entry lapses by its deadlines"
                )
            if stored.state not in (state, *LIVE):
                require_state(stored, entry, CONFIRMED)
            if stored.state != state:
                values = {"state": state, "reason": reason, "earlier": stored.state, "due_ns": 0}
                self._lists.change(connection, found.list, entry, **values)
                self._store(connection, found, entry, state, reason, LEFT, who)
            return entry_of(self._lists.entry_in(connection, found.list, entry))

        return write(self._stores.engine, work)

    def exclude(self, programme: str, occurrence: int, entries: Sequence[int], *, reason: str, who: int) -> int:
        """Exclude entries, for a reason of EXCLUSIONS; return how many changed. Errors as `withdraw`.

        After the freeze `who` is of the operator of the entries' bank. After the draw nothing changes yet: a second
        person decides (`decide_removal`), before the terms are proposed.
        """
        self._people.require(who, REGISTER)
        operators = self._operators_of(who)
        if reason not in EXCLUSIONS:
            raise UsageError(f"{reason[:40]!r} is no reason to exclude", hint=f"one of {', '.join(EXCLUSIONS)}")

        def work(connection: Connection) -> int:
            found = self._lists.found_in(connection, programme, occurrence)
            found.require_removable()
            changed = 0
            for entry in entries:
                _require_own_bank(found, self._lists.entry_in(connection, found.list, entry), operators)
            for entry in entries:
                if found.occurrence.state == states.DRAWN:
                    stored = self._lists.entry_in(connection, found.list, entry)
                    is_free = stored.state in LIVE and not stored.cleared
                    if is_free and not _waiting(connection, found.list, entry):
                        self._store(connection, found, entry, EXCLUDED, reason, WAITING, who)
                elif exclude_in(connection, found.list, [entry], reason):
                    changed += 1
                    self._store(connection, found, entry, EXCLUDED, reason, LEFT, who)
            return changed

        return write(self._stores.engine, work)

    def decide_removal(self, removal: int, *, is_allowed: bool, who: int) -> Removal:
        """Decide an exclusion that waits, and return it. The same decision by the same person changes nothing.

        Raises UsageError without the duty, for the person who requested it or registered the entry, for a removal that
        was decided, and once the terms are proposed.
        """
        self._people.require(who, DECIDE)
        wanted = LEFT if is_allowed else REFUSED

        def work(connection: Connection) -> Removal:
            stored = _row(connection, removal)
            place = connection.execute(sqlalchemy.select(LISTS).where(LISTS.c.list == stored.list)).one()
            found = self._lists.found_in(connection, place.programme, place.occurrence)
            if stored.state != WAITING:
                if (stored.state, stored.decided_by) != (wanted, who):
                    raise UsageError(
                        f"the exclusion was decided before: {stored.state}", hint="exclude the entry again"
                    )
                return _removal(stored, found)
            if is_allowed:
                found.require_removable()
            if who in (stored.who, self._lists.registered_by(connection, found.list, stored.entry)):
                raise UsageError(
                    "the person who registered the entry or wants to exclude it may not decide",
                    hint="another caseworker or officer decides",
                )
            if is_allowed:
                exclude_in(connection, found.list, [stored.entry], stored.reason)
            values = {"state": wanted, "decided_by": who, "decided_ns": self._lists.now_ns()}
            connection.execute(REMOVALS.update().where(REMOVALS.c.removal == removal).values(values))
            self._record(connection, found, stored.entry, stored.kind, stored.reason, wanted, removal)
            return _removal(_row(connection, removal), found)

        return write(self._stores.engine, work)

    def removals(self, programme: str, occurrence: int = 0, *, state: str = "") -> list[Removal]:
        """Return the entries that were removed manually or wait for it, in a state or in any, oldest first."""
        with reading(self._stores.engine) as connection:
            found = self._lists.found_in(connection, programme, occurrence)
            if found.row is None:
                return []
            query = sqlalchemy.select(REMOVALS).where(REMOVALS.c.list == found.row.list)
            query = query.where(REMOVALS.c.state == state) if state else query
            rows = connection.execute(query.order_by(REMOVALS.c.removal)).all()
        return [_removal(row, found) for row in rows]

    # --- helpers ---

    def _operators_of(self, who: int) -> frozenset[int]:
        """Return the numbers of the operators at whose desks a person is."""
        makers = duties.rule(REMOVE).makers
        held = self._people.duties_of(who)
        return frozenset(each.operator for each in held if each.duty in makers and each.operator is not None)

    def _store(
        self, connection: Connection, found: Found, entry: int, kind: str, reason: str, state: str, who: int
    ) -> None:
        row = {
            "list": found.list.list, "entry": entry, "kind": kind, "reason": reason, "state": state, "who": who,
            "at_ns": self._lists.now_ns(),
        }  # fmt: skip
        (number,) = connection.execute(REMOVALS.insert().values(row)).inserted_primary_key or (0,)
        self._record(connection, found, entry, kind, reason, state, number)

    def _record(
        self, connection: Connection, found: Found, entry: int, kind: str, reason: str, state: str, number: int
    ) -> None:
        """Add the event of a removal. Every operator of the bank sees it, as it sees the registrations."""
        data: dict[str, Any] = {
            "occurrence": found.occurrence.occurrence, "removal": number, "entry": entry, "kind": kind,
            "reason": reason, "state": state,
        }  # fmt: skip
        record_event(connection, self._stores.clock, EventKind.PROGRAMME_REMOVAL, found.stored.name, data=data)


def exclude_in(connection: Connection, row: ListRow, entries: Iterable[int], reason: str) -> int:
    """Exclude the live ones among entries, unless an appeal ended their exclusion; return how many changed."""
    changed = 0
    for entry in entries:
        chosen = (ENTRIES.c.list == row.list) & (ENTRIES.c.entry == entry)
        chosen &= ENTRIES.c.state.in_(LIVE) & (ENTRIES.c.cleared == 0)
        values = {"state": EXCLUDED, "reason": reason, "earlier": ENTRIES.c.state, "due_ns": 0}
        changed += connection.execute(ENTRIES.update().where(chosen).values(values)).rowcount
    return changed


def require_state(row: Any, entry: int, wanted: str) -> None:
    """Raise UsageError unless an entry is in a state."""
    if row.state != wanted:
        raise UsageError(
            f"entry {entry} is {row.state}" + (f": {row.reason}" if row.reason else ""),
            hint="`sycee drop appeal` asks for another decision about an entry that lapsed or was excluded",
        )


def require_none_waits(connection: Connection, row: ListRow) -> None:
    """Raise UsageError while an exclusion from the list waits for its second person."""
    chosen = (REMOVALS.c.list == row.list) & (REMOVALS.c.state == WAITING)
    count = connection.scalar(sqlalchemy.select(sqlalchemy.func.count()).select_from(REMOVALS).where(chosen))
    if count:
        raise UsageError(
            f"{count} exclusions wait for their second person", hint="`sycee drop decide-removal` decides an exclusion"
        )


def _require_own_bank(found: Found, entry: Any, operators: frozenset[int]) -> None:
    """Raise UsageError after the freeze unless one of the operators is that of the entry's bank."""
    bank = found.definition.operators[entry.bank]
    if found.occurrence.state != states.REGISTRATION and found.stored.operators[bank.name] not in operators:
        raise UsageError(
            f"the list of {found.occurrence.title} is frozen, and entry {entry.entry} chose {bank.title}",
            hint=f"a clerk or signer of {bank.title} does it",
        )


def _waiting(connection: Connection, row: ListRow, entry: int) -> bool:
    chosen = (REMOVALS.c.list == row.list) & (REMOVALS.c.entry == entry) & (REMOVALS.c.state == WAITING)
    return connection.execute(sqlalchemy.select(REMOVALS.c.removal).where(chosen)).first() is not None


def _row(connection: Connection, removal: int) -> Row[Any]:
    found = connection.execute(sqlalchemy.select(REMOVALS).where(REMOVALS.c.removal == removal)).one_or_none()
    if found is None:
        raise NotFound(f"there is no removal {removal}", hint="`sycee drop removals` lists them")
    return found


def _removal(row: Row[Any], found: Found) -> Removal:
    return Removal(
        row.removal, found.stored.name, found.occurrence.occurrence, row.entry, row.kind, row.reason, row.state,
        row.who, row.at_ns, row.decided_by, row.decided_ns,
    )  # fmt: skip
