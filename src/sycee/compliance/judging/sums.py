"""Sums of a number over all flows between the same two parties.

A regime counts what two parties exchange, in however many flows and in either direction. Flows of one sender to several
receivers count together where a third party that the sum names takes part in all of them. The parties are the
organisations of the participants. A number that is missing, or a flow that may be between the same parties, makes a sum
uncertain: it lies between a least and, if known, a most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from sycee.compliance.facts import Entity
from sycee.compliance.judging.effective_facts import EffectiveFact, EffectiveNetwork, Node, ResolvedPath
from sycee.compliance.judging.logic import Truth, conjunction, disjunction
from sycee.compliance.vocabulary import FLOW, PARTICIPANT

PathResolver = Callable[[tuple[Node, Node, Node | None]], ResolvedPath]  # of a subject, an element and a flow

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


class SharedParties:
    """The parties that some conditions of a sum find in flows, such as who runs a store there.

    Two flows of one sender count together if one party is found in both: the sender deals with it in each of them.
    """

    def __init__(self, found: Sequence[tuple[PathResolver, Callable[[str], Truth]]]) -> None:
        self._found = found

    def are_shared(self, one: Node, other: Node) -> tuple[Truth, tuple[str, ...]]:
        """Return whether a party is found in both flows, and the facts that are missing to know."""
        (these, gaps), (those, other_gaps) = self._of(one), self._of(other)
        truths = [conjunction([truth, those[party]]) for party, truth in these.items() if party in those]
        if (gaps and (those or other_gaps)) or (other_gaps and these):
            truths.append(None)
        truth = disjunction(truths)
        return truth, (*gaps, *other_gaps) if truth is None else ()

    def _of(self, flow: Node) -> tuple[dict[str, Truth], tuple[str, ...]]:
        """Return the parties that are, or may be, found in a flow, and the facts that are missing to know all."""
        cached: tuple[dict[str, Truth], tuple[str, ...]] | None = flow.results.get(self)
        if cached is None:
            parties: dict[str, Truth] = {}
            gaps: list[str] = []
            for resolve, is_party in self._found:
                path = resolve((flow, flow, flow))
                gaps += path.missing
                for value in {str(value): None for leaf in path.leaves for value in leaf.values}:
                    truth = is_party(value)
                    if truth is not False:
                        parties[value] = disjunction([truth, parties.get(value, False)])
            cached = flow.results[self] = (parties, tuple(dict.fromkeys(gaps)))
        return cached


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

    def of_sender(self, flow: Node) -> list[tuple[Node, Truth, Truth]]:
        """Return the other flows that have, or may have, the sender of a flow.

        Each comes with whether it has the same two parties, in either direction, and whether it has the same sender.
        """
        ends = self._parties(flow)
        sender = ends[0].organisation
        among = self._all
        if None not in _key(ends):
            known = dict([*self._by_sender.get(sender, ()), *self._by_key.get(_key(ends), ()), *self._unsure])
            among = list(known.items())
        own = (flow.id, flow.replaces)
        found = [
            (id, _are_same(ends, parties), _is_same(ends[0], parties[0])) for id, parties in among if id not in own
        ]
        return [(self._network.node(id), both, one) for id, both, one in found if (both, one) != (False, False)]

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
    def _by_sender(self) -> dict[str | None, list[tuple[str, tuple[Party, Party]]]]:
        found: dict[str | None, list[tuple[str, tuple[Party, Party]]]] = {}
        for id, ends in self._all:
            found.setdefault(ends[0].organisation, []).append((id, ends))
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
