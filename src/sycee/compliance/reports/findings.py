"""Findings as blocks of a page: a fold for each subject, in it a fold for each finding that matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sycee.compliance.reports.picture import SIGNS
from sycee.compliance.reports.summary import (
    UNMET,
    WORST_FIRST,
    JudgedNetwork,
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
DIGITS: Final = 16  # of a digest, where it only has to be told from others at a glance


def chip(verdict: Verdict, text: str = "", subject: str = "") -> Chip:
    """The mark of a verdict, perhaps with another text and a link to a subject's findings."""
    return Chip(SIGNS[verdict], text or verdict.word.replace("-", " "), COLOURS[verdict], anchor(subject))


def anchor(subject: str) -> str:
    """The anchor of a subject's findings."""
    return subject.replace(ON_PATH, "--")


def shortened(digest: str) -> str:
    """The first digits of a digest."""
    return f"{digest[:DIGITS]}…"


def subject_fold(told: JudgedNetwork, subject: str, findings: Sequence[Finding]) -> Fold:
    """All that was found of a subject by the rules that are about it."""
    applied = [finding for finding in findings if finding.verdict is not Verdict.NOT_APPLICABLE]
    entity = told.entity(subject)
    kind = entity.kind if entity else "subject"
    facts = [("declared at", entity.place)] if entity and entity.place else []
    bad = [_finding_fold(finding) for finding in applied if finding.verdict in UNMET]
    good = [finding for finding in applied if finding.verdict not in UNMET]
    blocks: list[Block] = [Facts(tuple(facts))] if facts else []
    blocks += bad
    if good:
        blocks.append(_held(good))
    counts = [(verdict, sum(each.verdict is verdict for each in applied)) for verdict in WORST_FIRST]
    chips = tuple(chip(verdict, f"{count} {verdict.word}") for verdict, count in counts if count)
    synthetic = ", synthetic" if entity and entity.synthetic else ""
    return Fold(told.name(subject), tuple(blocks), anchor(subject), f"{kind}{synthetic}, {subject}", chips)


def _finding_fold(finding: Finding) -> Fold:
    force = "stops" if finding.stops else "advised" if finding.force is Force.ADVISED else finding.force.word
    blocks: list[Block] = [Paragraph(finding.message)] if finding.message else []
    facts = [
        ("control", " ← ".join(finding.chain)),
        ("list", finding.list_row),
        ("missing", ", ".join(finding.missing)),
        ("in conflict with", ", ".join(finding.conflicts_with)),
        ("waived", _waived(finding)),
        ("weakest fact", finding.assurance.word if finding.assurance is not None else ""),
        ("interpretation", finding.interpretation),
        ("remedy", finding.remedy),
    ]
    blocks.append(Facts(tuple((name, value) for name, value in facts if value)))
    if finding.evidence:
        blocks.append(_evidence(finding.evidence))
    chips = (chip(finding.verdict),)
    note = f"{finding.rule} version {finding.version}, {force}"
    return Fold(finding.title, tuple(blocks), note=note, chips=chips, opened=finding.stops)


def _evidence(evidence: Sequence[Evidence]) -> Table:
    rows = tuple(
        (
            each.path,
            value_text(each.value, each.path),
            YesNo(each.holds, {True: "holds", False: "does not hold", None: "unknown"}[each.holds]),
            each.assurance.word if each.value is not None else "",
            each.as_of.isoformat() if each.as_of else "",
            "; ".join(part for part in (each.source, each.note) if part),
        )
        for each in dict.fromkeys(evidence)
    )
    titles = columns("fact", "declared", "came to", "=how sure", "=as of", "source")
    return Table("The facts that were looked at", titles, rows, stacked=True)


def _held(findings: Sequence[Finding]) -> Block:
    rows = tuple(
        (
            each.title,
            each.verdict.word,
            "; ".join(f"{fact.path} = {value_text(fact.value, fact.path)}" for fact in each.evidence) or each.message,
            each.rule,
        )
        for each in findings
    )
    return Table("What holds", columns("rule", "verdict", "on these facts", "name"), rows, stacked=True)


def _waived(finding: Finding) -> str:
    waiver = finding.waiver
    return f"by {waiver.role} until {waiver.until_date}: {waiver.reason}" if waiver else ""
