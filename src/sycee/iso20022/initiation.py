"""Orders of customers to their bank: pain.001.001.09."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from sycee.iso20022 import forms
from sycee.iso20022.amounts import control_sum
from sycee.iso20022.credit_transfer_messages import BEARERS, PRIORITIES, Words
from sycee.iso20022.elements import Amount, element, follows
from sycee.iso20022.institutions import Account, CodeOrOwn, Customer, Institution

METHODS: Final = forms.one_of("PaymentMethod", "TRF")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderType:
    """Priority, service levels and class of purpose that the customer asks for."""

    priority: str = element("InstrPrty?", PRIORITIES)
    service_levels: tuple[CodeOrOwn, ...] = element("SvcLvl{0,3}", CodeOrOwn)
    instrument: str = element("LclInstrm?/|Cd", forms.CODE_35)
    instrument_own: str = element("LclInstrm?/|Prtry", forms.TEXT_35)
    category: str = element("CtgyPurp?/|Cd", forms.CODE)
    category_own: str = element("CtgyPurp?/|Prtry", forms.TEXT_35)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedTransfer:
    """One transfer that a customer orders."""

    instruction: str = element("PmtId/InstrId?", forms.TEXT_35)
    end_to_end: str = element("PmtId/EndToEndId", forms.TEXT_35)
    uetr: str = element("PmtId/UETR?", forms.UETR)
    type: OrderType | None = element("PmtTpInf?", OrderType)
    amount: Amount = element("Amt/InstdAmt", forms.AMOUNT_ABOVE_ZERO)
    charge_bearer: str = element("ChrgBr?", BEARERS)
    ultimate_debtor: Customer | None = element("UltmtDbtr?", Customer)
    intermediary1: Institution | None = element("IntrmyAgt1?", Institution)
    intermediary2: Institution | None = element("IntrmyAgt2?", Institution)
    intermediary3: Institution | None = element("IntrmyAgt3?", Institution)
    creditor_agent: Institution | None = element("CdtrAgt?", Institution)
    creditor: Customer = element("Cdtr", Customer)
    creditor_account: Account | None = element("CdtrAcct?", Account)
    ultimate_creditor: Customer | None = element("UltmtCdtr?", Customer)
    for_creditor_agent: tuple[Words, ...] = element("InstrForCdtrAgt*", Words)
    for_debtor_agent: str = element("InstrForDbtrAgt?", forms.TEXT_140)
    purpose: str = element("Purp?/|Cd", forms.CODE)
    purpose_own: str = element("Purp?/|Prtry", forms.TEXT_35)
    remittance: tuple[str, ...] = element("RmtInf?/Ustrd*", forms.TEXT_140)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """Transfers from one account on one day."""

    id: str = element("PmtInfId", forms.TEXT_35)
    method: str = element("PmtMtd", METHODS)
    is_batch_booked: bool | None = element("BtchBookg?", forms.FLAG)
    count: str = follows("NbOfTxs?", forms.NUMBER, lambda made: str(len(made.transfers)))
    sum: str = follows("CtrlSum?", forms.SUM, lambda made: control_sum(each.amount for each in made.transfers))
    type: OrderType | None = element("PmtTpInf?", OrderType)
    day: date | None = element("ReqdExctnDt/|Dt", forms.DAY)
    at: str = element("ReqdExctnDt/|DtTm", forms.MOMENT)
    debtor: Customer = element("Dbtr", Customer)
    debtor_account: Account = element("DbtrAcct", Account)
    debtor_agent: Institution = element("DbtrAgt", Institution)
    ultimate_debtor: Customer | None = element("UltmtDbtr?", Customer)
    charge_bearer: str = element("ChrgBr?", BEARERS)
    charges_account: Account | None = element("ChrgsAcct?", Account)
    transfers: tuple[OrderedTransfer, ...] = element("CdtTrfTxInf+", OrderedTransfer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiation:
    """A pain.001: orders of a customer."""

    id: str = element("GrpHdr/MsgId", forms.TEXT_35)
    created: str = element("GrpHdr/CreDtTm", forms.MOMENT)
    count: str = follows("GrpHdr/NbOfTxs", forms.NUMBER, lambda made: str(len(_transfers(made))))
    sum: str = follows("GrpHdr/CtrlSum?", forms.SUM, lambda made: control_sum(each.amount for each in _transfers(made)))
    initiator: Customer = element("GrpHdr/InitgPty", Customer)
    forwarder: Institution | None = element("GrpHdr/FwdgAgt?", Institution)
    orders: tuple[Orders, ...] = element("PmtInf+", Orders)


def _transfers(made: Initiation) -> list[OrderedTransfer]:
    return [one for each in made.orders for one in each.transfers]
