"""Messages as files: each delivery of transfers is stored, and gets an answer. The extra `iso20022` is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from blake3 import blake3

from sycee.clearing.gateway import Gateway, pack, unpack
from sycee.clearing.instructions import Receipt
from sycee.clearing.payments import Payment, Payments
from sycee.clearing.receiving import Receiving
from sycee.clearing.tables import BOOKED, CANCELLED, REFUSED, RETURNED
from sycee.core.clock import Clock, read_ns
from sycee.iso20022 import answers
from sycee.iso20022.answers import Outcome
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import read, write

SETTLED: Final = "ACSC"
WAITS: Final = "PDNG"
REJECTED: Final = "RJCT"
CANCELED: Final = "CANC"
_STATUS: Final = {BOOKED: SETTLED, RETURNED: SETTLED, REFUSED: REJECTED, CANCELLED: CANCELED}


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a delivery, and its numbers: of payments stored now, of duplicates, and of what was refused.

    `refused` counts payments that the house refused or did not store, and messages that cannot be read.
    """

    answer: bytes
    stored: int
    duplicates: int
    refused: int


class Intake:
    """Takes deliveries of the house of one bank and answers them. `house`: its name in answers."""

    def __init__(self, gateway: Gateway, receiving: Receiving, payments: Payments, clock: Clock, house: str) -> None:
        self._gateway, self._receiving, self._payments, self._clock = gateway, receiving, payments, clock
        self._house = Institution(name=house)

    def take(self, participant: int, content: bytes, signature: bytes, *, who: int) -> Answered:
        """Store the payments of a delivery, and return its answer. Errors: `Gateway.deliver`.

        Each message is answered by a pacs.002 with the status of every payment, or refused with the place and the
        reason. A duplicate, by its business message id or its UETRs, gets the first answer. A delivery that
        `gateway.pack` made gets its answers packed, in the order of its messages.
        """
        delivered = self._gateway.deliver(participant, content, signature, who=who)
        receipt, now_ns, at = delivered.receipt, read_ns(self._clock), 0
        known = self._known(receipt)
        made, counts = [], [0, 0, len(delivered.errors)]
        for number, part in enumerate(unpack(content)):
            id = f"A{blake3(part).hexdigest()[:32]}"
            if (error := delivered.errors.get(number)) is not None:
                refusal = answers.refusal(part, error, id=id, at_ns=now_ns, house=self._house)
                made.append(write(refusal))
                continue
            assert receipt is not None, "a message without error has a receipt"
            message = read(part)
            rows = range(at, at + len(message.value.transactions))
            at = rows.stop
            outcomes = {
                each.ids.uetr: _outcome(receipt, row, known)
                for each, row in zip(message.value.transactions, rows, strict=True)
            }
            answer = write(answers.statuses(message, outcomes, id=id, at_ns=now_ns, house=self._house))
            stored = _message_of(participant, receipt, rows, known)
            made.append(self._receiving.answer(stored, answer) or answer if stored else answer)
            new = sum(bool(receipt.is_new[row]) for row in rows)
            refused = sum(each.status == REJECTED for each in outcomes.values())
            counts = [counts[0] + new, counts[1] + sum(not receipt.is_new[row] for row in rows), counts[2] + refused]
        return Answered(made[0] if len(made) == 1 else pack(made), *counts)

    def _known(self, receipt: Receipt | None) -> dict[int, Payment]:
        numbers = receipt.numbers[receipt.numbers > 0].tolist() if receipt is not None else []
        return self._payments.of_numbers(numbers)


def _outcome(receipt: Receipt, row: int, known: dict[int, Payment]) -> Outcome:
    number = int(receipt.numbers[row])
    if not number:
        return Outcome(REJECTED, receipt.reasons[row])
    found = known[number]
    return Outcome(_STATUS.get(found.state, WAITS), found.reason, settled_ns=found.booked_ns, clearing=str(number))


def _message_of(participant: int, receipt: Receipt, rows: Sequence[int], known: dict[int, Payment]) -> int:
    """Return the stored message whose answer these rows get; 0 for none.

    It is their own message, or the first one if all of them are duplicates of its payments.
    """
    payments = [known[number] for row in rows if (number := int(receipt.numbers[row]))]
    new = [known[int(receipt.numbers[row])] for row in rows if receipt.is_new[row]]
    found = {each.message if each.sender == participant else each.back_message for each in new or payments}
    is_whole = bool(new) or len(payments) == len(rows)
    return found.pop() if is_whole and len(found) == 1 else 0
