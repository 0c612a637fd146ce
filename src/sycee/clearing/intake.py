"""Deliveries of messages: each is stored, and each of its messages is answered. The extra `clearing` is needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from blake3 import blake3

from sycee.clearing import member_messages
from sycee.clearing.gateway import Delivered, Gateway, kind_of, pack, unpack
from sycee.clearing.instructions import Receipt
from sycee.clearing.member_messages import REJECTED, STATUSES, WAITS, MemberMessages
from sycee.clearing.payments import Payment, Payments
from sycee.clearing.receiving import ANSWERS_MAX, Delivery, Receiving
from sycee.clearing.stored_messages import StoredMessages, unpacked
from sycee.core.clock import Clock, read_ns
from sycee.core.errors import IntegrityError, SyceeError, UsageError
from sycee.iso20022 import answers
from sycee.iso20022.answers import ProcessingStatus
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import read, write
from sycee.iso20022.reading import MessageError
from sycee.iso20022.returns import ReturnedPayment

BYTES_MAX: Final = 1 << 24  # of answers that wait to be stored


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a delivery, and its numbers.

    `stored` counts payments stored now, `duplicates` those that were there before, and `requests` other messages that
    were answered, also again. `refused` counts payments and messages that the house refused or did not store.
    """

    answer: bytes
    stored: int
    duplicates: int
    refused: int
    requests: int = 0


class Intake:
    """Takes deliveries of the house of one bank and answers them.

    `house`: its name in answers. `arrived`: called with the numbers of stored payments before they are answered.
    """

    def __init__(
        self, gateway: Gateway, receiving: Receiving, payments: Payments, requests: MemberMessages, clock: Clock,
        house: Institution, arrived: Callable[[Sequence[int]], None] | None = None,
    ) -> None:  # fmt: skip
        self._arrived = arrived
        self._gateway, self._receiving, self._payments, self._clock = gateway, receiving, payments, clock
        self._requests, self._house = requests, house

    def take(self, participant: int, content: bytes, signature: bytes, *, who: int) -> Answered:
        """Store the payments of a delivery, do what its other messages ask, and return its answer.

        A pacs.009, pacs.008 or pacs.004 is answered by a pacs.002 with the status of every payment; other messages as
        `member_messages` lists them. A message that is refused gets the place and the reason. A duplicate, by its
        business message id or its UETRs, gets the first answer. A delivery that `gateway.pack` made gets its answers
        packed, in the order of its messages. Errors: `Receiving.receive`.
        """
        verified = self._receiving.verified(participant, content, signature, who=who)
        waiting = _Answers(self._receiving)
        made, counts, damaged = self._answered(replace(verified, owes_answers=True), waiting)
        waiting.store()
        if damaged:
            raise damaged[0]
        return Answered(made[0] if len(made) == 1 else pack(made), *counts)

    def finish(self) -> tuple[int, Sequence[SyceeError]]:
        """Answer the messages that are stored without an answer, as a crash leaves them, and do what they ask.

        For the start of a process, and before bookings. Returns the number of messages that have an answer now, and an
        error for each message or delivery that is damaged: it is left as it is.
        """
        before, waiting = self._receiving.unanswered(), _Answers(self._receiving)
        errors = [error for delivery, messages in before.items() for error in self._finish(delivery, messages, waiting)]
        waiting.store()
        waited, wait = (sum(map(len, each.values())) for each in (before, self._receiving.unanswered()))
        return waited - wait, errors

    def _finish(self, delivery: int, messages: Sequence[int], waiting: _Answers) -> list[SyceeError]:
        """Answer stored messages of a delivery, by their numbers; return the errors of those that are damaged.

        The caller stores what is `waiting`.
        """
        errors: list[SyceeError] = []
        stored, parts = StoredMessages(self._receiving), []
        try:
            sender = self._receiving.stored(delivery)
            unpacked(delivery, sender.content)
            for message in messages:
                try:
                    stored.message(message)
                    parts.append(self._receiving.place(message).part)
                except IntegrityError as error:
                    errors.append(error)
            return [*errors, *self._answered(sender, waiting, only=parts)[2]] if parts else errors
        except (IntegrityError, UsageError) as error:
            return [*errors, error]

    def _answered(
        self, sender: Delivery, waiting: _Answers, *, only: Collection[int] | None = None
    ) -> tuple[list[bytes], tuple[int, int, int, int], Sequence[IntegrityError]]:
        """Store what a delivery has, and answer it. `only`: the numbers of its messages, from 0; None for all.

        Returns the answers, which change until the caller stores what is `waiting`, and the counts of `Answered`. A
        message whose first answer cannot be read is left without one, and its error is returned.
        """
        participant, parts = sender.participant, unpack(sender.content)
        chosen = range(len(parts)) if only is None else sorted(only)
        requests = {at for at in chosen if kind_of(parts[at]) in member_messages.KINDS}
        delivered = self._gateway.store(sender, without=requests | (set(range(len(parts))) - set(chosen)))
        if self._arrived is not None:
            self._arrived(_numbers(delivered))
        known, now_ns = self._known(delivered), read_ns(self._clock)
        made: list[bytes] = []
        damaged: list[IntegrityError] = []
        stored, duplicates, refused = 0, 0, len(delivered.errors)
        earlier = _Earlier(self._receiving)
        for number in chosen:
            part = parts[number]
            id = f"A{blake3(part).hexdigest()[:32]}"
            error = delivered.errors.get(number)
            if error is None and number in requests:
                waiting.store()  # answers with states from before it acts
                try:
                    made.append(self._requests.answer(part, sender, number=number, id=id, at_ns=now_ns))
                except MessageError as wrong:
                    error, refused = wrong, refused + 1
                except IntegrityError as damage:
                    damaged.append(damage)
            if error is not None:
                made.append(write(answers.refusal(part, error, id=id, at_ns=now_ns, house=self._house)))
            elif number not in requests:
                receipt, rows = delivered.places[number]
                message = read(part)
                outcomes = {
                    uetr: _outcome(receipt, row, known)
                    for uetr, row in zip(_uetrs(message.value.transactions), rows, strict=True)
                }
                answer = write(answers.statuses(message, outcomes, id=id, at_ns=now_ns, house=self._house))
                first = _first_message(participant, receipt, rows, known)
                try:
                    self._add_answer(made, answer, receipt, rows, first, part, earlier, waiting)
                except IntegrityError as damage:
                    damaged.append(damage)
                new = sum(bool(receipt.is_new[row]) for row in rows)
                stored, duplicates = stored + new, duplicates + len(rows) - new
                refused += sum(each.status == REJECTED for each in outcomes.values())
        return made, (stored, duplicates, refused, len(requests)), damaged

    def _add_answer(
        self, made: list[bytes], answer: bytes, receipt: Receipt, rows: Sequence[int], first: int, part: bytes,
        earlier: _Earlier, waiting: _Answers,
    ) -> None:  # fmt: skip
        """Add the first answer to a message with payments; if `answer` is the first, it waits to be stored.

        `first`: the message whose payments these all are, 0 without one. A message that has the id of another one is
        not stored, and has no answer of its own.
        """
        own, is_repeated = int(receipt.messages[rows[0]]), bool(receipt.is_repeated[rows[0]])
        before = own if own and is_repeated and earlier.has(own, part) else first
        if before and (before != own or is_repeated):
            answer = self._answer_of(before, answer, waiting)
        made.append(answer)
        if own and not is_repeated:
            waiting.add(own, made)

    def _answer_of(self, message: int, answer: bytes, waiting: _Answers) -> bytes:
        """Return the first answer to a message that came before; one that a crash left without is answered now.

        `answer`: the first one to a message of an earlier version, which did not store its place.
        """
        waiting.store()  # the message may be one of them
        for delivery, messages in self._receiving.unanswered(message=message).items():
            for error in self._finish(delivery, messages, waiting):
                raise error
        waiting.store()
        return self._receiving.answer(message, answer)

    def _known(self, delivered: Delivered) -> dict[int, Payment]:
        return self._payments.of_numbers(_numbers(delivered))


def _numbers(delivered: Delivered) -> list[int]:
    return [n for receipt in delivered.receipts for n in receipt.numbers[receipt.numbers > 0].tolist()]


def _uetrs(transactions: Sequence[Any]) -> list[str]:
    return [each.uetr if isinstance(each, ReturnedPayment) else each.ids.uetr for each in transactions]


def _outcome(receipt: Receipt, row: int, known: dict[int, Payment]) -> ProcessingStatus:
    number = int(receipt.numbers[row])
    if not number:
        return ProcessingStatus(REJECTED, receipt.reasons[row])
    found = known[number]
    return ProcessingStatus(
        STATUSES.get(found.state, WAITS), found.reason, settled_ns=found.booked_ns, clearing=str(number)
    )


class _Answers:
    """Answers that wait to be stored: many in one transaction. A crash loses them, and the next start makes them."""

    def __init__(self, receiving: Receiving) -> None:
        self._receiving, self._size = receiving, 0
        self._waiting: dict[int, tuple[list[bytes], int]] = {}

    def add(self, message: int, made: list[bytes]) -> None:
        """Add the last of the answers `made`; its place there gets the first answer to the message when it is stored.

        A message is added once.
        """
        self._waiting[message] = made, len(made) - 1
        self._size += len(made[-1])
        if len(self._waiting) == ANSWERS_MAX or self._size >= BYTES_MAX:
            self.store()

    def store(self) -> None:
        """Store all that wait."""
        if not self._waiting:
            return
        waiting, self._waiting, self._size = self._waiting, {}, 0
        firsts = self._receiving.store_answers({message: made[at] for message, (made, at) in waiting.items()})
        for message, (made, at) in waiting.items():
            made[at] = firsts[message]


class _Earlier:
    """What stored messages consist of. It keeps the messages of one delivery."""

    def __init__(self, receiving: Receiving) -> None:
        self._receiving, self._delivery = receiving, 0
        self._parts: frozenset[bytes] = frozenset()

    def has(self, message: int, part: bytes) -> bool:
        """Return whether the delivery of a stored message has these bytes."""
        delivery = self._receiving.place(message).delivery
        if delivery != self._delivery:
            self._delivery, self._parts = delivery, frozenset(unpacked(delivery, self._receiving.content(delivery)))
        return part in self._parts


def _first_message(participant: int, receipt: Receipt, rows: Sequence[int], known: dict[int, Payment]) -> int:
    """Return the stored message if all rows are duplicates of its payments, else 0."""
    if not all(receipt.numbers[row] and not receipt.is_new[row] for row in rows):
        return 0
    payments = [known[int(receipt.numbers[row])] for row in rows]
    found = {each.message if each.sender == participant else each.back_message for each in payments}
    return found.pop() if len(found) == 1 else 0
