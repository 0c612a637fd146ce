"""What one does with money, as verbs: the same for a ledger, which does it at once, and for a chain, which collects."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np

from sycee.core import money
from sycee.core.codes import Result
from sycee.ledger import layout, operations, single_record

Array = np.ndarray[Any, Any]
Amount = int | str
Taken = TypeVar("Taken")


class Verbs(ABC, Generic[Taken]):
    """Every verb takes an `id`, a fresh one if none is given: the same id again is answered EXISTS and moves nothing.

    An amount is minor units, or a text such as "12.50" in the account's currency. Raises UsageError for a text that is
    no such amount, for a float or a bool, and for a number that does not fit its field.
    """

    @abstractmethod
    def _take(self, record: Array) -> Taken:
        """Do it, or keep it."""

    def _take_moving(self, record: bytes) -> Taken:
        """Likewise of a transfer or pay, which most are, as its 128 bytes."""
        return self._take(np.frombuffer(record, layout.OPERATION))

    @abstractmethod
    def new_id(self) -> int:
        """A fresh id, for an operation that may have to be sent again."""

    @abstractmethod
    def _currency_of(self, account: int) -> int:
        """Number of an account's currency. Raises UsageError where there is no such account."""

    @abstractmethod
    def _currency_of_operation(self, id: int) -> int:
        """Number of the currency that an operation moved or held. Raises UsageError where it did neither."""

    # --- at once ---

    def transfer(self, debit: int, credit: int, amount: Amount, *, id: int | None = None) -> Taken:
        """Move own money from one account to another."""
        return self._take_moving(single_record.transfer(self._id(id), debit, credit, self._minor(debit, amount)))

    def pay(self, payer: int, payee: int, amount: Amount, *, id: int | None = None) -> Taken:
        """Pay from the payer's purses that may pay this payee, earliest expiry first, and then from its own money."""
        return self._take_moving(single_record.pay(self._id(id), payer, payee, self._minor(payer, amount)))

    def refund(self, original: int, amount: Amount, *, id: int | None = None) -> Taken:
        """Give back part of the pay or post `original`: the payer's own money first, then purse money."""
        minor = self._minor_of(original, amount)
        return self._take(operations.refund(self._id(id), original=original, amount=minor))

    def reverse(self, original: int, amount: Amount, *, id: int | None = None) -> Taken:
        """Take back part or all of a transfer, pay or post by authority, as far as the payee has it available.

        CREATED does not say that money moved: what the payee has not is left as a claim on record, even all of it.
        `Ledger.missing_of` tells how much, by this reverse's `id`; another reverse collects it later.
        """
        minor = self._minor_of(original, amount)
        return self._take(operations.reverse(self._id(id), original=original, amount=minor))

    # --- in two steps ---

    def hold(
        self,
        payer: int,
        payee: int,
        amount: Amount,
        *,
        until_ns: int,
        third: int = 0,
        hash_lock: bytes = b"",
        id: int | None = None,
    ) -> Taken:
        """Keep money ready for the payee until `until_ns`; its `id` is what `post` and the others name.

        Payer and payee may post it, the payee may void it and the payer extend it. With `third` that account alone may
        post it, and may void it, too. With `hash_lock`, 32 bytes, the SHA-256 of a secret, the payee alone may post it,
        and only with the secret.
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
        return self._take(record)

    def post(
        self,
        hold: int,
        amount: Amount,
        *,
        by: int,
        lets_go: bool = False,
        secret: bytes | None = None,
        id: int | None = None,
    ) -> Taken:
        """Pay what is held, or part of it, asked for by the account `by`: payer or payee.

        Of a three-party hold: the third account; of a hash-locked one: the payee, who knows the secret.
        `lets_go` keeps the rest no longer; `secret`, 32 bytes, opens a hash-locked hold.
        """
        minor = self._minor_of(hold, amount)
        record = operations.post(self._id(id), hold=hold, by=by, amount=minor, lets_go=lets_go, secret=secret)
        return self._take(record)

    def void(self, hold: int, *, by: int, id: int | None = None) -> Taken:
        """Let all that is still held go, asked for by the account `by`: the payee, or the third of a three-party hold.

        The payer cannot: what is held is the payee's to give up, until the hold ends.
        """
        return self._take(operations.void(self._id(id), hold=hold, by=by))

    def extend(self, hold: int, *, by: int, until_ns: int, id: int | None = None) -> Taken:
        """Hold until later, asked for by the account `by`: the payer, whatever kind of hold it is."""
        return self._take(operations.extend(self._id(id), hold=hold, by=by, until_ns=until_ns))

    # --- on its way ---

    def send(
        self, source: int, destination: int, amount: Amount, *, through: int, up_to: bool = False, id: int | None = None
    ) -> Taken:
        """Send money on its way through an IN_TRANSIT account; `confirm` or `reject` names the send's `id`.

        `up_to` sends what there is, at most `amount`.
        """
        minor = self._minor(source, amount)
        record = operations.send(
            self._id(id), source=source, destination=destination, through=through, amount=minor, up_to=up_to
        )
        return self._take(record)

    def confirm(self, sent: int, *, id: int | None = None) -> Taken:
        """What was sent has arrived."""
        return self._take(operations.confirm(self._id(id), sent=sent))

    def reject(self, sent: int, *, id: int | None = None) -> Taken:
        """What was sent comes back."""
        return self._take(operations.reject(self._id(id), sent=sent))

    # --- helpers ---

    def _id(self, id: int | None) -> int:
        return self.new_id() if id is None else id

    # What is no text is looked at where all arguments are: in `operations`.

    def _minor(self, account: int, amount: Amount) -> int:
        if not isinstance(amount, str):
            return amount
        return money.parse(amount, money.currency(self._currency_of(account)))

    def _minor_of(self, original: int, amount: Amount) -> int:
        if not isinstance(amount, str):
            return amount
        return money.parse(amount, money.currency(self._currency_of_operation(original)))


class Chain(Verbs[None]):
    """Verbs that are done together when their `with` block ends. Made by `chain`."""

    def __init__(self, ledger: Verbs[Any]) -> None:
        self.records: list[Array] = []
        self.results: list[Result] = []  # in the order of the verbs, once they are done
        self._ledger = ledger

    def new_id(self) -> int:
        """A fresh id, for an operation that may have to be sent again."""
        return self._ledger.new_id()

    def answered(self, answers: Array) -> None:
        """Keep what became of it: (n,) layout.ANSWER."""
        self.results = [Result(int(code)) for code in answers["code"]]

    def _take(self, record: Array) -> None:
        self.records.append(record)

    def _currency_of(self, account: int) -> int:
        return self._ledger._currency_of(account)

    def _currency_of_operation(self, id: int) -> int:
        for record in self.records:  # a chain may post what it holds
            if int(record["id_high"][0]) << 64 | int(record["id_low"][0]) == id:
                return self._currency_of(int(record["debit_high"][0]) << 64 | int(record["debit_low"][0]))
        return self._ledger._currency_of_operation(id)
