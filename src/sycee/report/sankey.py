"""Sankey diagram of money: streams from left to right, as wide as their amounts."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from sycee.core import money
from sycee.core.money import Currency
from sycee.report import chart
from sycee.report.chart import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STREAMS: Final = ("first", "second", "third", "fourth", "fifth", "sixth")  # safe for colour-blind readers
HEIGHT: Final = 400  # CSS pixels of the drawing
PADDING: Final = 0.13  # between nodes of a column, as a share of the height: space for a label of three lines
NODE_WIDTH: Final = 0.016  # as a share of the drawing's width
COLUMN_SPAN: Final = 0.86  # share of the width between the first and the last column; labels need the rest
LABEL_CHARACTERS: Final = 22  # a longer name is broken into lines

Link: TypeAlias = tuple[str, str, int]  # source, target, minor units


@dataclass(frozen=True, slots=True)
class Node:
    """Place of an account: column from 0 (left), top edge and height as shares of the drawing's height."""

    column: int
    top: float
    height: float
    minor: int  # money through it
    colour: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Band between two nodes. `source_top` and `target_top` are its upper edges there, `height` is its width."""

    source: str
    target: str
    source_top: float
    target_top: float
    height: float
    colour: str


@dataclass(frozen=True, slots=True)
class Diagram:
    """Nodes by name, and the streams between them."""

    nodes: dict[str, Node]
    streams: tuple[Stream, ...]


def flow(flows: Sequence[Link], *, currency: Currency, back: str = "{} (again)") -> Drawing:
    """Draw flows (source, target, minor units). See `arrange`."""
    diagram = arrange(flows, back)
    if not diagram.nodes:
        return chart.nothing
    last = max(node.column for node in diagram.nodes.values())

    def left(node: Node) -> float:
        return COLUMN_SPAN * node.column / last

    def draw(figure: Figure, narrow: bool) -> None:
        from matplotlib.patches import PathPatch, Rectangle
        from matplotlib.path import Path

        axes = figure.subplots()
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(1, 0)
        curve = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        for stream in diagram.streams:
            start, end = left(diagram.nodes[stream.source]) + NODE_WIDTH, left(diagram.nodes[stream.target])
            middle = (start + end) / 2
            upper, lower = (
                [(start, first), (middle, first), (middle, second), (end, second)]
                for first, second in (
                    (stream.source_top, stream.target_top),
                    (stream.source_top + stream.height, stream.target_top + stream.height),
                )
            )
            outline = Path([*upper, *reversed(lower), upper[0]], curve)
            axes.add_patch(PathPatch(outline, facecolor=chart.colour(f"{stream.colour}-soft"), edgecolor="none"))
        for name, node in diagram.nodes.items():
            corner = (left(node), node.top)
            axes.add_patch(Rectangle(corner, NODE_WIDTH, node.height, color=chart.colour(node.colour), linewidth=0))
            lines = textwrap.wrap(name, LABEL_CHARACTERS)
            place = (left(node) + NODE_WIDTH + 0.008, node.top + node.height / 2)
            for number, text in enumerate((*lines, money.format(node.minor, currency, code=True))):
                offset = (0, (len(lines) / 2 - number) * 1.3 * chart.FONT_SIZE)
                weight = "bold" if number < len(lines) else "normal"
                axes.annotate(text, place, offset, textcoords="offset points", va="center", weight=weight)

    return draw


def arrange(flows: Sequence[Link], back: str) -> Diagram:
    """Place nodes and streams; flows of nothing are omitted.

    A node is to the right of all its sources; a node without targets is in the last column. Nodes of a column are
    in the order of their sources, so that few streams cross. A stream has one colour until it meets another. If
    money returns to an earlier account, that account is drawn a second time, named by `back`.
    """
    links = _without_cycles([link for link in flows if link[2] > 0], back)
    if not links:
        return Diagram({}, ())
    names = list(dict.fromkeys(name for source, target, _ in links for name in (source, target)))
    incoming: dict[str, int] = defaultdict(int)
    outgoing: dict[str, int] = defaultdict(int)
    for source, target, minor in links:
        outgoing[source] += minor
        incoming[target] += minor
    through = {name: max(incoming[name], outgoing[name]) for name in names}
    colours = _stream_colours(links)
    scale, nodes = _nodes(links, through, colours)

    below: dict[tuple[str, bool], float] = {}  # upper edge of the next stream: (node, whether it enters)
    streams = []
    for source, target, minor in sorted(links, key=lambda link: (nodes[link[0]].top, nodes[link[1]].top)):
        source_top = below.get((source, False), nodes[source].top)
        target_top = below.get((target, True), nodes[target].top)
        height = minor * scale
        below[source, False], below[target, True] = source_top + height, target_top + height
        shade = colours[target] if colours[source] == "neutral" else colours[source]
        streams.append(Stream(source, target, source_top, target_top, height, shade))
    return Diagram(nodes, tuple(streams))


def _nodes(links: Sequence[Link], through: dict[str, int], colours: dict[str, str]) -> tuple[float, dict[str, Node]]:
    """Return the height of one minor unit, and the nodes."""
    depth = dict.fromkeys(through, 0)
    for _ in through:  # links have no cycles, so this many iterations find every depth
        for source, target, _minor in links:
            depth[target] = max(depth[target], depth[source] + 1)
    deepest = max(depth.values())
    sources = {source for source, _, _ in links}
    column = {name: depth[name] if name in sources else deepest for name in through}
    columns = [[name for name in through if column[name] == number] for number in range(deepest + 1)]
    scale = min(max(1 - PADDING * (len(names) - 1), 0.1) / sum(through[name] for name in names) for names in columns)

    nodes: dict[str, Node] = {}
    for number, names in enumerate(columns):
        fed = {name: [(nodes[source], minor) for source, target, minor in links if target == name] for name in names}
        mean = {
            name: sum((node.top + node.height / 2) * minor for node, minor in fed[name])
            / max(sum(minor for _, minor in fed[name]), 1)
            for name in names
        }
        top = (1 - sum(through[name] for name in names) * scale - PADDING * (len(names) - 1)) / 2
        for name in sorted(names, key=mean.__getitem__):  # stable: nodes without a source stay in the given order
            nodes[name] = Node(number, top, through[name] * scale, through[name], colours[name])
            top += nodes[name].height + PADDING
    return scale, nodes


def _without_cycles(links: Sequence[Link], back: str) -> list[Link]:
    """Return the links; one that closes a cycle ends in a second node, named by `back`."""
    after: dict[str, set[str]] = defaultdict(set)
    found = []
    for source, target, minor in links:
        if source == target or source in _reachable(after, target):
            target = back.format(target)
        after[source].add(target)
        found.append((source, target, minor))
    return found


def _reachable(after: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = after.get(waiting.pop(), set()) - found
        found |= new
        waiting.extend(new)
    return found


def _stream_colours(links: Sequence[Link]) -> dict[str, str]:
    """Return a colour per node: that of its stream, or `meeting` where several streams feed it."""
    sources: dict[str, list[str]] = defaultdict(list)
    names = list(dict.fromkeys(name for source, target, _ in links for name in (source, target)))
    for source, target, _ in links:
        sources[target].append(source)
    streams: Iterable[str] = iter(STREAMS)
    roots = {name for name in names if not sources[name]}
    colours = dict.fromkeys(roots, "neutral")
    waiting = [name for name in names if name not in roots]
    while waiting:
        for name in list(waiting):
            if any(source not in colours for source in sources[name]):
                continue
            waiting.remove(name)
            if set(sources[name]) <= roots:
                colours[name] = next(iter(streams), "neutral")
            else:
                fed = {colours[source] for source in sources[name]}
                colours[name] = fed.pop() if len(fed) == 1 else "meeting"
    return colours
