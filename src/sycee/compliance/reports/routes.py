"""Routes, blocs, and differences between two judgements, as plain text and as what JSON has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sycee.compliance.canonical import plain
from sycee.compliance.reports import json_report, text
from sycee.compliance.reports.summary import quantity
from sycee.compliance.routing.routes import Comparison, NearestMiss, Regime, RouteResult
from sycee.compliance.routing.split import Bloc, Effect, Split, Summary
from sycee.compliance.verdicts import Finding, Report, Verdict
from sycee.core.terminal_text import printable


def route_text(comparison: Comparison, width: int = text.WIDTH) -> str:
    """The best under all together with what stops it, and below it under each regime alone and under none.

    `width` is of a line, in characters, as in all texts here.
    """
    together = comparison.together
    lines = [f"Together, under {', '.join(together.under) or 'no regime that is enforced'}:"]
    lines += [f"  {line}" for line in _answer(together)]
    lines += [f"  {line}" for regime in together.regimes for line in [_regime(regime, together.flow)]]
    if isinstance(together, NearestMiss):
        for each in together.stops:
            lines += ["", *text.finding(each)]
        if together.missing:
            lines += ["", f"  facts that would decide: {', '.join(together.missing)}"]
    lines += ["", "Each regime alone:"]
    for profile, answer in comparison.alone.items():
        first, *rest = _answer(answer)
        lines += [f"  {profile}: {first}", *(f"    {line}" for line in rest)]
    first, *rest = _answer(comparison.free)
    lines += [f"Under no regime: {first}", *(f"  {line}" for line in rest)]
    return text.wrapped(lines, width)


def route_form(comparison: Comparison) -> dict[str, Any]:
    """The same as what JSON has."""
    return {
        "together": _form(comparison.together),
        "alone": {profile: _form(answer) for profile, answer in comparison.alone.items()},
        "free": _form(comparison.free),
    }


BLOCS: Final[Mapping[Bloc, str]] = {
    Bloc.FIRST: "touched by the first regime alone",
    Bloc.SECOND: "touched by the second alone",
    Bloc.BOTH: "touched by both",
    Bloc.BETWEEN: "touched by neither",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A rule and a subject whose verdict is another one; None where there was, or is, no such finding."""

    rule: str
    subject: str
    before: Finding | None
    after: Finding | None

    @property
    def stops_now(self) -> bool:
        """Whether it stops now and did not before."""
        return bool(self.after and self.after.stops) and not (self.before and self.before.stops)

    @property
    def goes_now(self) -> bool:
        """Whether it stopped before and does not now."""
        return bool(self.before and self.before.stops) and not (self.after and self.after.stops)


def changes(before: Report, after: Report) -> tuple[Change, ...]:
    """What is judged otherwise, what stops now first; findings that come or go unless they do not apply."""
    old, new = (_by_name(report) for report in (before, after))
    found = []
    for key in dict.fromkeys([*old, *new]):
        one, other = old.get(key), new.get(key)
        if _told(one) != _told(other):
            found.append(Change(*key, one, other))
    return tuple(sorted(found, key=lambda change: (not change.stops_now, not change.goes_now)))


def changes_text(before: Report, after: Report, found: tuple[Change, ...], width: int = text.WIDTH) -> str:
    """The changes as lines: what stops now, what goes now, and the rest."""
    stops, goes = sum(each.stops_now for each in found), sum(each.goes_now for each in found)
    differ = f"{quantity(len(found), 'finding')} {_verb('differ', len(found))}"
    what = f"{stops:,} {_verb('stop', stops)} now, {goes:,} {'goes' if goes == 1 else 'go'} now"
    lines = [f"{differ}: {what}." if found else "Nothing is judged otherwise."]
    for each in found:
        mark = "stops now" if each.stops_now else "goes now" if each.goes_now else "changes"
        lines.append(f"  {mark}: {each.rule} on {each.subject}: {_word(each.before)} -> {_word(each.after)}")
        if each.after and each.after.verdict.stops and each.after.message:
            lines.append(printable(f"      {each.after.message}"))
    lines += ["", f"before {before.digest}", f"after  {after.digest}"]
    return text.wrapped(lines, width)


def changes_form(before: Report, after: Report, found: tuple[Change, ...]) -> dict[str, Any]:
    """The same as what JSON has."""
    return {
        "before": before.digest,
        "after": after.digest,
        "stops_now": sum(each.stops_now for each in found),
        "goes_now": sum(each.goes_now for each in found),
        "changes": [
            {
                "rule": each.rule,
                "subject": each.subject,
                "before": each.before.verdict.word if each.before else None,
                "after": each.after.verdict.word if each.after else None,
                "stops_before": bool(each.before and each.before.stops),
                "stops_after": bool(each.after and each.after.stops),
                "message": each.after.message if each.after else "",
            }
            for each in found
        ],
    }


def split_text(found: Split, width: int = text.WIDTH) -> str:
    """The blocs, and from each to each how many pairs can pay, with what regimes take away and add.

    The table of pairs is as wide as its numbers.
    """
    lines = [f"Two blocs as of {found.at}: {found.first} (first) and {found.second} (second)", ""]
    for bloc in Bloc:
        members = found.members(bloc)
        if members:
            lines += [f"{bloc.value}, {BLOCS[bloc]}: {quantity(len(members), 'participant')}"]
            lines.append(f"  {', '.join(members)}")
    heads = ("from", "to", "pairs", "joined", "first alone", "second alone", "together")
    rows = [heads, *(_summary(each) for each in (*found.summaries, found.summary()))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    lines += [
        "",
        "Payments about people, from bloc to bloc: pairs lost, pairs that pay more and by how much in all",
    ]
    table = ""
    for row in rows:
        cells = [each.ljust(size) for each, size in zip(row, widths, strict=True)]
        table += f"  {'  '.join(cells).rstrip()}\n"
    why = "Why it is so of one pair: sycee compliance routes NETWORK FROM TO, with --profile and --enforce for either."
    return text.wrapped(lines, width) + table + text.wrapped(["", why], width)


def split_form(found: Split) -> dict[str, Any]:
    """The same as what JSON has, with every payment."""
    members: dict[str, Any] = plain(
        {
            "first": found.first,
            "second": found.second,
            "at": found.at,
            "network": found.network,
            "library": found.library,
            "blocs": found.blocs,
            "summaries": found.summaries,
            "all": found.summary(),
            "payments": list(found.payments.values()),
        }
    )
    return members


def _summary(summary: Summary) -> tuple[str, ...]:
    ends = [bloc.value if bloc else "all" for bloc in (summary.source, summary.target)]
    effects = [_effect(each) for each in (summary.first, summary.second, summary.together)]
    return (*ends, f"{summary.pairs:,}", f"{summary.connected:,}", *effects)


def _effect(effect: Effect) -> str:
    parts = [f"{effect.lost:,} lost"] if effect.lost else []
    parts += [f"{effect.dearer:,} pay {effect.extra:,} more"] if effect.dearer else []
    return ", ".join(parts) or "-"


def _verb(verb: str, count: int) -> str:
    return f"{verb}s" if count == 1 else verb


def _by_name(report: Report) -> Mapping[tuple[str, str], Finding]:
    return {(finding.rule, finding.subject): finding for finding in report.findings}


def _told(finding: Finding | None) -> tuple[Verdict, bool]:
    return (finding.verdict, finding.stops) if finding else (Verdict.NOT_APPLICABLE, False)


def _word(finding: Finding | None) -> str:
    if finding is None:
        return "not judged"
    return f"{finding.verdict.word} ({finding.force.word})"


def _answer(answer: RouteResult) -> Iterator[str]:
    way = " > ".join(answer.edges)
    if not isinstance(answer, NearestMiss):
        yield f"a route, cost {answer.cost:,}: {way or 'both enter at the same place'}"
        return
    if not answer.joined:
        yield "no route: nothing that is declared joins the two"
        return
    why = [f"breaks {', '.join(answer.broken)}"] if answer.broken else []
    why += [f"lacks facts under {', '.join(answer.lacking)}"] if answer.lacking else []
    yield f"no route: the nearest miss {' and '.join(why)}"
    yield f"cost {answer.cost:,}: {way or 'both enter at the same place'}"


def _regime(regime: Regime, flow: str) -> str:
    applies = "applies" if regime.applies else "may apply"
    what = "what the flow itself is" if regime.touched_by == flow else regime.touched_by
    return f"{regime.profile} version {regime.version} {applies} by {what} ({regime.force.word})"


def _form(answer: RouteResult) -> dict[str, Any]:
    miss = isinstance(answer, NearestMiss)
    members: dict[str, Any] = {
        "route": not miss,
        "flow": answer.flow,
        "under": list(answer.under),
        "edges": list(answer.edges),
        "places": list(answer.places),
        "cost": answer.cost,
        "regimes": [
            {
                "profile": each.profile,
                "version": each.version,
                "force": each.force.word,
                "applies": each.applies,
                "touched_by": each.touched_by,
            }
            for each in answer.regimes
        ],
    }
    if isinstance(answer, NearestMiss):
        members |= {
            "joined": answer.joined,
            "broken": list(answer.broken),
            "lacking": list(answer.lacking),
            "stops": [json_report.finding(each) for each in answer.stops],
            "missing": list(answer.missing),
            "remedies": list(answer.remedies),
        }
    return members
