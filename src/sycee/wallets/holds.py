"""Holds: money of a wallet reserved for a payee until a time, as a hotel or a deposit needs it.

The payee posts the amount or a part of it, which releases the rest, or voids the hold; the payer can set a later end.
The state of a hold is the ledger's. SQL has its text, till, order and sides, as for a payment; a POST is a payment of
its own, which pays the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy
from sqlalchemy.engine import Connection

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import NotFound, UsageError
from sycee.core.records import operations
from sycee.core.records.layout import HoldState
from sycee.core.result_codes import Result
from sycee.database.actions import Draft, Intent, IntentOutcome, LedgerOnly
from sycee.database.comparing import differences
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.people import People
from sycee.ledger import queries
from sycee.sequencer.embedded import SIGNATURE_VALIDITY_NS
from sycee.sequencer.signer import Signer, sign_records
from sycee.wallets import orders
from sycee.wallets.directory import Directory, Wallet
from sycee.wallets.payments import HIDDEN, Paid, PayerAnswer, payer_answer, store_refusal, store_refusal_of
from sycee.wallets.references import References, check_text, with_note
from sycee.wallets.tables import ASKED, DONE, HOLDS, LAPSED, REFERENCES, REFUSED, SENT

if TYPE_CHECKING:
    from sycee.identity.institutions import Institutions
    from sycee.ledger.state import LedgerState

HOLD: Final = "hold"
END: Final = "hold.end"  # the duty of a person who posts or voids
POST: Final = "hold.post"
VOID: Final = "hold.void"
EXTEND: Final = "hold.extend"

HELD: Final = "HELD"
PAYER_CANNOT_PAY: Final = "PAYER_CANNOT_PAY"
STATES: Final = {
    HoldState.OPEN: "open", HoldState.POSTED: "posted", HoldState.VOIDED: "voided", HoldState.TIMED_OUT: "ended",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reserved:
    """The outcome of a reservation. `answer`: HELD, or the `payer_answer` of a refusal; `hold`: the id of the HOLD."""

    answer: str
    hold: int

    @property
    def is_held(self) -> bool:
        """Whether the money is held."""
        return self.answer == HELD


@dataclass(frozen=True, slots=True)
class WalletHold:
    """A hold. `state`: open, posted, voided or ended (by time); `text`: the reader's copy."""

    id: int
    payer: int
    payee: int
    minor: int
    held_minor: int
    posted_minor: int
    till: int
    order: str
    text: str
    until_ns: int
    state: str


def payee_answer(result: Result) -> str:
    """Return the answer to the payee of a hold, which hides a block of the payer's account."""
    if result is Result.CREATED:
        return PayerAnswer.PAID
    return PAYER_CANNOT_PAY if result is Result.DEBIT_ACCOUNT_BLOCKED else result.name


class Holds:
    """The holds of one bank's wallets."""

    def __init__(
        self, stores: Stores, people: People, institutions: Institutions, directory: Directory, references: References
    ) -> None:
        self._stores, self._people, self._institutions = stores, people, institutions
        self._directory, self._references = directory, references
        stores.actions.register(_Reserve(stores), _Post(), LedgerOnly(VOID), LedgerOnly(EXTEND))

    def reserve(
        self,
        payer: int,
        payee: int,
        minor: int,
        *,
        until_ns: int,
        signers: Sequence[Signer],
        who: int,
        text: str = "",
        till: int = 0,
        order: str = "",
        operation: int = 0,
    ) -> Reserved:
        """Hold money of a wallet for a payee until a time. The payer signs.

        - `text`: a reference for both sides, at most 35 characters, stored encrypted.
        - `till`, `order`: of the merchant that is the payee. While the hold is open, nothing else pays its order.
        - `operation`: the hold's id. The same id again returns the first outcome.

        A refusal is the answer, no error. Raises UsageError for an unknown payer, a text or order of wrong form, a till
        of another merchant, and an order that is paid, being paid or held.
        """
        self._people.require(who, HOLD)
        check_text(text)
        holder, receiving = self._directory.get(payer), self._directory.find(payee)
        operation, reference = operation or self._stores.new_id(), self._stores.new_id()
        record = operations.hold(operation, payer=payer, payee=payee, amount=minor, until_ns=until_ns)
        if receiving is None:  # nothing can be stored for an unknown payee
            valid_until_ns = read_ns(self._stores.clock) + SIGNATURE_VALIDITY_NS
            sign_records(with_note(record, reference), self._stores.ledger.ledger_id, signers, valid_until_ns)
            return Reserved(payer_answer(Result.CREDIT_ACCOUNT_NOT_FOUND), operation)
        self._check_till(receiving, till)
        if order:
            orders.check_payee(self._people, receiving, order)
        row = {
            "id": reference,
            "operation": operation,
            "payer": payer,
            "payee": payee,
            "minor": minor,
            "payer_sealed": self._references.seal(holder.holder, text),
            "payee_sealed": self._references.seal(receiving.holder, text),
            "till": till or None,
            "order_number": order or None,
            "at_ns": read_ns(self._stores.clock),
            "state": SENT,
        }

        def before(connection: Connection) -> None:
            if order:
                ledger, made = self._stores.ledger, {"reference": reference, "operation": operation, "minor": minor}
                orders.take(connection, ledger, receiving.holder, order, **made)
            connection.execute(REFERENCES.insert().values(row))
            sides = {"id": operation, "reference": reference, "payer": payer, "payee": payee}
            connection.execute(HOLDS.insert().values(sides))

        payload = {"reference": ids.format(reference), "payee": ids.format(payee), "operator": receiving.operator}
        payload |= orders.named(receiving.holder, order)
        outcome = self._perform(HOLD, with_note(record, reference), payload, signers, who, before, operation)
        result = outcome.results[0]
        return Reserved(HELD if result is Result.CREATED else payer_answer(result), operation)

    def post(
        self, hold: int, minor: int = 0, *, signers: Sequence[Signer], who: int, till: int = 0, operation: int = 0
    ) -> Paid:
        """Take the amount of a hold, or a part of it; the rest is released. The payee signs.

        - `minor`: 0 for all.
        - `till`: of the payee; without one, that of the hold.
        - `operation`: the payment's id. The same id again returns the first outcome.

        A refusal is the answer, no error. Raises UsageError for an unknown hold, a person without the duty, and a till
        of another merchant.
        """
        row = self._row(hold)
        payee = self._require_payee(row, who)
        self._check_till(payee, till)
        operation, reference, amount = operation or self._stores.new_id(), self._stores.new_id(), minor or row.minor
        record = operations.post(operation, hold=hold, by=row.payee, amount=amount, release_rest=True)
        stored = {
            **{name: row._mapping[name] for name in ("payer", "payee", "payer_sealed", "payee_sealed")},
            "id": reference,
            "operation": operation,
            "original": hold,
            "minor": amount,
            "till": till or row.till,
            "order_number": row.order_number,
            "at_ns": read_ns(self._stores.clock),
            "state": SENT,
        }

        def before(connection: Connection) -> None:
            connection.execute(REFERENCES.insert().values(stored))

        payload = {"reference": ids.format(reference), "held": ids.format(row.id)}
        payload |= orders.named(payee.holder, row.order_number or "")
        outcome = self._perform(POST, with_note(record, reference), payload, signers, who, before, operation)
        return Paid(payee_answer(outcome.results[0]), operation)

    def void(self, hold: int, *, signers: Sequence[Signer], who: int, operation: int = 0) -> None:
        """Release all of a hold, as its payee. Raises UsageError as `post`; Refused with the ledger's code."""
        row = self._row(hold)
        self._require_payee(row, who)
        operation = operation or self._stores.new_id()
        record = operations.void(operation, hold=hold, by=row.payee)
        outcome = self._perform(VOID, record, {"hold": ids.format(hold)}, signers, who, None, operation)
        outcome.require_created(f"hold {ids.format(hold)} is not released")

    def extend(self, hold: int, until_ns: int, *, signers: Sequence[Signer], who: int, operation: int = 0) -> None:
        """Set a later end of a hold, as its payer. Raises UsageError for an unknown hold; Refused with the code."""
        row = self._row(hold)
        self._people.require(who, HOLD)
        operation = operation or self._stores.new_id()
        record = operations.extend(operation, hold=hold, by=row.payer, until_ns=until_ns)
        outcome = self._perform(EXTEND, record, {"hold": ids.format(hold)}, signers, who, None, operation)
        outcome.require_created(f"hold {ids.format(hold)} keeps its end")

    # --- reading ---

    def get(self, hold: int, *, reader: int = 0) -> WalletHold:
        """Return a hold; its text only for the account `reader`, a side of it. Raises UsageError if there is none."""
        row = self._row(hold)
        return self._made(row, reader, self._posted(HOLDS.c.id == hold))

    def of_account(self, account: int) -> list[WalletHold]:
        """Return the holds that an account has as payer or payee, with the texts of its side, the oldest first."""
        chosen = (HOLDS.c.payer == account) | (HOLDS.c.payee == account)
        query = _JOINED.where(chosen, REFERENCES.c.state == DONE).order_by(REFERENCES.c.at_ns, HOLDS.c.id)
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(query))
        posted = self._posted(chosen)
        return [self._made(row, account, posted) for row in rows]

    def page(self, account: int, *, reader: int = 0, after: int = 0, limit: int) -> list[WalletHold]:
        """Return up to `limit` holds of an account with ids above `after`, in the order of ids.

        `reader`: the account, for the texts of its side; 0 without texts.
        """
        chosen = (HOLDS.c.payer == account) | (HOLDS.c.payee == account)
        query = _JOINED.where(chosen, REFERENCES.c.state == DONE, HOLDS.c.id > after)
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(query.order_by(HOLDS.c.id).limit(limit)))
        posted = self._posted(HOLDS.c.id.in_([row.operation for row in rows]))
        return [self._made(row, reader, posted) for row in rows]

    def disagreements(self) -> Iterator[str]:
        """Yield one sentence for each hold that only SQL or only the ledger has."""
        with reading(self._stores.engine) as connection:
            rows = list(connection.execute(_JOINED.where(REFERENCES.c.state != SENT)))

        def compared(state: LedgerState, row: sqlalchemy.Row[Any]) -> Iterator[str]:
            found = queries.answer(state, queries.holds([row.operation])).hold(0)
            if (found is not None) is not (row.state == DONE):
                yield f"the hold {ids.format(row.operation)} is {row.state}, and the ledger disagrees"

        return differences(self._stores.ledger, rows, compared)

    # --- helpers ---

    def _made(self, row: sqlalchemy.Row[Any], reader: int, posted: dict[int, int]) -> WalletHold:
        found = self._stores.ledger.find_hold(row.operation)
        assert found is not None, "the HOLD was created"
        text = ""
        if reader:
            sealed = row.payer_sealed if reader == row.payer else row.payee_sealed
            holder = self._directory.holder_of(reader)
            text = self._references.text(row.operation, holder, sealed, access=None)
        return WalletHold(
            row.operation, row.payer, row.payee, row.minor, found.held if found.state is HoldState.OPEN else 0,
            posted.get(row.operation, 0), row.till or 0, row.order_number or "", text, found.until_ns,
            STATES[found.state],
        )  # fmt: skip

    def _posted(self, chosen: Any) -> dict[int, int]:
        """Return what was posted of each hold that has a POST."""
        of_holds = REFERENCES.c.original.in_(sqlalchemy.select(HOLDS.c.id).where(chosen))
        total = sqlalchemy.func.sum(REFERENCES.c.minor)
        query = sqlalchemy.select(REFERENCES.c.original, total).where(of_holds, REFERENCES.c.state == DONE)
        with reading(self._stores.engine) as connection:
            return {hold: int(minor) for hold, minor in connection.execute(query.group_by(REFERENCES.c.original))}

    def _row(self, hold: int) -> sqlalchemy.Row[Any]:
        with reading(self._stores.engine) as connection:
            row = connection.execute(_JOINED.where(HOLDS.c.id == hold, REFERENCES.c.state == DONE)).one_or_none()
        if row is None:
            raise NotFound(f"there is no hold {ids.format(hold)}", hint="`sycee hold list` shows a wallet's holds")
        return row

    def _require_payee(self, row: sqlalchemy.Row[Any], who: int) -> Wallet:
        payee = self._directory.get(row.payee)
        self._people.require(who, END, operator=payee.operator, institution=payee.holder)
        return payee

    def _check_till(self, payee: Wallet, till: int) -> None:
        if till and self._institutions.till(till).merchant != payee.holder:
            raise UsageError(f"till {ids.format(till)} is of another merchant", hint="name a till of the payee")

    def _perform(
        self, action: str, record: Array, payload: dict[str, Any], signers: Sequence[Signer], who: int, before: Any,
        operation: int,
    ) -> IntentOutcome:  # fmt: skip
        draft = Draft(action, record, payload, who=who, signers=signers, before=before, id=operation)
        return self._stores.intents.perform(draft)


_JOINED: Final = sqlalchemy.select(REFERENCES).join(HOLDS, HOLDS.c.reference == REFERENCES.c.id)


def _set(connection: Connection, intent: Intent, state: str) -> int:
    """Set the state of the intent's reference, and return the reference."""
    reference = ids.parse(intent.payload["reference"])
    connection.execute(REFERENCES.update().where(REFERENCES.c.id == reference).values(state=state))
    return reference


class _Reserve:
    """Set the state of a hold's reference and order."""

    name = HOLD

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store whether the money is held; for a refusal by the payee's account, its code for the operator."""
        result = results[0]
        is_held = result is Result.CREATED
        reference = _set(connection, intent, DONE if is_held else REFUSED)
        orders.set_state(connection, intent.payload, reference, ASKED if is_held else REFUSED)
        now_ns = read_ns(self._stores.clock)
        store_refusal_of(connection, reference, intent.id, result, now_ns)
        if result in HIDDEN:
            payee = ids.parse(intent.payload["payee"])
            store_refusal(connection, intent.id, payee, intent.payload["operator"], result, now_ns)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that nothing is held."""
        orders.set_state(connection, intent.payload, _set(connection, intent, LAPSED), LAPSED)


class _Post:
    """Set the state of a post's reference, and of the order of its hold."""

    name = POST

    def done(self, connection: Connection, intent: Intent, results: Sequence[Result]) -> None:
        """Store whether the payment was made; if so, the order is paid."""
        is_paid = results[0] is Result.CREATED
        reference = _set(connection, intent, DONE if is_paid else REFUSED)
        if is_paid and "order" in intent.payload:
            orders.pay_by_post(connection, intent.payload, ids.parse(intent.payload["held"]), reference)

    def lapsed(self, connection: Connection, intent: Intent) -> None:
        """Store that nothing was paid."""
        reference = _set(connection, intent, LAPSED)
        if "order" in intent.payload:
            orders.undo_post(connection, intent.payload, ids.parse(intent.payload["held"]), reference)
