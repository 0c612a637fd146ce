"""Messages of ISO 20022 between a participant and the clearing house: deliver one, and read what was stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import Field

from sycee.bank.bank import Bank
from sycee.clearing.payments import Payment
from sycee.clearing.receiving import DELIVER
from sycee.core import money
from sycee.core.errors import IntegrityError, NotFound, SyceeError
from sycee.core.limits import I64_MAX
from sycee.core.timestamps import exact_text
from sycee.server import paging
from sycee.server.access import is_staff
from sycee.server.observing import LOGGER
from sycee.server.operations import operation
from sycee.server.problems import Problem, not_found
from sycee.server.routes.common import Amount, Moment, Next, OperatorNumber, TheCaller, TheRuntime
from sycee.server.signing import Body

if TYPE_CHECKING:
    from sycee.iso20022.messages import Message

T = TypeVar("T")
router = APIRouter(prefix="/v1", tags=["clearing"])

XML: Final = "application/xml"
COUNTS: Final = "Sycee-Payments"  # a header of the answer: stored=1, duplicates=0, refused=0
INBOX_BYTES_MAX: Final = 4 << 20  # of the messages of one page, but for its first one
INBOX_READ_MAX: Final = 16 << 20  # of stored messages that a page reads, but for the last one: about two seconds
SIGNATURE: Final = r"^[0-9a-f]{128}$"

Signature = Annotated[
    str,
    Query(
        pattern=SIGNATURE,
        description="Of the participant's key over the body, in hexadecimal: docs/reference/clearing.md#receiving",
        examples=["0" * 128],
    ),
]
After = Annotated[int, Query(ge=0, le=I64_MAX, description="Number of the last row that the caller has, 0 for none")]
State = Literal["unmatched", "valid", "cleared", "queued", "decided", "booked", "refused", "cancelled", "returned"]


def _body(description: str, name: str, root: str) -> dict[str, Any]:
    """Return the description of a body that is a message."""
    example = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:{name}"><{root}>...</{root}></Document>'
    )
    schema = {"type": "string", "format": "binary", "description": description}
    return {"required": True, "content": {XML: {"schema": schema, "example": example}}}


_MESSAGE: Final = _body("One message of ISO 20022, as the sender signed it", "pacs.009.001.08", "FICdtTrf")
_STATEMENT: Final = _body("A camt.053, as the participant's system made it", "camt.053.001.08", "BkToCstmrStmt")

_ANSWER: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pacs.002.001.10"><FIToFIPmtStsRpt>...</FIToFIPmtStsRpt></Document>'
)


def _answer(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {XML: {"schema": {"type": "string", "format": "binary"}, "example": _ANSWER}},
        "headers": {
            COUNTS: {
                "description": "Payments stored now, stored before, and refused",
                "schema": {"type": "string"},
                "example": "stored=1, duplicates=0, refused=0",
            }
        },
    }


class StoredMessage(Body):
    """A message of a participant. `answer`: XML, the first answer of the house; null before it."""

    number: int
    business_id: str
    kind: str
    received: Moment
    answer: str | None


class StoredMessages(Body):
    """Messages in the order of their numbers."""

    rows: tuple[StoredMessage, ...]
    next: Next


class InboxMessage(Body):
    """A message that the house forwards to the participant. `content`: XML, about one payment.

    `problem`: null; or why `content` is null: the house's stored message is damaged.
    """

    number: int
    kind: str
    forwarded: Moment
    content: str | None
    problem: str | None


class InboxMessages(Body):
    """Messages in the order of their numbers."""

    rows: tuple[InboxMessage, ...]
    next: Next


class ClearingPayment(Body):
    """A payment that the participant sends or receives. `sender`, `receiver`: their codes, such as BICs.

    `receiver` is null if the message named no participant. `reason`: of a refusal or a cancellation, a code of
    ISO 20022. `back_amount`: of payment against payment, what the receiver pays at the same time.
    """

    number: int
    uetr: Annotated[str, Field(examples=["5e11c0de-0001-4000-8000-000000000001"])]
    sender: str
    receiver: str | None
    amount: Amount
    currency: str
    back_amount: Amount | None
    back_currency: str | None
    priority: int
    state: State
    reason: str
    received: Moment
    booked: Moment | None


class ClearingPayments(Body):
    """Payments in the order of their numbers, as they are now."""

    rows: tuple[ClearingPayment, ...]
    next: Next


class StatementBreak(Body):
    """A difference between a statement and what the house booked. `cause`: proposed, for a person to decide.

    `reference`: the first one of either side, a UETR if there is one; "" without any. `difference`: how much more was
    stated than booked. Debits are below zero.
    """

    cause: Annotated[str, Field(examples=["amount differs"])]
    reference: Annotated[str, Field(examples=["5e11c0de-0001-4000-8000-000000000001"])]
    stated: Amount
    booked: Amount
    difference: Amount


class ComparedStatement(Body):
    """What came of one statement. `agreed`: its entries without a break. `pending`: those that are not booked there."""

    id: Annotated[str, Field(examples=["2026-11-02-1"])]
    currency: str
    agreed: int
    pending: int
    breaks: tuple[StatementBreak, ...]


class ComparedStatements(Body):
    """The statements of a message, in its order."""

    statements: tuple[ComparedStatement, ...]


class XmlResponse(Response):
    """A message."""

    media_type = XML


@operation(
    router, "POST", "/operators/{operator}/clearing/messages", access=DELIVER, status_code=201,
    response_class=XmlResponse, openapi_extra={"requestBody": _MESSAGE}, summary="Deliver a message to the house",
    responses={
        201: _answer("The house's answer, a message: payments were stored"),
        200: _answer("The house's answer, a message: everything was there before, or was refused"),
    },
)  # fmt: skip
async def deliver_clearing_message(
    request: Request, operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime, signature: Signature
) -> Response:
    """Store the payments of a participant's message, and return the house's answer: a message of ISO 20022.

    A payment or a message that the house refuses is answered as well, with its reason. A message that is sent again,
    by its business message id or its UETRs, gets the first answer. A body that is no message gets a problem, whose
    `code` is a reason of ISO 20022.
    """
    bank, content = runtime.bank, await _message(request)

    def work() -> Response:
        house = house_of(bank, caller, operator)
        _require_message(content)
        answered = bank.clearing.intake(house).take(operator, content, bytes.fromhex(signature), who=caller.person)
        counts = f"stored={answered.stored}, duplicates={answered.duplicates}, refused={answered.refused}"
        return XmlResponse(answered.answer, 201 if answered.stored else 200, {COUNTS: counts})

    return await runtime.run(work)


@operation(
    router, "POST", "/operators/{operator}/clearing/reconciliations", access=DELIVER,
    response_model=ComparedStatements, openapi_extra={"requestBody": _STATEMENT},
    summary="Compare a statement with positions",
)  # fmt: skip
async def compare_clearing_statement(
    request: Request, operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime
) -> dict[str, Any]:
    """Compare a participant's statement of its account with the house (camt.053) with what the house booked.

    The currency of each statement names the position. A break has a proposed cause. Nothing is stored, and no signature
    is needed. A body that is no message gets a problem, whose `code` is a reason of ISO 20022.
    """
    bank, content = runtime.bank, await _message(request)

    def work() -> dict[str, Any]:
        from sycee.clearing.received_statements import currency_of

        house_of(bank, caller, operator)
        found = bank.clearing.received_statements().compare(operator, _read(content))
        rows = [
            {
                "id": statement.id,
                "currency": currency_of(statement).code,
                "agreed": made.agreed,
                "pending": made.pending,
                "breaks": [
                    {
                        "cause": each.cause.value,
                        "reference": each.reference,
                        "stated": str(each.stated_minor),
                        "booked": str(each.booked_minor),
                        "difference": str(each.minor),
                    }
                    for each in made.breaks
                ],
            }
            for statement, made in found
        ]
        return {"statements": rows}

    return await runtime.run(work)


@operation(
    router, "GET", "/operators/{operator}/clearing/messages", access=DELIVER, response_model=StoredMessages,
    summary="List messages with their answers",
)  # fmt: skip
async def list_clearing_messages(
    operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime, after: After = 0, cursor: paging.Cursor = "",
    limit: paging.Limit = paging.ROWS,
) -> dict[str, Any]:  # fmt: skip
    """Return the stored messages of a participant after a number, each with its first answer."""
    bank = runtime.bank

    def work() -> dict[str, Any]:
        house_of(bank, caller, operator)
        found, has_more = bank.clearing.messages.page(operator, after=_place(cursor, after), most=limit)
        rows = [
            {
                "number": each.number,
                "business_id": each.business_id,
                "kind": each.kind,
                "received": exact_text(each.at_ns),
                "answer": None if each.answer is None else each.answer.decode(),
            }
            for each in found
        ]
        return paging.page(rows, (found[-1].number,) if has_more else None)

    return await runtime.run(work)


@operation(
    router, "GET", "/operators/{operator}/clearing/inbox", access=DELIVER, response_model=InboxMessages,
    summary="List messages of other participants",
)  # fmt: skip
async def list_clearing_inbox(
    operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime, after: After = 0, cursor: paging.Cursor = "",
    limit: paging.Limit = paging.ROWS,
) -> dict[str, Any]:  # fmt: skip
    """Return what the house forwards to a participant, after a number.

    A message that cannot be made, because what the house stored is damaged, has a `problem` and no `content`.
    """
    bank = runtime.bank

    def work() -> dict[str, Any]:
        forwarding = bank.clearing.forwarding(house_of(bank, caller, operator))
        found = bank.clearing.inbox.page(operator, after=_place(cursor, after), most=limit + 1)
        rows: list[dict[str, Any]] = []
        size = source = 0
        for each in found[:limit]:
            if forwarding.bytes_read > INBOX_READ_MAX and each.source != source:
                break
            source = each.source
            content = problem = None
            try:
                content = forwarding.content(each).decode()
            except IntegrityError as error:
                problem = f"inbox message {each.number} cannot be made: {error.message}"
            size += len(content or "")
            if rows and size > INBOX_BYTES_MAX:
                break
            row = {"number": each.number, "kind": each.kind, "forwarded": exact_text(each.at_ns)}
            rows.append(row | {"content": content, "problem": problem})
        return paging.page(rows, (int(rows[-1]["number"]),) if len(rows) < len(found) else None)

    return await runtime.run(work)


@operation(
    router, "GET", "/operators/{operator}/clearing/payments", access=DELIVER, response_model=ClearingPayments,
    summary="List payments between banks",
)  # fmt: skip
async def list_clearing_payments(
    operator: OperatorNumber, caller: TheCaller, runtime: TheRuntime, after: After = 0,
    state: Annotated[State | None, Query(description="Payments in this state alone")] = None,
    cursor: paging.Cursor = "", limit: paging.Limit = paging.ROWS,
) -> dict[str, Any]:  # fmt: skip
    """Return the payments that a participant sent or receives, after a number, as they are now."""
    bank = runtime.bank

    def work() -> dict[str, Any]:
        house_of(bank, caller, operator)
        found = bank.clearing.payments.page(
            state=state or "", participant=operator, after=_place(cursor, after), most=limit + 1
        )
        codes = {each.participant: each.code for each in bank.clearing.register.participants()}
        rows = [payment_row(each, codes) for each in found[:limit]]
        return paging.page(rows, (found[limit - 1].number,) if len(found) > limit else None)

    return await runtime.run(work)


def house_of(bank: Bank, caller: TheCaller, operator: int) -> str:
    """Return the house's name. Raises the problem `not-found` unless the caller works for this participant."""
    if not is_staff(bank, caller, operator):
        raise not_found("participant of the clearing house")
    try:
        bank.clearing.register.participant(operator)
    except NotFound as error:
        raise not_found("participant of the clearing house") from error
    return _house_name(bank)


def finish_messages(bank: Bank) -> None:
    """Answer the messages whose answers a crash lost, and do what they ask. Damaged ones are logged, and left."""
    if bank.clearing.receiving.unanswered():
        _, errors = bank.clearing.intake(_house_name(bank)).finish()
        for error in errors:
            LOGGER.error("messages are not answered", extra={"sycee": {"problem": error.message}})


def not_settled(error: SyceeError) -> None:
    """Log why payments that arrived were not settled: they are queued, and the house's next round decides on them."""
    LOGGER.error("payments that arrived are queued", extra={"sycee": {"problem": error.message}})


def _house_name(bank: Bank) -> str:
    house = bank.institutions.of_operator(bank.clearing.register.house().operator)
    assert house is not None, "who receives messages has a house, and the house is an institution"
    return house.name


async def _message(request: Request) -> bytes:
    """Return the body of a request, one message. Raises a problem for no body."""
    content = await request.body()
    if not content:
        raise Problem("invalid-request", "the body is empty", hint=f"send one message as {XML}")
    return content


def _require_message(content: bytes) -> None:
    """Raise a problem for content that is no message of ISO 20022. What is wrong within one, the house answers."""
    from sycee.iso20022 import reading

    _as_problem(reading.read, content)


def _read(content: bytes) -> Message:
    """Return the message of a body. Raises a problem for content that is none, or has an error."""
    from sycee.iso20022 import messages

    return _as_problem(messages.read, content)


def _as_problem(read: Callable[[bytes, str], T], content: bytes) -> T:
    from sycee.iso20022.reading import MessageError

    try:
        return read(content, "the body")
    except MessageError as error:
        raise Problem("invalid-request", error.message, hint=error.hint, code=error.reason) from error


def _place(cursor: str, after: int) -> int:
    """Return the number after which a page begins."""
    (number,) = paging.decode(cursor, int) or (after,)
    return int(number)


def payment_row(each: Payment, codes: Mapping[int, str]) -> dict[str, Any]:
    """Return the members of a payment. `codes`: of participants, by number."""
    return {
        "number": each.number,
        "uetr": each.uetr,
        "sender": codes[each.sender],
        "receiver": codes.get(each.receiver),
        "amount": str(each.minor),
        "currency": money.currency_code(each.currency),
        "back_amount": str(each.back_minor) if each.back_minor else None,
        "back_currency": money.currency_code(each.back_currency) if each.back_minor else None,
        "priority": each.priority,
        "state": each.state,
        "reason": each.reason,
        "received": exact_text(each.at_ns),
        "booked": exact_text(each.booked_ns) if each.booked_ns else None,
    }
