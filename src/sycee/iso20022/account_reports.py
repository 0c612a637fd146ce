"""Reports of an account from what was booked on it: camt.053 for a day, camt.052 within a day, camt.054 for entries.

Pure functions of balances and entries; a credit of the account is above zero, a debit below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sycee.iso20022.amounts import decimal_text
from sycee.iso20022.answers import header_of, moment
from sycee.iso20022.business_header import Header
from sycee.iso20022.elements import Amount
from sycee.iso20022.institutions import Institution
from sycee.iso20022.messages import Message
from sycee.iso20022.statements import (
    BOOKED,
    CLOSING,
    CREDIT,
    DEBIT,
    OPENING,
    Balance,
    Detail,
    Details,
    Entry,
    Notification,
    Notifications,
    OwnedAccount,
    Query,
    Report,
    Reports,
    Statement,
    Statements,
    Summary,
)

STATEMENT: Final = "camt.053.001.08"
REPORT: Final = "camt.052.001.08"
NOTIFICATION: Final = "camt.054.001.08"
INTERIM: Final = "ITBD"  # the balance of a report within a day
# Codes of a bank transaction (from memory): payments, received or issued credit transfers, of institutions.
_DOMAIN: Final = "PMNT"
_RECEIVED: Final = "RCDT"
_ISSUED: Final = "ICDT"
_OF_INSTITUTIONS: Final = "FICT"


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """One booked payment: `minor` is above zero for a credit of the account, `reference` is the house's own."""

    minor: int
    day: date
    reference: str
    uetr: str = ""
    instruction: str = ""
    end_to_end: str = ""
    debtor: Institution | None = None
    creditor: Institution | None = None


@dataclass(frozen=True, slots=True)
class AccountDay:
    """An account over a day or a part of it: its opening balance in minor units, and all entries since then."""

    account: OwnedAccount
    currency: str
    day: date
    opening: int
    entries: Sequence[AccountEntry]
    sequence: int = 0  # the number of the statement; 0 for none

    @property
    def closing(self) -> int:
        """The balance after all entries."""
        return self.opening + sum(each.minor for each in self.entries)


_KINDS: Final = {  # by the name of the message: its class, the class and the field of its accounts
    STATEMENT: (Statements, Statement, "statements"),
    REPORT: (Reports, Report, "reports"),
    NOTIFICATION: (Notifications, Notification, "notifications"),
}


def account_report(
    name: str,
    days: Sequence[AccountDay],
    *,
    id: str,
    at_ns: int,
    house: Institution,
    to: Header | None = None,
    query: Query | None = None,
) -> Message:
    """Return a STATEMENT with opening and closing balances, a REPORT with the balance now, or a NOTIFICATION with none.

    `to` is the header of the request (camt.060) that the message answers, `query` names it.
    """
    of, of_account, field = _KINDS[name]
    accounts = []
    for number, each in enumerate(days, 1):
        members: dict[str, Any] = {"id": f"{id[:30]}-{number}", "created": moment(at_ns), "account": each.account}
        if name != NOTIFICATION:
            closing = CLOSING if name == STATEMENT else INTERIM
            members["sequence"] = str(each.sequence or "")
            members["balances"] = (_balance(OPENING, each.opening, each), _balance(closing, each.closing, each))
            members["summary"] = _summary(each)
        accounts.append(of_account(**members, entries=tuple(_entry(one, each.currency) for one in each.entries)))
    value = of(id=id, created=moment(at_ns), query=query, **{field: tuple(accounts)})
    return Message(name, value, header_of(name, to, id=id, at_ns=at_ns, house=house))


def _side(minor: int) -> str:
    return CREDIT if minor >= 0 else DEBIT


def _balance(type: str, minor: int, of: AccountDay) -> Balance:
    return Balance(type=type, amount=Amount(of.currency, abs(minor)), side=_side(minor), day=of.day)


def _summary(of: AccountDay) -> Summary:
    credits = [each.minor for each in of.entries if each.minor >= 0]
    debits = [-each.minor for each in of.entries if each.minor < 0]
    return Summary(
        count=str(len(of.entries)),
        sum=decimal_text(sum(credits) + sum(debits), of.currency),
        credits=str(len(credits)),
        credit_sum=decimal_text(sum(credits), of.currency),
        debits=str(len(debits)),
        debit_sum=decimal_text(sum(debits), of.currency),
    )


def _entry(each: AccountEntry, currency: str) -> Entry:
    amount = Amount(currency, abs(each.minor))
    detail = Detail(
        account_reference=each.reference,
        instruction=each.instruction,
        end_to_end=each.end_to_end,
        uetr=each.uetr,
        amount=amount,
        side=_side(each.minor),
        sender=each.debtor,
        receiver=each.creditor,
        day=each.day,
    )
    return Entry(
        reference=each.reference,
        amount=amount,
        side=_side(each.minor),
        status=BOOKED,
        booked_day=each.day,
        value_day=each.day,
        account_reference=each.reference,
        domain=_DOMAIN,
        family=_RECEIVED if each.minor >= 0 else _ISSUED,
        sub_family=_OF_INSTITUTIONS,
        details=(Details(transactions=(detail,)),),
    )
