"""Statements of other institutions (camt.053) against positions: what agrees, and breaks with a proposed cause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sycee.clearing.account_days import AccountDays
from sycee.clearing.house import Register
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.iso20022.messages import Message
from sycee.iso20022.reconciliation import Booked, Reconciliation, reconcile, stated_of
from sycee.iso20022.statements import CLOSING, Statement

STATEMENT: Final = "camt.053.001.08"


class ReceivedStatements:
    """Compares statements with the positions of one house. `zone`: of its days."""

    def __init__(self, register: Register, days: AccountDays, zone: ZoneInfo) -> None:
        self._register, self._days, self._zone = register, days, zone

    def compare(self, participant: int, message: Message) -> Iterator[tuple[Statement, Reconciliation]]:
        """Yield each statement of a camt.053 with what came of its comparison with the participant's position.

        The currency of a statement names the position. Its time is FrToDt, or else the days of its closing balance and
        its entries. Credits of the statement are money that the position received. Raises UsageError for another
        message and for a statement without a day, NotFound if the participant has no position in the currency.
        """
        if message.name != STATEMENT:
            raise UsageError(f"the message is a {message.name}", hint=f"name a file with a {STATEMENT}")
        for each in message.value.statements:
            code = each.account.currency or each.balances[0].amount.currency
            position = self._register.position(participant, money.currency(code).numeric)
            begin, end = self._time(each)
            found = self._days.read(position, _ns(begin), _ns(end), begin.date())
            ours = [
                Booked(one.reference, tuple(filter(None, (one.uetr, one.reference))), one.minor, one.day)
                for one in found.entries
            ]
            yield each, reconcile(each, ours)

    def _time(self, of: Statement) -> tuple[datetime, datetime]:
        if of.begin and of.end:
            begin, end = (self._moment(each) for each in (of.begin, of.end))
            if begin < end:
                return begin, end
        days = {each.day for each in stated_of(of)} | {each.day for each in of.balances if each.type == CLOSING}
        known = sorted(each for each in days if each is not None)
        if not known:
            raise UsageError(f"the statement {of.id} has no day", hint="it needs FrToDt, or a closing balance of a day")
        return self._midnight(known[0]), self._midnight(known[-1] + timedelta(days=1))

    def _moment(self, text: str) -> datetime:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=self._zone)

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self._zone)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
