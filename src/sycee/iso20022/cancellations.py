"""Requests to cancel payments, and their answers: camt.056.001.08 and camt.029.001.09."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from sycee.iso20022 import forms
from sycee.iso20022.amounts import control_sum
from sycee.iso20022.elements import Amount, element, follows
from sycee.iso20022.institutions import Actor, Institution, Original, StatusReason

STATUSES: Final = forms.one_of("CancellationStatus", "RJCR", "ACCR", "PDCR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The number under which an institution keeps an investigation."""

    id: str = element("Id", forms.TEXT_35)
    by: Actor = element("Cretr", Actor)
    is_reopened: bool | None = element("ReopCaseIndctn?", forms.FLAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelledPayment:
    """One transaction that is to be cancelled."""

    id: str = element("CxlId?", forms.TEXT_35)
    case: Case | None = element("Case?", Case)
    original: Original | None = element("OrgnlGrpInf?", Original)
    instruction: str = element("OrgnlInstrId?", forms.TEXT_35)
    end_to_end: str = element("OrgnlEndToEndId?", forms.TEXT_35)
    transaction: str = element("OrgnlTxId?", forms.TEXT_35)
    uetr: str = element("OrgnlUETR", forms.UETR)
    clearing: str = element("OrgnlClrSysRef?", forms.TEXT_35)
    amount: Amount | None = element("OrgnlIntrBkSttlmAmt?", forms.AMOUNT_OR_ZERO)
    day: date | None = element("OrgnlIntrBkSttlmDt?", forms.DAY)
    sender: Institution | None = element("Assgnr?", Institution)
    receiver: Institution | None = element("Assgne?", Institution)
    reasons: tuple[StatusReason, ...] = element("CxlRsnInf*", StatusReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationRequest:
    """A camt.056: asks to cancel transactions."""

    id: str = element("Assgnmt/Id", forms.TEXT_35)
    sender: Actor = element("Assgnmt/Assgnr", Actor)
    receiver: Actor = element("Assgnmt/Assgne", Actor)
    created: str = element("Assgnmt/CreDtTm", forms.MOMENT)
    case: Case | None = element("Case?", Case)
    count: str = follows("CtrlData?/NbOfTxs", forms.NUMBER, lambda made: str(len(made.transactions)))
    sum: str = follows("CtrlData?/CtrlSum?", forms.SUM, lambda made: _sum(made))
    transactions: tuple[CancelledPayment, ...] = element("Undrlyg/TxInf+", CancelledPayment)


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationAnswer:
    """The answer about one transaction: rejected (RJCR), accepted (ACCR) or pending (PDCR)."""

    id: str = element("CxlStsId?", forms.TEXT_35)
    case: Case | None = element("RslvdCase?", Case)
    original: Original | None = element("OrgnlGrpInf?", Original)
    instruction: str = element("OrgnlInstrId?", forms.TEXT_35)
    end_to_end: str = element("OrgnlEndToEndId?", forms.TEXT_35)
    transaction: str = element("OrgnlTxId?", forms.TEXT_35)
    clearing: str = element("OrgnlClrSysRef?", forms.TEXT_35)
    uetr: str = element("OrgnlUETR?", forms.UETR)
    status: str = element("TxCxlSts?", STATUSES)
    reasons: tuple[StatusReason, ...] = element("CxlStsRsnInf*", StatusReason)
    amount: Amount | None = element("OrgnlIntrBkSttlmAmt?", forms.AMOUNT_OR_ZERO)
    day: date | None = element("OrgnlIntrBkSttlmDt?", forms.DAY)
    sender: Actor | None = element("Assgnr?", Actor)
    receiver: Actor | None = element("Assgne?", Actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """A camt.029: answers a camt.056. `status` is of ExternalInvestigationExecutionConfirmation1Code, such as CNCL."""

    id: str = element("Assgnmt/Id", forms.TEXT_35)
    sender: Actor = element("Assgnmt/Assgnr", Actor)
    receiver: Actor = element("Assgnmt/Assgne", Actor)
    created: str = element("Assgnmt/CreDtTm", forms.MOMENT)
    case: Case | None = element("RslvdCase?", Case)
    status: str = element("Sts/Conf", forms.CODE)
    transactions: tuple[CancellationAnswer, ...] = element("CxlDtls?/TxInfAndSts*", CancellationAnswer)


def _sum(made: CancellationRequest) -> str:
    amounts = [each.amount for each in made.transactions if each.amount]
    return control_sum(amounts) if len(amounts) == len(made.transactions) else ""
