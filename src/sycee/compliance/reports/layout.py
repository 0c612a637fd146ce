"""Layout of a network's picture: states are boxes in two columns, with links between the columns.

Facilities are at the side of the box that faces the other column, each in a row with the participants that enter there.
Columns and orders are chosen so that links are short and cross the middle, by fixed rules: the same network always has
the same layout. No two texts overlap. Lengths are pixels of the picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from sycee.compliance.facts import Entity, Network
from sycee.compliance.vocabulary import FACILITY, PARTICIPANT, SEGMENT, SPAN

ROW: Final = 21
HEADING: Final = 28
GAP: Final = 14  # between boxes
FOOT: Final = 7  # in a box, below its last row
UNDECLARED: Final = "state not declared"
SWEEPS: Final = 12  # of ordering; networks of this size converge sooner


@dataclass(slots=True)
class Row:
    """A facility and the participants that enter there; None for those that enter elsewhere."""

    facility: Entity | None
    participants: list[Entity] = field(default_factory=list)
    y: float = 0.0  # middle of the first line

    @property
    def lines(self) -> int:
        """Return the number of lines of text."""
        return max(1, len(self.participants))


@dataclass(slots=True)
class Box:
    """A state with its rows."""

    state: str
    rows: list[Row]
    y: float = 0.0

    @property
    def height(self) -> float:
        """Return the height of the box."""
        return HEADING + ROW * sum(row.lines for row in self.rows) + FOOT


@dataclass(frozen=True, slots=True)
class Link:
    """An edge with both of its ends."""

    edge: Entity
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes of both columns from top to bottom, the positions of facilities, and the links."""

    columns: tuple[list[Box], list[Box]]
    ports: Mapping[str, tuple[int, float]]  # of each facility: column and y
    links: tuple[Link, ...]
    height: float


def arrange(network: Network) -> Layout:
    """Return the layout of all facilities, participants and links of a network."""
    boxes = _boxes(network)
    state_of = {row.facility.id: box.state for box in boxes for row in box.rows if row.facility}
    links = tuple(_links(network, state_of))
    between: dict[tuple[str, str], int] = defaultdict(int)
    for link in links:
        first, second = sorted((state_of[link.first], state_of[link.second]))
        between[first, second] += 1
    columns = _columns(boxes, between)
    _order(columns, links)
    height = _stack(columns)
    return Layout(columns, _ports(columns), links, height)


def _boxes(network: Network) -> list[Box]:
    """Return a box for each state, the largest first, then by name."""
    rows: dict[str, list[Row]] = defaultdict(list)
    row_of: dict[str, tuple[str, Row]] = {}
    for facility in network.of_kind(FACILITY):
        state, row = _state(facility), Row(facility)
        rows[state].append(row)
        row_of[facility.id] = state, row
    elsewhere: dict[str, Row] = {}
    for participant in network.of_kind(PARTICIPANT):
        state, gateways = _state(participant), participant.values("gateway")
        at, row = row_of.get(gateways[0] if gateways else "", ("", Row(None)))
        entry = row if at == state else elsewhere.setdefault(state, Row(None))
        entry.participants.append(participant)
    for state, row in elsewhere.items():
        rows[state].append(row)
    return sorted((Box(state, each) for state, each in rows.items()), key=lambda box: (-box.height, box.state))


def _links(network: Network, state_of: Mapping[str, str]) -> Iterable[Link]:
    """Yield the edges whose two ends are declared facilities. Others cannot be drawn."""
    for kind in (SPAN, SEGMENT):
        for edge in network.of_kind(kind):
            ends = edge.values("ends")
            if len(ends) == 2 and all(end in state_of for end in ends):
                yield Link(edge, *ends)


def _state(entity: Entity) -> str:
    return next(iter(entity.values("state")), UNDECLARED)


def _columns(boxes: Sequence[Box], between: Mapping[tuple[str, str], int]) -> tuple[list[Box], list[Box]]:
    """Return two columns of similar height with few links inside a column: a local optimum by moves of one or two."""
    side = {box.state: place % 2 for place, box in enumerate(boxes)}
    height = {box.state: box.height + GAP for box in boxes}

    def cost() -> float:
        same = sum(count for (a, b), count in between.items() if a != b and side[a] == side[b])
        tilt = abs(sum(height[state] if side[state] else -height[state] for state in side))
        return same + tilt / (2 * ROW)

    best, improved = cost(), True
    while improved:
        improved = False
        moves = [{box.state} for box in boxes]
        moves += [{a.state, b.state} for place, a in enumerate(boxes) for b in boxes[:place]]
        for move in moves:
            before = dict(side)
            side.update({state: 1 - side[state] for state in move})
            if cost() < best - 1e-9:
                best, improved = cost(), True
            else:
                side.update(before)
    left = [box for box in boxes if side[box.state] == side[boxes[0].state]]
    return left, [box for box in boxes if box not in left]


def _order(columns: tuple[list[Box], list[Box]], links: Sequence[Link]) -> None:
    """Order boxes, and the rows in them, by the mean y of their links' other ends; use the sweep with least length."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for link in links:
        neighbours[link.first].append(link.second)
        neighbours[link.second].append(link.first)

    def mean_y(row: Row, ports: Mapping[str, tuple[int, float]]) -> float:
        ends = [ports[each][1] for each in neighbours[row.facility.id]] if row.facility else []
        return sum(ends) / len(ends) if ends else row.y

    best, best_order = float("inf"), [[(box, list(box.rows)) for box in column] for column in columns]
    for _ in range(SWEEPS):
        for column in columns:
            _stack(columns)
            ports = _ports(columns)
            means = {id(row): mean_y(row, ports) for box in column for row in box.rows}
            for box in column:
                box.rows.sort(key=lambda row: (row.facility is None, means[id(row)]))
            column.sort(key=lambda box: sum(means[id(row)] for row in box.rows) / len(box.rows))
        _stack(columns)
        ports = _ports(columns)
        length = sum(abs(ports[link.first][1] - ports[link.second][1]) for link in links)
        if length < best - 1e-9:
            best, best_order = length, [[(box, list(box.rows)) for box in column] for column in columns]
    for column, order in zip(columns, best_order, strict=True):
        column[:] = [box for box, _ in order]
        for box, rows in order:
            box.rows[:] = rows


def _stack(columns: Iterable[list[Box]]) -> float:
    """Set the y of boxes and rows, with both columns centred. Return the height of the taller column."""
    heights = [sum(box.height for box in column) + GAP * max(len(column) - 1, 0) for column in columns]
    tallest = max(heights, default=0.0)
    for column, height in zip(columns, heights, strict=True):
        y = (tallest - height) / 2
        for box in column:
            box.y = y
            line = y + HEADING + ROW / 2
            for row in box.rows:
                row.y = line
                line += ROW * row.lines
            y += box.height + GAP
    return tallest


def _ports(columns: Iterable[list[Box]]) -> dict[str, tuple[int, float]]:
    return {
        row.facility.id: (side, row.y)
        for side, column in enumerate(columns)
        for box in column
        for row in box.rows
        if row.facility
    }
