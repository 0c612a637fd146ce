"""Messages and payments between banks, at the clearing house of the server's bank."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

from sycee.client.calls import (
    JSON,
    Call,
    Members,
    Page,
    Value,
    action,
    listed,
    made,
    place,
    read,
    rows,
    value,
)
from sycee.client.errors import ContradictsRequest
from sycee.client.exchange import Conversation, Request, Session
from sycee.client.operations.arguments import name_of
from sycee.client.values import (
    ClearingMessage,
    ClearingParticipant,
    ClearingPayment,
    ComparedStatement,
    CorridorRow,
    DeliveredMessage,
    InboxMessage,
    Proposed,
    QuoteRow,
)

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


def compare_statement(operator: int, content: bytes) -> Call[Sequence[ComparedStatement]]:
    """Compare a camt.053 with a participant's positions: one value for each statement, with its breaks.

    `operator`: its number. Nothing is stored.
    """

    def converse(_: Session) -> Conversation[Sequence[ComparedStatement]]:
        response = yield Request("POST", _place(operator, "reconciliations"), {}, content=content, content_type=XML)
        return made(response, lambda members: tuple(_statement(each) for each in members["statements"]))

    return Call(converse)


def clearing_messages(operator: int, *, after: int = 0) -> Call[Page[ClearingMessage]]:
    """Return a participant's stored messages with the house's answers. `after`: number of the last known one."""
    return listed(_place(operator, "messages"), value(ClearingMessage), query=_after(after))


def clearing_inbox(operator: int, *, after: int = 0) -> Call[Page[InboxMessage]]:
    """Return what the house forwards to a participant. `after`: number of the last known message."""
    return listed(_place(operator, "inbox"), value(InboxMessage), query=_after(after))


def clearing_payments(operator: int, *, state: str = "", after: int = 0) -> Call[Page[ClearingPayment]]:
    """Return payments that a participant sent or receives, in a state or all. `after`: number of the last known one."""
    query = _after(after) | ({"state": state} if state else {})
    return listed(_place(operator, "payments"), _payment, query=query)


def clearing_participant(operator: int) -> Call[ClearingParticipant]:
    """Return a participant's code, by which quotes and acceptances name it, and its currencies."""
    return read(_place(operator, "participant"), value(ClearingParticipant, participant=operator))


def corridors(operator: int) -> Call[Sequence[CorridorRow]]:
    """Return currency pairs, maximum amounts and validity of a participant's quotes."""
    return rows(_place(operator, "corridors"), _corridor)


def propose_corridor(
    operator: int, takes: str, gives: str, *, most_minor: int, valid_s: int, id: int = 0
) -> Call[Proposed]:
    """Propose maximum amount and validity of a participant's quotes for a currency pair; 0 ends it.

    An officer of each currency signs. `most_minor`: of one quote, in `takes`. `valid_s`: the longest validity of a
    quote, in seconds.
    """
    body = {"takes": takes, "gives": gives, "most": str(most_minor), "valid_s": valid_s}
    return action(_place(operator, "corridors"), body, value(Proposed), id=id)


def quotes(operator: int) -> Call[Sequence[QuoteRow]]:
    """Return the quotes of all participants that a participant may accept now."""
    return rows(_place(operator, "quotes"), _quote)


def quote(operator: int, id: int | str) -> Call[QuoteRow]:
    """Return a quote, also one that is expired."""
    name = name_of(id)
    return read(_place(operator, f"quotes/{place(name)}"), lambda members: _quote(members, id=name))


def give_quote(operator: int, content: bytes, signature: bytes) -> Call[QuoteRow]:
    """Give a participant's quote, and return it as stored. The same quote may be sent again.

    `content`: `sycee.clearing.quotes.Quote.content()`. `signature`: 64 bytes, of its key over these bytes.
    """
    return _signed(_place(operator, "quotes"), content, signature, _quote)


def accept_quote(operator: int, content: bytes, signature: bytes) -> Call[ClearingPayment]:
    """Accept a quote, and return the payment against payment. The same acceptance may be sent again.

    `content`: `sycee.clearing.quotes.Acceptance.content()`. `signature`: 64 bytes, of its key over these bytes.
    """
    return _signed(_place(operator, "acceptances"), content, signature, _payment)


def _signed(path: str, content: bytes, signature: bytes, make: Callable[[Members], Value]) -> Call[Value]:
    def converse(_: Session) -> Conversation[Value]:
        query = {"signature": signature.hex()}
        response = yield Request("POST", path, query, content=content, content_type=JSON)
        return made(response, make)

    return Call(converse)


def _corridor(members: Members) -> CorridorRow:
    return value(CorridorRow)({**members, "most_minor": members["most"]})


def _quote(members: Members, **expected: object) -> QuoteRow:
    rate = Fraction(int(members["rate"]["numerator"]), int(members["rate"]["denominator"]))
    amounts = {f"{name}_minor": members[name] for name in ("least", "most", "left")}
    return value(QuoteRow, **expected)({**members, **amounts, "rate": rate})


def _payment(members: Members) -> ClearingPayment:
    renamed = {f"{name}_minor": members[name] for name in ("amount", "back_amount")}
    return value(ClearingPayment)({**members, **renamed})


def _statement(members: Members) -> ComparedStatement:
    names = ("stated", "booked", "difference")
    breaks = [{**each, **{f"{name}_minor": each[name] for name in names}} for each in members["breaks"]]
    return value(ComparedStatement)({**members, "breaks": breaks})


def _after(after: int) -> dict[str, str]:
    return {"after": str(after)} if after else {}


def _place(operator: int, what: str) -> str:
    return f"/v1/operators/{operator}/clearing/{what}"
