"""Messages and payments between banks, at the clearing house of the server's bank."""

from __future__ import annotations

import re
from typing import Final

from sycee.client.calls import Call, Members, Page, listed, value
from sycee.client.errors import ContradictsRequest
from sycee.client.exchange import Conversation, Request, Session
from sycee.client.values import ClearingMessage, ClearingPayment, DeliveredMessage

XML: Final = "application/xml"
COUNTS: Final = "sycee-payments"  # a header of the answer
_COUNTS: Final = re.compile(r"stored=([0-9]{1,9}), duplicates=([0-9]{1,9}), refused=([0-9]{1,9})")


def deliver_message(operator: int, content: bytes, signature: bytes) -> Call[DeliveredMessage]:
    """Deliver a participant's message of ISO 20022, and return the house's answer. The same message may be sent again.

    `operator`: its number. `signature`: 64 bytes, of its key over these bytes, as `sycee clearing sign` makes it.
    """

    def converse(_: Session) -> Conversation[DeliveredMessage]:
        query = {"signature": signature.hex()}
        response = yield Request("POST", _place(operator, "messages"), query, content=content, content_type=XML)
        counts = _COUNTS.fullmatch(response.headers.get(COUNTS, ""))
        if counts is None:
            raise ContradictsRequest(
                "the answer does not state its payments", hint="check the address: it must be that of a Sycee server"
            )
        return DeliveredMessage(response.content, *map(int, counts.groups()))

    return Call(converse)


def clearing_messages(operator: int, *, after: int = 0) -> Call[Page[ClearingMessage]]:
    """Return a participant's stored messages with the house's answers. `after`: number of the last known one."""
    return listed(_place(operator, "messages"), value(ClearingMessage), query=_after(after))


def clearing_payments(operator: int, *, state: str = "", after: int = 0) -> Call[Page[ClearingPayment]]:
    """Return payments that a participant sent or receives, in a state or all. `after`: number of the last known one."""
    query = _after(after) | ({"state": state} if state else {})
    return listed(_place(operator, "payments"), _payment, query=query)


def _payment(members: Members) -> ClearingPayment:
    renamed = {f"{name}_minor": members[name] for name in ("amount", "back_amount")}
    return value(ClearingPayment)({**members, **renamed})


def _after(after: int) -> dict[str, str]:
    return {"after": str(after)} if after else {}


def _place(operator: int, what: str) -> str:
    return f"/v1/operators/{operator}/clearing/{what}"
