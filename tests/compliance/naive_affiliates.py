"""The slow twin of `affiliates`: who owns an organisation that a list names, by the definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tests.compliance.naive_logic import disjunction

from sycee.compliance.facts import Network
from sycee.compliance.judging.logic import Truth

HeldBp = Callable[[str, set[str]], tuple[int, int]]  # shares of an organisation that some hold, and undeclared ones


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
