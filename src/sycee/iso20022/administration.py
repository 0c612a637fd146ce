"""Messages about messages and about the system: admi.002.001.01, admi.004.001.02 and admi.007.001.01."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.iso20022 import forms
from sycee.iso20022.elements import element


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """An admi.002: refuses a message that cannot be read. `original` is its id, or NOTPROVIDED."""

    original: str = element("RltdRef/Ref", forms.TEXT_35)
    reason: str = element("Rsn/RjctgPtyRsn", forms.TEXT_35)
    at: str = element("Rsn/RjctnDtTm?", forms.MOMENT)
    place: str = element("Rsn/ErrLctn?", forms.TEXT_350)
    description: str = element("Rsn/RsnDesc?", forms.TEXT_350)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemEvent:
    """An admi.004: tells of an event of the system, such as the end of a window."""

    code: str = element("EvtInf/EvtCd", forms.CODE)
    parameters: tuple[str, ...] = element("EvtInf/EvtParam*", forms.TEXT_35)
    description: str = element("EvtInf/EvtDesc?", forms.TEXT_1000)
    at: str = element("EvtInf/EvtTm?", forms.MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """The receipt of one message, with a code of the house."""

    original: str = element("RltdRef/Ref", forms.TEXT_35)
    original_name: str = element("RltdRef/MsgNm?", forms.TEXT_35)
    status: str = element("ReqHdlg/StsCd", forms.CODE)
    at: str = element("ReqHdlg/StsDtTm?", forms.MOMENT)
    description: str = element("ReqHdlg/Desc?", forms.TEXT_140)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgements:
    """An admi.007: acknowledges messages."""

    id: str = element("MsgId/MsgId", forms.TEXT_35)
    created: str = element("MsgId/CreDtTm?", forms.MOMENT)
    reports: tuple[Acknowledgement, ...] = element("Rpt+", Acknowledgement)
