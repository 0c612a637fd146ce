"""The facts of a network that are in effect on one day, and paths from one entity to facts of another.

Expired facts and elements that are not in force are omitted. Nodes and resolved paths are created on first use and
cached: the path from a cloud to the state of its operator is resolved once, however many flows are stored there.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from sycee.compliance.facts import Assurance, Element, Entity, Fact, Network, Value
from sycee.compliance.judging.logic import Truth
from sycee.compliance.verdicts import Evidence
from sycee.compliance.vocabulary import (
    ACCESSORS,
    CLAIMS,
    CLOUD,
    EXCLUDED,
    FLOW,
    KINDS,
    LAW_ENFORCEMENT,
    OF_PERSONS,
    ORGANISATION,
    READERS,
    REQUESTING,
    REQUESTS,
    SHOWN_BY,
    Field,
    Type,
)


def _fields_below(name: str, fields: Iterable[Field]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the fields of a kind and of each list of tables below it ("flow", "flow.stored").

    Each field maps to the kinds of entities that it may refer to.
    """
    below = {name: {each.name: each.kinds for each in fields}}
    for each in fields:
        if each.type is Type.ELEMENTS:
            below |= _fields_below(f"{name}.{each.name}", each.fields)
    return below


_FIELDS: Final = {of: fields for kind in KINDS.values() for of, fields in _fields_below(kind.name, kind.fields).items()}

# What a cloud has by the place at which it is reached. Who runs that place holds the machines, like its owner.
_OF_PLACES: Final = {"owner": ("owner", "operator"), "equipment": ("equipment",)}
_OF_PERSONS: Final = frozenset(("person", *OF_PERSONS))
_OF_OTHERS: Final = frozenset(EXCLUDED["person"])  # fields that no person has
_NO_BRANCH: Final = frozenset((*EXCLUDED["branch_of"], "person"))  # fields that a branch does not have
_OF_WHOLES: Final = ("state", "headquarters")  # what a branch has as a part of its parent
_ELEMENTS: Final = frozenset(of for of in _FIELDS if of not in KINDS)  # of which no fact has a meaning of its own

_WITH_OTHERS: Final = frozenset(("authority", *SHOWN_BY))  # facts that other facts of the entity complete
_KEPT: Final = SHOWN_BY[ACCESSORS]
_KEPT_AT: Final = tuple((name, "at") for name in _KEPT)
_PARTIES: Final = (("from", "organisation"), ("to", "organisation"))
_READER_GAPS: Final = ("gaps", *READERS)  # of a place, by name in its results

_CLAIMS: Final = {claim.field: claim for claim in CLAIMS}

FactPath = tuple[str, ...]  # the steps, at least one

E = TypeVar("E")
_NOT_MADE: Final[Any] = object()
_NEW_EVIDENCE: Final = tuple.__new__  # three times as fast as a call with seven arguments


@dataclass(slots=True, eq=False)
class CachedEvidence(Generic[E]):
    """Base of facts that create their evidence once for each truth.

    It is cached in attributes: a dictionary for each of a million facts would burden the garbage collector.
    """

    _of_true: E | None = field(default=None, init=False, repr=False, compare=False)
    _of_false: E | None = field(default=None, init=False, repr=False, compare=False)
    _of_unknown: E | None = field(default=None, init=False, repr=False, compare=False)

    def evidence(self, holds: Truth) -> E:
        """Return the evidence for a truth."""
        if holds:
            evidence = self._of_true
            if evidence is None:
                evidence = self._of_true = self._new_evidence(holds)
        elif holds is None:
            evidence = self._of_unknown
            if evidence is None:
                evidence = self._of_unknown = self._new_evidence(holds)
        else:
            evidence = self._of_false
            if evidence is None:
                evidence = self._of_false = self._new_evidence(holds)
        return evidence

    def _new_evidence(self, holds: Truth) -> E:
        raise NotImplementedError


@dataclass(slots=True, eq=False)
class EffectiveFact(CachedEvidence[Evidence]):
    """One fact that is in effect. Conditions test `values`; `nodes` are the elements or entities that it leads to."""

    path: str
    value: Value
    values: tuple[Any, ...]
    source: str = ""
    as_of: date | None = None
    assurance: Assurance = Assurance.DECLARED
    nodes: tuple[Node, ...] = ()
    is_reference: bool = False
    note: str = ""

    def _new_evidence(self, holds: Truth) -> Evidence:
        own = (self.path, self.value, self.source, self.as_of, self.assurance, holds, self.note)
        return _NEW_EVIDENCE(Evidence, own)

    def with_note(self, note: str) -> EffectiveFact:
        """Return the same fact with a note."""
        return EffectiveFact(self.path, self.value, self.values, self.source, self.as_of, self.assurance, note=note)


@dataclass(slots=True, eq=False)
class ResolvedPath(CachedEvidence[tuple[Evidence, ...]]):
    """The facts at the end of a path, the references that were followed, and the paths of missing facts."""

    leaves: tuple[EffectiveFact, ...] = ()
    followed: tuple[EffectiveFact, ...] = ()
    missing: tuple[str, ...] = ()
    # The results of tests that all facts at the end meet, and of those that none meets. Conditions make them.
    of_met: Any = None
    of_unmet: Any = None

    def _new_evidence(self, holds: Truth) -> tuple[Evidence, ...]:
        if not self.followed and len(self.leaves) == 1:
            return (self.leaves[0].evidence(holds),)
        return tuple([fact.evidence(holds) for fact in (*self.followed, *self.leaves)])


NO_FACTS: Final = ResolvedPath()


@dataclass(slots=True, eq=False)
class Node:
    """An entity, or an element of a list, on the day. All facts of an undeclared entity are missing."""

    _network: EffectiveNetwork
    id: str
    kind: str  # "" if the entity is not declared
    facts: Mapping[str, Fact]
    entity_id: str  # the entity that the node is, or is a part of
    _prefix: str = ""  # the fields from the entity to this element, with a dot at the end
    replaces: str = ""  # of a flow of a question: the declared flow that it is a payment of
    results: dict[Hashable, Any] = field(default_factory=dict)  # of conditions that start here, and rules about it
    _effective: dict[str, EffectiveFact | None] = field(default_factory=dict)
    resolved: dict[FactPath, ResolvedPath] = field(default_factory=dict)  # the paths that were followed

    def get(self, name: str) -> EffectiveFact | None:
        """Return the fact of this name; None if it is unknown, as a claim that no other fact supports is."""
        cached: EffectiveFact | None = self._effective.get(name, _NOT_MADE)
        if cached is not _NOT_MADE:
            return cached
        fact = self.facts.get(name)
        effective = None if fact is None else self._make(name, fact)
        if name in _CLAIMS and effective is not None and self._is_doubtful(effective.value, name, exempting=False):
            effective = None
        self._effective[name] = effective
        return effective

    def _is_doubtful(self, value: Value, name: str, *, exempting: bool) -> bool:
        """Return whether a value is a claim that no other fact supports; one that binds only where it exempts."""
        claim = _CLAIMS.get(name) if self.kind == FLOW else None
        if claim is None or not claim.is_made(value) or (claim.binds and not exempting):
            return False
        if claim.denied_by:
            denial = self.get(claim.denied_by)
            if denial is None or claim.is_denied(denial.value):
                return True
        support = self.get(claim.support)
        return not claim.is_supported(None if support is None else support.value)

    def resolve_exempting(self, path: FactPath) -> ResolvedPath:
        """Follow a path to facts that exempt from a rule: a claim without support is missing."""
        name = path[0]
        if name not in _CLAIMS:
            return self.resolve(path)
        fact = self.get(name)
        if fact is not None and self._is_doubtful(fact.value, name, exempting=True):
            return ResolvedPath(missing=(f"{self.id}.{self._gap(name)}",))
        return self.resolve(path)

    def _gap(self, name: str) -> str:
        """Return the field to declare so that this one is known: itself, or the one that must support it."""
        claim = _CLAIMS.get(name) if self.kind == FLOW and name in self.facts else None
        supports = () if claim is None else (claim.support, claim.denied_by)
        return next((each for each in supports if each and self.get(each) is None), name)

    @property
    def name(self) -> str:
        """Return the declared name of the entity, or else its id."""
        entity = self._network.network.entities.get(self.id)
        return self.id if entity is None else entity.name

    def declared_count(self, name: str) -> int:
        """Return how many elements a list has, whether in force or not."""
        fact = self.facts.get(name)
        return len(fact.value) if fact is not None and type(fact.value) is tuple else 0

    def resolve(self, path: FactPath) -> ResolvedPath:
        """Follow a path from here."""
        resolved = self.resolved.get(path)
        if resolved is None:
            resolved = self.resolved[path] = self._resolve(path)
        return resolved

    def _resolve(self, path: FactPath) -> ResolvedPath:
        name = path[0]
        fact = self.get(name)
        if fact is None:
            return self._resolve_unknown(path)
        if name in _WITH_OTHERS and (resolved := self._resolve_with_others(fact, path)) is not None:
            return resolved
        if len(path) == 1:
            return ResolvedPath((fact,))
        nodes = fact.nodes
        if not nodes:
            return ResolvedPath((), (fact,))
        if len(nodes) > 1:
            return _joined(nodes, path[1:], (fact,) if fact.is_reference else (), ())
        only = nodes[0].resolve(path[1:])
        return ResolvedPath(only.leaves, (fact, *only.followed), only.missing) if fact.is_reference else only

    def _resolve_with_others(self, fact: EffectiveFact, path: FactPath) -> ResolvedPath | None:
        """Follow a path whose first fact is not complete without other facts; None if it is."""
        name, rest = path[0], path[1:]
        if name == "authority":
            if "branch_of" in self.facts:
                return self._authority_of_branch(fact)
            if not _NO_BRANCH.intersection(self.facts):
                return ResolvedPath((fact,), (), (f"{self.id}.branch_of",))  # it may be a part of a body
        elif self.kind == FLOW and (gaps := self._gaps_of_list(name)):
            return _joined(fact.nodes, rest, (), gaps) if rest else ResolvedPath((fact,), (), gaps)
        return None

    def _resolve_unknown(self, path: FactPath) -> ResolvedPath:
        """Follow a path whose first fact is unknown here: by what implies that fact, or to a gap."""
        name = path[0]
        if name == "authority" and "branch_of" in self.facts:
            return self._authority_of_branch(None)
        parent = self.get("branch_of") if name in _OF_WHOLES and "branch_of" in self.facts else None
        if parent is not None and "branch_of" not in parent.nodes[0].facts:
            return self.resolve(("branch_of", *path))  # a branch is a part of its parent, and has none of its own
        if name == "state" and "person" in self.facts:
            return self.resolve(("resides_in", *path[1:]))
        if name == "state" and "organised_in" in self.facts:
            return self.resolve(("organised_in", *path[1:]))  # it is of each of them
        if name in _OF_PERSONS and not _OF_OTHERS.isdisjoint(self.facts):
            return NO_FACTS  # it is no person
        if self.kind == CLOUD and name in _OF_PLACES:
            return _together([self.resolve(("facility", each, *path[1:])) for each in _OF_PLACES[name]])
        # A field that the kind does not have is no gap: a facility has no operator of record.
        declarable = not self.kind or name in _FIELDS[self.kind]
        return ResolvedPath(missing=(f"{self.id}.{self._gap(name)}",)) if declarable else NO_FACTS

    def _authority_of_branch(self, own: EffectiveFact | None) -> ResolvedPath:
        """Return the kinds of authority of a branch: its own, and that of the whole of which it is a part."""
        parent = self.get("branch_of")
        if parent is None or "branch_of" in parent.nodes[0].facts:
            return ResolvedPath(missing=(f"{self.id if parent is None else parent.value}.authority",))
        of_whole = self.resolve(("branch_of", "authority"))
        return _together([ResolvedPath((own,)), of_whole]) if own is not None else of_whole

    def _gaps_of_list(self, name: str) -> FactPath:
        """Return what a list of a flow lacks by its other facts: the list itself, or facts that would show it."""
        gaps: FactPath | None = self.results.get(name)
        if gaps is None:
            omits, unknown = self._omitted_readers() if name == ACCESSORS else self._omitted_requests()
            gaps = self.results[name] = (f"{self.id}.{name}",) if omits else unknown
        return gaps

    def _omitted_readers(self) -> tuple[bool, FactPath]:
        """Return whether somebody who can read the flow is no accessor, and the facts that are missing to know that."""
        gaps: list[str] = []
        for path in _KEPT_AT:
            kept = self.resolve(path)
            gaps += kept.missing
            for leaf in kept.leaves:
                for place in leaf.nodes:
                    gaps += place.reader_gaps()
        return bool(self.unnamed_readers()), tuple(dict.fromkeys(gaps)) if gaps else ()

    def reader_gaps(self) -> FactPath:
        """Return the facts that are missing to know who can read what is kept at a place."""
        gaps: FactPath | None = self.results.get(_READER_GAPS)
        if gaps is None:
            gaps = tuple([gap for name in READERS for gap in self.resolve((name,)).missing])
            self.results[_READER_GAPS] = gaps
        return gaps

    def _omitted_requests(self) -> tuple[bool, FactPath]:
        """Return whether a flow for law enforcement, or to a court or the police, names no request that it answers.

        A request of a body of another kind or state is not the one of the receiver; of one without a declared state,
        the state is missing. The missing facts come second.
        """
        requests, purpose = self.get(REQUESTS), self.get("purpose")
        asking = () if requests is None else requests.nodes
        authority = self.resolve(("to", "organisation", "authority"))
        bodies = {value for fact in authority.leaves for value in fact.values}.intersection(REQUESTING)
        is_answer = purpose is not None and purpose.value == LAW_ENFORCEMENT
        gaps = authority.missing if purpose is not None or asking else (f"{self.id}.purpose", *authority.missing)
        if bodies:
            of_authority = self.resolve(("to", "organisation", "state"))
            gaps += of_authority.missing
            states = {value for fact in of_authority.leaves for value in fact.values}
            named = [(each, each.requested_by(states)) for each in asking]
            bodies -= {body for each, of in named for body in of if each.get("state") is not None}
            gaps += tuple([f"{each.id}.state" for each, of in named if bodies.intersection(of)])
            bodies -= {body for _, of in named for body in of}
        return (is_answer and not asking) or bool(bodies), gaps

    def requested_by(self, states: Collection[Any]) -> tuple[Any, ...]:
        """Return the kind of body of a request, unless its state is declared as none of these states."""
        body, state = self.get("body"), self.get("state")
        if body is None or (state is not None and states and state.value not in states):
            return ()
        return body.values

    def unnamed_readers(self) -> list[tuple[str, Node, Mapping[Any, str]]]:
        """Return who can read what a flow processes or stores, but is neither a party nor an accessor.

        A row is how the flow is kept at a place ("processed" or "stored"), the place, and the fields that name its
        readers, by reader. Places without such a reader are omitted.
        """
        accessors = self.get(ACCESSORS)
        named: set[Any] = set()
        for path in _PARTIES:
            for fact in self.resolve(path).leaves:
                named.update(fact.values)
        for element in () if accessors is None else accessors.nodes:
            party = element.get("party")
            named.update(() if party is None else party.values)
        kept = {
            node: name for name in reversed(_KEPT) for fact in self.resolve((name, "at")).leaves for node in fact.nodes
        }
        omitted: list[tuple[str, Node, Mapping[Any, str]]] = []
        for place, name in kept.items():
            readers = place.readers()
            if not named.issuperset(readers):
                omitted.append((name, place, {each: by for each, by in readers.items() if each not in named}))
        return omitted

    def readers(self) -> Mapping[Any, str]:
        """Return who can read what is kept at a place, besides its operator, each with the field that names them."""
        readers: Mapping[Any, str] | None = self.results.get(READERS)
        if readers is None:
            operator = self.get("operator")
            own = () if operator is None else operator.values
            facts = [(name, self.get(name)) for name in READERS]
            readers = {
                each: name for name, fact in facts if fact is not None for each in fact.values if each not in own
            }
            self.results[READERS] = readers
        return readers

    def _make(self, name: str, fact: Fact) -> EffectiveFact | None:
        network = self._network
        if fact.expires is not None and network.at >= fact.expires:
            return None
        value = fact.value
        path = f"{self.id}.{name}"
        values: tuple[Any, ...]
        nodes: tuple[Node, ...] = ()
        kinds = _FIELDS[self.kind].get(name, ())
        if type(value) is tuple:
            values = value
            if value and type(value[0]) is Element:
                nodes = values = self._elements(name, path, value)
                value = tuple([node.id for node in nodes])
        else:
            values = (value,)
        if kinds and len(values) == 1:
            nodes = (network.node_of_kind(str(values[0]), kinds),)
        elif kinds:
            nodes = tuple([network.node_of_kind(str(each), kinds) for each in values])
        assurance = fact.assurance
        if network.attested and (attested := network.attested.get(self.entity_id)):
            assurance = _strongest(assurance, attested, f"{self._prefix}{name}")
        if assurance < network.weakest:
            network.weakest = assurance
        return EffectiveFact(path, value, values, fact.source, fact.as_of, assurance, nodes, bool(kinds))

    def _elements(self, name: str, path: str, elements: tuple[Any, ...]) -> tuple[Node, ...]:
        network = self._network
        kind, prefix = f"{self.kind}.{name}", f"{self._prefix}{name}."
        return tuple(
            [
                Node(network, f"{path}[{number}]", kind, element.facts, self.entity_id, prefix)
                for number, element in enumerate(elements, 1)
                if element.in_force(network.at)
            ]
        )


def _joined(
    nodes: tuple[Node, ...], path: FactPath, followed: tuple[EffectiveFact, ...], gaps: FactPath
) -> ResolvedPath:
    """Follow a path from several nodes, after `followed` and with further `gaps`.

    From an element to an entity, only the rest of the path is cached, at the entity: a flow has many elements.
    """
    leaves: list[EffectiveFact] = []
    references, missing = list(followed), list(gaps)
    rest = path[1:]
    for node in nodes:
        reference = node.get(path[0]) if rest else None
        if reference is not None and reference.is_reference and len(reference.nodes) == 1 and node.kind in _ELEMENTS:
            references.append(reference)
            below = reference.nodes[0].resolve(rest)
        else:
            below = node.resolve(path)
        leaves += below.leaves
        references += below.followed
        missing += below.missing
    return ResolvedPath(tuple(leaves), tuple(references), tuple(missing))


def _together(paths: Sequence[ResolvedPath]) -> ResolvedPath:
    """Return several resolved paths as one."""
    return ResolvedPath(
        tuple([leaf for path in paths for leaf in path.leaves]),
        tuple([fact for path in paths for fact in path.followed]),
        tuple(dict.fromkeys(gap for path in paths for gap in path.missing)),
    )


class EffectiveNetwork:
    """A network on a day: its entities as nodes."""

    def __init__(self, network: Network, at: date) -> None:
        self.network = network
        self.at = at
        self.results: dict[Hashable, Any] = {}  # of questions that are answered once for the whole network
        # The assurance of attested facts, by subject and name. Only a verified signature counts.
        self.attested: dict[str, dict[str, Assurance]] = {}
        for each in network.attestations:
            if each.signed and each.in_force(at):
                for name in each.facts:
                    named = self.attested.setdefault(each.subject, {})
                    named[name] = max(each.assurance, named.get(name, Assurance.DECLARED))
        self.weakest = Assurance.DECLARED  # of all facts that were read; only declarations have weaker facts
        self._nodes: dict[str, Node] = {}
        self._wrong_kind: dict[str, Node] = {}

    def node(self, id: str) -> Node:
        """Return the cached node of an entity; a node without facts if the id is not declared."""
        node = self._nodes.get(id)
        if node is None:
            entity = self.network.entities.get(id)
            node = self._nodes[id] = self._undeclared(id) if entity is None else self.uncached_node(entity)
        return node

    def node_of_kind(self, id: str, kinds: tuple[str, ...]) -> Node:
        """Return the node of an entity that must be of one of these kinds.

        An entity of another kind counts as undeclared: that an organisation has no operator does not show who operates
        the facility that was meant.
        """
        node = self._nodes.get(id) or self.node(id)
        if not node.kind or node.kind in kinds:
            return node
        undeclared = self._wrong_kind.get(id)
        if undeclared is None:
            undeclared = self._wrong_kind[id] = self._undeclared(id)
        return undeclared

    @cached_property
    def branches(self) -> frozenset[str]:
        """The ids of all declared branches."""
        return frozenset(each.id for each in self.network.of_kind(ORGANISATION) if "branch_of" in each.facts)

    def whole(self, organisation: str) -> Node | None:
        """Return the organisation that a branch is a part of, or itself.

        None if branches are parts of each other, or if a declared parent is out of date.
        """
        node = self.node_of_kind(organisation, (ORGANISATION,))
        seen = {node.id}
        while (parent := node.get("branch_of")) is not None:
            node = self.node_of_kind(parent.values[0], (ORGANISATION,))
            if node.id in seen:
                return None
            seen.add(node.id)
        return None if "branch_of" in node.facts else node

    def uncached_node(self, entity: Entity) -> Node:
        """Return a new node: for a flow, which is judged once, and for an entity of a question, which is undeclared."""
        return Node(self, entity.id, entity.kind, entity.facts, entity.id, replaces=entity.replaces)

    def _undeclared(self, id: str) -> Node:
        return Node(self, id, "", {}, id)


def _strongest(own: Assurance, attested: dict[str, Assurance], name: str) -> Assurance:
    """Return the strongest of the fact's own assurance and those attested for it or for a list that contains it."""
    prefix = ""
    for step in name.split("."):
        prefix = f"{prefix}.{step}" if prefix else step
        own = max(own, attested.get(prefix, own))
    return own
