"""The content of messages that the house passes on, made of the messages from which they follow.

Each has one payment, the house as its sender in the header, and the references of the first message. The extra
`iso20022` is needed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sycee.clearing.gateway import find_message, unpack
from sycee.clearing.house import Register
from sycee.clearing.inbox import CUSTOMER_TRANSFER, InboxMessage
from sycee.clearing.investigations import REQUEST, Investigations
from sycee.clearing.payments import Payment, Payments
from sycee.clearing.receiving import Receiving
from sycee.core.extras import extra

with extra("iso20022"):
    from sycee.iso20022 import answers
from sycee.iso20022.bulk_credit_transfers import institution_of
from sycee.iso20022.business_header import End, Header
from sycee.iso20022.cancellations import CancellationRequest, Matter, Resolution
from sycee.iso20022.credit_transfer_messages import CustomerTransfers
from sycee.iso20022.institutions import Actor, Institution
from sycee.iso20022.messages import Message, write

_STATUSES: Final = {"ACCR": "CNCL", "RJCR": "RJCR"}  # of an investigation, by that of its payment


class Forwarding:
    """Makes the messages that one house passes on. `house`: its name in them."""

    def __init__(
        self, register: Register, receiving: Receiving, payments: Payments, investigations: Investigations,
        house: Institution,
    ) -> None:  # fmt: skip
        self._register, self._receiving, self._payments = register, receiving, payments
        self._investigations, self._house = investigations, house

    def content(self, each: InboxMessage) -> bytes:
        """Return the bytes of a message."""
        paid = self._payments.of_numbers([each.payment])[each.payment]
        source = self._source(each.source)
        codes = {one.participant: one.code for one in self._register.participants()}
        receiver = institution_of(codes[each.participant])
        if each.kind == CUSTOMER_TRANSFER:
            value: object = _transfer(source.value, paid)
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
        (mine,) = [one for one in value.transactions if one.uetr == paid.uetr]
        return CancellationRequest(
            id=f"F{each.number}", sender=Actor(institution=self._house), receiver=Actor(institution=receiver),
            created=answers.moment(each.at_ns), matter=_matter(value), transactions=(mine,),
        )  # fmt: skip

    def _answer(self, value: Resolution, paid: Payment, each: InboxMessage, receiver: Institution) -> Resolution:
        (mine,) = [one for one in value.transactions if one.uetr == paid.uetr]
        asked: CancellationRequest = self._source(self._investigations.asked_of(each.source, each.payment)).value
        return Resolution(
            id=f"F{each.number}", sender=Actor(institution=self._house), receiver=Actor(institution=receiver),
            created=answers.moment(each.at_ns), matter=_matter(asked), status=_STATUSES[mine.status],
            transactions=(replace(mine, matter=None),),
        )  # fmt: skip

    def _source(self, message: int) -> Message:
        """Return a stored message."""
        business_id, kind, delivery = self._receiving.named(message)
        return find_message(unpack(self._receiving.content(delivery)), kind, business_id)


def _transfer(value: CustomerTransfers, paid: Payment) -> CustomerTransfers:
    (mine,) = [one for one in value.transactions if one.ids.uetr == paid.uetr]
    total = value.total if len(value.transactions) == 1 else None
    own = replace(mine, ids=replace(mine.ids, clearing=str(paid.number)))
    return replace(value, total=total, transactions=(own,))


def _matter(value: CancellationRequest) -> Matter:
    """Return the investigation of a request: as it names it, or else by its id."""
    return value.matter or Matter(id=value.id, by=value.sender)
