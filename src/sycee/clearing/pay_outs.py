"""Pay-outs that participants ask for by message (camt.050): kept at once, and moved by the house when it acts next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.clearing import reasons
from sycee.clearing.positions import PAY_OUT, Positions
from sycee.clearing.tables import DONE, PAY_OUTS
from sycee.core import ids, money
from sycee.core.clock import read_ns
from sycee.core.result_codes import Result
from sycee.database.actions import Intent, IntentOutcome
from sycee.database.states import LAPSED
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.sequencer.signer import Signer


class PayOut(NamedTuple):
    """A pay-out. `message`: that asked for it; `ended_ns`: 0 while it waits; `reason`: of a refusal, else ""."""

    message: int
    participant: int
    currency: int
    minor: int
    intent: int
    ended_ns: int
    answered_ns: int
    reason: str
    words: str


class PayOuts:
    """The pay-outs of the house of one bank."""

    def __init__(self, stores: Stores, positions: Positions) -> None:
        self._stores, self._positions = stores, positions
        stores.actions.register(_Moved(stores))

    def add(self, connection: Connection, message: int, participant: int, currency: int, minor: int) -> None:
        """Store a pay-out in the transaction that stores its message."""
        row = {
            "message": message, "participant": participant, "currency": currency, "minor": minor,
            "intent": ids.new(read_ns(self._stores.clock) // 1_000_000), "ended_ns": 0, "answered_ns": 0, "reason": "",
            "words": "",
        }  # fmt: skip
        connection.execute(PAY_OUTS.insert().values(row))

    def waiting(self) -> Sequence[PayOut]:
        """Return the pay-outs that wait for the house, oldest first."""
        query = sqlalchemy.select(PAY_OUTS).where(PAY_OUTS.c.ended_ns == 0).order_by(PAY_OUTS.c.message)
        with reading(self._stores.engine) as connection:
            return [PayOut(*row) for row in connection.execute(query)]

    def perform(self, *, signers: Sequence[Signer], who: int) -> tuple[int, int]:
        """Move the money of all pay-outs that wait; return how many the ledger did and refused. The house signs.

        A crash repeats none: the id of each movement was stored with its message.
        """
        done = refused = 0
        for each in self.waiting():
            code = money.currency_of(each.currency).code
            outcome = self._positions.pay_out(
                each.participant, code, each.minor, signers=signers, who=who, id=each.intent
            )
            if outcome.state == LAPSED:  # its signature ended before the ledger had it
                outcome = self._stores.intents.renew(each.intent, signers=signers)
            if outcome.state != LAPSED:
                done, refused = done + outcome.created, refused + (not outcome.created)
        return done, refused

    def unanswered(self) -> Sequence[PayOut]:
        """Return the pay-outs that ended and have no receipt, in order of their messages."""
        chosen = (PAY_OUTS.c.ended_ns > 0) & (PAY_OUTS.c.answered_ns == 0)
        query = sqlalchemy.select(PAY_OUTS).where(chosen).order_by(PAY_OUTS.c.message)
        with reading(self._stores.engine) as connection:
            return [PayOut(*row) for row in connection.execute(query)]

    def mark_answered(self, message: int) -> None:
        """Store that the receipt of a pay-out was handed over."""
        chosen = (PAY_OUTS.c.message == message) & (PAY_OUTS.c.answered_ns == 0)
        statement = PAY_OUTS.update().where(chosen).values(answered_ns=read_ns(self._stores.clock))
        write(self._stores.engine, lambda connection: connection.execute(statement))


class _Moved:
    """The outcome of a pay-out, with or without a message."""

    name = PAY_OUT

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store that the money was moved, or why the ledger refused it."""
        values: dict[str, Any] = {"ended_ns": read_ns(self._stores.clock), "reason": "", "words": ""}
        refusal = IntentOutcome(intent.id, DONE, tuple(results), 0).refusal
        if refusal is not None:
            code = reasons.BLOCKED if "BLOCK" in refusal.name else reasons.NO_MONEY
            values |= {"reason": code, "words": f"the ledger refused it: {refusal.name}"}
        connection.execute(PAY_OUTS.update().where(PAY_OUTS.c.intent == intent.id).values(values))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Let the pay-out wait again: a restored ledger does not have it."""
        values = {"ended_ns": 0, "answered_ns": 0, "reason": "", "words": ""}
        connection.execute(PAY_OUTS.update().where(PAY_OUTS.c.intent == intent.id).values(values))
