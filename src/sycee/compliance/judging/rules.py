"""Rules made ready to be judged: what of them is about the subject, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sycee.compliance.fact_paths import Roots, split
from sycee.compliance.facts import Assurance
from sycee.compliance.judging.conditions import (
    ConditionCompiler,
    ConditionResult,
    Evaluator,
    PathResolver,
    Scope,
    conjunction,
    negation,
    start_points,
)
from sycee.compliance.judging.conflicts import ContestedFacts
from sycee.compliance.judging.effective_facts import Node
from sycee.compliance.judging.ownership import Truth
from sycee.compliance.profiles import Profile, Rule
from sycee.compliance.verdicts import Evidence, Force, Verdict
from sycee.compliance.vocabulary import FLOW, LEVELS, PATH_LEVELS

_NOTHING: Final[ContestedFacts] = frozenset()


@dataclass(slots=True)
class RuleResult:
    """What a rule came to for one subject, but for what makes its regime apply: whether it applies, and holds."""

    applies: Truth = True
    holds: Truth = True
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    vouched: bool = False
    chain: tuple[str, ...] = ()
    row: str = ""
    exempt: tuple[Evidence, ...] | None = None  # the facts that exempt from it; None where it does not apply otherwise
    against: tuple[Evidence, ...] = ()  # the facts for which what is required does not hold
    concerned: ContestedFacts = frozenset()  # the contested facts that it surely asks something of
    bases: tuple[str, ...] = ()  # rules of other regimes that ask for whatever does not hold, where all of it has one
    assurance: Assurance | None = None  # the weakest of what it rests on


def verdict_of(applies: Truth, holds: Truth, *, vouched: bool) -> Verdict:
    """What does not apply asks nothing; what holds anyhow is met even where it may not apply."""
    if applies is False:
        return Verdict.NOT_APPLICABLE
    if holds:
        return Verdict.ATTESTED if vouched else Verdict.PASS
    return Verdict.FAIL if applies and holds is False else Verdict.UNKNOWN


class _Trail:
    """What was looked at so far."""

    __slots__ = ("against", "concerned", "evidence", "missing", "outcomes", "why")

    def __init__(self) -> None:
        self.outcomes: list[ConditionResult] = []
        self.why: dict[int, Evidence] = {}  # what tells that it applies, by the fact's own evidence
        self.evidence: list[Evidence] = []
        self.missing: list[str] = []
        self.concerned: list[tuple[str, str]] = []
        self.against: list[Evidence] = []

    def take(self, outcome: ConditionResult, *, applying: bool = False) -> Truth:
        """Add what came of one condition, of why the rule applies or of what it asks."""
        self.outcomes.append(outcome)
        if applying:
            self.why.update(zip(map(id, outcome.evidence), outcome.applying, strict=True))
        else:
            self.evidence += outcome.evidence
        if outcome.missing:
            self.missing += outcome.missing
        return outcome.truth

    def told(self) -> tuple[Evidence, ...]:
        """All that was looked at, what tells that the rule applies first.

        A fact has one evidence for one answer, however many conditions looked at it.
        """
        if len(self.outcomes) < 2 and not self.why:
            return tuple(self.evidence)
        return (*self.why.values(), *{id(each): each for each in self.evidence}.values())


class CompiledRule:
    """One rule of one profile, made ready."""

    def __init__(self, profile: Profile, rule: Rule, force: Force, conditions: ConditionCompiler) -> None:
        subject, element = Roots(rule.level), Roots(rule.level, rule.each)
        self.profile = profile
        self.rule = rule
        self.force = force
        self.kinds = LEVELS[rule.level]
        self.on_path = rule.level in PATH_LEVELS
        self.name = f"profile {profile.id} version {profile.version} rule {rule.id.partition('/')[2]}"
        # What all findings of it begin and end with, around those fields that are each one's own.
        self.shared: tuple[tuple[object, ...], tuple[object, ...]] = (
            (profile.id, profile.version, rule.id, rule.title, rule.level),
            (rule.remedy, rule.interpretation, (), None),
        )
        effect = f" is not judged: {self.name} is not in effect."
        self.does_not_touch = effect if force is Force.NONE else f" is not touched by {self.name}."
        self.is_not_about = f" is not what {self.name} is about."
        self.flow = [conditions.ready(each, Roots(FLOW)) for each in rule.flow]
        starts = [start_points(each, subject) for each in (*rule.when, *rule.unless)]
        starts += [start_points(each, element) for each in (*rule.where, *rule.require)]
        starts += [{split(path, roots)[0]} for path, roots in ((rule.each, subject), (rule.basis, element)) if path]
        self.reads_flow = any("flow" in each for each in starts)
        # What nothing can be said of without a flow.
        self.needs_flow = self.reads_flow or bool(rule.flow)
        self._rests_on_words = rule.kind == "attested" or bool(rule.complete)
        self.says_fail = rule.when_unknown == "fail"
        self._conditions = conditions
        self._when = [conditions.ready(each, subject) for each in rule.when]
        self._unless = [conditions.ready(each, subject) for each in rule.unless]
        self._each: PathResolver | None = conditions.go(rule.each, subject) if rule.each else None
        self._where = [conditions.ready(each, element) for each in rule.where]
        self._require = [conditions.ready(each, element) for each in rule.require]
        self._basis: PathResolver | None = conditions.go(rule.basis, element) if rule.basis else None
        self._contested: tuple[tuple[str, PathResolver], ...] = ()

    def contest(self, facts: Iterable[str]) -> None:
        """Say over which facts rules of other regimes may contradict it, before it is asked anything."""
        element = Roots(self.rule.level, self.rule.each)
        self._contested = tuple([(fact, self._conditions.go(fact, element)) for fact in facts])

    def part(self, subject: Node, flow: Node | None) -> RuleResult:
        """What it comes to for a subject. Without facts of a flow it is worked out once for each."""
        if self.reads_flow:
            return self._part((subject, subject, flow))
        part: RuleResult | None = subject.outcomes.get(self)
        if part is None:
            part = subject.outcomes[self] = self._part((subject, subject, flow))
        return part

    def _part(self, frame: Scope) -> RuleResult:
        trail = _Trail()
        applies: Truth = True
        for tests, exempts in ((self._when, False), (self._unless, True)):
            for test in tests:
                outcome = test(frame)
                truth = negation(outcome.truth) if exempts else outcome.truth
                if truth is False:
                    found, by = outcome.evidence, outcome.deciding if exempts else None
                    return RuleResult(
                        False, evidence=found, row=outcome.row, exempt=by, assurance=weakest_assurance(found)
                    )
                if truth is None:
                    applies = None
                trail.take(outcome, applying=True)
        holds, bases = self._holds(frame, trail)
        if holds and self.rule.complete:
            holds = self._complete(frame[0], trail)
        outcomes, missing, evidence = trail.outcomes, trail.missing, trail.told()
        part = RuleResult(
            applies,
            holds,
            evidence,
            tuple(dict.fromkeys(missing)) if missing else (),
            self._rests_on_words,
            against=tuple(dict.fromkeys(trail.against)) if trail.against else (),
            concerned=frozenset(trail.concerned) if trail.concerned else _NOTHING,
            bases=bases,
            assurance=weakest_assurance(evidence),
        )
        listed = [outcome for outcome in outcomes if outcome.row]
        if listed:
            part.chain = tuple(dict.fromkeys([link for outcome in listed for link in outcome.chain]))
            part.row = "; ".join(dict.fromkeys([outcome.row for outcome in listed]))
        part.vouched = part.vouched or any(outcome.vouched for outcome in outcomes)
        return part

    def _holds(self, frame: Scope, trail: _Trail) -> tuple[Truth, tuple[str, ...]]:
        """Whether what it requires does, and whether other regimes ask for what does not."""
        if self._each is None:
            if self._contested:
                trail.concerned += self._at_stake(frame)
            asked = [test(frame) for test in self._require]
            truth = conjunction([trail.take(outcome) for outcome in asked])
            if truth is False:
                trail.against += _against(asked)
            return truth, self._bases(frame) if truth is False else ()
        walk = self._each(frame)
        trail.missing += walk.missing
        trail.evidence += [known.told(None if walk.missing else True) for known in walk.way]
        truths: list[Truth] = [None] if walk.missing else []
        found: list[tuple[str, ...]] = []
        for leaf in walk.leaves:
            if not leaf.nodes:
                trail.evidence.append(leaf.told(True))
            for node in leaf.nodes:
                each = (frame[0], node, frame[2])
                truth = self._element(each, trail)
                truths.append(truth)
                if truth is False:
                    found.append(self._bases(each))
        explained = bool(found) and all(found)
        return conjunction(truths), tuple(basis for bases in found for basis in bases) if explained else ()

    def _element(self, frame: Scope, trail: _Trail) -> Truth:
        """Of one element: what it is not about holds of it."""
        asked: list[ConditionResult] = []
        concerns: Truth = True
        for test in self._where:
            outcome = test(frame)
            if outcome.truth is False:
                return True
            if outcome.truth is None:
                concerns = None
            asked.append(outcome)
        if concerns and self._contested:
            trail.concerned += self._at_stake(frame)
        required = [test(frame) for test in self._require]
        truth = conjunction([outcome.truth for outcome in required])
        if truth is False and not concerns:
            truth = None
        known_missing = len(trail.missing)
        for outcome in asked:
            trail.take(outcome, applying=True)
        for outcome in required:
            trail.take(outcome)
        if truth is False:
            trail.against += _against(required)
        if truth is not None:
            del trail.missing[known_missing:]
        return truth

    def _at_stake(self, frame: Scope) -> list[tuple[str, str]]:
        """The contested facts that are known to have a value: over none, nothing is contradicted."""
        return [(frame[1].id, fact) for fact, go in self._contested if any(leaf.values for leaf in go(frame).leaves)]

    def _bases(self, frame: Scope) -> tuple[str, ...]:
        if self._basis is None:
            return ()
        return tuple(str(value) for leaf in self._basis(frame).leaves for value in leaf.values)

    def _complete(self, subject: Node, trail: _Trail) -> Truth:
        """Whether somebody vouches that nothing was left out."""
        word = self._conditions.word(subject.owner, self.rule.complete)
        if word is None:
            trail.missing.append(f"{subject.owner}.attested.{self.rule.complete}")
            return None
        trail.evidence.append(word.told(True))
        return True


def _against(required: list[ConditionResult]) -> list[Evidence]:
    """The facts that decided against it. What has a note was weighed for a list: the chain and the row tell of that."""
    false = [outcome for outcome in required if outcome.truth is False]
    return [each for outcome in false for each in outcome.evidence if each.holds is False and not each.note]


class CompiledTouches:
    """What makes a profile apply, made ready."""

    def __init__(self, profile: Profile, conditions: ConditionCompiler) -> None:
        self._by_kind: dict[str, list[Evaluator]] = {}
        self._reads_flow = False
        for touch in profile.touches:
            roots = Roots(touch.level)
            test = conditions.ready(touch.condition, roots)
            self._reads_flow = self._reads_flow or "flow" in start_points(touch.condition, roots)
            for kind in LEVELS[touch.level]:
                self._by_kind.setdefault(kind, []).append(test)
        # Whatever lies on the path of a flow can make the regime apply to it.
        self.on_path = any(kind in self._by_kind for kind in PATH_LEVELS)
        self.of_flows = self.on_path or FLOW in self._by_kind

    def has(self, kind: str) -> bool:
        """Whether anything is asked of this kind."""
        return kind in self._by_kind

    def of(self, node: Node, kinds: tuple[str, ...], flow: Node | None) -> ConditionResult:
        """Whether what it asks of these kinds holds of one that is of them; false where it asks nothing."""
        if self._reads_flow or not node.kind:  # what is declared nowhere is of more kinds than one
            return self._of(node, kinds, flow)
        outcome: ConditionResult | None = node.outcomes.get(self)
        if outcome is None:
            outcome = node.outcomes[self] = self._of(node, kinds, flow)
        return outcome

    def _of(self, node: Node, kinds: tuple[str, ...], flow: Node | None) -> ConditionResult:
        frame = (node, node, flow)
        outcomes = []
        for kind in kinds:
            for test in self._by_kind.get(kind, ()):
                outcome = test(frame)
                if outcome.truth:
                    return outcome
                outcomes.append(outcome)
        return combine_undecided(outcomes)


def combine_undecided(outcomes: list[ConditionResult]) -> ConditionResult:
    """Of several of which none is true: all that are unknown, or all."""
    unknown = [outcome for outcome in outcomes if outcome.truth is None]
    taken = unknown or outcomes
    if len(taken) == 1:
        return taken[0]
    return ConditionResult(
        None if unknown else False,
        tuple([evidence for outcome in taken for evidence in outcome.evidence]),
        tuple([gap for outcome in unknown for gap in outcome.missing]),
    )


def weakest_assurance(evidence: tuple[Evidence, ...]) -> Assurance | None:
    """The least sure of the facts that something rests on."""
    found: Assurance | None = None
    for each in evidence:
        if each.assurance is Assurance.DECLARED:
            return Assurance.DECLARED
        found = each.assurance if found is None else min(found, each.assurance)
    return found
