"""The judge: every rule on every subject that it is about, on declared facts as of a day.

A network and a library are made ready once; then each question costs what it alone needs. A rule on the path of a flow
is judged for what lies there by itself, once, and for each flow by what the flow is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from sycee.compliance.facts import Entity, Network, Waiver
from sycee.compliance.judging import conflicts
from sycee.compliance.judging.conditions import ConditionCompiler, ConditionResult, conjunction
from sycee.compliance.judging.effective_facts import EffectiveNetwork, FactPath, Node
from sycee.compliance.judging.findings import FindingWriter, Precondition, not_applicable
from sycee.compliance.judging.name_check import check_names
from sycee.compliance.judging.ownership import Truth
from sycee.compliance.judging.rules import CompiledRule, CompiledTouches, RuleResult, combine_undecided
from sycee.compliance.profiles import Library, Rule
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Report, Verdict
from sycee.compliance.vocabulary import FACILITY, FLOW, KINDS, SEGMENT, SPAN
from sycee.core import typos
from sycee.core.errors import UsageError

_EDGES: Final = (SPAN, SEGMENT)
_FACILITY: Final = (FACILITY,)
_FROM: Final = FactPath.of(("from", "gateway"))
_TO: Final = FactPath.of(("to", "gateway"))
_ENDS: Final = FactPath.of(("ends",))
_ALWAYS: Final = ConditionResult(True)
_NEVER: Final = ConditionResult(False)


@dataclass(frozen=True, slots=True)
class _Passage:
    """A flow and its path: what lies there, in order, and what is missing to know all of it, by kind.

    Each place comes with the kinds that it may be of: an edge that is declared nowhere, of both.
    """

    flow: Node
    places: tuple[tuple[Node, tuple[str, ...]], ...]
    missing: Mapping[str, tuple[str, ...]]


class Judge:
    """Judges a network under the profiles of a library, as of a day.

    `waivers` are further ones beside those of the network. A subject is the id of an entity; a flow may also be given
    as an entity that is in no network: a question. UsageError for a subject that is not there, and for an adoption or
    a waiver with a slip in its name (`name_check.check_names`).
    """

    def __init__(self, network: Network, library: Library, at: date, waivers: Iterable[Waiver] = ()) -> None:
        waivers = tuple(waivers)
        check_names(network, library, at, waivers)
        self.network = network
        self.library = library
        self.at = at
        self._knowledge = EffectiveNetwork(network, at)
        conditions = ConditionCompiler(self._knowledge, library.lists)
        self._touching: dict[str, CompiledTouches] = {}
        self._force: dict[str, Force] = {}
        self._ready: dict[str, CompiledRule] = {}
        for profile in library.profiles:
            self._touching[profile.id] = CompiledTouches(profile, conditions)
            self._force[profile.id] = force = profile.force(at, network.adoptions)
            for rule in profile.rules:
                self._ready[rule.id] = CompiledRule(profile, rule, force, conditions)
        self._on_path = [ready for ready in self._ready.values() if ready.on_path]
        self._on_path_of: dict[tuple[str, ...], list[CompiledRule]] = {
            kinds: [ready for ready in self._on_path if not set(kinds).isdisjoint(ready.kinds)]
            for kinds in [(FACILITY,), (SPAN,), (SEGMENT,), _EDGES]
        }
        self._by_kind = {kind: [each for each in self._ready.values() if kind in each.kinds] for kind in KINDS}
        self._writer = FindingWriter(at, {name: ready.force for name, ready in self._ready.items()})
        in_effect = [ready.rule for ready in self._ready.values() if ready.force is not Force.NONE]
        self._conflicts = conflicts.pairs(in_effect)
        for name, others in self._conflicts.items():
            self._ready[name].contest(sorted(frozenset().union(*others.values())))
        self._waivers = conflicts.Waivers((*network.waivers, *waivers), at)
        self._anything_waived = bool(self._waivers)

    # --- whole questions ---

    def findings(self, subject: str | Entity) -> tuple[Finding, ...]:
        """Every rule on one subject. Of what can lie on a path, those that say something of it whatever passes."""
        entity = self._entity(subject)
        if entity.kind == FLOW:
            passage = self._passage(self.flow_node(entity), None)
            return tuple(self._of_flow(passage, self._claims(self._regimes(passage))))
        node = self._knowledge.node(entity.id) if isinstance(subject, str) else self._knowledge.fresh(entity)
        claims = self._claims({name: self._alone(name, node) for name in self._touching})
        asked = [(each, claims[each.profile.id]) for each in self._by_kind[entity.kind] if not each.needs_flow]
        return tuple(self._judged(node.id, asked, node, None))

    def flow(self, flow: str | Entity | Node, via: Sequence[str] | None = None) -> tuple[Finding, ...]:
        """Every rule on a flow and on all that lies on its path. `via`: spans and segments, for those declared."""
        passage = self._passage(self.flow_node(flow), via)
        node, touches = passage.flow, self._regimes(passage)
        of_profiles = self._claims(touches)
        findings = self._of_flow(passage, of_profiles)
        claims: dict[CompiledRule, Precondition] = {}
        for ready in self._on_path:
            claim = of_profiles[ready.profile.id]
            if ready.flow and claim.truth is not False:
                about = [test((node, node, node)) for test in ready.flow]
                claim = self._writer.claim(touches[ready.profile.id], about)
            claims[ready] = claim
        asked_of: dict[tuple[str, ...], list[tuple[CompiledRule, Precondition]]] = {}
        for place, kinds in passage.places:
            asked = asked_of.get(kinds)
            if asked is None:
                asked = asked_of[kinds] = [(ready, claims[ready]) for ready in self._on_path_of[kinds]]
            findings += self._judged(f"{node.id}{ON_PATH}{place.id}", asked, place, node)
        for ready, claim in claims.items() if passage.missing else ():
            missing = dict.fromkeys(gap for kind in ready.kinds for gap in passage.missing.get(kind, ()))
            if missing:
                finding = self._writer.write(ready, node.id, claim, RuleResult(None, None, missing=tuple(missing)))
                findings += conflicts.settle([finding], {}, {}, self._waivers)
        return tuple(findings)

    def regimes(self, flow: str | Entity, via: Sequence[str] | None = None) -> Mapping[str, Truth]:
        """Which profiles apply to a flow on its path: true, false, or None where that is unknown."""
        passage = self._passage(self.flow_node(flow), via)
        return {name: outcome.truth for name, outcome in self._regimes(passage).items()}

    def report(self) -> Report:
        """Every rule on everything that is declared, in the order of the declarations and the library."""
        findings: list[Finding] = []
        for entity in self.network.entities.values():
            findings += self.flow(entity.id) if entity.kind == FLOW else self.findings(entity.id)
        return Report(self.network.digest, self.library.digest, self.at, tuple(findings))

    # --- parts of the question, for who asks it of many paths ---

    def path_rules(self) -> tuple[Rule, ...]:
        """The rules on what lies on the path of a flow, of profiles in effect."""
        return tuple(ready.rule for ready in self._on_path if ready.force is not Force.NONE)

    def flow_node(self, flow: str | Entity | Node) -> Node:
        """A flow made ready, for who asks several things of it: what was once looked at is kept there."""
        return flow if isinstance(flow, Node) else self._knowledge.fresh(self._entity(flow, FLOW))

    def element_verdict(self, rule: Rule, subject: str | Node, flow: Node | None = None) -> Verdict | None:
        """What a rule comes to for something if its regime applies, and on a path if the rule is about the flow.

        None where that takes the flow and none is given. Together with the truth T of `flow_truth` and what touches the
        flow: where T is false the rule does not apply; where it is unknown, only a verdict that does not stop stays
        what it is. Waivers of the subject count; those of a flow at a place do not.
        """
        ready = self._ready[rule.id]
        if ready.reads_flow and flow is None:
            return None
        node = subject if isinstance(subject, Node) else self._knowledge.named(subject, ready.kinds)
        finding = self._writer.write(ready, node.id, Precondition(True), ready.part(node, flow))
        return conflicts.settle([finding], {}, {}, self._waivers)[0].verdict

    def covers_flow(self, rule: Rule, flow: str | Entity | Node) -> Truth:
        """Whether a flow is one that a rule on its path is about: the rule's `flow` conditions."""
        node = self.flow_node(flow)
        return conjunction([test((node, node, node)).truth for test in self._ready[rule.id].flow])

    def touched_by_element(self, profile: str, place: str, flow: str | Entity | Node | None = None) -> Truth:
        """Whether a place or an edge makes a profile apply to whatever flow passes; false where it cannot.

        `flow` is for profiles that look at the flow there too; without it such an answer is unknown. What is declared
        nowhere is taken for a place: an edge has its ends only from its declaration.
        """
        if self._force[profile] is Force.NONE:
            return False
        node = self._knowledge.named(place, (FACILITY, *_EDGES))
        passing = None if flow is None else self.flow_node(flow)
        return self._touching[profile].of(node, (node.kind or FACILITY,), passing).truth

    def touched_by_flow(self, profile: str, flow: str | Entity | Node) -> Truth:
        """Whether a flow by itself, wherever it goes, makes a profile apply. True where the profile asks nothing."""
        if self._force[profile] is Force.NONE:
            return False
        touching = self._touching[profile]
        if not touching.of_flows:
            return True
        node = self.flow_node(flow)
        return touching.of(node, (FLOW,), node).truth

    # --- inside ---

    def _entity(self, subject: str | Entity, kind: str = "") -> Entity:
        if isinstance(subject, Entity):
            entity: Entity | None = subject
        else:
            entity = self.network.entities.get(subject)
        if entity is None:
            hint = typos.hint(str(subject), self.network.entities, "a subject is the id of a declared entity")
            raise UsageError(f"no entity has the id {subject}", hint=hint)
        if kind and entity.kind != kind:
            raise UsageError(f"{entity.id} is a {entity.kind}, not a {kind}.", hint=f"Give the id of a {kind}.")
        return entity

    def _passage(self, flow: Node, via: Sequence[str] | None) -> _Passage:
        missing: dict[str, list[str]] = {SPAN: [], SEGMENT: [], FACILITY: []}
        places: dict[str, tuple[Node, tuple[str, ...]]] = {}

        def add_facilities(node: Node, path: FactPath) -> None:
            walk = node.walk(path)
            missing[FACILITY] += walk.missing
            for leaf in walk.leaves:
                for facility in leaf.nodes:
                    places[facility.id] = facility, _FACILITY

        edges: list[Node] = []
        add_facilities(flow, _FROM)
        declared = flow.get("via")
        if via is None and declared is None:
            for gaps in missing.values():
                gaps.append(f"{flow.id}.via")
        for id in via if via is not None else declared.values if declared is not None else ():
            edge = self._knowledge.named(id, _EDGES)
            edges.append(edge)
            places[id] = edge, (edge.kind,) if edge.kind else _EDGES
            add_facilities(edge, _ENDS)
        add_facilities(flow, _TO)
        if via is not None or declared is not None:
            # Where it does not get from one gateway to the other, more of any kind may lie on it.
            for gap in _not_joined(flow, edges):
                for gaps in missing.values():
                    gaps.append(gap)
        return _Passage(flow, tuple(places.values()), {kind: tuple(gaps) for kind, gaps in missing.items() if gaps})

    def _claims(self, touches: Mapping[str, ConditionResult]) -> dict[str, Precondition]:
        """Why the rules of each profile apply, where nothing but its touching them says so."""
        return {name: self._writer.claim(touch) for name, touch in touches.items()}

    def _of_flow(self, passage: _Passage, claims: Mapping[str, Precondition]) -> list[Finding]:
        """The rules on the flow itself. `claims` are of the profiles."""
        asked = [(ready, claims[ready.profile.id]) for ready in self._by_kind[FLOW]]
        return self._judged(passage.flow.id, asked, passage.flow, passage.flow)

    def _judged(
        self, subject: str, asked: list[tuple[CompiledRule, Precondition]], node: Node, flow: Node | None
    ) -> list[Finding]:
        """The findings of one subject, with what its rules mean for one another."""
        write = self._writer.write
        findings: list[Finding] = []
        concerned: dict[str, conflicts.ContestedFacts] = {}
        for ready, claim in asked:
            if claim.truth is False:
                findings.append(not_applicable(ready, subject, claim))
                continue
            part = ready.part(node, flow)
            if part.concerned and claim.truth and part.applies:
                concerned[ready.rule.id] = part.concerned
            findings.append(write(ready, subject, claim, part))
        if len(concerned) < 2 and not self._anything_waived:
            return findings
        return conflicts.settle(findings, concerned, self._conflicts, self._waivers)

    def _regimes(self, passage: _Passage) -> Mapping[str, ConditionResult]:
        return {name: self._regime(name, passage) for name in self._touching}

    def _regime(self, profile: str, passage: _Passage) -> ConditionResult:
        """Whether a profile applies to a flow: by what the flow is, or by anything on its path."""
        touching = self._touching[profile]
        if self._force[profile] is Force.NONE:
            return _NEVER
        if not touching.of_flows:
            return _ALWAYS
        flow = passage.flow
        found = touching.of(flow, (FLOW,), flow)
        if found.truth or not touching.on_path:
            return found
        outcomes = [found]
        for place, kinds in passage.places:
            outcome = touching.of(place, kinds, flow)
            if outcome.truth:
                return outcome
            outcomes.append(outcome)
        for kind, gaps in passage.missing.items():
            if touching.has(kind):
                outcomes.append(ConditionResult(None, missing=gaps))
        return combine_undecided(outcomes)

    def _alone(self, profile: str, node: Node) -> ConditionResult:
        """Whether a profile applies to something by itself, whatever passes there."""
        if self._force[profile] is Force.NONE:
            return _NEVER
        touching = self._touching[profile]
        return touching.of(node, (node.kind,), None) if touching.has(node.kind) else _ALWAYS


def _not_joined(flow: Node, edges: Sequence[Node]) -> tuple[str, ...]:
    """What is missing to tell that edges lead from a flow's first gateway to its other one, or the path that does not.

    None where they do, each from where the one before it led, in their order.
    """
    start, end, ways = flow.walk(_FROM), flow.walk(_TO), [edge.walk(_ENDS) for edge in edges]
    missing = [gap for walk in (start, *ways, end) for gap in walk.missing]
    if missing:
        return tuple(missing)
    here = start.leaves[0].value
    for way in ways:
        ends = way.leaves[0].values
        if len(ends) != 2 or here not in ends:
            return (f"{flow.id}.via",)
        here = ends[1] if ends[0] == here else ends[0]
    return () if here == end.leaves[0].value else (f"{flow.id}.via",)
