"""Which set a payment is in. A payment has one row, so two deciders cannot settle it twice."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing import inbox
from sycee.clearing.tables import BOOKED, DECIDED, FLOWS, MEMBERS, PAYMENTS, QUEUED, RETURNED
from sycee.core.arrays import Array
from sycee.core.errors import BusyError
from sycee.database.bulk import insert_columns
from sycee.database.columns import id_bytes

_PART: Final = 500  # values of one condition


def take_members(connection: Connection, set_id: int, numbers: Array, now_ns: int) -> None:
    """Let queued payments join a set, in this order.

    Raises BusyError if one of them is not queued any more, or its end has come.
    """
    insert_columns(
        connection, MEMBERS, {"payment": numbers, "set_id": id_bytes(set_id), "place": np.arange(numbers.size)},
        may_exist=True,
    )  # fmt: skip
    is_open = (PAYMENTS.c.state == QUEUED) & ((PAYMENTS.c.until_ns == 0) | (PAYMENTS.c.until_ns > now_ns))
    statement = PAYMENTS.update().where(is_open, _in_set(set_id)).values(state=DECIDED)
    taken = connection.execute(statement).rowcount
    if taken != numbers.size:
        raise BusyError(
            f"{numbers.size - taken:,} of {numbers.size:,} payments are not queued any more, or ended",
            hint="decide again",
        )


def book_members(connection: Connection, set_id: int, numbers: Array | None, now_ns: int) -> None:
    """Store that payments of a set are booked, and what each pair paid. May run again, also after `free_members`.

    `numbers`: the payments; None for all that are in the set.
    """
    connection.execute(FLOWS.delete().where(FLOWS.c.set_id == set_id))
    if numbers is not None:
        if not numbers.size:
            return
        columns = {"payment": numbers, "set_id": id_bytes(set_id), "place": np.arange(numbers.size)}
        insert_columns(connection, MEMBERS, columns, may_exist=True)
    open_ = PAYMENTS.c.state.in_((DECIDED, QUEUED))
    connection.execute(
        PAYMENTS.update().where(open_, _in_set(set_id)).values(state=BOOKED, booked_ns=now_ns, reason="")
    )
    _set_originals(connection, set_id, BOOKED, RETURNED)
    inbox.deliver_booked(connection, set_id, now_ns)
    there = sqlalchemy.literal(set_id, MEMBERS.c.set_id.type)
    at = sqlalchemy.literal(now_ns)
    joined = PAYMENTS.join(MEMBERS, MEMBERS.c.payment == PAYMENTS.c.number)
    mine = MEMBERS.c.set_id == set_id
    own = (PAYMENTS.c.sender, PAYMENTS.c.receiver, PAYMENTS.c.currency, PAYMENTS.c.minor)
    back = (PAYMENTS.c.receiver, PAYMENTS.c.sender, PAYMENTS.c.back_currency, PAYMENTS.c.back_minor)
    names = ("sender", "receiver", "currency", "minor")
    sides = []
    for side in (own, back):
        named: list[Any] = [column.label(name) for column, name in zip(side, names, strict=True)]
        sides.append(sqlalchemy.select(*named).select_from(joined).where(mine, side[3] > 0))
    legs = sqlalchemy.union_all(*sides).subquery()
    keys = (legs.c.sender, legs.c.receiver, legs.c.currency)
    total = sqlalchemy.cast(sqlalchemy.func.sum(legs.c.minor), FLOWS.c.minor.type)
    flows = sqlalchemy.select(there, *keys, total, at).group_by(*keys)
    connection.execute(FLOWS.insert().from_select(("set_id", *names, "at_ns"), flows))


def decide_again(connection: Connection, set_id: int) -> None:
    """Take the bookings of a set back: a restored ledger does not have them."""
    connection.execute(FLOWS.delete().where(FLOWS.c.set_id == set_id))
    _set_originals(connection, set_id, RETURNED, BOOKED)
    inbox.take_back(connection, _members(set_id))
    values = {"state": DECIDED, "booked_ns": 0, "answered_ns": 0}
    connection.execute(PAYMENTS.update().where(PAYMENTS.c.state == BOOKED, _in_set(set_id)).values(values))


def free_all(connection: Connection, set_id: int) -> None:
    """Queue all payments of a set again."""
    connection.execute(FLOWS.delete().where(FLOWS.c.set_id == set_id))
    _set_originals(connection, set_id, RETURNED, BOOKED)
    inbox.take_back(connection, _members(set_id))
    again = PAYMENTS.c.state.in_((DECIDED, BOOKED)) & _in_set(set_id)
    values = {"state": QUEUED, "booked_ns": 0, "answered_ns": 0}
    connection.execute(PAYMENTS.update().where(again).values(values))
    connection.execute(MEMBERS.delete().where(MEMBERS.c.set_id == set_id))


def free_members(connection: Connection, set_id: int, numbers: Array) -> None:
    """Queue payments of a set again, which the ledger did not book."""
    connection.execute(FLOWS.delete().where(FLOWS.c.set_id == set_id))
    _set_originals(connection, set_id, RETURNED, BOOKED)
    chosen = numbers.tolist()
    for start in range(0, len(chosen), _PART):
        part = chosen[start : start + _PART]
        mine = MEMBERS.c.payment.in_(part) & (MEMBERS.c.set_id == set_id)
        again = PAYMENTS.c.number.in_(part) & PAYMENTS.c.state.in_((DECIDED, BOOKED)) & _in_set(set_id)
        values = {"state": QUEUED, "booked_ns": 0, "answered_ns": 0}
        connection.execute(PAYMENTS.update().where(again).values(values))
        inbox.take_back(connection, part)
        connection.execute(MEMBERS.delete().where(mine))


def _set_originals(connection: Connection, set_id: int, before: str, after: str) -> None:
    """Change the state of the payments that payments of a set return."""
    joined = PAYMENTS.join(MEMBERS, MEMBERS.c.payment == PAYMENTS.c.number)
    originals = sqlalchemy.select(PAYMENTS.c.original).select_from(joined)
    mine = originals.where(MEMBERS.c.set_id == set_id, PAYMENTS.c.original > 0)
    numbers = list(connection.scalars(mine))
    for start in range(0, len(numbers), _PART):
        chosen = PAYMENTS.c.number.in_(numbers[start : start + _PART]) & (PAYMENTS.c.state == before)
        connection.execute(PAYMENTS.update().where(chosen).values(state=after))


def _in_set(set_id: int) -> Any:
    return PAYMENTS.c.number.in_(_members(set_id))


def _members(set_id: int) -> Any:
    return sqlalchemy.select(MEMBERS.c.payment).where(MEMBERS.c.set_id == set_id)
