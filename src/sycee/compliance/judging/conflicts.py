"""Contradictions between regimes, and waivers.

There are two kinds of conflict. Rules of two profiles require values of the same fact of the same subject that exclude
each other, and the fact has a value (this module). Or the facts that break a rule name, as their basis, a rule of
another regime that requires them (`rules.RuleResult.bases`). Only set tests of the same path, with values that the
profiles name, are compared. Contradictions by other paths, by `any` or by `negate` are left to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from sycee.compliance.facts import Waiver, waiver_days_max
from sycee.compliance.profiles import COVERAGE, Condition, Rule
from sycee.compliance.verdicts import ON_PATH, Finding, Verdict
from sycee.compliance.vocabulary import ANY_IN, LEVELS, NONE_IN, SETS

_MET: Final = (Verdict.PASS, Verdict.ATTESTED)

# For each rule, the rules that contradict it, each with the facts in question.
Contradictions = Mapping[str, Mapping[str, frozenset[str]]]
# Contested facts that have a value, each after the id of the element or subject.
ContestedFacts = frozenset[tuple[str, str]]
NONE_CONTESTED: Final[ContestedFacts] = frozenset()


def contradictions(rules: Iterable[Rule]) -> Contradictions:
    """Return, for each rule, the rules of other profiles that require an incompatible value of the same fact."""
    requiring = [
        (rule, required)
        for rule in rules
        if rule.kind != COVERAGE  # it requires nothing of a subject
        for required in [_required_sets(rule)]
        if required
    ]
    found: dict[str, dict[str, frozenset[str]]] = {}
    for rule, required in requiring:
        for other, also in requiring:
            if (
                rule.profile == other.profile
                or rule.each != other.each
                or set(LEVELS[rule.level]).isdisjoint(LEVELS[other.level])
            ):
                continue
            facts = frozenset(one.fact for one in required for another in also if _exclude_each_other(one, another))
            if facts:
                found.setdefault(rule.id, {})[other.id] = facts
    return found


def _required_sets(rule: Rule) -> list[Condition]:
    """Return the set tests of a rule whose values the rule names itself."""
    return [each for each in rule.require if each.test in SETS and not each.facts and not each.negate]


def _exclude_each_other(one: Condition, other: Condition) -> bool:
    """Return whether no value of their fact can meet both conditions."""
    if one.fact != other.fact or one.test == other.test in (ANY_IN, NONE_IN):
        return False
    if one.test == NONE_IN:
        return other.values <= one.values
    if other.test == NONE_IN:
        return one.values <= other.values
    return one.values.isdisjoint(other.values)


class Waivers:
    """The waivers in force on a day. For an element on a path, a waiver may name the flow, the element, or both.

    Waivers of a finding that follow each other without a day between them are one exception, which counts for
    `waiver_days_max` days from its first day: another waiver does not make it longer.
    """

    def __init__(self, waivers: Iterable[Waiver], at: date) -> None:
        self._at = at
        self._begun: dict[tuple[str, str], list[Waiver]] = {}
        self._in_force = False
        for each in waivers:
            if each.from_date <= at:
                self._begun.setdefault((each.rule, each.subject), []).append(each)
                self._in_force = self._in_force or each.in_force(at)

    def __bool__(self) -> bool:
        return self._in_force

    def of(self, finding: Finding) -> Waiver | None:
        """Return the waiver of this finding's rule for its subject, if there is one."""
        subjects = dict.fromkeys((finding.subject, *finding.subject.split(ON_PATH)))
        begun = [each for subject in subjects for each in reversed(self._begun.get((finding.rule, subject), ()))]
        found = next((each for each in begun if each.in_force(self._at)), None)
        if found is None or (self._at - _first_day(begun, self._at)).days >= waiver_days_max():
            return None
        return found


def _first_day(waivers: list[Waiver], at: date) -> date:
    """Return the first of the days before `at`, and this one, on which there was a waiver without a break."""
    first = at
    for each in sorted(waivers, key=lambda each: each.until_date, reverse=True):
        if each.until_date >= first:
            first = min(first, each.from_date)
    return first


def apply(
    findings: list[Finding], contested: Mapping[str, ContestedFacts], contradicting: Contradictions, waivers: Waivers
) -> list[Finding]:
    """Return the findings of one subject with waivers and conflicts applied.

    Two rules conflict only where `contested` has the same fact for both. A waiver ends a conflict: a person decided
    which rule yields. A rule with less force makes no conflict of one that is met: advice does not stop what is lawful.
    """
    waived = {each.rule: waiver for each in findings if waivers and (waiver := waivers.of(each)) is not None}
    by_rule = {each.rule: each for each in findings}
    applied = []
    for each in findings:
        waiver = waived.get(each.rule)
        if waiver is not None:
            applied.append(_waived(each, waiver))
            continue
        own = contested.get(each.rule, NONE_CONTESTED)
        others = [
            other
            for other, facts in contradicting.get(each.rule, {}).items()
            if other not in waived and any(fact in facts for _, fact in own & contested.get(other, NONE_CONTESTED))
            if each.verdict not in _MET or by_rule[other].verdict not in _MET
            if each.verdict not in _MET or by_rule[other].force >= each.force
        ]
        applied.append(_conflicting(each, others) if others else each)
    return applied


def _waived(finding: Finding, waiver: Waiver) -> Finding:
    if not finding.verdict.stops:
        return finding
    reason = waiver.reason.rstrip(".")
    message = f"{finding.rule} is waived for {finding.subject} until {waiver.until_date} by {waiver.role}: {reason}."
    return finding._replace(verdict=Verdict.WAIVED, waiver=waiver, message=message)


def _conflicting(finding: Finding, others: list[str]) -> Finding:
    names = tuple(dict.fromkeys((*finding.conflicts_with, *others)))
    message = f"{finding.rule} and {' and '.join(names)} require of {finding.subject} what excludes each other."
    return finding._replace(verdict=Verdict.CONFLICT, conflicts_with=names, message=message)
