"""The slow twin of `affiliates`: who owns an organisation that a list names, by the definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tests.compliance.naive_logic import disjunction
from tests.compliance.naive_names import called

from sycee.compliance.facts import Element, Entity, Network
from sycee.compliance.judging.logic import Truth
from sycee.compliance.profiles import Row
from sycee.compliance.vocabulary import BASIS_POINTS

if TYPE_CHECKING:
    from tests.compliance.naive import Naive

HeldBp = Callable[[str, set[str]], tuple[int, int]]  # shares of an organisation that some hold, and undeclared ones


def states_owner(name: str, row: Row) -> Truth:
    """Return whether a row states that the party of a name is an owner; unknown if it is a state."""
    truths = [(called(name, [each.name]), each.state) for each in row.owners or ()]
    return disjunction([None if truth and state else truth for truth, state in truths])


def anybody_owns(rows: Iterable[Row], declared: list[str]) -> bool:
    """Return whether nobody states who owns the party of a row: neither the row nor an organisation with its name."""
    without = [row for row in rows if row.owners is None and row.status != "recommended"]
    return any(all(called(name, row.names) is not True for name in declared) for row in without)


def with_controllers(
    judge: Naive, here: Entity | Element | str, found: set[str], held: int, undeclared: int
) -> tuple[int, int]:
    """Return the shares with those of controllers other than by shares. Former controllers could be anybody."""
    if judge.values(here, ["branch_of"])[0] or judge.values(here, ["person"])[0] == [True]:
        return held, undeclared
    controllers, known = judge.values(here, ["controllers"])
    held += 0 if found.isdisjoint(map(str, controllers)) else BASIS_POINTS
    former = isinstance(here, Entity) and "controllers" in here.facts and not known
    return held, BASIS_POINTS if former else undeclared


def with_owners(
    direct: dict[str, Truth], held_bp: HeldBp, control_bp: int, network: Network, owners_named: Iterable[str]
) -> dict[str, Truth]:
    """Return whether a list names each organisation, or one that it owns directly or through others."""
    others = {each.id for each in network.of_kind("organisation")} | {*owners_named}

    def owns_listed(who: str) -> Truth:
        surely, possibly = {who}, {who}
        for _ in others:
            surely |= {each for each in others if held_bp(each, surely)[0] >= control_bp}
            possibly |= {each for each in others if sum(held_bp(each, possibly)) >= control_bp}
        if any(direct[each] for each in surely - {who}):
            return True
        return None if any(direct[each] is not False for each in possibly - {who}) else False

    return {who: disjunction([own, owns_listed(who)]) for who, own in direct.items()}
