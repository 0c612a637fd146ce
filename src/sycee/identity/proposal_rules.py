"""Signatures that a proposal still needs. Pure: duties and required signers in, words out.

Two rules apply together. The rule of the action (`duties.ACTIONS`) requires checkers, who are not the maker. The ledger
requires officers and operators (authority.md section 3). Each of the ledger's requirements is a seat, and a person
fills one seat only: a mint takes two officers and, as a third person, the operator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sycee.core import ids
from sycee.identity.duties import ActionRule, Duty
from sycee.identity.people import HeldDuty, counts, listed
from sycee.ledger.authority import Need, Requirement

RESERVE_DESK: Final = 1  # operator number of the desk that holds the converted reserves
_ORDINALS: Final = {1: "a second", 2: "a third"}

Signers = Mapping[int, Collection[HeldDuty]]


@dataclass(frozen=True, slots=True)
class Seat:
    """One signature that the ledger requires: of an officer, of operator `operator`, or of either."""

    officer: bool
    operator: int | None = None

    def fits(self, held: Iterable[HeldDuty]) -> bool:
        """Return whether a person with these duties may fill this seat."""
        return any(
            (self.officer and each.duty is Duty.OFFICER)
            or (self.operator is not None and each.duty is Duty.OPERATOR and each.operator == self.operator)
            for each in held
        )

    def __str__(self) -> str:
        who = [] if self.operator is None else [operator_name(self.operator)]
        return listed([*who, "an officer of the board"] if self.officer else who)


def operator_name(number: int) -> str:
    """Return the name of an operator by its number."""
    if number == 0:
        return "the issuer's operator 0"
    return f"operator {number}, the reserve desk" if number == RESERVE_DESK else f"operator {number}"


def seats(requirements: Iterable[Requirement]) -> tuple[Seat, ...]:
    """Return the seats that the ledger's requirements need."""
    officers, operators, either = 0, set(), set()
    for need, operator, _ in requirements:
        if need is Need.TWO_OFFICERS:
            officers = 2
        elif need in (Need.OFFICER, Need.STAFF, Need.ANY_SIGNER):
            officers = max(officers, 1)
        elif need is Need.OWNER_OPERATOR:
            operators.add(operator)
        elif need is Need.OPERATOR:
            either.add(operator)
    # An officer, or the operator itself, already signs: `OPERATOR` asks for one of the two.
    shared = () if officers else tuple(Seat(True, number) for number in sorted(either - operators))
    return (*(Seat(True) for _ in range(officers)), *(Seat(False, number) for number in sorted(operators)), *shared)


def unsupported(requirements: Iterable[Requirement]) -> str:
    """Return why a proposal cannot have records with these requirements, or "" if it can."""
    for requirement in requirements:
        if requirement.need in (Need.OWNER_KEY, Need.KEY_AND_OPERATOR):
            return "an account with a key must sign, and accounts do not sign proposals"
        if requirement.need is Need.LATER_FRAME:
            return "the signer of a record depends on other records of the proposal"
    return ""


def may_sign(
    held: Collection[HeldDuty], rule: ActionRule, places: Sequence[Seat], *, operator: int | None = None
) -> bool:
    """Return whether a person with these duties has a place among the signers of an action."""
    by_rule = (each.duty in rule.signers and counts(each, rule, operator=operator) for each in held)
    return any(by_rule) or any(seat.fits(held) for seat in places)


def missing(
    rule: ActionRule, maker: int, signers: Signers, places: Sequence[Seat], *, operator: int | None = None
) -> tuple[str, ...]:
    """Return the missing signatures, in words; () if none is missing. `signers`: the duties of each person who
    signed.
    """
    words = _missing_seats(signers, places)
    checkers = [
        person
        for person, held in signers.items()
        if person != maker
        and any(each.duty in rule.checkers and counts(each, rule, operator=operator) for each in held)
    ]
    if not places and maker not in signers:
        words.append(f"the maker, {ids.format(maker)}")
    # A person who fills an empty seat may be the checker, too.
    if len(checkers) < rule.checkers_min and not (words and places):
        who = listed(duty.value for duty in sorted(rule.checkers))
        words.append(f"a person other than the maker, with the duty {who}")
    return tuple(dict.fromkeys(words))


def _missing_seats(signers: Signers, places: Sequence[Seat]) -> list[str]:
    """Return the names of the seats without a person, after as many persons as possible have one."""
    taken: dict[int, int] = {}  # seat to person

    def sit(person: int, tried: set[int]) -> bool:
        for at, seat in enumerate(places):
            if at in tried or not seat.fits(signers[person]):
                continue
            tried.add(at)
            if at not in taken or sit(taken[at], tried):
                taken[at] = person
                return True
        return False

    for person in signers:
        sit(person, set())
    empty = [seat for at, seat in enumerate(places) if at not in taken]
    officers = sum(seat == Seat(True) for seat in places)
    lacking = sum(seat == Seat(True) for seat in empty)
    words = []
    if lacking == officers and officers > 1:
        words.append("two officers of the board")
    elif lacking:
        words.append(f"{_ORDINALS.get(officers - lacking, 'an')} officer of the board")
    return words + [str(seat) for seat in empty if seat != Seat(True)]
