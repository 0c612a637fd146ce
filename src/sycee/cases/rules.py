"""Rules of cases, read from a TOML file: kinds, states with deadlines, and the steps between states. Pure.

A state without steps is an end. A step may lead to an operation: `hold` keeps the disputed money until the case is
decided, `return` pays it back, `release` gives it to its payee. docs/reference/cases.md documents every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final, Protocol

from blake3 import blake3

from sycee import data
from sycee.core import documents
from sycee.core.documents import Table
from sycee.core.errors import UsageError
from sycee.core.typos import hint

FOLDER: Final = "case-rules"
DAYS_MAX: Final = 400
MARKS: Final = ("2", "1", "assumed")  # found in two or more sources, in one, assumed by us

PAYMENT: Final = "payment"
PERSON: Final = "person"
ABOUT: Final = (PAYMENT, PERSON)
LOST_PHONE: Final = "recovery"  # the kind of a case that permits a new key of a wallet
FOREIGN_LOGIN: Final = "foreign-login"  # the kind of a case that a person's answer "this was not me" opens

HOLD: Final = "hold"
RETURN: Final = "return"
RELEASE: Final = "release"
LEADS: Final = ("", HOLD, RETURN, RELEASE)


class BusinessDays(Protocol):
    """A calendar of business days."""

    def following(self, day: date) -> date:
        """Return the first business day after a day."""
        ...


class Weekdays:
    """The calendar without holidays: Monday to Friday."""

    def following(self, day: date) -> date:
        """Return the next day that is not on a weekend."""
        return day + timedelta(days=7 - day.weekday() if day.weekday() >= 4 else 1)


@dataclass(frozen=True, slots=True)
class State:
    """A state. `business_days`: its deadline, 0 for none; `source` and `mark`: where it was found, and how certain it
    is.
    """

    name: str
    business_days: int
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Step:
    """A step from states to a state. `leads`: to an operation of the ledger, "" for none."""

    name: str
    sources: tuple[str, ...]
    to: str
    leads: str


@dataclass(frozen=True, slots=True)
class CaseKind:
    """A kind of case. `about`: what a case is about, a payment or a person. The first state is that of a new case."""

    name: str
    about: str
    means: str
    states: tuple[State, ...]
    steps: tuple[Step, ...]

    def state(self, name: str) -> State:
        """Return a state of this kind. Raises UsageError for another name."""
        for each in self.states:
            if each.name == name:
                return each
        raise UsageError(f"{self.name} has no state {name}", hint="the rules changed: use the rules of the case")

    def steps_from(self, state: str) -> tuple[Step, ...]:
        """Return the steps that are possible in a state; none for an end."""
        return tuple(step for step in self.steps if state in step.sources)

    def step(self, name: str, state: str) -> Step:
        """Return the step of this name. Raises UsageError if it is not possible in this state."""
        possible = self.steps_from(state)
        for each in possible:
            if each.name == name:
                return each
        names = ", ".join(step.name for step in possible)
        raise UsageError(
            f"the step {name} is not possible: the case is {state}",
            hint=f"possible now: {names}" if names else "the case is decided: open another one",
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one file. `digest`: BLAKE3 of its text, which a case keeps."""

    name: str
    title: str
    as_of: str
    kinds: Mapping[str, CaseKind]
    digest: str

    @property
    def foreign_login(self) -> str:
        """Return the kind of a case about a login that is not the person's own; "" if no kind is about a person.

        Rules without FOREIGN_LOGIN use their first kind about a person.
        """
        return self._about_person(FOREIGN_LOGIN)

    @property
    def lost_phone(self) -> str:
        """Return the kind of a case that permits a new key of a wallet; otherwise as `foreign_login`."""
        return self._about_person(LOST_PHONE)

    def _about_person(self, wanted: str) -> str:
        about_persons = [kind.name for kind in self.kinds.values() if kind.about == PERSON]
        return wanted if wanted in self.kinds else next(iter(about_persons), "")

    def kind(self, name: str) -> CaseKind:
        """Return a kind. Raises UsageError for another name."""
        try:
            return self.kinds[name]
        except KeyError:
            names = ", ".join(self.kinds)
            raise UsageError(
                f"there is no kind of case {name!r}", hint=hint(name, self.kinds, f"kinds: {names}")
            ) from None


def names() -> tuple[str, ...]:
    """Return the names of the shipped rules, sorted."""
    return data.names(FOLDER)


def load(source: Path | str) -> Rules:
    """Return the rules of a shipped name, or of a TOML file. Raises DocumentError for an error in the file."""
    file, content = data.file(FOLDER, source, "case rules")
    table = documents.parse(content, file)
    kinds = {}
    for each in table.tables("kinds"):
        kind = _kind(each)
        if kind.name in kinds:
            raise each.error("name", f"{kind.name} is already used", right="a different name for each kind")
        kinds[kind.name] = kind
    rules = Rules(table.text("name"), table.text("title"), table.text("as_of"), kinds, blake3(content).hexdigest())
    table.finish()
    return rules


def deadline(today: date, business_days: int, calendar: BusinessDays) -> date:
    """Return the day that is this number of business days later."""
    day = today
    for _ in range(business_days):
        day = calendar.following(day)
    return day


def _kind(table: Table) -> CaseKind:
    states = tuple(_state(each) for each in table.tables("states"))
    known = {state.name for state in states}
    steps = []
    for each in table.tables("steps"):
        step = Step(each.text("name"), each.texts("from", choices=sorted(known)), each.text("to"), _leads(each))
        if step.to not in known:
            raise each.error("to", f"{step.to} is no state of this kind", right=f"one of {', '.join(sorted(known))}")
        each.finish()
        steps.append(step)
    made = CaseKind(table.text("name"), table.choice("about", ABOUT), table.text("means"), states, tuple(steps))
    if made.about != PAYMENT and any(step.leads for step in steps):
        raise table.error("about", "only a case about a payment leads to an operation", right='about = "payment"')
    table.finish()
    return made


def _leads(table: Table) -> str:
    if "leads" not in table:
        table.offer("leads")
        return ""
    return table.choice("leads", LEADS[1:])


def _state(table: Table) -> State:
    days = table.integer("business_days", 0, least=0, most=DAYS_MAX)
    if not days:
        table.offer("source")
        table.offer("mark")
        made = State(table.text("name"), 0, "", "")
    else:
        made = State(table.text("name"), days, table.text("source"), table.choice("mark", MARKS))
    table.finish()
    return made
