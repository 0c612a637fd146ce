"""Payments as messages of ISO 20022: pacs.009, pacs.008 and pacs.004 in, pacs.002 out. The extra `clearing` is needed.

A delivery has one message or thousands: `pack` joins them, and the participant signs all bytes once.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np

from sycee.clearing import chains, reasons, returns
from sycee.clearing.chains import Chain
from sycee.clearing.house import Register
from sycee.clearing.instructions import NORMAL, URGENT, Instructions, Receipt, uetr_bytes
from sycee.clearing.payments import Payment, Payments
from sycee.clearing.permits import Permits
from sycee.clearing.receiving import Delivery, Receiving
from sycee.clearing.tables import BOOKED, OPEN, RETURNED
from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.extras import extra

with extra("clearing"):
    from sycee.iso20022 import answers
from sycee.iso20022.amounts import minor_units
from sycee.iso20022.bulk_credit_transfers import (
    CUSTOMER_NAME,
    PAIR,
    URGENCIES,
    TransferMessage,
    TransferRow,
    bank_code,
    institution_of,
    read_credit_transfers,
)
from sycee.iso20022.credit_transfer_messages import ADVICE
from sycee.iso20022.forms import CONTENT
from sycee.iso20022.institutions import StatusReason
from sycee.iso20022.message_columns import MessageColumns, columns_of_messages
from sycee.iso20022.messages import KINDS, Message, read, write
from sycee.iso20022.reading import MessageError
from sycee.iso20022.reading_ahead import ReadingAhead
from sycee.iso20022.returns import Returns
from sycee.iso20022.statuses import PaymentStatus, StatusReport

TRANSFER: Final = "pacs.009.001.08"
REPORT: Final = "pacs.002.001.10"
REPORTED_MAX: Final = 10_000  # payments of one report
AHEAD_MAX: Final = 8  # deliveries that are read and compressed before their turn
ASKED_MIN: Final = 50_000  # payments about which compliance is asked at once, while further deliveries follow
SETTLED: Final = "ACSC"  # AcceptedSettlementCompletedDebtorAccount
REJECTED: Final = "RJCT"
UNKNOWN: Final = -1  # the number of a returned payment that is not there
NOT_SUPPORTED: Final = "AG03"  # TransactionNotSupported
_PRIORITIES: Final = {"URGT": URGENT, "HIGH": (URGENT + NORMAL) // 2, "NORM": NORMAL}
_MAGIC: Final = b"sycee.messages.v1\0"
_LENGTH: Final = struct.Struct("<I")
_DOCUMENT: Final = re.compile(rb'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:([a-z]{4}(?:\.[0-9]{2,3}){3})"')
_SEARCHED_MAX: Final = 1 << 13  # bytes before the document: its header
_PAIR: Final = re.compile(
    rf"{PAIR}([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})/([A-Z]{{3}})([0-9]{{1,18}}(?:\.[0-9]{{1,5}})?)"
)
_PAIR_FORM: Final = f"{PAIR}UETR/CURRENCYAMOUNT"
_PAIR_EXAMPLE: Final = f"{PAIR}8a562c67-ca16-48ba-b074-65581be6f001/HKD1100.00"


def pack(messages: Sequence[bytes]) -> bytes:
    """Return a delivery of several messages: a mark, then for each its length and its bytes."""
    return _MAGIC + b"".join([_LENGTH.pack(len(each)) + each for each in messages])


def unpack(content: bytes) -> list[bytes]:
    """Return the messages of a delivery; one that `pack` did not make is a single message. Raises UsageError."""
    if not content.startswith(_MAGIC):
        return [content]
    found, at, end = [], len(_MAGIC), len(content)
    while at < end:
        size = _LENGTH.unpack_from(content, at)[0] if at + _LENGTH.size <= end else end
        at += _LENGTH.size
        if at + size > end:
            raise UsageError("the delivery ends within a message", hint="send all bytes that `pack` returned")
        found.append(content[at : at + size])
        at += size
    if not found:
        raise UsageError("the delivery has no message")
    return found


def _parts(content: bytes) -> list[bytes]:
    """Return the messages of a delivery; none if it is damaged, which `store` refuses."""
    try:
        return unpack(content)
    except UsageError:
        return []


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of a delivery.

    - `receipt`: of the payments of all pacs.009, in the order of `uetrs`; None if none could be read.
    - `errors`: by the number of the message from 0, why it was refused, with path and value.
    - `places`: by the number of a message that was read, its receipt and its rows there.
    """

    receipt: Receipt | None
    uetrs: tuple[str, ...]
    errors: Mapping[int, MessageError]
    places: Mapping[int, tuple[Receipt, range]] = field(default_factory=dict)

    @property
    def receipts(self) -> Sequence[Receipt]:
        """Return all receipts."""
        return list({id(receipt): receipt for receipt, _ in self.places.values()}.values())


class Signed(NamedTuple):
    """What a participant sends: one message, or several that `pack` joined. `who`: the person that delivers."""

    participant: int
    content: bytes
    signature: bytes
    who: int


class Gateway:
    """Reads and writes messages for the house of one bank. `zone`: of the settlement days in messages."""

    def __init__(
        self, register: Register, receiving: Receiving, permits: Permits, payments: Payments, zone: ZoneInfo
    ) -> None:
        self._register, self._receiving, self._permits = register, receiving, permits
        self._payments, self._zone = payments, zone

    def deliver(self, participant: int, content: bytes, signature: bytes, *, who: int) -> Delivered:
        """Read the pacs.009, pacs.008 and pacs.004 of a participant's delivery, and store their payments.

        Errors: `Receiving.receive`. Otherwise as `store`.
        """
        return self.store(self._receiving.verified(participant, content, signature, who=who))

    def deliver_all(self, deliveries: Sequence[Signed], *, workers: int = 1) -> Iterator[Delivered]:
        """Deliver in order, as `deliver`, and yield what came of each.

        A child process reads up to AHEAD_MAX deliveries ahead while one is stored; `workers` = 0: this process reads
        all. Compliance is asked about every ASKED_MIN payments or more, and about the rest at the end.
        """
        unasked = 0
        with ReadingAhead(workers) as ahead, ThreadPoolExecutor(1, "sycee-reading-ahead") as thread:
            read = ahead.read(_parts(each.content) for each in deliveries)

            def prepare(each: Signed) -> tuple[bytes, MessageColumns | None]:
                return zlib.compress(each.content, 1), next(read)

            waiting = deque([thread.submit(prepare, each) for each in deliveries[:AHEAD_MAX]])
            try:
                for at, each in enumerate(deliveries, AHEAD_MAX):
                    compressed, plain = waiting.popleft().result()
                    waiting += [thread.submit(prepare, following) for following in deliveries[at : at + 1]]
                    verified = self._receiving.verified(
                        each.participant, each.content, each.signature, who=each.who, compressed=compressed
                    )
                    delivered = self._store(verified, (), plain)
                    unasked += sum(int(receipt.is_new.sum()) for receipt in delivered.receipts)
                    if unasked >= ASKED_MIN:
                        self._permits.ask()
                        unasked = 0
                    yield delivered
            finally:
                for each_ahead in waiting:
                    each_ahead.cancel()
                if unasked:
                    self._permits.ask()

    def store(self, verified: Delivery, *, without: Collection[int] = ()) -> Delivered:
        """Read the pacs.009, pacs.008 and pacs.004 of a verified delivery, and store their payments.

        `without`: numbers of messages that are left to the caller.

        A message that cannot be read, is not the participant's, is an advice, or has the id of one before it in the
        delivery, is refused alone. A payment with a settlement day in the future is booked from that day on; one with
        a time from (FrTm) or until (TillTm) that it asks for settlement, from then on or until then. Payments that may
        cross a border are screened at once.
        """
        delivered = self._store(verified, without, None)
        self._permits.ask()
        return delivered

    def _store(self, verified: Delivery, without: Collection[int], plain: MessageColumns | None) -> Delivered:
        """Store the payments of a delivery, as `store`, without asking compliance.

        `plain`: all messages, if they were read already.
        """
        codes = {each.code: each.participant for each in self._register.participants(OPEN)}
        participant, mine = verified.participant, verified.code
        if plain is not None and _are_good(plain, mine):
            crossing = chains.plain_cross_border_chains(plain.rows)
            sent, rows_of = self._instructions(codes, plain, range(len(plain.ids)), crossing, ())
            receipt = self._receiving.store(verified, sent, kind=TRANSFER)
            return Delivered(receipt, plain.uetrs, {}, {number: (receipt, rows) for number, rows in rows_of.items()})
        parts, returning = unpack(verified.content), {}
        errors: dict[int, MessageError] = {}
        named: dict[int, tuple[str, str]] = {}
        transfers: list[int] = []
        for number, part in enumerate(parts):
            if number in without:
                continue
            if (kind := kind_of(part)) not in returns.KINDS:
                transfers.append(number)
                continue
            try:
                message = read_as(kind, part, f"message {number + 1}")
                returning[number] = self._returns(participant, mine, codes, message)
            except MessageError as error:
                errors[number] = error
            else:
                named[number] = _named(message.header.id if message.header else "", message.value.id)
        good: dict[int, TransferMessage] = {}
        read = read_credit_transfers([parts[number] for number in transfers])
        for number, each in zip(transfers, read, strict=True):
            found = _owned(each, mine, number) if isinstance(each, TransferMessage) else each
            if isinstance(found, MessageError):
                errors[number] = found
            else:
                good[number] = found
                named[number] = _named(found.business_id, found.message_id)
        for number, repeated in _repeated(named).items():
            errors[number] = repeated
            returning.pop(number, None)
            good.pop(number, None)
        # Everything is made before the first payment is stored: an error refuses the delivery as a whole.
        made: list[tuple[str, Instructions, Mapping[int, range]]] = [
            (kind, replace(sent, parts=[number]), {number: range(sent.size)})
            for number, (sent, kind) in returning.items()
        ]
        of_kind: dict[str, dict[int, TransferMessage]] = {}
        for number, good_one in good.items():
            of_kind.setdefault(good_one.name, {})[number] = good_one
        for kind, chosen in of_kind.items():
            made.append((kind, *self._transfers(codes, chosen, [parts[number] for number in chosen])))
        places: dict[int, tuple[Receipt, range]] = {}
        first: Receipt | None = None
        for kind, sent, rows in made:
            receipt = self._receiving.store(verified, sent, kind=kind)
            first = receipt if kind == TRANSFER else first
            places |= {number: (receipt, mine) for number, mine in rows.items()}
        uetrs = tuple(row.uetr for each in of_kind.get(TRANSFER, {}).values() for row in each.rows)
        return Delivered(first, uetrs, errors, places)

    def _transfers(
        self, codes: Mapping[str, int], good: Mapping[int, TransferMessage], contents: Sequence[bytes]
    ) -> tuple[Instructions, dict[int, range]]:
        """Return the payments of pacs.009, or of pacs.008, and the rows of each message by its number."""
        messages = list(good.values())
        rows = [row for each in messages for row in each.rows]
        pairs = _pairs(rows) if any(each.pair for each in rows) else []
        crossing = chains.cross_border_chains(messages, contents)
        return self._instructions(codes, columns_of_messages(messages), list(good), crossing, pairs)

    def _instructions(
        self, codes: Mapping[str, int], read: MessageColumns, numbers: Sequence[int], crossing: Mapping[int, Chain],
        pairs: Sequence[_Pair],
    ) -> tuple[Instructions, dict[int, range]]:  # fmt: skip
        """Return the payments of messages, and the rows of each message by its number in the delivery."""
        table = read.rows
        receivers = np.array([codes.get(bank, 0) for bank in table.banks], np.int64)
        currencies = np.array([money.currency(code).numeric for code in table.currencies], np.int64)
        from_ns, until_ns = self._times(read)
        priorities = np.array([_PRIORITIES[each] for each in URGENCIES], np.int64)
        ends = np.cumsum(read.counts)
        starts = (ends - read.counts).tolist()
        made = Instructions(
            table.uetr,
            read.ids,
            np.repeat(np.arange(len(read.ids)), read.counts),
            receivers[table.receiver],
            currencies[table.currency],
            table.minor,
            priorities=priorities[table.urgency],
            from_ns=from_ns,
            until_ns=until_ns,
            back_currencies=np.array([each.currency for each in pairs], np.int64),
            back_amounts=np.array([each.minor for each in pairs], np.int64),
            partners=uetr_bytes([each.partner for each in pairs]),
            chains=crossing,
            parts=numbers,
        )
        return made, dict(zip(numbers, map(range, starts, ends.tolist()), strict=True))

    def _returns(
        self, participant: int, code: str, codes: Mapping[str, int], message: Message
    ) -> tuple[Instructions, str]:
        """Return the payments of a pacs.004, and its name. Raises MessageError for one of another sender."""
        returns.check(message, code)
        value: Returns = message.value
        made = value.transactions
        paid = [self._payments.received(participant, each.uetr) for each in made]
        days = [each.day or value.day for each in made]
        starts = self._starts(np.array([each.toordinal() for each in days if each]))  # a return without is refused
        priorities = [_PRIORITIES[each.urgency or "NORM"] for each in made]
        names = [bank_code(returns.receiver_of(value, each)) for each in made]
        currencies = [money.currency(each.amount.currency).numeric for each in made]
        found: dict[int, Chain] = {}
        for row, (each, original) in enumerate(zip(made, paid, strict=True)):
            before = self._permits.chain(original.number) if original else None
            chain = returns.chain_of(value, each, before)
            if chain.crosses:
                found[row] = chain
        instructions = Instructions(
            uetr_bytes([returns.uetr_of(participant, value, each) for each in made]),
            [message.header.id if message.header else value.id],
            np.zeros(len(made), np.int64),
            np.array([codes.get(each, 0) for each in names], np.int64),
            np.array(currencies, np.int64),
            np.array([each.amount.minor for each in made], np.int64),
            priorities=np.array(priorities, np.int64),
            from_ns=starts,
            originals=np.array([each.number if each else UNKNOWN for each in paid], np.int64),
            chains=found,
        )
        return instructions, message.name

    def reports(self, payments: Sequence[Payment], *, now_ns: int) -> Iterator[tuple[int, bytes]]:
        """Yield the sender and the pacs.002 of payments that ended, up to REPORTED_MAX of one sender in each.

        A payment against payment is reported to both sides, each by the UETR of its own message; a return by that of
        the payment it returns.
        """
        codes = {each.participant: each.code for each in self._register.participants()}
        of_sender: dict[int, list[Payment]] = {}
        pairs = [each for each in payments if each.back_message]
        partners = self._payments.partners([each.number for each in pairs])
        paid = self._payments.of_numbers([each.original for each in payments if each.original > 0])
        for each in payments:
            own = paid[each.original].uetr if each.original > 0 else each.uetr
            of_sender.setdefault(each.sender, []).append(each._replace(uetr=own))
        for each in pairs:
            own = partners.get(each.number, each.uetr)
            of_sender.setdefault(each.receiver, []).append(each._replace(uetr=own))
        created = _utc(now_ns)
        for sender, mine in sorted(of_sender.items()):
            for start in range(0, len(mine), REPORTED_MAX):
                part = mine[start : start + REPORTED_MAX]
                report = StatusReport(
                    id=f"R{sender}-{part[0].number}-{part[-1].number}",
                    created=created,
                    receiver=institution_of(codes[sender]),
                    payments=tuple(_status(each) for each in part),
                )
                yield sender, write(Message(REPORT, report), check=False)

    def _times(self, read: MessageColumns) -> tuple[Array, Array]:
        """Return the times from and until which each payment may be booked: (n,) nanoseconds, 0 for no end."""
        days = read.rows.day
        starts, ends = self._starts(days), np.zeros(len(days), np.int64)
        for at, begin, end in read.times:
            day = date.fromordinal(int(days[at]))
            if begin:
                starts[at] = moment_ns(day, begin, self._zone)
            if end:
                ends[at] = moment_ns(day, end, self._zone)
        return starts, ends

    def _starts(self, days: Array) -> Array:
        """Return the start of each day, an ordinal, in the house's zone: (n,) nanoseconds."""
        distinct, at = np.unique(days, return_inverse=True)
        starts = [
            int(datetime.combine(date.fromordinal(day), time(), self._zone).timestamp()) * 10**9
            for day in distinct.tolist()
        ]
        return np.array(starts, np.int64)[at]


class _Pair(NamedTuple):
    """What a payment against payment brings back, and the UETR of the other side; zeros for another payment."""

    currency: int = 0
    minor: int = 0
    partner: int = 0


_NO_PAIR: Final = _Pair()


def _pairs(rows: Sequence[TransferRow]) -> list[_Pair]:
    """Return the other side of each payment. `_owned` has checked the instructions."""
    return [_pair(row) if row.pair else _NO_PAIR for row in rows]


def _pair(row: TransferRow) -> _Pair:
    """Return the other side that an instruction names: `/PVP/UETR/CURRENCYAMOUNT`. Raises UsageError."""
    found = _PAIR.fullmatch(row.pair)
    if found is None:
        raise UsageError(f"{row.pair} is not of the form {_PAIR_FORM}", hint=f"{_PAIR_FORM}, as in {_PAIR_EXAMPLE}")
    uetr, code, amount = found.groups()
    if code == row.currency:
        raise UsageError(f"both sides are in {code}", hint="a currency for each side")
    minor = minor_units(code, amount)
    if not minor:
        raise UsageError("nothing comes back", hint="an amount above zero")
    # Both sides may have one UETR: then nothing else has to be named.
    return _Pair(money.currency(code).numeric, minor, 0 if uetr == row.uetr else UUID(uetr).int)


def moment_ns(day: date, of_day: str, zone: ZoneInfo) -> int:
    """Return the nanoseconds of an ISO time on a day, in its own zone if it has one, else in `zone`."""
    moment = datetime.combine(day, time.fromisoformat(of_day))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return int(moment.timestamp() * 1_000_000) * 1_000


def kind_of(content: bytes) -> str:
    """Return the name of a message, such as pacs.009.001.08; "" if it cannot be read."""
    found = _DOCUMENT.search(content, 0, _SEARCHED_MAX)
    return found[1].decode() if found else answers.origin_of(content).name


def read_as(kind: str, content: bytes, file: str = "the message") -> Message:
    """Return a message of the kind that `kind_of` found. Raises MessageError for another one."""
    message = read(content, file)
    if message.name != kind:
        problem = f"the document is a {message.name}, and text before it names a {kind}"
        raise MessageError(file, 0, "", problem, right="no tag of a document in comments", reason=CONTENT)
    return message


def id_of(message: Message) -> str:
    """Return the business id of a message: of its header, or else its own."""
    return str(message.header.id if message.header else message.value.id)


def _are_good(plain: MessageColumns, code: str) -> bool:
    """Return whether a bank sends all messages, each with an id of its own: `_owned` and `_repeated` find no error."""
    senders = {plain.rows.banks[at] for at in np.unique(plain.rows.sender).tolist()}
    return senders | plain.from_banks <= {"", code} and len(set(plain.ids)) == len(plain.ids)


def _owned(message: TransferMessage, code: str, number: int) -> TransferMessage | MessageError:
    """Return a message, or the error that it is no payment, or of another bank than its sender."""
    if message.use == ADVICE:
        place = f"{KINDS[message.name].root}/GrpHdr/SttlmInf/SttlmMtd"
        problem = "is COVE: another message moves the money, and this one advises of it"
        return MessageError(f"message {number + 1}", 0, place, problem, right="SttlmMtd CLRG", reason=NOT_SUPPORTED)
    if message.name == CUSTOMER_NAME and any(row.pair for row in message.rows):
        place = f"{KINDS[message.name].root}/CdtTrfTxInf/InstrForNxtAgt/InstrInf"
        problem = f"begins with {PAIR}: a transfer of a customer is no payment against payment"
        return MessageError(f"message {number + 1}", 0, place, problem, right=f"a {TRANSFER}", reason=NOT_SUPPORTED)
    named = {message.from_bank, *(row.sender for row in message.rows)} - {"", code}
    if not named:
        try:
            _pairs(message.rows)
        except UsageError as error:
            place = f"{KINDS[message.name].root}/CdtTrfTxInf/InstrForNxtAgt/InstrInf"
            return MessageError(
                f"message {number + 1}", 0, place, error.message, right=error.hint or _PAIR_FORM, reason=CONTENT
            )
        return message
    problem = f"{', '.join(sorted(named))} sends it, and {code} signed it"
    return MessageError(f"message {number + 1}", 0, "AppHdr/Fr", problem, right=f"{code}, whose key signed")


def _named(business_id: str, message_id: str) -> tuple[str, str]:
    """Return the id of a message, and the place where it stands."""
    return (business_id, "AppHdr/BizMsgIdr") if business_id else (message_id, "GrpHdr/MsgId")


def _repeated(named: Mapping[int, tuple[str, str]]) -> dict[int, MessageError]:
    """Return the errors of messages of a delivery that have the id of an earlier one there, by number."""
    first: dict[str, int] = {}
    errors = {}
    for number, (id, place) in sorted(named.items()):
        if (other := first.setdefault(id, number)) != number:
            problem = f"{id} is the id of message {other + 1} of the delivery, too"
            errors[number] = MessageError(
                f"message {number + 1}", 0, place, problem, right="a new id", reason=reasons.SAME_MESSAGE
            )
    return errors


def _status(payment: Payment) -> PaymentStatus:
    if payment.state in (BOOKED, RETURNED):
        return PaymentStatus(uetr=payment.uetr, status=SETTLED, settled=_utc(payment.booked_ns))
    return PaymentStatus(uetr=payment.uetr, status=REJECTED, reasons=(StatusReason(code=payment.reason),))


def _utc(ns: int) -> str:
    return _of_second(ns // 10**9)


@lru_cache(1_000)  # payments of a set are booked at one time
def _of_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
