"""Who controls an organisation: chains and circles of holders, followed to their end.

A *seed* is a party whose control is asked about: one on a list, or one of a state. There are two ways to count what a
seed holds through other organisations:

- `attribute`: a holder that is controlled counts as the seed itself, with its whole share. Shares of several such
  holders add up, and control begins at a threshold.
- `multiply`: shares are multiplied along each chain, and the products of all chains add up. Circles of holders are
  solved as linear equations.

Undeclared shares could belong to anybody, so that what a seed holds is an interval: where it spans the threshold, the
result is unknown. The parent of a branch and the employer of a person hold the whole of it, and so does who controls
an organisation other than by shares.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Final

from sycee.compliance.judging.effective_facts import CachedEvidence, EffectiveFact, Node
from sycee.compliance.judging.logic import Truth
from sycee.compliance.verdicts import Evidence
from sycee.compliance.vocabulary import BASIS_POINTS

OWNERS: Final = "owners"
BRANCH_OF: Final = "branch_of"
WORKS_FOR: Final = "works_for"
CONTROLLERS: Final = "controllers"
PERSON: Final = "person"
CONSIDERED: Final = "considered for"  # begins the note of a fact that a lookup read, and no condition tests

_ONE: Final = 10**24  # all shares, for products: more digits than six levels of basis points have
_SOLVED_MAX: Final = 32  # holders of a circle that is solved exactly; a larger circle is approximated
_ROUNDS_MAX: Final = 200  # of an approximation: each circle leaks at least a part of its shares a round


@dataclass(slots=True)
class ControlMatch(CachedEvidence[tuple[Evidence, ...]]):
    """Whether an organisation is covered. `facts` are those that were considered, the lookup itself first."""

    truth: Truth
    facts: tuple[EffectiveFact, ...]
    missing: tuple[str, ...] = ()
    chain: tuple[str, ...] = ()
    row: str = ""

    def _new_evidence(self, holds: Truth) -> tuple[Evidence, ...]:
        return tuple([fact.evidence(holds) for fact in self.facts])


@dataclass(slots=True)
class Holder:
    """An organisation that was asked about, or a direct or indirect holder of it.

    `shares` are its own holders with the basis points of each, named by its field `tie`. `undeclared_bp` could belong
    to anybody; `gaps` are the facts that would show to whom. `missing` are the facts that would show if it is a seed.
    """

    node: Node
    seed: Truth
    missing: tuple[str, ...] = ()
    tie: str = OWNERS
    shares: tuple[tuple[str, int], ...] = ()
    undeclared_bp: int = 0
    gaps: tuple[str, ...] = ()
    controllers: tuple[str, ...] = ()  # holders of the whole that control it other than by shares


Holders = Mapping[str, Holder]


def branch(node: Node, seed: Truth = False, missing: tuple[str, ...] = ()) -> Holder | None:
    """Return a branch of another organisation as a holder; None for any other organisation."""
    parent = node.get(BRANCH_OF)
    if parent is None:
        return None
    return Holder(node, seed, missing, BRANCH_OF, ((parent.values[0], BASIS_POINTS),))


def owned(node: Node, seed: Truth, missing: tuple[str, ...] = (), *, multiply: bool = False) -> Holder:
    """Return an organisation as a holder, with the owners of its shares. A natural person has no owners.

    Dispersed holders are too small to control. Where shares are multiplied, each share counts, whoever holds it.
    """
    person = node.get(PERSON)
    if person is not None and person.value is True:
        return Holder(node, seed, missing)
    shares: dict[str, int] = {}
    owners, dispersed = node.get(OWNERS), node.get("dispersed_bp")
    undeclared = BASIS_POINTS
    # A list of owners that is declared as empty: a state or a person. Owners that left do not make it empty.
    if owners is not None and owners.value == () and not node.declared_count(OWNERS):
        undeclared = dispersed.values[0] if multiply and dispersed is not None else 0
    for element in owners.nodes if owners is not None else ():
        owner, share = element.get("owner"), element.get("share_bp")
        if owner is not None:
            held = share.values[0] if share is not None else 0
            shares[owner.values[0]] = shares.get(owner.values[0], 0) + held
    undeclared -= sum(shares.values()) + (0 if dispersed is None or multiply else dispersed.values[0])
    gaps: tuple[str, ...] = (f"{node.id}.{OWNERS}",)
    if BRANCH_OF in node.facts:  # out of date: it may be a branch of anybody
        undeclared, gaps = BASIS_POINTS, (f"{node.id}.{BRANCH_OF}",)
    return Holder(node, seed, missing, shares=tuple(shares.items()), undeclared_bp=max(0, undeclared), gaps=gaps)


def with_controllers(holder: Holder, *, must_be_declared: bool) -> Holder:
    """Return a holder with those that control it other than by shares.

    Undeclared ones could be anybody if they `must_be_declared`, or if those that were declared are out of date.
    """
    person = holder.node.get(PERSON)
    if person is not None and person.value is True:
        return holder
    declared = holder.node.get(CONTROLLERS)
    if declared is None:
        if not must_be_declared and CONTROLLERS not in holder.node.facts:
            return holder
        gaps = (*(holder.gaps if holder.undeclared_bp else ()), f"{holder.node.id}.{CONTROLLERS}")
        return replace(holder, undeclared_bp=BASIS_POINTS, gaps=gaps)
    shares = tuple([(each, BASIS_POINTS) for each in declared.values])
    return replace(holder, shares=holder.shares + shares, controllers=declared.values)


class ControlGraph:
    """The holders of one organisation, and whether seeds among them control it.

    `controlled` are the holders that seeds surely control, each with its own holders among these; `possible` are those
    that seeds may control. With `multiply`, they are those of which seeds hold, or may hold, any share.
    """

    def __init__(
        self, organisation: str, holder_of: Callable[[str], Holder], control_bp: int, *, multiply: bool = False
    ) -> None:
        self.organisation = organisation
        self.holders = _reached(organisation, holder_of)
        self.controlled: dict[str, tuple[str, ...]]
        self.possible: frozenset[str]
        self.truth: Truth
        self._least: int | None = None  # of all shares, where they are multiplied
        self._needed_bp = 1 if multiply else control_bp  # multiplied, any share counts on the way to the organisation
        if multiply:
            self._least = self._multiply(control_bp)
        else:
            self.controlled = _attributed(self.holders, control_bp)
            self.possible = _possible(self.holders, control_bp)
            self.truth = True if organisation in self.controlled else None if organisation in self.possible else False

    def _multiply(self, control_bp: int) -> int:
        """Set the results for shares that are multiplied, and return the least that seeds hold of the organisation."""
        least, most = _multiplied(self.organisation, self.holders)
        controlled = [id for id in self.holders if least[id]]
        self.controlled = {
            id: tuple([owner for owner, share in self.holders[id].shares if share and least[owner]])
            for id in controlled
        }
        self.possible = frozenset([id for id in self.holders if most[id] > least[id]])
        low, high, limit = least[self.organisation], most[self.organisation], control_bp * _ONE
        self.truth = True if low * BASIS_POINTS >= limit else False if high * BASIS_POINTS < limit else None
        return low

    def seeds(self) -> tuple[str, ...]:
        """Return the seeds that control the organisation."""
        return tuple([id for id in self._owners_first if self.holders[id].seed])

    def chain(self) -> tuple[str, ...]:
        """Return how seeds control the organisation, a sentence for each holder below them."""
        links = [self._link(id) for id in self._owners_first if not self.holders[id].seed]
        if self._least is not None and len(links) > 1:
            held = self._least * BASIS_POINTS // _ONE
            links.append(f"multiplied along all chains, that is {held:,} basis points of {self.organisation}")
        return tuple(links)

    def facts(self) -> list[EffectiveFact]:
        """Return the facts that the chain consists of."""
        below = [id for id in self._owners_first if not self.holders[id].seed]
        return [fact for id in below for fact in _tie_facts(self.holders[id], self.controlled[id])]

    def missing(self) -> tuple[str, ...]:
        """Return the facts that would decide, those of the organisation first, then those of its holders."""
        missing: dict[str, None] = {}
        seen: set[str] = set()
        queue = deque([self.organisation])
        while queue:
            id = queue.popleft()
            if id in seen:
                continue
            seen.add(id)
            holder = self.holders[id]
            missing.update(dict.fromkeys(holder.missing))
            within = [(owner, share) for owner, share in holder.shares if owner in self.possible]
            if sum(share for _, share in within) + holder.undeclared_bp >= self._needed_bp:
                if holder.undeclared_bp:
                    missing.update(dict.fromkeys(holder.gaps))
                queue += [owner for owner, _ in within]
        return tuple(missing)

    def _link(self, id: str) -> str:
        holder, within = self.holders[id], tuple(dict.fromkeys(self.controlled[id]))
        holding = " and ".join(within)
        if holder.tie == BRANCH_OF:
            return f"{id} is a branch of {holding}"
        if holder.tie == WORKS_FOR:
            return f"{id} works for {holding}"
        by_contract = [each for each in within if each in holder.controllers]
        if by_contract:
            verb = "controls" if len(by_contract) == 1 else "together control"
            return f"{' and '.join(by_contract)} {verb} {id} other than by shares"
        held = sum(share for owner, share in holder.shares if owner in within)
        verb = "holds" if len(within) == 1 else "together hold"
        return f"{holding} {verb} {held:,} of {BASIS_POINTS:,} basis points of {id}"

    @cached_property
    def _owners_first(self) -> tuple[str, ...]:
        """The organisation and its controllers up to seeds, each after its own controllers.

        The walk has its own stack: a chain may have more levels than Python has frames.
        """

        def above(id: str) -> Iterator[str]:
            return iter(() if self.holders[id].seed else self.controlled[id])

        ordered: list[str] = []
        seen = {self.organisation}
        stack = [(self.organisation, above(self.organisation))]
        while stack:
            id, owners = stack[-1]
            owner = next((each for each in owners if each not in seen), None)
            if owner is None:
                stack.pop()
                ordered.append(id)
            else:
                seen.add(owner)
                stack.append((owner, above(owner)))
        return tuple(ordered)


def considered(facts: Iterable[EffectiveFact], lookup: str) -> tuple[EffectiveFact, ...]:
    """Return facts with a note that they were considered for a lookup; no condition tests them itself."""
    return tuple(fact.with_note(f"{CONSIDERED} {lookup}") for fact in facts)


def named_facts(node: Node, names: Iterable[str]) -> list[EffectiveFact]:
    """Return the facts of these names that are known."""
    return [fact for name in names if (fact := node.get(name)) is not None]


def _reached(organisation: str, holder_of: Callable[[str], Holder]) -> dict[str, Holder]:
    holders: dict[str, Holder] = {}
    queue = deque([organisation])
    while queue:
        id = queue.popleft()
        if id not in holders:
            holders[id] = holder_of(id)
            queue += [owner for owner, _ in holders[id].shares]
    return holders


def _tie_facts(holder: Holder, within: tuple[str, ...]) -> list[EffectiveFact]:
    """Return the facts that name the holders among `within`, and their shares."""
    if holder.tie != OWNERS:
        return named_facts(holder.node, (holder.tie,))
    owners = holder.node.get(OWNERS)
    facts = [] if not set(within).intersection(holder.controllers) else named_facts(holder.node, (CONTROLLERS,))
    for element in owners.nodes if owners is not None else ():
        owner, share = element.get("owner"), element.get("share_bp")
        if owner is not None and share is not None and owner.values[0] in within:
            facts += [owner, share]
    return facts


# --- control passes whole ---


def _attributed(holders: Holders, control_bp: int) -> dict[str, tuple[str, ...]]:
    """Return the seeds and the organisations that they surely control, each with its holders among these.

    Control spreads from the seeds by levels of held organisations, so that the result depends on no order.
    """
    controlled: dict[str, tuple[str, ...]] = {id: () for id, holder in holders.items() if holder.seed}
    held_by = _held_by(holders)
    held_bp = dict.fromkeys(holders, 0)
    level = list(controlled)
    while level:
        touched: dict[str, None] = {}
        for owner in level:
            for id, share in held_by.get(owner, ()):
                held_bp[id] += share
                touched[id] = None
        level = [id for id in touched if id not in controlled and held_bp[id] >= control_bp]
        controlled |= {id: tuple(each for each, _ in holders[id].shares if each in controlled) for id in level}
    return controlled


def _possible(holders: Holders, control_bp: int) -> frozenset[str]:
    """Return the organisations that may be seeds, or controlled by possible seeds or undeclared holders.

    Start from all and remove those that are shown to be free, beginning with organisations whose holders are free.
    A circle of holders is thus never free by its own shares, since a possible outside controller votes them.
    """
    held_by = _held_by(holders)
    open_bp = {id: sum(share for _, share in each.shares) + each.undeclared_bp for id, each in holders.items()}
    free: set[str] = set()
    candidates = list(holders)
    while candidates:
        id = candidates.pop()
        if id in free or holders[id].seed is not False or open_bp[id] >= control_bp:
            continue
        free.add(id)
        for other, share in held_by.get(id, ()):
            open_bp[other] -= share
            candidates.append(other)
    return frozenset(holders.keys() - free)


def _held_by(holders: Holders) -> dict[str, list[tuple[str, int]]]:
    """Return for each owner the organisations of which it holds shares, with the basis points of each."""
    held_by: dict[str, list[tuple[str, int]]] = {}
    for id, holder in holders.items():
        for owner, share in holder.shares:
            held_by.setdefault(owner, []).append((id, share))
    return held_by


# --- shares are multiplied ---


def _multiplied(organisation: str, holders: Holders) -> tuple[dict[str, int], dict[str, int]]:
    """Return the least and the most that seeds hold of each organisation, in parts of `_ONE`.

    The least is rounded down and the most up, so that rounding decides nothing that is unknown.
    """
    least, most = dict.fromkeys(holders, 0), dict.fromkeys(holders, _ONE)
    for circle in _circles(organisation, holders):
        if len(circle) > 1 or circle[0] in [owner for owner, _ in holders[circle[0]].shares]:
            _solve_circle(circle, holders, least, most)
        _approximate(circle, holders, least, most)
    return least, most


def _approximate(circle: list[str], holders: Holders, least: dict[str, int], most: dict[str, int]) -> None:
    """Bring both bounds nearer until they no longer change. They are right after any number of rounds."""
    for _ in range(_ROUNDS_MAX):
        changed = False
        for id in circle:
            holder = holders[id]
            low, high = _ONE, _ONE
            if not holder.seed:
                low = min(_ONE, sum(share * least[owner] for owner, share in holder.shares) // BASIS_POINTS)
            if holder.seed is False:
                parts = sum(share * most[owner] for owner, share in holder.shares) + holder.undeclared_bp * _ONE
                high = min(_ONE, -(-parts // BASIS_POINTS))
            low, high = max(low, least[id]), min(high, most[id])
            changed = changed or (low, high) != (least[id], most[id])
            least[id], most[id] = low, high
        if not changed:
            return


def _solve_circle(circle: list[str], holders: Holders, least: dict[str, int], most: dict[str, int]) -> None:
    """Set both bounds of a small circle exactly, unless nobody outside of it owns a part of it."""
    if len(circle) > _SOLVED_MAX or any(sum(share for _, share in holders[id].shares) > BASIS_POINTS for id in circle):
        return
    members = set(circle)

    def rows(known: Mapping[str, int], seeds: tuple[Truth, ...], *, undeclared: bool) -> _Equations:
        equations: _Equations = {}
        for id in circle:
            holder = holders[id]
            if holder.seed in seeds:
                equations[id] = ({}, Fraction(1))
                continue
            outside = sum(share * known[owner] for owner, share in holder.shares if owner not in members)
            outside += holder.undeclared_bp * _ONE if undeclared else 0
            inside = {owner: Fraction(share, BASIS_POINTS) for owner, share in holder.shares if owner in members}
            equations[id] = (inside, Fraction(outside, BASIS_POINTS * _ONE))
        return equations

    lows = _solution(rows(least, (True,), undeclared=False))
    highs = _solution(rows(most, (True, None), undeclared=True))
    for id in circle:
        if lows is not None:
            least[id] = max(0, min(_ONE, lows[id].numerator * _ONE // lows[id].denominator))
        if highs is not None:
            most[id] = max(0, min(_ONE, -(-highs[id].numerator * _ONE // highs[id].denominator)))


_Equations = dict[str, tuple[dict[str, Fraction], Fraction]]


def _solution(equations: _Equations) -> dict[str, Fraction] | None:
    """Return the solution of x = sum of coefficients times x + constant, by elimination; None if there are several."""
    eliminated: list[tuple[str, dict[str, Fraction], Fraction]] = []
    while equations:
        id, (coefficients, constant) = equations.popitem()
        rest = 1 - coefficients.pop(id, Fraction(0))
        if rest <= 0:
            return None
        coefficients = {other: factor / rest for other, factor in coefficients.items()}
        constant /= rest
        eliminated.append((id, coefficients, constant))
        for other, (factors, own) in equations.items():
            factor = factors.pop(id, None)
            if factor is not None:
                for each, value in coefficients.items():
                    factors[each] = factors.get(each, Fraction(0)) + factor * value
                equations[other] = (factors, own + factor * constant)
    solution: dict[str, Fraction] = {}
    for id, coefficients, constant in reversed(eliminated):
        solution[id] = constant + sum(factor * solution[other] for other, factor in coefficients.items())
    return solution


def _circles(organisation: str, holders: Holders) -> Iterator[list[str]]:
    """Yield the organisations in groups that hold each other, mostly of one, holders first (Tarjan's algorithm)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    waiting: dict[str, None] = {}  # visited, and not yet in a group
    stack: list[tuple[str, Iterator[tuple[str, int]]]] = []

    def visit(id: str) -> None:
        index[id] = lowest[id] = len(index)
        waiting[id] = None
        stack.append((id, iter(holders[id].shares)))

    visit(organisation)
    while stack:
        id, shares = stack[-1]
        for owner, _ in shares:
            if owner not in index:
                visit(owner)
                break
            if owner in waiting:
                lowest[id] = min(lowest[id], index[owner])
        else:
            stack.pop()
            if stack:
                below = stack[-1][0]
                lowest[below] = min(lowest[below], lowest[id])
            if lowest[id] == index[id]:
                group: list[str] = []
                while not group or group[-1] != id:
                    group.append(waiting.popitem()[0])
                yield group
