"""Positions as accounts of a statement: what the ledger booked on one in a time, with the UETRs of its payments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy

from sycee.archive.statements import Statement, statement
from sycee.clearing.house import Position, Register
from sycee.clearing.tables import BOOKED, OPEN, PAYMENTS, RETURNED
from sycee.core import ids, money
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.core.timestamps import local_days
from sycee.database.stores import Stores
from sycee.database.transactions import reading

with extra("clearing"):
    from sycee.iso20022.account_reports import AccountDay, AccountEntry
from sycee.clearing.payments import uetr_text
from sycee.iso20022.bulk_credit_transfers import institution_of
from sycee.iso20022.statements import OwnedAccount

ENTRIES_MAX: Final = 20_000  # of one message: more do not fit a message of 64 MiB
_EPOCH: Final = date(1970, 1, 1).toordinal()


def number_of(position: Position) -> str:
    """Return the number by which messages name a position: the id of its account, 32 hexadecimal digits."""
    return f"{position.account:032x}"


class AccountDays:
    """Reads what was booked on positions. `zone`: of the days."""

    def __init__(self, stores: Stores, register: Register, zone: ZoneInfo) -> None:
        self._stores, self._register, self._zone = stores, register, zone

    def read(self, position: Position, from_ns: int, until_ns: int, day: date, *, earlier: int = 0) -> AccountDay:
        """Return a position in a time: its balance before, and its entries in order.

        An entry has the UETR of its payment, except where several equal payments of one pair of banks were booked at
        the ends of this time. `earlier`: entries that the message has already. Raises UsageError for a message of more
        than ENTRIES_MAX entries.
        """
        found = statement(self._stores.ledger, position.account, from_=from_ns, until=until_ns)
        if (size := earlier + found.rows.size) > ENTRIES_MAX:
            raise UsageError(
                f"{size:,} entries are more than the {ENTRIES_MAX:,} of a message of reports",
                hint="ask for a shorter time, FrToTm, or for one position in a message",
            )
        code = money.currency_of(position.currency).code
        account = OwnedAccount(number=number_of(position), currency=code)
        entries = self._entries(position, found, from_ns, until_ns)
        return AccountDay(account, code, day, found.opening, entries)

    def _entries(self, position: Position, found: Statement, from_ns: int, until_ns: int) -> list[AccountEntry]:
        owners = {
            each.account: each.participant
            for each in self._register.positions(OPEN)
            if each.currency == position.currency
        }
        codes = {each.participant: each.code for each in self._register.participants()}
        days = local_days(found.rows["time_ns"], self._zone.key)
        others = [owners.get(ids.to_int(each), 0) for each in found.counterparties]
        amounts = found.amounts.tolist()
        uetrs = self._uetrs(position, list(zip(others, amounts, strict=True)), from_ns, until_ns)
        made = []
        for at, (other, minor) in enumerate(zip(others, amounts, strict=True)):
            ends = [institution_of(codes[each]) if each else None for each in (position.participant, other)]
            payer, payee = ends if minor < 0 else ends[::-1]
            made.append(
                AccountEntry(
                    minor=minor,
                    day=date.fromordinal(_EPOCH + int(days[at])),
                    reference=f"{ids.of_record(found.rows[at], 'operation'):032x}",
                    uetr=uetrs[at],
                    debtor=payer if other else None,
                    creditor=payee if other else None,
                )
            )
        return made

    def _uetrs(self, position: Position, lines: Sequence[tuple[int, int]], from_ns: int, until_ns: int) -> list[str]:
        """Return the UETR of each line, a counterparty and an amount; "" where none, or another number, was booked."""
        booked: dict[tuple[int, int], list[str]] = defaultdict(list)
        for row in self._booked(position, from_ns, until_ns):
            for sender, receiver, currency, minor in (
                (row.sender, row.receiver, row.currency, row.minor),
                (row.receiver, row.sender, row.back_currency, row.back_minor),
            ):
                if currency == position.currency and position.participant in (sender, receiver):
                    is_payer = sender == position.participant
                    key = (receiver, -minor) if is_payer else (sender, minor)
                    booked[key].append(uetr_text(row.uetr))
        counts: dict[tuple[int, int], int] = defaultdict(int)
        for each in lines:
            counts[each] += 1
        left = {key: iter(found) for key, found in booked.items() if len(found) == counts[key]}
        return [next(left[each]) if each in left else "" for each in lines]

    def _booked(self, position: Position, from_ns: int, until_ns: int) -> Sequence[Any]:
        names = ("uetr", "sender", "receiver", "currency", "minor", "back_currency", "back_minor")
        mine = (PAYMENTS.c.sender == position.participant) | (PAYMENTS.c.receiver == position.participant)
        within = (PAYMENTS.c.booked_ns >= from_ns) & (PAYMENTS.c.booked_ns < until_ns)
        chosen = mine & within & PAYMENTS.c.state.in_((BOOKED, RETURNED))
        query = sqlalchemy.select(*(PAYMENTS.c[name] for name in names)).where(chosen)
        with reading(self._stores.engine) as connection:
            return connection.execute(query.order_by(PAYMENTS.c.booked_ns, PAYMENTS.c.number)).all()
