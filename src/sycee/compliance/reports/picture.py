"""A picture of the network with its verdicts, as one SVG: places, participants, links and a route.

The colour of a place, a participant or a link is the worst verdict of the rules about it; a sign and the shape of the
line show the same without colour. A chosen route, or a nearest miss, is a thick line with numbered steps.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from sycee.compliance.facts import Entity
from sycee.compliance.reports.layout import ROW, Box, Layout, Row, arrange
from sycee.compliance.reports.summary import LOOKS, UNMET, WORST_FIRST, JudgedNetwork
from sycee.compliance.verdicts import Finding, Verdict
from sycee.compliance.vocabulary import SEGMENT
from sycee.core.terminal_text import printable
from sycee.core.words import quantity

WIDTH: Final = 1160
MARGIN: Final = 12
BOX: Final = 366
TOP: Final = 58  # height of the title
LEGEND: Final = 76
NAME_WIDTH: Final = 158  # of a facility's or participant's name
CHARACTER: Final = 6.25  # mean width of a character at this size; a wide one is twice as wide
STEPS_APART: Final = 26.0  # least distance between the numbers of a route's steps
ROUTE: Final = "the chosen route"
MISS: Final = "the nearest miss, not a route"


@dataclass(frozen=True, slots=True)
class _Side:
    """Geometry of a column: x of its box's left, inner and outer edge, and the direction of the middle."""

    left: int
    inner: int
    outer: int
    inwards: int
    inner_anchor: str
    outer_anchor: str


_SIDES: Final = (
    _Side(MARGIN, MARGIN + BOX, MARGIN, 1, "end", "start"),
    _Side(WIDTH - MARGIN - BOX, WIDTH - MARGIN - BOX, WIDTH - MARGIN, -1, "start", "end"),
)


@dataclass(frozen=True, slots=True)
class _Curve:
    """A cubic Bézier curve with four control points."""

    points: tuple[tuple[float, float], ...]

    @property
    def path(self) -> str:
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = self.points
        return f"M{x0:.1f} {y0:.1f}C{x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f} {x3:.1f} {y3:.1f}"

    def at(self, t: float) -> tuple[float, float]:
        """Return the point at `t`, from 0 to 1 (Bernstein form)."""
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        x, y = (
            sum(weight * point[axis] for weight, point in zip(weights, self.points, strict=True)) for axis in (0, 1)
        )
        return x, y


def svg(judged: JudgedNetwork, *, route: Sequence[str] = (), is_miss: bool = False, heading: bool = True) -> str:
    """Return the picture. `route` names spans and segments in order; ids without a link in the picture are ignored.

    With `is_miss` it is the nearest miss, which no payment may take, and is drawn dashed.
    """
    layout = arrange(judged.network)
    top = TOP if heading else MARGIN
    height = top + layout.height + LEGEND
    curves = _curves(layout, top)
    worst = _worst(judged)
    label = quoteattr(printable(_description(judged, layout, route, is_miss)))
    size = f'viewBox="0 0 {WIDTH} {height:.0f}"'
    style = resources.files("sycee.compliance.reports").joinpath("picture.css").read_text(encoding="utf-8")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="network" {size} role="img" aria-label={label}>',
        f"<style>\n{style}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height:.0f}"/>',
    ]
    if heading:
        subtitle = f"Declared facts judged as of {judged.report.at}. {judged.headline}"
        parts += [
            f'<text class="title" x="{MARGIN + 4}" y="25">{escape(printable(judged.network.title))}</text>',
            f'<text class="soft" x="{MARGIN + 4}" y="45">{escape(subtitle)}</text>',
        ]
    boxes = [(side, box) for side, column in zip(_SIDES, layout.columns, strict=True) for box in column]
    for side, box in boxes:
        parts += _box(box, side, top)
    parts += _links(layout, curves, worst, route, is_miss)
    for side, box in boxes:
        for row in box.rows:
            parts += _row(row, side, top, worst)
    parts += _route_steps(curves, route)
    parts += _legend(top + layout.height + 22, (MISS if is_miss else ROUTE) if route else "", is_miss)
    return "".join([*parts, "</svg>\n"])


def _worst(judged: JudgedNetwork) -> dict[str, list[Finding]]:
    """Return the findings that apply to each entity, the worst first."""
    found: dict[str, list[Finding]] = {}
    for subject, findings in judged.by_subject.items():
        if entity := judged.entity(subject):
            found.setdefault(entity.id, []).extend(finding for finding in findings if finding.applies)
    return {name: sorted(findings, key=lambda finding: -finding.verdict) for name, findings in found.items()}


def _verdict(worst: Mapping[str, list[Finding]], entity: Entity) -> Verdict:
    findings = worst.get(entity.id)
    return findings[0].verdict if findings else Verdict.NOT_APPLICABLE


def _curves(layout: Layout, top: float) -> dict[str, _Curve]:
    """Return the curve of each link. Links between the same two places fan out."""
    curves: dict[str, _Curve] = {}
    numbers: dict[frozenset[str], int] = {}
    middle = _SIDES[1].inner - _SIDES[0].inner
    for link in layout.links:
        (first, y0), (second, y3) = layout.ports[link.first], layout.ports[link.second]
        y0, y3 = y0 + top, y3 + top
        x0, x3, inwards = _SIDES[first].inner, _SIDES[second].inner, _SIDES[first].inwards
        pair = frozenset((link.first, link.second))
        number = numbers.setdefault(pair, 0)
        numbers[pair] += 1
        if first == second:
            reach = inwards * (min(26 + 0.42 * abs(y3 - y0), 0.62 * middle) + 14 * number)
            inner = ((x0 + reach, y0), (x3 + reach, y3))
        else:
            reach, shift = inwards * 0.45 * middle, 46 * number
            inner = ((x0 + reach, y0 + shift), (x3 - reach, y3 + shift))
        curves[link.edge.id] = _Curve(((x0, y0), *inner, (x3, y3)))
    return curves


def _box(box: Box, side: _Side, top: float) -> Iterator[str]:
    x, y = side.left, top + box.y
    yield f'<rect class="box" x="{x}" y="{y:.1f}" width="{BOX}" height="{box.height:.1f}" rx="9"/>'
    members = sum(len(row.participants) for row in box.rows)
    places = sum(row.facility is not None for row in box.rows)
    counts = f"{quantity(members, 'participant')}, {quantity(places, 'place')}"
    yield f'<text class="state" x="{x + 12}" y="{y + 19:.1f}">{escape(printable(box.state))}</text>'
    yield f'<text class="soft" x="{x + BOX - 12}" y="{y + 19:.1f}" text-anchor="end">{counts}</text>'


def _row(row: Row, side: _Side, top: float, worst: Mapping[str, list[Finding]]) -> Iterator[str]:
    y = top + row.y
    if row.facility:
        verdict = _verdict(worst, row.facility)
        yield f'<g class="{verdict.word}">{_title(row.facility, worst)}'
        x = side.inner
        yield f'<circle class="node" cx="{x}" cy="{y:.1f}" r="7.5"/>'
        yield f'<text class="sign" x="{x}" y="{y + 3.2:.1f}">{LOOKS[verdict].sign}</text>'
        yield _name(row.facility, x - side.inwards * 14, y, side.inner_anchor)
    x = side.outer + side.inwards * 18
    for number, participant in enumerate(row.participants):
        line = y + ROW * number
        verdict = _verdict(worst, participant)
        if row.facility and number:
            # A stroke joins the participants of one facility.
            yield f'<path class="entry" d="M{x:.1f} {line - ROW + 7:.1f}V{line - 7:.1f}"/>'
        yield f'<g class="{verdict.word}">{_title(participant, worst)}'
        yield f'<rect class="node" x="{x - 6.5:.1f}" y="{line - 6.5:.1f}" width="13" height="13" rx="3"/>'
        yield f'<text class="sign" x="{x:.1f}" y="{line + 3.2:.1f}">{LOOKS[verdict].sign}</text>'
        yield _name(participant, x + side.inwards * 12, line, side.outer_anchor)


def _name(entity: Entity, x: float, y: float, anchor: str) -> str:
    """Return the text of an entity's name, and the end of its group."""
    name = escape(_truncated(printable(entity.name), NAME_WIDTH))
    return f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}">{name}</text></g>'


def _links(
    layout: Layout,
    curves: Mapping[str, _Curve],
    worst: Mapping[str, list[Finding]],
    route: Sequence[str],
    is_miss: bool,
) -> Iterator[str]:
    """Yield all links, the worst on top of others, and those of the route on top of all."""
    for link in sorted(layout.links, key=lambda link: (link.edge.id in route, _verdict(worst, link.edge))):
        path = curves[link.edge.id].path
        word = _verdict(worst, link.edge).word
        kind = " segment" if link.edge.kind == SEGMENT else ""
        chosen = link.edge.id in route
        yield f"<g>{_title(link.edge, worst)}"
        if chosen:
            yield f'<path class="casing" d="{path}"/><path class="{_route_class(is_miss)}" d="{path}"/>'
        yield f'<path class="link{kind} {word}{" over" if chosen else ""}" d="{path}"/></g>'


def _route_steps(curves: Mapping[str, _Curve], route: Sequence[str]) -> Iterator[str]:
    """Yield the numbers of the steps, each at a distance from those before it."""
    placed: list[tuple[float, float]] = []
    for number, edge in enumerate((each for each in route if each in curves), 1):
        points = [curves[edge].at(t / 20) for t in (10, 8, 12, 6, 14, 4, 16)]
        free = [
            point
            for point in points
            if all((point[0] - x) ** 2 + (point[1] - y) ** 2 >= STEPS_APART**2 for x, y in placed)
        ]
        x, y = (free or points)[0]
        placed.append((x, y))
        yield f'<circle class="step" cx="{x:.1f}" cy="{y:.1f}" r="10"/>'
        yield f'<text class="number" x="{x:.1f}" y="{y + 4:.1f}">{number}</text>'


def _legend(y: float, route: str, is_miss: bool) -> Iterator[str]:
    x = MARGIN + 4.0
    for verdict in WORST_FIRST:
        label = "no rule applies" if verdict is Verdict.NOT_APPLICABLE else verdict.word
        yield f'<g class="{verdict.word}"><path class="link segment {verdict.word}" d="M{x:.1f} {y}h30"/>'
        yield f'<circle class="node" cx="{x + 42:.1f}" cy="{y}" r="7.5"/>'
        yield f'<text class="sign" x="{x + 42:.1f}" y="{y + 3.2}">{LOOKS[verdict].sign}</text>'
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
    if route:
        samples.append((f'<path class="{_route_class(is_miss)}" d="M{{x}} {y}h30"/>', 42, route))
    for shape, width, label in samples:
        drawn = shape.replace("{x}", f"{x:.1f}").replace("{c}", f"{x + 7:.1f}")
        yield f'<g class="not-applicable">{drawn}<text x="{x + width:.1f}" y="{y + 4}">{label}</text></g>'
        x += width + 24 + CHARACTER * len(label)


def _title(entity: Entity, worst: Mapping[str, list[Finding]]) -> str:
    """Return the text that a browser shows at the pointer and a screen reader reads."""
    findings = worst.get(entity.id, [])
    about = ", ".join([entity.kind, *entity.values("state"), *(["synthetic"] if entity.synthetic else [])])
    lines = [f"{entity.name} ({about})"]
    rules: dict[str, dict[str, None]] = {}
    for each in findings:
        if each.verdict in UNMET:
            rules.setdefault(each.verdict.word, {})[each.rule] = None
    lines += [f"{word}: {', '.join(names)}" for word, names in rules.items()]
    if len(lines) == 1:
        lines.append(findings[0].verdict.word if findings else "no rule applies")
    return f"<title>{escape(chr(10).join(map(printable, lines)))}</title>"


def _route_class(is_miss: bool) -> str:
    return "route miss" if is_miss else "route"


def _description(judged: JudgedNetwork, layout: Layout, route: Sequence[str], is_miss: bool) -> str:
    states = sum(len(column) for column in layout.columns)
    text = (
        f"{judged.network.title} as of {judged.report.at}: {quantity(len(layout.ports), 'place')} in "
        f"{quantity(states, 'state')}, {quantity(len(layout.links), 'link')}. {judged.headline}"
    )
    if not route:
        return text
    name = "No route; the nearest miss" if is_miss else "The chosen route"
    return f"{text} {name} is {' then '.join(route)}."


def _truncated(name: str, width: float) -> str:
    """Return a name, with its end replaced by an ellipsis if it is wider than `width`."""
    widths = [CHARACTER * (2 if unicodedata.east_asian_width(each) in "WF" else 1) for each in name]
    if sum(widths) <= width:
        return name
    count, left = 0, width - CHARACTER
    while left >= widths[count]:
        left -= widths[count]
        count += 1
    return name[:count].rstrip() + "…"
