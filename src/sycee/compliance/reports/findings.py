"""Findings as blocks of a page: a fold for each subject, and in it a fold for each unmet finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sycee.compliance.reports.picture import SIGNS
from sycee.compliance.reports.summary import (
    UNMET,
    WORST_FIRST,
    JudgedNetwork,
    details,
    outcome_word,
    value_text,
)
from sycee.compliance.verdicts import ON_PATH, Evidence, Finding, Force, Verdict
from sycee.report.page import Block, Chip, Facts, Fold, Paragraph, Table, YesNo, columns

COLOURS: Final[Mapping[Verdict, str]] = {
    Verdict.FAIL: "warning",
    Verdict.CONFLICT: "fourth",
    Verdict.UNKNOWN: "second",
    Verdict.WAIVED: "sixth",
    Verdict.ATTESTED: "first",
    Verdict.PASS: "third",
    Verdict.NOT_APPLICABLE: "neutral",
}


def chip(verdict: Verdict, text: str = "", subject: str = "") -> Chip:
    """Return the chip of a verdict, with its word or another text, and a link to a subject's findings if given."""
    return Chip(SIGNS[verdict], text or verdict.word.replace("-", " "), COLOURS[verdict], anchor(subject))


def anchor(subject: str) -> str:
    """Return the anchor of a subject's findings."""
    return subject.replace(ON_PATH, "--")


def subject_fold(judged: JudgedNetwork, subject: str, findings: Sequence[Finding]) -> Fold:
    """Return the findings of all rules that apply to a subject."""
    applied = [finding for finding in findings if finding.verdict is not Verdict.NOT_APPLICABLE]
    entity = judged.entity(subject)
    blocks: list[Block] = [Facts((("declared at", entity.place),))] if entity and entity.place else []
    blocks += [_finding_fold(finding) for finding in applied if finding.verdict in UNMET]
    met = [finding for finding in applied if finding.verdict not in UNMET]
    if met:
        blocks.append(_met(met))
    counts = [(verdict, sum(each.verdict is verdict for each in applied)) for verdict in WORST_FIRST]
    chips = tuple(chip(verdict, f"{count} {verdict.word}") for verdict, count in counts if count)
    return Fold(judged.name(subject), tuple(blocks), anchor(subject), f"{judged.kind(subject)}, {subject}", chips)


def _finding_fold(finding: Finding) -> Fold:
    force = "stops" if finding.stops else "advised" if finding.force is Force.ADVISED else finding.force.word
    blocks: list[Block] = [Paragraph(finding.message)] if finding.message else []
    weakest = [("weakest fact", finding.assurance.word)] if finding.assurance is not None else []
    blocks.append(Facts((*weakest, *details(finding, " ← "))))
    if finding.evidence:
        blocks.append(_evidence(finding.evidence))
    note = f"{finding.rule} version {finding.version}, {force}"
    return Fold(finding.title, tuple(blocks), note=note, chips=(chip(finding.verdict),), opened=finding.stops)


def _evidence(evidence: Sequence[Evidence]) -> Table:
    rows = tuple(
        (
            each.path,
            value_text(each.value, each.path),
            YesNo(each.holds, outcome_word(each)),
            each.assurance.word if each.value is not None else "",
            each.as_of.isoformat() if each.as_of else "",
            "; ".join(part for part in (each.source, each.note) if part),
        )
        for each in dict.fromkeys(evidence)
    )
    titles = columns("fact", "declared", "result", "=assurance", "=as of", "source")
    return Table("Facts that the rule read", titles, rows, stacked=True)


def _met(findings: Sequence[Finding]) -> Table:
    rows = tuple(
        (
            each.title,
            each.verdict.word,
            "; ".join(f"{fact.path} = {value_text(fact.value, fact.path)}" for fact in each.evidence) or each.message,
            each.rule,
        )
        for each in findings
    )
    return Table("Rules that hold", columns("rule", "verdict", "on these facts", "name"), rows, stacked=True)
