"""A picture of the network with its verdicts, as one SVG: who stands where, what links them, and what stops.

The colour of a place, a participant or a link is the worst verdict of the rules that are about it; a sign and the shape
of the line say the same to whoever does not see colours. A chosen route is drawn strongly, its steps numbered.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from sycee.compliance.facts import Entity
from sycee.compliance.reports.layout import ROW, Box, Layout, Row, arrange, value
from sycee.compliance.reports.summary import WORST_FIRST, JudgedNetwork, quantity
from sycee.compliance.verdicts import Finding, Verdict
from sycee.compliance.vocabulary import SEGMENT
from sycee.core.terminal_text import printable

WIDTH: Final = 1160
MARGIN: Final = 12
BOX: Final = 366
TOP: Final = 58  # room for the title
LEGEND: Final = 76
NAME_ROOM: Final = 158  # for the name of a facility or a participant
CHARACTER: Final = 6.25  # the mean width of one at this size; a wide one takes two
APART: Final = 26.0  # between the numbers of a route's steps

SIGNS: Final[Mapping[Verdict | None, str]] = {
    Verdict.FAIL: "✗",
    Verdict.CONFLICT: "≠",
    Verdict.UNKNOWN: "?",
    Verdict.WAIVED: "w",
    Verdict.ATTESTED: "a",
    Verdict.PASS: "✓",
    Verdict.NOT_APPLICABLE: "",
    None: "",
}

_STYLE: Final = """
.network { --surface: #ffffff; --box: #f5f6f4; --line: #d5dbde; --ink: #1b2730; --soft: #55636d; --route: #1b2730;
  --fail: #b8400e; --conflict: #9a3f77; --unknown: #c98700; --waived: #6d5a2f; --attested: #0072b2; --pass: #00826a;
  --none: #93a0a8; }
@media screen and (prefers-color-scheme: dark) { .network { --surface: #182229; --box: #10171c; --line: #35434c;
  --ink: #e6ecef; --soft: #a9b6bd; --route: #f3f7f8; --fail: #ff8a50; --conflict: #e08bc0; --unknown: #f0b43c;
  --waived: #c4a570; --attested: #4fa8e0; --pass: #2fb798; --none: #74838c; } }
.network text { font: 11.5px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  fill: var(--ink); }
.network .soft { fill: var(--soft); }
.network .state { font-weight: 650; font-size: 13px; }
.network .title { font-weight: 650; font-size: 17px; }
.network .sign { font-size: 9px; font-weight: 700; fill: var(--surface); text-anchor: middle; }
.network .ground { fill: var(--surface); }
.network .box { fill: var(--box); stroke: var(--line); }
.network .entry { stroke: var(--line); }
.network .link { fill: none; stroke-width: 1.5; }
.network .segment { stroke-width: 2.6; }
.network .casing { fill: none; stroke: var(--surface); stroke-width: 11; stroke-linecap: round; }
.network .route { fill: none; stroke: var(--route); stroke-width: 7; stroke-linecap: round; }
.network .over { stroke-width: 3; }
.network .step { fill: var(--route); }
.network .number { font-weight: 700; fill: var(--surface); text-anchor: middle; }
.network .fail { --v: var(--fail); } .network .conflict { --v: var(--conflict); }
.network .unknown { --v: var(--unknown); } .network .waived { --v: var(--waived); }
.network .attested { --v: var(--attested); } .network .pass { --v: var(--pass); }
.network .not-applicable { --v: var(--none); }
.network .node { fill: var(--v); }
.network .link { stroke: var(--v); }
.network .link.fail { stroke-width: 3.2; }
.network .link.unknown { stroke-dasharray: 2 5; stroke-linecap: round; stroke-width: 2.6; }
.network .link.conflict { stroke-dasharray: 11 4 2 4; stroke-width: 2.6; }
.network .link.waived { stroke-dasharray: 7 4; }
.network .link.not-applicable { opacity: .75; }
"""


@dataclass(frozen=True, slots=True)
class _Curve:
    """A cubic curve between two ports."""

    points: tuple[tuple[float, float], ...]  # four

    @property
    def path(self) -> str:
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = self.points
        return f"M{x0:.1f} {y0:.1f}C{x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f} {x3:.1f} {y3:.1f}"

    def at(self, t: float) -> tuple[float, float]:
        """The point at `t`, from 0 to 1 (Bernstein's form)."""
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        x = sum(weight * point[0] for weight, point in zip(weights, self.points, strict=True))
        return x, sum(weight * point[1] for weight, point in zip(weights, self.points, strict=True))


def svg(told: JudgedNetwork, *, route: Sequence[str] = (), heading: bool = True) -> str:
    """The picture. `route` names spans and segments in order; ids that are no link of the picture are passed over."""
    layout = arrange(told.network)
    top = TOP if heading else MARGIN
    height = top + layout.height + LEGEND
    curves = _curves(layout, top)
    worst = _worst(told)
    label = quoteattr(printable(_sentence(told, layout, route)))
    size = f'viewBox="0 0 {WIDTH} {height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="network" {size} role="img" aria-label={label}>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height:.0f}"/>',
    ]
    if heading:
        said = f"Declared facts judged as of {told.report.at}. {told.headline}"
        parts += [
            f'<text class="title" x="{MARGIN + 4}" y="25">{escape(printable(told.network.title))}</text>',
            f'<text class="soft" x="{MARGIN + 4}" y="45">{escape(said)}</text>',
        ]
    for side, column in enumerate(layout.columns):
        for box in column:
            parts += _box(box, side, top)
    parts += _links(layout, curves, worst, route, told)
    for side, column in enumerate(layout.columns):
        for box in column:
            for row in box.rows:
                parts += _row(row, side, top, worst, told)
    parts += _route_steps(curves, route)
    parts += _legend(top + layout.height + 22, bool(route))
    return "".join([*parts, "</svg>\n"])


def _worst(told: JudgedNetwork) -> dict[str, list[Finding]]:
    """What was found of each entity, the worst first, without what did not apply."""
    found: dict[str, list[Finding]] = {}
    for subject, findings in told.by_subject.items():
        entity = told.entity(subject)
        if entity:
            applied = [finding for finding in findings if finding.verdict is not Verdict.NOT_APPLICABLE]
            found.setdefault(entity.id, []).extend(applied)
    return {name: sorted(findings, key=lambda finding: -finding.verdict) for name, findings in found.items()}


def _verdict(worst: Mapping[str, list[Finding]], entity: Entity) -> Verdict:
    findings = worst.get(entity.id)
    return findings[0].verdict if findings else Verdict.NOT_APPLICABLE


def _port(side: int) -> float:
    """Where facilities stand, at the edge of their box that looks at the middle."""
    return MARGIN + BOX if side == 0 else WIDTH - MARGIN - BOX


def _curves(layout: Layout, top: float) -> dict[str, _Curve]:
    """The curve of each link. Links between the same two places fan out."""
    curves: dict[str, _Curve] = {}
    beside: dict[frozenset[str], int] = {}
    room = _port(1) - _port(0)
    for link in layout.links:
        (side, y0), (other, y3) = layout.ports[link.first], layout.ports[link.second]
        y0, y3 = y0 + top, y3 + top
        x0, x3 = _port(side), _port(other)
        number = beside.setdefault(frozenset((link.first, link.second)), 0)
        beside[frozenset((link.first, link.second))] += 1
        inwards = 1 if side == 0 else -1
        if side == other:
            reach = min(26 + 0.42 * abs(y3 - y0), 0.62 * room) + 14 * number
            points = ((x0, y0), (x0 + inwards * reach, y0), (x3 + inwards * reach, y3), (x3, y3))
        else:
            shift = 46 * number
            points = (
                (x0, y0),
                (x0 + inwards * 0.45 * room, y0 + shift),
                (x3 - inwards * 0.45 * room, y3 + shift),
                (x3, y3),
            )
        curves[link.edge.id] = _Curve(points)
    return curves


def _box(box: Box, side: int, top: float) -> Iterator[str]:
    x = MARGIN if side == 0 else WIDTH - MARGIN - BOX
    y = top + box.y
    yield f'<rect class="box" x="{x}" y="{y:.1f}" width="{BOX}" height="{box.height:.1f}" rx="9"/>'
    members = sum(len(row.participants) for row in box.rows)
    places = sum(row.facility is not None for row in box.rows)
    said = f"{quantity(members, 'participant')}, {quantity(places, 'place')}"
    yield f'<text class="state" x="{x + 12}" y="{y + 19:.1f}">{escape(box.state)}</text>'
    yield f'<text class="soft" x="{x + BOX - 12}" y="{y + 19:.1f}" text-anchor="end">{said}</text>'


def _row(row: Row, side: int, top: float, worst: Mapping[str, list[Finding]], told: JudgedNetwork) -> Iterator[str]:
    y = top + row.y
    inner, outer = _port(side), MARGIN if side == 0 else WIDTH - MARGIN
    inwards = 1 if side == 0 else -1
    anchor = "end" if side == 0 else "start"
    if row.facility:
        verdict = _verdict(worst, row.facility)
        yield f'<g class="{verdict.word}">{_title(row.facility, worst, told)}'
        yield f'<circle class="node" cx="{inner}" cy="{y:.1f}" r="7.5" stroke="var(--surface)" stroke-width="1.5"/>'
        yield f'<text class="sign" x="{inner}" y="{y + 3.2:.1f}">{SIGNS[verdict]}</text>'
        yield (
            f'<text x="{inner - inwards * 14:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">'
            f"{escape(_fitting(printable(row.facility.name), NAME_ROOM))}</text></g>"
        )
    for number, participant in enumerate(row.participants):
        line = y + ROW * number
        verdict = _verdict(worst, participant)
        x = outer + inwards * 18
        if row.facility and number:
            # The participants below the first line enter where the first does: a stroke joins them.
            yield f'<path class="entry" d="M{x:.1f} {line - ROW + 7:.1f}V{line - 7:.1f}"/>'
        yield f'<g class="{verdict.word}">{_title(participant, worst, told)}'
        yield f'<rect class="node" x="{x - 6.5:.1f}" y="{line - 6.5:.1f}" width="13" height="13" rx="3"/>'
        yield f'<text class="sign" x="{x:.1f}" y="{line + 3.2:.1f}">{SIGNS[verdict]}</text>'
        start = "start" if side == 0 else "end"
        yield (
            f'<text x="{x + inwards * 12:.1f}" y="{line + 4:.1f}" text-anchor="{start}">'
            f"{escape(_fitting(printable(participant.name), NAME_ROOM))}</text></g>"
        )


def _links(
    layout: Layout,
    curves: Mapping[str, _Curve],
    worst: Mapping[str, list[Finding]],
    route: Sequence[str],
    told: JudgedNetwork,
) -> Iterator[str]:
    """All links, the worst on top, and those of the route on top of these."""
    ordered = sorted(layout.links, key=lambda link: (link.edge.id in route, _verdict(worst, link.edge)))
    for link in ordered:
        path = curves[link.edge.id].path
        word = _verdict(worst, link.edge).word
        kind = " segment" if link.edge.kind == SEGMENT else ""
        chosen = link.edge.id in route
        yield f"<g>{_title(link.edge, worst, told)}"
        if chosen:
            yield f'<path class="casing" d="{path}"/><path class="route" d="{path}"/>'
        yield f'<path class="link{kind} {word}{" over" if chosen else ""}" d="{path}"/></g>'


def _route_steps(curves: Mapping[str, _Curve], route: Sequence[str]) -> Iterator[str]:
    """The numbers of the steps, each where it is far enough from those before it."""
    taken: list[tuple[float, float]] = []
    for number, edge in enumerate((each for each in route if each in curves), 1):
        points = [curves[edge].at(t / 20) for t in (10, 8, 12, 6, 14, 4, 16)]
        free = [
            point for point in points if all((point[0] - x) ** 2 + (point[1] - y) ** 2 >= APART**2 for x, y in taken)
        ]
        x, y = (free or points)[0]
        taken.append((x, y))
        yield f'<circle class="step" cx="{x:.1f}" cy="{y:.1f}" r="10"/>'
        yield f'<text class="number" x="{x:.1f}" y="{y + 4:.1f}">{number}</text>'


def _legend(y: float, with_route: bool) -> Iterator[str]:
    x = MARGIN + 4.0
    for verdict in WORST_FIRST:
        word = verdict.word.replace("-", " ")
        label = word if verdict is not Verdict.NOT_APPLICABLE else "no rule applies"
        yield f'<g class="{verdict.word}"><path class="link segment {verdict.word}" d="M{x:.1f} {y}h30"/>'
        yield f'<circle class="node" cx="{x + 42:.1f}" cy="{y}" r="7.5"/>'
        yield f'<text class="sign" x="{x + 42:.1f}" y="{y + 3.2}">{SIGNS[verdict]}</text>'
        yield f'<text x="{x + 55:.1f}" y="{y + 4}">{label}</text></g>'
        x += 78 + CHARACTER * len(label)
    y += 28
    x = MARGIN + 4.0
    samples = [
        (f'<rect class="node" x="{{x}}" y="{y - 6.5}" width="13" height="13" rx="3"/>', 20, "participant"),
        (f'<circle class="node" cx="{{c}}" cy="{y}" r="7.5"/>', 20, "place"),
        (f'<path class="link segment" d="M{{x}} {y}h30"/>', 37, "cable segment"),
        (f'<path class="link" d="M{{x}} {y}h30"/>', 37, "other link"),
    ]
    if with_route:
        samples.append((f'<path class="route" d="M{{x}} {y}h30"/>', 42, "the chosen route"))
    for shape, width, label in samples:
        drawn = shape.replace("{x}", f"{x:.1f}").replace("{c}", f"{x + 7:.1f}")
        yield f'<g class="not-applicable">{drawn}<text x="{x + width:.1f}" y="{y + 4}">{label}</text></g>'
        x += width + 24 + CHARACTER * len(label)


def _title(entity: Entity, worst: Mapping[str, list[Finding]], told: JudgedNetwork) -> str:
    """What a pointer, or a screen reader, is told of an entity."""
    findings = worst.get(entity.id, [])
    state = value(entity, "state")
    lines = [f"{entity.name} ({entity.kind}{', ' + state if state else ''}{', synthetic' if entity.synthetic else ''})"]
    seen: set[tuple[str, Verdict]] = set()
    for finding in findings:
        if (finding.rule, finding.verdict) not in seen and finding.verdict > Verdict.PASS:
            seen.add((finding.rule, finding.verdict))
            lines.append(f"{finding.verdict.word}: {finding.rule}, {finding.title}")
    if not findings:
        lines.append("no rule applies")
    elif len(lines) == 1:
        lines.append("pass")
    return f"<title>{escape(chr(10).join(map(printable, lines)))}</title>"


def _sentence(told: JudgedNetwork, layout: Layout, route: Sequence[str]) -> str:
    states = sum(len(column) for column in layout.columns)
    said = (
        f"{told.network.title} as of {told.report.at}: {quantity(len(layout.ports), 'place')} in "
        f"{quantity(states, 'state')}, {quantity(len(layout.links), 'link')}. {told.headline}"
    )
    return f"{said} The chosen route takes {' then '.join(route)}." if route else said


def _fitting(name: str, room: float) -> str:
    """As much of a name as there is room for."""
    widths = [CHARACTER * (2 if unicodedata.east_asian_width(each) in "WF" else 1) for each in name]
    if sum(widths) <= room:
        return name
    kept, left = 0, room - CHARACTER
    while left >= widths[kept]:
        left -= widths[kept]
        kept += 1
    return name[:kept].rstrip() + "…"
