"""Movements of liquidity, and their receipts: camt.050.001.07 and camt.025.001.08."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sycee.iso20022 import forms
from sycee.iso20022.elements import Amount, element
from sycee.iso20022.institutions import Account, Institution, StatusReason


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidityTransfer:
    """A camt.050: moves an amount between accounts of one institution, or of two."""

    id: str = element("MsgHdr/MsgId", forms.TEXT_35)
    created: str = element("MsgHdr/CreDtTm?", forms.MOMENT)
    instruction: str = element("LqdtyCdtTrf/LqdtyTrfId?/InstrId?", forms.TEXT_35)
    end_to_end: str = element("LqdtyCdtTrf/LqdtyTrfId?/EndToEndId", forms.TEXT_35)
    transaction: str = element("LqdtyCdtTrf/LqdtyTrfId?/TxId?", forms.TEXT_35)
    uetr: str = element("LqdtyCdtTrf/LqdtyTrfId?/UETR?", forms.UETR)
    creditor: Institution | None = element("LqdtyCdtTrf/Cdtr?", Institution)
    creditor_account: Account | None = element("LqdtyCdtTrf/CdtrAcct?", Account)
    amount: Amount = element("LqdtyCdtTrf/TrfdAmt/AmtWthCcy", forms.AMOUNT_ABOVE_ZERO)
    debtor: Institution | None = element("LqdtyCdtTrf/Dbtr?", Institution)
    debtor_account: Account | None = element("LqdtyCdtTrf/DbtrAcct?", Account)
    day: date | None = element("LqdtyCdtTrf/SttlmDt?", forms.DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """What became of a request: a status such as COMP or REJT, with a reason."""

    status: str = element("Sts/|Cd", forms.CODE)
    status_own: str = element("Sts/|Prtry", forms.TEXT_35)
    reason: StatusReason | None = element("StsRsn?", StatusReason)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptDetails:
    """The receipt of one message."""

    original: str = element("OrgnlMsgId/MsgId", forms.TEXT_35)
    original_name: str = element("OrgnlMsgId/MsgNmId?", forms.TEXT_35)
    transaction: str = element("OrgnlPmtId?/|TxId", forms.TEXT_35)
    uetr: str = element("OrgnlPmtId?/|UETR", forms.UETR)
    handling: tuple[Handling, ...] = element("ReqHdlg*", Handling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A camt.025: answers a camt.050."""

    id: str = element("MsgHdr/MsgId", forms.TEXT_35)
    created: str = element("MsgHdr/CreDtTm?", forms.MOMENT)
    details: tuple[ReceiptDetails, ...] = element("RctDtls+", ReceiptDetails)
