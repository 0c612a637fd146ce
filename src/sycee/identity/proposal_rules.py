"""Signatures that a proposal still needs. Pure: duties and required signers in, words out.

Two rules apply together. The rule of the action (`duties.ACTIONS`) requires checkers, who are not the maker. The ledger
requires officers and operators (authority.md section 3). Each of the ledger's requirements is a seat, and a person
fills one seat only: a mint takes two officers and, as a third person, the operator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sycee.core import ids
from sycee.core.money import currency_code
from sycee.identity import duties
from sycee.identity.duties import ActionRule, Duty
from sycee.identity.people import HeldDuty, counts, listed
from sycee.ledger.authority import Need, Requirement

RESERVE_DESK: Final = 1  # operator number of the desk that holds the converted reserves
_ORDINALS: Final = {1: "a second", 2: "a third"}

Signers = Mapping[int, Collection[HeldDuty]]


@dataclass(frozen=True, slots=True)
class Seat:
    """One signature that the ledger requires: of an officer, of operator `operator`, or of either.

    `currency`: officers of this currency sign as those of the board; 0: the board alone.
    """

    officer: bool
    operator: int | None = None
    currency: int = 0

    def fits(self, held: Iterable[HeldDuty]) -> bool:
        """Return whether a person with these duties may fill this seat."""
        return any(
            (self.officer and (each.duty is Duty.OFFICER or (self.currency and each.currency == self.currency)))
            or (self.operator is not None and each.duty is Duty.OPERATOR and each.operator == self.operator)
            for each in held
        )

    def __str__(self) -> str:
        who = [] if self.operator is None else [operator_name(self.operator)]
        return listed([*who, f"an officer of the board{self.of_currency}"] if self.officer else who)

    @property
    def of_currency(self) -> str:
        """Return the words for the officers of a currency, "" if the board alone signs."""
        return f" or of {currency_code(self.currency)}" if self.currency else ""


def operator_name(number: int) -> str:
    """Return the name of an operator by its number."""
    if number == 0:
        return "the issuer's operator 0"
    return f"operator {number}, the reserve desk" if number == RESERVE_DESK else f"operator {number}"


def operator_of(effect: Mapping[str, Any]) -> int | None:
    """Return the number of the operator that an action is about, from its effect."""
    number = effect.get("operator")
    return number if type(number) is int else None


def concerned(effect: Mapping[str, Any]) -> dict[str, Any]:
    """Return what duties are compared with: the `operator`, and the `currencies` of an effect by ISO 4217 number."""
    found = [effect.get("currency"), *effect.get("currencies", ())]
    return {"operator": operator_of(effect), "currencies": frozenset(each for each in found if type(each) is int)}


def currencies_of(action: str, effect: Mapping[str, Any]) -> list[str]:
    """Return the codes of the currencies whose officers may sign a proposal of an action."""
    if Duty.CURRENCY_OFFICER not in duties.rule(action).signers:
        return []
    return [currency_code(each) for each in sorted(concerned(effect)["currencies"])]


def seats(requirements: Iterable[Requirement], rule: ActionRule) -> tuple[Seat, ...]:
    """Return the seats that the ledger's requirements need for an action."""
    officers, operators, either, currencies = 0, set(), set(), set()
    for need, operator, currency in requirements:
        if need in (Need.TWO_OFFICERS, Need.OFFICER, Need.STAFF, Need.ANY_SIGNER):
            officers = max(officers, 2 if need is Need.TWO_OFFICERS else 1)
            currencies.add(currency)
        elif need is Need.OWNER_OPERATOR:
            operators.add(operator)
        elif need is Need.OPERATOR:
            either.add(operator)
    # An officer, or the operator itself, already signs: `OPERATOR` asks for one of the two.
    shared = () if officers else tuple(Seat(True, number) for number in sorted(either - operators))
    # One envelope covers all records, so an officer of a currency signs only if all of them concern it.
    is_for_issuers = Duty.CURRENCY_OFFICER in rule.signers and len(currencies) == 1
    of = currencies.pop() if is_for_issuers else 0
    return (
        *(Seat(True, None, of) for _ in range(officers)),
        *(Seat(False, number) for number in sorted(operators)),
        *shared,
    )


def unsupported(requirements: Iterable[Requirement]) -> str:
    """Return why a proposal cannot have records with these requirements, or "" if it can."""
    for requirement in requirements:
        if requirement.need in (Need.OWNER_KEY, Need.KEY_AND_OPERATOR):
            return "an account with a key must sign, and accounts do not sign proposals"
        if requirement.need is Need.LATER_FRAME:
            return "the signer of a record depends on other records of the proposal"
    return ""


def may_sign(
    held: Collection[HeldDuty], rule: ActionRule, places: Sequence[Seat], *, operator: int | None = None,
    currencies: Collection[int] = (),
) -> bool:  # fmt: skip
    """Return whether a person with these duties has a place among the signers of an action."""
    by_rule = (
        each.duty in rule.signers and counts(each, rule, operator=operator, currencies=currencies) for each in held
    )
    return any(by_rule) or any(seat.fits(held) for seat in places)


def missing(
    rule: ActionRule, maker: int, signers: Signers, places: Sequence[Seat], *, operator: int | None = None,
    currencies: Collection[int] = (),
) -> tuple[str, ...]:  # fmt: skip
    """Return the missing signatures, in words; () if none is missing.

    `signers`: the duties of each person who signed. `currencies`: that the action concerns. An action without records
    that officers of currencies may request needs an officer of each of them, or of the board.
    """
    words = _missing_seats(signers, places)
    checkers = [
        person
        for person, held in signers.items()
        if person != maker
        and any(
            each.duty in rule.checkers and counts(each, rule, operator=operator, currencies=currencies) for each in held
        )
    ]
    if not places and Duty.CURRENCY_OFFICER in rule.signers:
        for currency in sorted(currencies):
            seat = Seat(True, None, currency)
            if not any(seat.fits(held) for held in signers.values()):
                words.append(str(seat))
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
    alone = [seat for seat in places if seat.officer and seat.operator is None]
    officers, lacking = len(alone), sum(seat in alone for seat in empty)
    words = []
    if lacking == officers and officers > 1:
        words.append(f"two officers of the board{alone[0].of_currency}")
    elif lacking:
        words.append(f"{_ORDINALS.get(officers - lacking, 'an')} officer of the board{alone[0].of_currency}")
    return words + [str(seat) for seat in empty if seat not in alone]
