"""Messages of ISO 20022 at the house: pacs.009 in, pacs.002 out. The extra `iso20022` is needed.

A delivery has one message or thousands: `pack` joins them, and the participant signs all bytes once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from sycee.clearing import chains
from sycee.clearing.house import Register
from sycee.clearing.instructions import NORMAL, URGENT, Instructions, Receipt
from sycee.clearing.payments import Payment
from sycee.clearing.permits import Permits
from sycee.clearing.receiving import Receiving
from sycee.clearing.tables import BOOKED, OPEN, RETURNED
from sycee.core import money
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.extras import extra

with extra("iso20022"):
    from sycee.iso20022.bulk_transfers import URGENCIES, TransferMessage, TransferRow, columns, read_transfers
from sycee.iso20022.institutions import Institution, StatusReason
from sycee.iso20022.messages import Message, write
from sycee.iso20022.reading import MessageError
from sycee.iso20022.statuses import PaymentStatus, StatusReport
from sycee.iso20022.transfers import ADVICE

TRANSFER: Final = "pacs.009.001.08"
REPORT: Final = "pacs.002.001.10"
REPORTED_MAX: Final = 10_000  # payments of one report
SETTLED: Final = "ACSC"  # AcceptedSettlementCompletedDebtorAccount
REJECTED: Final = "RJCT"
NOT_SUPPORTED: Final = "AG03"  # TransactionNotSupported
_PRIORITIES: Final = {"URGT": URGENT, "HIGH": (URGENT + NORMAL) // 2, "NORM": NORMAL}
_MAGIC: Final = b"sycee.messages.v1\0"
_LENGTH: Final = struct.Struct("<I")


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


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of a delivery of transfers.

    - `receipt`: of the payments in the order of `uetrs`; None if no message could be read.
    - `errors`: by the number of the message from 0, why it was refused, with path and value.
    """

    receipt: Receipt | None
    uetrs: tuple[str, ...]
    errors: Mapping[int, MessageError]


class Gateway:
    """Reads and writes messages for the house of one bank. `zone`: of the settlement days in messages."""

    def __init__(self, register: Register, receiving: Receiving, permits: Permits, zone: ZoneInfo) -> None:
        self._register, self._receiving, self._permits, self._zone = register, receiving, permits, zone

    def deliver(self, participant: int, content: bytes, signature: bytes, *, who: int) -> Delivered:
        """Read the pacs.009 of a participant's delivery, and store their payments. Errors: `Receiving.receive`.

        A message that cannot be read, is not the participant's, or is an advice, is refused alone. A payment with
        a settlement day in the future is booked from that day on; one with a time from (FrTm) or until (TillTm) that it
        asks for settlement, from then on or until then. Payments that may cross a border are screened at once.
        """
        codes = {each.code: each.participant for each in self._register.participants(OPEN)}
        mine = self._register.participant(participant).code
        good: list[TransferMessage] = []
        contents: list[bytes] = []
        errors: dict[int, MessageError] = {}
        parts = unpack(content)
        for number, each in enumerate(read_transfers(parts)):
            found = _owned(each, mine, number) if isinstance(each, TransferMessage) else each
            if isinstance(found, MessageError):
                errors[number] = found
            else:
                good.append(found)
                contents.append(parts[number])
        if not good:
            return Delivered(None, (), errors)
        rows = [row for each in good for row in each.rows]
        table = columns(rows)
        receivers = np.array([codes.get(bank, 0) for bank in table.banks], np.int64)
        currencies = np.array([money.currency(code).numeric for code in table.currencies], np.int64)
        from_ns, until_ns = self._times(rows, table.day)
        priorities = np.array([_PRIORITIES[each] for each in URGENCIES], np.int64)
        made = Instructions(
            table.uetr,
            [each.business_id or each.message_id for each in good],
            np.repeat(np.arange(len(good)), [len(each.rows) for each in good]),
            receivers[table.receiver],
            currencies[table.currency],
            table.minor,
            priorities=priorities[table.urgency],
            from_ns=from_ns,
            until_ns=until_ns,
            chains=chains.crossing(good, contents),
        )
        receipt = self._receiving.receive(participant, content, signature, made, kind=TRANSFER, who=who)
        if made.chains:
            self._permits.ask()
        return Delivered(receipt, tuple(each.uetr for each in rows), errors)

    def reports(self, payments: Sequence[Payment], *, now_ns: int) -> Iterator[tuple[int, bytes]]:
        """Yield the sender and the pacs.002 of payments that ended, up to REPORTED_MAX of one sender in each."""
        codes = {each.participant: each.code for each in self._register.participants()}
        of_sender: dict[int, list[Payment]] = {}
        for each in payments:
            of_sender.setdefault(each.sender, []).append(each)
        created = _utc(now_ns)
        for sender, mine in sorted(of_sender.items()):
            for start in range(0, len(mine), REPORTED_MAX):
                part = mine[start : start + REPORTED_MAX]
                report = StatusReport(
                    id=f"R{sender}-{part[0].number}-{part[-1].number}",
                    created=created,
                    receiver=Institution(bic=codes[sender]),
                    payments=tuple(_status(each) for each in part),
                )
                yield sender, write(Message(REPORT, report), check=False)

    def _times(self, rows: Sequence[TransferRow], days: Array) -> tuple[Array, Array]:
        """Return the times from and until which each payment may be booked: (n,) nanoseconds, 0 for no end."""
        starts, ends = self._starts(days), np.zeros(len(rows), np.int64)
        for at, row in enumerate(rows):
            if row.not_before:
                starts[at] = self._moment(row.day, row.not_before)
            if row.until:
                ends[at] = self._moment(row.day, row.until)
        return starts, ends

    def _moment(self, day: date, of_day: str) -> int:
        """Return the nanoseconds of a time of a day, in its own zone or else the house's."""
        moment = datetime.combine(day, time.fromisoformat(of_day))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
        return int(moment.timestamp() * 1_000_000) * 1_000

    def _starts(self, days: Array) -> Array:
        """Return the start of each day, an ordinal, in the house's zone: (n,) nanoseconds."""
        distinct, at = np.unique(days, return_inverse=True)
        starts = [
            int(datetime.combine(date.fromordinal(day), time(), self._zone).timestamp()) * 10**9
            for day in distinct.tolist()
        ]
        return np.array(starts, np.int64)[at]


def _owned(message: TransferMessage, code: str, number: int) -> TransferMessage | MessageError:
    """Return a message, or the error that it is no payment, or of another bank than its sender."""
    if message.use == ADVICE:
        place = "FICdtTrf/GrpHdr/SttlmInf/SttlmMtd"
        problem = "is COVE: another message moves the money, and this one advises of it"
        return MessageError(f"message {number + 1}", 0, place, problem, right="SttlmMtd CLRG", reason=NOT_SUPPORTED)
    named = {message.from_bank, *(row.sender for row in message.rows)} - {"", code}
    if not named:
        return message
    problem = f"{', '.join(sorted(named))} sends it, and {code} signed it"
    return MessageError(f"message {number + 1}", 0, "AppHdr/Fr", problem, right=f"{code}, whose key signed")


def _status(payment: Payment) -> PaymentStatus:
    if payment.state in (BOOKED, RETURNED):
        return PaymentStatus(uetr=payment.uetr, status=SETTLED, settled=_utc(payment.booked_ns))
    return PaymentStatus(uetr=payment.uetr, status=REJECTED, reasons=(StatusReason(code=payment.reason),))


def _utc(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
