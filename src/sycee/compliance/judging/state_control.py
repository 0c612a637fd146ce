"""Whether an organisation or a person is of some states, or controlled by parties of them.

An organisation is of a state by the law that it is organised under or by its headquarters, a natural person by
residence or citizenship: the ties that a condition names. What parties of the states hold is counted by `control`. A
person also counts where an organisation that counts employs that person. A branch is a part of its parent.

Parties of a home state are excepted, wherever they are and whoever owns them: an organisation under its laws alone, a
person who is its citizen or lives there. Control passes through them nevertheless, so that an organisation between two
others frees nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from sycee.compliance.facts import Assurance
from sycee.compliance.judging import control
from sycee.compliance.judging.control import (
    BRANCH_OF,
    CONTROLLERS,
    OWNERS,
    PERSON,
    WORKS_FOR,
    ControlGraph,
    ControlMatch,
    Holder,
)
from sycee.compliance.judging.effective_facts import EffectiveFact, EffectiveNetwork, Node
from sycee.compliance.judging.logic import Truth, conjunction, disjunction, negation
from sycee.compliance.judging.ownership import Limit
from sycee.compliance.judging.party_names import PartyName
from sycee.compliance.profiles import Condition
from sycee.compliance.vocabulary import (
    BASIS_POINTS,
    CITIZEN,
    EMPLOYED,
    HEADQUARTERS,
    MULTIPLY,
    ORGANISATION,
    ORGANISED,
    RESIDENT,
)

_STATE: Final = "state"
_ORGANISED_IN: Final = "organised_in"
_CITIZEN_OF: Final = "citizen_of"
_RESIDES_IN: Final = "resides_in"
_HEADQUARTERS: Final = "headquarters"
_OF_ORGANISATIONS: Final = (_STATE, _ORGANISED_IN, _HEADQUARTERS, BRANCH_OF, OWNERS, "dispersed_bp", CONTROLLERS)
_OF_PERSONS: Final = (PERSON, _CITIZEN_OF, _RESIDES_IN, WORKS_FOR)


class _Answer(NamedTuple):
    """Whether a party has a tie to some states; the facts that show it; and the facts that are missing."""

    truth: Truth
    facts: tuple[EffectiveFact, ...] = ()
    missing: tuple[str, ...] = ()


_NO: Final = _Answer(False)


class StateLookup:
    """The states of one condition `controlled-by` on a day."""

    limited = False  # by parts or purposes, as rows of lists are

    def __init__(self, condition: Condition, network: EffectiveNetwork) -> None:
        self._states = condition.values_on(network.at)
        self._home = condition.home_on(network.at)
        self._outside = condition.outside
        self._ties = condition.ties
        self._control_bp = condition.control_bp
        self._contracts = condition.contracts
        self._multiply = condition.chain == MULTIPLY
        self._network = network
        states = condition.set_name or ", ".join(sorted(self._states))
        self._name = f"states {'outside ' if self._outside else ''}{states}"
        self._matches: dict[str, ControlMatch] = {}

    def match(
        self, organisation: str, parts: Limit = None, purposes: Limit = None, products: tuple[PartyName, ...] = ()
    ) -> ControlMatch:
        """Return whether an organisation or person is of the states, or controlled from there.

        Parts, purposes and products are arguments of lists, and have no effect.
        """
        match = self._matches.get(organisation)
        if match is None:
            match = self._matches[organisation] = self._match(organisation)
        return match

    def _match(self, organisation: str) -> ControlMatch:
        graph = ControlGraph(organisation, self._holder, self._control_bp, multiply=self._multiply)
        if graph.truth is False:
            note = "neither the party nor its controllers are of these states"
            return ControlMatch(False, self._facts(graph, note, self._all_facts(graph)))
        home = self._is_home(self._network.whole(organisation))
        truth = conjunction((graph.truth, negation(home.truth)))
        if truth is False:
            note = "a party of the home state is excepted"
            return ControlMatch(False, self._facts(graph, note, home.facts))
        if truth:
            seeds = [self._located(graph.holders[id].node) for id in graph.seeds()]
            of_seeds = [fact for seed in seeds for fact in seed.facts]
            chain = tuple([f"{fact.path} is {', '.join(map(str, fact.values))}" for fact in of_seeds])
            facts = self._facts(graph, "is of these states, or controlled from there", of_seeds, graph.facts())
            return ControlMatch(True, facts, chain=chain + graph.chain())
        missing = (*(graph.missing() if graph.truth is None else ()), *home.missing)
        note = "the party may be of these states, or controlled from there"
        if not missing:
            note = "its owners hold each other, and nobody outside is shown to control them"
        return ControlMatch(None, self._facts(graph, note, self._all_facts(graph)), tuple(dict.fromkeys(missing)))

    def _node(self, id: str) -> Node:
        return self._network.node_of_kind(id, (ORGANISATION,))

    def _holder(self, id: str) -> Holder:
        node = self._node(id)
        branch = control.branch(node)
        if branch is not None:
            return branch
        located, home = self._located(node), self._is_home(node)
        seed = conjunction((located.truth, negation(home.truth)))
        missing = (*located.missing, *home.missing) if seed is None else ()
        if not _is_person(node):
            holder = control.owned(node, seed, missing, multiply=self._multiply)
            return control.with_controllers(holder, must_be_declared=True) if self._contracts else holder
        if EMPLOYED not in self._ties or home.truth:
            return Holder(node, seed, missing)
        return self._employed(node, seed, missing, home)

    def _employed(self, node: Node, seed: Truth, missing: tuple[str, ...], home: _Answer) -> Holder:
        """Return a person as a holder, with the employers that are not of the home state."""
        employers = node.get(WORKS_FOR)
        if employers is None:
            gaps = (f"{node.id}.{WORKS_FOR}", *home.missing)
            return Holder(node, seed, missing, WORKS_FOR, (), BASIS_POINTS, gaps)
        homes = {employer: self._is_home(self._network.whole(employer)) for employer in employers.values}
        abroad = [employer for employer, of in homes.items() if of.truth is False]
        undecided = [of for of in homes.values() if of.truth is None]
        if home.truth is None and abroad:
            undecided.append(home)
            abroad = []
        gaps = tuple([gap for of in undecided for gap in of.missing])
        shares = tuple([(employer, BASIS_POINTS) for employer in abroad])
        return Holder(node, seed, missing, WORKS_FOR, shares, BASIS_POINTS if undecided else 0, gaps)

    def _located(self, node: Node) -> _Answer:
        """Return whether a party is of the states by one of the ties. Only facts that show it are returned."""
        fields: dict[str, tuple[str, ...]]
        if _is_person(node):
            fields = {RESIDENT: (_RESIDES_IN,), CITIZEN: (_CITIZEN_OF,)}
        else:
            fields = {ORGANISED: (_ORGANISED_IN, _STATE), HEADQUARTERS: (_HEADQUARTERS,)}
        return _any_of([self._tie(node, names) for tie, names in fields.items() if tie in self._ties])

    def _tie(self, node: Node, names: tuple[str, ...]) -> _Answer:
        """Return whether the first of these fields that is known names one of the states."""
        known = control.named_facts(node, names)
        if not known:
            return _Answer(None, (), (f"{node.id}.{names[-1]}",))
        values = known[0].values
        elsewhere = self._states.issuperset(values) if self._outside else self._states.isdisjoint(values)
        return _NO if elsewhere else _Answer(True, (known[0],))

    def _is_home(self, node: Node | None) -> _Answer:
        """Return whether a party is of the home state. A node is None if branches are parts of each other."""
        if not self._home:
            return _NO
        if node is None:
            return _Answer(None)
        if _is_person(node):
            of_person = [self._in_home(node, name) for name in (_CITIZEN_OF, _RESIDES_IN)]
            return _any_of(of_person)
        organised = control.named_facts(node, (_ORGANISED_IN, _STATE))
        if not organised:
            return _Answer(None, (), (f"{node.id}.{_STATE}",))
        solely = bool(organised[0].values) and self._home.issuperset(organised[0].values)
        return _Answer(True, (organised[0],)) if solely else _NO

    def _in_home(self, node: Node, name: str) -> _Answer:
        fact = node.get(name)
        if fact is None:
            return _Answer(None, (), (f"{node.id}.{name}",))
        return _NO if self._home.isdisjoint(fact.values) else _Answer(True, (fact,))

    def _facts(self, graph: ControlGraph, note: str, *facts: Iterable[EffectiveFact]) -> tuple[EffectiveFact, ...]:
        """Return the lookup itself as a fact, and further facts. The states are no declaration, but of the profile."""
        organisation = graph.organisation
        own = EffectiveFact(self._name, organisation, (organisation,), assurance=Assurance.OBSERVED, note=note)
        return (own, *control.considered((fact for each in facts for fact in each), self._name))

    def _all_facts(self, graph: ControlGraph) -> list[EffectiveFact]:
        names = (*_OF_ORGANISATIONS, *_OF_PERSONS)
        return [fact for holder in graph.holders.values() for fact in control.named_facts(holder.node, names)]


def _is_person(node: Node) -> bool:
    person = node.get(PERSON)
    return person is not None and person.value is True


def _any_of(answers: list[_Answer]) -> _Answer:
    """Return whether one answer is true, with its facts, or else with all that is missing."""
    truth = disjunction([each.truth for each in answers])
    facts = tuple([fact for each in answers for fact in each.facts])
    return _Answer(truth, facts, tuple([gap for each in answers for gap in each.missing]) if truth is None else ())
