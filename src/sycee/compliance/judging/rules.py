"""Rules compiled for evaluation, and their results for one subject."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sycee.compliance.fact_paths import Roots, fields_of_flow
from sycee.compliance.judging.condition_results import ConditionResult
from sycee.compliance.judging.conditions import ConditionCompiler, Evaluator, PathResolver, Scope
from sycee.compliance.judging.conflicts import NONE_CONTESTED, ContestedFacts
from sycee.compliance.judging.effective_facts import Node
from sycee.compliance.judging.logic import Truth, conjunction
from sycee.compliance.profiles import COVERAGE, Profile, Rule
from sycee.compliance.verdicts import Evidence, Force, Verdict
from sycee.compliance.vocabulary import FLOW, LEVELS, PATH_LEVELS

_ALWAYS: Final = ConditionResult(True)
_NEVER: Final = ConditionResult(False)


@dataclass(slots=True)
class RuleResult:
    """Whether a rule applies to one subject and holds, apart from whether its regime applies."""

    applies: Truth = True
    holds: Truth = True
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    by_attestation: bool = False
    chain: tuple[str, ...] = ()
    row: str = ""
    exempting: tuple[Evidence, ...] | None = None  # the facts of an exemption; None if the rule is about other subjects
    against: tuple[Evidence, ...] = ()  # the facts that break the rule
    contested: ContestedFacts = NONE_CONTESTED  # the contested facts that the rule surely requires something of
    bases: tuple[str, ...] = ()  # rules of other regimes that require all of what breaks this one


def verdict_of(applies: Truth, holds: Truth, *, by_attestation: bool) -> Verdict:
    """Return the verdict. A rule that holds is met even where it is unknown whether the rule applies."""
    if applies is False:
        return Verdict.NOT_APPLICABLE
    if holds:
        return Verdict.ATTESTED if by_attestation else Verdict.PASS
    return Verdict.FAIL if applies and holds is False else Verdict.UNKNOWN


class _Trail:
    """What the conditions of one rule found, from which its result is made."""

    __slots__ = ("against", "applying", "by_attestation", "contested", "count", "evidence", "explained", "missing")

    def __init__(self) -> None:
        self.applying: dict[int, Evidence] = {}  # evidence that the rule applies, by the identity of the fact's own
        self.evidence: list[Evidence] = []
        self.missing: list[str] = []
        self.contested: list[tuple[str, str]] = []
        self.against: list[Evidence] = []
        self.explained: list[ConditionResult] = []  # results with a row of a list, or a chain of owners
        self.by_attestation = False
        self.count = 0  # of results

    def add(self, result: ConditionResult) -> None:
        """Add the result of a condition that the rule requires."""
        self.evidence += result.evidence
        self._add(result)

    def add_applying(self, result: ConditionResult) -> None:
        """Add the result of a condition that makes the rule apply."""
        self.applying.update(result.applying_by_id)
        self._add(result)

    def _add(self, result: ConditionResult) -> None:
        self.count += 1
        if result.missing:
            self.missing += result.missing
        if result.by_attestation:
            self.by_attestation = True
        if result.row or result.chain:
            self.explained.append(result)

    def all_evidence(self) -> tuple[Evidence, ...]:
        """Return the evidence that the rule applies, then the rest; each fact once for each truth."""
        if self.count < 2 and not self.applying:
            return tuple(self.evidence)
        return (*self.applying.values(), *dict(zip(map(id, self.evidence), self.evidence, strict=True)).values())


class CompiledRule:
    """One rule of one profile with its conditions compiled."""

    def __init__(self, profile: Profile, rule: Rule, force: Force, compiler: ConditionCompiler) -> None:
        subject, element = Roots(rule.level), Roots(rule.level, rule.each)
        self.profile = profile
        self.profile_id = profile.id
        self.rule = rule
        self.force = force
        self.kinds = LEVELS[rule.level]
        self.on_path = rule.level in PATH_LEVELS
        self.name = f"profile {profile.id} version {profile.version} rule {rule.id.partition('/')[2]}"
        # The first and last fields of all findings, around the fields that differ.
        self.shared: tuple[tuple[object, ...], tuple[object, ...]] = (
            (profile.id, profile.version, rule.id, rule.title, rule.level),
            (rule.remedy, rule.interpretation, (), None),
        )
        self.in_effect = force is not Force.NONE
        self.not_touched = f" does not fall under {self.name}{'' if self.in_effect else ', which is not in effect'}."
        self.not_about = f" is outside the scope of {self.name}."
        self.is_coverage = rule.kind == COVERAGE
        self.flow = [compiler.compile(each, Roots(FLOW)) for each in rule.flow]
        self.reads_flow = bool(fields_of_flow(rule.paths()))
        self.needs_flow = self.reads_flow or bool(rule.flow)
        self._by_attestation = rule.kind == "attested" or bool(rule.complete)
        self.unknown_fails = rule.unknown_fails
        self._compiler = compiler
        self._when = [compiler.compile(each, subject) for each in rule.when]
        self._unless = [compiler.compile_exemption(each, subject) for each in rule.unless]
        self._each: PathResolver | None = compiler.compile_path(rule.each, subject) if rule.each else None
        self._where = [compiler.compile(each, element) for each in rule.where]
        self._require = [compiler.compile(each, element) for each in rule.require]
        self._basis: PathResolver | None = compiler.compile_path(rule.basis, element) if rule.basis else None
        self._contested: tuple[tuple[str, PathResolver], ...] = ()

    def contest(self, facts: Iterable[str]) -> None:
        """Set the facts over which rules of other regimes may contradict this one. Call before any evaluation."""
        element = Roots(self.rule.level, self.rule.each)
        self._contested = tuple([(fact, self._compiler.compile_path(fact, element)) for fact in facts])

    def result(self, subject: Node, flow: Node | None) -> RuleResult:
        """Evaluate the rule for a subject. The result is cached at the subject if no fact of the flow is read."""
        if self.reads_flow:
            return self._evaluate((subject, subject, flow))
        result: RuleResult | None = subject.results.get(self)
        if result is None:
            result = subject.results[self] = self._evaluate((subject, subject, flow))
        return result

    def _evaluate(self, scope: Scope) -> RuleResult:
        applies: Truth = True
        applying: list[ConditionResult] = []
        declared: ConditionResult | None = None  # an exemption that is only declared or attested
        for evaluate in self._when:
            result = evaluate(scope)
            if result.truth is False:
                return RuleResult(False, True, result.evidence, row=result.row)
            if result.truth is None:
                applies = None
            applying.append(result)
        for evaluate in self._unless:
            result = evaluate(scope)
            if result.truth and result.by_attestation:
                declared = declared or result
                continue
            if result.truth:
                return RuleResult(False, True, result.evidence, row=result.row, exempting=result.deciding)
            if result.truth is None:
                applies = None
            applying.append(result)
        if declared is not None:
            return RuleResult(
                False, evidence=declared.evidence, by_attestation=True, row=declared.row, exempting=declared.deciding
            )
        trail = _Trail()
        for result in applying:
            trail.add_applying(result)
        holds, bases = self._holds(scope, trail)
        if holds and self.rule.complete:
            holds = self._complete(scope[0], trail)
        explained = trail.explained
        return RuleResult(
            applies,
            holds,
            trail.all_evidence(),
            tuple(dict.fromkeys(trail.missing)) if trail.missing else (),
            self._by_attestation or trail.by_attestation,
            tuple(dict.fromkeys([link for result in explained for link in result.chain])) if explained else (),
            "; ".join(dict.fromkeys([result.row for result in explained if result.row])) if explained else "",
            None,
            tuple(dict.fromkeys(trail.against)) if trail.against else (),
            frozenset(trail.contested) if trail.contested else NONE_CONTESTED,
            bases,
        )

    def _holds(self, scope: Scope, trail: _Trail) -> tuple[Truth, tuple[str, ...]]:
        """Return whether the rule holds, and the rules of other regimes that require what breaks it."""
        if self._each is None:
            return self._element_holds(scope, trail)
        path = self._each(scope)
        if path.missing:
            trail.missing += path.missing
        for reference in path.followed:
            trail.evidence.append(reference.evidence(None if path.missing else True))
        truths: list[Truth] = [None] if path.missing else []
        subject, _, flow = scope
        bases_of_each: list[tuple[str, ...]] = []
        for leaf in path.leaves:
            if not leaf.nodes:
                trail.evidence.append(leaf.evidence(True))
            for node in leaf.nodes:
                missing_before = len(trail.missing)
                truth, bases = self._element_holds((subject, node, flow), trail)
                truths.append(truth)
                if truth is not None:
                    del trail.missing[missing_before:]
                if truth is False:
                    bases_of_each.append(bases)
        explained = bool(bases_of_each) and all(bases_of_each)
        return conjunction(truths), tuple(basis for bases in bases_of_each for basis in bases) if explained else ()

    def _element_holds(self, scope: Scope, trail: _Trail) -> tuple[Truth, tuple[str, ...]]:
        """Return the same for one element, or for the subject. It holds for an element that `where` omits."""
        selecting: list[ConditionResult] = []
        selected: Truth = True
        for evaluate in self._where:
            result = evaluate(scope)
            if result.truth is False:
                return True, ()
            if result.truth is None:
                selected = None
            selecting.append(result)
        if selected and self._contested:
            trail.contested += self._contested_facts(scope)
        for result in selecting:
            trail.add_applying(result)
        truth: Truth = True
        required = []
        for evaluate in self._require:
            result = evaluate(scope)
            trail.add(result)
            required.append(result)
            if not result.truth and truth is not False:
                truth = result.truth
        if truth is False and not selected:
            truth = None
        if truth is not False:
            return truth, ()
        trail.against += _against(required)
        return truth, self._bases(scope)

    def _contested_facts(self, scope: Scope) -> list[tuple[str, str]]:
        """Return the contested facts that have a value. Without a value, no requirements contradict each other."""
        id = scope[1].id
        return [(id, fact) for fact, resolve in self._contested if any(leaf.values for leaf in resolve(scope).leaves)]

    def _bases(self, scope: Scope) -> tuple[str, ...]:
        if self._basis is None:
            return ()
        return tuple(str(value) for leaf in self._basis(scope).leaves for value in leaf.values)

    def _complete(self, subject: Node, trail: _Trail) -> Truth:
        """Return whether it is attested that the declared facts are complete: true or unknown."""
        attestation = self._compiler.attestation(subject.entity_id, self.rule.complete)
        if attestation is None:
            trail.missing.append(f"{subject.entity_id}.attested.{self.rule.complete}")
            return None
        trail.evidence.append(attestation.evidence(True))
        return True


def _against(required: list[ConditionResult]) -> list[Evidence]:
    """Return the facts that broke a rule. A fact with a note was considered for a list, which chain and row explain."""
    broken = [result for result in required if result.truth is False]
    return [each for result in broken for each in result.evidence if each.holds is False and not each.note]


class CompiledTouches:
    """The conditions that make a profile apply, compiled."""

    def __init__(self, profile: Profile, force: Force, compiler: ConditionCompiler) -> None:
        self._in_effect = force is not Force.NONE
        self._by_kind: dict[str, list[Evaluator]] = {}
        self._reads_flow = bool(fields_of_flow(path for touch in profile.touches for path in touch.paths()))
        for touch in profile.touches:
            roots = Roots(touch.level)
            evaluate = compiler.compile(touch.condition, roots)
            for kind in LEVELS[touch.level]:
                self._by_kind.setdefault(kind, []).append(evaluate)
        # An element on the path of a flow can make the profile apply to the flow.
        self.on_path = self._in_effect and any(kind in self._by_kind for kind in PATH_LEVELS)
        self._of_flows = self.on_path or FLOW in self._by_kind

    def has(self, kind: str) -> bool:
        """Return whether there is a condition for this kind."""
        return kind in self._by_kind

    def of_entity(self, node: Node) -> ConditionResult:
        """Return whether the profile applies to an entity, regardless of any flow."""
        if self._in_effect and not self.has(node.kind):
            return _ALWAYS
        return self.of_element(node, (node.kind,), None)

    def of_flow(self, flow: Node) -> ConditionResult:
        """Return whether a flow itself makes the profile apply to it. True if no flow or element must."""
        if self._in_effect and not self._of_flows:
            return _ALWAYS
        return self.of_element(flow, (FLOW,), flow)

    def of_element(self, node: Node, kinds: tuple[str, ...], flow: Node | None) -> ConditionResult:
        """Return whether a node of these kinds makes the profile apply; false without conditions for them."""
        if not self._in_effect:
            return _NEVER
        if self._reads_flow or not node.kind:  # an undeclared node may be of several kinds
            return self._evaluate(node, kinds, flow)
        result: ConditionResult | None = node.results.get(self)
        if result is None:
            result = node.results[self] = self._evaluate(node, kinds, flow)
        return result

    def _evaluate(self, node: Node, kinds: tuple[str, ...], flow: Node | None) -> ConditionResult:
        scope = (node, node, flow)
        results = []
        for kind in kinds:
            for evaluate in self._by_kind.get(kind, ()):
                result = evaluate(scope)
                if result.truth:
                    return result
                results.append(result)
        return combine_undecided(results)


def combine_undecided(results: list[ConditionResult]) -> ConditionResult:
    """Combine results of which none is true: the unknown ones if there are any, else all."""
    unknown = [result for result in results if result.truth is None]
    combined = unknown or results
    if len(combined) == 1:
        return combined[0]
    return ConditionResult(
        None if unknown else False,
        tuple([evidence for result in combined for evidence in result.evidence]),
        tuple([gap for result in unknown for gap in result.missing]),
    )
