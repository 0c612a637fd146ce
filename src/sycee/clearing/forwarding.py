"""The content of messages that the house forwards, made of the messages from which they follow.

Each has one payment, the house as its sender in the header, and the references of the first message. The extra
`clearing` is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar

from sycee.clearing.house import Register
from sycee.clearing.inbox import CUSTOMER_TRANSFER, InboxMessage
from sycee.clearing.investigations import REQUEST, Investigations
from sycee.clearing.payments import Payment, Payments
from sycee.clearing.receiving import Receiving
from sycee.clearing.stored_messages import StoredMessages
from sycee.core import money
from sycee.core.errors import IntegrityError
from sycee.core.extras import extra

with extra("clearing"):
    from sycee.iso20022 import answers
from sycee.iso20022.bulk_credit_transfers import bank_code, institution_of
from sycee.iso20022.business_header import End, Header
from sycee.iso20022.cancellations import CancellationAnswer, CancellationRequest, CancelledPayment, Case, Resolution
from sycee.iso20022.credit_transfer_messages import CustomerTransfers
from sycee.iso20022.institutions import Actor, Institution
from sycee.iso20022.messages import Message, write

_T = TypeVar("_T", CancelledPayment, CancellationAnswer)
_STATUSES: Final = {"ACCR": "CNCL", "RJCR": "RJCR"}  # of an investigation, by that of its payment


class Forwarding:
    """Makes the messages that one house forwards. `house`: its name in them."""

    def __init__(
        self, register: Register, receiving: Receiving, payments: Payments, investigations: Investigations,
        house: Institution,
    ) -> None:  # fmt: skip
        self._register, self._stored, self._payments = register, StoredMessages(receiving), payments
        self._investigations, self._house = investigations, house

    @property
    def bytes_read(self) -> int:
        """Return the size of the stored messages that were read, each once for its neighbours."""
        return self._stored.bytes_read

    def content(self, each: InboxMessage) -> bytes:
        """Return the bytes of a message.

        Raises IntegrityError if the stored message is damaged, or is not about the payment.
        """
        paid = self._payments.of_numbers([each.payment]).get(each.payment)
        if paid is None:
            raise IntegrityError(f"payment {each.payment} is not stored")
        source = self._stored.message(each.source)
        codes = {one.participant: one.code for one in self._register.participants()}
        receiver = institution_of(codes[each.participant])
        if each.kind == CUSTOMER_TRANSFER:
            value: object = _transfer(source.value, paid, codes[paid.receiver])
        elif each.kind == REQUEST:
            value = self._request(source.value, paid, each, receiver)
        else:
            value = self._answer(source.value, paid, each, receiver)
        header = Header(
            sender=End(institution=self._house), receiver=End(institution=receiver), id=f"F{each.number}",
            message=each.kind, created=answers.moment(each.at_ns),
        )  # fmt: skip
        return write(Message(each.kind, value, header))

    def _request(
        self, value: CancellationRequest, paid: Payment, each: InboxMessage, receiver: Institution
    ) -> CancellationRequest:
        mine = _of_uetr(value.transactions, paid.uetr)
        return CancellationRequest(
            id=f"F{each.number}", sender=Actor(institution=self._house), receiver=Actor(institution=receiver),
            created=answers.moment(each.at_ns), case=_case(value), transactions=(mine,),
        )  # fmt: skip

    def _answer(self, value: Resolution, paid: Payment, each: InboxMessage, receiver: Institution) -> Resolution:
        mine = _of_uetr(value.transactions, paid.uetr)
        number = self._investigations.asked_of(each.source, each.payment)
        asked: CancellationRequest = self._stored.message(number).value
        return Resolution(
            id=f"F{each.number}", sender=Actor(institution=self._house), receiver=Actor(institution=receiver),
            created=answers.moment(each.at_ns), case=_case(asked), status=_STATUSES[mine.status],
            transactions=(replace(mine, case=None),),
        )  # fmt: skip


def _transfer(value: CustomerTransfers, paid: Payment, code: str) -> CustomerTransfers:
    """Return the transfer of a payment, which must be the one that was booked. `code`: of its receiver."""
    mine = next((one for one in value.transactions if one.ids.uetr == paid.uetr), None)
    receiver = (mine.receiver if mine else None) or value.receiver
    if (
        mine is None
        or receiver is None
        or (mine.amount.minor, money.currency(mine.amount.currency).numeric) != (paid.minor, paid.currency)
        or bank_code(receiver) != code
    ):
        raise IntegrityError(f"the stored message has no transfer that is payment {paid.number}, {paid.uetr}")
    total = value.total if len(value.transactions) == 1 else None
    own = replace(mine, ids=replace(mine.ids, clearing=str(paid.number)))
    return replace(value, total=total, transactions=(own,))


def _of_uetr(answers: Sequence[_T], uetr: str) -> _T:
    found = next((one for one in answers if one.uetr == uetr), None)
    if found is None:
        raise IntegrityError(f"the stored message does not name payment {uetr}")
    return found


def _case(value: CancellationRequest) -> Case:
    """Return the case that the request names, or a case with the request's id."""
    return value.case or Case(id=value.id, by=value.sender)
