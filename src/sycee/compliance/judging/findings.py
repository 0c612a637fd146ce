"""Findings from rule results: the verdict, its evidence, and one sentence for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from sycee.compliance.facts import Assurance, Value
from sycee.compliance.judging.condition_results import ConditionResult
from sycee.compliance.judging.control import CONSIDERED
from sycee.compliance.judging.effective_facts import EffectiveNetwork
from sycee.compliance.judging.logic import Truth, conjunction
from sycee.compliance.judging.rules import CompiledRule, RuleResult, verdict_of
from sycee.compliance.verdicts import Evidence, Finding, Force, Verdict
from sycee.compliance.vocabulary import CLAIMS

_NEW_FINDING: Final = tuple.__new__  # three times as fast as a call with eighteen arguments
_ASSURANCE: Final = itemgetter(Evidence._fields.index("assurance"))
_VALUES_SHOWN_MAX: Final = 5  # in one sentence
_CLAIMED: Final = frozenset(claim.field for claim in CLAIMS)
_CLAIMS_END: Final = tuple(f".{field}" for field in sorted(_CLAIMED))


@dataclass(slots=True)
class Precondition(ConditionResult):
    """Whether a regime and the flow make a rule apply, before its subject is considered."""

    touches: bool = True  # false if the regime does not apply
    weakest: Assurance | None = None  # the weakest assurance of the evidence, if the truth is false


class FindingWriter:
    """Writes the findings about a network on a day. `forces` are of the profiles, by the full names of their rules."""

    def __init__(self, effective: EffectiveNetwork, forces: dict[str, Force]) -> None:
        self._effective = effective
        self._network = effective.network
        self._at = effective.at
        self._on = effective.at.isoformat()
        self._forces = forces

    def precondition(self, touch: ConditionResult, flow: Sequence[ConditionResult] = ()) -> Precondition:
        """Combine why a profile applies with why a flow is one that a rule is about."""
        if touch.truth is False:
            return Precondition(False, touch.evidence, touches=False, weakest=self._weakest(touch.evidence))
        if not flow:
            return Precondition(touch.truth, touch.applying, touch.missing, touch.by_attestation)
        results = [touch]
        for result in flow:
            if result.truth is False:
                return Precondition(False, result.evidence, weakest=self._weakest(result.evidence))
            results.append(result)
        return Precondition(
            conjunction([result.truth for result in results]),
            tuple([each for result in results for each in result.applying]),
            tuple([gap for result in results for gap in result.missing]),
            any(result.by_attestation for result in results),
        )

    def write(self, rule: CompiledRule, subject: str, before: Precondition, result: RuleResult) -> Finding:
        """Return the finding of one rule about one subject."""
        if before.truth is False:
            return not_applicable((rule,), subject, before)[0]
        if result.applies is False:
            why = rule.not_about
            if result.exempting is not None:
                why = f" is exempt from {rule.name}: {_facts(result.exempting) or 'by its facts'}."
                if result.by_attestation and not rule.is_coverage:
                    # Nobody can check such an exemption: it is attested, and never beyond the rule.
                    evidence = before.evidence + result.evidence
                    return self._applicable(rule, subject, Verdict.ATTESTED, subject + why, evidence, result)
            return self._not_applicable(rule, subject + why, subject, result)
        if rule.is_coverage and result.holds:
            within = f" is within what profile {rule.profile.id} version {rule.profile.version} models."
            return self._not_applicable(rule, subject + within, subject, result)
        by_attestation = result.by_attestation or before.by_attestation
        applies: Truth = True if before.truth and result.applies else None
        verdict = verdict_of(applies, result.holds, by_attestation=by_attestation)
        missing: tuple[str, ...] = ()
        conflicting: tuple[str, ...] = ()
        if rule.is_coverage:
            verdict = Verdict.UNKNOWN
        if verdict is Verdict.UNKNOWN:
            missing = result.missing
            if before.missing:
                missing = (*before.missing, *(gap for gap in result.missing if gap not in before.missing))
            verdict = Verdict.FAIL if rule.unknown_fails else verdict
        elif verdict is Verdict.FAIL and result.bases and all(self._binds(name, rule) for name in result.bases):
            verdict, conflicting = Verdict.CONFLICT, tuple(dict.fromkeys(result.bases))
        evidence = before.evidence + result.evidence
        if verdict is Verdict.PASS and self._weakest(evidence) is Assurance.REPORTED:
            message = f"{subject} meets {rule.name} on declared and reported facts as of {self._on}."
        else:
            message = self._message(rule, subject, verdict, result, missing, conflicting)
        return self._applicable(rule, subject, verdict, message, evidence, result, missing, conflicting)

    def _applicable(
        self,
        rule: CompiledRule,
        subject: str,
        verdict: Verdict,
        message: str,
        evidence: tuple[Evidence, ...],
        result: RuleResult,
        missing: tuple[str, ...] = (),
        conflicting: tuple[str, ...] = (),
    ) -> Finding:
        head, (remedy, interpretation, _, waiver) = rule.shared
        assurance = self._weakest(evidence)
        own = (subject, verdict, rule.force, message, evidence, result.chain, result.row, missing, assurance)
        return _NEW_FINDING(Finding, (*head, *own, remedy, interpretation, conflicting, waiver))

    def _not_applicable(self, rule: CompiledRule, message: str, subject: str, of: RuleResult) -> Finding:
        head, tail = rule.shared  # most findings are not applicable, and share all other fields
        assurance = self._weakest(of.evidence)
        own = (subject, Verdict.NOT_APPLICABLE, rule.force, message, of.evidence, (), of.row, (), assurance)
        return _NEW_FINDING(Finding, head + own + tail)

    def _weakest(self, evidence: tuple[Evidence, ...]) -> Assurance | None:
        """Return the weakest assurance of some facts; None without facts."""
        weakest = self._effective.weakest  # no fact that was read until now is weaker
        for each in evidence:
            if each.assurance is weakest:
                return weakest
        return _weakest_assurance(evidence)

    def _binds(self, name: str, rule: CompiledRule) -> bool:
        """Return whether a basis is a rule of another regime that is in effect."""
        other = self._forces.get(name, Force.NONE)
        return other is not Force.NONE and not name.startswith(f"{rule.profile.id}/")

    def _message(
        self,
        rule: CompiledRule,
        subject: str,
        verdict: Verdict,
        result: RuleResult,
        missing: tuple[str, ...],
        conflicting: tuple[str, ...],
    ) -> str:
        if verdict is Verdict.PASS:
            return f"{subject} meets {rule.name} on declared facts as of {self._on}."
        if verdict is Verdict.ATTESTED:
            return f"{subject} meets {rule.name} by attestation as of {self._on}."
        if verdict is Verdict.CONFLICT:
            return f"{subject} does not meet {rule.name} because {' and '.join(conflicting)} requires the opposite."
        if rule.is_coverage and result.holds is False:
            model = f"profile {rule.profile.id} version {rule.profile.version} does not model all of this"
            gaps = f"; {self._gaps(missing, result)}" if missing else ""
            return f"Whether {subject} meets {rule.name} is unknown: {_facts(result.against)}; {model}{gaps}."
        if verdict is Verdict.UNKNOWN or result.holds is not False:
            return f"Whether {subject} meets {rule.name} is unknown: {self._gaps(missing, result)}."
        excluded = "is excluded by" if result.row else "does not meet"
        return f"{subject} {excluded} {rule.name} because {_reason(result)}."

    def _gaps(self, missing: tuple[str, ...], result: RuleResult) -> str:
        if not missing:
            unknown = [each for each in result.evidence if each.holds is None and each.note]
            deciding = (each for each in unknown if not each.note.startswith(CONSIDERED))
            notes = dict.fromkeys(f"{each.path}: {each.note}" for each in deciding)
            return _limited(tuple(notes)) or "the declared facts do not decide"
        denied = tuple([path for path in missing if path.endswith(_CLAIMS_END) and self._is_denied(path)])
        undeclared = tuple([path for path in missing if path not in denied]) if denied else missing
        texts = [f"{_limited(undeclared)} {'is' if len(undeclared) == 1 else 'are'} not declared"] if undeclared else []
        if denied:
            texts.append(f"other facts contradict {_limited(denied)}")
        on_list = f"; list {result.row}" if result.row else ""
        return " and ".join(texts) + on_list

    def _is_denied(self, path: str) -> bool:
        """Return whether a missing fact is declared, and counts as unknown because another fact denies it."""
        id, _, name = path.partition(".")
        if name not in _CLAIMED:
            return False
        entity = self._network.entities.get(id)
        return entity is not None and entity.value_on(name, self._at) is not None


def not_applicable(rules: Iterable[CompiledRule], subject: str, before: Precondition) -> list[Finding]:
    """Return the findings of rules that have one false precondition."""
    evidence, row, weakest, touches = before.evidence, before.row, before.weakest, before.touches
    verdict, new = Verdict.NOT_APPLICABLE, _NEW_FINDING
    found = []
    for rule in rules:
        head, tail = rule.shared
        message = subject + (rule.not_about if touches else rule.not_touched)
        own = (subject, verdict, rule.force, message, evidence, (), row, (), weakest)
        found.append(new(Finding, head + own + tail))
    return found


def _weakest_assurance(evidence: tuple[Evidence, ...]) -> Assurance | None:
    """Return the weakest assurance of some facts; None without facts."""
    return min(map(_ASSURANCE, evidence), default=None)


def _reason(result: RuleResult) -> str:
    against = (_facts(result.against),) if result.against else ()
    row = (f"on list {result.row}",) if result.row else ()
    return "; ".join((*against, *result.chain, *row)) or "its facts do not"


def _facts(evidence: tuple[Evidence, ...]) -> str:
    return _limited(tuple(f"{each.path} is {_value(each.value)}" for each in evidence), "; ")


def _value(value: Value | None) -> str:
    if isinstance(value, tuple):
        return _limited(tuple(str(each) for each in value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _limited(texts: tuple[str, ...], separator: str = ", ") -> str:
    """Join texts, at most `_VALUES_SHOWN_MAX` of them."""
    more = len(texts) - _VALUES_SHOWN_MAX
    return separator.join(texts[:_VALUES_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
