"""Findings in groups: those of one rule with one verdict are one group, those for the same reason one row of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sycee.compliance.reports.summary import UNMET, value_text, weight
from sycee.compliance.verdicts import ON_PATH, Evidence, Finding, Verdict

# What a finding's sentence says before its reason: its subject and its rule, which are those of the group.
_BEFORE_REASON: Final = re.compile(r".*? (?:because|is unknown:) ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why subjects have a verdict, in words that name none of them; `word` is whose word the facts are."""

    text: str
    word: str
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one rule with one verdict. `first` stands for what they share."""

    first: Finding
    reasons: tuple[Reason, ...]
    subjects: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Return the verdict of all findings."""
        return self.first.verdict


def unmet(findings: Iterable[Finding]) -> list[Group]:
    """Return the groups of findings that do not hold: those that stop first, the worst and largest of them first."""
    return _groups(each for each in findings if each.verdict in UNMET)


def met(findings: Iterable[Finding]) -> list[Group]:
    """Return the groups of findings that hold, in the order of the findings."""
    return _groups(each for each in findings if each.applies and each.verdict not in UNMET)


def _groups(findings: Iterable[Finding]) -> list[Group]:
    found: dict[tuple[str, Verdict, bool], list[Finding]] = {}
    for each in findings:
        found.setdefault((each.rule, each.verdict, each.stops), []).append(each)
    groups = [
        Group(of[0], tuple(_reasons(of)), tuple(dict.fromkeys(each.subject for each in of))) for of in found.values()
    ]
    return sorted(groups, key=lambda group: (-weight(group.first), -len(group.subjects)))


def _reasons(findings: Sequence[Finding]) -> Iterator[Reason]:
    """Yield the different reasons, the most frequent first."""
    found: dict[tuple[str, str], list[str]] = {}
    for each in findings:
        found.setdefault((_text(each), _word(each)), []).append(each.subject)
    for (text, word), subjects in sorted(found.items(), key=lambda item: -len(item[1])):
        yield Reason(text, word, tuple(dict.fromkeys(subjects)))


def _text(finding: Finding) -> str:
    """Return the sentence of a finding from its reason on, with "its" for the ids of its subject."""
    reason = _BEFORE_REASON.sub("", finding.message, count=1)
    if not reason:
        reason = "; ".join(f"{each.path} = {value_text(each.value, each.path)}" for each in _deciding(finding))
    if finding.verdict is Verdict.WAIVED and finding.waiver:
        reason = f"waived by {finding.waiver.role} until {finding.waiver.until_date}: {finding.waiver.reason}"
    for name in (finding.subject, *finding.subject.split(ON_PATH)):
        reason = re.sub(rf"(?<![\w-]){re.escape(name)}(?:\.| @ )", "its ", reason)
        reason = re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", "it", reason)
    return reason


def _word(finding: Finding) -> str:
    """Return the sources of the facts that decided, each with its day and assurance."""
    sources = (
        ", ".join(
            part for part in (each.source, f"as of {each.as_of}" if each.as_of else "", each.assurance.word) if part
        )
        for each in _deciding(finding)
        if each.value is not None
    )
    return "; ".join(dict.fromkeys(sources))


def _deciding(finding: Finding) -> list[Evidence]:
    """Return the facts that do not hold, or are unknown; of a finding that holds, all of its facts."""
    if finding.verdict not in UNMET:
        return list(finding.evidence)
    return [each for each in dict.fromkeys(finding.evidence) if each.holds is not True]
