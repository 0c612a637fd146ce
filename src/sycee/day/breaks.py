"""Breaks: differences that a close found, each with an owner, an age and a proposed cause, until they are closed.

A break whose difference a later close no longer finds is closed by that close. A difference between a statement and the
ledger is closed when its other side arrives on a later day, or by a person with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.clock import Clock
from sycee.core.errors import NotFound, UsageError
from sycee.database.events import EventKind, record_event
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.day.matching import EXTRA, MISSING, RESERVES, SUSPENSE, TRANSIT, Difference
from sycee.day.tables import BREAKS
from sycee.identity.people import People

ACTION: Final = "day.break"
REASON_LENGTH_MAX: Final = 35
RESOLVED: Final = "no longer found"
ARRIVED: Final = "the other side arrived"
OPERATOR_PARTY: Final = "operator "  # before the number of the operator that has the break

_STATES: Final = (SUSPENSE, TRANSIT, RESERVES)  # found anew by each close while they last


@dataclass(frozen=True, slots=True)
class Break:
    """A break. `owner` 0: nobody yet, so the party owns it. `closed_as`: why it was closed, "" while it is open."""

    number: int
    kind: str
    party: str
    account: int
    operation: int
    minor: int
    cause: str
    owner: int
    opened_day: date
    closed_day: date | None
    closed_as: str
    case: int

    def age_days(self, day: date) -> int:
        """Return the calendar days since the break was opened."""
        return (day - self.opened_day).days

    def document(self, day: date) -> dict[str, Any]:
        """Return the JSON object of a pack."""
        return {
            "number": self.number,
            "kind": self.kind,
            "party": self.party,
            "account": ids.format(self.account) if self.account else "",
            "operation": ids.format(self.operation) if self.operation else "",
            "minor": str(self.minor),
            "cause": self.cause,
            "owner": ids.format(self.owner) if self.owner else "",
            "opened": self.opened_day.isoformat(),
            "age_days": self.age_days(day),
            "case": self.case,
        }


class Breaks:
    """The breaks of one bank."""

    def __init__(self, stores: Stores, people: People) -> None:
        self._stores = stores
        self._people = people

    def list(self, *, open_only: bool = True) -> list[Break]:
        """Return the breaks by number."""
        with reading(self._stores.engine) as connection:
            return listed(connection, open_only=open_only)

    def get(self, number: int) -> Break:
        """Return a break. Raises UsageError if there is none of this number."""
        with reading(self._stores.engine) as connection:
            return _get(connection, number)

    def assign(self, number: int, owner: int, *, by: int, case: int = 0) -> Break:
        """Name the person who owns a break, and the case that follows it, if any.

        Raises UsageError for a closed break, an unknown person, and a person who may not do this.
        """
        self._people.require(by, ACTION)
        if not self._people.duties_of(owner):
            raise UsageError(
                f"{ids.format(owner)} has no duty now", hint="a break is owned by a person whom `officer list` shows"
            )
        return self._change(number, {"owner": owner, **({"case_number": case} if case else {})})

    def close(
        self, number: int, reason: str, *, day: date, by: int,
        also: Callable[[Connection, Break], None] = lambda connection, closed: None,
    ) -> Break:  # fmt: skip
        """Close a break manually, with a reason of at most 35 characters that names no person.

        `also` writes in the same transaction, and gets the closed break. Raises UsageError for a closed break.
        """
        self._people.require(by, ACTION)
        if not 0 < len(reason) <= REASON_LENGTH_MAX or not reason.isprintable():
            raise UsageError(
                f"the reason has {len(reason)} characters", hint=f"write 1 to {REASON_LENGTH_MAX}; name no person"
            )
        return self._change(number, {"closed_day": day.isoformat(), "closed_as": reason, "owner": by}, also)

    def _change(
        self, number: int, values: dict[str, Any],
        also: Callable[[Connection, Break], None] = lambda connection, changed: None,
    ) -> Break:  # fmt: skip
        def work(connection: Connection) -> Break:
            found = _get(connection, number)
            if found.closed_day is not None:
                raise UsageError(
                    f"break {number} was closed on {found.closed_day}", hint="a break that comes back has a new number"
                )
            connection.execute(BREAKS.update().where(BREAKS.c.number == number).values(**values))
            changed = _get(connection, number)
            also(connection, changed)
            return changed

        return write(self._stores.engine, work)


def listed(connection: Connection, *, open_only: bool = True) -> list[Break]:
    """Return the breaks by number, as a transaction sees them."""
    query = sqlalchemy.select(BREAKS).order_by(BREAKS.c.number)
    if open_only:
        query = query.where(BREAKS.c.closed_day.is_(None))
    return [_break(row) for row in connection.execute(query)]


def record(
    connection: Connection, clock: Clock, day: date, found: Iterable[Difference], matched: Sequence[int]
) -> list[Break]:
    """Store what a close found, in its transaction, and return the breaks that are open then.

    `matched`: accounts whose statements were compared, so that a break of an earlier day may be closed by its other
    side. A difference that is known already keeps its number, its owner and its age.
    """
    earlier = listed(connection)
    known = {_key(each): each for each in earlier}
    last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(BREAKS.c.number))) or 0
    seen: set[int] = set()
    for difference in found:
        other = _other_side(difference, earlier, seen)
        if other is not None and difference.account in matched:
            _close(connection, other.number, day, ARRIVED)
            seen.add(other.number)
            continue
        same = known.get(_key(difference))
        if same is not None and same.number not in seen:
            seen.add(same.number)
            values = {"minor": difference.minor, "cause": difference.cause}
            connection.execute(BREAKS.update().where(BREAKS.c.number == same.number).values(**values))
            continue
        last += 1
        row = {
            "number": last,
            "kind": difference.kind,
            "party": difference.party,
            "account": difference.account,
            "operation": difference.operation,
            "minor": difference.minor,
            "cause": difference.cause,
            "opened_day": day.isoformat(),
            "closed_as": "",
            "case_number": 0,
        }
        connection.execute(BREAKS.insert().values(**row))
        record_event(
            connection,
            clock,
            EventKind.BREAK_OPENED,
            str(last),
            operator=_operator(difference.party),
            data={"kind": difference.kind, "day": day.isoformat()},
        )
    for each in earlier:
        if each.kind in _STATES and each.number not in seen:
            _close(connection, each.number, day, RESOLVED)
    return listed(connection)


def _other_side(difference: Difference, earlier: Sequence[Break], seen: set[int]) -> Break | None:
    """Return the open break that a difference of another day explains: the same operation, the opposite amount."""
    opposite = {MISSING: EXTRA, EXTRA: MISSING}.get(difference.kind)
    if opposite is None or not difference.operation:
        return None
    return next(
        (
            each
            for each in earlier
            if each.kind == opposite
            and (each.account, each.operation, each.minor)
            == (difference.account, difference.operation, -difference.minor)
            and each.number not in seen
        ),
        None,
    )


def _operator(party: str) -> int | None:
    """Return the number in "operator 2"; None for another party."""
    number = party.removeprefix(OPERATOR_PARTY)
    return int(number) if number != party and number.isdecimal() else None


def _key(each: Difference | Break) -> tuple[str, str, int, int]:
    return each.kind, each.party, each.account, each.operation


def _close(connection: Connection, number: int, day: date, reason: str) -> None:
    values = {"closed_day": day.isoformat(), "closed_as": reason}
    connection.execute(BREAKS.update().where(BREAKS.c.number == number).values(**values))


def _get(connection: Connection, number: int) -> Break:
    row = connection.execute(sqlalchemy.select(BREAKS).where(BREAKS.c.number == number)).one_or_none()
    if row is None:
        raise NotFound(f"there is no break {number}", hint="`sycee day breaks` lists them")
    return _break(row)


def _break(row: Row[Any]) -> Break:
    values = dict(row._mapping)
    closed, case = values.pop("closed_day"), values.pop("case_number")
    return Break(
        **values
        | {
            "owner": values["owner"] or 0,
            "case": case,
            "opened_day": date.fromisoformat(values["opened_day"]),
            "closed_day": date.fromisoformat(closed) if closed else None,
        }
    )
