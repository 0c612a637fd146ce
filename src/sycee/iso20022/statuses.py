"""Status of payments: pacs.002.001.10 reports it, pacs.028.001.03 asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from sycee.iso20022 import forms
from sycee.iso20022.elements import Problem, element
from sycee.iso20022.institutions import Charge, Institution, Original, StatusReason


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """The status of a whole message."""

    id: str = element("OrgnlMsgId", forms.TEXT_35)
    name: str = element("OrgnlMsgNmId", forms.TEXT_35)
    created: str = element("OrgnlCreDtTm?", forms.MOMENT)
    count: str = element("OrgnlNbOfTxs?", forms.NUMBER)
    sum: str = element("OrgnlCtrlSum?", forms.SUM)
    status: str = element("GrpSts?", forms.CODE)
    reasons: tuple[StatusReason, ...] = element("StsRsnInf*", StatusReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentStatus:
    """The status of one transaction: `status` is of ExternalPaymentTransactionStatus1Code, such as ACSC or RJCT."""

    id: str = element("StsId?", forms.TEXT_35)
    original: Original | None = element("OrgnlGrpInf?", Original)
    instruction: str = element("OrgnlInstrId?", forms.TEXT_35)
    end_to_end: str = element("OrgnlEndToEndId?", forms.TEXT_35)
    transaction: str = element("OrgnlTxId?", forms.TEXT_35)
    uetr: str = element("OrgnlUETR?", forms.UETR)
    status: str = element("TxSts?", forms.CODE)
    reasons: tuple[StatusReason, ...] = element("StsRsnInf*", StatusReason)
    charges: tuple[Charge, ...] = element("ChrgsInf*", Charge)
    accepted: str = element("AccptncDtTm?", forms.MOMENT)
    settled_day: date | None = element("FctvIntrBkSttlmDt?/|Dt", forms.DAY)
    settled: str = element("FctvIntrBkSttlmDt?/|DtTm", forms.MOMENT)
    account_reference: str = element("AcctSvcrRef?", forms.TEXT_35)
    clearing: str = element("ClrSysRef?", forms.TEXT_35)
    sender: Institution | None = element("InstgAgt?", Institution)
    receiver: Institution | None = element("InstdAgt?", Institution)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReport:
    """A pacs.002. `sender` and `receiver` are those of the report."""

    id: str = element("GrpHdr/MsgId", forms.TEXT_35)
    created: str = element("GrpHdr/CreDtTm", forms.MOMENT)
    sender: Institution | None = element("GrpHdr/InstgAgt?", Institution)
    receiver: Institution | None = element("GrpHdr/InstdAgt?", Institution)
    groups: tuple[GroupStatus, ...] = element("OrgnlGrpInfAndSts*", GroupStatus)
    payments: tuple[PaymentStatus, ...] = element("TxInfAndSts*", PaymentStatus)

    def problems(self) -> Iterator[Problem]:
        """Yield what the schema cannot find wrong."""
        if not self.groups and not self.payments:
            yield Problem("TxInfAndSts", forms.MISSING, "is missing", "OrgnlGrpInfAndSts or TxInfAndSts")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPayment:
    """One transaction whose status is asked for."""

    id: str = element("StsReqId?", forms.TEXT_35)
    original: Original | None = element("OrgnlGrpInf?", Original)
    instruction: str = element("OrgnlInstrId?", forms.TEXT_35)
    end_to_end: str = element("OrgnlEndToEndId?", forms.TEXT_35)
    transaction: str = element("OrgnlTxId?", forms.TEXT_35)
    uetr: str = element("OrgnlUETR?", forms.UETR)
    accepted: str = element("AccptncDtTm?", forms.MOMENT)
    clearing: str = element("ClrSysRef?", forms.TEXT_35)
    sender: Institution | None = element("InstgAgt?", Institution)
    receiver: Institution | None = element("InstdAgt?", Institution)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRequest:
    """A pacs.028: asks for the status of messages or of transactions."""

    id: str = element("GrpHdr/MsgId", forms.TEXT_35)
    created: str = element("GrpHdr/CreDtTm", forms.MOMENT)
    sender: Institution | None = element("GrpHdr/InstgAgt?", Institution)
    receiver: Institution | None = element("GrpHdr/InstdAgt?", Institution)
    groups: tuple[Original, ...] = element("OrgnlGrpInf*", Original)
    payments: tuple[AskedPayment, ...] = element("TxInf*", AskedPayment)

    def problems(self) -> Iterator[Problem]:
        """Yield what the schema cannot find wrong."""
        if not self.groups and not self.payments:
            yield Problem("TxInf", forms.MISSING, "is missing", "OrgnlGrpInf or TxInf")
        for number, each in enumerate(self.payments, 1):
            if not (each.uetr or each.instruction or each.end_to_end or each.transaction):
                right = "the UETR of the payment, or another of its references"
                yield Problem(f"TxInf[{number}]/OrgnlUETR", forms.MISSING, "is missing", right)
