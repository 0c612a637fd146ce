"""Sums of a number over all flows between the same two parties.

A regime counts what two parties exchange, in however many flows and in either direction. The parties are the
organisations of the participants. A number that is missing, or a flow that may be between the same parties, makes a sum
uncertain: it lies between a least and, if known, a most.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from sycee.compliance.facts import Entity
from sycee.compliance.judging.effective_facts import EffectiveFact, EffectiveNetwork, Node
from sycee.compliance.judging.logic import Truth, conjunction, disjunction
from sycee.compliance.vocabulary import FLOW, PARTICIPANT

SHOWN_MAX: Final = 20  # flows in the evidence of one sum; the others count too

_ENDS: Final = ("from", "to")


class Party(NamedTuple):
    """One end of a flow. None is undeclared."""

    participant: str | None
    organisation: str | None


@dataclass(slots=True)
class Sum:
    """A sum: between `least` and `most`, which is None if it may be any number."""

    least: int = 0
    most: int | None = 0
    counted: list[EffectiveFact] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def add(self, number: EffectiveFact | None, path: str, *, surely: bool) -> None:
        """Add the number of a flow, which `path` names; None if it is not declared."""
        if number is None:
            self.most = None
            self.missing.append(path)
            return
        self.most = None if self.most is None else self.most + number.values[0]
        if surely:
            self.least += number.values[0]
            self.counted.append(number)


class FlowPairs:
    """The flows of a network by their two parties."""

    def __init__(self, network: EffectiveNetwork) -> None:
        self._network = network

    def others(self, flow: Node) -> list[tuple[Node, Truth]]:
        """Return the other flows that are, or may be, between the parties of a flow, in either direction.

        A flow of a question replaces the declared flow that it is a payment of.
        """
        ends = self._parties(flow)
        among = self._all if None in _key(ends) else [*self._by_key.get(_key(ends), ()), *self._unsure]
        own = (flow.id, flow.replaces)
        found = [(id, _are_same(ends, parties)) for id, parties in among if id not in own]
        return [(self._network.node(id), truth) for id, truth in found if truth is not False]

    # Nodes are made only of flows that count: a network has many flows, and few between the same parties.
    @cached_property
    def _all(self) -> list[tuple[str, tuple[Party, Party]]]:
        return [(each.id, self._parties(each)) for each in self._network.network.of_kind(FLOW)]

    @cached_property
    def _by_key(self) -> dict[frozenset[str | None], list[tuple[str, tuple[Party, Party]]]]:
        """The flows whose organisations are both declared, by these."""
        found: dict[frozenset[str | None], list[tuple[str, tuple[Party, Party]]]] = {}
        for id, ends in self._all:
            if None not in _key(ends):
                found.setdefault(_key(ends), []).append((id, ends))
        return found

    @cached_property
    def _unsure(self) -> list[tuple[str, tuple[Party, Party]]]:
        return [(id, ends) for id, ends in self._all if None in _key(ends)]

    @cached_property
    def _organisations(self) -> dict[str, str | None]:
        """The organisation of each participant."""
        at = self._network.at
        declared = ((each.id, each.value_on("organisation", at)) for each in self._network.network.of_kind(PARTICIPANT))
        return {id: None if organisation is None else str(organisation) for id, organisation in declared}

    def _parties(self, flow: Node | Entity) -> tuple[Party, Party]:
        one, two = (self._party(flow, end) for end in _ENDS)
        return one, two

    def _party(self, flow: Node | Entity, end: str) -> Party:
        fact = flow.facts.get(end)
        if fact is None or (fact.expires is not None and self._network.at >= fact.expires):
            return Party(None, None)
        return Party(str(fact.value), self._organisations.get(str(fact.value)))


def _key(ends: tuple[Party, Party]) -> frozenset[str | None]:
    return frozenset(each.organisation for each in ends)


def _are_same(these: tuple[Party, Party], those: tuple[Party, Party]) -> Truth:
    """Return whether two flows have the same two parties, in either direction."""
    straight = conjunction([_is_same(one, other) for one, other in zip(these, those, strict=True)])
    crossed = conjunction([_is_same(one, other) for one, other in zip(these, reversed(those), strict=True)])
    return disjunction([straight, crossed])


def _is_same(one: Party, other: Party) -> Truth:
    if one.participant is not None and one.participant == other.participant:
        return True
    if one.organisation is None or other.organisation is None:
        return None
    return one.organisation == other.organisation
