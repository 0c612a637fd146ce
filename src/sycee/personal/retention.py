"""Retention and legal holds: how long personal data must be kept, and when it may be shredded.

The rules are dated data (`data/retention`), each with its source: a basis, such as the end of the relationship, starts
a period of years. While no period has begun, the relationship continues and nothing is due. A legal hold, signed by
two persons, stops shredding until its end or until an order ends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import sqlalchemy
from sqlalchemy.engine import Connection, Engine

from sycee.core import ids
from sycee.core.clock import Clock
from sycee.core.errors import UsageError
from sycee.data import document
from sycee.database.transactions import reading
from sycee.personal.tables import HOLDS, RETENTION, SHREDS

FOLDER: Final = "retention"
MARKS: Final = ("2", "1", "assumed")
YEARS_MAX: Final = 100
DAYS_MAX: Final = 3_660
NS_PER_DAY: Final = 86_400 * 10**9
NS_PER_S: Final = 10**9


@dataclass(frozen=True, slots=True)
class Basis:
    """One reason to keep data: the event that begins the period, and its years."""

    name: str
    begins: str
    years: int
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one file. `delay_days_max`: the longest order that hides entries of the access log."""

    name: str
    title: str
    as_of: date
    bases: Mapping[str, Basis]
    delay_days_max: int


def load(source: Path | str) -> Rules:
    """Return the rules of a shipped name, such as "eu-2015", or of a TOML file. Errors of `data.document`."""
    table = document(FOLDER, source, "retention rules")
    bases = {}
    for each in table.tables("bases"):
        basis = Basis(
            name=each.text("name"),
            begins=each.text("begins"),
            years=each.integer("years", least=1, most=YEARS_MAX),
            source=each.text("source"),
            mark=each.choice("mark", MARKS),
        )
        each.finish()
        bases[basis.name] = basis
    delay = table.table("log_delay")
    days = delay.integer("days_max", least=1, most=DAYS_MAX)
    delay.text("source")
    delay.choice("mark", MARKS)
    delay.finish()
    rules = Rules(table.text("name"), table.text("title"), date.fromisoformat(table.text("as_of")), bases, days)
    table.finish()
    return rules


class Relations(Protocol):
    """The relationships with a person, such as open wallets: the part that retention uses."""

    def is_customer(self, connection: Connection, person: int) -> bool:
        """Return whether the person still has an open wallet."""
        ...


class Retention:
    """Retention periods and legal holds of the persons of a bank. `zone`: where a day begins."""

    def __init__(
        self, engine: Engine, clock: Clock, rules: Rules, zone: ZoneInfo, relations: Relations | None = None
    ) -> None:
        self._engine, self._clock, self._zone = engine, clock, zone
        self.rules, self.relations = rules, relations

    def today(self) -> date:
        """Return the local day of this moment."""
        return datetime.fromtimestamp(self._clock.now_ns() // NS_PER_S, UTC).astimezone(self._zone).date()

    def begin(self, connection: Connection, person: int, basis: str, since: date) -> date:
        """Begin, or begin anew, a period; return the first day on which it is over.

        Raises UsageError for a basis that the rules do not have.
        """
        until = years_later(since, self._basis(basis).years)
        row = {"since_day": since.isoformat(), "until_day": until.isoformat()}
        mine = (RETENTION.c.person == person) & (RETENTION.c.basis == basis)
        if not connection.execute(RETENTION.update().where(mine).values(**row)).rowcount:
            connection.execute(RETENTION.insert().values(person=person, basis=basis, **row))
        return until

    def cancel(self, connection: Connection, person: int) -> None:
        """Delete the periods of a person who became a customer again."""
        connection.execute(RETENTION.delete().where(RETENTION.c.person == person))

    def withdraw(self, connection: Connection, person: int, basis: str) -> None:
        """Delete one period, because the event that began it was undone."""
        chosen = (RETENTION.c.person == person) & (RETENTION.c.basis == basis)
        connection.execute(RETENTION.delete().where(chosen))

    def until(self, person: int) -> date | None:
        """Return the first day on which all periods of a person are over; None while none has begun."""
        with reading(self._engine) as connection:
            return self._until(connection, person)

    def due(self, *, most: int = 1_000) -> list[int]:
        """Return up to `most` persons, in order, whose periods are all over and who are under no legal hold."""
        last = sqlalchemy.func.max(RETENTION.c.until_day)
        held = sqlalchemy.select(HOLDS.c.person).where(self._holds_now())
        query = (
            sqlalchemy.select(RETENTION.c.person)
            .where(RETENTION.c.person.not_in(held), RETENTION.c.person.not_in(sqlalchemy.select(SHREDS.c.person)))
            .group_by(RETENTION.c.person)
            .having(last <= self.today().isoformat())
            .order_by(RETENTION.c.person)
            .limit(most)
        )
        with reading(self._engine) as connection:
            found = list(connection.scalars(query))
            return [person for person in found if not self._is_customer(connection, person)]

    def require_over(self, connection: Connection, person: int) -> None:
        """Raise UsageError unless the person may be shredded now."""
        name = ids.format(person)
        if (case := self._held(connection, person)) is not None:
            raise UsageError(
                f"{name} is under a legal hold of case {case:,}", hint="an order that two persons sign ends it"
            )
        until = self._until(connection, person)
        if until is None or self._is_customer(connection, person):
            raise UsageError(
                f"the relationship with {name} has not ended, so no retention period has begun",
                hint="close the wallets of the person first",
            )
        if until > self.today():
            raise UsageError(f"the data of {name} must be kept until {until}", hint=f"the rules are {self.rules.title}")

    def held(self, person: int) -> int | None:
        """Return the case of a legal hold on the person, or None."""
        with reading(self._engine) as connection:
            return self._held(connection, person)

    def _held(self, connection: Connection, person: int) -> int | None:
        query = sqlalchemy.select(HOLDS.c.case).where(HOLDS.c.person == person, self._holds_now()).limit(1)
        return connection.scalar(query)

    def _holds_now(self) -> sqlalchemy.ColumnElement[bool]:
        now = self._clock.now_ns()
        return (HOLDS.c.from_ns <= now) & sqlalchemy.or_(HOLDS.c.until_ns.is_(None), HOLDS.c.until_ns > now)

    def _until(self, connection: Connection, person: int) -> date | None:
        query = sqlalchemy.select(sqlalchemy.func.max(RETENTION.c.until_day)).where(RETENTION.c.person == person)
        found = connection.scalar(query)
        return date.fromisoformat(found) if found else None

    def _is_customer(self, connection: Connection, person: int) -> bool:
        return self.relations is not None and self.relations.is_customer(connection, person)

    def _basis(self, name: str) -> Basis:
        if name not in self.rules.bases:
            raise UsageError(
                f"the retention rules {self.rules.name} have no basis {name!r}",
                hint=f"bases: {', '.join(self.rules.bases)}",
            )
        return self.rules.bases[name]


def years_later(day: date, years: int) -> date:
    """Return the same day `years` years later; March 1 where there is no February 29."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)
