"""A report as plain text for a terminal: what stops, then subject by subject, the worst first, with the evidence."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from sycee.compliance.pages.standing import (
    TO_LOOK_AT,
    WORST_FIRST,
    Standing,
    Told,
    backing,
    counted,
    outcome,
    shown,
)
from sycee.compliance.profiles import Library
from sycee.compliance.verdicts import Evidence, Finding, Force

WIDTH = 100  # characters; a longer line is broken, an id never


def text(told: Told, *, everything: bool = False) -> str:
    """The whole report. Without `everything`, what passed or did not apply is only counted."""
    report = told.report
    lines = [f"{told.network.title}, judged as of {report.at}", told.stopped, ""]
    for standing in told.standings:
        lines += _standing(standing)
    left_out = 0
    for subject, findings in told.by_subject.items():
        chosen = [finding for finding in findings if everything or finding.verdict in TO_LOOK_AT]
        left_out += len(findings) - len(chosen)
        if chosen:
            lines += ["", _subject(told, subject)]
            for each in chosen:
                lines += finding(each)
    if left_out:
        lines += ["", f"{counted(left_out, 'finding')} more: passed, attested or not applicable"]
    lines += ["", f"report {report.digest}", f"network {report.network}", f"profiles and lists {report.library}"]
    return "\n".join(lines) + "\n"


def finding(found: Finding) -> list[str]:
    """One finding as lines: verdict and rule, the sentence, the evidence, and what would change it."""
    stops = ", stops" if found.stops else ", advised" if found.force is Force.ADVISED else ""
    lines = [f"  {found.verdict.word.upper()}{stops}: {found.rule}, {found.title}"]
    if found.message:
        lines += _wrapped(found.message, "      ")
    lines += _facts(found.evidence)
    for name, texts in _more(found):
        for each in texts:
            lines += _wrapped(f"{name}: {each}", "      ")
    return lines


def origin(library: Library, found: Finding) -> list[str]:
    """Where the rule of a finding comes from, as lines: its source and clause, whom it addresses, what was at hand."""
    rule = library.rules.get(found.rule)
    profile = next((each for each in library.profiles if each.id == found.profile), None)
    if rule is None or profile is None:
        return []
    source = next(each for each in profile.sources if each.id == rule.source)
    clause = f", {rule.clause}" if rule.clause else ""
    hand = "" if source.at_hand else "; re-typed, the text was not at hand"
    return _wrapped(
        f"rule: of a {profile.status}, addressed to a {rule.addressee}{clause}: {source.title}, {source.publisher}, "
        f"{source.date}{hand}",
        "      ",
    )


def _more(found: Finding) -> Iterator[tuple[str, Iterable[str]]]:
    yield "control", [" <- ".join(found.chain)] if found.chain else []
    yield "list", [found.list_row] if found.list_row else []
    yield "missing", [", ".join(found.missing)] if found.missing else []
    yield "in conflict with", [", ".join(found.conflicts_with)] if found.conflicts_with else []
    if found.waiver and found.waiver.reason not in found.message:
        waiver = found.waiver
        yield "waived", [f"by {waiver.role} until {waiver.until_date}: {waiver.reason}"]
    yield "interpretation", [found.interpretation] if found.interpretation else []
    yield "remedy", [found.remedy] if found.remedy and found.verdict in TO_LOOK_AT else []


def _standing(standing: Standing) -> list[str]:
    counts = ", ".join(
        f"{standing.counts[verdict]:,} {verdict.word.replace('-', ' ')}"
        for verdict in WORST_FIRST
        if standing.counts[verdict]
    )
    sentence = standing.sentence[0].upper() + standing.sentence[1:]
    force = "" if standing.force is Force.NONE else f" ({standing.force.word})"
    return [f"{sentence}{force}.", f"  {counts or 'nothing was judged'}"]


def _subject(told: Told, subject: str) -> str:
    entity = told.entity(subject)
    name = told.name(subject)
    place = f"  [{entity.place}]" if entity and entity.place else ""
    synthetic = ", synthetic" if entity and entity.synthetic else ""
    kind = entity.kind if entity else "subject"
    return f"{subject} ({kind}{synthetic}){'' if name == subject else f': {name}'}{place}"


def _facts(evidence: Sequence[Evidence]) -> list[str]:
    """Each fact once; where most of them come from the same place, that is told once, below them."""
    backings = Counter(backing(each) for each in evidence if each.value is not None)
    usual = max(backings, key=backings.__getitem__, default="")
    lines: list[str] = []
    for each in dict.fromkeys(evidence):
        own = "" if each.value is None or backing(each) == usual else f" ({backing(each)})"
        note = f"; {each.note}" if each.note else ""
        said = f"{each.path} = {shown(each.value, each.path)}: {outcome(each)}{note}{own}"
        lines += _wrapped(f"- {said}", "      ")
    return [
        *lines,
        *(_wrapped(f"facts: {usual}" + ("" if len(backings) == 1 else ", unless said"), "      ") if usual else []),
    ]


def _wrapped(sentence: str, indent: str) -> list[str]:
    return textwrap.wrap(
        sentence,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
