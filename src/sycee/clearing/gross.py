"""Book payments by themselves: each from what its sender has now, a payment against payment as a chain of two.

Each part of up to RECORDS_MAX records is an intent: its payments are decided in the transaction that stores it, so no
other decider takes them, and a restart finishes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sqlalchemy.engine import Connection

from sycee.clearing import events
from sycee.clearing.house import Register
from sycee.clearing.instructions import PRIORITY_MAX, URGENT
from sycee.clearing.limits import Limits, Rules
from sycee.clearing.permits import Permits
from sycee.clearing.positions import Positions
from sycee.clearing.precedence import EARMARKED_AFTER_NS, Earmarks, earmarks_for_large, no_earmarks
from sycee.clearing.set_payments import book_members, free_members, take_members
from sycee.clearing.tables import BOOKING, DISCARDED, DONE, GROSS, QUEUED, SETS
from sycee.clearing.waiting import Legs, Nodes, Waiting, bookable, legs_of, waiting
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import BusyError
from sycee.core.records import layout, operations
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.people import People
from sycee.netting.queue import Queue
from sycee.netting.release import release
from sycee.sequencer.signer import Signer

BOOK: Final = "clearing.book"
RECORDS_MAX: Final = 7_900  # of one intent, which one frame holds


@dataclass(frozen=True, slots=True)
class Booked:
    """What was booked: numbers of payments, and those that the ledger refused, which are queued again."""

    payments: int
    minor: int
    refused: int


class Gross:
    """Bookings of single payments."""

    def __init__(
        self, stores: Stores, people: People, register: Register, positions: Positions, limits: Limits,
        permits: Permits,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._register, self._positions = stores, people, register, positions
        self._limits, self._permits = limits, permits
        stores.actions.register(_Book(stores))

    def release(
        self, *, signers: Sequence[Signer], who: int, priority_max: int = PRIORITY_MAX, most: int | None = None,
        earmarks_large: bool = True, between: tuple[int, int] | None = None,
    ) -> Booked:  # fmt: skip
        """Book every queued payment that its sender's own money covers, most urgent first, then oldest.

        What a payment brings its receiver counts for those after it, and the queue is tried until nothing more is
        covered. `earmarks_large`: senders earmark their money for a large payment (`precedence`). `between`: payments
        of two participants alone. Permits are renewed first. Limits count; no line is drawn on: `Sets.settle_covered`
        does. The house signs. If one of the payments ended meanwhile, or another caller decided about it, the rest is
        decided anew; the second time, BusyError is raised.
        """
        self._people.require(who, BOOK, operator=self._register.house().operator)
        done: list[Booked] = []
        choice = most, priority_max, earmarks_large, between
        try:
            self._book(*self._choose(*choice), signers, who, done)
        except BusyError:
            self._book(*self._choose(*choice), signers, who, done)
        return _sum(done)

    def _choose(
        self, most: int | None, priority_max: int, earmarks_large: bool, between: tuple[int, int] | None
    ) -> tuple[Waiting, Nodes]:
        """Return the queued payments that can be booked one after another, in that order."""
        self._permits.renew()
        with reading(self._stores.engine) as connection:
            now_ns = read_ns(self._stores.clock)
            found = waiting(
                connection, QUEUED, now_ns, most=most, priority_max=priority_max, pair=between,
                since_ns=now_ns - EARMARKED_AFTER_NS,
            )  # fmt: skip
        nodes = Nodes.of(self._positions.funds())
        found = found.part(bookable(found, nodes))
        legs = legs_of(found, nodes)
        own = np.array([each.own_minor if each.can_pay else 0 for each in nodes.funds], np.int64)
        earmarks = earmarks_for_large(found, legs, nodes, own, now_ns) if earmarks_large else no_earmarks(legs)
        among = np.arange(found.size) if between is None else found.between(between)
        order = _covered(legs, found, nodes, self._limits.rules(nodes), earmarks, among)
        return found.part(order), nodes

    def book(self, chosen: Waiting, nodes: Nodes, *, signers: Sequence[Signer], who: int) -> Booked:
        """Book payments in this order. One that the ledger refuses is queued again. The house signs.

        Raises BusyError if another caller decided about one of them, or its end has come: the parts before it are
        booked.
        """
        done: list[Booked] = []
        self._book(chosen, nodes, signers, who, done)
        return _sum(done)

    def _book(self, chosen: Waiting, nodes: Nodes, signers: Sequence[Signer], who: int, done: list[Booked]) -> None:
        """Book payments in parts, and add what was booked to `done`, also of parts before an error."""
        for part in _parts(chosen):
            draft, sizes = self._draft(part, nodes, who, signers)
            outcome = self._stores.intents.perform(draft)
            good = _good(outcome.results, sizes)
            done.append(Booked(int(good.sum()), int(part.amounts[good].sum()), int((~good).sum())))

    def _draft(self, part: Waiting, nodes: Nodes, who: int, signers: Sequence[Signer]) -> tuple[Draft, Array]:
        now_ns = read_ns(self._stores.clock)
        set_id = ids.new(now_ns // 1_000_000)
        records, sizes = transfers(part, nodes, now_ns)
        row = {
            "id": set_id, "kind": GROSS, "first": ids.of_record(records[0], "id"), "batch": 0, "payments": part.size,
            "records": records.size, "total_minor": 0, "frame": 0, "decided_ns": now_ns, "ended_ns": 0, "reason": "",
            "state": BOOKING, "who": who,
        }  # fmt: skip
        payload = {"payments": part.numbers.tolist(), "pairs": np.flatnonzero(sizes == 2).tolist()}

        def before(connection: Connection) -> None:
            connection.execute(SETS.insert().values(row))
            take_members(connection, set_id, part.numbers, now_ns)

        return Draft(BOOK, records, payload, who=who, signers=signers, before=before, id=set_id), sizes


def transfers(part: Waiting, nodes: Nodes, now_ns: int) -> tuple[Array, Array]:
    """Return the records of payments, with their UETRs as notes, and the number of records of each payment."""
    legs = legs_of(part, nodes)
    accounts = np.array([ids.split(each.position.account) for each in nodes.funds], ids.ID)
    records = operations.transfer(
        ids.generate(legs.payments.size, time_ms=now_ns // 1_000_000),
        debit=accounts[legs.senders], credit=accounts[legs.receivers], amount=legs.amounts,
    )  # fmt: skip
    write_notes(records, part.uetrs[legs.payments])
    sizes = np.bincount(legs.payments, minlength=part.size)
    first_of_pair = np.flatnonzero(np.diff(legs.payments) == 0)
    records["flags"][first_of_pair] |= layout.LINKED
    return records, sizes


def write_notes(records: Array, uetrs: Array) -> None:
    """Write UETRs, (n, 16) u1, into the notes of records: a note is the UUID as a number."""
    halves = np.ascontiguousarray(uetrs).view(">u8").reshape(-1, 2)
    records["note_high"], records["note_low"] = halves[:, 0], halves[:, 1]


def _covered(legs: Legs, found: Waiting, nodes: Nodes, rules: Rules, earmarks: Earmarks, among: Array) -> Array:
    """Return the rows of payments that can be booked one after another, in that order: those in the rows `among`."""
    left = _Left(nodes, rules, earmarks)
    firsts = np.searchsorted(legs.payments, np.arange(found.size + 1)).tolist()
    flows = list(
        zip(
            legs.senders.tolist(),
            legs.receivers.tolist(),
            legs.amounts.tolist(),
            earmarks.is_held.tolist(),
            strict=True,
        )
    )
    is_urgent = (found.priorities <= URGENT).tolist()
    rows: list[int] = among[np.lexsort((among, found.priorities[among]))].tolist()
    if not left.has_limits:
        # The compiled search finds the same payments; only their order is left to find.
        queue = Queue(legs.senders, legs.receivers, legs.amounts, left.own, legs.payments, priorities=found.priorities)
        is_covered = np.zeros(found.size, bool)
        is_covered[among] = release(queue.part(among), keeps_order=False)
        rows = [row for row in rows if is_covered[row]]
    order: list[int] = []
    while True:
        waiting_rows: list[int] = []
        for row in rows:
            mine = flows[firsts[row] : firsts[row + 1]]
            if all(left.covers(*leg, is_urgent=is_urgent[row]) for leg in mine):
                order.append(row)
                for sender, receiver, amount, _ in mine:
                    left.move(sender, receiver, amount)
                    if earmarks.payments.get(sender) == row:
                        left.end_earmark(sender)
            else:
                waiting_rows.append(row)
        if len(waiting_rows) == len(rows):
            return np.array(order, np.int64)
        rows = waiting_rows


class _Left:
    """What each node may still pay and receive, as payments are booked one after another."""

    def __init__(self, nodes: Nodes, rules: Rules, earmarks: Earmarks) -> None:
        self._own = [each.own_minor if each.can_pay else 0 for each in nodes.funds]
        self._headroom = {
            at: each.headroom_minor for at, each in enumerate(nodes.funds) if each.headroom_minor is not None
        }
        self._totals, self._pairs, self._reserved = dict(rules.totals), dict(rules.pairs), rules.reserved
        self._earmarked = dict(earmarks.amounts)
        self.has_limits = bool(self._headroom or self._totals or self._pairs or self._reserved or self._earmarked)

    @property
    def own(self) -> Array:
        """Return what each node may still pay."""
        return np.array(self._own, np.int64)

    def covers(self, sender: int, receiver: int, amount: int, is_held: bool, *, is_urgent: bool) -> bool:
        """Return whether a leg can be booked now. `is_held`: it comes after a payment for which money is earmarked."""
        if amount > self._own[sender]:
            return False
        if not self.has_limits:
            return True
        reserved = 0 if is_urgent else self._reserved.get(sender, 0)
        reserved = max(reserved, self._earmarked.get(sender, 0)) if is_held else reserved
        return (
            amount <= self._own[sender] - reserved
            and amount <= self._totals.get(sender, amount)
            and amount <= self._pairs.get((sender, receiver), amount)
            and amount <= self._headroom.get(receiver, amount)
        )

    def end_earmark(self, sender: int) -> None:
        """End the earmark of a sender, whose large payment is booked."""
        self._earmarked.pop(sender, None)

    def move(self, sender: int, receiver: int, amount: int) -> None:
        """Book a leg."""
        self._own[sender] -= amount
        self._own[receiver] += amount
        if self.has_limits:
            for left, place, change in (
                (self._totals, sender, -amount), (self._totals, receiver, amount),
                (self._pairs, (sender, receiver), -amount), (self._pairs, (receiver, sender), amount),
                (self._headroom, receiver, -amount), (self._headroom, sender, amount),
            ):  # fmt: skip
                if place in left:
                    left[place] += change  # type: ignore[index]


def _sum(done: Sequence[Booked]) -> Booked:
    return Booked(
        sum(each.payments for each in done), sum(each.minor for each in done), sum(each.refused for each in done)
    )


def _parts(chosen: Waiting) -> Sequence[Waiting]:
    """Return payments in parts of up to RECORDS_MAX records."""
    records = np.cumsum(np.where(chosen.back_amounts > 0, 2, 1))
    parts, start = [], 0
    while start < chosen.size:
        before = int(records[start - 1]) if start else 0
        end = int(np.searchsorted(records, before + RECORDS_MAX, side="right"))
        parts.append(chosen.part(np.arange(start, end)))
        start = end
    return parts


def _good(results: Sequence[Result], sizes: Array) -> Array:
    """Return which payments all of whose records were created: (n,) bool."""
    created = np.array([each is Result.CREATED for each in results])
    return np.asarray(np.logical_and.reduceat(created, np.cumsum(sizes) - sizes))


class _Book:
    """The outcome of one part."""

    name = BOOK

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Book the payments that the ledger made, and queue the others again."""
        numbers = np.array(intent.payload["payments"], np.int64)
        sizes = np.ones(numbers.size, np.int64)
        sizes[intent.payload["pairs"]] = 2
        good, now_ns = _good(results, sizes), read_ns(self._stores.clock)
        free_members(connection, intent.id, numbers[~good])
        book_members(connection, intent.id, numbers[good], now_ns)
        events.settled(connection, self._stores.clock, intent.id)
        _end(connection, intent.id, DONE, now_ns)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Queue the payments again."""
        free_members(connection, intent.id, np.array(intent.payload["payments"], np.int64))
        _end(connection, intent.id, DISCARDED, read_ns(self._stores.clock))


def _end(connection: Connection, set_id: int, state: str, now_ns: int) -> None:
    values: dict[str, Any] = {"state": state, "ended_ns": now_ns}
    connection.execute(SETS.update().where(SETS.c.id == set_id).values(values))
