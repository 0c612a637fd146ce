"""Days of the house: timed rounds, the closing round, calls for money, default, and the end.

    open ─ rounds ─> closing round ─> called ─ time is over ─> funded ─ block, last round ─> settled ─ cancel ─> ended

Each arrow is one transaction, and what the ledger does before it can be repeated, so `run` continues after a crash
wherever it was. Nothing that is booked is undone. A day ends whether or not called money came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing import events, inbox, reasons
from sycee.clearing.gross import Gross
from sycee.clearing.house import Register
from sycee.clearing.instructions import URGENT
from sycee.clearing.pay_outs import PayOuts
from sycee.clearing.payments import Payments
from sycee.clearing.positions import Positions
from sycee.clearing.sets import SETTLE, Choice, Sets
from sycee.clearing.tables import (
    CALLED,
    CALLS,
    CANCELLED,
    DAYS,
    DEFAULTS,
    ENDED,
    FUNDED,
    OPEN,
    PAYMENTS,
    QUEUED,
    ROUNDS,
    SETTLED,
    WAITING,
    in_states,
)
from sycee.clearing.waiting import Nodes, bookable, legs_of, waiting
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records.layout import Reason
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.sequencer.signer import Signer

ROUNDS_MAX: Final = 1_440  # one a minute


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the house. `cancelled`: payments that its end cancelled. Times are nanoseconds, `ended_ns` 0 before."""

    day: str
    close_ns: int
    funding_ns: int
    last: int
    cancelled: int
    opened_ns: int
    ended_ns: int
    state: str
    who: int


@dataclass(frozen=True, slots=True)
class Call:
    """Money that a participant is asked for. `left_minor`: what it lacked when the time was over."""

    participant: int
    currency: int
    minor: int
    left_minor: int


class HouseDays:
    """The days of the house of one bank."""

    def __init__(
        self, stores: Stores, people: People, register: Register, positions: Positions, payments: Payments,
        gross: Gross, sets: Sets, pay_outs: PayOuts,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._register, self._positions = stores, people, register, positions
        self._payments, self._gross, self._sets, self._pay_outs = payments, gross, sets, pay_outs

    # --- reading ---

    def day(self, day: date | None = None) -> Day:
        """Return a day, by default the newest. Raises NotFound if there is none."""
        query = sqlalchemy.select(DAYS).order_by(DAYS.c.day.desc()).limit(1)
        if day is not None:
            query = query.where(DAYS.c.day == day.isoformat())
        with reading(self._stores.engine) as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound("there is no such day of the clearing house", hint="`sycee clearing open` opens one")
        return Day(**row._mapping)

    def calls(self, day: str) -> list[Call]:
        """Return the calls of a day, by participant and currency."""
        query = sqlalchemy.select(CALLS).where(CALLS.c.day == day).order_by(CALLS.c.participant, CALLS.c.currency)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(query)
            return [Call(row.participant, row.currency, row.minor, row.left_minor) for row in rows]

    def defaults(self, day: str) -> list[int]:
        """Return the participants that lacked money at the end of a day, by number."""
        query = sqlalchemy.select(DEFAULTS.c.participant).where(DEFAULTS.c.day == day)
        with reading(self._stores.engine) as connection:
            return sorted(connection.scalars(query))

    def rounds(self, day: str) -> list[tuple[int, int]]:
        """Return when each round of a day is due, and when it was done, 0 before."""
        query = sqlalchemy.select(ROUNDS.c.due_ns, ROUNDS.c.done_ns).where(ROUNDS.c.day == day)
        with reading(self._stores.engine) as connection:
            return [(row.due_ns, row.done_ns) for row in connection.execute(query.order_by(ROUNDS.c.due_ns))]

    # --- the day ---

    def open(self, day: date, *, rounds_ns: Sequence[int], close_ns: int, funding_ns: int, who: int) -> Day:
        """Open a day with its times, nanoseconds. The house's operator asks. The same call again changes nothing.

        - `rounds_ns`: of the rounds before the close, ascending. `close_ns`: of the closing round.
        - `funding_ns`: until when money that is called at the close can come.

        Raises UsageError for times out of order, for a day that has other times, and while an earlier day is open.
        """
        self._people.require(who, SETTLE, operator=self._register.house().operator)
        times = [*rounds_ns, close_ns, funding_ns]
        if len(rounds_ns) > ROUNDS_MAX or any(one >= other for one, other in pairwise(times)):
            raise UsageError(
                f"a day has up to {ROUNDS_MAX:,} rounds, then its close, then the end of funding",
                hint="name later times in this order",
            )
        name, now_ns = day.isoformat(), read_ns(self._stores.clock)
        row = {
            "day": name, "close_ns": close_ns, "funding_ns": funding_ns, "last": 0, "cancelled": 0,
            "opened_ns": now_ns, "ended_ns": 0, "state": OPEN, "who": who,
        }  # fmt: skip

        def store(connection: Connection) -> None:
            newest = connection.execute(sqlalchemy.select(DAYS).order_by(DAYS.c.day.desc()).limit(1)).one_or_none()
            if newest is not None and newest.day == name:
                due = connection.scalars(sqlalchemy.select(ROUNDS.c.due_ns).where(ROUNDS.c.day == name))
                if [*sorted(due), newest.close_ns, newest.funding_ns] != times:
                    raise UsageError(f"the day {name} has other times", hint="they do not change once it is open")
                return
            if newest is not None and newest.day > name:
                raise UsageError(f"the day {newest.day} is open or over already", hint="name a later day")
            if newest is not None and newest.state != ENDED:
                raise UsageError(f"the day {newest.day} has not ended", hint="`sycee clearing run` ends it")
            connection.execute(DAYS.insert().values(row))
            for each in rounds_ns:
                connection.execute(ROUNDS.insert().values(day=name, due_ns=each, done_ns=0))

        write(self._stores.engine, store)
        return self.day(day)

    def run(self, *, signers: Sequence[Signer], who: int, seconds: float = 3.0, seed: int = 0) -> Day:
        """Do what is due of the newest day, and return it. The house signs. Call it at the times of the day.

        Rounds that are due together are one. `seconds`, `seed`: of each set. Also continues after a crash.
        """
        self._people.require(who, SETTLE, operator=self._register.house().operator)
        work = _DueWork(self, signers, who, seconds, seed)
        day = self.day()
        while day.state != ENDED:
            now_ns = read_ns(self._stores.clock)
            if day.state == OPEN:
                due = [each for each, done_ns in self.rounds(day.day) if each <= now_ns and not done_ns]
                if day.close_ns <= now_ns:
                    work.close(day, now_ns)
                elif due:
                    work.round(day, due)
                else:
                    break
            elif day.state == CALLED:
                if day.funding_ns > now_ns and work.lacking(day):
                    break
                work.judge(day)
            elif day.state == FUNDED:
                work.settle_last(day)
            else:
                work.end(day)
            day = self.day()
        return day


class _DueWork:
    """The steps of a day. Each ends with the transaction that stores the next state."""

    def __init__(self, of: HouseDays, signers: Sequence[Signer], who: int, seconds: float, seed: int) -> None:
        self._stores, self._positions, self._payments = of._stores, of._positions, of._payments
        self._gross, self._sets, self._pay_outs, self._house_days = of._gross, of._sets, of._pay_outs, of
        self._by: dict[str, Any] = {"signers": signers, "who": who}
        self._search: dict[str, Any] = {"seconds": seconds, "seed": seed}

    def round(self, day: Day, due: Sequence[int]) -> None:
        """Book what is covered and a set, pay out what is asked for, and store that these rounds are done."""
        self._book(earmarks_large=True)
        self._pay_outs.perform(**self._by)
        rounds = ROUNDS.update().where(ROUNDS.c.day == day.day, ROUNDS.c.due_ns.in_(due))
        statement = rounds.values(done_ns=read_ns(self._stores.clock))
        write(self._stores.engine, lambda connection: connection.execute(statement))

    def close(self, day: Day, now_ns: int) -> None:
        """Do the closing round, and call for the money that the rest of the queue and the lines need."""
        self._book()
        self._pay_outs.perform(**self._by)
        with reading(self._stores.engine) as connection:
            last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(PAYMENTS.c.number))) or 0
        needs = self._needs(last)
        calls = [
            {"day": day.day, "participant": one, "currency": other, "minor": minor, "left_minor": minor}
            for (one, other), minor in needs.items()
        ]

        def store(connection: Connection) -> None:
            late = ROUNDS.update().where(ROUNDS.c.day == day.day, ROUNDS.c.done_ns == 0)
            connection.execute(late.values(done_ns=now_ns))
            if calls:
                connection.execute(CALLS.insert(), calls)
                asked = [(*key, minor) for key, minor in needs.items()]
                events.called(connection, self._stores.clock, day.day, day.funding_ns, asked)

        self._step(day, OPEN, CALLED, store, last=last)

    def lacking(self, day: Day) -> dict[tuple[int, int], int]:
        """Return what called participants lack now, by participant and currency, in minor units."""
        needs = self._needs(day.last)
        called = [(each.participant, each.currency) for each in self._house_days.calls(day.day)]
        return {key: needs[key] for key in called if key in needs}

    def judge(self, day: Day) -> None:
        """Store who did not bring the money that it was asked for."""
        lacking = self.lacking(day)

        def store(connection: Connection) -> None:
            mine = CALLS.c.day == day.day
            connection.execute(CALLS.update().where(mine).values(left_minor=0))
            for (participant, currency), minor in lacking.items():
                one = mine & (CALLS.c.participant == participant) & (CALLS.c.currency == currency)
                connection.execute(CALLS.update().where(one).values(left_minor=minor))
            self._add_defaults(connection, day, {participant for participant, _ in lacking})

        self._step(day, CALLED, FUNDED, store)

    def settle_last(self, day: Day) -> None:
        """Block who failed, settle the rest, repay the lines, and store who still owes one."""
        self._block(day)
        self._book()
        self._positions.repay(**self._by)
        self._pay_outs.perform(**self._by)
        owing = {each.position.participant for each in self._positions.funds() if each.drawn_minor and each.can_pay}
        self._step(day, FUNDED, SETTLED, lambda connection: self._add_defaults(connection, day, owing))

    def end(self, day: Day) -> None:
        """Block who owes a line, cancel what is left of the day's queue, and end the day."""
        self._block(day)
        now_ns = read_ns(self._stores.clock)
        failed = sqlalchemy.select(DEFAULTS.c.participant).where(DEFAULTS.c.day == day.day)
        mine = (PAYMENTS.c.number <= day.last) & (PAYMENTS.c.from_ns <= day.close_ns) & in_states(*WAITING)
        reason = sqlalchemy.case((PAYMENTS.c.sender.in_(failed), reasons.NO_MONEY), else_=reasons.TOO_LATE)
        statement = PAYMENTS.update().where(mine).values(state=CANCELLED, reason=reason)

        def store(connection: Connection) -> None:
            events.ended(connection, self._stores.clock, mine, reason)
            inbox.drop_waiting(connection, mine)
            count = connection.execute(statement).rowcount
            connection.execute(DAYS.update().where(DAYS.c.day == day.day).values(cancelled=count))

        self._step(day, SETTLED, ENDED, store, ended_ns=now_ns)

    # --- helpers ---

    def _book(self, *, earmarks_large: bool = False) -> None:
        """Book what is due and covered, one by one, then urgent payments in order, and then a set.

        `earmarks_large`: before the close, senders earmark their money for a large payment.
        """
        self._payments.end_overdue()
        self._payments.queue_due()
        self._sets.finish(**self._by)
        self._gross.release(earmarks_large=earmarks_large, **self._by)
        self._sets.settle_in_order(priority_max=URGENT, earmarks_large=earmarks_large, **self._by)
        self._sets.settle(choice=Choice(earmarks_large=earmarks_large), **self._search, **self._by)

    def _needs(self, last: int) -> dict[tuple[int, int], int]:
        """Return what positions lack to pay all queued payments up to a number and to repay their lines."""
        with reading(self._stores.engine) as connection:
            found = waiting(connection, QUEUED, read_ns(self._stores.clock))
        funds = self._positions.funds()
        nodes = Nodes.of(funds)
        found = found.part((found.numbers <= last) & bookable(found, nodes))
        legs = legs_of(found, nodes)
        nets = np.zeros(len(funds), np.int64)
        np.add.at(nets, legs.senders, legs.amounts)
        np.subtract.at(nets, legs.receivers, legs.amounts)
        return {
            (each.position.participant, each.position.currency): lack
            for each, net in zip(funds, nets.tolist(), strict=True)
            if each.can_pay and (lack := net + each.drawn_minor - each.own_minor) > 0
        }

    def _add_defaults(self, connection: Connection, day: Day, participants: set[int]) -> None:
        known = set(connection.scalars(sqlalchemy.select(DEFAULTS.c.participant).where(DEFAULTS.c.day == day.day)))
        for each in sorted(participants - known):
            row = {"day": day.day, "participant": each, "block": self._stores.new_id()}
            connection.execute(DEFAULTS.insert().values(row))

    def _block(self, day: Day) -> None:
        """Block what leaves the positions of everybody who failed; those that are blocked stay so."""
        with reading(self._stores.engine) as connection:
            failed = connection.execute(sqlalchemy.select(DEFAULTS).where(DEFAULTS.c.day == day.day)).all()
        paying = {each.position.participant for each in self._positions.funds() if each.can_pay}
        for row in failed:
            if row.participant in paying:
                outcome = self._positions.block(row.participant, reason=Reason.OPERATOR, id=row.block, **self._by)
                outcome.require_created(f"the positions of participant {row.participant} are not blocked")

    def _step(self, day: Day, before: str, after: str, store: Callable[[Connection], None], **values: int) -> None:
        """Do one transaction that ends with the day's next state. Do nothing if another caller was faster."""
        chosen = DAYS.update().where(DAYS.c.day == day.day, DAYS.c.state == before)

        def step(connection: Connection) -> None:
            if connection.execute(chosen.values(state=after, **values)).rowcount:
                store(connection)

        write(self._stores.engine, step)
