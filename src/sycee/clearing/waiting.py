"""The queue as arrays: what waits in SQL, and the legs of payments between positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from sqlalchemy.engine import Connection

from sycee.clearing.house import Position
from sycee.clearing.instructions import PRIORITY_MAX
from sycee.clearing.positions import Funds
from sycee.clearing.tables import UNBOOKED
from sycee.core.arrays import Array, Bytes
from sycee.database.columns import id_bytes
from sycee.database.engines import is_sqlite

_COLUMNS: Final = (
    "number", "sender", "receiver", "currency", "minor", "back_currency", "back_minor", "priority", "at_ns",
)  # fmt: skip

TOTAL_MAX: Final = 1 << 59  # of payments weighed together: `netting` sums up to 2**62, and limits add legs


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """Payments of one state in columns of n rows, in order of arrival.

    `arrived`: nanoseconds. `uetrs`: (n, 16) u1.
    """

    numbers: Array
    senders: Array
    receivers: Array
    currencies: Array
    amounts: Array
    back_currencies: Array
    back_amounts: Array
    priorities: Array
    arrived: Array
    uetrs: Bytes

    @property
    def size(self) -> int:
        """Return the number of payments."""
        return int(self.numbers.size)

    def part(self, rows: Array) -> Waiting:
        """Return the payments in these rows: indexes or bool."""
        return Waiting(*(getattr(self, name)[rows] for name in self.__slots__))

    def between(self, pair: tuple[int, int]) -> Array:
        """Return the rows of the payments between two participants, ascending."""
        return np.flatnonzero(np.isin(self.senders, pair) & np.isin(self.receivers, pair))


def waiting(
    connection: Connection, state: str, now_ns: int, *, most: int | None = None, priority_max: int = PRIORITY_MAX,
    pair: tuple[int, int] | None = None, since_ns: int = 0,
) -> Waiting:  # fmt: skip
    """Return payments in an open state whose end has not come, at most `most`, oldest first.

    Their priority is at most `priority_max`. With a `pair` of participants: those between the two, and those that one
    of them pays and that arrived until `since_ns`.
    """
    limit = "" if most is None else f" LIMIT {most}"
    ends = "(p.until_ns = 0 OR p.until_ns > {0})"
    among = UNBOOKED if pair is None else f"p.number IN ({_of_pair(*pair, since_ns)})"
    where = f"{among} AND p.state = {{0}} AND p.priority <= {{0}} AND {ends} ORDER BY p.number{limit}"
    return _read(connection, "clearing_payments p", where, (state, priority_max, now_ns))


def _of_pair(one: int, other: int, since_ns: int) -> str:
    """Return the query for unbooked payments between two participants, and those that one of them pays since a time.

    What a payment brings back is paid by its receiver. Each part repeats the condition of its index word for word.
    """
    both, since = f"({one:d}, {other:d})", f"at_ns <= {since_ns:d}"
    chosen = f"SELECT number FROM clearing_payments WHERE {UNBOOKED}"  # noqa: S608  (integers)
    return (
        f"{chosen} AND sender IN {both} AND receiver IN {both} UNION {chosen} AND sender IN {both} AND {since} "
        f"UNION {chosen} AND back_minor > 0 AND receiver IN {both} AND {since}"
    )


def in_set(connection: Connection, set_id: int) -> Waiting:
    """Return the payments of a set, in its order."""
    tables = "clearing_members m JOIN clearing_payments p ON p.number = m.payment"
    return _read(connection, tables, "m.set_id = {0} ORDER BY m.place", (id_bytes(set_id),))


def _read(connection: Connection, tables: str, where: str, values: tuple[object, ...]) -> Waiting:
    columns = ", ".join(f"p.{name}" for name in ("uetr", *_COLUMNS))
    mark = "?" if is_sqlite(connection) else "%s"
    query = f"SELECT {columns} FROM {tables} WHERE {where.format(mark)}"  # noqa: S608  (our own names)
    rows = connection.exec_driver_sql(query, values).fetchall()
    count, width = len(rows), len(_COLUMNS)
    uetrs = np.frombuffer(b"".join([bytes(row[0]) for row in rows]), np.uint8).reshape(-1, 16)
    cells = np.fromiter(chain.from_iterable(row[1:] for row in rows), np.int64, count * width)
    number, sender, receiver, currency, amount, back_currency, back_amount, priority, at_ns = np.ascontiguousarray(
        cells.reshape(count, width).T
    )
    return Waiting(number, sender, receiver, currency, amount, back_currency, back_amount, priority, at_ns, uetrs)


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """The positions as nodes of `netting`: one for each participant and currency, in the order of `funds`."""

    funds: Sequence[Funds]  # () if nobody needs the money
    keys: Array  # (n,) participant << 32 | currency, ascending

    @classmethod
    def of(cls, funds: Sequence[Funds]) -> Nodes:
        """Return the nodes of positions with their money, in the order of participant and currency."""
        return cls(funds, cls.of_positions([each.position for each in funds]).keys)

    @classmethod
    def of_positions(cls, positions: Sequence[Position]) -> Nodes:
        """Return the nodes of positions, which are in the order of participant and currency."""
        return cls((), np.array([each.participant << 32 | each.currency for each in positions], np.int64))

    def find(self, participants: Array, currencies: Array) -> Array:
        """Return the node of each participant in a currency: (n,) indexes, -1 for none."""
        if not self.keys.size:
            return np.full(participants.size, -1, np.int64)
        wanted = participants << 32 | currencies
        at = np.minimum(np.searchsorted(self.keys, wanted), self.keys.size - 1)
        return np.where(self.keys[at] == wanted, at, -1)


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """The legs of payments, those of one payment together: its own, and what comes back of payment against payment."""

    payments: Array
    senders: Array
    receivers: Array
    amounts: Array


def legs_of(found: Waiting, nodes: Nodes) -> Legs:
    """Return the legs of payments between nodes, in order of payments."""
    own = np.arange(found.size)
    back = np.flatnonzero(found.back_amounts)
    payments = np.concatenate([own, back])
    order = np.argsort(payments, kind="stable")
    sides = (
        (nodes.find(found.senders, found.currencies), nodes.find(found.receivers, found.back_currencies)),
        (nodes.find(found.receivers, found.currencies), nodes.find(found.senders, found.back_currencies)),
        (found.amounts, found.back_amounts),
    )
    columns = [np.concatenate([one, other[back]])[order] for one, other in sides]
    return Legs(payments[order], *columns)


def within_total(found: Waiting) -> Array:
    """Return which payments can be weighed together, so that no sum overflows: all, or the smallest. (n,) bool."""
    weights = found.amounts.astype(np.float64) + found.back_amounts
    if weights.sum() <= TOTAL_MAX:
        return np.ones(found.size, bool)
    order = np.argsort(weights, kind="stable")
    good = np.zeros(found.size, bool)
    good[order[np.cumsum(weights[order]) <= TOTAL_MAX]] = True
    return good


def bookable(found: Waiting, nodes: Nodes) -> Array:
    """Return which payments can be booked now: open positions on both sides, and sums that fit. (n,) bool."""
    can_pay = np.array([each.can_pay for each in nodes.funds] + [False])
    can_receive = np.array([each.can_receive for each in nodes.funds] + [False])
    legs = legs_of(found, nodes)
    good = can_pay[legs.senders] & can_receive[legs.receivers]
    return np.asarray(np.bincount(legs.payments[~good], minlength=found.size) == 0) & within_total(found)
