"""Institutions, parties, addresses and accounts as all messages name them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sycee.iso20022 import forms
from sycee.iso20022.elements import Amount, element


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A postal address; `lines` are unstructured."""

    department: str = element("Dept?", forms.TEXT_70)
    sub_department: str = element("SubDept?", forms.TEXT_70)
    street: str = element("StrtNm?", forms.TEXT_70)
    building: str = element("BldgNb?", forms.TEXT_16)
    building_name: str = element("BldgNm?", forms.TEXT_35)
    floor: str = element("Flr?", forms.TEXT_70)
    post_box: str = element("PstBx?", forms.TEXT_16)
    room: str = element("Room?", forms.TEXT_70)
    post_code: str = element("PstCd?", forms.TEXT_16)
    town: str = element("TwnNm?", forms.TEXT_35)
    town_part: str = element("TwnLctnNm?", forms.TEXT_35)
    district: str = element("DstrctNm?", forms.TEXT_35)
    province: str = element("CtrySubDvsn?", forms.TEXT_35)
    country: str = element("Ctry?", forms.COUNTRY_CODE)
    lines: tuple[str, ...] = element("AdrLine{0,7}", forms.TEXT_70)


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """A financial institution by its codes, "" where not given."""

    bic: str = element("FinInstnId/BICFI?", forms.BICFI)
    clearing_system: str = element("FinInstnId/ClrSysMmbId?/ClrSysId?/|Cd", forms.CODE_5)
    clearing_system_own: str = element("FinInstnId/ClrSysMmbId?/ClrSysId?/|Prtry", forms.TEXT_35)
    member: str = element("FinInstnId/ClrSysMmbId?/MmbId", forms.TEXT_35)
    lei: str = element("FinInstnId/LEI?", forms.LEI)
    name: str = element("FinInstnId/Nm?", forms.TEXT_140)
    address: Address | None = element("FinInstnId/PstlAdr?", Address)
    other: str = element("FinInstnId/Othr?/Id", forms.TEXT_35)
    branch: str = element("BrnchId?/Id?", forms.TEXT_35)
    branch_name: str = element("BrnchId?/Nm?", forms.TEXT_140)
    branch_address: Address | None = element("BrnchId?/PstlAdr?", Address)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherNumber:
    """A number of a person or firm, under a scheme of its issuer."""

    id: str = element("Id", forms.TEXT_35)
    scheme: str = element("SchmeNm?/|Cd", forms.CODE)
    scheme_own: str = element("SchmeNm?/|Prtry", forms.TEXT_35)
    issuer: str = element("Issr?", forms.TEXT_35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """Date and place of a birth."""

    day: date = element("BirthDt", forms.DAY)
    province: str = element("PrvcOfBirth?", forms.TEXT_35)
    town: str = element("CityOfBirth", forms.TEXT_35)
    country: str = element("CtryOfBirth", forms.COUNTRY_CODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """The numbers of a firm."""

    bic: str = element("AnyBIC?", forms.BICFI)
    lei: str = element("LEI?", forms.LEI)
    others: tuple[OtherNumber, ...] = element("Othr*", OtherNumber)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """The numbers of a person."""

    birth: Birth | None = element("DtAndPlcOfBirth?", Birth)
    others: tuple[OtherNumber, ...] = element("Othr*", OtherNumber)


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A person or firm. At most one of `firm` and `person` is given."""

    name: str = element("Nm?", forms.TEXT_140)
    address: Address | None = element("PstlAdr?", Address)
    firm: Firm | None = element("Id?/|OrgId", Firm)
    person: Person | None = element("Id?/|PrvtId", Person)
    residence: str = element("CtryOfRes?", forms.COUNTRY_CODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account, by its IBAN or another number."""

    iban: str = element("Id/|IBAN", forms.IBAN)
    number: str = element("Id/|Othr/Id", forms.TEXT_34)
    scheme: str = element("Id/|Othr/SchmeNm?/|Cd", forms.CODE)
    scheme_own: str = element("Id/|Othr/SchmeNm?/|Prtry", forms.TEXT_35)
    issuer: str = element("Id/|Othr/Issr?", forms.TEXT_35)
    type: str = element("Tp?/|Cd", forms.CODE)
    type_own: str = element("Tp?/|Prtry", forms.TEXT_35)
    currency: str = element("Ccy?", forms.CURRENCY_CODE)
    name: str = element("Nm?", forms.TEXT_70)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeOrOwn:
    """A code of an external list, or a word of the sender's own."""

    code: str = element("|Cd", forms.CODE)
    own: str = element("|Prtry", forms.TEXT_35)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """One of both: a person or firm, or an institution."""

    customer: Customer | None = element("|Pty", Customer)
    institution: Institution | None = element("|Agt", Institution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """An amount that an institution took."""

    amount: Amount = element("Amt", forms.AMOUNT_OR_ZERO)
    by: Institution = element("Agt", Institution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The message that another one is about. `created` is the text of its time."""

    id: str = element("OrgnlMsgId", forms.TEXT_35)
    name: str = element("OrgnlMsgNmId", forms.TEXT_35)
    created: str = element("OrgnlCreDtTm?", forms.MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusReason:
    """A reason by its code, or in own words, with more lines of information."""

    by: Customer | None = element("Orgtr?", Customer)
    code: str = element("Rsn?/|Cd", forms.CODE)
    own: str = element("Rsn?/|Prtry", forms.TEXT_35)
    information: tuple[str, ...] = element("AddtlInf*", forms.TEXT_105)
