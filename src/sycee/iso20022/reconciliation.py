"""Compare a statement of an account (camt.053) with what was booked here, and propose the cause of each difference.

A pure function of both sides. Entries are joined by their references first, then by amount and day, then by sums. A
cause is a proposal for a person: the amounts and references of a break are exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from typing import Final

from sycee.iso20022.statements import BOOKED, CREDIT, Detail, Entry, Statement

SUMS_MAX: Final = 50_000  # sums that the search for a netted entry keeps at most
SEARCHES_MAX: Final = 200  # entries of each side for which sums are searched: some seconds


class Cause(Enum):
    """The proposed cause of a break."""

    MISSING_HERE = "missing here"
    MISSING_THERE = "missing there"
    AMOUNT = "amount differs"
    SIDE = "debit and credit are exchanged"
    DATE = "date differs"
    DUPLICATE_HERE = "booked twice here"
    DUPLICATE_THERE = "stated twice"
    UNKNOWN_REFERENCE = "unknown reference"
    NETTED_THERE = "one entry there is the sum of several here"
    NETTED_HERE = "one entry here is the sum of several there"


@dataclass(frozen=True, slots=True)
class Stated:
    """One transaction of a statement; a debit is below zero. `references` are the UETR first, then others."""

    references: tuple[str, ...]
    minor: int
    day: date | None
    entry: int  # its number in the statement, from 1


@dataclass(frozen=True, slots=True)
class Booked:
    """One entry of our own books; a debit is below zero. `references` are the UETR first, then others."""

    id: str
    references: tuple[str, ...]
    minor: int
    day: date


@dataclass(frozen=True, slots=True)
class Break:
    """A difference: what was stated and booked, and `minor`, how much more was stated than booked."""

    cause: Cause
    stated: tuple[Stated, ...]
    booked: tuple[Booked, ...]

    @property
    def minor(self) -> int:
        """How much more was stated than booked."""
        return self.stated_minor - self.booked_minor

    @property
    def stated_minor(self) -> int:
        """What was stated, in all."""
        return sum(each.minor for each in self.stated)

    @property
    def booked_minor(self) -> int:
        """What was booked, in all."""
        return sum(each.minor for each in self.booked)

    @property
    def reference(self) -> str:
        """The first reference of either side, a UETR if there is one; "" without any."""
        sides: tuple[Stated | Booked, ...] = (*self.stated, *self.booked)
        return next((each.references[0] for each in sides if each.references), "")


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result: the number of pairs that agree, breaks, and the entries that are not booked there yet."""

    agreed: int
    breaks: tuple[Break, ...]
    pending: int

    @property
    def minor(self) -> int:
        """How much more was stated than booked, over all breaks."""
        return sum(each.minor for each in self.breaks)


def reconcile(statement: Statement, booked: Sequence[Booked]) -> Reconciliation:
    """Compare the booked entries of a statement with ours, in the same currency.

    Breaks are in the order of the statement; those of which the statement knows nothing follow in our order. Each
    entry is in one pair or in one break.
    """
    stated = list(stated_of(statement))
    booked = [replace(each) for each in booked]  # each is told apart by its identity
    pairing = _Pairing(stated, booked)
    pairing.by_reference()
    pairing.by_amount()
    pairing.by_sum()
    pairing.rest()
    pending = sum(each.status != BOOKED for each in statement.entries)
    order = {id(each): number for number, each in enumerate([*stated, *booked])}
    breaks = sorted(pairing.breaks, key=lambda one: min(order[id(each)] for each in (*one.stated, *one.booked)))
    return Reconciliation(pairing.agreed, tuple(breaks), pending)


def stated_of(statement: Statement) -> Iterator[Stated]:
    """Yield the transactions of all booked entries; an entry whose details do not sum to it is one transaction."""
    for number, entry in enumerate(statement.entries, 1):
        if entry.status != BOOKED:
            continue
        details = [one for each in entry.details for one in each.transactions]
        amounts = [_signed(entry, each) for each in details]
        if (
            len(details) > 1
            and sum(each for each in amounts if each is not None) == entry.minor
            and None not in amounts
        ):
            for detail, minor in zip(details, amounts, strict=True):
                yield Stated(_references(detail), minor or 0, _day(entry, detail), number)
        else:
            of = details[0] if len(details) == 1 else None
            own = (entry.reference, entry.account_reference)
            references = (*(_references(of) if of else ()), *(each for each in own if each))
            yield Stated(references, entry.minor, _day(entry, of), number)


def _signed(entry: Entry, detail: Detail) -> int | None:
    if detail.amount is None or detail.amount.currency != entry.amount.currency:
        return None
    return detail.amount.minor if (detail.side or entry.side) == CREDIT else -detail.amount.minor


def _references(detail: Detail) -> tuple[str, ...]:
    found = (detail.uetr, detail.end_to_end, detail.instruction, detail.transaction, detail.clearing)
    return tuple(dict.fromkeys(each for each in found if each and each != "NOTPROVIDED"))


def _day(entry: Entry, detail: Detail | None) -> date | None:
    """Return the day of booking; of a time its day there."""
    if entry.booked_day:
        return entry.booked_day
    if entry.booked:
        return date.fromisoformat(entry.booked[:10])
    return detail.day if detail and detail.day else entry.value_day


class _Pairing:
    """Joins both sides step by step; what is joined is removed."""

    def __init__(self, stated: list[Stated], booked: list[Booked]) -> None:
        self.stated, self.booked = stated, booked
        self.agreed = 0
        self.breaks: list[Break] = []

    def by_reference(self) -> None:
        """Join entries with a common reference, the best pairs first; what is left of a reference is a duplicate."""
        here: dict[str, list[int]] = defaultdict(list)
        for at, each in enumerate(self.booked):
            for reference in each.references:
                here[reference].append(at)
        taken: dict[int, int] = {}  # index here: index there
        joined: dict[int, int] = {}
        for is_exact in (True, False):
            for at, one in enumerate(self.stated):
                if at in joined:
                    continue
                free = [each for reference in one.references for each in here[reference] if each not in taken]
                fits = [each for each in free if self.booked[each].minor == one.minor] if is_exact else free
                if fits:
                    best = min(fits, key=lambda each: (self.booked[each].day != one.day, each))
                    taken[best], joined[at] = at, best
        doubled_there = [
            one for at, one in enumerate(self.stated)
            if at not in joined and any(here[reference] for reference in one.references)
        ]  # fmt: skip
        there = {reference for one in self.stated for reference in one.references}
        doubled_here = [
            each for at, each in enumerate(self.booked)
            if at not in taken and any(reference in there for reference in each.references)
        ]  # fmt: skip
        for at, number in joined.items():
            self._pair(self.stated[at], self.booked[number])
        self.breaks += [Break(Cause.DUPLICATE_THERE, (one,), ()) for one in doubled_there]
        self.breaks += [Break(Cause.DUPLICATE_HERE, (), (each,)) for each in doubled_here]
        self._keep(
            [*(self.stated[at] for at in joined), *doubled_there], [*(self.booked[at] for at in taken), *doubled_here]
        )

    def by_amount(self) -> None:
        """Join entries of one amount and day whose references differ, if there is one such pair only."""
        here: dict[tuple[int, date | None], list[Booked]] = defaultdict(list)
        there: dict[tuple[int, date | None], list[Stated]] = defaultdict(list)
        for each in self.booked:
            here[each.minor, each.day].append(each)
        for one in self.stated:
            there[one.minor, one.day].append(one)
        joined = [(ones[0], here[key][0]) for key, ones in there.items() if len(ones) == 1 == len(here[key])]
        self.breaks += [Break(Cause.UNKNOWN_REFERENCE, (one,), (each,)) for one, each in joined]
        self._keep([one for one, _ in joined], [each for _, each in joined])

    def by_sum(self) -> None:
        """Join one entry with several of the other side that sum to it, if they can be chosen in one way only."""
        for one in self.stated[:SEARCHES_MAX]:
            same_day = [each for each in self.booked if each.day == one.day]
            for among in (same_day, self.booked):
                if (several := _adding_up([each.minor for each in among], one.minor)) is not None:
                    chosen = [among[at] for at in several]
                    self.breaks.append(Break(Cause.NETTED_THERE, (one,), tuple(chosen)))
                    self._keep([one], chosen)
                    break
        for each in self.booked[:SEARCHES_MAX]:
            of_day = [one for one in self.stated if one.day == each.day]
            for ones in (of_day, self.stated):
                if (several := _adding_up([one.minor for one in ones], each.minor)) is not None:
                    parts = [ones[at] for at in several]
                    self.breaks.append(Break(Cause.NETTED_HERE, tuple(parts), (each,)))
                    self._keep(parts, [each])
                    break

    def rest(self) -> None:
        """Make a break of everything that is left."""
        self.breaks += [Break(Cause.MISSING_HERE, (one,), ()) for one in self.stated]
        self.breaks += [Break(Cause.MISSING_THERE, (), (each,)) for each in self.booked]

    def _pair(self, one: Stated, each: Booked) -> None:
        if one.minor == -each.minor != 0:
            self.breaks.append(Break(Cause.SIDE, (one,), (each,)))
        elif one.minor != each.minor:
            self.breaks.append(Break(Cause.AMOUNT, (one,), (each,)))
        elif one.day is not None and one.day != each.day:
            self.breaks.append(Break(Cause.DATE, (one,), (each,)))
        else:
            self.agreed += 1

    def _keep(self, stated: Sequence[Stated], booked: Sequence[Booked]) -> None:
        """Remove what was joined."""
        gone = {id(each) for each in (*stated, *booked)}
        self.stated = [each for each in self.stated if id(each) not in gone]
        self.booked = [each for each in self.booked if id(each) not in gone]


def _adding_up(amounts: Sequence[int], total: int) -> list[int] | None:
    """Return the places of the two or more amounts that sum to `total`, if there is one such choice only.

    None also where more than `SUMS_MAX` different sums would have to be kept.
    """
    ways: dict[int, int] = {0: 0}  # sum: bits of the places, or -1 for more than one way
    for at, amount in enumerate(amounts):
        added = {}
        for found, bits in ways.items():
            added[found + amount] = -1 if bits < 0 else bits | 1 << at
        for found, bits in added.items():
            ways[found] = -1 if found in ways else bits
        if len(ways) > SUMS_MAX:
            return None
    bits = ways.get(total, 0)
    places = [at for at in range(len(amounts)) if bits > 0 and bits >> at & 1]
    return places if len(places) > 1 else None
