"""Sums over the flows between two parties, for the plain judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.compliance.naive_claims import exempts
from tests.compliance.naive_logic import Truth, conjunction, disjunction

from sycee.compliance.fact_paths import Roots
from sycee.compliance.facts import Element, Entity
from sycee.compliance.profiles import Condition

if TYPE_CHECKING:
    from tests.compliance.naive import Naive

Party = tuple[object, object]  # participant and organisation; None if undeclared


def sum_at_most(judge: Naive, condition: Condition, flow: Entity, name: str) -> Truth:
    """Return whether a number of all flows between the same two organisations sums to the limit at most."""
    surely, perhaps = [number(judge, flow, name)], []
    for other in judge.network.of_kind("flow"):
        meets = [
            exempts(judge, each, Roots("flow"), {"subject": other, "element": other, "flow": other})
            for each in condition.among
        ]
        truths = [disjunction([same_parties(judge, flow, other), share_a_party(judge, condition, flow, other)]), *meets]
        if other.id == flow.id or False in truths:
            continue
        (perhaps if None in truths else surely).append(number(judge, other, name))
    if sum(each for each in surely if each is not None) > condition.limit:
        return False
    every = [*surely, *perhaps]
    return True if None not in every and sum(each or 0 for each in every) <= condition.limit else None


def share_a_party(judge: Naive, condition: Condition, one: Entity, other: Entity) -> Truth:
    """Return whether two flows have one sender, and one party that `through` finds in both."""
    if not condition.through:
        return False
    leaves = [leaf for each in condition.through for leaf in each.leaves()]
    (these, known), (those, other_known) = (third_parties(judge, leaves, each) for each in (one, other))
    truths: list[Truth] = [conjunction([these[each], those[each]]) for each in these.keys() & those.keys()]
    if (not known and (those or not other_known)) or (not other_known and these):
        truths.append(None)
    return conjunction([same_party(party(judge, one, "from"), party(judge, other, "from")), disjunction(truths)])


def third_parties(judge: Naive, leaves: list[Condition], flow: Entity) -> tuple[dict[object, Truth], bool]:
    found: dict[object, list[Truth]] = {}
    complete = True
    frame: dict[str, Entity | Element | str | None] = {"subject": flow, "element": flow, "flow": flow}
    for leaf in leaves:
        values, known = judge.values(flow, leaf.fact.split("."))
        complete = complete and known
        for each in values:
            of_list = leaf.test == "any-listed"
            truth = (
                judge.listed(str(each), leaf, Roots("flow"), frame, [])
                if of_list
                else judge.controlled(str(each), leaf)
            )
            found.setdefault(whole(judge, each) or each, []).append(truth)
            complete = complete and (truth is False or whole(judge, each) is not None)
    truths = {each: disjunction(of) for each, of in found.items()}
    return {each: truth for each, truth in truths.items() if truth is not False}, complete


def number(judge: Naive, flow: Entity, name: str) -> int | None:
    found, _ = judge.values(flow, [name])
    return found[0] if found else None  # type: ignore[return-value]


def same_parties(judge: Naive, one: Entity, other: Entity) -> Truth:
    (a, b), (c, d) = ([party(judge, each, end) for end in ("from", "to")] for each in (one, other))
    straight = conjunction([same_party(a, c), same_party(b, d)])
    return disjunction([straight, conjunction([same_party(a, d), same_party(b, c)])])


def party(judge: Naive, flow: Entity, end: str) -> Party:
    participants, organisations = judge.values(flow, [end])[0], judge.values(flow, [end, "organisation"])[0]
    return participants[0] if participants else None, whole(judge, organisations[0]) if organisations else None


def whole(judge: Naive, organisation: object) -> object:
    """Return the organisation that a branch is a part of, or itself; None in a circle, or by a parent out of date."""
    for _ in range(100):
        here = judge.resolved(organisation, "organisation")
        parents, _ = judge.values(here, ["branch_of"])
        if not parents:
            return None if isinstance(here, Entity) and "branch_of" in here.facts else organisation
        organisation = parents[0]
    return None


def same_party(one: Party, other: Party) -> Truth:
    if one[0] is not None and one[0] == other[0]:
        return True
    return None if None in (one[1], other[1]) else one[1] == other[1]
