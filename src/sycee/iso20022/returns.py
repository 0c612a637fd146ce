"""Returns of settled payments: pacs.004.001.09 and .10."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sycee.iso20022 import forms
from sycee.iso20022.amounts import control_sum
from sycee.iso20022.credit_transfer_messages import BEARERS, URGENCIES, Settlement, header_problems, total_problems
from sycee.iso20022.elements import Amount, Problem, element, follows
from sycee.iso20022.institutions import Actor, Charge, Institution, Original, StatusReason


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedGroup:
    """The message whose transactions are returned, with reasons for all of them."""

    id: str = element("OrgnlMsgId", forms.TEXT_35)
    name: str = element("OrgnlMsgNmId", forms.TEXT_35)
    created: str = element("OrgnlCreDtTm?", forms.MOMENT)
    reasons: tuple[StatusReason, ...] = element("RtrRsnInf*", StatusReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnChain:
    """The parties and institutions that the money passes on its way back."""

    ultimate_debtor: Actor | None = element("UltmtDbtr?", Actor)
    debtor: Actor = element("Dbtr", Actor)
    initiator: Actor | None = element("InitgPty?", Actor)
    debtor_agent: Institution | None = element("DbtrAgt?", Institution)
    previous1: Institution | None = element("PrvsInstgAgt1?", Institution)
    previous2: Institution | None = element("PrvsInstgAgt2?", Institution)
    previous3: Institution | None = element("PrvsInstgAgt3?", Institution)
    intermediary1: Institution | None = element("IntrmyAgt1?", Institution)
    intermediary2: Institution | None = element("IntrmyAgt2?", Institution)
    intermediary3: Institution | None = element("IntrmyAgt3?", Institution)
    creditor_agent: Institution | None = element("CdtrAgt?", Institution)
    creditor: Actor = element("Cdtr", Actor)
    ultimate_creditor: Actor | None = element("UltmtCdtr?", Actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedPayment:
    """One returned transaction: `uetr` is that of the original, `amount` what is paid back."""

    id: str = element("RtrId?", forms.TEXT_35)
    original: Original | None = element("OrgnlGrpInf?", Original)
    instruction: str = element("OrgnlInstrId?", forms.TEXT_35)
    end_to_end: str = element("OrgnlEndToEndId?", forms.TEXT_35)
    transaction: str = element("OrgnlTxId?", forms.TEXT_35)
    uetr: str = element("OrgnlUETR", forms.UETR)
    original_clearing: str = element("OrgnlClrSysRef?", forms.TEXT_35)
    original_amount: Amount | None = element("OrgnlIntrBkSttlmAmt?", forms.AMOUNT_OR_ZERO)
    original_day: date | None = element("OrgnlIntrBkSttlmDt?", forms.DAY)
    amount: Amount = element("RtrdIntrBkSttlmAmt", forms.AMOUNT_ABOVE_ZERO)
    day: date | None = element("IntrBkSttlmDt?", forms.DAY)
    urgency: str = element("SttlmPrty?", URGENCIES)
    instructed: Amount | None = element("RtrdInstdAmt?", forms.AMOUNT_OR_ZERO)
    rate: str = element("XchgRate?", forms.RATE)
    charge_bearer: str = element("ChrgBr?", BEARERS)
    charges: tuple[Charge, ...] = element("ChrgsInf*", Charge)
    clearing: str = element("ClrSysRef?", forms.TEXT_35)
    sender: Institution | None = element("InstgAgt?", Institution)
    receiver: Institution | None = element("InstdAgt?", Institution)
    chain: ReturnChain | None = element("RtrChain?", ReturnChain)
    reasons: tuple[StatusReason, ...] = element("RtrRsnInf+", StatusReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """A pacs.004. `day`, `sender` and `receiver` are for all transactions, where given."""

    id: str = element("GrpHdr/MsgId", forms.TEXT_35)
    created: str = element("GrpHdr/CreDtTm", forms.MOMENT)
    count: str = follows("GrpHdr/NbOfTxs", forms.NUMBER, lambda made: str(len(made.transactions)))
    sum: str = follows(
        "GrpHdr/CtrlSum?", forms.SUM, lambda made: control_sum(each.amount for each in made.transactions)
    )
    total: Amount | None = element("GrpHdr/TtlRtrdIntrBkSttlmAmt?", forms.AMOUNT_OR_ZERO)
    day: date | None = element("GrpHdr/IntrBkSttlmDt?", forms.DAY)
    settlement: Settlement = element("GrpHdr/SttlmInf", Settlement)
    sender: Institution | None = element("GrpHdr/InstgAgt?", Institution)
    receiver: Institution | None = element("GrpHdr/InstdAgt?", Institution)
    group: ReturnedGroup | None = element("OrgnlGrpInf?", ReturnedGroup)
    transactions: tuple[ReturnedPayment, ...] = element("TxInf+", ReturnedPayment)

    def problems(self) -> Iterator[Problem]:
        """Yield what the schema cannot find wrong."""
        for number, each in enumerate(self.transactions, 1):
            place = f"TxInf[{number}]"
            yield from header_problems(self, each, place)
            before = each.original_amount
            if before and before.currency == each.amount.currency and each.amount.minor > before.minor:
                right = "at most the original amount"
                problem = "is more than the original amount"
                yield Problem(f"{place}/RtrdIntrBkSttlmAmt", forms.AMOUNT, problem, right)
        amounts = [each.amount for each in self.transactions]
        yield from total_problems(self.total, amounts, "TxInf", "RtrdIntrBkSttlmAmt", "TtlRtrdIntrBkSttlmAmt")
