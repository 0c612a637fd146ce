"""Reverse waterfall: what a payment lacks comes from the payer's bank account, and then the payment is made.

The payer's wallet signs a chain of three records: a SEND of exactly the missing amount from the operator's vault, its
CONFIRM, and the PAY. Nothing is in the ledger until the operator reports that its bank has the money; then the operator
signs the same chain, and the ledger applies it atomically. If the bank refuses, or nobody reports within
an hour, nothing was moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy
from sqlalchemy.engine import Connection, Row

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import envelopes, operations
from sycee.core.records.layout import OPERATION, PayFlag
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, IntentOutcome
from sycee.database.jobs import Run
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.issuance.tables import CONFIRMED, FUNDINGS, SENDING, TO_WALLET
from sycee.issuance.tables import REFUSED as FUNDING_REFUSED
from sycee.personal.access import Access, Reason
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS
from sycee.sequencer.signer import Signer, sign_records
from sycee.wallets import orders
from sycee.wallets.directory import Directory, Wallet
from sycee.wallets.mandates import Mandates
from sycee.wallets.payments import HIDDEN, PAY, Paid, payer_answer, store_refusal
from sycee.wallets.references import check_text, with_note
from sycee.wallets.tables import (
    ASKED,
    DONE,
    EXPIRED,
    LAPSED,
    PAID,
    PAYING,
    REFERENCES,
    REFUSED,
    REJECTED,
    SENT,
    SHORTFALLS,
    WALLETS,
)
from sycee.wallets.waterfalls import LIST, bank_account_of

if TYPE_CHECKING:
    from sycee.issuance.registry import Registry
    from sycee.personal.register import Register
    from sycee.wallets.payments import Payments

FUND: Final = "pay.fund"
REJECT: Final = "transit.reject"  # the duty: of who reports the bank's leg
EXPIRE: Final = "shortfall.expire"
SHORTFALL_VALIDITY_NS: Final = (
    3_600 * 10**9
)  # a bank's instant payment takes seconds; a person who reports it takes longer

_COUNTED: Final = (ASKED, PAYING, PAID)  # states that count in the day of a mandate


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A payment that needs money of the payer's bank. `id`: of the PAY; `answer`: to the payer, "" until a refusal."""

    id: int
    account: int
    payee: int
    operator: int
    minor: int
    missing_minor: int
    at_ns: int
    expires_ns: int
    state: str
    answer: str

    @property
    def bank_reference(self) -> str:
        """Return the reference for the bank's payment: 35 characters, as ISO 20022 permits."""
        return f"RW-{self.id:032X}"


class Shortfalls:
    """The payments of one bank's wallets that need money of the payer's bank. `zone`: of the days of mandates."""

    def __init__(
        self, stores: Stores, people: People, directory: Directory, registry: Registry, register: Register,
        payments: Payments, mandates: Mandates, zone: ZoneInfo,
    ) -> None:  # fmt: skip
        self._stores, self._people, self._directory = stores, people, directory
        self._registry, self._register = registry, register
        self._payments, self._mandates, self._zone = payments, mandates, zone
        stores.actions.register(_Fund(stores))
        stores.jobs.register(EXPIRE, self._expire)

    def missing(self, payer: int, minor: int) -> int:
        """Return how much own money a wallet lacks for a payment, in minor units; packets are not counted."""
        return max(0, minor - self._stores.ledger.account(payer).available)

    def ask(
        self,
        payer: int,
        payee: int,
        minor: int,
        *,
        signers: Sequence[Signer],
        who: int,
        text: str = "",
        till: int = 0,
        order: str = "",
        operation: int = 0,
    ) -> Shortfall:
        """Store a payment that lacks own money, signed by the payer, until the operator's bank has the missing amount.

        The arguments are those of `Payments.pay`; packets are not used. Raises UsageError as that, for a payment that
        lacks nothing, for a wallet without a mandate, and for more than the mandate permits today.
        """
        self._people.require(who, PAY)
        check_text(text)
        if operation and (stored := self._row(operation)) is not None:
            return _shortfall(stored)
        paying, paid = self._directory.require_open(payer), self._directory.get(payee)
        self._payments.check_place(paid, till, order)
        mandate = self._mandates.of_account(payer)
        missing = self.missing(payer, minor)
        if not missing:
            raise UsageError("the payment lacks nothing", hint="pay without the bank account")
        self._require_headroom(payer, missing)
        now_ns = read_ns(self._stores.clock)
        operation, reference, funding = operation or self._stores.new_id(), self._stores.new_id(), self._stores.new_id()
        records = self._chain(paying, payee, minor, missing, operation, reference, funding)
        expires_ns = now_ns + SHORTFALL_VALIDITY_NS
        signed = sign_records(records, self._stores.ledger.ledger_id, signers, expires_ns)
        day = self._day(now_ns)
        row = {
            "id": operation,
            "funding": funding,
            "reference": reference,
            "account": payer,
            "payee": payee,
            "operator": paying.operator,
            "minor": minor,
            "missing_minor": missing,
            "day": day,
            "records": records.tobytes(),
            "envelopes": envelopes.as_array(signed).tobytes(),
            "at_ns": now_ns,
            "expires_ns": expires_ns,
            "state": ASKED,
            "answer": "",
        }
        of_payment = {
            "id": reference,
            "operation": operation,
            "payer": payer,
            "payee": payee,
            "minor": minor,
            "payer_sealed": self._payments.references.seal(paying.holder, text),
            "payee_sealed": self._payments.references.seal(paid.holder, text),
            "till": till or None,
            "order_number": order or None,
            "at_ns": now_ns,
            "state": SENT,
        }

        def store(connection: Connection) -> None:
            if connection.scalar(sqlalchemy.select(SHORTFALLS.c.id).where(SHORTFALLS.c.id == operation)) is not None:
                return
            left = mandate.day_max_minor - self._taken(connection, payer, day)
            if missing > left:
                raise UsageError(
                    f"the payment lacks {missing} minor units, and the mandate permits {left} today",
                    hint="pay less, or give a mandate with a higher --day-max",
                )
            if order:
                named = {"reference": reference, "operation": operation, "minor": minor}
                orders.take(connection, self._stores.ledger, paid.holder, order, **named)
            connection.execute(REFERENCES.insert().values(of_payment))
            connection.execute(SHORTFALLS.insert().values(row))
            self._stores.jobs.add(
                connection, EXPIRE, expires_ns, key=ids.format(operation), payload={"operation": ids.format(operation)}
            )

        write(self._stores.engine, store)
        return self.get(operation)

    def get(self, payment: int) -> Shortfall:
        """Return a shortfall by its payment. Raises UsageError if there is none."""
        return _shortfall(self._require(payment))

    def open(self, operator: int, *, by: int) -> list[Shortfall]:
        """Return the payments for which an operator's bank has to collect money. `by`: a person with the duty."""
        self._people.require(by, LIST, operator=operator)
        chosen = (SHORTFALLS.c.operator == operator) & (SHORTFALLS.c.state == ASKED)
        chosen &= SHORTFALLS.c.expires_ns > read_ns(self._stores.clock)
        query = sqlalchemy.select(SHORTFALLS).where(chosen).order_by(SHORTFALLS.c.at_ns, SHORTFALLS.c.id)
        with reading(self._stores.engine) as connection:
            return [_shortfall(row) for row in connection.execute(query)]

    def find(self, operator: int, bank_reference: str) -> Shortfall | None:
        """Return the operator's shortfall with this bank reference, regardless of its state; None if there is none."""
        prefix, _, number = bank_reference.partition("-")
        if prefix != "RW" or len(number) != 32 or not all(each in "0123456789ABCDEF" for each in number):
            return None
        row = self._row(int(number, 16))
        return _shortfall(row) if row is not None and row.operator == operator else None

    def bank_account(self, shortfall: Shortfall, *, access: Access) -> str:
        """Return the bank account of the wallet's holder, after an entry in the access log.

        For the reason PAYMENT the payment must wait, and the reader have the duty at its operator.
        """
        if access.reason is Reason.PAYMENT and shortfall not in self.open(shortfall.operator, by=access.who):
            raise UsageError(f"{shortfall.bank_reference} is decided: the bank has nothing to collect")
        holder = self._directory.holder_of(shortfall.account)
        return bank_account_of(self._stores.engine, self._register, shortfall.account, holder, access)

    def fund(self, payment: int, *, signers: Sequence[Signer], who: int) -> Paid:
        """Report that the bank has the missing amount: it reaches the wallet, and the payment is made, both or none.

        The operator and operator 0 sign. A refusal is the answer: nothing moved, and the operator returns the bank's
        money. Raises UsageError for a person without the duty, and a payment that was rejected or has expired.
        """
        row = self._require(payment)
        self._people.require(who, FUND, operator=row.operator)
        now_ns = read_ns(self._stores.clock)
        if self._stores.intents.find(payment) is None:
            self._require_asked(row, now_ns)
        records = np.frombuffer(bytes(row.records), OPERATION).copy()
        until_ns = min(now_ns + SIGNATURE_VALIDITY_NS, row.expires_ns)
        added = envelopes.as_array(sign_records(records, self._stores.ledger.ledger_id, signers, until_ns))
        funding = {
            "id": row.funding,
            "direction": TO_WALLET,
            "operator": row.operator,
            "wallet": row.account,
            "minor": row.missing_minor,
            "bank_reference": _shortfall(row).bank_reference,
            "state": SENDING,
            "reason": "",
            "at_ns": now_ns,
        }

        def before(connection: Connection) -> None:
            asked = (SHORTFALLS.c.id == payment) & (SHORTFALLS.c.state == ASKED)
            if not connection.execute(SHORTFALLS.update().where(asked).values(state=PAYING)).rowcount:
                raise UsageError(f"the payment {ids.format(payment)} was decided meanwhile")
            connection.execute(FUNDINGS.insert().values(funding))

        signed = np.concatenate([envelopes.decode(bytes(row.envelopes)), added])
        draft = Draft(FUND, records, self._payload(row), who=who, envelopes=signed, before=before, id=payment)
        return Paid(_answer(self._stores.intents.perform(draft)), payment)

    def reject(self, payment: int, *, who: int) -> None:
        """Report that the bank refused: the payment is refused, and nothing moved. A second call changes nothing.

        Raises UsageError for a person without the duty, and for a payment that is paid or has expired.
        """
        row = self._require(payment)
        self._people.require(who, REJECT, operator=row.operator)
        if row.state != REJECTED:
            self._require_asked(row, read_ns(self._stores.clock))
            self._decline(row, REJECTED, REFUSED)

    # --- helpers ---

    def _chain(
        self, payer: Wallet, payee: int, minor: int, missing: int, operation: int, reference: int, funding: int
    ) -> Array:
        accounts = self._registry.require_active(payer.operator).accounts
        pay = operations.pay(operation, payer=payer.account, payee=payee, amount=minor, flags=PayFlag.OWN_ONLY)
        return operations.chain(
            operations.send(
                funding, source=accounts.vault, destination=payer.account, through=accounts.transit, amount=missing
            ),
            operations.confirm(self._stores.new_id(), sent=funding),
            with_note(pay, reference),
        )

    def _require_headroom(self, account: int, missing: int) -> None:
        """Raise UsageError if the ledger would refuse the funding after the bank had moved its money."""
        with self._stores.ledger.sequencer.reading() as state:
            found = state.account(account)
            assert found is not None, "the wallet is open"
            most = int(state.tables.rule_sets["balance_max"][found.rule_set])
        if most and found.balance + found.credits_pending + missing > most:
            raise UsageError(
                f"with the missing {missing} minor units the wallet would exceed its maximum balance of {most}",
                hint="pay less, or move the wallet to another class",
            )

    def _payload(self, row: Row[Any]) -> dict[str, Any]:
        """Return what the action needs after a crash."""
        with reading(self._stores.engine) as connection:
            query = sqlalchemy.select(REFERENCES.c.order_number).where(REFERENCES.c.id == row.reference)
            order = connection.scalar(query) or ""
        members = {name: ids.format(getattr(row, name)) for name in ("reference", "funding", "payee")}
        return members | orders.named(self._directory.holder_of(row.payee), order)

    def _taken(self, connection: Connection, account: int, day: str) -> int:
        of_day = (SHORTFALLS.c.account == account) & (SHORTFALLS.c.day == day) & SHORTFALLS.c.state.in_(_COUNTED)
        total = sqlalchemy.select(sqlalchemy.func.sum(SHORTFALLS.c.missing_minor)).where(of_day)
        return int(connection.scalar(total) or 0)

    def _require(self, payment: int) -> Row[Any]:
        row = self._row(payment)
        if row is None:
            raise NotFound(
                f"no payment {ids.format(payment)} waits for a bank", hint="`sycee funding shortfalls` lists them"
            )
        return row

    def _require_asked(self, row: Row[Any], now_ns: int) -> None:
        state = EXPIRED if row.state == ASKED and row.expires_ns <= now_ns else row.state
        if state != ASKED:
            raise UsageError(
                f"the payment {_shortfall(row).bank_reference} is {state}",
                hint="return the bank's money if it arrived; the payer pays again",
            )

    def _decline(self, row: Row[Any], state: str, of_payment: str) -> None:
        payload = self._payload(row)

        def work(connection: Connection) -> None:
            asked = (SHORTFALLS.c.id == row.id) & (SHORTFALLS.c.state == ASKED)
            if connection.execute(SHORTFALLS.update().where(asked).values(state=state)).rowcount:
                _set_payment(connection, payload, of_payment, of_payment)

        write(self._stores.engine, work)

    def _expire(self, run: Run) -> None:
        """End a payment for which nobody reported the bank's money in time."""
        self._decline(self._require(ids.parse(run.payload["operation"])), EXPIRED, LAPSED)

    def _row(self, payment: int) -> Row[Any] | None:
        with reading(self._stores.engine) as connection:
            return connection.execute(sqlalchemy.select(SHORTFALLS).where(SHORTFALLS.c.id == payment)).one_or_none()

    def _day(self, now_ns: int) -> str:
        return datetime.fromtimestamp(now_ns // 10**9, self._zone).date().isoformat()


def _shortfall(row: Row[Any]) -> Shortfall:
    return Shortfall(**{name: getattr(row, name) for name in Shortfall.__slots__})


def _answer(outcome: IntentOutcome) -> str:
    """Return the answer to the payer: nothing about the payee's account."""
    refusal = outcome.refusal
    return payer_answer(Result.CREATED if refusal is None else refusal)


def _set_payment(connection: Connection, payload: Any, state: str, order_state: str) -> None:
    reference = ids.parse(payload["reference"])
    connection.execute(REFERENCES.update().where(REFERENCES.c.id == reference).values(state=state))
    orders.set_state(connection, payload, reference, order_state)


class _Fund:
    """Set the states of a funded payment, its reference, its order and its funding."""

    name = FUND

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store that the wallet was funded and paid, or why neither happened."""
        outcome = IntentOutcome(intent.id, DONE, tuple(results), 0)
        if outcome.created:
            self._set(connection, intent, PAID, "", CONFIRMED)
            _set_payment(connection, intent.payload, DONE, PAID)
            return
        self._set(connection, intent, REFUSED, _answer(outcome), FUNDING_REFUSED)
        _set_payment(connection, intent.payload, REFUSED, REFUSED)
        if results[-1] in HIDDEN:  # of the PAY: about the payee's account
            payee = ids.parse(intent.payload["payee"])
            operator = connection.scalar(sqlalchemy.select(WALLETS.c.operator).where(WALLETS.c.account == payee))
            store_refusal(connection, intent.id, payee, int(operator or 0), results[-1], read_ns(self._stores.clock))

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that neither happened: the signatures ended first."""
        self._set(connection, intent, REFUSED, Result.SIGNATURE_EXPIRED.name, FUNDING_REFUSED)
        _set_payment(connection, intent.payload, LAPSED, LAPSED)

    def _set(self, connection: Connection, intent: Intent, state: str, answer: str, funding: str) -> None:
        values = {"state": state, "answer": answer}
        connection.execute(SHORTFALLS.update().where(SHORTFALLS.c.id == intent.id).values(values))
        decided_ns = read_ns(self._stores.clock) if funding == CONFIRMED else None
        of_funding = {"state": funding, "reason": answer, "decided_ns": decided_ns}
        chosen = FUNDINGS.c.id == ids.parse(intent.payload["funding"])
        connection.execute(FUNDINGS.update().where(chosen).values(of_funding))
