"""A report as one page that needs no network and no script: what stops, where, why, and what would change it.

The page is made of `report.page`'s blocks. It has a bar of verdicts for each profile, the picture of the network, who
stands how under which profile, every finding with its evidence, what is missing, what would help, and the sources.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Final

from sycee.compliance.profiles import List, Profile
from sycee.compliance.reports import picture
from sycee.compliance.reports.findings import chip, shortened, subject_fold
from sycee.compliance.reports.summary import (
    MEANINGS,
    UNMET,
    WORST_FIRST,
    JudgedNetwork,
    ProfileSummary,
    quantity,
    weight,
)
from sycee.compliance.verdicts import Finding, Verdict
from sycee.compliance.vocabulary import FACILITY, FLOW, PARTICIPANT
from sycee.core.terminal_text import printable
from sycee.report import page
from sycee.report.page import Block, Cell, Chip, Facts, Fold, Matrix, Page, Section, Stack, Stacks, Table, Tile, columns

PICTURE_WIDTH_MIN: Final = 900
# A page is read by a person in a browser. Of more than this the worst are shown, and the rest is quantity.
SUBJECTS_MAX: Final = 1_000
DRAWN_MAX: Final = 1_000


def render(told: JudgedNetwork, *, route: Sequence[str] = ()) -> str:
    """The page as HTML."""
    return "\n".join(map(printable, page.render(page_of(told, route=route)).split("\n")))


def page_of(told: JudgedNetwork, *, route: Sequence[str] = ()) -> Page:
    """The page as a value."""
    report, network = told.report, told.network
    synthetic = sum(entity.synthetic for entity in network.entities.values())
    sections = (
        _profiles(told),
        _network(told, route),
        _who(told),
        _findings(told),
        _missing(told),
        _remedies(told),
        _sources(told),
        _proof(told),
    )
    return Page(
        kicker="Sycee compliance report",
        title=network.title,
        summary="What was declared, judged under every regime at once: verdicts with the evidence that they rest on.",
        facts=(
            ("judged as of", report.at.isoformat()),
            ("declared as of", network.as_of.isoformat()),
            ("profiles", ", ".join(f"{each.id} version {each.version}" for each in told.library.profiles)),
            ("report", shortened(report.digest)),
        ),
        opening=(
            page.Verdict(not report.stops, told.headline),
            page.Notice(_what_it_is(synthetic, len(network.entities))),
            _tiles(told),
        ),
        sections=sections,
        footer=f"Made by {report.engine}. The same declarations, profiles and lists give the same report on any day.",
    )


def _what_it_is(synthetic: int, entities: int) -> str:
    said = "Judged on declared facts: what is declared was not observed, and a verdict is no legal opinion."
    if synthetic:
        said += f" {synthetic:,} of {quantity(entities, 'declared thing')} here are synthetic: they are an example."
    return said


def _tiles(told: JudgedNetwork) -> page.Tiles:
    report, network = told.report, told.network
    missing = {path for finding in report.findings for path in finding.missing}
    judged = sum(standing.judged for standing in told.profiles)
    return page.Tiles(
        (
            Tile("findings that stop", f"{len(report.stops):,}", note=f"of {judged:,} of rules that apply"),
            Tile("participants", f"{sum(1 for _ in network.of_kind(PARTICIPANT)):,}"),
            Tile("flows of data", f"{sum(1 for _ in network.of_kind(FLOW)):,}"),
            Tile("facts missing", f"{len(missing):,}", note="that would decide something"),
        )
    )


def _profiles(told: JudgedNetwork) -> Section:
    stacks = tuple(_stack(standing) for standing in told.profiles)
    meanings = tuple((verdict.word.replace("-", " "), MEANINGS[verdict]) for verdict in WORST_FIRST)
    rows = tuple(_profile_row(standing) for standing in told.profiles)
    table = Table(
        "What each profile is",
        columns("profile", "it is", "issued by", "=here", ">stops", "limits"),
        rows,
        stacked=True,
    )
    legend = Fold("What the verdicts mean", (page.Points(meanings),))
    return Section("profiles", "Under each profile", "Profiles", (Stacks("Verdicts", stacks), legend, table))


def _stack(standing: ProfileSummary) -> Stack:
    sentence = standing.sentence[0].upper() + standing.sentence[1:] + "."
    parts = [(chip(verdict), standing.counts[verdict]) for verdict in WORST_FIRST]
    return Stack(standing.profile.title, sentence, tuple(parts))


def _profile_row(standing: ProfileSummary) -> tuple[str, ...]:
    profile = standing.profile
    until = f" until {profile.effective_until}" if profile.effective_until else ""
    said = f"a {profile.status}, from {profile.effective_from}{until}"
    return (
        f"{profile.id} version {profile.version}",
        said,
        profile.issuer,
        standing.force.word,
        f"{standing.stops:,}",
        profile.limits,
    )


def _network(told: JudgedNetwork, route: Sequence[str]) -> Section:
    caption = (
        "A box is a state or territory, a square a participant, a circle a place, a line what links two places. "
        "Each has the colour and the sign of the worst verdict of the rules that are about it; links come first to the "
        "eye where something fails. Hold the pointer on anything to read its rules."
    )
    size = sum(1 for kind in (PARTICIPANT, FACILITY) for _ in told.network.of_kind(kind))
    if size > DRAWN_MAX:
        said = f"{size:,} participants and places are too many to be drawn on a page."
        return Section("network", "The network", "Network", (page.Paragraph(said),))
    drawn = page.Picture(picture.svg(told, route=route, heading=False), caption, PICTURE_WIDTH_MIN)
    return Section("network", "The network", "Network", (drawn,))


def _who(told: JudgedNetwork) -> Section:
    told_of = frozenset(_subjects(told)[:SUBJECTS_MAX])
    blocks: list[Block] = []
    for kind, what in ((PARTICIPANT, "Participants, with the flows that they send"), (FLOW, "Flows, with their paths")):
        names = [entity.id for entity in told.network.of_kind(kind)]
        shown = set(sorted(names, key=lambda name: -_weight(told, name))[:SUBJECTS_MAX])
        rows = tuple(_matrix_row(told, name, told_of) for name in names if name in shown)
        if rows:
            some = f"; the worst {len(rows):,} of {len(names):,}" if len(rows) < len(names) else ""
            titles = tuple(f"{each.title} ({each.status})" for each in told.library.profiles)
            blocks.append(Matrix(f"{what}: the worst verdict{some}. Open a cell to see its findings.", titles, rows))
    blocks = blocks or [page.Paragraph("No participant and no flow was declared.")]
    return Section("who", "Who stands how", "Who stands how", tuple(blocks))


def _weight(told: JudgedNetwork, name: str) -> int:
    subjects = told.subjects_of.get(name, ())
    return max((weight(told.by_subject[subject][0]) for subject in subjects if subject in told.by_subject), default=0)


def _subjects(told: JudgedNetwork) -> list[str]:
    """The subjects that any rule is about, the worst first."""
    return [
        subject
        for subject, findings in told.by_subject.items()
        if any(each.verdict is not Verdict.NOT_APPLICABLE for each in findings)
    ]


def _matrix_row(told: JudgedNetwork, name: str, told_of: Container[str]) -> tuple[str, str, tuple[Cell, ...]]:
    entity = told.network.entities[name]
    subjects = told.subjects_of.get(name, ())
    findings = [finding for subject in subjects for finding in told.by_subject.get(subject, ())]
    cells = tuple(
        _cell([finding for finding in findings if finding.profile == profile.id], told_of)
        for profile in told.library.profiles
    )
    state = entity.facts.get("state")
    return entity.name, f"{name}{f', {state.value}' if state else ''}", cells


def _cell(findings: Sequence[Finding], told_of: Container[str]) -> Cell:
    applied = sorted(
        (each for each in findings if each.verdict is not Verdict.NOT_APPLICABLE), key=weight, reverse=True
    )
    if not applied:
        return Cell(chip(Verdict.NOT_APPLICABLE) if findings else None)
    worst = max(each.verdict for each in applied)
    count = sum(each.verdict is worst for each in applied)
    head = chip(worst, f"{worst.word} {count}")
    points = [
        chip(each.verdict, _where(each), each.subject if each.subject in told_of else "")
        for each in applied
        if each.verdict in UNMET
    ]
    rest = len(applied) - len(points)
    if rest:
        points.append(Chip("", f"{quantity(rest, 'finding')} passed or attested", "neutral"))
    return Cell(head, tuple(points))


def _where(finding: Finding) -> str:
    return f"{finding.subject}: {finding.title}"


def _findings(told: JudgedNetwork) -> Section:
    subjects = _subjects(told)
    folds = [subject_fold(told, subject, told.by_subject[subject]) for subject in subjects[:SUBJECTS_MAX]]
    said = "What stops comes first. Open a subject to see what was judged, on what facts, and what would change it."
    if len(subjects) > SUBJECTS_MAX:
        said += f" Of {len(subjects):,} subjects the worst {SUBJECTS_MAX:,} are here; the report as JSON has all."
    return Section("findings", "Findings", "Findings", (page.Paragraph(said), *folds))


def _missing(told: JudgedNetwork) -> Section:
    waiting: dict[str, list[Finding]] = {}
    for finding in told.report.findings:
        for path in finding.missing:
            waiting.setdefault(path, []).append(finding)
    ordered = sorted(waiting.items(), key=lambda item: (-sum(each.stops for each in item[1]), -len(item[1]), item[0]))
    if not ordered:
        return Section("missing", "Facts that are missing", "Missing", (page.Paragraph("Every fact needed is there."),))
    rows = tuple(
        (path, f"{len(findings):,}", f"{sum(each.stops for each in findings):,}", _some(each.rule for each in findings))
        for path, findings in ordered[:SUBJECTS_MAX]
    )
    some = f" These are {len(rows):,} of {len(ordered):,}." if len(rows) < len(ordered) else ""
    table = Table(
        f"Declare these, and what is unknown is decided. The most urgent come first.{some}",
        columns("fact", ">findings that wait", ">of these stop", "rules"),
        rows,
        stacked=True,
    )
    return Section("missing", "Facts that are missing", "Missing", (table,))


def _remedies(told: JudgedNetwork) -> Section:
    rows = []
    for name, rule in told.library.rules.items():
        open_ones = [each for each in told.by_rule.get(name, ()) if each.verdict.stops]
        if open_ones:
            subjects = _some(each.subject for each in open_ones)
            rows.append((name, rule.remedy, f"{len(open_ones):,}", subjects))
    if not rows:
        return Section("remedies", "What would help", "Remedies", (page.Paragraph("Nothing needs a remedy."),))
    table = Table(
        "Real changes only: nothing is made good by calling it something else.",
        columns("rule", "remedy", ">findings", "subjects"),
        tuple(rows),
        stacked=True,
    )
    return Section("remedies", "What would help", "Remedies", (table,))


def _some(names: Iterable[str], most: int = 6) -> str:
    """The different ones of some names, the first few of them."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - most:,} more" if len(different) > most else ""
    return ", ".join(different[:most]) + more


def _sources(told: JudgedNetwork) -> Section:
    owners: list[Profile | List] = [*told.library.profiles, *told.library.lists.values()]
    used: dict[tuple[str, str, str, bool], list[str]] = {}
    for owner in owners:
        for source in owner.sources:
            key = (source.title, source.publisher, source.date.isoformat(), source.at_hand)
            used.setdefault(key, []).append(owner.id)
    rows = tuple(
        (title, publisher, day, ", ".join(names), page.YesNo(at_hand or None, "at hand" if at_hand else "re-typed"))
        for (title, publisher, day, at_hand), names in used.items()
    )
    caption = (
        "Where the rules and the lists were read. Re-typed: the text itself was not at hand, but another account of it"
    )
    blocks: list[Block] = [Table(caption, columns("source", "publisher", "=date", "for", "=text"), rows, stacked=True)]
    if told.library.lists:
        lists = tuple(
            (
                each.title,
                each.as_of.isoformat(),
                each.valid_until.isoformat() if each.valid_until else "open",
                page.YesNo(
                    not each.expired(told.report.at), "in force" if not each.expired(told.report.at) else "expired"
                ),
                f"{len(each.rows):,}",
                "complete" if each.complete else "some of many",
            )
            for each in told.library.lists.values()
        )
        titles = columns("list", "=as of", "=valid until", "=on the day", ">rows", "=rows are")
        blocks.append(Table("Lists. One that has expired says nothing: what asks it is unknown.", titles, lists))
    interpreted = tuple((name, rule.interpretation) for name, rule in told.library.rules.items() if rule.interpretation)
    if interpreted:
        blocks.append(
            Fold("What was interpreted", (page.Points(interpreted),), note="rules that the text does not state")
        )
    return Section("sources", "Sources", "Sources", tuple(blocks))


def _proof(told: JudgedNetwork) -> Section:
    report = told.report
    digests = Facts(
        (
            ("report", report.digest),
            ("network", report.network),
            ("profiles and lists", report.library),
            ("engine", report.engine),
        ),
        is_code=True,
    )
    names = " ".join(f"--profile {profile.id}" for profile in told.library.profiles)
    command = page.Command(
        f"sycee compliance check NETWORK {names} --at {report.at}",
        "judges the same declarations again; the digest of the report must be the same",
    )
    return Section("proof", "To judge it again", "Proof", (digests, command))
