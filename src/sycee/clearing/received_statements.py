"""Statements of other institutions (camt.053) against positions: what agrees, and breaks with a proposed cause."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sycee.clearing.account_days import AccountDays
from sycee.clearing.gateway import moment_ns
from sycee.clearing.house import Register
from sycee.clearing.member_messages import MIDNIGHT
from sycee.core import money
from sycee.core.errors import UsageError
from sycee.iso20022.messages import Message
from sycee.iso20022.reconciliation import Booked, Reconciliation, reconcile, stated_of
from sycee.iso20022.statements import CLOSING, Statement

DAY_SIZE: Final = len("2026-11-02")
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
            position = self._register.position(participant, currency_of(each).numeric)
            day, begin_ns, end_ns = self._time(each)
            found = self._days.read(position, begin_ns, end_ns, day)
            ours = [
                Booked(one.reference, tuple(filter(None, (one.uetr, one.reference))), one.minor, one.day)
                for one in found.entries
            ]
            yield each, reconcile(each, ours)

    def _time(self, of: Statement) -> tuple[date, int, int]:
        """Return the first day of a statement, and its time, from and until in nanoseconds."""
        if of.begin and of.end:
            begin_ns, end_ns = (moment_ns(_day(each), each[DAY_SIZE + 1 :], self._zone) for each in (of.begin, of.end))
            if begin_ns < end_ns:
                return _day(of.begin), begin_ns, end_ns
        days = {each.day for each in stated_of(of)} | {each.day for each in of.balances if each.type == CLOSING}
        known = sorted(each for each in days if each is not None)
        if not known:
            raise UsageError(f"the statement {of.id} has no day", hint="it needs FrToDt, or a closing balance of a day")
        after = known[-1] + timedelta(days=1)
        return known[0], moment_ns(known[0], MIDNIGHT, self._zone), moment_ns(after, MIDNIGHT, self._zone)


def currency_of(statement: Statement) -> money.Currency:
    """Return the currency of a statement: of its account, or else of its first balance."""
    return money.currency(statement.account.currency or statement.balances[0].amount.currency)


def _day(text: str) -> date:
    """Return the day of an ISO date and time."""
    return date.fromisoformat(text[:DAY_SIZE])
