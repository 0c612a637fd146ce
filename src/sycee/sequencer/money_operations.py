"""The operations that move money, defined once for Ledger (submits), AsyncLedger (awaits) and Chain (collects)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, Self, TypeVar

import numpy as np

from sycee.core import ids, money
from sycee.core.arguments import check_id
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.ids import AnyId
from sycee.core.records import layout, operations, single_record
from sycee.core.result_codes import Result

Amount = int | str
ReturnType = TypeVar("ReturnType")


class MoneyOperations(ABC, Generic[ReturnType]):
    """Operations that move money.

    Each method has an `id`, a fresh one by default. The same id again returns EXISTS and moves nothing.

    An amount is an integer of minor units, or a text such as "12.50" in the account's currency. Raises UsageError for a
    text that is no such amount, for a float or a bool, and for a number that does not fit its field.

    `ReturnType` is a Result for Ledger, an awaitable of a Result for AsyncLedger, None for Chain.
    """

    @abstractmethod
    def _submit_record(self, record: Array) -> ReturnType:
        """Submit one record, (1,) layout.OPERATION, or store it for later."""

    def _submit_plain(self, kind: int, id: AnyId | None, debit: AnyId, credit: AnyId, amount: Amount) -> ReturnType:
        """Submit one transfer or pay, the most frequent operations; `kind` is a constant of `single_record`."""
        record = single_record.of(kind, self._id(id), debit, credit, self._minor(debit, amount))
        return self._submit_record(np.frombuffer(record, layout.OPERATION))

    @abstractmethod
    def new_id(self) -> int:
        """Return a fresh id for an operation. Store the id first if the operation may have to be sent again."""

    @abstractmethod
    def _currency_of(self, account: AnyId) -> int:
        """Return the number of an account's currency. Raises UsageError if the account does not exist."""

    @abstractmethod
    def _currency_of_operation(self, id: AnyId) -> int:
        """Return the number of the currency that an operation moved or held. Raises UsageError if it did neither."""

    # --- payments ---

    def transfer(self, debit: AnyId, credit: AnyId, amount: Amount, *, id: AnyId | None = None) -> ReturnType:
        """Move own money from one account to another."""
        return self._submit_plain(single_record.TRANSFER, id, debit, credit, amount)

    def pay(self, payer: AnyId, payee: AnyId, amount: Amount, *, id: AnyId | None = None) -> ReturnType:
        """Pay from the payer's purses that this payee may receive, earliest expiry first, then from own money."""
        return self._submit_plain(single_record.PAY, id, payer, payee, amount)

    def refund(self, original: AnyId, amount: Amount, *, id: AnyId | None = None) -> ReturnType:
        """Refund part or all of the pay or post `original`: the payer's own money first, then purse money."""
        minor = self._minor_of(original, amount)
        return self._submit_record(operations.refund(self._id(id), original=original, amount=minor))

    def reverse(self, original: AnyId, amount: Amount, *, id: AnyId | None = None) -> ReturnType:
        """Reverse part or all of a transfer, pay or post by authority, up to the payee's available money.

        CREATED does not mean that money moved: the amount that the payee does not have, possibly all of it, is recorded
        as a claim. `unrecovered_of` returns the claim by this reverse's `id`; another reverse collects it later.
        """
        minor = self._minor_of(original, amount)
        return self._submit_record(operations.reverse(self._id(id), original=original, amount=minor))

    # --- holds ---

    def hold(
        self,
        payer: AnyId,
        payee: AnyId,
        amount: Amount,
        *,
        until_ns: int,
        third: AnyId = 0,
        hash_lock: bytes = b"",
        id: AnyId | None = None,
    ) -> ReturnType:
        """Reserve money for the payee until `until_ns`; `post` and the others name the hold by its `id`.

        Payer and payee may post the hold, the payee may void it and the payer extend it. With `third` only that account
        may post it, and it may void it as well. With `hash_lock`, the SHA-256 of a 32-byte secret, only the payee may
        post it, with the secret.
        """
        minor = self._minor(payer, amount)
        record = operations.hold(
            self._id(id),
            payer=payer,
            payee=payee,
            amount=minor,
            until_ns=until_ns,
            third=third,
            hash_lock=hash_lock,
        )
        return self._submit_record(record)

    def post(
        self,
        hold: AnyId,
        amount: Amount,
        *,
        by: AnyId,
        release_rest: bool = False,
        secret: bytes | None = None,
        id: AnyId | None = None,
    ) -> ReturnType:
        """Pay a hold, or part of it, at the request of the account `by`: payer or payee.

        A three-party hold is posted by its third account, a hash-locked one by the payee with `secret`, 32 bytes.
        `release_rest` releases the remaining amount.
        """
        minor = self._minor_of(hold, amount)
        record = operations.post(self._id(id), hold=hold, by=by, amount=minor, release_rest=release_rest, secret=secret)
        return self._submit_record(record)

    def void(self, hold: AnyId, *, by: AnyId, id: AnyId | None = None) -> ReturnType:
        """Release a hold at the request of the account `by`: the payee, or the third account of a three-party hold.

        The payer cannot void a hold.
        """
        return self._submit_record(operations.void(self._id(id), hold=hold, by=by))

    def extend(self, hold: AnyId, *, by: AnyId, until_ns: int, id: AnyId | None = None) -> ReturnType:
        """Extend a hold of any kind until `until_ns` at the request of the account `by`, the payer."""
        return self._submit_record(operations.extend(self._id(id), hold=hold, by=by, until_ns=until_ns))

    # --- money in transit ---

    def send(
        self,
        source: AnyId,
        destination: AnyId,
        amount: Amount,
        *,
        through: AnyId,
        up_to: bool = False,
        id: AnyId | None = None,
    ) -> ReturnType:
        """Send money through an IN_TRANSIT account; `confirm` or `reject` names the send by its `id`.

        `up_to` sends the available money, at most `amount`.
        """
        minor = self._minor(source, amount)
        record = operations.send(
            self._id(id), source=source, destination=destination, through=through, amount=minor, up_to=up_to
        )
        return self._submit_record(record)

    def confirm(self, sent: AnyId, *, id: AnyId | None = None) -> ReturnType:
        """Confirm that sent money has arrived."""
        return self._submit_record(operations.confirm(self._id(id), sent=sent))

    def reject(self, sent: AnyId, *, id: AnyId | None = None) -> ReturnType:
        """Return sent money to its source."""
        return self._submit_record(operations.reject(self._id(id), sent=sent))

    # --- helpers ---

    def _id(self, id: AnyId | None) -> int:
        return self.new_id() if id is None else check_id("id", id)

    # Integer amounts are checked with the other arguments, in `operations`.

    def _minor(self, account: AnyId, amount: Amount) -> int:
        if not isinstance(amount, str):
            return amount
        return money.parse(amount, money.currency(self._currency_of(account)))

    def _minor_of(self, original: AnyId, amount: Amount) -> int:
        if not isinstance(amount, str):
            return amount
        return money.parse(amount, money.currency(self._currency_of_operation(original)))


class Chain(MoneyOperations[None]):
    """Operations that are done together, or none of them, when their `with` block ends. Created by `chain`."""

    def __init__(self, ledger: MoneyOperations[Any]) -> None:
        self.records: list[Array] = []
        self.results: list[Result] = []  # of the operations in order, after the block
        self._ledger = ledger
        self._is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True

    def linked(self) -> Array:
        """Return the records, linked to one chain: (n,) layout.OPERATION."""
        return operations.chain(*self.records)

    def new_id(self) -> int:
        """Return a fresh id for an operation. Store the id first if the operation may have to be sent again."""
        return self._ledger.new_id()

    def _submit_record(self, record: Array) -> None:
        if self._is_over:
            raise UsageError(
                "this chain ended with its `with` block, so the operation would not be submitted",
                hint="call the ledger itself, or open another chain",
            )
        self.records.append(record)

    def _currency_of(self, account: AnyId) -> int:
        return self._ledger._currency_of(account)

    def _currency_of_operation(self, id: AnyId) -> int:
        id = check_id("id", id)
        for record in self.records:  # a chain may post its own hold
            if ids.of_record(record[0], "id") == id:
                return self._currency_of(ids.of_record(record[0], "debit"))
        return self._ledger._currency_of_operation(id)
