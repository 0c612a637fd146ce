"""The judge: evaluates every rule for every subject that it is about, on declared facts as of a day.

A network and a library are compiled once; afterwards each question evaluates only what it needs. A rule about elements
on a path is evaluated once for each element; for each flow, only its conditions about the flow are evaluated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import groupby
from typing import Final

from sycee.compliance.facts import Entity, Network, Waiver
from sycee.compliance.judging import conflicts, consistency
from sycee.compliance.judging.condition_results import ConditionResult
from sycee.compliance.judging.conditions import ConditionCompiler
from sycee.compliance.judging.effective_facts import EffectiveNetwork, FactPath, Node
from sycee.compliance.judging.findings import FindingWriter, Precondition, not_applicable
from sycee.compliance.judging.logic import Truth, conjunction
from sycee.compliance.judging.name_check import check_names
from sycee.compliance.judging.rules import CompiledRule, CompiledTouches, RuleResult, combine_undecided
from sycee.compliance.profiles import Library, Rule
from sycee.compliance.verdicts import ON_PATH, Contradiction, Finding, Force, Report, Verdict
from sycee.compliance.vocabulary import FACILITY, FLOW, KINDS, SEGMENT, SPAN
from sycee.core import typos
from sycee.core.errors import UsageError

_EDGES: Final = (SPAN, SEGMENT)
_FACILITY: Final = (FACILITY,)
_ENDS: Final = ("ends",)

_NOT_IN_FORCE: Final = Precondition(False, touches=False)  # of a rule whose own dates exclude the day

FROM_GATEWAY: Final = ("from", "gateway")
TO_GATEWAY: Final = ("to", "gateway")


@dataclass(frozen=True, slots=True)
class _FlowOnPath:
    """A flow, the elements on its path in order, and the facts that are missing to know all of them, by kind.

    Each element comes with its possible kinds: an edge that is not declared may be a span or a segment.
    """

    flow: Node
    elements: tuple[tuple[Node, tuple[str, ...]], ...]
    missing: Mapping[str, tuple[str, ...]]


class Judge:
    """Evaluates the rules of a library for a network, as of a day.

    `waivers` are added to those of the network. A subject is the id of an entity; a flow may also be an `Entity` that
    is not in the network, for a question. UsageError for an undeclared subject, and for a mistyped name in an adoption
    or waiver (`name_check.check_names`).
    """

    def __init__(self, network: Network, library: Library, at: date, waivers: Iterable[Waiver] = ()) -> None:
        waivers = tuple(waivers)
        check_names(network, library, at, waivers)
        self.network = network
        self.library = library
        self.at = at
        self._effective = EffectiveNetwork(network, at)
        compiler = ConditionCompiler(self._effective, library.lists)
        self._touches: dict[str, CompiledTouches] = {}
        self._rules: dict[str, CompiledRule] = {}
        for profile in library.profiles:
            force = profile.force(at, network.adoptions)
            self._touches[profile.id] = CompiledTouches(profile, force, compiler)
            for rule in profile.rules:
                of_rule = force if rule.in_force(at) else Force.NONE
                self._rules[rule.id] = CompiledRule(profile, rule, of_rule, compiler)
        self._on_path = [rule for rule in self._rules.values() if rule.on_path]
        self._on_path_of: dict[tuple[str, ...], list[CompiledRule]] = {
            kinds: [rule for rule in self._on_path if not set(kinds).isdisjoint(rule.kinds)]
            for kinds in [(FACILITY,), (SPAN,), (SEGMENT,), _EDGES]
        }
        self._by_kind = {kind: [rule for rule in self._rules.values() if kind in rule.kinds] for kind in KINDS}
        self._of_flows = _by_profile(self._by_kind[FLOW])
        self._writer = FindingWriter(self._effective, {name: rule.force for name, rule in self._rules.items()})
        in_effect = [rule.rule for rule in self._rules.values() if rule.force is not Force.NONE]
        self._contradictions = conflicts.contradictions(in_effect)
        for name, others in self._contradictions.items():
            self._rules[name].contest(sorted(frozenset().union(*others.values())))
        self._waivers = conflicts.Waivers((*network.waivers, *waivers), at)
        self._has_waivers = bool(self._waivers)

    # --- whole questions ---

    def findings(self, subject: str | Entity) -> tuple[Finding, ...]:
        """Return the finding of every rule about one subject. Rules that read a flow are omitted of other subjects."""
        entity = self._entity(subject)
        if entity.kind == FLOW:
            on_path = self._flow_on_path(self.flow_node(entity), None)
            return tuple(self._of_flow(on_path.flow, self._preconditions(self._regimes(on_path))))
        node = self._effective.node(entity.id) if isinstance(subject, str) else self._effective.uncached_node(entity)
        before = self._preconditions({name: touches.of_entity(node) for name, touches in self._touches.items()})
        rules = _by_profile([rule for rule in self._by_kind[entity.kind] if not rule.needs_flow])
        return tuple(self._judge(node.id, _with_preconditions(rules, before), node, None))

    def findings_with_path(self, subject: str) -> tuple[Finding, ...]:
        """Return the same; for a flow also the findings about each element on its path."""
        return self.flow(subject) if self._entity(subject).kind == FLOW else self.findings(subject)

    def flow(self, flow: str | Entity | Node, via: Sequence[str] | None = None) -> tuple[Finding, ...]:
        """Return the finding of every rule about a flow and about each element on its path.

        `via` are the ids of spans and segments, instead of those that the flow declares.
        """
        on_path = self._flow_on_path(self.flow_node(flow), via)
        node, touches = on_path.flow, self._regimes(on_path)
        of_profiles = self._preconditions(touches)
        findings = self._of_flow(node, of_profiles)
        of_rules: dict[CompiledRule, Precondition] = {}
        for rule in self._on_path:
            before = _before(rule, of_profiles)
            if rule.flow and before.truth is not False:
                of_flow = [evaluate((node, node, node)) for evaluate in rule.flow]
                before = self._writer.precondition(touches[rule.profile.id], of_flow)
            of_rules[rule] = before
        all_kinds = {kinds for _, kinds in on_path.elements}
        rules_of_kinds = {kinds: _grouped(self._on_path_of[kinds], of_rules) for kinds in all_kinds}
        for element, kinds in on_path.elements:
            findings += self._judge(f"{node.id}{ON_PATH}{element.id}", rules_of_kinds[kinds], element, node)
        for rule, before in of_rules.items() if on_path.missing else ():
            missing = dict.fromkeys(gap for kind in rule.kinds for gap in on_path.missing.get(kind, ()))
            if missing:
                finding = self._writer.write(rule, node.id, before, RuleResult(None, None, missing=tuple(missing)))
                findings += conflicts.apply([finding], {}, {}, self._waivers)
        return tuple(findings)

    def regimes(self, flow: str | Entity, via: Sequence[str] | None = None) -> Mapping[str, Truth]:
        """Return for each profile whether it applies to a flow on its path: true, false, or None for unknown."""
        on_path = self._flow_on_path(self.flow_node(flow), via)
        return {name: result.truth for name, result in self._regimes(on_path).items()}

    def report(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """Return the findings about all declared entities, in the order of the declarations and of the library.

        `progress(done, total)` is called after each entity.
        """
        findings: list[Finding] = []
        for number, entity in enumerate(self.network.entities.values(), 1):
            findings += self.findings_with_path(entity.id)
            if progress is not None:
                progress(number, len(self.network.entities))
        digests = self.network.digest, self.library.digest
        return Report(*digests, self.at, tuple(findings), contradictions=self.contradictions)

    @cached_property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """All contradictions between declared facts. They are no findings, and change no verdict of a rule."""
        return consistency.contradictions(self._effective)

    def contradicting(self, *subjects: str | Entity) -> tuple[Finding, ...]:
        """Return each contradiction of some subjects as a finding that stops. A flow of a question is an `Entity`."""
        found: dict[Contradiction, str] = {}
        ids = {each for each in subjects if isinstance(each, str)}
        for each in self.contradictions if ids else ():
            concerned = {each.subject, *(path.partition(".")[0] for path in each.facts)} & ids
            if concerned and each.subject in self.network.entities:
                found[each] = self.network.entities[each.subject].kind
        for entity in subjects:
            if isinstance(entity, Entity):
                found |= dict.fromkeys(consistency.of_entity(self._effective, entity), entity.kind)
        return tuple(each.finding(kind) for each, kind in found.items())

    # --- parts of a question, for callers that compare many paths ---

    def path_rules(self) -> tuple[Rule, ...]:
        """Return the rules about elements on the path of a flow, of profiles in effect."""
        return tuple(rule.rule for rule in self._on_path if rule.force is not Force.NONE)

    def flow_node(self, flow: str | Entity | Node) -> Node:
        """Return a flow as a node, which caches results across several questions."""
        return flow if isinstance(flow, Node) else self._effective.uncached_node(self._entity(flow, FLOW))

    def element_verdict(self, rule: Rule, subject: str | Node, flow: Node | None = None) -> Verdict | None:
        """Return the verdict of a rule if its regime applies, and if it is about the flow.

        None if the rule reads facts of a flow and none is given. The actual verdict follows with the truth T of
        `covers_flow` and of what touches the flow. Where T is false, the rule does not apply. Where T is unknown, a
        verdict that stops is unknown. Waivers of the subject count; waivers of a flow at an element do not.
        """
        compiled = self._rules[rule.id]
        if compiled.reads_flow and flow is None:
            return None
        node = subject if isinstance(subject, Node) else self._effective.node_of_kind(subject, compiled.kinds)
        finding = self._writer.write(compiled, node.id, Precondition(True), compiled.result(node, flow))
        return conflicts.apply([finding], {}, {}, self._waivers)[0].verdict

    def covers_flow(self, rule: Rule, flow: str | Entity | Node) -> Truth:
        """Return whether a rule about elements on a path is about this flow: its `flow` conditions."""
        node = self.flow_node(flow)
        return conjunction([evaluate((node, node, node)).truth for evaluate in self._rules[rule.id].flow])

    def touched_by_element(self, profile: str, element: str, flow: str | Entity | Node | None = None) -> Truth:
        """Return whether a place or an edge makes a profile apply to every flow that passes.

        Unknown if the profile reads facts of the flow and no `flow` is given. An undeclared id counts as a place,
        since only the declaration of an edge has its ends.
        """
        node = self._effective.node_of_kind(element, (FACILITY, *_EDGES))
        passing = None if flow is None else self.flow_node(flow)
        return self._touches[profile].of_element(node, (node.kind or FACILITY,), passing).truth

    def touched_by_flow(self, profile: str, flow: str | Entity | Node) -> Truth:
        """Return whether a flow itself, on any path, makes a profile apply. True if the profile has no conditions."""
        return self._touches[profile].of_flow(self.flow_node(flow)).truth

    # --- helpers ---

    def _entity(self, subject: str | Entity, kind: str = "") -> Entity:
        entity = subject if isinstance(subject, Entity) else self.network.entities.get(subject)
        if entity is None:
            hint = typos.hint(str(subject), self.network.entities, "a subject is the id of a declared entity")
            raise UsageError(f"no entity has the id {subject}", hint=hint)
        if kind and entity.kind != kind:
            raise UsageError(f"{entity.id} is a {entity.kind}, not a {kind}", hint=f"give the id of a {kind}")
        return entity

    def _flow_on_path(self, flow: Node, via: Sequence[str] | None) -> _FlowOnPath:
        missing: dict[str, list[str]] = {SPAN: [], SEGMENT: [], FACILITY: []}
        # An id that is named as a place and as an edge counts as both.
        elements: dict[tuple[str, tuple[str, ...]], tuple[Node, tuple[str, ...]]] = {}

        def add_facilities(node: Node, path: FactPath) -> None:
            resolved = node.resolve(path)
            if resolved.missing:
                missing[FACILITY] += resolved.missing
            for leaf in resolved.leaves:
                for each in leaf.nodes:
                    elements[each.id, _FACILITY] = each, _FACILITY

        edges: list[Node] = []
        add_facilities(flow, FROM_GATEWAY)
        declared = flow.get("via")
        # A path that is not declared, or does not join the gateways, may have further elements of any kind.
        undeclared = [f"{flow.id}.via"] if via is None and declared is None else []
        for each in missing.values():
            each += undeclared
        for id in via if via is not None else declared.values if declared is not None else ():
            edge = self._effective.node_of_kind(id, _EDGES)
            edges.append(edge)
            kinds = (edge.kind,) if edge.kind else _EDGES
            elements[id, kinds] = edge, kinds
            add_facilities(edge, _ENDS)
        add_facilities(flow, TO_GATEWAY)
        gaps = () if undeclared else _gaps_of_path(flow, edges)
        of_kinds = {kind: (*each, *gaps) for kind, each in missing.items() if each or gaps}
        return _FlowOnPath(flow, tuple(elements.values()), of_kinds)

    def _of_flow(self, flow: Node, before: Mapping[str, Precondition]) -> list[Finding]:
        """Return the findings about the flow itself. `before` are the preconditions by profile."""
        return self._judge(flow.id, _with_preconditions(self._of_flows, before), flow, flow)

    def _judge(
        self,
        subject: str,
        groups: Iterable[tuple[Precondition, Sequence[CompiledRule]]],
        node: Node,
        flow: Node | None,
    ) -> list[Finding]:
        """Return the findings about one subject, with conflicts and waivers applied.

        `groups` are rules with one precondition each: most regimes apply to few subjects.
        """
        write = self._writer.write
        findings: list[Finding] = []
        contested: dict[str, conflicts.ContestedFacts] = {}
        for before, rules in groups:
            if before.truth is False:
                findings += not_applicable(rules, subject, before)
                continue
            for rule in rules:
                result = rule.result(node, flow)
                if result.contested and before.truth and result.applies:
                    contested[rule.rule.id] = result.contested
                findings.append(write(rule, subject, before, result))
        if len(contested) < 2 and not self._has_waivers:
            return findings
        return conflicts.apply(findings, contested, self._contradictions, self._waivers)

    def _preconditions(self, touches: Mapping[str, ConditionResult]) -> dict[str, Precondition]:
        return {name: self._writer.precondition(touch) for name, touch in touches.items()}

    def _regimes(self, on_path: _FlowOnPath) -> Mapping[str, ConditionResult]:
        return {name: self._regime(touches, on_path) for name, touches in self._touches.items()}

    def _regime(self, touches: CompiledTouches, on_path: _FlowOnPath) -> ConditionResult:
        """Return whether a profile applies to a flow, because of the flow or of an element on its path."""
        result = touches.of_flow(on_path.flow)
        if result.truth or not touches.on_path:
            return result
        results = [result]
        for element, kinds in on_path.elements:
            result = touches.of_element(element, kinds, on_path.flow)
            if result.truth:
                return result
            results.append(result)
        for kind, gaps in on_path.missing.items():
            if touches.has(kind):
                results.append(ConditionResult(None, missing=gaps))
        return combine_undecided(results)


def _by_profile(rules: Iterable[CompiledRule]) -> list[tuple[str, list[CompiledRule]]]:
    """Return rules with the profile whose precondition they have, in their order; "" for those out of effect."""
    of_profiles = groupby(rules, lambda rule: rule.profile_id if rule.in_effect else "")
    return [(profile, list(of_profile)) for profile, of_profile in of_profiles]


def _with_preconditions(
    rules: Iterable[tuple[str, list[CompiledRule]]], of_profiles: Mapping[str, Precondition]
) -> list[tuple[Precondition, list[CompiledRule]]]:
    return [(of_profiles[profile] if profile else _NOT_IN_FORCE, each) for profile, each in rules]


def _grouped(
    rules: Iterable[CompiledRule], of_rules: Mapping[CompiledRule, Precondition]
) -> list[tuple[Precondition, list[CompiledRule]]]:
    """Return rules by their preconditions, in their order."""
    groups: list[tuple[Precondition, list[CompiledRule]]] = []
    for rule in rules:
        before = of_rules[rule]
        if groups and groups[-1][0] is before:
            groups[-1][1].append(rule)
        else:
            groups.append((before, [rule]))
    return groups


def _before(rule: CompiledRule, of_profiles: Mapping[str, Precondition]) -> Precondition:
    return of_profiles[rule.profile_id] if rule.in_effect else _NOT_IN_FORCE


def _gaps_of_path(flow: Node, edges: Sequence[Node]) -> tuple[str, ...]:
    """Return the facts that are missing to know whether the edges, in order, join the gateways of a flow.

    Nothing if they do; the flow's `via` if they do not.
    """
    start, end, ends_of_edges = flow.resolve(FROM_GATEWAY), flow.resolve(TO_GATEWAY), [e.resolve(_ENDS) for e in edges]
    missing = [gap for path in (start, *ends_of_edges, end) for gap in path.missing]
    if missing:
        return tuple(missing)
    here = start.leaves[0].value
    for path in ends_of_edges:
        ends = path.leaves[0].values
        if len(ends) != 2 or here not in ends:
            return (f"{flow.id}.via",)
        here = ends[1] if ends[0] == here else ends[0]
    return () if here == end.leaves[0].value else (f"{flow.id}.via",)
