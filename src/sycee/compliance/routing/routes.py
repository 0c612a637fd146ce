"""Routes: the best path for a flow between two participants under every regime that applies, or the nearest miss.

A regime applies because of the flow or of any element on its path, ends included, and then applies to the whole path.
More elements can only add regimes. A path that an enforced regime stops is no route; neither is a path with a link
without a declared cost, which cannot be compared. Then the result is the nearest miss, with what stops it. The plain
judge judges every path that was found again, element by element.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sycee.compliance.facts import Entity, Network, Waiver
from sycee.compliance.judging.effective_facts import FactPath, Node
from sycee.compliance.judging.judge import FROM_GATEWAY, TO_GATEWAY, Judge
from sycee.compliance.judging.logic import Truth
from sycee.compliance.profiles import Library
from sycee.compliance.routing import parties, path_search
from sycee.compliance.routing.path_search import COST, Graph, Link, Masks, MaskTable, Path
from sycee.compliance.routing.regime_masks import MaskBuilder
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Verdict
from sycee.compliance.vocabulary import FACILITY, PARTICIPANT, SEGMENT, SPAN
from sycee.core import typos
from sycee.core.errors import IntegrityError


@dataclass(frozen=True, slots=True)
class Regime:
    """A profile that applies to a flow on its path. `applies` is None if a missing fact decides.

    `touched_by` is the first cause: the flow itself, or a place, span or segment on the path.
    """

    profile: str
    version: int
    force: Force
    applies: Truth
    touched_by: str


@dataclass(frozen=True, slots=True)
class FlowPath:
    """A flow on a path. `places` are the facilities in order, gateways included; `edges` join each to the next.

    `under` are the profiles that can stop it. `cost` is the sum of the declared costs. `findings` are about both
    participants with their organisations and apps, the flow, and all elements on the path, under every profile.
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
    """The best path that nothing stops: least cost, then fewest edges, then the first by ids."""


@dataclass(frozen=True, slots=True)
class NearestMiss(FlowPath):
    """The path with the fewest regimes broken, then the fewest that lack a fact, then as for routes.

    A regime is `broken` if it surely applies and one of its rules fails or is in conflict; it is `lacking` if a missing
    fact could show that. A missing cost counts as one regime that lacks a fact. `stops` are the findings that stop the
    flow, `missing` the facts that would decide, `remedies` those of the rules. If no declared edges join the two
    gateways, `joined` is false, and the findings are those of every path.
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
    """The results for a flow under no regime, under each alone, and under all enforced regimes together."""

    free: RouteResult
    alone: Mapping[str, RouteResult]
    together: RouteResult


@dataclass(frozen=True, slots=True)
class _Question:
    """One flow, with everything that does not depend on the considered regimes."""

    flow: Node
    source: int  # the place of a participant's gateway; -1 if it is unknown
    target: int
    table: MaskTable
    base: Masks
    broken: int  # regimes that its participants, their organisations or apps break, on every path
    lacking: int
    of_parties: tuple[Finding, ...]
    of_paths: dict[tuple[str, ...], tuple[Finding, ...]]  # by the edges of a path


class Router:
    """Finds routes in a network under the profiles of a library, as of a day.

    `waivers` are added to those of the network. The constructor asks the judge about every place and link once; after
    that a question is quick. UsageError for costs that overflow, and for more than REGIMES_MAX profiles. Results are
    cached, so only one thread may use a router at a time.
    """

    def __init__(self, network: Network, library: Library, at: date, waivers: Iterable[Waiver] = ()) -> None:
        waivers = tuple(waivers)
        self.judge = Judge(network, library, at, waivers)
        self.graph, self.unplaced = _graph(network, at)
        self._masks = MaskBuilder(self.judge, self.graph, waivers)
        self._numbers = {name: number for number, name in enumerate(self.graph.places)}
        self._participants: dict[str, tuple[int, int, tuple[Finding, ...]]] = {}

    def best(self, flow: str | Entity, *, as_if_enforced: Collection[str] = ()) -> RouteResult:
        """Return the best route of a flow, or the nearest miss. `flow` is a declared id, or an entity for a question.

        Profiles of `as_if_enforced` stop the flow too, even if they only advise. UsageError for a profile that is not
        in effect and for an undeclared flow; IntegrityError if the judge does not confirm the result of the search.
        """
        return self._result(self._question(flow), self._masks.enforced | self.bits(as_if_enforced))

    def under(self, flow: str | Entity, profiles: Collection[str]) -> RouteResult:
        """Return the same under these profiles alone, as if they were enforced."""
        return self._result(self._question(flow), self.bits(profiles))

    def compare(self, flow: str | Entity, *, as_if_enforced: Collection[str] = ()) -> Comparison:
        """Return the results under no regime, under each alone, and under all enforced and `as_if_enforced` ones."""
        question = self._question(flow)
        return Comparison(
            free=self._result(question, 0),
            alone={profile: self._result(question, bit) for profile, bit in self._masks.bits.items()},
            together=self._result(question, self._masks.enforced | self.bits(as_if_enforced)),
        )

    def costs(self, flow: str | Entity, regimes: Iterable[Collection[str]]) -> tuple[int | None, ...]:
        """Return the cost of the best route under each of several sets of profiles, as if enforced; None without one.

        This is for very many questions: the judge does not confirm the results of the search.
        """
        question = self._question(flow)
        costs: list[int | None] = []
        for profiles in regimes:
            considered = self.bits(profiles)
            refused = (question.broken | question.lacking) & considered
            path = None if refused else self._search(question, considered, nearest_miss=False)
            costs.append(None if path is None else path.weight >> self.graph.shift)
        return tuple(costs)

    def bits(self, profiles: Iterable[str]) -> int:
        """Return profiles as a set of bits. UsageError for one that is not in effect on the day."""
        in_effect, bits = self._masks.bits, 0
        names = f"in effect: {', '.join(in_effect) or 'none'}"
        for profile in profiles:
            typos.require(profile, in_effect, f"no profile {profile} is in effect on {self.judge.at}", names)
            bits |= in_effect[profile]
        return bits

    def _question(self, flow: str | Entity) -> _Question:
        node = self.judge.flow_node(flow)
        source, target = (self._gateway(node, path) for path in (FROM_GATEWAY, TO_GATEWAY))
        table, base = self._masks.of(node)
        broken = lacking = 0
        of_parties: tuple[Finding, ...] = ()
        ends = (node.get(end) for end in ("from", "to"))
        for party in dict.fromkeys(str(each.value) for each in ends if each is not None):
            breaks, lacks, findings = self._participant(party)
            broken, lacking, of_parties = broken | breaks, lacking | lacks, of_parties + findings
        return _Question(node, source, target, table, base, broken, lacking & ~broken, of_parties, {})

    def _gateway(self, flow: Node, path: FactPath) -> int:
        values = [value for leaf in flow.resolve(path).leaves for value in leaf.values]
        return self._numbers[values[0]] if values else -1

    def _participant(self, party: str) -> tuple[int, int, tuple[Finding, ...]]:
        """Return the regimes that a participant itself breaks, those that lack a fact of it, and its findings."""
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
            question.table,
            question.base,
            considered | COST,
            question.source,
            question.target,
            broken=question.broken & considered,
            lacking=question.lacking & considered,
            nearest_miss=nearest_miss,
        )

    def _result(self, question: _Question, considered: int) -> RouteResult:
        """Return the best path under the regimes of `considered`, confirmed by the judge."""
        path = self._search(question, considered)
        edges = () if path is None else tuple(self.graph.links[link].id for link in path.links)
        if edges not in question.of_paths:
            question.of_paths[edges] = self.judge.flow(question.flow, edges)
        of_path = question.of_paths[edges]
        broken, lacking = self._stopped(of_path, question.flow)
        if path is not None:
            if (broken | lacking) & considered != (path.masks.broken | path.masks.lacking) & ~COST:
                raise IntegrityError(
                    f"judge and search disagree on the route of {question.flow.id} by {', '.join(edges) or 'no edge'}",
                    hint="this is a defect of the program: please report it with the declarations and profiles",
                )
            broken, lacking = path.masks.broken, path.masks.lacking
        broken = (broken | question.broken) & considered
        lacking = (lacking | question.lacking) & (considered | COST) & ~broken
        numbers = path.places if path is not None else [end for end in (question.source, question.target) if end >= 0]
        under, findings = self._names(considered), question.of_parties + of_path
        flow_path = (
            question.flow.id,
            under,
            edges,
            tuple(self.graph.places[number] for number in numbers),
            0 if path is None else path.weight >> self.graph.shift,
            self._regimes(question, numbers, () if path is None else path.links),
            findings,
        )
        if path is not None and not broken and not lacking:
            return Route(*flow_path)
        names = self._names(broken | lacking)
        stops = tuple(
            each
            for each in findings
            if each.verdict.stops and each.profile in under
            # Both rules of a conflict are reported, even if one of them is met.
            if not {each.profile, *(other.partition("/")[0] for other in each.conflicts_with)}.isdisjoint(names)
        )
        missing = [gap for each in stops for gap in each.missing]
        if lacking & COST:
            costs = {link.id: link.cost for link in self.graph.links}
            missing += [f"{edge}.cost" for edge in edges if costs[edge] is None]
        if path is None:
            missing += [gap for end in (FROM_GATEWAY, TO_GATEWAY) for gap in question.flow.resolve(end).missing]
            missing += [f"{edge}.ends" for edge in self.unplaced]
        return NearestMiss(
            *flow_path,
            joined=path is not None,
            broken=self._names(broken),
            lacking=self._names(lacking),
            stops=stops,
            missing=tuple(dict.fromkeys(missing)),
            remedies=tuple(dict.fromkeys(each.remedy for each in stops)),
        )

    def _names(self, bits: int) -> tuple[str, ...]:
        return tuple(profile for profile, bit in self._masks.bits.items() if bit & bits)

    def _stopped(self, findings: Iterable[Finding], flow: Node | None) -> tuple[int, int]:
        """Return the regimes that findings show as broken, and those that lack a fact."""
        broken = lacking = 0
        for each in findings:
            if each.verdict.stops:
                bit = self._masks.bits.get(each.profile, 0)
                verdict = self._before_conflict(each, flow) if each.verdict is Verdict.CONFLICT else each.verdict
                broken |= bit if verdict > Verdict.UNKNOWN else 0
                lacking |= bit if verdict is Verdict.UNKNOWN else 0
        return broken, lacking & ~broken

    def _before_conflict(self, finding: Finding, flow: Node | None) -> Verdict:
        """Return the verdict without other regimes: a rule that is met is not broken by one that is not."""
        rule = self.judge.library.rules[finding.rule]
        name = finding.subject.rpartition(ON_PATH)[2]
        subject = flow if flow is not None and flow.id == name else name
        verdict = self.judge.element_verdict(rule, subject, flow)
        return finding.verdict if verdict is None else verdict

    def _regimes(self, question: _Question, places: Sequence[int], links: Sequence[int]) -> tuple[Regime, ...]:
        """Return the regimes that apply on a path, each with its first cause."""
        table, graph = question.table, self.graph
        causes = [(question.flow.id, question.base.touched, question.base.may_touch)]
        for step, place in enumerate(places):
            causes.append((graph.places[place], *table.masks[table.of_places[place], :2].tolist()))
            if step < len(links):
                causes.append((graph.links[links[step]].id, *table.masks[table.of_links[links[step]], :2].tolist()))
        regimes = []
        for profile in self._masks.profiles:
            bit = self._masks.bits[profile.id]
            surely = next((name for name, touched, _ in causes if touched & bit), None)
            by = surely or next((name for name, _, may_touch in causes if may_touch & bit), None)
            if by is not None:
                force = Force.ENFORCED if bit & self._masks.enforced else Force.ADVISED
                regimes.append(Regime(profile.id, profile.version, force, True if surely else None, by))
        return tuple(regimes)


def _graph(network: Network, at: date) -> tuple[Graph, tuple[str, ...]]:
    """Return the network as places and links, and the spans and segments with unknown ends."""
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
