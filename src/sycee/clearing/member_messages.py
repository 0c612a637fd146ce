"""Messages of participants that are no payments: each is checked, kept, done once, and answered.

- camt.050 asks to pay money out of a position: camt.025 now (PDNG), and another one when the house has moved it.
- camt.056 asks to cancel payments that wait: camt.029. The receiver of a booked one is asked to return it.
- camt.029 answers such a request: admi.007, and the sender of the payment gets the answer.
- camt.060 asks what was booked on a position: camt.052 or camt.053.
- pacs.028 asks for the status of payments: pacs.002.

A participant acts on its own payments and positions alone. The same business message id gets the first answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from sycee.clearing import reasons
from sycee.clearing.account_days import AccountDays, number_of
from sycee.clearing.gateway import id_of, kind_of, moment_ns, read_as
from sycee.clearing.house import Position, Register
from sycee.clearing.investigations import Investigations
from sycee.clearing.pay_outs import PayOut, PayOuts
from sycee.clearing.payments import Payment, Payments
from sycee.clearing.receiving import Delivery, Receiving, SameId
from sycee.clearing.stored_messages import StoredMessages
from sycee.clearing.tables import BOOKED, CANCELLED, DECIDED, OPEN, REFUSED, RETURNED
from sycee.core import money
from sycee.core.errors import NotFound, UsageError
from sycee.iso20022 import account_reports, answers
from sycee.iso20022.account_reports import AccountDay
from sycee.iso20022.answers import ProcessingStatus
from sycee.iso20022.bulk_credit_transfers import bank_code, institution_of
from sycee.iso20022.cancellations import CancellationRequest, Resolution
from sycee.iso20022.forms import CONTENT
from sycee.iso20022.institutions import Account, Actor, Institution, StatusReason
from sycee.iso20022.liquidity import LiquidityTransfer
from sycee.iso20022.messages import Message, write
from sycee.iso20022.reading import MessageError
from sycee.iso20022.statements import Query, ReportRequest, Request
from sycee.iso20022.statuses import AskedPayment, PaymentStatus, StatusReport, StatusRequest

PAY_OUT: Final = "camt.050.001.07"
CANCEL: Final = "camt.056.001.08"
REPORT: Final = "camt.060.001.05"
STATUS: Final = "pacs.028.001.03"
RESOLUTION: Final = "camt.029.001.09"
KINDS: Final = (PAY_OUT, CANCEL, RESOLUTION, REPORT, STATUS)
_READING: Final = (REPORT, STATUS)
SETTLED: Final = "ACSC"
WAITS: Final = "PDNG"
REJECTED: Final = "RJCT"
CANCELED: Final = "CANC"
STATUSES: Final = {BOOKED: SETTLED, RETURNED: SETTLED, REFUSED: REJECTED, CANCELLED: CANCELED}
ACCEPTED: Final = "ACCR"  # of a cancellation
NOT_CANCELLED: Final = "RJCR"
DECIDING: Final = "PDCR"
NO_PAYMENT: Final = "NOOR"  # NoOriginalTransactionReceived, of ExternalPaymentCancellationRejection1Code (recalled)
RECEIVED: Final = "RCVD"  # of an acknowledgement, a code of the house
PAID: Final = "COMP"  # of a receipt
NOT_PAID: Final = "REJT"
ASKED_MAX: Final = 10_000  # payments of one answer
MIDNIGHT: Final = "00:00:00"
_FINAL: Final = ProcessingStatus(NOT_CANCELLED, "", "the payment is booked and final")
DAYS_MAX: Final = 366  # of one report

Also: TypeAlias = Callable[[Connection, int], None]
Do: TypeAlias = Callable[[Message, Delivery, str, int], Message]


class MemberMessages:
    """Answers messages to the house of one bank. `house`: its name in answers; `zone`: of its days."""

    def __init__(
        self, register: Register, receiving: Receiving, payments: Payments, investigations: Investigations,
        pay_outs: PayOuts, days: AccountDays, house: Institution, zone: ZoneInfo,
    ) -> None:  # fmt: skip
        self._register, self._receiving, self._payments = register, receiving, payments
        self._investigations = investigations
        self._pay_outs, self._days, self._house, self._zone = pay_outs, days, house, zone

    def answer(self, part: bytes, sender: Delivery, *, number: int, id: str, at_ns: int) -> bytes:
        """Do what a message asks, and return its answer, which is stored. Raises MessageError for one that is refused.

        `number`: of the message in its delivery, from 0. Nothing is kept of a refused message, so that a corrected one
        can have its id; one that a crash left without an answer is kept, and so is its refusal.
        """
        message = read_as(kind_of(part), part)
        _require_sender(message, sender.code)
        earlier = self._receiving.kept(sender.participant, id_of(message), kind=message.name)
        if earlier is not None:
            return earlier[1] or self._finish(earlier[0], sender, at_ns)
        check, do = self._verbs(message.name)
        also = check(message, sender)
        # An answer that changes nothing is made before the message is kept: it may be refused for its length.
        made = write(do(message, sender, id, at_ns)) if message.name in _READING else None
        kept, first = self._keep(message, sender, number, also)
        if first is None:
            first = self._receiving.answer(kept, made or write(do(message, sender, id, at_ns)))
        return first

    def _verbs(self, kind: str) -> tuple[Callable[[Message, Delivery], Also | None], Do]:
        """Return what checks a message of a kind, and what does it and returns the answer."""
        verbs: Mapping[str, tuple[Callable[[Message, Delivery], Also | None], Do]] = {
            PAY_OUT: (self._check_pay_out, self._pay_out),
            CANCEL: (_check_cancel, self._cancel),
            RESOLUTION: (self._check_resolution, self._resolve),
            REPORT: (self._check_report, self._report),
            STATUS: (self._check_status, self._status),
        }
        return verbs[kind]

    def _finish(self, number: int, sender: Delivery, at_ns: int) -> bytes:
        """Do what a kept message asks, and answer it: a crash left it without an answer.

        The kept message counts, because another one may have its id. It was checked before it was kept. A refusal is
        its answer, too: it is stored, so that it stays the only one.
        """
        message, id = StoredMessages(self._receiving).message(number), f"A{number}"
        _, do = self._verbs(message.name)
        try:
            made = do(message, sender, id, at_ns)
        except MessageError as error:
            made = answers.refusal(write(message), error, id=id, at_ns=at_ns, house=self._house)
        return self._receiving.answer(number, write(made))

    def _keep(self, message: Message, sender: Delivery, part: int, also: Also | None) -> tuple[int, bytes | None]:
        business_id = id_of(message)
        try:
            return self._receiving.keep(sender, business_id, kind=message.name, part=part, also=also)
        except SameId as error:
            place = "AppHdr/BizMsgIdr" if message.header else "MsgId"
            raise _error(place, error.message, "a new id", reasons.SAME_MESSAGE) from error

    # --- camt.050 ---

    def _check_pay_out(self, message: Message, sender: Delivery) -> Also:
        value: LiquidityTransfer = message.value
        top = "LqdtyCdtTrf/LqdtyCdtTrf"
        for name, institution in (("Dbtr", value.debtor), ("Cdtr", value.creditor)):
            _require_own(institution, sender, f"{top}/{name}")
        place = f"{top}/TrfdAmt/AmtWthCcy"
        position = self._position(sender, value.amount.currency, place)
        _require_account(value.debtor_account, position, f"{top}/DbtrAcct/Id")
        if value.creditor_account is not None:
            problem = "names an account, and money is paid to the vault of the participant"
            raise _error(f"{top}/CdtrAcct/Id", problem, "no CdtrAcct")

        def also(connection: Connection, number: int) -> None:
            self._pay_outs.add(connection, number, sender.participant, position.currency, value.amount.minor)

        return also

    def _pay_out(self, message: Message, sender: Delivery, id: str, at_ns: int) -> Message:
        return answers.receipt(message, ProcessingStatus(WAITS), id=id, at_ns=at_ns, house=self._house)

    def receipts(self, *, at_ns: int) -> Iterator[tuple[PayOut, bytes]]:
        """Yield the pay-outs that ended and have no receipt yet, each with its camt.025: COMP, or REJT and a reason."""
        stored = StoredMessages(self._receiving)
        for each in self._pay_outs.unanswered():
            message = stored.message(each.message)
            outcome = ProcessingStatus(NOT_PAID if each.reason else PAID, each.reason, each.words)
            id = f"P{each.message}"
            yield each, write(answers.receipt(message, outcome, id=id, at_ns=at_ns, house=self._house))

    # --- camt.056 ---

    def _cancel(self, message: Message, sender: Delivery, id: str, at_ns: int) -> Message:
        outcomes = {each.uetr: self._cancelled(each.uetr, sender) for each in message.value.transactions}
        # Only now is it known which payments are booked: one may be booked while the message is read.
        booked = [uetr for uetr, outcome in outcomes.items() if outcome is _FINAL]
        asked = ProcessingStatus(
            DECIDING, "", "the payment is booked and final: its receiver is asked to return it by a pacs.004"
        )
        outcomes |= dict.fromkeys(self._investigations.ask(sender.participant, id_of(message), booked), asked)
        return answers.resolution(message, outcomes, id=id, at_ns=at_ns, house=self._house)

    def _cancelled(self, uetr: str, sender: Delivery) -> ProcessingStatus:
        try:
            (found,) = self._payments.cancel(sender.participant, [uetr])
        except NotFound:
            return ProcessingStatus(NOT_CANCELLED, NO_PAYMENT, f"{sender.code} sent no payment with this UETR")
        if found.state == CANCELLED:
            return ProcessingStatus(ACCEPTED)
        if found.state == DECIDED:
            return ProcessingStatus(DECIDING, "", "the payment is in a set that is being booked: ask for its status")
        if found.state == REFUSED:
            return ProcessingStatus(NOT_CANCELLED, "", f"the payment was refused: {found.reason}")
        if found.state == RETURNED:
            return ProcessingStatus(NOT_CANCELLED, reasons.NO_ORIGINAL, "the payment was returned")
        return _FINAL

    # --- camt.029 ---

    def _check_resolution(self, message: Message, sender: Delivery) -> Also:
        value: Resolution = message.value
        _require_actor(value.sender, sender, "RsltnOfInvstgtn/Assgnmt/Assgnr")
        top = "RsltnOfInvstgtn/CxlDtls/TxInfAndSts"
        if not value.transactions:
            raise _error(top, "is missing", "a status for each payment whose return was asked, by its UETR")
        _require_few(len(value.transactions), top)
        found: dict[int, tuple[str, bool]] = {}
        places: dict[str, str] = {}
        for number, each in enumerate(value.transactions, 1):
            if each.status not in (ACCEPTED, NOT_CANCELLED):
                right = f"{ACCEPTED}, or {NOT_CANCELLED} with a reason"
                raise _error(f"{top}[{number}]/TxCxlSts", f"is {each.status or 'missing'}", right)
            place = f"{top}[{number}]/OrgnlUETR"
            payment = self._investigations.find(sender.participant, each.uetr, id_of(message)) if each.uetr else 0
            if not payment:
                problem = f"{each.uetr or 'nothing'} is no payment that {sender.code} is asked to return"
                raise _error(place, problem, f"the UETR of a {CANCEL} in the inbox", NO_PAYMENT)
            if payment in found:
                raise _error(place, f"{each.uetr} is named twice", "each payment once")
            found[payment], places[each.uetr] = (each.uetr, each.status == ACCEPTED), place

        def also(connection: Connection, number: int) -> None:
            if late := self._investigations.answer(connection, number, found):
                raise _error(places[late], f"{late} was answered by another message", "one answer", NO_PAYMENT)

        return also

    def _resolve(self, message: Message, sender: Delivery, id: str, at_ns: int) -> Message:
        words = "the sender of each payment gets the answer"
        return answers.acknowledgement(message, RECEIVED, id=id, at_ns=at_ns, house=self._house, words=words)

    # --- camt.060 ---

    def _check_report(self, message: Message, sender: Delivery) -> None:
        value: ReportRequest = message.value
        _require_actor(value.sender, sender, "AcctRptgReq/GrpHdr/MsgSndr")
        if len({each.wanted for each in value.requests}) > 1:
            raise _error("AcctRptgReq/RptgReq[2]/ReqdMsgNmId", "names another message", "one message of reports")
        for number, each in enumerate(value.requests, 1):
            for _ in self._asked(each, f"AcctRptgReq/RptgReq[{number}]", sender):
                pass  # each position and time is checked

    def _report(self, message: Message, sender: Delivery, id: str, at_ns: int) -> Message:
        value: ReportRequest = message.value
        found: list[AccountDay] = []
        entries = 0
        for number, each in enumerate(value.requests, 1):
            place = f"AcctRptgReq/RptgReq[{number}]"
            for position, from_ns, until_ns, day in self._asked(each, place, sender):
                try:
                    found.append(self._days.read(position, from_ns, until_ns, day, earlier=entries))
                    entries += len(found[-1].entries)
                except UsageError as error:
                    raise _error(f"{place}/RptgPrd", error.message, error.hint or "a shorter time") from error
        query = Query(id=value.id, name=message.name, created=value.created)
        return account_reports.account_report(
            value.requests[0].wanted, found, id=id, at_ns=at_ns, house=self._house, to=message.header, query=query
        )

    def _asked(self, each: Request, place: str, sender: Delivery) -> Iterator[tuple[Position, int, int, date]]:
        """Yield the positions of a request, with the time of the report. Raises MessageError for a wrong one."""
        if each.wanted not in (account_reports.STATEMENT, account_reports.REPORT):
            right = f"{account_reports.REPORT} or {account_reports.STATEMENT}"
            raise _error(f"{place}/ReqdMsgNmId", f"{each.wanted} is no report of the house", right)
        _require_actor(each.owner, sender, f"{place}/AcctOwnr")
        from_ns, until_ns, last = self._period(each, place)
        mine = [one for one in self._register.positions(OPEN) if one.participant == sender.participant]
        if each.account is not None:
            code = each.account.currency
            number = each.account.number
            mine = [
                one
                for one in mine
                if (not code or money.currency_of(one.currency).code == code)
                and (not number or number_of(one) == number)
            ]
            if not mine or each.account.iban:
                shown = each.account.iban or number or code
                raise _error(f"{place}/Acct/Id", f"{shown} is no position of {sender.code}", "a position of its owner")
        for one in mine:
            yield one, from_ns, until_ns, last

    def _period(self, each: Request, place: str) -> tuple[int, int, date]:
        """Return the time of a report, from and until in nanoseconds, and its last day."""
        today = datetime.fromtimestamp(self._receiving.now_ns() / 1e9, self._zone).date()
        first = each.first_day or today
        last = each.last_day or (today if not _is_statement(each) and not each.first_day else first)
        if last < first or (last - first).days >= DAYS_MAX:
            right = f"an end on or after the beginning, at most {DAYS_MAX} days"
            raise _error(f"{place}/RptgPrd/FrToDt", f"{first} to {last}", right)
        begin = moment_ns(first, each.from_time or MIDNIGHT, self._zone)
        end_day, end_time = (last, each.to_time) if each.to_time else (last + timedelta(days=1), MIDNIGHT)
        end = moment_ns(end_day, end_time, self._zone)
        if end <= begin:
            raise _error(f"{place}/RptgPrd/FrToTm", f"{each.from_time} to {each.to_time}", "a later end")
        return begin, end, last

    # --- pacs.028 ---

    def _check_status(self, message: Message, sender: Delivery) -> None:
        value: StatusRequest = message.value
        _require_own(value.sender, sender, "FIToFIPmtStsReq/GrpHdr/InstgAgt")
        for number, each in enumerate(value.payments, 1):
            place = f"FIToFIPmtStsReq/TxInf[{number}]"
            _require_own(each.sender, sender, f"{place}/InstgAgt")
            if not each.uetr:
                raise _error(f"{place}/OrgnlUETR", "is missing", "the UETR: the house finds payments by it")

    def _status(self, message: Message, sender: Delivery, id: str, at_ns: int) -> Message:
        value: StatusRequest = message.value
        made = [_asked_status(each, self._payments.sent(sender.participant, each.uetr)) for each in value.payments]
        for group in value.groups:
            found = self._payments.of_message(sender.participant, group.id, most=ASKED_MAX + 1)
            if len(made) + len(found) > ASKED_MAX:
                problem = f"asks for more than {ASKED_MAX:,} payments"
                raise _error("FIToFIPmtStsReq/OrgnlGrpInf", problem, "several messages, or the payments by UETR")
            made += [status_of(each, original=group) for each in found]
            if not found:
                reason = StatusReason(code=NO_PAYMENT, information=(f"{sender.code} sent no such message",))
                made.append(PaymentStatus(original=group, reasons=(reason,)))
        report = StatusReport(
            id=id, created=answers.moment(at_ns), sender=self._house, receiver=institution_of(sender.code),
            payments=tuple(made),
        )  # fmt: skip
        header = answers.header_of(answers.STATUS, message.header, id=id, at_ns=at_ns, house=self._house)
        return Message(answers.STATUS, report, header, message.header_name)

    # --- helpers ---

    def _position(self, sender: Delivery, currency: str, place: str) -> Position:
        try:
            return self._register.position(sender.participant, money.currency(currency).numeric)
        except NotFound as error:
            right = "a currency in which the participant has a position"
            raise _error(place, error.message, right, reasons.NO_CURRENCY) from error


def status_of(payment: Payment, **named: Any) -> PaymentStatus:
    """Return the status of a payment for a pacs.002. `named`: further fields of the status."""
    reason = (StatusReason(code=payment.reason),) if payment.reason else ()
    settled = answers.moment(payment.booked_ns) if payment.state in (BOOKED, RETURNED) else ""
    status = STATUSES.get(payment.state, WAITS)
    named = {"uetr": payment.uetr} | named
    return PaymentStatus(status=status, reasons=reason, settled=settled, clearing=str(payment.number), **named)


def _asked_status(each: AskedPayment, payment: Payment | None) -> PaymentStatus:
    named: dict[str, Any] = {
        "original": each.original, "instruction": each.instruction, "end_to_end": each.end_to_end,
        "transaction": each.transaction, "uetr": each.uetr,
    }  # fmt: skip
    if payment is not None:
        return status_of(payment, **named)
    reason = StatusReason(code=NO_PAYMENT, information=("the sender of the request sent no such payment",))
    return PaymentStatus(reasons=(reason,), **named)


def _check_cancel(message: Message, sender: Delivery) -> None:
    value: CancellationRequest = message.value
    _require_actor(value.sender, sender, "FIToFIPmtCxlReq/Assgnmt/Assgnr")
    _require_few(len(value.transactions), "FIToFIPmtCxlReq/Undrlyg/TxInf")
    seen: set[str] = set()
    for number, each in enumerate(value.transactions, 1):
        if each.uetr in seen:
            place = f"FIToFIPmtCxlReq/Undrlyg/TxInf[{number}]/OrgnlUETR"
            raise _error(place, f"{each.uetr} is named twice", "each payment once")
        seen.add(each.uetr)


def _require_few(count: int, place: str) -> None:
    if count > ASKED_MAX:
        raise _error(place, f"names {count:,} payments, more than {ASKED_MAX:,}", "several messages")


def _is_statement(request: Request) -> bool:
    return request.wanted == account_reports.STATEMENT


def _require_sender(message: Message, code: str) -> None:
    if message.header and message.header.sender.bic not in ("", code):
        problem = f"{message.header.sender.bic} sends it, and {code} signed it"
        raise _error("AppHdr/Fr", problem, f"{code}, whose key signed")


def _require_own(named: Institution | None, sender: Delivery, place: str) -> None:
    if named is not None and bank_code(named) != sender.code:
        raise _error(place, f"{bank_code(named)} is not {sender.code}, which signed", sender.code)


def _require_actor(named: Actor | None, sender: Delivery, place: str) -> None:
    if named is not None and named.institution is None:
        raise _error(place, "is a person or firm", f"the institution {sender.code}")
    _require_own(named.institution if named else None, sender, place)


def _require_account(named: Account | None, position: Position, place: str) -> None:
    number = number_of(position)
    if named is not None and (named.iban or named.number) not in ("", number):
        raise _error(place, f"{named.iban or named.number} is another account", f"{number}, or no account")


def _error(place: str, problem: str, right: str, reason: str = CONTENT) -> MessageError:
    return MessageError("the message", 0, place, problem, right=right, reason=reason)
