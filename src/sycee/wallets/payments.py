"""Payments with references, refunds by order, and the state of an order for a till that lost its network.

A payment without text, till and order is the ledger's own PAY. Others are intents: the reference is stored first, and
its id is the `note` of the record. A payer gets one answer for every refusal by the payee's account; the exact code is
stored for the payee's operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent
from sycee.database.stores import Stores
from sycee.database.transactions import reading, write
from sycee.identity.people import People
from sycee.ledger import queries
from sycee.ledger.batch import first_codes
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS
from sycee.sequencer.signer import Signer, sign_records
from sycee.wallets import orders
from sycee.wallets.directory import Directory, Wallet
from sycee.wallets.orders import OrderState
from sycee.wallets.references import References, check_text, with_note
from sycee.wallets.tables import (
    DONE,
    EXPIRED,
    LAPSED,
    OPEN,
    PAID,
    PAYER_REFUSALS,
    PAYING,
    REFERENCE_CHARACTERS_MAX,
    REFERENCES,
    REFUSALS,
    REFUSED,
    REQUESTS,
    SENT,
    WALLETS,
)

if TYPE_CHECKING:
    from sycee.identity.institutions import Institutions

PAY: Final = "pay"
REFUND: Final = "refund"

# Codes about the payee's account, which no payer may read.
HIDDEN: Final = frozenset(
    {
        Result.CREDIT_ACCOUNT_NOT_FOUND,
        Result.CREDIT_ACCOUNT_CLOSED,
        Result.CREDIT_ACCOUNT_BLOCKED,
        Result.EXCEEDS_BALANCE_LIMIT,
        Result.RULE_SET_NOT_IN_FORCE,
        Result.OVERFLOWS_CREDITS,
    }
)


class PayerAnswer(StrEnum):
    """Answers to a payer. Codes about the payer's own account pass through by their names."""

    PAID = "PAID"
    PAYEE_CANNOT_RECEIVE = "PAYEE_CANNOT_RECEIVE"


def payer_answer(result: Result) -> str:
    """Return the answer to a payer for a result of the ledger."""
    if result is Result.CREATED:
        return PayerAnswer.PAID
    return PayerAnswer.PAYEE_CANNOT_RECEIVE if result in HIDDEN else result.name


@dataclass(frozen=True, slots=True)
class Paid:
    """The outcome of a payment or a refund. `answer`: of `payer_answer`; `operation`: its id in the ledger."""

    answer: str
    operation: int

    @property
    def is_paid(self) -> bool:
        """Whether the money moved."""
        return self.answer == PayerAnswer.PAID


@dataclass(frozen=True, slots=True)
class Refusal:
    """A payment that the payee's account refused, with the ledger's code."""

    operation: int
    payee: int
    code: Result
    at_ns: int


@dataclass(frozen=True, slots=True)
class PayerRefusal:
    """A refused payment of an operator's payer. `answer`: to the payer, exact where the cause is the payer."""

    operation: int
    payer: int
    answer: str
    at_ns: int


class Payments:
    """Payments of one bank."""

    def __init__(
        self, stores: Stores, people: People, institutions: Institutions, directory: Directory, references: References
    ) -> None:
        self._stores, self._people = stores, people
        self._institutions, self._directory, self.references = institutions, directory, references
        stores.actions.register(_Pay(stores), _Refund())

    # --- paying ---

    def pay(
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
    ) -> Paid:
        """Pay from one wallet to another: with packets that may reach the payee, then with own money.

        - `text`: a reference for both sides, at most 35 characters, stored encrypted.
        - `till`, `order`: of the merchant that is paid. An order is paid once.
        - `operation`: the payment's id. The same id again returns the first outcome.

        A refusal is the answer, no error. Raises UsageError for a wallet of neither, a text or order of wrong form, a
        till of another merchant, and an order that is paid, being paid or held.
        """
        return self._pay(payer, payee, minor, signers, who, text, till, order, operation, None)

    def pay_request(
        self, request: sqlalchemy.Row[Any], payer: int, *, signers: Sequence[Signer], who: int, operation: int = 0
    ) -> Paid:
        """Pay a request, whose signature the caller verified, until it expires. Errors as `pay`."""
        return self._pay(
            payer, request.payee, request.minor, signers, who, "", request.till or 0, request.order_number or "",
            operation, request,
        )  # fmt: skip

    def _pay(
        self, payer: int, payee: int, minor: int, signers: Sequence[Signer], who: int, text: str, till: int, order: str,
        operation: int, request: sqlalchemy.Row[Any] | None,
    ) -> Paid:  # fmt: skip
        self._people.require(who, PAY)
        check_text(text)
        paying, paid = self._directory.get(payer), self._directory.find(payee)
        operation = operation or self._stores.new_id()
        record = operations.pay(operation, payer=payer, payee=payee, amount=minor)
        if paid is None:  # no wallet: nothing can be stored for it, and an account of the issuer takes no payment
            with_note(record, self._stores.new_id())
            until_ns = read_ns(self._stores.clock) + SIGNATURE_VALIDITY_NS
            sign_records(record, self._stores.ledger.ledger_id, signers, until_ns)
            return Paid(PayerAnswer.PAYEE_CANNOT_RECEIVE, operation)
        if not (text or till or order or request is not None):
            return self._pay_plainly(record, signers, operation, paid)
        self.check_place(paid, till, order)
        now_ns = read_ns(self._stores.clock)
        reference = self._stores.new_id()
        with_note(record, reference)
        row = {
            "id": reference,
            "operation": operation,
            "payer": payer,
            "payee": payee,
            "minor": minor,
            "payer_sealed": self.references.seal(paying.holder, text),
            "payee_sealed": self.references.seal(paid.holder, text),
            "till": till or None,
            "order_number": order or None,
            "at_ns": now_ns,
            "state": SENT,
        }

        def before(connection: Connection) -> None:
            if order:
                orders.take(
                    connection,
                    self._stores.ledger,
                    paid.holder,
                    order,
                    reference=reference,
                    operation=operation,
                    minor=minor,
                )
            if request is not None:
                _take_request(connection, request.id, operation, now_ns)
            connection.execute(REFERENCES.insert().values(row))

        payload: dict[str, Any] = {"reference": ids.format(reference), "payee": ids.format(payee)}
        payload |= orders.named(paid.holder, order)
        if request is not None:
            payload |= {"request": ids.format(request.id)}
        until_ns = now_ns + SIGNATURE_VALIDITY_NS
        if request is not None:
            until_ns = min(until_ns, request.expires_ns)
        envelopes = sign_records(record, self._stores.ledger.ledger_id, signers, until_ns)
        outcome = self._stores.intents.perform(
            Draft(PAY, record, payload, who=who, envelopes=envelopes, before=before, id=operation)
        )
        return Paid(payer_answer(outcome.results[0]), operation)

    def _pay_plainly(self, record: Array, signers: Sequence[Signer], operation: int, payee: Wallet) -> Paid:
        until_ns = read_ns(self._stores.clock) + SIGNATURE_VALIDITY_NS
        envelopes = sign_records(record, self._stores.ledger.ledger_id, signers, until_ns)
        answers = self._stores.ledger.submit(record, envelopes)
        result = Result(int(first_codes(answers)[0]))
        if result is not Result.CREATED and result.binds:
            payer, now_ns = ids.of_record(record[0], "debit"), read_ns(self._stores.clock)

            def store(connection: Connection) -> None:
                store_payer_refusal(connection, operation, payer, result, now_ns)
                if result in HIDDEN:
                    store_refusal(connection, operation, payee.account, payee.operator, result, now_ns)

            write(self._stores.engine, store)
        return Paid(payer_answer(result), operation)

    def check_place(self, payee: Wallet, till: int, order: str) -> None:
        """Raise UsageError for an order of wrong form or of a person, and for a till of another merchant."""
        if order:
            orders.check_payee(self._people, payee, order)
        if till and self._institutions.till(till).merchant != payee.holder:
            raise UsageError(f"till {ids.format(till)} is of another merchant", hint="name a till of the payee")

    # --- refunding ---

    def refund(
        self,
        merchant: int,
        order: str,
        minor: int,
        *,
        till: int,
        signers: Sequence[Signer],
        who: int,
        operation: int = 0,
    ) -> Paid:
        """Refund a part, or all, of a payment, at a till of the merchant. `order`: as of `payment_of`.

        The money returns to its sources: own money first, then packets. Raises UsageError as `payment_of`, and
        for a till of another merchant.
        """
        payment = self.payment_of(merchant, order)
        return self.refund_payment(payment, minor, till=till, signers=signers, who=who, operation=operation)

    def payment_of(self, merchant: int, order: str) -> int:
        """Return the payment of a merchant's order. `order`: its number; or the id, as text, of a payment or a hold.

        A hold was paid by its POST. Raises UsageError for an order or hold that was not paid, and a payment to another
        merchant.
        """
        if len(order) <= REFERENCE_CHARACTERS_MAX:  # an id as text is longer
            state = self.was_paid(merchant, order)
            if not state.is_paid:
                raise UsageError(f"order {order} is {state.state}, not paid", hint="only a payment can be refunded")
            return state.operation
        payment = orders.post_of(self._stores, ids.parse(order))
        if self._directory.holder_of(self.payee_of(payment)) != merchant:
            raise UsageError(f"payment {order} was not paid to this merchant", hint="name the merchant that was paid")
        return payment

    def refund_payment(
        self,
        payment: int,
        minor: int,
        *,
        till: int = 0,
        signers: Sequence[Signer],
        who: int,
        operation: int = 0,
    ) -> Paid:
        """Refund a payment, or what a hold paid, by the id of the PAY or POST. Errors as `refund`.

        A payment without text, till and order has no reference, and its refund has none: it names no till.
        """
        original = self._reference(payment)
        payee = self._directory.get(self.payee_of(payment) if original is None else original.payee)
        self._people.require(who, REFUND, operator=payee.operator, institution=payee.holder)
        if original is None:
            if till:
                raise UsageError(f"payment {ids.format(payment)} was made at no till", hint="refund it without a till")
            return self._refund_plainly(payment, minor, signers, operation)
        if till and self._institutions.till(till).merchant != payee.holder:
            raise UsageError(
                f"till {ids.format(till)} is of another merchant", hint="a merchant refunds at its own tills"
            )
        operation, reference = operation or self._stores.new_id(), self._stores.new_id()
        record = with_note(operations.refund(operation, original=payment, amount=minor), reference)
        row = {
            "id": reference,
            "operation": operation,
            "original": payment,
            "payer": original.payee,
            "payee": original.payer,
            "minor": minor,
            "till": till or None,
            "order_number": original.order_number,
            "at_ns": read_ns(self._stores.clock),
            "state": SENT,
        }

        def before(connection: Connection) -> None:
            connection.execute(REFERENCES.insert().values(row))

        outcome = self._stores.intents.perform(
            Draft(
                REFUND,
                record,
                {"reference": ids.format(reference)},
                who=who,
                signers=signers,
                before=before,
                id=operation,
            )
        )
        return Paid(payer_answer(outcome.results[0]), operation)

    def _refund_plainly(self, payment: int, minor: int, signers: Sequence[Signer], operation: int) -> Paid:
        operation = operation or self._stores.new_id()
        record = operations.refund(operation, original=payment, amount=minor)
        until_ns = read_ns(self._stores.clock) + SIGNATURE_VALIDITY_NS
        envelopes = sign_records(record, self._stores.ledger.ledger_id, signers, until_ns)
        answers = self._stores.ledger.submit(record, envelopes)
        return Paid(payer_answer(Result(int(first_codes(answers)[0]))), operation)

    def payee_of(self, payment: int) -> int:
        """Return the account that a payment paid. Raises NotFound if the ledger has no payment of this id."""
        row = self._reference(payment)
        account = _payee_in_ledger(self._stores, payment) if row is None else int(row.payee)
        if not account:
            raise _no_payment(payment)
        return account

    def _reference(self, operation: int) -> Any:
        """Return the reference of a payment, None for a payment without one. Raises NotFound if it was not made."""
        query = sqlalchemy.select(REFERENCES).where(REFERENCES.c.operation == operation)
        with reading(self._stores.engine) as connection:
            row = connection.execute(query).first()
        if row is not None and row.state != DONE:
            raise _no_payment(operation)
        return row

    # --- reading ---

    def was_paid(self, merchant: int, order: str) -> OrderState:
        """Return the state of an order: for a till that got no answer to its payment.

        A payment that is in the ledger counts, also if a crash left its intent unfinished.
        """
        return orders.state_of(self._stores, merchant, order)

    def refusals(self, operator: int, *, by: int, since_ns: int = 0) -> list[Refusal]:
        """Return the payments that accounts of an operator refused, with their codes, for a person of this operator."""
        self._people.require(by, "wallet.open", operator=operator)
        chosen = (REFUSALS.c.operator == operator) & (REFUSALS.c.at_ns >= since_ns)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(sqlalchemy.select(REFUSALS).where(chosen).order_by(REFUSALS.c.at_ns))
            return [Refusal(row.operation, row.payee, Result(row.code), row.at_ns) for row in rows]

    def refusals_page(self, operator: int, *, by: int, after: tuple[int, int], most: int) -> list[Refusal]:
        """Return up to `most` of the payments of `refusals` that follow `after`, a time and an operation, in order."""
        self._people.require(by, "wallet.open", operator=operator)
        at_ns, operation = after
        later = (REFUSALS.c.at_ns > at_ns) | ((REFUSALS.c.at_ns == at_ns) & (REFUSALS.c.operation > operation))
        # The first comparison alone uses the index.
        chosen = (REFUSALS.c.operator == operator) & (REFUSALS.c.at_ns >= at_ns) & later
        query = sqlalchemy.select(REFUSALS).where(chosen).order_by(REFUSALS.c.at_ns, REFUSALS.c.operation).limit(most)
        with reading(self._stores.engine) as connection:
            return [Refusal(row.operation, row.payee, Result(row.code), row.at_ns) for row in connection.execute(query)]

    def payer_refusals_page(
        self, operator: int, *, by: int, after: tuple[int, int] = (0, 0), most: int
    ) -> list[PayerRefusal]:
        """Return up to `most` refused payments of an operator's payers, in the order of time, for its persons.

        `after`: a time and an operation, as for `refusals_page`. A code about the payee's account is not among them.
        """
        self._people.require(by, "wallet.open", operator=operator)
        table, (at_ns, operation) = PAYER_REFUSALS.c, after
        later = (table.at_ns > at_ns) | ((table.at_ns == at_ns) & (table.operation > operation))
        # The first comparison alone uses the index.
        chosen = (table.operator == operator) & (table.at_ns >= at_ns) & later
        query = sqlalchemy.select(PAYER_REFUSALS).where(chosen).order_by(table.at_ns, table.operation).limit(most)
        with reading(self._stores.engine) as connection:
            return [
                PayerRefusal(
                    row.operation, row.payer,
                    PayerAnswer.PAYEE_CANNOT_RECEIVE if row.code is None else Result(row.code).name, row.at_ns,
                )
                for row in connection.execute(query)
            ]  # fmt: skip


# --- in a transaction ---


def _no_payment(operation: int) -> NotFound:
    return NotFound(
        f"there is no payment {ids.format(operation)}",
        hint="name the order, or the id that `sycee pay` or `sycee hold post` printed",
    )


def _payee_in_ledger(stores: Stores, operation: int) -> int:
    """Return the account that a PAY or POST paid, by its id; 0 if the ledger made no such payment."""
    with stores.ledger.sequencer.reading() as state:
        found = queries.answer(state, queries.operations([operation])).operation(0)
        if found is None or found.result is not Result.CREATED or found.kind not in (Kind.PAY, Kind.POST):
            return 0
        movement = state.movements[int(found.record["first_movement"]) - 1]
        return state.account_id(int(movement["credit_row"]))


def _take_request(connection: Connection, request: int, operation: int, now_ns: int) -> None:
    """Mark a request as being paid. Raises UsageError unless it is open."""
    chosen = REQUESTS.c.id == request
    row = connection.execute(sqlalchemy.select(REQUESTS.c.state, REQUESTS.c.expires_ns).where(chosen)).one()
    if row.state != OPEN or row.expires_ns <= now_ns:
        raise UsageError(
            f"request {ids.format(request)} is {row.state if row.state != OPEN else EXPIRED}",
            hint="only an open request can be paid",
        )
    connection.execute(REQUESTS.update().where(chosen).values(state=PAYING, operation=operation))


def store_refusal(
    connection: Connection, operation: int, payee: int, operator: int, result: Result, now_ns: int
) -> None:
    """Store the exact code of a refusal for the payee's operator; repeating the call changes nothing."""
    if connection.scalar(sqlalchemy.select(REFUSALS.c.payee).where(REFUSALS.c.operation == operation)) is None:
        row = {"operation": operation, "payee": payee, "operator": operator, "code": int(result), "at_ns": now_ns}
        connection.execute(REFUSALS.insert().values(row))


def store_payer_refusal(connection: Connection, operation: int, payer: int, result: Result, now_ns: int) -> None:
    """Store a refused payment for the payer's operator; repeating the call changes nothing.

    A result that binds no id is not stored: it does not prove that the payer sent the payment. A code about the payee's
    account is not stored either, and the row has none.
    """
    known = sqlalchemy.select(PAYER_REFUSALS.c.payer).where(PAYER_REFUSALS.c.operation == operation)
    operator = connection.scalar(sqlalchemy.select(WALLETS.c.operator).where(WALLETS.c.account == payer))
    if result.binds and operator is not None and connection.scalar(known) is None:
        code = None if result in HIDDEN else int(result)
        row = {"operation": operation, "payer": payer, "operator": operator, "code": code, "at_ns": now_ns}
        connection.execute(PAYER_REFUSALS.insert().values(row))


def store_refusal_of(connection: Connection, reference: int, operation: int, result: Result, now_ns: int) -> None:
    """Store a refused payment or hold for the payer's operator, by its reference."""
    payer = connection.scalar(sqlalchemy.select(REFERENCES.c.payer).where(REFERENCES.c.id == reference))
    if result is not Result.CREATED and payer is not None:
        store_payer_refusal(connection, operation, payer, result, now_ns)


class _Pay:
    """Set the state of a payment's reference, order and request."""

    name = PAY

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store whether the payment was made; for a refusal by the payee's account, its code for the operator."""
        result, payload = results[0], intent.payload
        is_paid = result is Result.CREATED
        self._set(connection, intent, DONE if is_paid else REFUSED, PAID if is_paid else REFUSED)
        now_ns = read_ns(self._stores.clock)
        store_refusal_of(connection, ids.parse(payload["reference"]), intent.id, result, now_ns)
        if result in HIDDEN:
            payee = ids.parse(payload["payee"])
            operator = connection.scalar(sqlalchemy.select(WALLETS.c.operator).where(WALLETS.c.account == payee))
            store_refusal(connection, intent.id, payee, int(operator or 0), result, now_ns)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that nothing was paid."""
        self._set(connection, intent, LAPSED, LAPSED)

    def _set(self, connection: Connection, intent: Intent, state: str, order_state: str) -> None:
        payload, reference = intent.payload, ids.parse(intent.payload["reference"])
        connection.execute(REFERENCES.update().where(REFERENCES.c.id == reference).values(state=state))
        orders.set_state(connection, payload, reference, order_state)
        if "request" in payload:
            chosen = (REQUESTS.c.id == ids.parse(payload["request"])) & (REQUESTS.c.operation == intent.id)
            ended = REQUESTS.c.expires_ns <= read_ns(self._stores.clock)
            unpaid = sqlalchemy.case((ended, EXPIRED), else_=OPEN)
            connection.execute(REQUESTS.update().where(chosen).values(state=PAID if order_state == PAID else unpaid))


class _Refund:
    """Set the state of a refund's reference."""

    name = REFUND

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store whether the refund was made."""
        self._set(connection, intent, DONE if results[0] is Result.CREATED else REFUSED)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that nothing was refunded."""
        self._set(connection, intent, LAPSED)

    def _set(self, connection: Connection, intent: Intent, state: str) -> None:
        reference = ids.parse(intent.payload["reference"])
        connection.execute(REFERENCES.update().where(REFERENCES.c.id == reference).values(state=state))
