"""Findings out of what rules came to: the verdict, what it rests on, and one sentence for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final

from sycee.compliance.facts import Assurance, Value
from sycee.compliance.judging.conditions import ConditionResult
from sycee.compliance.judging.ownership import Truth
from sycee.compliance.judging.rules import CompiledRule, RuleResult, verdict_of, weakest_assurance
from sycee.compliance.verdicts import Evidence, Finding, Force, Verdict

_FINDING: Final = tuple.__new__  # takes a third of the time that a call with eighteen arguments does
_NOT_APPLICABLE: Final = Verdict.NOT_APPLICABLE
_VALUES_TOLD_MAX: Final = 5  # in one sentence


@dataclass(slots=True)
class Precondition:
    """Whether a rule applies, but for what the subject itself decides: its regime touches it, and so does its flow."""

    truth: Truth
    evidence: tuple[Evidence, ...] = ()
    missing: tuple[str, ...] = ()
    assurance: Assurance | None = None
    vouched: bool = False
    touches: bool = True  # false where the regime does not touch it at all


class FindingWriter:
    """Writes the findings of one day. `forces` are of the profiles that judge, by their rules' full names."""

    def __init__(self, at: date, forces: dict[str, Force]) -> None:
        self._on = at.isoformat()
        self._forces = forces

    def claim(self, touch: ConditionResult, flow: Iterable[ConditionResult] = ()) -> Precondition:
        """Put together why a rule applies."""
        if touch.truth is False:
            return Precondition(False, touch.evidence, (), weakest_assurance(touch.evidence), touches=False)
        outcomes = [touch]
        for outcome in flow:
            if outcome.truth is False:
                return Precondition(False, outcome.evidence, (), weakest_assurance(outcome.evidence))
            outcomes.append(outcome)
        if len(outcomes) == 1:
            return Precondition(
                touch.truth, touch.applying, touch.missing, weakest_assurance(touch.evidence), touch.vouched
            )
        evidence = tuple([each for outcome in outcomes for each in outcome.applying])
        missing = tuple([gap for outcome in outcomes for gap in outcome.missing])
        truth: Truth = None if any(outcome.truth is None for outcome in outcomes) else True
        return Precondition(
            truth, evidence, missing, weakest_assurance(evidence), any(outcome.vouched for outcome in outcomes)
        )

    def write(self, ready: CompiledRule, subject: str, claim: Precondition, part: RuleResult) -> Finding:
        """The finding of one rule on one subject."""
        if claim.truth is False:
            return not_applicable(ready, subject, claim)
        if part.applies is False:
            why = ready.is_not_about
            if part.exempt is not None:
                why = f" is exempt from {ready.name}: {_facts(part.exempt) or 'its facts say so'}."
            return _not_applicable(ready, subject, part, why)
        rule, (head, _) = ready.rule, ready.shared
        verdict = verdict_of(
            True if claim.truth and part.applies else None, part.holds, vouched=part.vouched or claim.vouched
        )
        missing: tuple[str, ...] = ()
        names: tuple[str, ...] = ()
        if verdict is Verdict.UNKNOWN:
            missing = (*claim.missing, *(gap for gap in part.missing if gap not in claim.missing))
            verdict = Verdict.FAIL if ready.says_fail else verdict
        elif verdict is Verdict.FAIL and part.bases and all(self._binds(name, ready) for name in part.bases):
            verdict, names = Verdict.CONFLICT, tuple(dict.fromkeys(part.bases))
        message = self._message(ready, subject, verdict, part, missing, names)
        evidence, assurance = claim.evidence + part.evidence, _weaker(claim.assurance, part.assurance)
        told = (subject, verdict, ready.force, message, evidence, part.chain, part.row, missing, assurance)
        return _FINDING(Finding, (*head, *told, rule.remedy, rule.interpretation, names, None))

    def _binds(self, name: str, ready: CompiledRule) -> bool:
        """Whether a basis is a rule of another regime that is in effect."""
        other = self._forces.get(name, Force.NONE)
        return other is not Force.NONE and not name.startswith(f"{ready.profile.id}/")

    def _message(
        self,
        ready: CompiledRule,
        subject: str,
        verdict: Verdict,
        part: RuleResult,
        missing: tuple[str, ...],
        names: tuple[str, ...],
    ) -> str:
        if verdict is Verdict.PASS:
            return f"{subject} meets {ready.name} on declared facts as of {self._on}."
        if verdict is Verdict.ATTESTED:
            return f"{subject} meets {ready.name} on somebody's word as of {self._on}."
        if verdict is Verdict.CONFLICT:
            return f"What {ready.name} asks of {subject}, {' and '.join(names)} does not allow."
        if verdict is Verdict.UNKNOWN or part.holds is not False:
            return f"Whether {subject} meets {ready.name} is unknown: {_gaps(missing, part)}."
        excluded = "is excluded by" if part.row else "does not meet"
        return f"{subject} {excluded} {ready.name} because {_reason(part)}."


def not_applicable(ready: CompiledRule, subject: str, claim: Precondition) -> Finding:
    """The finding where the claim is false. Most are such: they are made of what all findings of a rule share."""
    head, tail = ready.shared
    why = subject + (ready.is_not_about if claim.touches else ready.does_not_touch)
    told = (subject, _NOT_APPLICABLE, ready.force, why, claim.evidence, (), "", (), claim.assurance)
    return _FINDING(Finding, head + told + tail)


def _not_applicable(ready: CompiledRule, subject: str, part: RuleResult, why: str) -> Finding:
    head, tail = ready.shared
    told = (subject, _NOT_APPLICABLE, ready.force, subject + why, part.evidence, (), part.row, (), part.assurance)
    return _FINDING(Finding, head + told + tail)


def _weaker(one: Assurance | None, other: Assurance | None) -> Assurance | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _reason(part: RuleResult) -> str:
    row = (f"on list {part.row}",) if part.row else ()
    reasons = (*([_facts(part.against)] if part.against else []), *part.chain, *row)
    return "; ".join(reasons) or "its facts say otherwise"


def _gaps(missing: tuple[str, ...], part: RuleResult) -> str:
    if missing:
        return f"{_several(missing)} {'is' if len(missing) == 1 else 'are'} not declared"
    notes = tuple(
        dict.fromkeys(f"{each.path}: {each.note}" for each in part.evidence if each.holds is None and each.note)
    )
    return _several(notes) or "what is declared does not decide it"


def _facts(evidence: tuple[Evidence, ...]) -> str:
    return _several(tuple(f"{each.path} is {_said(each.value)}" for each in evidence), "; ")


def _said(value: Value | None) -> str:
    if isinstance(value, tuple):
        return _several(tuple(str(each) for each in value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _several(texts: tuple[str, ...], between: str = ", ") -> str:
    more = len(texts) - _VALUES_TOLD_MAX
    return between.join(texts[:_VALUES_TOLD_MAX]) + (f" and {more} more" if more > 0 else "")
