"""Routes, blocs, and differences between two reports, as plain text and as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sycee.compliance.canonical import plain
from sycee.compliance.reports import text
from sycee.compliance.reports.json_report import finding_members
from sycee.compliance.routing.routes import Comparison, NearestMiss, Regime, RouteResult
from sycee.compliance.routing.split import Bloc, Effect, Split, Summary
from sycee.compliance.verdicts import Finding, Report, Verdict
from sycee.core.words import quantity

BLOCS: Final[Mapping[Bloc, str]] = {
    Bloc.FIRST: "touched by the first regime alone",
    Bloc.SECOND: "touched by the second alone",
    Bloc.BOTH: "touched by both",
    Bloc.BETWEEN: "touched by neither",
}


# --- routes ---


def route_text(comparison: Comparison, width: int = text.WIDTH) -> str:
    """Return the best route under all regimes with its stops, under each regime alone, and under none.

    `width` is that of a line in characters, also in the functions below.
    """
    together = comparison.together
    lines = [f"Together, under {', '.join(together.under) or 'no enforced regime'}:"]
    lines += [f"  {line}" for line in _result_lines(together)]
    lines += [f"  {_regime(regime, together.flow)}" for regime in together.regimes]
    if isinstance(together, NearestMiss):
        for each in together.stops:
            lines += ["", *text.finding_lines(each)]
        if together.missing:
            lines += ["", f"  facts that would decide: {', '.join(together.missing)}"]
    lines += ["", "Each regime alone:"]
    for profile, result in comparison.alone.items():
        first, *rest = _result_lines(result)
        lines += [f"  {profile}: {first}", *(f"    {line}" for line in rest)]
    first, *rest = _result_lines(comparison.free)
    lines += [f"Under no regime: {first}", *(f"  {line}" for line in rest)]
    return text.wrapped(lines, width)


def route_members(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON values."""
    return {
        "together": _result_members(comparison.together),
        "alone": {profile: _result_members(result) for profile, result in comparison.alone.items()},
        "free": _result_members(comparison.free),
    }


def _result_lines(result: RouteResult) -> Iterator[str]:
    cost = f"cost {result.cost:,}: {' > '.join(result.edges) or 'both enter at the same place'}"
    if not isinstance(result, NearestMiss):
        yield f"a route, {cost}"
    elif not result.joined:
        yield "no route: no declared path joins the two"
    else:
        reasons = [f"breaks {', '.join(result.broken)}"] if result.broken else []
        reasons += [f"lacks facts under {', '.join(result.lacking)}"] if result.lacking else []
        yield f"no route: the nearest miss {' and '.join(reasons)}"
        yield cost


def _regime(regime: Regime, flow: str) -> str:
    applies = "applies" if regime.applies else "may apply"
    cause = "the flow itself" if regime.touched_by == flow else regime.touched_by
    return f"{regime.profile} version {regime.version} {applies} because of {cause} ({regime.force.word})"


def _result_members(result: RouteResult) -> dict[str, Any]:
    names = ["flow", "under", "edges", "places", "cost", "regimes"]
    stops: dict[str, Any] = {}
    if isinstance(result, NearestMiss):
        names += ["joined", "broken", "lacking", "missing", "remedies"]
        stops["stops"] = [finding_members(each) for each in result.stops]
    return {
        "route": not isinstance(result, NearestMiss),
        **{name: plain(getattr(result, name)) for name in names},
        **stops,
    }


# --- differences ---


@dataclass(frozen=True, slots=True)
class Change:
    """A rule and a subject with another verdict; None if there was, or is, no such finding."""

    rule: str
    subject: str
    before: Finding | None
    after: Finding | None

    @property
    def stops(self) -> tuple[bool, bool]:
        """Return whether the finding stopped before, and stops afterwards."""
        return _state(self.before)[1], _state(self.after)[1]


NEW_STOP: Final = (False, True)
ENDED_STOP: Final = (True, False)
_EFFECTS: Final = {NEW_STOP: "stops now", ENDED_STOP: "stopped before"}


def changes(before: Report, after: Report) -> tuple[Change, ...]:
    """Return the different verdicts, new stops first. A finding in one report only counts unless not applicable."""
    old, new = ({(each.rule, each.subject): each for each in report.findings} for report in (before, after))
    pairs = {key: (old.get(key), new.get(key)) for key in (*old, *new)}
    found = [Change(*key, *pair) for key, pair in pairs.items() if _state(pair[0]) != _state(pair[1])]
    return tuple(sorted(found, key=lambda change: (change.stops != NEW_STOP, change.stops != ENDED_STOP)))


def _state(finding: Finding | None) -> tuple[Verdict, bool]:
    return (finding.verdict, finding.stops) if finding else (Verdict.NOT_APPLICABLE, False)


def changes_text(before: Report, after: Report, found: Sequence[Change], width: int = text.WIDTH) -> str:
    """Return the changes as lines: new stops, ended stops, and the others."""
    effects = Counter(each.stops for each in found)
    verb, stop = ("differs" if len(found) == 1 else "differ"), ("stops" if effects[NEW_STOP] == 1 else "stop")
    counts = f"{effects[NEW_STOP]:,} {stop} now, {effects[ENDED_STOP]:,} stopped before"
    lines = [f"{quantity(len(found), 'finding')} {verb}: {counts}." if found else "No verdict differs."]
    for each in found:
        words = [f"{one.verdict.word} ({one.force.word})" if one else "not judged" for one in (each.before, each.after)]
        lines.append(f"  {_EFFECTS.get(each.stops, 'changed')}: {each.rule} on {each.subject}: {' -> '.join(words)}")
        if each.after and each.after.verdict.stops and each.after.message:
            lines.append(f"      {each.after.message}")
    lines += ["", f"before {before.digest}", f"after  {after.digest}"]
    return text.wrapped(lines, width)


def changes_members(before: Report, after: Report, found: Sequence[Change]) -> dict[str, Any]:
    """Return the changes as JSON values."""
    effects = Counter(each.stops for each in found)
    return {
        "before": before.digest,
        "after": after.digest,
        "stops_now": effects[NEW_STOP],
        "goes_now": effects[ENDED_STOP],
        "changes": [
            {
                "rule": each.rule,
                "subject": each.subject,
                "before": each.before.verdict.word if each.before else None,
                "after": each.after.verdict.word if each.after else None,
                "stops_before": each.stops[0],
                "stops_after": each.stops[1],
                "message": each.after.message if each.after else "",
            }
            for each in found
        ],
    }


# --- blocs ---


def split_text(found: Split, width: int = text.WIDTH) -> str:
    """Return the members of each bloc, and a table of pairs that can pay. The table may be wider than `width`."""
    lines = [f"Two blocs as of {found.at}: {found.first} (first) and {found.second} (second)", ""]
    for bloc in Bloc:
        members = found.members(bloc)
        if members:
            lines += [f"{bloc.value}, {BLOCS[bloc]}: {quantity(len(members), 'participant')}"]
            lines.append(f"  {', '.join(members)}")
    lines += ["", "Payments with personal data: pairs lost; pairs that pay more, and how much in total"]
    heads = ("from", "to", "pairs", "joined", "first alone", "second alone", "together")
    rows = [heads, *(_summary(each) for each in (*found.summaries, found.summary()))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ""
    for row in rows:
        cells = [each.ljust(size) for each, size in zip(row, widths, strict=True)]
        table += f"  {'  '.join(cells).rstrip()}\n"
    hint = "Reasons for one pair: sycee compliance routes NETWORK FROM TO, with --profile and --enforce for either."
    return text.wrapped(lines, width) + table + text.wrapped(["", hint], width)


def split_members(found: Split) -> dict[str, Any]:
    """Return the split as JSON values, with every payment."""
    names = ("first", "second", "at", "network", "library", "blocs", "summaries")
    values = {name: getattr(found, name) for name in names}
    return dict(plain({**values, "all": found.summary(), "payments": list(found.payments.values())}))


def _summary(summary: Summary) -> tuple[str, ...]:
    ends = [bloc.value if bloc else "all" for bloc in (summary.source, summary.target)]
    effects = [_effect(each) for each in (summary.first, summary.second, summary.together)]
    return (*ends, f"{summary.pairs:,}", f"{summary.connected:,}", *effects)


def _effect(effect: Effect) -> str:
    parts = [f"{effect.lost:,} lost"] if effect.lost else []
    parts += [f"{effect.dearer:,} pay {effect.extra:,} more"] if effect.dearer else []
    return ", ".join(parts) or "-"
