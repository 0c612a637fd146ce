"""Requests to return booked payments (camt.056), and the answers of their receivers (camt.029).

A booked payment is final: its sender can only ask for its return. The house passes the request on to the receiver, and
the receiver's answer to the sender. The money comes back by a return (pacs.004), with or without an answer.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing import events, inbox
from sycee.clearing.tables import (
    ACCEPTED,
    BOOKED,
    CANCELLED,
    INVESTIGATIONS,
    MESSAGES,
    OPEN,
    PAYMENTS,
    REFUSED,
    REJECTED,
)
from sycee.core.clock import read_ns
from sycee.core.errors import IntegrityError
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write

REQUEST: Final = "camt.056.001.08"
ANSWER: Final = "camt.029.001.09"
_PART: Final = 500  # payments of one transaction


class Investigation(NamedTuple):
    """A request to return a payment. `asked`, `answered`: numbers of messages; 0 before an answer.

    `returned`: the number of the payment that returns it, 0 without one.
    """

    asked: int
    payment: int
    answered: int
    state: str
    at_ns: int
    ended_ns: int
    returned: int


class Investigations:
    """The requests of one house."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def of_payment(self, payment: int) -> Sequence[Investigation]:
        """Return the requests about a payment, oldest first."""
        query = sqlalchemy.select(INVESTIGATIONS).where(INVESTIGATIONS.c.payment == payment)
        lost = PAYMENTS.c.state.in_((CANCELLED, REFUSED))
        back = sqlalchemy.select(PAYMENTS.c.number).where(PAYMENTS.c.original == payment, sqlalchemy.not_(lost))
        with reading(self._stores.engine) as connection:
            returned = int(connection.scalar(back) or 0)
            rows = connection.execute(query.order_by(INVESTIGATIONS.c.asked)).all()
        return [Investigation(**row._mapping, returned=returned) for row in rows]

    def asked_of(self, answered: int, payment: int) -> int:
        """Return the message with the request that another message answered. Raises IntegrityError without one."""
        chosen = (INVESTIGATIONS.c.answered == answered) & (INVESTIGATIONS.c.payment == payment)
        with reading(self._stores.engine) as connection:
            found = connection.scalar(sqlalchemy.select(INVESTIGATIONS.c.asked).where(chosen))
        if found is None:
            raise IntegrityError(f"message {answered} answers no request about payment {payment}")
        return int(found)

    def find(self, receiver: int, uetr: str, business_id: str) -> int:
        """Return the payment whose return is asked of its receiver, by its UETR; 0 without one.

        Also one that the receiver answered by the message of this id: a crash may have lost the house's answer.
        """
        mine = (PAYMENTS.c.uetr == uuid.UUID(uetr).bytes) & (PAYMENTS.c.receiver == receiver)
        own = (MESSAGES.c.participant == receiver) & (MESSAGES.c.business_id == business_id)
        message = sqlalchemy.select(MESSAGES.c.message).where(own)
        waits = (INVESTIGATIONS.c.state == OPEN) | INVESTIGATIONS.c.answered.in_(message)
        joined = PAYMENTS.join(INVESTIGATIONS, INVESTIGATIONS.c.payment == PAYMENTS.c.number)
        query = sqlalchemy.select(PAYMENTS.c.number).select_from(joined).where(mine, waits)
        with reading(self._stores.engine) as connection:
            return int(connection.scalar(query) or 0)

    def ask(self, sender: int, business_id: str, uetrs: Sequence[str]) -> set[str]:
        """Forward a stored request about payments of its sender; return those whose return is requested now.

        `business_id`: of the request. A payment whose return is requested already is not requested again, so the
        same call has no further effect. No return is requested of a payment that is not booked, of a return, and of a
        payment against payment.
        """
        found: set[str] = set()
        for start in range(0, len(uetrs), _PART):
            part = uetrs[start : start + _PART]
            found |= write(self._stores.engine, partial(self._ask, sender=sender, business_id=business_id, uetrs=part))
        return found

    def _ask(self, connection: Connection, *, sender: int, business_id: str, uetrs: Sequence[str]) -> set[str]:
        now_ns, found = read_ns(self._stores.clock), set[str]()
        own = (MESSAGES.c.participant == sender) & (MESSAGES.c.business_id == business_id)
        asked = connection.execute(sqlalchemy.select(MESSAGES.c.message).where(own)).scalar_one()
        for uetr in uetrs:
            mine = (PAYMENTS.c.uetr == uuid.UUID(uetr).bytes) & (PAYMENTS.c.sender == sender)
            alone = (PAYMENTS.c.state == BOOKED) & (PAYMENTS.c.back_minor == 0) & (PAYMENTS.c.original == 0)
            paid = connection.execute(sqlalchemy.select(PAYMENTS).where(mine, alone)).one_or_none()
            if paid is None:
                continue
            found.add(uetr)
            by_this = (INVESTIGATIONS.c.asked == asked) | (INVESTIGATIONS.c.state == OPEN)
            earlier = sqlalchemy.select(INVESTIGATIONS.c.asked).where(INVESTIGATIONS.c.payment == paid.number, by_this)
            if connection.scalar(earlier.limit(1)) is not None:
                continue
            row = {
                "asked": asked, "payment": paid.number, "answered": 0, "state": OPEN, "at_ns": now_ns, "ended_ns": 0,
            }  # fmt: skip
            connection.execute(INVESTIGATIONS.insert().values(row))
            number = inbox.add(connection, asked, paid.number, paid.receiver, REQUEST, now_ns)
            events.message(connection, self._stores.clock, number, paid.receiver, REQUEST, uetr)
        return found

    def answer(self, connection: Connection, answered: int, answers: Mapping[int, tuple[str, bool]]) -> str:
        """Store the answers of a receiver, and forward them to the senders of the requests.

        `answers`: by payment, its UETR and whether its receiver returns it. In the transaction that keeps them. Returns
        the UETR of a payment whose request another message answered meanwhile, or "": the caller then raises, so that
        nothing is stored.
        """
        now_ns = read_ns(self._stores.clock)
        for payment, (uetr, accepts) in answers.items():
            if _open(connection, payment) is None:
                return uetr
            values: dict[str, Any] = {
                "answered": answered, "state": ACCEPTED if accepts else REJECTED, "ended_ns": now_ns,
            }  # fmt: skip
            chosen = (INVESTIGATIONS.c.payment == payment) & (INVESTIGATIONS.c.state == OPEN)
            connection.execute(INVESTIGATIONS.update().where(chosen).values(values))
            sender = connection.execute(
                sqlalchemy.select(PAYMENTS.c.sender).where(PAYMENTS.c.number == payment)
            ).scalar_one()
            number = inbox.add(connection, answered, payment, sender, ANSWER, now_ns)
            events.message(connection, self._stores.clock, number, sender, ANSWER, uetr)
        return ""


def _open(connection: Connection, payment: int) -> int | None:
    chosen = (INVESTIGATIONS.c.payment == payment) & (INVESTIGATIONS.c.state == OPEN)
    return connection.scalar(sqlalchemy.select(INVESTIGATIONS.c.asked).where(chosen))
