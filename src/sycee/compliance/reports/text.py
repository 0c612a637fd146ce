"""A report as plain text for a terminal: a summary, then subject by subject, the worst first, with the evidence."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from sycee.compliance.profiles import Library
from sycee.compliance.reports.summary import (
    UNMET,
    WORST_FIRST,
    JudgedNetwork,
    details,
    outcome_word,
    value_text,
)
from sycee.compliance.verdicts import Evidence, Finding, Force
from sycee.core.terminal_text import printable
from sycee.core.words import quantity

WIDTH: Final = 80  # characters of a line if there is no terminal
LINES_OF_A_SCREEN: Final = 40  # a longer report repeats its headline at the end
_INDENT: Final = " " * 6


def render(judged: JudgedNetwork, *, everything: bool = False, width: int = WIDTH) -> str:
    """Return the report in lines of `width` characters. Findings that hold are only counted unless `everything`."""
    lines = [f"{judged.network.title}, judged as of {judged.report.at}", judged.headline]
    lines += [f"  CONTRADICTION: {each.text} ({', '.join(each.facts)})" for each in judged.report.contradictions]
    lines += [f"  does not count: {each}" for each in judged.network.notes]
    lines.append("")
    for summary in judged.profiles:
        force = "" if summary.force is Force.NONE else f" ({summary.force.word})"
        numbers = ((summary.counts[verdict], verdict.word.replace("-", " ")) for verdict in WORST_FIRST)
        counts = [f"{count:,} {word}" for count, word in numbers if count]
        lines += [f"{summary.capitalised_sentence}{force}.", f"  {', '.join(counts) or 'nothing to judge'}"]
        if summary.is_met:
            lines.append(f"  Limits of the profile: {summary.profile.limits}")
    omitted = 0
    for subject, findings in judged.by_subject.items():
        chosen = [finding for finding in findings if everything or finding.verdict in UNMET]
        omitted += len(findings) - len(chosen)
        if chosen:
            lines += ["", _subject(judged, subject)]
            for each in chosen:
                lines += finding_lines(each)
    if omitted:
        lines += ["", f"{quantity(omitted, 'finding')} more: passed, attested or not applicable"]
    lines += ["", *(f"{name} {digest}" for name, digest in judged.digests.items())]
    if len(lines) > LINES_OF_A_SCREEN:
        lines += ["", judged.headline]
    return wrapped(lines, width)


def wrapped(lines: Iterable[str], width: int = WIDTH) -> str:
    """Return lines as one printable text.

    Break a longer line at blanks and indent the rest by two more characters; never break a word.
    """
    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    broken: list[str] = []
    for line in lines:
        wrapper.initial_indent = " " * (len(line) - len(line.lstrip(" ")))
        wrapper.subsequent_indent = f"{wrapper.initial_indent}  "
        broken += wrapper.wrap(printable(line).lstrip(" ")) or [""]
    return "".join(f"{line}\n" for line in broken)


def finding_lines(finding: Finding) -> list[str]:
    """Return a finding as printable lines of any length: verdict, rule, message, evidence and remedy."""
    stops = ", stops" if finding.stops else ", advised" if finding.force is Force.ADVISED else ""
    lines = [f"  {finding.verdict.word.upper()}{stops}: {finding.rule}, {finding.title}"]
    if finding.message:
        lines.append(f"{_INDENT}{finding.message}")
    lines += _facts(finding.evidence)
    for name, text in details(finding, " <- "):
        quoted = name == "waived" and finding.waiver and finding.waiver.reason in finding.message
        if not quoted and (name != "remedy" or finding.verdict in UNMET):
            lines.append(f"{_INDENT}{name}: {text}")
    return [printable(line) for line in lines]


def source_lines(library: Library, finding: Finding) -> list[str]:
    """Return the source of a finding's rule as a line: addressee, clause, title, publisher and date."""
    rule = library.rules.get(finding.rule)
    profile = next((each for each in library.profiles if each.id == finding.profile), None)
    if rule is None or profile is None:
        return []
    source = next(each for each in profile.sources if each.id == rule.source)
    clause = f", {rule.clause}" if rule.clause else ""
    second_hand = "" if source.at_hand else " (read second-hand)"
    status = f"of a {profile.status}, addressed to a {rule.addressee}{clause}"
    return [printable(f"{_INDENT}rule: {status}: {source.title}, {source.publisher}, {source.date}{second_hand}")]


def _subject(judged: JudgedNetwork, subject: str) -> str:
    entity, name = judged.entity(subject), judged.name(subject)
    place = f"  [{entity.place}]" if entity and entity.place else ""
    return f"{subject} ({judged.kind(subject)}){'' if name == subject else f': {name}'}{place}"


def _facts(evidence: Sequence[Evidence]) -> list[str]:
    """Return each fact once; the most frequent provenance is written once, below the facts."""
    provenances = Counter(_provenance(each) for each in evidence if each.value is not None)
    usual = max(provenances, key=provenances.__getitem__, default="")
    lines: list[str] = []
    for each in dict.fromkeys(evidence):
        own = "" if each.value is None or _provenance(each) == usual else f" ({_provenance(each)})"
        note = f"; {each.note}" if each.note else ""
        lines.append(f"{_INDENT}- {each.path} = {value_text(each.value, each.path)}: {outcome_word(each)}{note}{own}")
    if usual:
        lines.append(f"{_INDENT}facts: {usual}{'' if len(provenances) == 1 else ', unless noted'}")
    return lines


def _provenance(evidence: Evidence) -> str:
    as_of = f"as of {evidence.as_of}" if evidence.as_of else ""
    return ", ".join(part for part in (evidence.source, as_of, evidence.assurance.word) if part)
