"""Where regimes contradict each other, and where a person let something through.

A conflict is never guessed. There are two: rules of two profiles ask the same fact of the same subject for values in
sets that have nothing in common (here); or what fails a rule names, as its basis, a rule of another regime that asks
for it (`rules.Part.bases`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from sycee.compliance.facts import Waiver
from sycee.compliance.profiles import Condition, Rule
from sycee.compliance.verdicts import Finding, Verdict
from sycee.compliance.vocabulary import ALL_IN, LEVELS

_MET: Final = (Verdict.PASS, Verdict.ATTESTED)
_NOTHING: Final[frozenset[str]] = frozenset()


def pairs(rules: Iterable[Rule]) -> Mapping[str, tuple[str, ...]]:
    """For each rule, those of other profiles that ask the same fact of the same thing for other values."""
    asking = [(rule, asked) for rule in rules for asked in [_asked(rule)] if asked]
    found: dict[str, tuple[str, ...]] = {}
    for rule, asked in asking:
        others = tuple(
            other.id
            for other, also in asking
            if _profile(rule.id) != _profile(other.id)
            and not set(LEVELS[rule.level]).isdisjoint(LEVELS[other.level])
            and rule.each == other.each
            and any(fact in also and values.isdisjoint(also[fact]) for fact, values in asked.items())
        )
        if others:
            found[rule.id] = others
    return found


def _asked(rule: Rule) -> dict[str, frozenset[str]]:
    """The facts that a rule wants to have certain values only."""
    return {each.fact: each.values for each in rule.require if _is_literal(each)}


def _is_literal(condition: Condition) -> bool:
    return condition.test == ALL_IN and not condition.facts and not condition.negate


def _profile(rule: str) -> str:
    return rule.partition("/")[0]


class Waivers:
    """The waivers in force on a day. One names a subject; of what lies on a path, the flow or the place will do."""

    def __init__(self, waivers: Iterable[Waiver], at: date) -> None:
        self._by_name = {(each.rule, each.subject): each for each in waivers if each.in_force(at)}

    def __bool__(self) -> bool:
        return bool(self._by_name)

    def of(self, finding: Finding) -> Waiver | None:
        """The one that lets this finding's subject off its rule."""
        subjects = dict.fromkeys((finding.subject, *finding.subject.split(" @ ")))
        found = (self._by_name.get((finding.rule, subject)) for subject in subjects)
        return next((each for each in found if each is not None), None)


def settle(
    findings: list[Finding],
    concerned: Mapping[str, frozenset[str]],
    conflicts: Mapping[str, tuple[str, ...]],
    waivers: Waivers,
) -> list[Finding]:
    """The findings of one subject, with waivers and conflicts.

    `concerned` says what each rule surely asks something of: elements of its list, or the subject itself. Only where
    two rules ask it of the same can they contradict each other.

    A waiver settles a conflict: a person decided which rule gives way. A rule that binds less makes no conflict of one
    that is met: what only advises does not stop what the law allows.
    """
    waived = {each.rule: waiver for each in findings if waivers and (waiver := waivers.of(each)) is not None}
    by_rule = {each.rule: each for each in findings}
    settled = []
    for each in findings:
        waiver = waived.get(each.rule)
        if waiver is not None:
            settled.append(_waive(each, waiver))
            continue
        others = [
            other
            for other in conflicts.get(each.rule, ())
            if other not in waived and not concerned.get(each.rule, _NOTHING).isdisjoint(concerned.get(other, ()))
            if each.verdict not in _MET or by_rule[other].verdict not in _MET
            if each.verdict not in _MET or by_rule[other].force >= each.force
        ]
        settled.append(_clash(each, others) if others else each)
    return settled


def _waive(finding: Finding, waiver: Waiver) -> Finding:
    if not finding.verdict.stops:
        return finding
    reason = waiver.reason.rstrip(".")
    message = f"{finding.subject} is let off {finding.rule} until {waiver.until_date} by {waiver.role}: {reason}."
    return finding._replace(verdict=Verdict.WAIVED, waiver=waiver, message=message)


def _clash(finding: Finding, others: list[str]) -> Finding:
    names = tuple(dict.fromkeys((*finding.conflicts_with, *others)))
    message = f"What {finding.rule} asks of {finding.subject}, {' and '.join(names)} does not allow."
    return finding._replace(verdict=Verdict.CONFLICT, conflicts_with=names, message=message)
