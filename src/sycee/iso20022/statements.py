"""Accounts as their servicer reports them: camt.052, camt.053 and camt.054 .001.08, asked for by camt.060.001.05."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from sycee.iso20022 import forms
from sycee.iso20022.amounts import decimal_text
from sycee.iso20022.elements import Amount, Problem, element
from sycee.iso20022.institutions import Account, Actor, Customer, Institution

CREDIT: Final = "CRDT"
DEBIT: Final = "DBIT"
BOOKED: Final = "BOOK"
OPENING: Final = "OPBD"
CLOSING: Final = "CLBD"
SIDES: Final = forms.one_of("Side", CREDIT, DEBIT)
COPIES: Final = forms.one_of("Copy", "CODU", "COPY", "DUPL")
REQUESTS: Final = forms.one_of("Query", "ALLL", "CHNG", "MODF")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The number of a page, and whether it is the last one."""

    number: str = element("PgNb", forms.PAGE)
    is_last: bool = element("LastPgInd", forms.FLAG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """The request that a report answers."""

    id: str = element("MsgId", forms.TEXT_35)
    name: str = element("MsgNmId?", forms.TEXT_35)
    created: str = element("CreDtTm?", forms.MOMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedAccount:
    """An account with its owner and its servicer."""

    iban: str = element("Id/|IBAN", forms.IBAN)
    number: str = element("Id/|Othr/Id", forms.TEXT_34)
    scheme: str = element("Id/|Othr/SchmeNm?/|Cd", forms.CODE)
    scheme_own: str = element("Id/|Othr/SchmeNm?/|Prtry", forms.TEXT_35)
    issuer: str = element("Id/|Othr/Issr?", forms.TEXT_35)
    type: str = element("Tp?/|Cd", forms.CODE)
    type_own: str = element("Tp?/|Prtry", forms.TEXT_35)
    currency: str = element("Ccy?", forms.CURRENCY_CODE)
    name: str = element("Nm?", forms.TEXT_70)
    owner: Customer | None = element("Ownr?", Customer)
    servicer: Institution | None = element("Svcr?", Institution)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """A balance: `type` is of ExternalBalanceType1Code, such as OPBD or CLBD."""

    type: str = element("Tp/CdOrPrtry/|Cd", forms.CODE)
    type_own: str = element("Tp/CdOrPrtry/|Prtry", forms.TEXT_35)
    amount: Amount = element("Amt", forms.AMOUNT_OR_ZERO)
    side: str = element("CdtDbtInd", SIDES)
    day: date | None = element("Dt/|Dt", forms.DAY)
    at: str = element("Dt/|DtTm", forms.MOMENT)

    @property
    def minor(self) -> int:
        """The balance in minor units; a debit balance is below zero."""
        return self.amount.minor if self.side == CREDIT else -self.amount.minor


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Numbers and sums of the entries of a page."""

    count: str = element("TtlNtries?/NbOfNtries?", forms.NUMBER)
    sum: str = element("TtlNtries?/Sum?", forms.SUM)
    credits: str = element("TtlCdtNtries?/NbOfNtries?", forms.NUMBER)
    credit_sum: str = element("TtlCdtNtries?/Sum?", forms.SUM)
    debits: str = element("TtlDbtNtries?/NbOfNtries?", forms.NUMBER)
    debit_sum: str = element("TtlDbtNtries?/Sum?", forms.SUM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One transaction of an entry."""

    message: str = element("Refs?/MsgId?", forms.TEXT_35)
    account_reference: str = element("Refs?/AcctSvcrRef?", forms.TEXT_35)
    payment: str = element("Refs?/PmtInfId?", forms.TEXT_35)
    instruction: str = element("Refs?/InstrId?", forms.TEXT_35)
    end_to_end: str = element("Refs?/EndToEndId?", forms.TEXT_35)
    uetr: str = element("Refs?/UETR?", forms.UETR)
    transaction: str = element("Refs?/TxId?", forms.TEXT_35)
    clearing: str = element("Refs?/ClrSysRef?", forms.TEXT_35)
    amount: Amount | None = element("Amt?", forms.AMOUNT_OR_ZERO)
    side: str = element("CdtDbtInd?", SIDES)
    debtor: Actor | None = element("RltdPties?/Dbtr?", Actor)
    debtor_account: Account | None = element("RltdPties?/DbtrAcct?", Account)
    creditor: Actor | None = element("RltdPties?/Cdtr?", Actor)
    creditor_account: Account | None = element("RltdPties?/CdtrAcct?", Account)
    sender: Institution | None = element("RltdAgts?/InstgAgt?", Institution)
    receiver: Institution | None = element("RltdAgts?/InstdAgt?", Institution)
    debtor_agent: Institution | None = element("RltdAgts?/DbtrAgt?", Institution)
    creditor_agent: Institution | None = element("RltdAgts?/CdtrAgt?", Institution)
    purpose: str = element("Purp?/|Cd", forms.CODE)
    purpose_own: str = element("Purp?/|Prtry", forms.TEXT_35)
    remittance: tuple[str, ...] = element("RmtInf?/Ustrd*", forms.TEXT_140)
    day: date | None = element("RltdDts?/IntrBkSttlmDt?", forms.DAY)
    information: str = element("AddtlTxInf?", forms.TEXT_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Transactions of an entry, which may be a batch."""

    message: str = element("Btch?/MsgId?", forms.TEXT_35)
    payment: str = element("Btch?/PmtInfId?", forms.TEXT_35)
    count: str = element("Btch?/NbOfTxs?", forms.NUMBER)
    total: Amount | None = element("Btch?/TtlAmt?", forms.AMOUNT_OR_ZERO)
    side: str = element("Btch?/CdtDbtInd?", SIDES)
    transactions: tuple[Detail, ...] = element("TxDtls*", Detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of an account."""

    reference: str = element("NtryRef?", forms.TEXT_35)
    amount: Amount = element("Amt", forms.AMOUNT_OR_ZERO)
    side: str = element("CdtDbtInd", SIDES)
    is_reversal: bool | None = element("RvslInd?", forms.FLAG)
    status: str = element("Sts/|Cd", forms.CODE)
    status_own: str = element("Sts/|Prtry", forms.TEXT_35)
    booked_day: date | None = element("BookgDt?/|Dt", forms.DAY)
    booked: str = element("BookgDt?/|DtTm", forms.MOMENT)
    value_day: date | None = element("ValDt?/|Dt", forms.DAY)
    value_at: str = element("ValDt?/|DtTm", forms.MOMENT)
    account_reference: str = element("AcctSvcrRef?", forms.TEXT_35)
    domain: str = element("BkTxCd/Domn?/Cd", forms.CODE)
    family: str = element("BkTxCd/Domn?/Fmly/Cd", forms.CODE)
    sub_family: str = element("BkTxCd/Domn?/Fmly/SubFmlyCd", forms.CODE)
    code_own: str = element("BkTxCd/Prtry?/Cd", forms.TEXT_35)
    code_issuer: str = element("BkTxCd/Prtry?/Issr?", forms.TEXT_35)
    details: tuple[Details, ...] = element("NtryDtls*", Details)
    information: str = element("AddtlNtryInf?", forms.TEXT_500)

    @property
    def minor(self) -> int:
        """The entry in minor units; a debit is below zero."""
        return self.amount.minor if self.side == CREDIT else -self.amount.minor


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfAccount:
    """What camt.052, camt.053 and camt.054 state of one account. `page` has another element in each of them."""

    id: str = element("Id", forms.TEXT_35)
    page: Page | None = None
    sequence: str = element("ElctrncSeqNb?", forms.SEQUENCE)
    created: str = element("CreDtTm?", forms.MOMENT)
    begin: str = element("FrToDt?/FrDtTm", forms.MOMENT)
    end: str = element("FrToDt?/ToDtTm", forms.MOMENT)
    copy: str = element("CpyDplctInd?", COPIES)
    account: OwnedAccount = element("Acct", OwnedAccount)


@dataclass(frozen=True, slots=True, kw_only=True)
class _OfAccounts:
    """The header of camt.052, camt.053 and camt.054."""

    id: str = element("GrpHdr/MsgId", forms.TEXT_35)
    created: str = element("GrpHdr/CreDtTm", forms.MOMENT)
    receiver: Customer | None = element("GrpHdr/MsgRcpt?", Customer)
    page: Page | None = element("GrpHdr/MsgPgntn?", Page)
    query: Query | None = element("GrpHdr/OrgnlBizQry?", Query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(_OfAccount):
    """The report of one account in a camt.052."""

    page: Page | None = element("RptPgntn?", Page)
    balances: tuple[Balance, ...] = element("Bal*", Balance)
    summary: Summary | None = element("TxsSummry?", Summary)
    entries: tuple[Entry, ...] = element("Ntry*", Entry)
    information: str = element("AddtlRptInf?", forms.TEXT_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(_OfAccount):
    """The statement of one account in a camt.053."""

    page: Page | None = element("StmtPgntn?", Page)
    balances: tuple[Balance, ...] = element("Bal+", Balance)
    summary: Summary | None = element("TxsSummry?", Summary)
    entries: tuple[Entry, ...] = element("Ntry*", Entry)
    information: str = element("AddtlStmtInf?", forms.TEXT_500)

    def balance(self, type: str) -> Balance | None:
        """Return the balance of this type, if there is one only."""
        found = [each for each in self.balances if each.type == type]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification(_OfAccount):
    """The entries of one account in a camt.054."""

    page: Page | None = element("NtfctnPgntn?", Page)
    summary: Summary | None = element("TxsSummry?", Summary)
    entries: tuple[Entry, ...] = element("Ntry*", Entry)
    information: str = element("AddtlNtfctnInf?", forms.TEXT_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports(_OfAccounts):
    """A camt.052: accounts within a day."""

    reports: tuple[Report, ...] = element("Rpt+", Report)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements(_OfAccounts):
    """A camt.053: accounts of whole days."""

    statements: tuple[Statement, ...] = element("Stmt+", Statement)

    def problems(self) -> Iterator[Problem]:
        """Yield closing balances that do not follow from the opening balance and the booked entries."""
        for number, each in enumerate(self.statements, 1):
            opening, closing = each.balance(OPENING), each.balance(CLOSING)
            if opening is None or closing is None or opening.amount.currency != closing.amount.currency:
                continue
            booked = sum(entry.minor for entry in each.entries if entry.status == BOOKED)
            if opening.minor + booked != closing.minor:
                currency = closing.amount.currency
                right = opening.minor + booked
                problem = f"opening balance and entries give {'-' if right < 0 else ''}"
                problem += f"{decimal_text(abs(right), currency)} {currency}"
                place = f"Stmt[{number}]/Bal[{each.balances.index(closing) + 1}]/Amt"
                yield Problem(place, forms.CONTROL_SUM, problem, "the statement with all its entries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications(_OfAccounts):
    """A camt.054: single entries, as they are booked."""

    notifications: tuple[Notification, ...] = element("Ntfctn+", Notification)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One report that is asked for: `wanted` is the name of a message, such as camt.053.001.08."""

    id: str = element("Id?", forms.TEXT_35)
    wanted: str = element("ReqdMsgNmId", forms.TEXT_35)
    account: Account | None = element("Acct?", Account)
    owner: Actor = element("AcctOwnr", Actor)
    servicer: Institution | None = element("AcctSvcr?", Institution)
    first_day: date | None = element("RptgPrd?/FrToDt/FrDt", forms.DAY)
    last_day: date | None = element("RptgPrd?/FrToDt/ToDt?", forms.DAY)
    from_time: str = element("RptgPrd?/FrToTm?/FrTm", forms.TIME)
    to_time: str = element("RptgPrd?/FrToTm?/ToTm?", forms.TIME)
    kind: str = element("RptgPrd?/Tp", REQUESTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """A camt.060: asks for reports of accounts."""

    id: str = element("GrpHdr/MsgId", forms.TEXT_35)
    created: str = element("GrpHdr/CreDtTm", forms.MOMENT)
    sender: Actor | None = element("GrpHdr/MsgSndr?", Actor)
    requests: tuple[Request, ...] = element("RptgReq+", Request)
