"""Events for participants: rows that follow from what a transaction stored, added in the same transaction.

Each participant of a booked set gets one event with its sums by currency, however many payments the set has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing.tables import FLOWS, PAYMENTS
from sycee.core import ids, money
from sycee.core.clock import Clock
from sycee.core.timestamps import exact_text
from sycee.database.events import EventKind, NewEvent, record_event, record_events

_PAID: Final = ("paid", "received")


def settled(connection: Connection, clock: Clock, set_id: int) -> None:
    """Tell each participant of a booked set what it paid and received in each currency."""
    sums: dict[int, dict[str, dict[str, int]]] = {}
    for row in connection.execute(sqlalchemy.select(FLOWS).where(FLOWS.c.set_id == set_id)):
        code = money.currency_code(row.currency)
        for participant, name in zip((row.sender, row.receiver), _PAID, strict=True):
            mine = sums.setdefault(participant, {}).setdefault(code, dict.fromkeys(_PAID, 0))
            mine[name] += row.minor
    record_events(
        connection, clock, EventKind.CLEARING_SETTLED,
        [
            NewEvent(ids.format(set_id), participant, {code: _texts(each) for code, each in sorted(mine.items())})
            for participant, mine in sorted(sums.items())
        ],
    )  # fmt: skip


def ended(connection: Connection, clock: Clock, chosen: Any, reason: Any) -> None:
    """Tell each sender how many of its `chosen` payments end without being booked, by reason. Call it before they do.

    `chosen`: a condition on PAYMENTS. `reason`: a code of ISO 20022, or an expression for it.
    """
    code = sqlalchemy.literal(reason) if isinstance(reason, str) else reason
    keys = (PAYMENTS.c.sender, code.label("code"))
    counts = sqlalchemy.select(*keys, sqlalchemy.func.count().label("count")).where(chosen)
    counts = counts.group_by(PAYMENTS.c.sender, sqlalchemy.text("code")).order_by(*keys)
    record_events(
        connection, clock, EventKind.CLEARING_CANCELLED,
        [
            NewEvent(str(row.sender), row.sender, {"payments": row.count, "reason": row.code})
            for row in connection.execute(counts)
        ],
    )  # fmt: skip


def called(
    connection: Connection, clock: Clock, day: str, funding_ns: int, calls: Iterable[tuple[int, int, int]]
) -> None:
    """Tell each participant which money it is asked for at the close. `calls`: participant, currency, minor units."""
    record_events(
        connection, clock, EventKind.CLEARING_CALLED,
        [
            NewEvent(
                day, participant,
                {"currency": money.currency_code(currency), "amount": str(minor), "until": exact_text(funding_ns)},
            )
            for participant, currency, minor in calls
        ],
    )  # fmt: skip


def accepted(
    connection: Connection, clock: Clock, quote: int, provider: int, uetr: str, pays: tuple[int, int],
    gets: tuple[int, int],
) -> None:  # fmt: skip
    """Record the event that a quote was accepted. `pays`, `gets`: of the taker, currency and minor units."""
    sums = {name: {money.currency_code(each[0]): str(each[1])} for name, each in (("takes", pays), ("gives", gets))}
    record_event(
        connection, clock, EventKind.CLEARING_ACCEPTED, ids.format(quote), operator=provider, data={"uetr": uetr} | sums
    )


def message(connection: Connection, clock: Clock, number: int, participant: int, kind: str, uetr: str) -> None:
    """Record the event that a message about one of a participant's payments was added to its inbox."""
    data = {"kind": kind, "uetr": uetr}
    record_event(connection, clock, EventKind.CLEARING_MESSAGE, str(number), operator=participant, data=data)


def _texts(sums: dict[str, int]) -> dict[str, str]:
    return {name: str(minor) for name, minor in sums.items()}
