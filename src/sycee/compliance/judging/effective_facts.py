"""What is known on a day: facts that have not expired, elements in force, and references followed to what they name.

A network is made ready for one day piece by piece, as judging asks for it, and what was made is kept: the walk from a
cloud to the state of its operator is done once, however many flows are stored there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import date
from typing import Any, Final

from sycee.compliance.facts import Assurance, Element, Entity, Fact, Network, Value
from sycee.compliance.verdicts import Evidence
from sycee.compliance.vocabulary import KINDS, Field, Type


def _fields_below(name: str, fields: Iterable[Field]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Of a kind and of each list of tables below it ("flow", "flow.stored"): its fields, and the kinds they name."""
    found = {name: {each.name: each.kinds for each in fields}}
    for each in fields:
        if each.type is Type.ELEMENTS:
            found |= _fields_below(f"{name}.{each.name}", each.fields)
    return found


_FIELDS: Final = {of: fields for kind in KINDS.values() for of, fields in _fields_below(kind.name, kind.fields).items()}


class FactPath:
    """A path of facts, a step at a time. Equal paths, and equal ends of paths, are one object: `Path.of`."""

    __slots__ = ("name", "rest")
    _made: dict[tuple[str, ...], FactPath] = {}  # noqa: RUF012  (one table for all)

    def __init__(self, name: str, rest: FactPath | None) -> None:
        self.name = name
        self.rest = rest

    @classmethod
    def of(cls, steps: tuple[str, ...]) -> FactPath:
        """The path of these steps; at least one."""
        made = cls._made.get(steps)
        if made is None:
            made = cls._made[steps] = FactPath(steps[0], cls.of(steps[1:]) if len(steps) > 1 else None)
        return made


class EffectiveFact:
    """One fact that is known. Tests look at `values`; `nodes` are the elements or entities that it leads to."""

    __slots__ = (
        "_held",
        "_open",
        "_refuted",
        "as_of",
        "assurance",
        "nodes",
        "note",
        "path",
        "refers",
        "source",
        "value",
        "values",
    )

    def __init__(
        self,
        path: str,
        value: Value,
        values: tuple[Any, ...],
        source: str = "",
        as_of: date | None = None,
        assurance: Assurance = Assurance.DECLARED,
        nodes: tuple[Node, ...] = (),
        refers: bool = False,
        note: str = "",
    ) -> None:
        self.path = path
        self.value = value
        self.values = values
        self.source = source
        self.as_of = as_of
        self.assurance = assurance
        self.nodes = nodes
        self.refers = refers
        self.note = note
        self._held: Evidence | None = None
        self._refuted: Evidence | None = None
        self._open: Evidence | None = None

    def told(self, holds: bool | None) -> Evidence:
        """The evidence that it is, made once for each answer that came of it."""
        evidence = self._held if holds else self._open if holds is None else self._refuted
        if evidence is None:
            evidence = Evidence(self.path, self.value, self.source, self.as_of, self.assurance, holds, self.note)
            if holds:
                self._held = evidence
            elif holds is None:
                self._open = evidence
            else:
                self._refuted = evidence
        return evidence

    def noted(self, note: str) -> EffectiveFact:
        """The same fact with a note."""
        return EffectiveFact(self.path, self.value, self.values, self.source, self.as_of, self.assurance, note=note)


class ResolvedPath:
    """Where a path led: the facts at its end, those passed on the way, and the paths of what is missing."""

    __slots__ = ("_held", "_refuted", "leaves", "missing", "way")

    def __init__(
        self,
        leaves: tuple[EffectiveFact, ...] = (),
        way: tuple[EffectiveFact, ...] = (),
        missing: tuple[str, ...] = (),
    ) -> None:
        self.leaves = leaves
        self.way = way
        self.missing = missing
        self._held: tuple[Evidence, ...] | None = None
        self._refuted: tuple[Evidence, ...] | None = None

    def told(self, holds: bool) -> tuple[Evidence, ...]:
        """The evidence that all of it is, where one answer came of all; made once for each answer."""
        evidence = self._held if holds else self._refuted
        if evidence is None:
            evidence = tuple([known.told(holds) for known in (*self.way, *self.leaves)])
            if holds:
                self._held = evidence
            else:
                self._refuted = evidence
        return evidence


NO_FACTS: Final = ResolvedPath()


class Node:
    """An entity, or an element of a list, on the day. One that was declared nowhere has no facts: all are missing."""

    __slots__ = ("_fields", "_knowledge", "_known", "_named", "_walks", "facts", "id", "kind", "outcomes", "owner")

    def __init__(self, knowledge: EffectiveNetwork, label: str, kind: str, facts: Any, owner: str, named: str) -> None:
        self.id = label
        self.kind = kind  # "" where nothing is declared
        self.owner = owner  # the id of the entity that it is, or is a part of
        self.outcomes: dict[Hashable, Any] = {}  # of tests that start here, and of rules on it
        self._knowledge = knowledge
        self.facts = facts
        self._named = named  # the path of fields from the entity to this element, with a dot behind it
        self._fields = _FIELDS.get(kind)
        self._known: dict[str, EffectiveFact | None] = {}
        self._walks: dict[FactPath, ResolvedPath] = {}

    def get(self, name: str) -> EffectiveFact | None:
        """The fact of this name, if it is known."""
        known = self._known.get(name)
        if known is None and name not in self._known:
            fact = self.facts.get(name)
            known = self._known[name] = None if fact is None else self._make(name, fact)
        return known

    @property
    def name(self) -> str:
        """What people call the entity; its id where it has no other name."""
        entity = self._knowledge.network.entities.get(self.id)
        return self.id if entity is None else entity.name

    def may_have(self, name: str) -> bool:
        """Whether such a fact can be declared here. A facility has no operator of record: that is not a gap."""
        return self._fields is None or name in self._fields

    def declared_count(self, name: str) -> int:
        """How many elements a list has that is known, of whatever time."""
        fact = self.facts.get(name)
        return len(fact.value) if fact is not None and type(fact.value) is tuple else 0

    def walk(self, path: FactPath) -> ResolvedPath:
        """Follow a path from here."""
        walk = self._walks.get(path)
        if walk is None:
            walk = self._walks[path] = self._walk(path)
        return walk

    def _walk(self, path: FactPath) -> ResolvedPath:
        known = self.get(path.name)
        if known is None:
            return ResolvedPath((), (), (f"{self.id}.{path.name}",)) if self.may_have(path.name) else NO_FACTS
        if path.rest is None:
            return ResolvedPath((known,))
        nodes = known.nodes
        if not nodes:
            return ResolvedPath((), (known,))
        way: tuple[EffectiveFact, ...] = (known,) if known.refers else ()
        if len(nodes) == 1:
            walk = nodes[0].walk(path.rest)
            return ResolvedPath(walk.leaves, way + walk.way, walk.missing) if way else walk
        walks = [node.walk(path.rest) for node in nodes]
        return ResolvedPath(
            tuple([leaf for walk in walks for leaf in walk.leaves]),
            way + tuple([passed for walk in walks for passed in walk.way]),
            tuple([gap for walk in walks for gap in walk.missing]),
        )

    def _make(self, name: str, fact: Fact) -> EffectiveFact | None:
        knowledge = self._knowledge
        if fact.expires is not None and knowledge.at >= fact.expires:
            return None
        value = fact.value
        path = f"{self.id}.{name}"
        values: tuple[Any, ...]
        nodes: tuple[Node, ...] = ()
        kinds = self._fields.get(name, ()) if self._fields is not None else ()
        if type(value) is tuple:
            values = value
            if value and type(value[0]) is Element:
                nodes = values = self._elements(name, path, value)
                value = tuple([node.id for node in nodes])
        else:
            values = (value,)
        if kinds:
            nodes = tuple([knowledge.named(str(each), kinds) for each in values])
        assurance = fact.assurance
        if knowledge.vouched and (vouched := knowledge.vouched.get(self.owner)):
            assurance = _strongest(assurance, vouched, f"{self._named}{name}")
        return EffectiveFact(path, value, values, fact.source, fact.as_of, assurance, nodes, bool(kinds))

    def _elements(self, name: str, path: str, elements: tuple[Any, ...]) -> tuple[Node, ...]:
        knowledge = self._knowledge
        kind, named = f"{self.kind}.{name}", f"{self._named}{name}."
        return tuple(
            [
                Node(knowledge, f"{path}[{position}]", kind, element.facts, self.owner, named)
                for position, element in enumerate(elements, 1)
                if element.in_force(knowledge.at)
            ]
        )


class EffectiveNetwork:
    """A network on a day."""

    def __init__(self, network: Network, at: date) -> None:
        self.network = network
        self.at = at
        # What others vouch for, by subject and then by the fact's name. Only a checked signature vouches.
        self.vouched: dict[str, dict[str, Assurance]] = {}
        for each in network.attestations:
            if each.signed and each.in_force(at):
                for name in each.facts:
                    named = self.vouched.setdefault(each.subject, {})
                    named[name] = max(each.assurance, named.get(name, Assurance.DECLARED))
        self._nodes: dict[str, Node] = {}
        self._strangers: dict[str, Node] = {}  # what is named where another kind belongs

    def node(self, id: str) -> Node:
        """The entity of this id, kept; without facts if there is none."""
        node = self._nodes.get(id)
        if node is None:
            entity = self.network.entities.get(id)
            node = self._nodes[id] = Node(self, id, "", {}, id, "") if entity is None else self.fresh(entity)
        return node

    def named(self, id: str, kinds: tuple[str, ...]) -> Node:
        """The entity of this id where one of these kinds belongs.

        One of another kind has no facts there, as if it were declared nowhere: that an organisation has no operator
        says nothing of who runs the place that was meant.
        """
        node = self._nodes.get(id) or self.node(id)
        if not node.kind or node.kind in kinds:
            return node
        stranger = self._strangers.get(id)
        if stranger is None:
            stranger = self._strangers[id] = Node(self, id, "", {}, id, "")
        return stranger

    def fresh(self, entity: Entity) -> Node:
        """An entity as it stands, not kept: a flow is judged once, and a question is in no network."""
        return Node(self, entity.id, entity.kind, entity.facts, entity.id, "")


def _strongest(own: Assurance, vouched: dict[str, Assurance], name: str) -> Assurance:
    """Its own assurance, or that of who vouches for the fact or for the list that it stands in."""
    whole = ""
    for step in name.split("."):
        whole = f"{whole}.{step}" if whole else step
        own = max(own, vouched.get(whole, own))
    return own
