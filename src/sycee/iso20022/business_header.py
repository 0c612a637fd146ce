"""The header of a message, head.001: who sends it to whom, under which id, and which message it is."""

from __future__ import annotations

from dataclasses import dataclass

from sycee.iso20022 import forms
from sycee.iso20022.elements import element
from sycee.iso20022.institutions import Customer, Institution


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The sender or the receiver of a message: one of both."""

    customer: Customer | None = element("|OrgId", Customer)
    institution: Institution | None = element("|FIId", Institution)

    @property
    def bic(self) -> str:
        """The BIC; "" where not given."""
        if self.institution:
            return self.institution.bic
        return self.customer.firm.bic if self.customer and self.customer.firm else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedHeader:
    """The header of the message that this one answers."""

    sender: End = element("Fr", End)
    receiver: End = element("To", End)
    id: str = element("BizMsgIdr", forms.TEXT_35)
    message: str = element("MsgDefIdr", forms.TEXT_35)
    service: str = element("BizSvc?", forms.TEXT_35)
    created: str = element("CreDt", forms.MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header of a message. `id` is the BizMsgIdr, `message` the name with version, `created` the text of a time."""

    sender: End = element("Fr", End)
    receiver: End = element("To", End)
    id: str = element("BizMsgIdr", forms.TEXT_35)
    message: str = element("MsgDefIdr", forms.TEXT_35)
    service: str = element("BizSvc?", forms.TEXT_35)
    created: str = element("CreDt", forms.MOMENT)
    copy: str = element("CpyDplct?", forms.one_of("CopyDuplicate", "CODU", "COPY", "DUPL"))
    is_possible_duplicate: bool | None = element("PssblDplct?", forms.FLAG)
    priority: str = element("Prty?", forms.one_of("HeaderPriority", "HIGH", "NORM"))
    related: tuple[RelatedHeader, ...] = element("Rltd*", RelatedHeader)
