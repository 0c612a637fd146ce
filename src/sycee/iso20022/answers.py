"""Answers of a clearing house: what became of a message, as the message that says so.

Pure functions: the service gives outcomes and ids, and sends the bytes. Payments and returns are answered by pacs.002,
cancellations by camt.029, liquidity transfers by camt.025, and content that cannot be read by admi.002.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from sycee.core.errors import UsageError
from sycee.core.terminal_text import printable
from sycee.iso20022 import forms
from sycee.iso20022.administration import Acknowledgement, Acknowledgements, Rejection
from sycee.iso20022.bulk_credit_transfers import TransferMessage
from sycee.iso20022.business_header import End, Header, RelatedHeader
from sycee.iso20022.cancellations import CancellationAnswer, CancellationRequest, Case, Resolution
from sycee.iso20022.codec import text_of
from sycee.iso20022.credit_transfer_messages import CustomerTransfers, InstitutionTransfers
from sycee.iso20022.institutions import Actor, Institution, Original, StatusReason
from sycee.iso20022.liquidity import Handling, LiquidityTransfer, Receipt, ReceiptDetails
from sycee.iso20022.messages import KINDS, Message, header_in
from sycee.iso20022.reading import MessageError, local_name, message_name, tree
from sycee.iso20022.returns import Returns
from sycee.iso20022.schemas import NAMESPACE
from sycee.iso20022.statuses import GroupStatus, PaymentStatus, StatusReport

STATUS: Final = "pacs.002.001.10"
RECEIPT: Final = "camt.025.001.08"
LIQUIDITY: Final = "camt.050.001.07"
RESOLUTION: Final = "camt.029.001.09"
REJECTION: Final = "admi.002.001.01"
ACKNOWLEDGEMENT: Final = "admi.007.001.01"
REJECTED: Final = "RJCT"
NOT_PROVIDED: Final = "NOTPROVIDED"
_LINE_MAX: Final = 105  # characters of a line of information
_ID: Final = re.compile(rb"<(?:[A-Za-z0-9]+:)?(BizMsgIdr|MsgId)>([^<]{1,35})<")
_SEARCHED_MAX: Final = 1 << 16  # bytes in which an id is looked for, if the content is not XML


@dataclass(frozen=True, slots=True)
class ProcessingStatus:
    """What became of a payment.

    `status` is of ExternalPaymentTransactionStatus1Code, such as ACSC (settled), PDNG (queued), RJCT or CANC; of a
    cancellation it is ACCR, RJCR or PDCR. `reason` is a code, and `words` explain it. `settled_ns` is 0 if it is not.
    """

    status: str
    reason: str = ""
    words: str = ""
    settled_ns: int = 0
    clearing: str = ""  # the reference that the house gave the payment


@dataclass(frozen=True, slots=True)
class Origin:
    """What can be known of content that was refused: "" where nothing was found."""

    name: str = ""
    message_id: str = ""
    business_id: str = ""
    created: str = ""
    header: Header | None = None


def moment(at_ns: int) -> str:
    """Return nanoseconds since 1970-01-01T00:00Z as the text of a time in UTC, to the millisecond."""
    seconds, rest = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03}Z"


def information(words: str) -> tuple[str, ...]:
    """Return a text as lines of information of a reason."""
    return tuple(textwrap.wrap(printable(words).strip(), _LINE_MAX))


def header_of(answer: str, to: Header | None, *, id: str, at_ns: int, house: Institution) -> Header | None:
    """Return the header of an `answer` to a message with header `to`; None if it has none."""
    if to is None:
        return None
    related = RelatedHeader(
        sender=to.sender, receiver=to.receiver, id=to.id, message=to.message, service=to.service, created=to.created
    )
    return Header(
        sender=End(institution=house),
        receiver=to.sender,
        id=id,
        message=answer,
        created=moment(at_ns),
        related=(related,),
    )


def statuses(
    message: Message, outcomes: Mapping[str, ProcessingStatus], *, id: str, at_ns: int, house: Institution
) -> Message:
    """Return the pacs.002 about the transactions of a pacs.008, pacs.009 or pacs.004 that have an outcome.

    `outcomes` are by UETR. Raise UsageError for another message, and if there is no outcome.
    """
    value = message.value
    if isinstance(value, CustomerTransfers | InstitutionTransfers):
        parts = [(each.ids.instruction, each.ids.end_to_end, each.ids.transaction, each.ids.uetr)
                 for each in value.transactions]  # fmt: skip
    elif isinstance(value, Returns):
        parts = [(each.instruction, each.end_to_end, each.transaction, each.uetr) for each in value.transactions]
    else:
        raise UsageError(f"{message.name} is not answered by a pacs.002", hint="a pacs.008, pacs.009 or pacs.004")
    original = Original(id=value.id, name=message.name, created=value.created)
    payments = tuple(_status(original, part, outcomes[part[3]]) for part in parts if part[3] in outcomes)
    if not payments:
        raise UsageError("no transaction of the message has an outcome", hint="outcomes are by UETR")
    return _like(message, _report(message.header, payments=payments, id=id, at_ns=at_ns, house=house))


def statuses_of_rows(
    message: TransferMessage, outcomes: Sequence[ProcessingStatus], *, id: str, at_ns: int, house: Institution
) -> bytes:
    """Return the bytes of the pacs.002 about all rows of a pacs.009 or pacs.008, in their order, without an envelope.

    The bytes are those of `write(statuses(...))` for the same message without a header; they are not read again.
    """
    original = text_of(Original(id=message.message_id, name=message.name, created=message.created))
    original = f"<OrgnlGrpInf>{original}</OrgnlGrpInf>"
    body = _report(None, payments=(), id=id, at_ns=at_ns, house=house).value
    parts = [text_of(body)]
    tails: dict[ProcessingStatus, str] = {}
    for row, outcome in zip(message.rows, outcomes, strict=True):
        tail = tails.get(outcome)
        if tail is None:
            tail = tails[outcome] = _tail(outcome)
        parts.append(
            f"<TxInfAndSts>{original}"
            f"{_element('OrgnlInstrId', row.instruction)}"
            f"{_element('OrgnlEndToEndId', row.end_to_end)}"
            f"{_element('OrgnlTxId', row.transaction)}"
            f"<OrgnlUETR>{row.uetr}</OrgnlUETR>{tail}</TxInfAndSts>"
        )
    root = KINDS[STATUS].root
    text = "".join(parts)
    document = f'<Document xmlns="{NAMESPACE}{STATUS}"><{root}>{text}</{root}></Document>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{document}\n'.encode()


def refusal(content: bytes, error: MessageError, *, id: str, at_ns: int, house: Institution) -> Message:
    """Return the answer to content that `messages.read` refused.

    A payment or return whose id can be read gets a pacs.002 with the status RJCT for the whole message; a liquidity
    transfer gets a camt.025; everything else an admi.002. Each has the reason, the place and the words of the error.
    """
    origin = origin_of(content)
    words = f"{error.path}: {error.problem}" if error.path else error.problem
    words = f"{words}; {error.hint}" if error.hint else words
    reason = StatusReason(code=error.reason, information=information(words))
    if origin.message_id and origin.name in _ANSWERED_BY_STATUS:
        group = GroupStatus(
            id=origin.message_id, name=origin.name, created=origin.created, status=REJECTED, reasons=(reason,)
        )
        return _report(origin.header, groups=(group,), id=id, at_ns=at_ns, house=house)
    if origin.message_id and origin.name == LIQUIDITY:
        details = ReceiptDetails(
            original=origin.message_id, original_name=origin.name, handling=(Handling(status="REJT", reason=reason),)
        )
        return _receipt(origin.header, details, id=id, at_ns=at_ns, house=house)
    made = Rejection(
        original=origin.business_id or origin.message_id or NOT_PROVIDED,
        reason=error.reason,
        at=moment(at_ns),
        place=f"line {error.line}, {error.path}"[:350] if error.path else f"line {error.line}",
        description=" ".join(information(words))[:350],
    )
    return Message(REJECTION, made, header_of(REJECTION, origin.header, id=id, at_ns=at_ns, house=house))


def receipt(message: Message, outcome: ProcessingStatus, *, id: str, at_ns: int, house: Institution) -> Message:
    """Return the camt.025 about a camt.050. `status` is COMP, PDNG or REJT."""
    value = message.value
    if not isinstance(value, LiquidityTransfer):
        raise UsageError(f"{message.name} is not answered by a camt.025", hint="a camt.050")
    handling = Handling(status=outcome.status, reason=next(iter(_reasons(outcome)), None))
    details = ReceiptDetails(original=value.id, original_name=message.name, uetr=value.uetr, handling=(handling,))
    return _like(message, _receipt(message.header, details, id=id, at_ns=at_ns, house=house))


def resolution(
    message: Message, outcomes: Mapping[str, ProcessingStatus], *, id: str, at_ns: int, house: Institution
) -> Message:
    """Return the camt.029 about a camt.056: `outcomes` of all its transactions by UETR, each ACCR, RJCR or PDCR."""
    value = message.value
    if not isinstance(value, CancellationRequest):
        raise UsageError(f"{message.name} is not answered by a camt.029", hint="a camt.056")
    answers = []
    for each in value.transactions:
        outcome = outcomes[each.uetr]
        answers.append(
            CancellationAnswer(
                original=each.original,
                instruction=each.instruction,
                end_to_end=each.end_to_end,
                transaction=each.transaction,
                uetr=each.uetr,
                status=outcome.status,
                reasons=_reasons(outcome),
            )
        )
    found = {each.status for each in answers}
    status = {"ACCR": "CNCL", "RJCR": "RJCR"}.get(found.pop(), "PDCR") if len(found) == 1 else "PDCR"
    actor = Actor(institution=house)
    made = Resolution(
        id=id,
        sender=actor,
        receiver=value.sender,
        created=moment(at_ns),
        case=Case(id=value.case.id, by=value.case.by) if value.case else None,
        status=status,
        transactions=tuple(answers),
    )
    header = header_of(RESOLUTION, message.header, id=id, at_ns=at_ns, house=house)
    return Message(RESOLUTION, made, header, message.header_name)


def acknowledgement(
    message: Message, status: str, *, id: str, at_ns: int, house: Institution, words: str = ""
) -> Message:
    """Return the admi.007 that a message was received. `status` is a code of the house: 1 to 4 capitals and digits."""
    report = Acknowledgement(
        original=message.header.id if message.header else getattr(message.value, "id", NOT_PROVIDED),
        original_name=message.name,
        status=status,
        at=moment(at_ns),
        description="".join(textwrap.wrap(printable(words), 140)[:1]),
    )
    made = Acknowledgements(id=id, created=moment(at_ns), reports=(report,))
    header = header_of(ACKNOWLEDGEMENT, message.header, id=id, at_ns=at_ns, house=house)
    return Message(ACKNOWLEDGEMENT, made, header, message.header_name)


def origin_of(content: bytes) -> Origin:
    """Return what can be known of content, even if it is not a correct message. Never raise."""
    try:
        root = tree(content, "")
    except MessageError:
        found = dict(reversed(_ID.findall(content[:_SEARCHED_MAX])))
        ids = {key: _id(found.get(name, b"").decode("utf-8", "replace")) for key, name in _NAMES.items()}
        return Origin(message_id=ids["message_id"], business_id=ids["business_id"])
    document = next((each for each in root.iter("{*}Document")), None)
    if document is None:
        return Origin()
    try:
        name = message_name(document, "")
    except MessageError:
        name = ""
    header = _header(root)
    return Origin(
        name,
        _id(_first(document, "MsgId")),
        header.id if header else _id(_first(root, "BizMsgIdr")),
        _text(_first(document, "CreDtTm"), forms.MOMENT),
        header,
    )


_NAMES: Final = {"message_id": b"MsgId", "business_id": b"BizMsgIdr"}
_ANSWERED_BY_STATUS: Final = tuple(
    each.name for each in KINDS.values() if each.of in (CustomerTransfers, InstitutionTransfers, Returns)
)


def _header(root: Any) -> Header | None:
    """Return the header of an envelope if it is correct by itself."""
    node = next((each for each in root if isinstance(each.tag, str) and local_name(each) == "AppHdr"), None)
    try:
        return None if node is None else header_in(node, "")
    except MessageError:
        return None


def _first(node: Any, name: str) -> str:
    found = next(node.iter(f"{{*}}{name}"), None)
    return "" if found is None else found.text or ""


def _id(text: str) -> str:
    """Return an id that an answer may repeat; "" for another text. Content that is no XML may have any characters."""
    return _text(text.strip(), forms.TEXT_35) if printable(text) == text else ""


def _text(text: str, form: forms.Form) -> str:
    return "" if form.problem(text) else text


def _status(original: Original, part: tuple[str, str, str, str], outcome: ProcessingStatus) -> PaymentStatus:
    instruction, end_to_end, transaction, uetr = part
    return PaymentStatus(
        original=original,
        instruction=instruction,
        end_to_end=end_to_end,
        transaction=transaction,
        uetr=uetr,
        status=outcome.status,
        reasons=_reasons(outcome),
        settled=moment(outcome.settled_ns) if outcome.settled_ns else "",
        clearing=outcome.clearing,
    )


def _tail(outcome: ProcessingStatus) -> str:
    """Return the elements of a status after the references, which many payments share."""
    whole = text_of(_status(Original(id="-", name="-"), ("", "", "", ""), outcome))
    return whole.partition("</OrgnlGrpInf>")[2]


def _element(name: str, text: str) -> str:
    return f"<{name}>{escape(text)}</{name}>" if text else ""


def _report(
    to: Header | None,
    *,
    id: str,
    at_ns: int,
    house: Institution,
    payments: Iterable[PaymentStatus] = (),
    groups: Iterable[GroupStatus] = (),
) -> Message:
    made = StatusReport(id=id, created=moment(at_ns), sender=house, groups=tuple(groups), payments=tuple(payments))
    return Message(STATUS, made, header_of(STATUS, to, id=id, at_ns=at_ns, house=house))


def _like(message: Message, answer: Message) -> Message:
    """Return an answer with the version of header that its message has."""
    return replace(answer, header_name=message.header_name)


def _reasons(outcome: ProcessingStatus) -> tuple[StatusReason, ...]:
    if not outcome.reason and not outcome.words:
        return ()
    return (StatusReason(code=outcome.reason, information=information(outcome.words)),)


def _receipt(to: Header | None, details: ReceiptDetails, *, id: str, at_ns: int, house: Institution) -> Message:
    made = Receipt(id=id, created=moment(at_ns), details=(details,))
    return Message(RECEIPT, made, header_of(RECEIPT, to, id=id, at_ns=at_ns, house=house))
