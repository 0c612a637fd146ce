"""Sums of a number over all flows between the same two parties.

A regime counts what two parties exchange, in however many flows and in either direction. Flows of one sender to several
receivers count together where a third party that the sum names participates in all of them. The parties are the
organisations of the participants, a branch being a part of its parent. A number that is missing, or a flow that may be
between the same parties, makes a sum uncertain: it lies between a least and, if known, a most.
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

    def __init__(self, network: EffectiveNetwork, found: Sequence[tuple[PathResolver, Callable[[str], Truth]]]) -> None:
        self._network = network
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
                        whole = self._network.whole(value)
                        party = value if whole is None else whole.id
                        gaps += (f"{value}.branch_of",) if whole is None else ()
                        parties[party] = disjunction([truth, parties.get(party, False)])
            cached = flow.results[self] = (parties, tuple(dict.fromkeys(gaps)))
        return cached


@dataclass(slots=True)
class _Index:
    """The flows of a network: by their two organisations, by that of the sender, and with an undeclared one.

    `unsure` are those of which an organisation is not declared, by the other one, which is None if it is not declared
    either.
    """

    all: list[tuple[str, tuple[Party, Party]]] = field(default_factory=list)
    by_key: dict[frozenset[str], list[tuple[str, tuple[Party, Party]]]] = field(default_factory=dict)
    by_sender: dict[str | None, list[tuple[str, tuple[Party, Party]]]] = field(default_factory=dict)
    unsure: dict[str | None, list[tuple[str, tuple[Party, Party]]]] = field(default_factory=dict)


class FlowPairs:
    """The flows of a network by their two parties."""

    def __init__(self, network: EffectiveNetwork) -> None:
        self._network = network

    def others(self, flow: Node) -> list[tuple[Node, Truth]]:
        """Return the other flows that are, or may be, between the parties of a flow, in either direction.

        A flow of a question replaces the declared flow that it is a payment of.
        """
        return [(self._network.node(id), truth) for id, truth in self._between(flow).items()]

    def of_sender(self, flow: Node) -> list[tuple[Node, Truth, Truth]]:
        """Return the other flows that have, or may have, the sender of a flow.

        Each comes with whether it has the same two parties, in either direction, and whether it has the same sender.
        The flows are found once for all sums of a flow.
        """
        found: list[tuple[Node, Truth, Truth]] | None = flow.results.get(self)
        if found is None:
            found = flow.results[self] = self._find_of_sender(flow)
        return found

    def _find_of_sender(self, flow: Node) -> list[tuple[Node, Truth, Truth]]:
        between, sender = self._between(flow), self._parties(flow)[0]
        if sender.organisation is None:
            senders = {id: _is_same(sender, ends[0]) for id, ends in self._index.all}
        else:
            senders = {id: True for id, _ in self._index.by_sender.get(sender.organisation, ())}
            senders |= {id: None for id, _ in self._index.by_sender.get(None, ())}
        own = (flow.id, flow.replaces)
        others: dict[str, tuple[Truth, Truth]] = {}
        others |= {id: (between.get(id, False), one) for id, one in senders.items() if one and id not in own}
        others |= {id: (both, senders.get(id, False)) for id, both in between.items() if id not in others}
        others |= {
            id: (False, one) for id, one in senders.items() if one is None and id not in between and id not in own
        }
        return [(self._network.node(id), both, one) for id, (both, one) in others.items()]

    def _between(self, flow: Node) -> dict[str, Truth]:
        """Return the ids of the other flows that are, or may be, between the parties of a flow, and which they are."""
        ends, index = self._parties(flow), self._index
        one, two = ends[0].organisation, ends[1].organisation
        if one is None and two is None:
            among = index.all
        elif one is None or two is None:
            # Between others, both known: no.
            numbers = {*self._by_organisation.get(one or two, ()), *self._by_organisation.get(None, ())}
            among = [index.all[number] for number in sorted(numbers)]
        else:
            among = [*index.by_key.get(frozenset((one, two)), ()), *index.unsure.get(None, ())]
            for each in dict.fromkeys((one, two)):
                among += index.unsure.get(each, ())
        own = (flow.id, flow.replaces)
        found = {id: _are_same(ends, parties) for id, parties in among if id not in own}
        return {id: truth for id, truth in found.items() if truth is not False}

    # Nodes are made only of flows that count: a network has many flows, and few between the same parties.
    @cached_property
    def _index(self) -> _Index:
        index = _Index()
        for each in self._network.network.of_kind(FLOW):
            ends = self._parties(each)
            entry = each.id, ends
            one, two = ends[0].organisation, ends[1].organisation
            index.all.append(entry)
            index.by_sender.setdefault(one, []).append(entry)
            if one is None or two is None:
                index.unsure.setdefault(two if one is None else one, []).append(entry)
            else:
                index.by_key.setdefault(frozenset((one, two)), []).append(entry)
        return index

    @cached_property
    def _by_organisation(self) -> dict[str | None, list[int]]:
        """The numbers of the flows of each organisation, as sender or receiver; None is an undeclared one."""
        numbers: dict[str | None, list[int]] = {}
        for number, (_, ends) in enumerate(self._index.all):
            for each in ends:
                numbers.setdefault(each.organisation, []).append(number)
        return numbers

    @cached_property
    def _organisations(self) -> dict[str, str | None]:
        """The organisation of each participant, of a branch its parent; None if it is not known."""
        at = self._network.at
        declared = ((each.id, each.value_on("organisation", at)) for each in self._network.network.of_kind(PARTICIPANT))
        wholes = {id: None if value is None else self._network.whole(str(value)) for id, value in declared}
        return {id: None if whole is None else whole.id for id, whole in wholes.items()}

    def _parties(self, flow: Node | Entity) -> tuple[Party, Party]:
        return self._party(flow, "from"), self._party(flow, "to")

    def _party(self, flow: Node | Entity, end: str) -> Party:
        fact = flow.facts.get(end)
        if fact is None or (fact.expires is not None and self._network.at >= fact.expires):
            return Party(None, None)
        return Party(str(fact.value), self._organisations.get(str(fact.value)))


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
