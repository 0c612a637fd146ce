"""Orders about personal data that two persons sign: a delay of the access log, and a legal hold.

Both are proposals without records. A delay always has an end, at most `delay_days_max` of the retention rules away; a
legal hold may last until another order ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records.proposal_format import Proposal
from sycee.core.result_codes import Result
from sycee.database.actions import Intent
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.proposals import Proposals
from sycee.personal.access import OpenCases
from sycee.personal.retention import NS_PER_DAY, Rules
from sycee.personal.tables import DELAYS, HOLDS

DELAY: Final = "log.delay"
HOLD: Final = "person.hold"


@dataclass(frozen=True, slots=True)
class Order:
    """A delay or a legal hold. `until_ns` is None for a hold without an end."""

    id: int
    person: int
    case: int
    from_ns: int
    until_ns: int | None
    proposal: int


class Orders:
    """Delays and legal holds of a bank."""

    def __init__(self, stores: Stores, proposals: Proposals, cases: OpenCases, rules: Rules) -> None:
        self._stores, self._proposals, self._cases, self._rules = stores, proposals, cases, rules
        stores.actions.register(_DelayAction(), _HoldAction())

    def delay(self, person: int, case: int, until_ns: int, *, maker: int) -> Proposal:
        """Propose that the person does not see the accesses for a case until a time.

        Raises UsageError for a case that is not open or does not concern the person, an end in the past or too far
        away, or a maker without the duty.
        """
        now = self._now()
        self._require_case(case, person)
        most = self._rules.delay_days_max
        if not now < until_ns <= now + most * NS_PER_DAY:
            raise UsageError(
                f"a delay of the access log ends after now and within {most} days",
                hint="name an earlier end; a longer investigation needs a new order, signed again",
            )
        effect = {"person": ids.format(person), "case": case, "from_ns": now, "until_ns": until_ns}
        return self._proposals.propose(DELAY, None, effect, maker=maker)

    def hold(self, person: int, case: int, *, maker: int, until_ns: int | None = None) -> Proposal:
        """Propose a legal hold: the person cannot be shredded until its end. Errors as `delay`."""
        now = self._now()
        self._require_case(case, person)
        if until_ns is not None and until_ns <= now:
            raise UsageError("a legal hold ends after now", hint="name a later end, or none")
        effect = {"person": ids.format(person), "case": case, "from_ns": now, "until_ns": until_ns}
        return self._proposals.propose(HOLD, None, effect, maker=maker)

    def release(self, hold: int, *, maker: int) -> Proposal:
        """Propose to end a legal hold. Raises UsageError if there is no such hold or it has ended."""
        now = self._now()
        found = next((each for each in self._orders(HOLDS, HOLDS.c.id == hold)), None)
        if found is None or (found.until_ns is not None and found.until_ns <= now):
            raise NotFound(
                f"there is no legal hold {ids.format(hold)} in force",
                hint="`sycee person hold` lists those of a person",
            )
        effect = {
            "hold": ids.format(hold), "person": ids.format(found.person), "until_ns": now,
            "earlier_until_ns": found.until_ns,
        }  # fmt: skip
        return self._proposals.propose(HOLD, None, effect, maker=maker)

    def holds_of(self, person: int) -> list[Order]:
        """Return the legal holds of a person, ended ones too, by id."""
        return self._orders(HOLDS, HOLDS.c.person == person)

    def delays_of(self, person: int) -> list[Order]:
        """Return the delays of the access log about a person, ended ones too, by id."""
        return self._orders(DELAYS, DELAYS.c.person == person)

    def _orders(self, table: sqlalchemy.Table, where: sqlalchemy.ColumnElement[bool]) -> list[Order]:
        query = sqlalchemy.select(table).where(where).order_by(table.c.id)
        with reading(self._stores.engine) as connection:
            return [
                Order(row.id, row.person, row.case, row.from_ns, row.until_ns, row.proposal)
                for row in connection.execute(query)
            ]

    def _require_case(self, case: int, person: int) -> None:
        if case <= 0 or not self._cases.is_open(case):
            raise UsageError(f"case {case:,} is not open", hint="open one with `sycee case open`, and give its number")
        if not self._cases.concerns(case, person):
            raise UsageError(
                f"case {case:,} does not concern {ids.format(person)}",
                hint="open a case about this person with `sycee case open`, and give its number",
            )

    def _now(self) -> int:
        return read_ns(self._stores.clock)


class _DelayAction:
    name = DELAY

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        _insert_once(connection, DELAYS, intent)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        connection.execute(DELAYS.delete().where(DELAYS.c.id == intent.id))


class _HoldAction:
    name = HOLD

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        if "hold" in intent.payload:
            chosen = HOLDS.c.id == ids.parse(intent.payload["hold"])
            values = {"until_ns": intent.payload["until_ns"], "ended_by": intent.id}
            connection.execute(HOLDS.update().where(chosen, HOLDS.c.ended_by.is_(None)).values(**values))
        else:
            _insert_once(connection, HOLDS, intent)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        if "hold" in intent.payload:
            values = {"until_ns": intent.payload["earlier_until_ns"], "ended_by": None}
            connection.execute(HOLDS.update().where(HOLDS.c.ended_by == intent.id).values(**values))
        else:
            connection.execute(HOLDS.delete().where(HOLDS.c.id == intent.id))


def _insert_once(connection: Connection, table: sqlalchemy.Table, intent: Intent) -> None:
    if connection.scalar(sqlalchemy.select(table.c.id).where(table.c.id == intent.id)) is None:
        effect = intent.payload
        row = {
            "id": intent.id,
            "person": ids.parse(effect["person"]),
            "case": effect["case"],
            "from_ns": effect["from_ns"],
            "until_ns": effect["until_ns"],
            "proposal": intent.id,
        }
        connection.execute(table.insert().values(row))
