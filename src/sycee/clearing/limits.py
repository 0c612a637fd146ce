"""Limits that participants set for themselves: what may go net to one other or to all, and what urgent payments keep.

Limits stand, dated, in the house's tables; the ledger knows none of them. They count what sets and single bookings of
the day paid, net: returned money is free again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy

from sycee.clearing.house import Register
from sycee.clearing.instructions import URGENT
from sycee.clearing.precedence import Earmarks
from sycee.clearing.tables import BILATERAL, FLOWS, LIMIT_KINDS, LIMITS, MULTILATERAL, RESERVATION
from sycee.clearing.waiting import Legs, Nodes, Waiting
from sycee.core import money, typos
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import UsageError
from sycee.core.limits import I64_MAX
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.netting.pair_limits import with_pair_limits
from sycee.netting.queue import Queue

SET: Final = "clearing.limit"
LARGE: Final = "large"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that counts now. `other`: of a bilateral limit, else 0."""

    participant: int
    currency: int
    kind: str
    other: int
    minor: int
    from_ns: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What is left of the limits of nodes, by the index of the node.

    - `pairs`: what may still go net from one node to another. `totals`: from one node to all others.
    - `reserved`: kept for urgent payments.
    """

    pairs: Mapping[tuple[int, int], int] = field(default_factory=dict)
    totals: Mapping[int, int] = field(default_factory=dict)
    reserved: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bound:
    """A node of a queue that is no position: a limit. `limit` is what `netting` may use of it."""

    name: str
    currency: int
    limit: int


class Limits:
    """The limits of one house. `zone`: of the day whose payments count."""

    def __init__(self, stores: Stores, people: People, register: Register, zone: ZoneInfo) -> None:
        self._stores, self._people, self._register, self._zone = stores, people, register, zone

    def set(
        self, participant: int, currency: str, kind: str, minor: int | None, *, who: int, other: int = 0,
        from_ns: int = 0, id: int = 0,
    ) -> int:  # fmt: skip
        """Set a participant's limit from a time on, now if it is 0; return its id. None: no limit from then on.

        - `kind`: "bilateral" (`other` is the other participant), "multilateral" or "reservation".
        - `id`: the same id again changes nothing.
        """
        self._people.require(who, SET, operator=participant)
        typos.require(kind, LIMIT_KINDS, f"there is no limit {kind}", ", ".join(LIMIT_KINDS))
        number = money.currency(currency).numeric
        self._register.position(participant, number)
        if (kind == BILATERAL) != bool(other) or other == participant:
            raise UsageError("a bilateral limit names another participant, and no other kind names one")
        if other:
            self._register.position(other, number)
        if minor is not None and not 0 <= minor <= I64_MAX:
            raise UsageError("a limit is at least 0 minor units, or none")
        now_ns = read_ns(self._stores.clock)
        limit = id or self._stores.new_id()
        row = {
            "id": limit, "participant": participant, "currency": number, "kind": kind,
            "other": other, "minor": minor, "from_ns": max(from_ns, now_ns), "made_ns": now_ns, "who": who,
        }  # fmt: skip

        def store(connection: sqlalchemy.Connection) -> None:
            if connection.scalar(sqlalchemy.select(LIMITS.c.id).where(LIMITS.c.id == limit)) is None:
                last = connection.scalar(sqlalchemy.select(sqlalchemy.func.max(LIMITS.c.number))) or 0
                connection.execute(LIMITS.insert().values(row | {"number": last + 1}))

        write(self._stores.engine, store)
        return limit

    def current(self) -> list[Limit]:
        """Return the limits that count now, by participant and currency."""
        now_ns = read_ns(self._stores.clock)
        query = sqlalchemy.select(LIMITS).where(LIMITS.c.from_ns <= now_ns)
        newest = {}
        with reading(self._stores.engine) as connection:
            for row in connection.execute(query.order_by(LIMITS.c.from_ns, LIMITS.c.number)):
                newest[row.participant, row.currency, row.kind, row.other] = row
        return [
            Limit(row.participant, row.currency, row.kind, row.other, row.minor, row.from_ns)
            for _, row in sorted(newest.items())
            if row.minor is not None
        ]

    def flows(self) -> dict[tuple[int, int, int], int]:
        """Return what each participant paid each other today, by sender, receiver and currency."""
        total = sqlalchemy.func.sum(FLOWS.c.minor)
        keys = (FLOWS.c.sender, FLOWS.c.receiver, FLOWS.c.currency)
        query = sqlalchemy.select(*keys, total).where(FLOWS.c.at_ns >= self._day_ns()).group_by(*keys)
        with reading(self._stores.engine) as connection:
            return {(one, other, each): int(minor) for one, other, each, minor in connection.execute(query)}

    def rules(self, nodes: Nodes) -> Rules:
        """Return what is left of the limits that count now."""
        current = self.current()
        if not current:
            return Rules()
        flows = self.flows()
        at = {(each.position.participant, each.position.currency): index for index, each in enumerate(nodes.funds)}
        pairs, totals, reserved = {}, {}, {}
        for each in current:
            index = at[each.participant, each.currency]
            if each.kind == RESERVATION:
                reserved[index] = each.minor
                continue
            used = sum(
                minor * ((one == each.participant) - (two == each.participant))
                for (one, two, currency), minor in flows.items()
                if currency == each.currency and each.participant in (one, two) and each.other in (0, one, two)
            )
            left = max(0, each.minor - used)
            if each.kind == MULTILATERAL:
                totals[index] = left
            else:
                pairs[index, at[each.other, each.currency]] = left
        return Rules(pairs, totals, reserved)

    def _day_ns(self) -> int:
        """Return the start of the local day."""
        local = datetime.fromtimestamp(read_ns(self._stores.clock) / 1e9, self._zone)
        start = local.replace(hour=0, minute=0, second=0, microsecond=0)
        return int(start.timestamp()) * 10**9


def code_of(currency: int) -> str:
    """Return the code of a bound's currency; "" for one that is of all."""
    return money.currency_of(currency).code if currency else ""


def limited_queue(
    found: Waiting, legs: Legs, nodes: Nodes, rules: Rules, weights: Array, earmarks: Earmarks
) -> tuple[Queue, list[Bound]]:
    """Return the input of `netting` with all limits, and its nodes after the positions. `weights`: of the payments.

    A multilateral limit lowers its node's. A reservation, money that is earmarked for a large payment, and the largest
    balance of a position, is a separate node: each payment that counts gets another leg to or from it.
    """
    limits = [min(each.limit_minor, rules.totals.get(index, I64_MAX)) for index, each in enumerate(nodes.funds)]
    free = int(legs.amounts.sum())
    normal = found.priorities[legs.payments] > URGENT
    bounds: list[Bound] = []
    extra: list[Legs] = []
    sink = len(limits)  # the other side of all further legs

    def add(index: int, name: str, limit: int, out: Array, back: Array) -> None:
        node = np.int64(sink + 1 + len(bounds))
        bounds.append(Bound(f"{name} {index}", nodes.funds[index].position.currency, min(max(0, limit), free)))
        for chosen, is_out in ((out, True), (back, False)):
            rows = np.flatnonzero(chosen)
            one, other = (np.full(rows.size, each) for each in ((node, sink) if is_out else (sink, node)))
            extra.append(Legs(legs.payments[rows], one, other, legs.amounts[rows]))

    for index, minor in sorted(rules.reserved.items()):
        add(index, RESERVATION, limits[index] - minor, (legs.senders == index) & normal, legs.receivers == index)
    for index in sorted(earmarks.payments):  # all its money; what comes in may be used
        add(index, LARGE, 0, (legs.senders == index) & earmarks.is_held, legs.receivers == index)
    for index, each in enumerate(nodes.funds):
        if each.headroom_minor is not None:
            add(index, "headroom", each.headroom_minor, legs.receivers == index, legs.senders == index)
    if bounds:
        bounds.insert(0, Bound("limits", 0, free))
        all_ = (legs, *extra)
        payments = np.concatenate([each.payments for each in all_])
        order = np.argsort(payments, kind="stable")
        legs = Legs(
            payments[order],
            np.concatenate([each.senders for each in all_])[order],
            np.concatenate([each.receivers for each in all_])[order],
            np.concatenate([each.amounts for each in all_])[order],
        )
    queue = Queue(
        legs.senders, legs.receivers, legs.amounts, np.array([*limits, *(each.limit for each in bounds)], np.int64),
        legs.payments, weights, found.priorities,
    )  # fmt: skip
    if rules.pairs:
        before = queue.nodes
        queue = with_pair_limits(queue, rules.pairs)
        pairs = sorted({(min(pair), max(pair)) for pair in rules.pairs})
        both = [pair for one, other in pairs for pair in ((one, other), (other, one))]
        bounds += [
            Bound(f"{BILATERAL} {one} {other}", nodes.funds[one].position.currency, int(limit))
            for (one, other), limit in zip(both, queue.limits[before:].tolist(), strict=True)
        ]
    return queue, bounds
