"""Payments as stored: found by UETR, listed, answered and cancelled."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing import events, inbox, reasons
from sycee.clearing.tables import (
    BOOKED,
    CANCELLED,
    CLEARED,
    DECIDED,
    MEMBERS,
    MESSAGES,
    PAIRS,
    PAYMENTS,
    QUEUED,
    REFUSED,
    RETURNED,
    STATES,
    WAITING,
    in_states,
)
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write

ENDED: Final = (BOOKED, REFUSED, CANCELLED, RETURNED)  # get an answer
_PART: Final = 500  # values of one condition


class Payment(NamedTuple):
    """A payment. Fields as of the table `clearing_payments`, in its order; `uetr` is a text."""

    number: int
    uetr: str
    sender: int
    receiver: int
    currency: int
    minor: int
    back_currency: int
    back_minor: int
    priority: int
    crossing: int
    message: int
    back_message: int
    original: int
    from_ns: int
    until_ns: int
    at_ns: int
    booked_ns: int
    answered_ns: int
    reason: str
    state: str


class Payments:
    """The payments of the house of one bank."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def get(self, uetr: str) -> Payment:
        """Return a payment, by its UETR or that of its other side. Raises NotFound if there is none."""
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(PAYMENTS).where(_of_uetrs([uetr]))).first()
        if row is None:
            raise NotFound(f"there is no payment {uetr}")
        return _payment(row)

    def sent(self, participant: int, uetr: str) -> Payment | None:
        """Return the payment of a UETR that a participant sent, or whose other side it is; None without one."""
        with reading(self._stores.engine) as connection:
            row = connection.execute(sqlalchemy.select(PAYMENTS).where(_sent_by(participant, [uetr]))).first()
        return None if row is None else _payment(row)

    def received(self, participant: int, uetr: str) -> Payment | None:
        """Return the payment of a UETR whose receiver is a participant; None without one."""
        with reading(self._stores.engine) as connection:
            chosen = (PAYMENTS.c.uetr == uuid.UUID(uetr).bytes) & (PAYMENTS.c.receiver == participant)
            row = connection.execute(sqlalchemy.select(PAYMENTS).where(chosen)).one_or_none()
        return None if row is None else _payment(row)

    def of_message(self, participant: int, business_id: str, *, most: int) -> Sequence[Payment]:
        """Return up to `most` payments of a participant's message, in order."""
        mine = (MESSAGES.c.participant == participant) & (MESSAGES.c.business_id == business_id)
        with reading(self._stores.engine) as connection:
            message = connection.scalar(sqlalchemy.select(MESSAGES.c.message).where(mine))
            if message is None:
                return []
            chosen = (PAYMENTS.c.message == message) | (
                (PAYMENTS.c.back_message == message) & (PAYMENTS.c.back_message > 0)
            )
            query = sqlalchemy.select(PAYMENTS).where(chosen).order_by(PAYMENTS.c.number).limit(most)
            return [_payment(row) for row in connection.execute(query)]

    def partners(self, numbers: Sequence[int]) -> dict[int, str]:
        """Return the UETRs of the other sides of payments against payment, by number; only where they differ."""
        found: dict[int, str] = {}
        with reading(self._stores.engine) as connection:
            for part in _parts(numbers):
                rows = connection.execute(sqlalchemy.select(PAIRS).where(PAIRS.c.payment.in_(part)))
                found |= {row.payment: uetr_text(row.uetr) for row in rows}
        return found

    def of_numbers(self, numbers: Sequence[int]) -> dict[int, Payment]:
        """Return payments by their numbers."""
        found: dict[int, Payment] = {}
        with reading(self._stores.engine) as connection:
            for part in _parts(numbers):
                rows = connection.execute(sqlalchemy.select(PAYMENTS).where(PAYMENTS.c.number.in_(part)))
                found |= {row.number: _payment(row) for row in rows}
        return found

    def page(self, *, state: str = "", participant: int = 0, after: int = 0, most: int = 1_000) -> Sequence[Payment]:
        """Return up to `most` payments with numbers above `after`: of a state, sent or received by a participant."""
        query = sqlalchemy.select(PAYMENTS).where(PAYMENTS.c.number > after).order_by(PAYMENTS.c.number).limit(most)
        if state:
            query = query.where(PAYMENTS.c.state == state)
        if participant:
            query = query.where((PAYMENTS.c.sender == participant) | (PAYMENTS.c.receiver == participant))
        with reading(self._stores.engine) as connection:
            return [_payment(row) for row in connection.execute(query)]

    def counts(self) -> Mapping[str, tuple[int, int]]:
        """Return the number of payments in each state, and how many of them have no answer."""
        late = sqlalchemy.func.sum(sqlalchemy.case((PAYMENTS.c.answered_ns == 0, 1), else_=0))
        query = sqlalchemy.select(PAYMENTS.c.state, sqlalchemy.func.count(), late).group_by(PAYMENTS.c.state)
        with reading(self._stores.engine) as connection:
            found = {state: (int(count), int(open_)) for state, count, open_ in connection.execute(query)}
        return {state: found.get(state, (0, 0)) for state in STATES}

    def queue_due(self) -> int:
        """Queue the cleared payments whose time has come; return their number."""
        due = in_states(CLEARED) & (PAYMENTS.c.from_ns <= read_ns(self._stores.clock))
        statement = PAYMENTS.update().where(due).values(state=QUEUED)
        return write(self._stores.engine, lambda connection: connection.execute(statement).rowcount)

    def end_overdue(self) -> int:
        """Cancel the waiting payments that were not booked by their end; return their number."""
        now_ns = read_ns(self._stores.clock)
        over = in_states(*WAITING) & (PAYMENTS.c.until_ns > 0) & (PAYMENTS.c.until_ns <= now_ns)
        return self._cancel(over, reasons.TOO_LATE)

    def cancel(self, participant: int, uetrs: Sequence[str]) -> Sequence[Payment]:
        """Cancel those payments of a participant that wait, on its message; return all of them as they are now.

        A payment that is decided or booked stays. Either side cancels a payment against payment. Raises NotFound for
        a payment that the participant did not send.
        """
        with reading(self._stores.engine) as connection:
            query = sqlalchemy.select(PAYMENTS.c.number).where(_sent_by(participant, uetrs))
            numbers = list(connection.scalars(query))
        if len(numbers) < len(set(uetrs)):
            raise NotFound(f"operator {participant} sent no payment with one of these UETRs")
        for part in _parts(numbers):
            self._cancel(PAYMENTS.c.number.in_(part) & PAYMENTS.c.state.in_(WAITING), reasons.CANCELLED)
        return list(self.of_numbers(numbers).values())

    def cancel_waiting(self, participant: int | None = None) -> int:
        """Cancel all waiting payments, or those that a participant sent: at the end of a day, or at its default."""
        chosen = in_states(*WAITING)
        mine = sqlalchemy.true() if participant is None else PAYMENTS.c.sender == participant
        return self._cancel(chosen & mine, reasons.TOO_LATE)

    def _cancel(self, chosen: Any, reason: str) -> int:
        statement = PAYMENTS.update().where(chosen).values(state=CANCELLED, reason=reason)

        def cancel(connection: Connection) -> int:
            events.ended(connection, self._stores.clock, chosen, reason)
            inbox.drop_waiting(connection, chosen)
            return connection.execute(statement).rowcount

        return write(self._stores.engine, cancel)

    # --- answers ---

    def unanswered(self, *, most: int = 100_000) -> Sequence[Payment]:
        """Return payments that ended and whose senders have no answer yet, oldest first."""
        chosen = (PAYMENTS.c.answered_ns == 0) & PAYMENTS.c.state.in_(ENDED)
        query = sqlalchemy.select(PAYMENTS).where(chosen).order_by(PAYMENTS.c.number).limit(most)
        with reading(self._stores.engine) as connection:
            return [_payment(row) for row in connection.execute(query)]

    def mark_answered(self, numbers: Sequence[int]) -> None:
        """Store that the answers of payments were handed over. The first time stays."""
        now_ns = read_ns(self._stores.clock)

        runs = [{"low": low, "high": high} for low, high in _runs(numbers)]
        bind, number = sqlalchemy.bindparam, PAYMENTS.c.number
        chosen = (number >= bind("low")) & (number <= bind("high")) & (PAYMENTS.c.answered_ns == 0)
        # A payment that was taken back meanwhile is open. Its indexes do not have those with an answer.
        chosen &= PAYMENTS.c.state.in_([sqlalchemy.literal(each) for each in ENDED])
        statement = PAYMENTS.update().where(chosen).values(answered_ns=now_ns)
        if runs:
            write(self._stores.engine, lambda connection: connection.execute(statement, runs))

    # --- agreement ---

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each state whose payments have no row of a set, or one too many."""
        joined = PAYMENTS.outerjoin(MEMBERS, MEMBERS.c.payment == PAYMENTS.c.number)
        has_set = MEMBERS.c.payment.is_not(None)
        needs = PAYMENTS.c.state.in_((DECIDED, BOOKED, RETURNED))
        query = (
            sqlalchemy.select(PAYMENTS.c.state, sqlalchemy.func.count())
            .select_from(joined)
            .where(needs != has_set)
            .group_by(PAYMENTS.c.state)
        )
        with reading(self._stores.engine) as connection:
            for name, count in connection.execute(query):
                yield f"{count:,} payments are {name}, and their sets are not those of this state"


def uetr_text(uetr: bytes) -> str:
    """Return the text of a UETR as stored."""
    digits = bytes(uetr).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _payment(row: Sequence[Any]) -> Payment:
    return Payment(row[0], uetr_text(row[1]), *row[2:])


def _of_uetrs(uetrs: Sequence[str]) -> sqlalchemy.ColumnElement[bool]:
    """Return the condition that a payment has a UETR, or its other side, whose message is there."""
    keys = [uuid.UUID(each).bytes for each in uetrs]
    return PAYMENTS.c.uetr.in_(keys) | _other_side(keys)


def _sent_by(participant: int, uetrs: Sequence[str]) -> sqlalchemy.ColumnElement[bool]:
    """Return the condition that a participant sent a payment of a UETR, or is its other side."""
    keys = [uuid.UUID(each).bytes for each in uetrs]
    own = PAYMENTS.c.uetr.in_(keys) & (PAYMENTS.c.sender == participant)
    same = PAYMENTS.c.uetr.in_(keys) & (PAYMENTS.c.receiver == participant) & (PAYMENTS.c.back_message > 0)
    return own | same | (_other_side(keys) & (PAYMENTS.c.receiver == participant))


def _other_side(keys: Sequence[bytes]) -> sqlalchemy.ColumnElement[bool]:
    named = sqlalchemy.select(PAIRS.c.payment).where(PAIRS.c.uetr.in_(keys))
    return PAYMENTS.c.number.in_(named) & (PAYMENTS.c.back_message > 0)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last number of each run of consecutive numbers."""
    if not numbers:
        return
    ordered = np.unique(np.array(numbers, np.int64))
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 2) != 1)
    ends = np.append(starts[1:], ordered.size) - 1
    yield from zip(ordered[starts].tolist(), ordered[ends].tolist(), strict=True)


def _parts(values: Sequence[int]) -> Iterator[Sequence[int]]:
    return (values[at : at + _PART] for at in range(0, len(values), _PART))
