"""A report as one HTML page without scripts or network access."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from typing import Final

from sycee.compliance.profiles import List, Profile
from sycee.compliance.reports import picture
from sycee.compliance.reports.summary import (
    LOOKS,
    UNMET,
    WORST_FIRST,
    JudgedNetwork,
    ProfileSummary,
    details,
    outcome_word,
    value_text,
    weight,
)
from sycee.compliance.verdicts import ON_PATH, Evidence, Finding, Force, Verdict
from sycee.compliance.vocabulary import FACILITY, FLOW, PARTICIPANT
from sycee.core.terminal_text import printable
from sycee.core.words import quantity
from sycee.report import page
from sycee.report.page import Block, Cell, Chip, Facts, Fold, Matrix, Page, Section, Stack, Table, Tile, columns

PICTURE_WIDTH_MIN: Final = 900
# Limits for a browser. Beyond them the page shows the worst subjects and counts the rest.
SUBJECTS_MAX: Final = 1_000
DRAWN_MAX: Final = 1_000
NAMES_MAX: Final = 6  # in one cell of a table


def render(judged: JudgedNetwork) -> str:
    """Return the page as HTML."""
    return "\n".join(map(printable, page.render(_page(judged)).split("\n")))


def _page(judged: JudgedNetwork) -> Page:
    report, network = judged.report, judged.network
    return Page(
        kicker="Sycee compliance report",
        title=network.title,
        summary="Declared facts, judged under several regimes at once: verdicts with their evidence.",
        facts=(
            ("judged as of", report.at.isoformat()),
            ("declared as of", network.as_of.isoformat()),
            ("profiles", ", ".join(f"{each.id} version {each.version}" for each in judged.library.profiles)),
            ("report", f"{report.digest[:16]}…"),
        ),
        opening=(page.Verdict(not report.stops, judged.headline), page.Notice(_notice(judged)), _tiles(judged)),
        sections=(
            Section("profiles", "Results by profile", "Profiles", _profiles(judged)),
            Section("network", "The network", "Network", (_network(judged),)),
            Section("who", "Participants and flows", "Participants", _participants(judged)),
            Section("findings", "Findings", "Findings", _findings(judged)),
            Section("missing", "Missing facts", "Missing", (_missing(judged),)),
            Section("remedies", "Remedies", "Remedies", (_remedies(judged),)),
            Section("sources", "Sources", "Sources", _sources(judged)),
            Section("proof", "Reproduce this report", "Reproduce", _reproduction(judged)),
        ),
        footer=f"Made by {report.engine}. The same declarations, profiles and lists give the same report on any day.",
    )


def _notice(judged: JudgedNetwork) -> str:
    entities = judged.network.entities
    synthetic = sum(entity.synthetic for entity in entities.values())
    some = f" {synthetic:,} of {len(entities):,} declared entities are synthetic." if synthetic else ""
    return f"Judged on declared facts, not on observation; a verdict is no legal opinion.{some}"


def _tiles(judged: JudgedNetwork) -> page.Tiles:
    report, network = judged.report, judged.network
    missing = {path for finding in report.findings for path in finding.missing}
    applied = sum(summary.applied for summary in judged.profiles)
    return page.Tiles(
        (
            Tile("findings that stop", f"{len(report.stops):,}", note=f"of {applied:,} of rules that apply"),
            Tile("participants", f"{sum(1 for _ in network.of_kind(PARTICIPANT)):,}"),
            Tile("flows of data", f"{sum(1 for _ in network.of_kind(FLOW)):,}"),
            Tile("missing facts", f"{len(missing):,}", note="that would decide a verdict"),
        )
    )


def _profiles(judged: JudgedNetwork) -> tuple[Block, ...]:
    stacks = tuple(
        Stack(
            each.profile.title,
            f"{each.capitalised_sentence}.",
            tuple((_chip(verdict), each.counts[verdict]) for verdict in WORST_FIRST),
        )
        for each in judged.profiles
    )
    meanings = tuple((verdict.word.replace("-", " "), LOOKS[verdict].meaning) for verdict in WORST_FIRST)
    titles = columns("profile", "status", "issued by", "=here", ">stops", "limits")
    table = Table("Profiles", titles, tuple(map(_profile_row, judged.profiles)), stacked=True)
    return page.Stacks("Verdicts", stacks), Fold("Meaning of the verdicts", (page.Points(meanings),)), table


def _profile_row(summary: ProfileSummary) -> tuple[str, ...]:
    profile = summary.profile
    until = f" until {profile.effective_until}" if profile.effective_until else ""
    return (
        f"{profile.id} version {profile.version}",
        f"a {profile.status}, from {profile.effective_from}{until}",
        profile.issuer,
        summary.force.word,
        f"{summary.stops:,}",
        profile.limits,
    )


def _network(judged: JudgedNetwork) -> Block:
    size = sum(1 for kind in (PARTICIPANT, FACILITY) for _ in judged.network.of_kind(kind))
    if size > DRAWN_MAX:
        return page.Paragraph(f"{size:,} participants and places are too many to draw on a page.")
    caption = (
        "A box is a state or territory, a square a participant, a circle a place, a line a link between two places. "
        "Colour and sign show the worst verdict of the rules about each. Point at an item to read its rules."
    )
    return page.Picture(picture.svg(judged, heading=False), caption, PICTURE_WIDTH_MIN)


def _participants(judged: JudgedNetwork) -> tuple[Block, ...]:
    linked = frozenset(judged.applied[:SUBJECTS_MAX])
    titles = tuple(f"{each.title} ({each.status})" for each in judged.library.profiles)
    blocks: list[Block] = []
    for kind, what in ((PARTICIPANT, "Participants, with the flows that they send"), (FLOW, "Flows, with their paths")):
        names = [entity.id for entity in judged.network.of_kind(kind)]
        chosen = set(sorted(names, key=lambda name: -_weight(judged, name))[:SUBJECTS_MAX])
        rows = tuple(_matrix_row(judged, name, linked) for name in names if name in chosen)
        if rows:
            some = f"; the worst {len(rows):,} of {len(names):,}" if len(rows) < len(names) else ""
            blocks.append(Matrix(f"{what}: the worst verdict{some}. Open a cell to see its findings.", titles, rows))
    return tuple(blocks) or (page.Paragraph("No participant and no flow is declared."),)


def _weight(judged: JudgedNetwork, name: str) -> int:
    subjects = judged.subjects_of.get(name, ())
    return max((weight(judged.by_subject[subject][0]) for subject in subjects), default=0)


def _matrix_row(judged: JudgedNetwork, name: str, linked: Container[str]) -> tuple[str, str, tuple[Cell, ...]]:
    entity = judged.network.entities[name]
    findings = [finding for subject in judged.subjects_of.get(name, ()) for finding in judged.by_subject[subject]]
    cells = tuple(
        _cell([finding for finding in findings if finding.profile == profile.id], linked)
        for profile in judged.library.profiles
    )
    return entity.name, ", ".join((name, *entity.values("state"))), cells


def _cell(findings: Sequence[Finding], linked: Container[str]) -> Cell:
    applied = sorted((each for each in findings if each.applies), key=weight, reverse=True)
    if not applied:
        return Cell(_chip(Verdict.NOT_APPLICABLE) if findings else None)
    worst = max(each.verdict for each in applied)
    head = _chip(worst, f"{worst.word} {sum(each.verdict is worst for each in applied)}")
    points = [
        _chip(each.verdict, f"{each.subject}: {each.title}", each.subject if each.subject in linked else "")
        for each in applied
        if each.verdict in UNMET
    ]
    if rest := len(applied) - len(points):
        points.append(Chip("", f"{quantity(rest, 'finding')} passed or attested", "neutral"))
    return Cell(head, tuple(points))


def _findings(judged: JudgedNetwork) -> tuple[Block, ...]:
    subjects = judged.applied
    folds = [_subject_fold(judged, subject, judged.by_subject[subject]) for subject in subjects[:SUBJECTS_MAX]]
    text = "Findings that stop come first. Open a subject to see its rules, facts and remedies."
    if len(subjects) > SUBJECTS_MAX:
        text += f" Of {len(subjects):,} subjects the worst {SUBJECTS_MAX:,} are here; the report as JSON has all."
    return page.Paragraph(text), *folds


def _subject_fold(judged: JudgedNetwork, subject: str, findings: Sequence[Finding]) -> Fold:
    applied = [finding for finding in findings if finding.applies]
    entity = judged.entity(subject)
    blocks: list[Block] = [Facts((("declared at", entity.place),))] if entity and entity.place else []
    blocks += [_finding_fold(finding) for finding in applied if finding.verdict in UNMET]
    if met := [finding for finding in applied if finding.verdict not in UNMET]:
        blocks.append(_met(met))
    counts = [(verdict, sum(each.verdict is verdict for each in applied)) for verdict in WORST_FIRST]
    chips = tuple(_chip(verdict, f"{count} {verdict.word}") for verdict, count in counts if count)
    return Fold(judged.name(subject), tuple(blocks), _anchor(subject), f"{judged.kind(subject)}, {subject}", chips)


def _finding_fold(finding: Finding) -> Fold:
    force = "stops" if finding.stops else "advised" if finding.force is Force.ADVISED else finding.force.word
    blocks: list[Block] = [page.Paragraph(finding.message)] if finding.message else []
    weakest = [("weakest fact", finding.assurance.word)] if finding.assurance is not None else []
    blocks.append(Facts((*weakest, *details(finding, " ← "))))
    if finding.evidence:
        blocks.append(_evidence(finding.evidence))
    note = f"{finding.rule} version {finding.version}, {force}"
    return Fold(finding.title, tuple(blocks), note=note, chips=(_chip(finding.verdict),), opened=finding.stops)


def _evidence(evidence: Sequence[Evidence]) -> Table:
    rows = tuple(
        (
            each.path,
            value_text(each.value, each.path),
            page.YesNo(each.holds, outcome_word(each)),
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


def _chip(verdict: Verdict, text: str = "", subject: str = "") -> Chip:
    """Return the chip of a verdict, with its word or another text, and a link to a subject's findings if given."""
    look = LOOKS[verdict]
    return Chip(look.sign, text or verdict.word.replace("-", " "), look.colour, _anchor(subject))


def _anchor(subject: str) -> str:
    return subject.replace(ON_PATH, "--")


def _missing(judged: JudgedNetwork) -> Block:
    waiting: dict[str, list[Finding]] = defaultdict(list)
    for finding in judged.report.findings:
        for path in finding.missing:
            waiting[path].append(finding)
    if not waiting:
        return page.Paragraph("No fact is missing.")
    stops = {path: sum(each.stops for each in findings) for path, findings in waiting.items()}
    ordered = sorted(waiting, key=lambda path: (-stops[path], -len(waiting[path]), path))[:SUBJECTS_MAX]
    rows = tuple(
        (path, f"{len(waiting[path]):,}", f"{stops[path]:,}", _some(each.rule for each in waiting[path]))
        for path in ordered
    )
    some = f" These are {len(rows):,} of {len(waiting):,}." if len(rows) < len(waiting) else ""
    return Table(
        f"Declare these facts to decide what is unknown. The most urgent come first.{some}",
        columns("fact", ">findings", ">of these stop", "rules"),
        rows,
        stacked=True,
    )


def _remedies(judged: JudgedNetwork) -> Block:
    unmet: dict[str, list[str]] = defaultdict(list)
    for finding in judged.report.findings:
        if finding.verdict.stops:
            unmet[finding.rule].append(finding.subject)
    rows = tuple(
        (name, rule.remedy, f"{len(unmet[name]):,}", _some(unmet[name]))
        for name, rule in judged.library.rules.items()
        if name in unmet
    )
    if not rows:
        return page.Paragraph("No rule needs a remedy.")
    caption = "A remedy is a real change; another name for the same thing is none."
    return Table(caption, columns("rule", "remedy", ">findings", "subjects"), rows, stacked=True)


def _some(names: Iterable[str]) -> str:
    """Return the first different names, and the number of the others."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - NAMES_MAX:,} more" if len(different) > NAMES_MAX else ""
    return ", ".join(different[:NAMES_MAX]) + more


def _sources(judged: JudgedNetwork) -> tuple[Block, ...]:
    owners: list[Profile | List] = [*judged.library.profiles, *judged.library.lists.values()]
    used: dict[tuple[str, str, str, bool], list[str]] = defaultdict(list)
    for owner in owners:
        for source in owner.sources:
            used[source.title, source.publisher, source.date.isoformat(), source.at_hand].append(owner.id)
    rows = tuple(
        (title, publisher, day, ", ".join(names), page.YesNo(direct or None, "direct" if direct else "second-hand"))
        for (title, publisher, day, direct), names in used.items()
    )
    caption = "Sources of rules and lists. Second-hand: the text was not available, only another account of it."
    blocks: list[Block] = [Table(caption, columns("source", "publisher", "=date", "for", "=read"), rows, stacked=True)]
    lists = tuple(_list_row(judged, each) for each in judged.library.lists.values())
    if lists:
        titles = columns("list", "=as of", "=valid until", "=on the day", ">rows", "=rows are")
        blocks.append(Table("Lists. Rules that need an expired list are unknown.", titles, lists))
    points = tuple((name, rule.interpretation) for name, rule in judged.library.rules.items() if rule.interpretation)
    if points:
        note = "rules that go beyond the words of their source"
        blocks.append(Fold("Interpretations", (page.Points(points),), note=note))
    return tuple(blocks)


def _list_row(judged: JudgedNetwork, listed: List) -> tuple[str | page.YesNo, ...]:
    expired = listed.expired(judged.report.at)
    return (
        listed.title,
        listed.as_of.isoformat(),
        listed.valid_until.isoformat() if listed.valid_until else "open",
        page.YesNo(not expired, "expired" if expired else "in force"),
        f"{len(listed.rows):,}",
        "complete" if listed.complete else "some of many",
    )


def _reproduction(judged: JudgedNetwork) -> tuple[Block, ...]:
    digests = {**judged.digests, "engine": judged.report.engine}
    names = " ".join(f"--profile {profile.id}" for profile in judged.library.profiles)
    command = page.Command(
        f"sycee compliance check NETWORK {names} --at {judged.report.at}",
        "judges the same declarations again; the digest of the report must be the same",
    )
    return Facts(tuple(digests.items()), is_code=True), command
