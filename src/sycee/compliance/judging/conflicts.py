"""Where regimes contradict each other, and where a person let something through.

A conflict is never guessed. There are two: rules of two profiles ask the same fact of the same subject for what no
value can be (here), and the fact is known to have one; or what fails a rule names, as its basis, a rule of another
regime that asks for it (`rules.Part.bases`). Only tests of sets by the same path, with values that the profiles name,
are compared: what rules ask by other paths, by `any` or the other way round (`negate`), a person has to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from sycee.compliance.facts import Waiver
from sycee.compliance.profiles import Condition, Rule
from sycee.compliance.verdicts import ON_PATH, Finding, Verdict
from sycee.compliance.vocabulary import ANY_IN, LEVELS, NONE_IN, SETS

_MET: Final = (Verdict.PASS, Verdict.ATTESTED)

# For each rule, the rules that contradict it, each with the facts over which they do.
Contradictions = Mapping[str, Mapping[str, frozenset[str]]]
# Facts that are known to have a value, each with the id of the element, or the subject, that a rule asks it of.
ContestedFacts = frozenset[tuple[str, str]]
_NOBODY: Final[ContestedFacts] = frozenset()


def pairs(rules: Iterable[Rule]) -> Contradictions:
    """For each rule, those of other profiles that ask the same fact of the same thing for what it then cannot be."""
    asking = [(rule, asked) for rule in rules for asked in [_asked(rule)] if asked]
    found: dict[str, dict[str, frozenset[str]]] = {}
    for rule, asked in asking:
        for other, also in asking:
            if (
                _profile(rule.id) == _profile(other.id)
                or rule.each != other.each
                or set(LEVELS[rule.level]).isdisjoint(LEVELS[other.level])
            ):
                continue
            facts = frozenset(one.fact for one in asked for another in also if _contradict(one, another))
            if facts:
                found.setdefault(rule.id, {})[other.id] = facts
    return found


def _asked(rule: Rule) -> list[Condition]:
    """What a rule wants of the values of facts, where it names them itself."""
    return [each for each in rule.require if each.test in SETS and not each.facts and not each.negate]


def _contradict(one: Condition, other: Condition) -> bool:
    """Whether no fact that has a value can meet both."""
    if one.fact != other.fact or one.test == other.test in (ANY_IN, NONE_IN):
        return False
    if one.test == NONE_IN:
        return other.values <= one.values
    if other.test == NONE_IN:
        return one.values <= other.values
    return one.values.isdisjoint(other.values)


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
        subjects = dict.fromkeys((finding.subject, *finding.subject.split(ON_PATH)))
        found = (self._by_name.get((finding.rule, subject)) for subject in subjects)
        return next((each for each in found if each is not None), None)


def settle(
    findings: list[Finding],
    concerned: Mapping[str, ContestedFacts],
    conflicts: Contradictions,
    waivers: Waivers,
) -> list[Finding]:
    """The findings of one subject, with waivers and conflicts.

    `concerned` says of which facts each rule surely asks something. Only where two rules ask it of the same fact can
    they contradict each other.

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
            for other, facts in conflicts.get(each.rule, {}).items()
            if other not in waived and _of_both(concerned.get(each.rule, _NOBODY), concerned.get(other, _NOBODY), facts)
            if each.verdict not in _MET or by_rule[other].verdict not in _MET
            if each.verdict not in _MET or by_rule[other].force >= each.force
        ]
        settled.append(_clash(each, others) if others else each)
    return settled


def _of_both(one: ContestedFacts, other: ContestedFacts, facts: frozenset[str]) -> bool:
    return any(fact in facts for _, fact in one & other)


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
