"""Day report of a merchant: payments and refunds per outlet and till, packets and own money apart, and sweeps.

Amounts are those of the ledger's movements of one local day; the reference of each movement names its till.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy

from sycee.archive.statements import statement
from sycee.core import ids
from sycee.core.errors import UsageError
from sycee.core.records.layout import Purpose
from sycee.database.stores import Stores
from sycee.database.transactions import reading
from sycee.identity.people import People
from sycee.identity.tables import OUTLETS, TILLS
from sycee.wallets.directory import Directory
from sycee.wallets.references import tills_of

if TYPE_CHECKING:
    from sycee.identity.institutions import Institutions

REPORT: Final = "merchant.report"
NO_TILL: Final = ""
# Nanoseconds since 1970 in 63 bits end in the year 2262.
FIRST_DAY: Final = date(1970, 1, 2)
LAST_DAY: Final = date(2261, 12, 31)

_GROSS: Final = {Purpose.PAY_OWN: "own_minor", Purpose.PAY_PURSE: "packets_minor"}
_REFUNDS: Final = {
    Purpose.REFUND_OWN: "refunded_own_minor",
    Purpose.REFUND_SUSPENSE: "refunded_own_minor",
    Purpose.REFUND_PURSE: "refunded_packets_minor",
}
_SWEPT: Final = (Purpose.SEND, Purpose.REJECT, Purpose.WATERFALL)


@dataclass(slots=True)
class TillDay:
    """One till on one day, amounts in minor units. `outlet`, `till`: codes, "" for payments without a till."""

    outlet: str
    till: str
    payments: int = 0
    refunds: int = 0
    own_minor: int = 0
    packets_minor: int = 0
    refunded_own_minor: int = 0
    refunded_packets_minor: int = 0

    @property
    def gross_minor(self) -> int:
        """Return the amount paid."""
        return self.own_minor + self.packets_minor

    @property
    def refunded_minor(self) -> int:
        """Return the amount refunded."""
        return self.refunded_own_minor + self.refunded_packets_minor

    @property
    def net_minor(self) -> int:
        """Return the amount paid, less the amount refunded."""
        return self.gross_minor - self.refunded_minor


@dataclass(frozen=True, slots=True)
class DayReport:
    """One merchant's account on one day: opening + gross - refunds - swept + other = closing, in minor units.

    `other_minor`: movements that are none of these, such as reversals. `frame`: the newest that was read.
    """

    merchant: int
    name: str
    account: int
    day: date
    currency: int
    opening_minor: int
    closing_minor: int
    swept_minor: int
    other_minor: int
    frame: int
    tills: list[TillDay] = field(default_factory=list)

    @property
    def gross_minor(self) -> int:
        """Return the sum of all payments."""
        return sum(each.gross_minor for each in self.tills)

    @property
    def refunded_minor(self) -> int:
        """Return the sum of all refunds."""
        return sum(each.refunded_minor for each in self.tills)


class Reports:
    """The day reports of merchants."""

    def __init__(self, stores: Stores, people: People, institutions: Institutions, directory: Directory) -> None:
        self._stores, self._people = stores, people
        self._institutions, self._directory = institutions, directory

    def day(self, merchant: int, day: date, *, by: int | None = None, account: int = 0) -> DayReport:
        """Return the report of one local day.

        `by`: the person who reads it, None for a caller with the data folder. `account`: of the merchant's wallets, the
        oldest by default. Raises UsageError for a person without the duty and an account of another merchant.
        """
        if not FIRST_DAY <= day <= LAST_DAY:
            raise UsageError(f"{day} is no day of a ledger", hint=f"name a day from {FIRST_DAY} to {LAST_DAY}")
        found = self._institutions.get(merchant)
        wallet = self._directory.get(account) if account else self._directory.open_of(merchant)
        if wallet.holder != merchant:
            raise UsageError(f"wallet {ids.format(account)} is another holder's", hint="name a wallet of the merchant")
        if by is not None:
            self._people.require(by, REPORT, operator=found.operator, institution=merchant)
        lines = statement(self._stores.ledger, wallet.account, from_=day, until=day + timedelta(days=1))
        tills = self._tills_of(merchant, (line.operation for line in lines.lines))
        by_till: dict[tuple[str, str], TillDay] = {}
        seen: dict[tuple[str, str], tuple[set[int], set[int]]] = defaultdict(lambda: (set(), set()))
        swept = other = 0
        for line in lines.lines:
            place = tills.get(line.operation, (NO_TILL, NO_TILL))
            name = _GROSS.get(line.purpose) if line.amount > 0 else _REFUNDS.get(line.purpose)
            if name is None:
                swept -= line.amount if line.purpose in _SWEPT else 0
                other += 0 if line.purpose in _SWEPT else line.amount
                continue
            row = by_till.setdefault(place, TillDay(*place))
            setattr(row, name, getattr(row, name) + abs(line.amount))
            seen[place][line.amount < 0].add(line.operation)
        for place, (payments, refunds) in seen.items():
            by_till[place].payments, by_till[place].refunds = len(payments), len(refunds)
        return DayReport(
            merchant,
            found.name,
            wallet.account,
            day,
            lines.currency,
            lines.opening,
            lines.closing,
            swept,
            other,
            lines.basis.frame,
            [by_till[place] for place in sorted(by_till)],
        )

    def _tills_of(self, merchant: int, operations: Iterable[int]) -> dict[int, tuple[str, str]]:
        """Return the codes of outlet and till of each operation that has a till."""
        joined = TILLS.join(OUTLETS, TILLS.c.outlet == OUTLETS.c.id)
        codes = sqlalchemy.select(TILLS.c.id, OUTLETS.c.code, TILLS.c.code.label("till")).select_from(joined)
        with reading(self._stores.engine) as connection:
            rows = connection.execute(codes.where(OUTLETS.c.merchant == merchant))
            names = {row.id: (row.code, row.till) for row in rows}  # of closed tills, too
            found = tills_of(connection, sorted(set(operations)))
        return {operation: names[till] for operation, till in found.items() if till in names}
