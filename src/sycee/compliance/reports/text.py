"""A report as plain text for a terminal: what stops, then subject by subject, the worst first, with the evidence."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from sycee.compliance.profiles import Library
from sycee.compliance.reports.summary import (
    UNMET,
    WORST_FIRST,
    JudgedNetwork,
    ProfileSummary,
    outcome_word,
    provenance,
    quantity,
    value_text,
)
from sycee.compliance.verdicts import Evidence, Finding, Force
from sycee.core.terminal_text import printable

WIDTH: Final = 80  # characters of a line, where no terminal says otherwise


def render(told: JudgedNetwork, *, everything: bool = False, width: int = WIDTH) -> str:
    """The whole report, in lines of `width` characters. Without `everything`, what holds is only quantity."""
    report = told.report
    lines = [f"{printable(told.network.title)}, judged as of {report.at}", told.headline, ""]
    for standing in told.profiles:
        lines += _standing(standing)
    left_out = 0
    for subject, findings in told.by_subject.items():
        chosen = [finding for finding in findings if everything or finding.verdict in UNMET]
        left_out += len(findings) - len(chosen)
        if chosen:
            lines += ["", _subject(told, subject)]
            for each in chosen:
                lines += finding(each)
    if left_out:
        lines += ["", f"{quantity(left_out, 'finding')} more: passed, attested or not applicable"]
    lines += ["", f"report {report.digest}", f"network {report.network}", f"library {report.library}"]
    return wrapped(lines, width)


def wrapped(lines: Iterable[str], width: int = WIDTH) -> str:
    """Lines as a text. A longer one is broken at its blanks, and goes on two further in; a word is never broken."""
    broken: list[str] = []
    for line in lines:
        said = line.lstrip(" ")
        indent = " " * (len(line) - len(said))
        broken += textwrap.wrap(
            said,
            width,
            initial_indent=indent,
            subsequent_indent=indent + "  ",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "".join(f"{line}\n" for line in broken)


def finding(found: Finding) -> list[str]:
    """One finding as lines of any length: verdict and rule, the sentence, the evidence, and what would change it."""
    stops = ", stops" if found.stops else ", advised" if found.force is Force.ADVISED else ""
    lines = [printable(f"  {found.verdict.word.upper()}{stops}: {found.rule}, {found.title}")]
    if found.message:
        lines.append(printable(f"      {found.message}"))
    lines += _facts(found.evidence)
    for name, texts in _more(found):
        for each in texts:
            lines.append(printable(f"      {name}: {each}"))
    return lines


def origin(library: Library, found: Finding) -> list[str]:
    """Where the rule of a finding comes from, as a line: its source and clause, whom it addresses, what was at hand."""
    rule = library.rules.get(found.rule)
    profile = next((each for each in library.profiles if each.id == found.profile), None)
    if rule is None or profile is None:
        return []
    source = next(each for each in profile.sources if each.id == rule.source)
    clause = f", {rule.clause}" if rule.clause else ""
    hand = "" if source.at_hand else "; re-typed, the text was not at hand"
    kind = f"of a {profile.status}, addressed to a {rule.addressee}{clause}"
    return [printable(f"      rule: {kind}: {source.title}, {source.publisher}, {source.date}{hand}")]


def _more(found: Finding) -> Iterator[tuple[str, Iterable[str]]]:
    yield "control", [" <- ".join(found.chain)] if found.chain else []
    yield "list", [found.list_row] if found.list_row else []
    yield "missing", [", ".join(found.missing)] if found.missing else []
    yield "in conflict with", [", ".join(found.conflicts_with)] if found.conflicts_with else []
    if found.waiver and found.waiver.reason not in found.message:
        waiver = found.waiver
        yield "waived", [f"by {waiver.role} until {waiver.until_date}: {waiver.reason}"]
    yield "interpretation", [found.interpretation] if found.interpretation else []
    yield "remedy", [found.remedy] if found.remedy and found.verdict in UNMET else []


def _standing(standing: ProfileSummary) -> list[str]:
    counts = ", ".join(
        f"{standing.counts[verdict]:,} {verdict.word.replace('-', ' ')}"
        for verdict in WORST_FIRST
        if standing.counts[verdict]
    )
    sentence = standing.sentence[0].upper() + standing.sentence[1:]
    force = "" if standing.force is Force.NONE else f" ({standing.force.word})"
    return [f"{sentence}{force}.", f"  {counts or 'nothing was judged'}"]


def _subject(told: JudgedNetwork, subject: str) -> str:
    entity = told.entity(subject)
    name = told.name(subject)
    place = f"  [{entity.place}]" if entity and entity.place else ""
    synthetic = ", synthetic" if entity and entity.synthetic else ""
    kind = entity.kind if entity else "subject"
    return printable(f"{subject} ({kind}{synthetic}){'' if name == subject else f': {name}'}{place}")


def _facts(evidence: Sequence[Evidence]) -> list[str]:
    """Each fact once; where most of them come from the same place, that is told once, below them."""
    backings = Counter(provenance(each) for each in evidence if each.value is not None)
    usual = max(backings, key=backings.__getitem__, default="")
    lines: list[str] = []
    for each in dict.fromkeys(evidence):
        own = "" if each.value is None or provenance(each) == usual else f" ({provenance(each)})"
        note = f"; {each.note}" if each.note else ""
        said = f"{each.path} = {value_text(each.value, each.path)}: {outcome_word(each)}{note}{own}"
        lines.append(printable(f"      - {said}"))
    if usual:
        lines.append(printable(f"      facts: {usual}{'' if len(backings) == 1 else ', unless said'}"))
    return lines
