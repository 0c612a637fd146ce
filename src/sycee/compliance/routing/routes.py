"""Routes: the best way for a flow from one participant to another under every regime that applies, or the nearest miss.

Regimes apply by what the flow is and by everything on its way, ends included. Each part of a way can only add to them,
and what the last part adds holds for the first too: no way sheds a regime. A way that an enforced regime stops is no
route, nor is one with a link whose cost nobody declared: it cannot be compared. Then the answer is the nearest miss,
with what stops it. What is found is judged again, part by part, by the plain judge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any, Final

from sycee.compliance.facts import Entity, Network, Waiver
from sycee.compliance.judging.effective_facts import FactPath, Node
from sycee.compliance.judging.judge import Judge
from sycee.compliance.judging.logic import Truth
from sycee.compliance.profiles import Library
from sycee.compliance.routing import parties, path_search
from sycee.compliance.routing.path_search import COST, Graph, Link, Masks, MaskTable, Path
from sycee.compliance.routing.regime_masks import MaskBuilder
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Verdict
from sycee.compliance.vocabulary import FACILITY, PARTICIPANT, SEGMENT, SPAN
from sycee.core import typos
from sycee.core.errors import IntegrityError, UsageError

_FROM: Final = FactPath.of(("from", "gateway"))
_TO: Final = FactPath.of(("to", "gateway"))


@dataclass(frozen=True, slots=True)
class Regime:
    """A profile that applies to a flow on its way, or may, where a fact is missing (`applies` is None then).

    `touched_by` is what first made it so: the flow itself, or a place, span or segment on the way.
    """

    profile: str
    version: int
    force: Force
    applies: Truth
    touched_by: str


@dataclass(frozen=True, slots=True)
class FlowPath:
    """A flow on a way. `places` are the facilities in order, gateways included; `edges` lead from each to the next.

    `under` are the profiles that could stop it. `cost` is the sum of what is declared. `findings` are those of the two
    participants with their organisations and apps, of the flow, and of all on the way, under every profile, those that
    only advise too.
    """

    flow: str
    under: tuple[str, ...]
    edges: tuple[str, ...]
    places: tuple[str, ...]
    cost: int
    regimes: tuple[Regime, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Route(FlowPath):
    """A way that nothing stops, and the best of them: least cost, then fewest edges, then first by their ids."""


@dataclass(frozen=True, slots=True)
class NearestMiss(FlowPath):
    """The way that comes nearest: fewest regimes broken, then fewest that lack a fact, then as for routes.

    A regime is `broken` if it surely applies and one of its rules does not hold or is in conflict; it is `lacking` if
    a missing fact could show that. A missing cost counts as one that lacks a fact. `stops` are the findings that stop
    it, `missing` the facts that would decide, `remedies` what the rules say would mend it. Where nothing that is
    declared joins the two, `joined` is false, and what is told is what stops the flow wherever it goes.
    """

    joined: bool
    broken: tuple[str, ...]
    lacking: tuple[str, ...]
    stops: tuple[Finding, ...]
    missing: tuple[str, ...]
    remedies: tuple[str, ...]


RouteResult = Route | NearestMiss


@dataclass(frozen=True, slots=True)
class Comparison:
    """A flow under no regime, under each alone, and under all that are enforced together."""

    free: RouteResult
    alone: Mapping[str, RouteResult]
    together: RouteResult


@dataclass(frozen=True, slots=True)
class _Question:
    """One flow, and all that does not hang on which regimes count."""

    flow: Node
    source: int  # the places of its participants' gateways; -1 where one is not known
    target: int
    marks: MaskTable
    base: Masks
    broken: int  # what its participants, their organisations and apps do not meet, whatever the way
    lacking: int
    admitted: tuple[Finding, ...]  # those of its participants
    judged: dict[tuple[str, ...], tuple[Finding, ...]]  # by the edges of a way


class Router:
    """Finds routes in a network under the profiles of a library, as of a day.

    `waivers` are further ones beside those of the network. Making it ready asks the judge about every place and link
    once; then each question takes little. UsageError for costs that cannot be added up, and for too many profiles.
    It keeps what it was asked, so one thread asks at a time.
    """

    def __init__(self, network: Network, library: Library, at: date, waivers: Iterable[Waiver] = ()) -> None:
        waivers = tuple(waivers)
        self.judge = Judge(network, library, at, waivers)
        self.graph, self.unplaced = _graph(network, at)
        self._marking = MaskBuilder(self.judge, self.graph, waivers)
        self._numbers = {name: number for number, name in enumerate(self.graph.places)}
        self._participants: dict[str, tuple[int, int, tuple[Finding, ...]]] = {}

    def best(self, flow: str | Entity, *, as_if_enforced: Collection[str] = ()) -> RouteResult:
        """The best route of a flow, or the nearest miss. A flow is the id of one declared, or one made up to ask.

        The profiles of `as_if_enforced` stop it too, though they only advise. UsageError for one that is not in effect
        and for a flow that is not declared; IntegrityError if the judge, asked again, does not agree.
        """
        return self._answer(self._question(flow), self._marking.enforced | self.bits(as_if_enforced))

    def under(self, flow: str | Entity, profiles: Collection[str]) -> RouteResult:
        """The same under these profiles and no others, as if they were enforced."""
        return self._answer(self._question(flow), self.bits(profiles))

    def alone(self, flow: str | Entity) -> Mapping[str, RouteResult]:
        """The best under each profile in effect as if it alone were enforced."""
        return self.compare(flow).alone

    def compare(self, flow: str | Entity, *, as_if_enforced: Collection[str] = ()) -> Comparison:
        """Under no regime, under each alone, and under all that are enforced, with those of `as_if_enforced`."""
        question = self._question(flow)
        return Comparison(
            free=self._answer(question, 0),
            alone={profile: self._answer(question, bit) for profile, bit in self._marking.bits.items()},
            together=self._answer(question, self._marking.enforced | self.bits(as_if_enforced)),
        )

    def costs(self, flow: str | Entity, regimes: Iterable[Collection[str]]) -> tuple[int | None, ...]:
        """What the best route costs under each of several sets of profiles, as if enforced; None where there is none.

        For who asks about very many: it says what the search found, and the judge is not asked again.
        """
        question = self._question(flow)
        costs: list[int | None] = []
        for profiles in regimes:
            considered = self.bits(profiles)
            refused = (question.broken | question.lacking) & considered
            way = None if refused else self._search(question, considered, nearest_miss=False)
            costs.append(None if way is None else way.weight >> self.graph.shift)
        return tuple(costs)

    def bits(self, profiles: Iterable[str]) -> int:
        """Profiles as a set of bits. UsageError for one that is not in effect on the day."""
        in_effect, bits = self._marking.bits, 0
        for profile in profiles:
            if profile not in in_effect:
                hint = typos.hint(profile, in_effect, f"in effect: {', '.join(in_effect) or 'none'}")
                raise UsageError(f"no profile {profile} is in effect on {self.judge.at}", hint=hint)
            bits |= in_effect[profile]
        return bits

    def _question(self, flow: str | Entity) -> _Question:
        node = self.judge.flow_node(flow)
        source, target = (self._gateway(node, path) for path in (_FROM, _TO))
        marks, base = self._marking.of(node)
        broken = lacking = 0
        admitted: tuple[Finding, ...] = ()
        ends = (node.get(end) for end in ("from", "to"))
        for party in dict.fromkeys(str(each.value) for each in ends if each is not None):
            breaks, lacks, findings = self._participant(party)
            broken, lacking, admitted = broken | breaks, lacking | lacks, admitted + findings
        return _Question(node, source, target, marks, base, broken, lacking & ~broken, admitted, {})

    def _gateway(self, flow: Node, path: FactPath) -> int:
        found = [value for leaf in flow.resolve(path).leaves for value in leaf.values]
        return self._numbers[found[0]] if found else -1

    def _participant(self, party: str) -> tuple[int, int, tuple[Finding, ...]]:
        """The regimes that a party breaks by what it is, those under which it lacks a fact, and its findings."""
        if party not in self.judge.network.entities:
            return 0, 0, ()
        if party not in self._participants:
            findings = parties.findings(self.judge, party)
            self._participants[party] = (*self._stopped(findings, None), findings)
        return self._participants[party]

    def _search(self, question: _Question, considered: int, *, nearest_miss: bool = True) -> Path | None:
        if question.source < 0 or question.target < 0:
            return None
        return path_search.best(
            self.graph,
            question.marks,
            question.base,
            considered | COST,
            question.source,
            question.target,
            broken=question.broken & considered,
            lacking=question.lacking & considered,
            nearest_miss=nearest_miss,
        )

    def _answer(self, question: _Question, considered: int) -> RouteResult:
        """The best under the regimes of `considered`."""
        way = self._search(question, considered)
        edges = () if way is None else tuple(self.graph.links[link].id for link in way.links)
        if edges not in question.judged:
            question.judged[edges] = self.judge.flow(question.flow, edges)
        judged = question.judged[edges]
        broken, lacking = self._stopped(judged, question.flow)
        if way is not None and (broken | lacking) & considered != (way.masks.broken | way.masks.lacking) & ~COST:
            raise IntegrityError(
                f"the route of {question.flow.id} by {', '.join(edges) or 'no edge'} is judged otherwise than searched",
                hint="this is a defect of the program: please report it with the declarations and profiles",
            )
        if way is not None:
            broken, lacking = way.masks.broken, way.masks.lacking
        broken = (broken | question.broken) & considered
        lacking = (lacking | question.lacking) & (considered | COST) & ~broken
        numbers = way.places if way is not None else [end for end in (question.source, question.target) if end >= 0]
        passage = FlowPath(
            flow=question.flow.id,
            under=self._names(considered),
            edges=edges,
            places=tuple(self.graph.places[number] for number in numbers),
            cost=0 if way is None else way.weight >> self.graph.shift,
            regimes=self._regimes(question, numbers, () if way is None else way.links),
            findings=question.admitted + judged,
        )
        if way is not None and not broken and not lacking:
            return Route(**_fields(passage))
        return self._nearest(question, passage, broken, lacking, joined=way is not None)

    def _nearest(
        self, question: _Question, passage: FlowPath, broken: int, lacking: int, *, joined: bool
    ) -> NearestMiss:
        """A way that is no route, with what stops it."""
        names = self._names(broken | lacking)
        stops = tuple(
            each
            for each in passage.findings
            if each.verdict.stops and each.profile in passage.under
            # A rule that is met stands against one that is not: whoever reads of the one reads of the other.
            if not {each.profile, *(other.partition("/")[0] for other in each.conflicts_with)}.isdisjoint(names)
        )
        missing = [gap for each in stops for gap in each.missing]
        if lacking & COST:
            costs = {link.id: link.cost for link in self.graph.links}
            missing += [f"{edge}.cost" for edge in passage.edges if costs[edge] is None]
        if not joined:
            missing += [gap for path in (_FROM, _TO) for gap in question.flow.resolve(path).missing]
            missing += [f"{edge}.ends" for edge in self.unplaced]
        return NearestMiss(
            **_fields(passage),
            joined=joined,
            broken=self._names(broken),
            lacking=self._names(lacking),
            stops=stops,
            missing=tuple(dict.fromkeys(missing)),
            remedies=tuple(dict.fromkeys(each.remedy for each in stops)),
        )

    def _names(self, bits: int) -> tuple[str, ...]:
        return tuple(profile for profile, bit in self._marking.bits.items() if bit & bits)

    def _stopped(self, findings: Iterable[Finding], flow: Node | None) -> tuple[int, int]:
        """The regimes that some findings break, and those under which they lack a fact."""
        broken = lacking = 0
        for each in findings:
            if each.verdict.stops:
                bit = self._marking.bits.get(each.profile, 0)
                verdict = self._before_conflict(each, flow) if each.verdict is Verdict.CONFLICT else each.verdict
                broken |= bit if verdict > Verdict.UNKNOWN else 0
                lacking |= bit if verdict is Verdict.UNKNOWN else 0
        return broken, lacking & ~broken

    def _before_conflict(self, finding: Finding, flow: Node | None) -> Verdict:
        """What a rule comes to where no other regime is heard: one that is met is not broken by another that is not."""
        rule = self.judge.library.rules[finding.rule]
        name = finding.subject.rpartition(ON_PATH)[2]
        subject = flow if flow is not None and flow.id == name else name
        verdict = self.judge.element_verdict(rule, subject, flow)
        return finding.verdict if verdict is None else verdict

    def _regimes(self, question: _Question, places: Sequence[int], links: Sequence[int]) -> tuple[Regime, ...]:
        """What applies on a way, by what is first on it that makes it so."""
        marks, graph = question.marks, self.graph
        parts = [(question.flow.id, question.base.touched, question.base.reached)]
        for step, place in enumerate(places):
            touched, reached = marks.masks[marks.of_places[place], :2].tolist()
            parts.append((graph.places[place], touched, reached))
            if step < len(links):
                touched, reached = marks.masks[marks.of_links[links[step]], :2].tolist()
                parts.append((graph.links[links[step]].id, touched, reached))
        regimes = []
        for profile in self._marking.profiles:
            bit = self._marking.bits[profile.id]
            surely = next((name for name, touched, _ in parts if touched & bit), None)
            by = surely or next((name for name, _, reached in parts if reached & bit), None)
            if by is not None:
                force = Force.ENFORCED if bit & self._marking.enforced else Force.ADVISED
                regimes.append(Regime(profile.id, profile.version, force, True if surely else None, by))
        return tuple(regimes)


def _fields(passage: FlowPath) -> dict[str, Any]:
    return {each.name: getattr(passage, each.name) for each in fields(passage)}


def _graph(network: Network, at: date) -> tuple[Graph, tuple[str, ...]]:
    """The network as places and links, and the spans and segments of which nobody knows what they join."""
    edges = [each for kind in (SPAN, SEGMENT) for each in network.of_kind(kind)]
    ends = {edge.id: edge.value_on("ends", at) for edge in edges}
    gateways = [each.value_on("gateway", at) for each in network.of_kind(PARTICIPANT)]
    places = {each.id for each in network.of_kind(FACILITY)}
    places |= {str(gateway) for gateway in gateways if gateway is not None}
    joined = {edge: joins for edge, joins in ends.items() if isinstance(joins, tuple) and len(set(joins)) == 2}
    places |= {str(end) for joins in joined.values() for end in joins}
    numbers = {name: number for number, name in enumerate(sorted(places))}
    links = []
    for edge in edges:
        if edge.id in joined:
            cost = edge.value_on("cost", at)
            one, other = (numbers[str(end)] for end in dict.fromkeys(joined[edge.id]))
            links.append(Link(edge.id, one, other, cost if isinstance(cost, int) else None))
    return Graph(list(numbers), links), tuple(edge for edge, joins in ends.items() if joins is None)
