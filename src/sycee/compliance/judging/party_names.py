"""The names under which a list may know an organisation: its own, and that of the product in question.

A list may name a product instead of the firm: an app, or a model of equipment. Where a rule asks who made a product,
the name of the product is compared as well, but it shows a possible match only.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Final, NamedTuple

from sycee.compliance import names
from sycee.compliance.judging.effective_facts import EffectiveNetwork, Node, ResolvedPath
from sycee.compliance.names import NameIndex
from sycee.compliance.profiles import List
from sycee.compliance.vocabulary import ORGANISATION

_LISTS_MAX: Final = 64  # the indexes of the last lists are kept for the next judge


class PartyName(NamedTuple):
    """One name, and the path of the fact that states it."""

    text: str
    path: str


@lru_cache(maxsize=_LISTS_MAX)
def index_of(listed: List) -> NameIndex:
    """Return the names of a list, each with the number of its row."""
    return NameIndex((number, name) for number, row in enumerate(listed.rows) for name in row.names)


@lru_cache(maxsize=_LISTS_MAX)
def owners_of(listed: List) -> NameIndex:
    """Return the names of those that own listed parties, each with the number of the row."""
    return NameIndex((number, owner.name) for number, row in enumerate(listed.rows) for owner in row.owners or ())


def owner_of(path: str) -> str:
    """Return the entity or element to which a fact belongs, by the path of the fact."""
    return path.rpartition(".")[0]


def names_in(network: EffectiveNetwork) -> PartyNames:
    """Return the names in a network, which all its lists share."""
    found: PartyNames | None = network.results.get(PartyNames)
    if found is None:
        found = network.results[PartyNames] = PartyNames(network)
    return found


class PartyNames:
    """The names of the organisations of a network on a day, and the codes that two organisations declare."""

    def __init__(self, network: EffectiveNetwork) -> None:
        self._network = network
        self._of: dict[str, tuple[PartyName, ...]] = {}

    def of(self, node: Node) -> tuple[PartyName, ...]:
        """Return the names of an organisation: its id and name, and its identifiers."""
        found = self._of.get(node.id)
        if found is None:
            identifiers = node.get("identifiers")
            fields = {node.id: "id"}
            fields.setdefault(node.name, "name")
            for each in identifiers.values if identifiers is not None else ():
                fields.setdefault(each, "identifiers")
            found = self._of[node.id] = tuple([PartyName(text, f"{node.id}.{name}") for text, name in fields.items()])
        return found

    def of_apps(self, publishers: ResolvedPath) -> Mapping[str, tuple[PartyName, ...]]:
        """Return the names of the apps whose publishers a path leads to, by the id of the app."""
        ids = [owner_of(leaf.path) for leaf in publishers.leaves]
        return {id: (PartyName(id, f"{id}.id"), PartyName(self._network.node(id).name, f"{id}.name")) for id in ids}

    def unreadable(self, node: Node) -> PartyName | None:
        """Return the first name of an organisation that cannot be compared."""
        return next((each for each in self.of(node) if names.is_unreadable(each.text)), None)

    def sharing(self, node: Node) -> tuple[tuple[str, str], ...]:
        """Return the codes of an organisation that others declare too, such as an LEI, each with the other's id."""
        return self._shared.get(node.id, ())

    def are_parts_of_one(self, node: Node, other: str) -> bool:
        """Return whether one of two organisations is a branch of the other, which explains a code of both."""
        parents = [(each.get("branch_of"), id) for each, id in ((node, other), (self._network.node(other), node.id))]
        return any(parent is not None and parent.value == id for parent, id in parents)

    @cached_property
    def _shared(self) -> dict[str, tuple[tuple[str, str], ...]]:
        shared: dict[str, list[tuple[str, str]]] = {}
        for code, ids in self._by_code().items():
            for id in ids if len(ids) > 1 else ():
                shared.setdefault(id, []).extend((code, other) for other in ids if other != id)
        return {id: tuple(codes) for id, codes in shared.items()}

    def _by_code(self) -> dict[str, list[str]]:
        by_code: dict[str, list[str]] = {}
        for entity in self._network.network.of_kind(ORGANISATION):
            identifiers = self._network.node(entity.id).get("identifiers")
            codes = map(names.code, identifiers.values) if identifiers is not None else ()
            for code in dict.fromkeys(filter(None, codes)):
                by_code.setdefault(code, []).append(entity.id)
        return by_code


def of_models(models: ResolvedPath) -> Mapping[str, tuple[PartyName, ...]]:
    """Return the names of models of equipment, by the element."""
    return {owner_of(leaf.path): (PartyName(leaf.values[0], leaf.path),) for leaf in models.leaves}
