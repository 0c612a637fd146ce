"""A report as one HTML page without scripts or network access.

Findings that stop come first, then others that do not hold; equal findings are one row. Findings that hold or
do not apply are folded. The page names the facts that decide; `sycee compliance explain` and the report as JSON have
all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sycee.compliance.profiles import List, Profile, Source, list_ids
from sycee.compliance.reports import grouping, picture
from sycee.compliance.reports.grouping import Group
from sycee.compliance.reports.summary import LOOKS, WORST_FIRST, JudgedNetwork, ProfileSummary, weight
from sycee.compliance.verdicts import ON_PATH, Finding, Force, Verdict
from sycee.compliance.vocabulary import FACILITY, FLOW, PARTICIPANT
from sycee.core.terminal_text import printable
from sycee.core.words import quantity
from sycee.report import page
from sycee.report.page import (
    Block,
    Cell,
    Chip,
    Choice,
    Facts,
    Filter,
    Fold,
    Matrix,
    Option,
    Page,
    Section,
    Stack,
    Table,
    Tile,
    columns,
)

PICTURE_WIDTH_MIN: Final = 900
# Limits for a browser. Beyond them the page shows the worst and counts the rest.
SUBJECTS_MAX: Final = 500  # rows of a matrix
DRAWN_MAX: Final = 1_000
NAMES_MAX: Final = 4  # in one cell of a table
GROUP_NAMES_MAX: Final = 60  # subjects of one reason
REASONS_MAX: Final = 40  # of one group
FACTS_MAX: Final = 12  # missing facts that are not folded


def render(judged: JudgedNetwork) -> str:
    """Return the page as HTML."""
    lines = page.render(_page(judged)).split("\n")
    return "\n".join([printable(line) for line in lines if line])  # empty lines between elements are bytes alone


def _page(judged: JudgedNetwork) -> Page:
    report, network = judged.report, judged.network
    groups = grouping.unmet(report.findings)
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
        opening=(
            page.Verdict(not judged.is_stopped, judged.headline),
            *_contradictions(judged),
            page.Notice(_notice(judged)),
            _tiles(judged),
        ),
        sections=(
            Section("findings", "What stops, and what is unknown", "Findings", _findings(judged, groups)),
            Section("missing", "Missing facts", "Missing", _missing(judged)),
            Section("profiles", "Results by profile", "Profiles", _profiles(judged)),
            Section("who", "Participants and flows", "Participants", _participants(judged, groups)),
            Section("network", "The network", "Network", (_network(judged),)),
            Section("rest", "What holds, and what does not apply", "The rest", _rest(judged)),
            Section("sources", "Sources", "Sources", _sources(judged, groups)),
            Section("proof", "Reproduce this report", "Reproduce", _reproduction(judged)),
        ),
        footer=f"Made by {report.engine}. The same declarations, profiles and lists give the same report on any day.",
    )


def _contradictions(judged: JudgedNetwork) -> tuple[Block, ...]:
    points = tuple((each.subject, f"{each.text} ({', '.join(each.facts)})") for each in judged.report.contradictions)
    points += tuple(("does not count", each) for each in judged.network.notes)
    return (page.Points(points),) if points else ()


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


# --- findings ---


def _findings(judged: JudgedNetwork, groups: Sequence[Group]) -> tuple[Block, ...]:
    if not groups:
        return (page.Paragraph("Every rule that applies holds."),)
    text = (
        "One row for each rule and verdict; those that stop come first. Open a row for its reasons, its "
        "subjects and its remedy. The search of a browser finds names in closed rows, too."
    )
    numbers = {profile.id: f"p{number}" for number, profile in enumerate(judged.library.profiles)}
    folds = tuple(_group_fold(judged, number, group, numbers) for number, group in enumerate(groups))
    return page.Paragraph(text), Filter(tuple(_choices(judged, groups, numbers)), folds)


def _choices(judged: JudgedNetwork, groups: Sequence[Group], numbers: Mapping[str, str]) -> Iterable[Choice]:
    """Yield the choices of which there are two options or more."""
    verdicts = Counter(group.verdict for group in groups)
    effects = Counter(_effect(group.first) for group in groups)
    profiles = Counter(group.first.profile for group in groups)
    all_ = Option(f"all {len(groups):,}")
    for name, title, options in (
        (
            "effect",
            "effect",
            [Option(f"{each} {effects[each]:,}", each) for each in ("stops", "advised") if effects[each]],
        ),
        (
            "verdict",
            "verdict",
            [Option(f"{each.word} {verdicts[each]:,}", each.word) for each in WORST_FIRST if verdicts[each]],
        ),
        (
            "profile",
            "profile",
            [
                Option(f"{each.id} {profiles[each.id]:,}", numbers[each.id])
                for each in judged.library.profiles
                if profiles[each.id]
            ],
        ),
    ):
        if len(options) > 1:
            yield Choice(name, title, (all_, *options))


def _effect(finding: Finding) -> str:
    """Return "stops", "advised" or "waived"."""
    if finding.stops:
        return "stops"
    return "advised" if finding.force is Force.ADVISED else finding.verdict.word


def _group_fold(judged: JudgedNetwork, number: int, group: Group, numbers: Mapping[str, str]) -> Fold:
    first, effect = group.first, _effect(group.first)
    shown = group.reasons[:REASONS_MAX]
    rows = tuple((each.text, _subjects(judged, each.subjects), each.word) for each in shown)
    more = (
        f" The {len(shown)} most frequent of {len(group.reasons):,} reasons." if len(shown) < len(group.reasons) else ""
    )
    blocks: list[Block] = []
    if first.remedy:
        blocks.append(page.Paragraph(f"Remedy: {first.remedy}"))
    if first.interpretation:
        blocks.append(page.Paragraph(f"Interpretation: {first.interpretation}"))
    titles = columns("reason", "subjects", "facts declared by")
    blocks.append(Table(f"“It” and “its” mean the subject.{more}", titles, rows, stacked=True))
    count = f"{len(group.subjects):,} {group.verdict.word}"
    note = f"{first.rule}, {effect}"
    tags = ("stops" if effect == "stops" else "advised" if effect == "advised" else "", group.verdict.word)
    return Fold(
        first.title,
        tuple(blocks),
        _anchor(number),
        note,
        (_chip(group.verdict, count),),
        tags=(*filter(None, tags), numbers[first.profile]),
    )


def _subjects(judged: JudgedNetwork, subjects: Sequence[str]) -> str:
    """Return subjects by name and id, each place once with its flows, and the number of those that are omitted."""
    flows: dict[str, list[str]] = {}
    for each in subjects[:GROUP_NAMES_MAX]:
        flow, _, place = each.rpartition(ON_PATH)
        flows.setdefault(place, []).extend([flow] * bool(flow))
    named = [_named(judged, place) + (f" on the path of {', '.join(on)}" if on else "") for place, on in flows.items()]
    more = len(subjects) - GROUP_NAMES_MAX
    return "; ".join(named) + (f"; and {more:,} more" if more > 0 else "")


def _named(judged: JudgedNetwork, id: str) -> str:
    entity = judged.network.entities.get(id)
    return f"{entity.name} ({id})" if entity and entity.name != id else id


def _missing(judged: JudgedNetwork) -> tuple[Block, ...]:
    waiting: dict[str, list[Finding]] = defaultdict(list)
    for finding in judged.report.findings:
        for path in finding.missing:
            waiting[path].append(finding)
    if not waiting:
        return (page.Paragraph("No fact is missing."),)
    stops = {path: sum(each.stops for each in findings) for path, findings in waiting.items()}
    ordered = sorted(waiting, key=lambda path: (-stops[path], -len(waiting[path]), path))
    rows = [
        (path, f"{len(waiting[path]):,}", f"{stops[path]:,}", _some(each.rule for each in waiting[path]))
        for path in ordered[:SUBJECTS_MAX]
    ]
    titles = columns("fact", ">findings", ">of these stop", "rules")
    some = f" These are {len(rows):,} of {len(waiting):,}." if len(rows) < len(waiting) else ""
    caption = f"Declare these facts to decide what is unknown. The most urgent come first.{some}"
    blocks = [Table(caption, titles, tuple(rows[:FACTS_MAX]), stacked=True)]
    if rest := rows[FACTS_MAX:]:
        folded = f"{len(rest):,} further facts"
        blocks.append(Table("The further facts.", titles, tuple(rest), folded=folded, stacked=True))
    return tuple(blocks)


# --- profiles, participants, the network ---


def _profiles(judged: JudgedNetwork) -> tuple[Block, ...]:
    stacks = tuple(
        Stack(
            each.profile.title,
            f"{each.capitalised_sentence}.",
            tuple((_chip(verdict), each.counts[verdict]) for verdict in WORST_FIRST),
        )
        for each in judged.profiles
        if each.applied
    )
    meanings = tuple((verdict.word.replace("-", " "), LOOKS[verdict].meaning) for verdict in WORST_FIRST)
    titles = columns("profile", "status", "issued by", "=here", ">stops", "limits")
    folded = "Status, issuer and limits of each profile"
    table = Table("Profiles", titles, tuple(map(_profile_row, judged.profiles)), folded=folded, stacked=True)
    blocks: list[Block] = [page.Stacks("Verdicts", stacks)] if stacks else []
    if idle := [f"{each.capitalised_sentence}." for each in judged.profiles if not each.applied]:
        note = quantity(len(idle), "profile")
        blocks.append(Fold("Nothing to judge", tuple(page.Paragraph(each) for each in idle), note=note))
    return *blocks, Fold("Meaning of the verdicts", (page.Points(meanings),)), table


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


def _participants(judged: JudgedNetwork, groups: Sequence[Group]) -> tuple[Block, ...]:
    links = {(group.first.rule, group.verdict, group.first.stops): number for number, group in enumerate(groups)}
    blocks: list[Block] = []
    for kind, what in ((PARTICIPANT, "Participants, with the flows that they send"), (FLOW, "Flows, with their paths")):
        names = [entity.id for entity in judged.network.of_kind(kind)]
        findings = {name: _applied(judged, name) for name in names}
        chosen = sorted(names, key=lambda name: -max(map(weight, findings[name]), default=0))[:SUBJECTS_MAX]
        profiles = [
            profile
            for profile in judged.library.profiles
            if any(each.profile == profile.id for name in chosen for each in findings[name])
        ]
        if not profiles:
            continue
        titles = tuple(f"{each.title} ({each.status})" for each in profiles)
        rows = tuple(
            _matrix_row(judged, name, findings[name], profiles, links) for name in names if name in set(chosen)
        )
        some = f"; the worst {len(rows):,} of {len(names):,}" if len(rows) < len(names) else ""
        matrix = Matrix(f"{what}: the worst verdict{some}. Open a cell to see its rules.", titles, rows)
        stopped = sum(any(each.stops for each in findings[name]) for name in names)
        note = f"{len(names):,}, of which {stopped:,} stopped"
        blocks.append(Fold(what, (matrix,), note=note, opened=kind == PARTICIPANT))
    return tuple(blocks) or (page.Paragraph("No rule applies to a participant or a flow."),)


def _applied(judged: JudgedNetwork, name: str) -> list[Finding]:
    """Return the findings that apply to a participant with its flows, or to a flow with its path; the worst first."""
    subjects = judged.subjects_of.get(name, ())
    found = (finding for subject in subjects for finding in judged.by_subject[subject] if finding.applies)
    return sorted(found, key=weight, reverse=True)


def _matrix_row(
    judged: JudgedNetwork,
    name: str,
    findings: Sequence[Finding],
    profiles: Sequence[Profile],
    links: Mapping[tuple[str, Verdict, bool], int],
) -> tuple[str, str, tuple[Cell, ...]]:
    entity = judged.network.entities[name]
    cells = tuple(_cell([each for each in findings if each.profile == profile.id], links) for profile in profiles)
    return entity.name, ", ".join((name, *entity.values("state"))), cells


def _cell(findings: Sequence[Finding], links: Mapping[tuple[str, Verdict, bool], int]) -> Cell:
    if not findings:
        return Cell(None, quiet="–")
    worst = max(each.verdict for each in findings)
    head = _chip(worst, f"{worst.word} {sum(each.verdict is worst for each in findings)}")
    counts = Counter((each.rule, each.verdict, each.stops) for each in findings)
    points = [
        _chip(key[1], f"{key[0].partition('/')[2]}{f' ({count:,})' if count > 1 else ''}", _anchor(links[key]))
        for key, count in counts.items()
        if key in links
    ]
    return Cell(head, tuple(points))


def _network(judged: JudgedNetwork) -> Block:
    size = sum(1 for kind in (PARTICIPANT, FACILITY) for _ in judged.network.of_kind(kind))
    if size > DRAWN_MAX:
        return page.Paragraph(f"{size:,} participants and places are too many to draw on a page.")
    caption = (
        "A box is a state or territory, a square a participant, a circle a place, a line a link between two places. "
        "Colour and sign show the worst verdict of the rules about each. Point at an item to read its rules."
    )
    return page.Picture(picture.svg(judged, heading=False), caption, PICTURE_WIDTH_MIN)


# --- the rest ---


def _rest(judged: JudgedNetwork) -> tuple[Block, ...]:
    text = "Every finding with all of its facts: sycee compliance explain NETWORK SUBJECT, or the report as JSON."
    blocks: list[Block] = [page.Paragraph(text)]
    if held := grouping.met(judged.report.findings):
        points = tuple(
            (each.first.title, f"{each.first.rule}: {each.verdict.word} for {quantity(len(each.subjects), 'subject')}")
            for each in held
        )
        count = sum(len(each.subjects) for each in held)
        blocks.append(Fold("What holds", (page.Points(points),), note=quantity(count, "finding")))
    idle = [(each, each.counts[Verdict.NOT_APPLICABLE]) for each in judged.profiles]
    if rows := tuple((*_named_profile(each.profile), f"{count:,}") for each, count in idle if count):
        text = "A rule that is not about a subject, or exempts it, does not apply to it."
        table = Table(text, columns("profile", "title", ">findings"), rows, stacked=True)
        note = quantity(sum(count for _, count in idle), "finding")
        blocks.append(Fold("What does not apply", (table,), note=note))
    return tuple(blocks)


def _named_profile(profile: Profile) -> tuple[str, str]:
    return f"{profile.id} version {profile.version}", profile.title


def _some(names: Iterable[str]) -> str:
    """Return the first different names, and the number of the others."""
    different = list(dict.fromkeys(names))
    more = f" and {len(different) - NAMES_MAX:,} more" if len(different) > NAMES_MAX else ""
    return ", ".join(different[:NAMES_MAX]) + more


def _sources(judged: JudgedNetwork, groups: Sequence[Group]) -> tuple[Block, ...]:
    judging = [each.profile for each in judged.profiles if each.applied]
    named = {name for each in judging for name in list_ids(each)}
    lists = [each for name, each in judged.library.lists.items() if name in named]
    owners: list[Profile | List] = [*judging, *lists]
    used: dict[tuple[str, str, str, bool], list[str]] = defaultdict(list)
    for owner in owners:
        for source in _judging_sources(owner):
            used[source.title, source.publisher, source.date.isoformat(), source.at_hand].append(owner.id)
    points = tuple(
        (title, f"{publisher}, {day}, for {', '.join(names)}{'' if direct else '; second-hand'}")
        for (title, publisher, day, direct), names in used.items()
    )
    text = "Of profiles that apply. Second-hand: the text was not available, only another account of it."
    content = (page.Paragraph(text), page.Points(points))
    blocks: list[Block] = [Fold("Sources of rules and lists", content, note=quantity(len(points), "source"))]
    if lists:
        titles = columns("list", "=as of", "=valid until", "=on the day", ">rows", "=rows are")
        caption = "Lists. Rules that need an expired list are unknown."
        blocks.append(Table(caption, titles, tuple(_list_row(judged, each) for each in lists)))
    # The interpretations of rules with a row among the findings are there.
    held = {each.rule for each in judged.report.findings if each.applies} - {group.first.rule for group in groups}
    rules = judged.library.rules.items()
    if read := tuple((name, rule.interpretation) for name, rule in rules if rule.interpretation and name in held):
        note = "of rules that hold and go beyond the words of their source; those of findings are in their rows"
        blocks.append(Fold("Interpretations", (page.Points(read),), note=note))
    return tuple(blocks)


def _judging_sources(owner: Profile | List) -> tuple[Source, ...]:
    """Return the sources of a profile, or those of a list without sources that only give names of its parties."""
    if isinstance(owner, Profile):
        return owner.sources
    of_names = {alias.source for row in owner.rows for alias in row.aliases} - {row.source for row in owner.rows}
    return tuple(each for each in owner.sources if each.id not in of_names)


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


def _chip(verdict: Verdict, text: str = "", link: str = "") -> Chip:
    """Return the chip of a verdict, with its word or another text, and a link if given."""
    look = LOOKS[verdict]
    return Chip(look.sign, text or verdict.word.replace("-", " "), look.colour, link)


def _anchor(number: int) -> str:
    return f"g{number}"
