"""The answer to a what-if question as text, JSON and an HTML page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sycee.compliance.judging.what_if import Answer
from sycee.compliance.memberships import MemberList
from sycee.compliance.reports import membership_page, text
from sycee.compliance.reports.effects import GROUPS, CausedChange, Effect, effects, headline
from sycee.compliance.reports.routes import ENDED_STOP, NEW_STOP
from sycee.compliance.verdicts import ON_PATH
from sycee.core.terminal_text import printable
from sycee.core.words import quantity
from sycee.report import page
from sycee.report.page import Block, Page, Section, Table, Tile, columns

ROWS_MAX: Final = 1_000  # of one table of a page; JSON has all


# --- text and JSON ---


def render_text(answer: Answer, width: int = text.WIDTH) -> str:
    """Return the answer in lines of `width` characters."""
    found = effects(answer)
    lines = [f"{answer.network.title}, judged as of {answer.before.at}, if"]
    lines += [f"  {step.sentence}" for step in answer.steps]
    lines += [headline(found)]
    for group, noun in GROUPS.items():
        of_group = [each for each in found if each.group == group]
        if of_group:
            lines += ["", f"{noun.capitalize()}s: {len(of_group):,}"]
        for each in of_group:
            lines += _effect_lines(each)
    lines += ["", "Nothing was written. A membership binds nobody: these are assumptions."]
    lines += [f"before {answer.before.digest}", f"after  {answer.after.digest}"]
    return text.wrapped(lines, width)


def _effect_lines(effect: Effect) -> Iterator[str]:
    yield f"  {effect.id}: {effect.word}"
    for each in effect.changes:
        place = each.change.subject.partition(ON_PATH)[2]
        yield f"    {each.change.rule}{f' at {place}' if place else ''}: {each.verdicts}; because {each.because}"
        if each.change.after and each.change.after.stops and each.change.after.message:
            yield f"      {each.change.after.message}"


def members(answer: Answer) -> dict[str, Any]:
    """Return the answer as JSON values."""
    found = effects(answer)
    return {
        "at": answer.before.at.isoformat(),
        "steps": [{"kind": step.kind, "what": step.what, "of": step.of} for step in answer.steps],
        "before": answer.before.digest,
        "after": answer.after.digest,
        "stops_now": [each.id for each in found if each.stops == NEW_STOP],
        "goes_now": [each.id for each in found if each.stops == ENDED_STOP],
        "effects": [
            {
                "id": each.id,
                "name": each.name,
                "group": each.group,
                "stops_before": each.stops[0],
                "stops_after": each.stops[1],
                "changes": [_change_members(one) for one in each.changes],
            }
            for each in found
        ],
    }


def _change_members(caused: CausedChange) -> dict[str, Any]:
    change = caused.change
    return {
        "rule": change.rule,
        "subject": change.subject,
        "before": change.before.verdict.word if change.before else None,
        "after": change.after.verdict.word if change.after else None,
        "stops_before": change.stops[0],
        "stops_after": change.stops[1],
        "because": caused.because,
        "message": change.after.message if change.after else "",
    }


# --- HTML ---


def render_html(answer: Answer, lists: Sequence[MemberList], adopted: Sequence[membership_page.Adopted]) -> str:
    """Return the answer as a page, with the memberships over time and what their adoption would change."""
    found = effects(answer)
    counts = [("stop now", NEW_STOP), ("stopped before", ENDED_STOP)]
    tiles = tuple(
        Tile(f"{many} that {words}", f"{sum(each.group == group and each.stops == stops for each in found):,}")
        for group, many in (("participant", "participants"), ("payment", "payments"))
        for words, stops in counts
    )
    steps = "; ".join(step.sentence for step in answer.steps)
    made = Page(
        kicker="Sycee what-if report",
        title=answer.network.title,
        summary=f"What would change if {steps}.",
        facts=(
            ("judged as of", answer.before.at.isoformat()),
            ("before", f"{answer.before.digest[:16]}…"),
            ("after", f"{answer.after.digest[:16]}…"),
        ),
        opening=(
            page.Notice(
                f"{headline(found)} These are assumptions: nothing was written, and a membership binds nobody."
            ),
            page.Tiles(tiles),
        ),
        sections=(
            Section("changes", "What changes", "Changes", _tables(found)),
            *membership_page.sections(lists, adopted),
        ),
        footer=f"Made by {answer.after.engine}. The same declarations, profiles, lists and steps give the same report.",
    )
    return "\n".join(map(printable, page.render(made).split("\n")))


def _tables(found: Sequence[Effect]) -> tuple[Block, ...]:
    blocks: list[Block] = []
    for group, noun in GROUPS.items():
        of_group = [each for each in found if each.group == group]
        rows = tuple(
            (each.name, each.word, one.change.rule, one.verdicts, one.because)
            for each in of_group
            for one in each.changes
        )
        if rows:
            shown = rows[:ROWS_MAX]
            some = f"; the first {len(shown):,} of {quantity(len(rows), 'change')}" if len(shown) < len(rows) else ""
            titles = columns("subject", "=effect", "rule", "verdict before -> after", "because")
            blocks.append(Table(f"{noun.capitalize()}s{some}", titles, shown, stacked=True))
    return tuple(blocks) or (page.Paragraph("No verdict differs."),)
