"""Memberships as text, JSON and an HTML page: rows, a picture over time, and what a network would lose or gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sycee.compliance.canonical import plain
from sycee.compliance.facts import Network
from sycee.compliance.judging import what_if
from sycee.compliance.judging.what_if import ALL, JOIN, LEAVE, MEMBERS, Answer, Step
from sycee.compliance.memberships import RELATIONS, MemberList, Membership
from sycee.compliance.profiles import Library
from sycee.compliance.reports import text
from sycee.compliance.reports.effects import effects as effects_of
from sycee.compliance.reports.effects import headline
from sycee.compliance.verdicts import Force, Report
from sycee.compliance.vocabulary import PARTICIPANT
from sycee.core.terminal_text import printable
from sycee.core.words import quantity
from sycee.report import chart, page
from sycee.report.chart import Drawing
from sycee.report.page import Block, Fold, Page, Plot, Section, Table, columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Selected = Sequence[tuple[MemberList, tuple[Membership, ...]]]

NOBODY_IS_BOUND: Final = (
    "A membership binds nobody; a pledge is enforced only while an authority's adoption is in force."
)
_COLOURS: Final = ("first", "second", "third", "fourth", "fifth", "sixth")


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a network would lose or gain if the members of a pledge adopted it, or if its adoption ended."""

    members: MemberList
    states: frozenset[str]  # that participate on the day
    participants: int  # of the network, in these states
    answer: Answer

    @property
    def ends(self) -> bool:
        """Whether the question is the end of an adoption."""
        return self.answer.steps[0].kind == LEAVE


def adopted(network: Network, library: Library, before: Report, lists: Sequence[MemberList]) -> tuple[Adopted, ...]:
    """Return the effect of each pledge that has a list of members: its adoption by them, or the end of its adoption."""
    found = []
    profiles = {each.id: each for each in library.profiles}
    for each in lists:
        profile = profiles.get(each.profile)
        force = Force.NONE if profile is None else profile.force(before.at, network.adoptions)
        if profile is None or profile.status != "pledge" or force is Force.NONE:
            continue
        step = Step(LEAVE, ALL, each.profile) if force is Force.ENFORCED else Step(JOIN, MEMBERS, each.profile)
        answer = what_if.ask(network, library, before.at, [step], before=before, lists=lists)
        states = each.states_on(before.at, taking_part=True)
        of_states = sum(not states.isdisjoint(one.values("state")) for one in network.of_kind(PARTICIPANT))
        found.append(Adopted(each, states, of_states, answer))
    return tuple(found)


# --- text and JSON ---


def render_text(selected: Selected, width: int = text.WIDTH) -> str:
    """Return the rows in lines of `width` characters."""
    lines: list[str] = []
    for each, rows in selected:
        lines += [f"{each.title} ({each.profile}), as of {each.as_of}: {quantity(len(rows), 'row')}"]
        lines += [f"  {_row_line(each, row)}" for row in rows]
        lines += [f"  Note: {each.note}"] if each.note else []
        lines.append("")
    return text.wrapped([*lines, NOBODY_IS_BOUND], width)


def _row_line(of: MemberList, row: Membership) -> str:
    period = f"from {row.from_date}" + (f" until {row.until_date}" if row.until_date else "")
    states = "" if row.kind == "organisation" else f" ({', '.join(row.states)})"
    note = f". {row.note}" if row.note else ""
    second_hand = "" if _at_hand(of, row) else ", read second-hand"
    return f"{row.party}{states}: {row.relation} {period}, said by {row.said_by}{second_hand}{note}"


def _at_hand(of: MemberList, row: Membership) -> bool:
    return next(source.at_hand for source in of.sources if source.id == row.source)


def members(selected: Selected, day: date | None) -> dict[str, Any]:
    """Return the rows as JSON values, with their sources."""
    return {
        "at": None if day is None else day.isoformat(),
        "lists": [
            {
                **{name: plain(getattr(each, name)) for name in ("profile", "title", "as_of", "note")},
                "rows": [_row_members(row) for row in rows],
                "sources": plain(each.sources),
            }
            for each, rows in selected
        ],
    }


def _row_members(row: Membership) -> dict[str, Any]:
    own = {name.removesuffix("_date"): value for name, value in plain(row).items()}
    return {**own, "takes_part": row.takes_part}


# --- HTML ---


def render_html(selected: Selected, network: Network | None, effects: Sequence[Adopted]) -> str:
    """Return a page about memberships; with a network also about what it would lose or gain."""
    lists = [each for each, _ in selected]
    named = ", ".join(each.profile for each in lists)
    made = Page(
        kicker="Sycee memberships",
        title="Memberships over time" if network is None else f"Memberships over time, and {network.title}",
        summary="Who belongs to each regime or supports it, who said so, and since which day.",
        facts=(
            ("regimes", named),
            ("rows as of", ", ".join(dict.fromkeys(each.as_of.isoformat() for each in lists))),
            *(("judged as of", each.answer.before.at.isoformat()) for each in effects[:1]),
        ),
        opening=(page.Notice(NOBODY_IS_BOUND),),
        sections=sections(lists, effects, selected),
        footer="Made from lists of members, which name their sources.",
    )
    return "\n".join(map(printable, page.render(made).split("\n")))


def sections(
    lists: Sequence[MemberList], effects: Sequence[Adopted], selected: Selected | None = None
) -> tuple[Section, ...]:
    """Return the sections about memberships; `selected` rows instead of all, and the effects if there are any."""
    rows = [(each, each.rows) for each in lists] if selected is None else selected
    return (
        *([Section("adopted", "What adoption would change", "Adoption", _adopted(effects))] if effects else []),
        Section("members", "Memberships over time", "Memberships", (_plot(lists), *(_fold(*each) for each in rows))),
    )


def _plot(lists: Sequence[MemberList]) -> Block:
    named = [f"{_last(each):,} states by {each.title}" for each in lists]
    sentence = (
        f"States with a row, by themselves or through an organisation of states: {'; '.join(named)}. "
        "The lower line counts those that take part, and not those that only made a statement or are named."
    )
    return Plot("memberships", "States over time", sentence, over_time(lists), height=340)


def _last(each: MemberList) -> int:
    return len(each.states_on(each.as_of, taking_part=False))


def over_time(lists: Sequence[MemberList]) -> Drawing:
    """Draw the number of states of each list as steps: all with a row, and those that participate."""

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for each, shade in zip(lists, _COLOURS, strict=False):
            days = _days(each)
            for taking_part, width in ((False, 1.2), (True, 2.6)):
                counts = [len(each.states_on(day, taking_part=taking_part)) for day in days]
                label = f"{each.profile}{', taking part' if taking_part else ''}"
                axes.step(
                    np.array(days, "datetime64[D]"),
                    counts,
                    where="post",
                    color=chart.colour(shade),
                    linewidth=width,
                    label=label,
                )
        axes.set_ylabel("states")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(_years())
        figure.legend(loc="outside upper left", ncols=1 if narrow else 2)

    return draw if any(each.rows for each in lists) else chart.nothing


def _years() -> Any:
    from matplotlib.dates import YearLocator

    return YearLocator()  # type: ignore[no-untyped-call]


def _days(each: MemberList) -> list[date]:
    """Return the days on which something changes, in order, and the day of the list."""
    changes = {day for row in each.rows for day in (row.from_date, row.until_date) if day is not None}
    return [*sorted(day for day in changes if day < each.as_of), each.as_of]


def _fold(each: MemberList, rows: Sequence[Membership]) -> Block:
    table = tuple(
        (
            row.party,
            row.kind,
            ", ".join(row.states),
            row.relation,
            row.from_date.isoformat(),
            row.until_date.isoformat() if row.until_date else "open",
            row.said_by,
            "direct" if _at_hand(each, row) else "second-hand",
            row.note,
        )
        for row in rows
    )
    titles = columns("party", "=kind", "states", "=relation", "=from", "=until", "said by", "=read", "note")
    sources = tuple(
        (source.title, source.publisher, source.date.isoformat(), "direct" if source.at_hand else "second-hand")
        for source in each.sources
    )
    blocks: list[Block] = [page.Paragraph(each.note)] if each.note else []
    blocks.append(Table("Rows", titles, table, stacked=True))
    blocks.append(Table("Sources", columns("source", "publisher", "=date", "=read"), sources, stacked=True))
    used = {row.relation for row in rows}
    blocks.append(page.Points(tuple((name, meaning) for name, meaning in RELATIONS.items() if name in used)))
    return Fold(each.title, tuple(blocks), note=f"{each.profile}, {quantity(len(rows), 'row')}")


def _adopted(effects: Sequence[Adopted]) -> tuple[Block, ...]:
    rows = tuple(
        (
            each.members.profile,
            "its adoption ends" if each.ends else "its members adopt it",
            f"{len(each.states):,}",
            f"{each.participants:,}",
            headline(effects_of(each.answer)),
        )
        for each in effects
    )
    titles = columns("pledge", "if", ">states that take part", ">participants there", "then")
    caption = (
        "What this network would lose or gain. Each row is an assumption; the verdicts are those of declared facts."
    )
    return (Table(caption, titles, rows, stacked=True),)
