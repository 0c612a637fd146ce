"""What the house forwards to a participant: messages of other participants that concern it.

A transfer of a customer (pacs.008) is forwarded to its receiver when it is booked; a request to return a booked payment
(camt.056) at once, and so is the answer to it (camt.029). The rows name the message from which each one follows;
`forwarding` makes the content.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing.tables import BOOKED, INBOX, INBOX_COUNTER, MEMBERS, PAYMENTS
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.database.bulk import insert_columns
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write

CUSTOMER_TRANSFER: Final = "pacs.008.001.08"


class InboxMessage(NamedTuple):
    """A message that is forwarded. `source`: the number of the message from which it follows."""

    number: int
    participant: int
    kind: str
    source: int
    payment: int
    at_ns: int


# The sum keeps SQLite from the index of numbers: rows that wait are found by their payments.
_WAITS: Final = (INBOX.c.number + 0) == 0
_COLUMNS: Final = tuple(INBOX.c[name] for name in InboxMessage._fields)


class Inbox:
    """The messages to participants of one house."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def page(self, participant: int, *, after: int = 0, most: int = 1_000) -> Sequence[InboxMessage]:
        """Return up to `most` messages to a participant with numbers above `after`, in order."""
        chosen = (INBOX.c.participant == participant) & (INBOX.c.number > after)
        return self._read(chosen, most)

    def not_exported(self, *, after: int = 0, most: int = 1_000) -> Sequence[InboxMessage]:
        """Return up to `most` messages to all participants that are not written to files yet, in order.

        `after`: only those with numbers above it.
        """
        return self._read((INBOX.c.exported_ns == 0) & (INBOX.c.number > after), most)

    def mark_exported(self, number: int) -> None:
        """Store that a message is written to a file."""
        statement = INBOX.update().where(INBOX.c.number == number).values(exported_ns=read_ns(self._stores.clock))
        write(self._stores.engine, lambda connection: connection.execute(statement))

    def _read(self, chosen: Any, most: int) -> Sequence[InboxMessage]:
        query = sqlalchemy.select(*_COLUMNS).where(chosen).order_by(INBOX.c.number).limit(most)
        with reading(self._stores.engine) as connection:
            return [InboxMessage(*row) for row in connection.execute(query)]


def add(connection: Connection, source: int, payment: int, participant: int, kind: str, now_ns: int) -> int:
    """Forward a message in the caller's transaction, and return its number. Call it inside `write`."""
    number = _take_numbers(connection, 1)
    row = {
        "source": source, "payment": payment, "participant": participant, "kind": kind, "number": number,
        "at_ns": now_ns, "exported_ns": 0,
    }  # fmt: skip
    connection.execute(INBOX.insert().values(row))
    return number


def add_waiting(connection: Connection, sources: Array, payments: Array, participants: Array) -> None:
    """Let transfers of customers wait: they are forwarded to their receivers once they are booked."""
    columns: dict[str, Any] = {
        "source": sources, "payment": payments, "participant": participants, "kind": CUSTOMER_TRANSFER, "number": 0,
        "at_ns": 0, "exported_ns": 0,
    }  # fmt: skip
    insert_columns(connection, INBOX, columns)


def deliver_booked(connection: Connection, set_id: int, now_ns: int) -> None:
    """Forward what waited for the payments of a set that are booked now."""
    if not _has_waiting(connection):
        return
    joined = INBOX.join(MEMBERS, MEMBERS.c.payment == INBOX.c.payment).join(
        PAYMENTS, PAYMENTS.c.number == INBOX.c.payment
    )
    query = sqlalchemy.select(INBOX.c.source, INBOX.c.payment).select_from(joined)
    query = query.where(_WAITS, MEMBERS.c.set_id == set_id, PAYMENTS.c.state == BOOKED).order_by(INBOX.c.payment)
    found = connection.execute(query).all()
    if not found:
        return
    first = _take_numbers(connection, len(found))
    rows = [{"of": row.source, "paid": row.payment, "new": number} for number, row in enumerate(found, first)]
    bind = sqlalchemy.bindparam
    mine = (INBOX.c.source == bind("of")) & (INBOX.c.payment == bind("paid"))
    connection.execute(INBOX.update().where(mine).values(number=bind("new"), at_ns=now_ns), rows)


def take_back(connection: Connection, payments: Any) -> None:
    """Mark transfers of a set as not forwarded: the restored ledger has no booking of them.

    `payments`: of the set, numbers or a query. The numbers of the messages are not given again.
    """
    chosen = INBOX.c.payment.in_(payments) & (INBOX.c.kind == CUSTOMER_TRANSFER)
    connection.execute(INBOX.update().where(chosen).values(number=0, at_ns=0, exported_ns=0))


def drop_waiting(connection: Connection, chosen: Any) -> None:
    """Remove what waits for payments that end without being booked. `chosen`: a condition on PAYMENTS."""
    if _has_waiting(connection):
        ended = sqlalchemy.select(PAYMENTS.c.number).where(chosen)
        connection.execute(INBOX.delete().where(_WAITS, INBOX.c.payment.in_(ended)))


def _has_waiting(connection: Connection) -> bool:
    return connection.scalar(sqlalchemy.select(INBOX.c.payment).where(INBOX.c.number == 0).limit(1)) is not None


def _take_numbers(connection: Connection, count: int) -> int:
    """Return the first of `count` consecutive numbers that were never given before."""
    last = connection.scalar(sqlalchemy.select(INBOX_COUNTER.c.last))
    if last is None:
        connection.execute(INBOX_COUNTER.insert().values(id=1, last=count))
        return 1
    connection.execute(INBOX_COUNTER.update().values(last=last + count))
    return int(last) + 1
