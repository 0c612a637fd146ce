"""The design that a programme file describes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sycee.core.errors import UsageError
from sycee.programmes import definition
from sycee.programmes.definition import Programme
from sycee.sandbox.behaviour.design import FIRST_COME, LOTTERY, UNIVERSAL, Design

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOW: Final = {
    definition.LOTTERY: LOTTERY,
    definition.RANDOM_SPLIT: LOTTERY,
    definition.FIRST_COME: FIRST_COME,
    definition.LIST: UNIVERSAL,
    definition.EQUAL: FIRST_COME,
}


@dataclass(frozen=True, slots=True)
class _Days:
    """Local days of a programme, counted from the first on which a packet can be claimed or spent."""

    programme: Programme
    first_ns: int

    def of(self, moment_ns: int) -> int:
        """Return the day of a moment."""
        return (self._local(moment_ns).date() - self._local(self.first_ns).date()).days

    def last(self, until_ns: int) -> int:
        """Return the last day of a window, whose end is excluded."""
        return max(self.of(until_ns - 1), 0)

    def weekday(self) -> int:
        """Return the weekday of day 0; 0 is Monday."""
        return self._local(self.first_ns).weekday()

    def _local(self, moment_ns: int) -> datetime:
        return (_EPOCH + timedelta(microseconds=moment_ns // 1_000)).astimezone(self.programme.zone)


def design(programme: Programme, *, population: int = 0, registered: int = 0, recipients: int = 0) -> Design:
    """Return the design of a programme whose packets are in an app.

    population: to which its counts refer; 0 for the persons of the run. registered: known registrants, 0 for unknown.
    recipients: needed for a programme of equal shares, whose file does not have their number: all who register. Day 0
    is the local day on which claiming or spending begins. Shops are those of the programme's merchant groups:
    `city.groups.members` finds them in a city, and `engine.run.prepare` takes them. Amounts of a random split are their
    mean.
    """
    days = _Days(programme, min(programme.claim.from_ns, programme.spending.from_ns))
    classes = tuple((each.count, each.amount_minor) for each in programme.packets)
    if not classes:
        count = recipients if programme.mode == definition.EQUAL else programme.draw.winners
        if not count:
            raise UsageError(
                f'the programme "{programme.name}" divides its budget among recipients whose number it does not have',
                hint="give the number of recipients",
            )
        if programme.budget_minor < count:
            raise UsageError(
                f"{count:,} persons cannot share the budget of {programme.name}, {programme.budget_minor} minor units",
                hint="a larger budget, or fewer recipients",
            )
        classes = ((count, programme.budget_minor // count),)
    return Design(
        how=_HOW[programme.mode],
        classes=classes,
        population=population,
        registered=registered,
        payment_min=programme.rules.payment_min_minor,
        per_payment_max=programme.rules.per_payment_max_minor,
        claim_from=days.of(programme.claim.from_ns),
        claim_until=days.last(programme.claim.until_ns),
        spend_from=days.of(programme.spending.from_ns),
        spend_until=days.last(programme.spending.until_ns),
        own_money=programme.rules.own_money,
        divisible=programme.rules.divisible,
        first_weekday=days.weekday(),
    )
