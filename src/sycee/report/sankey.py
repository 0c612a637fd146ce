"""Money on its way, as a Sankey picture: every stream from where it begins to where it ends."""

from __future__ import annotations

import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from sycee.core.money import Currency
from sycee.report import chart
from sycee.report.page import Figure

STREAMS: Final = ("first", "second", "third", "fourth", "fifth", "sixth")  # the page's colours, told apart by anyone
HEIGHT: Final = 460  # CSS pixels of the picture with its margins; its places are worked out for this height
MARGIN: Final = 30
PAD: Final = 46  # between places of one column: room for a label of three lines
LABEL_CHARACTERS: Final = 22  # a longer name is broken into lines


def flow(flows: Sequence[tuple[str, str, int]], *, currency: Currency, back: str = "{} (again)") -> Figure:
    """Money on its way as a Sankey picture.

    A stream keeps its colour until it meets another. Where money comes back to where it was before, that place is shown
    a second time, named by `back`, since the picture reads from left to right.
    """
    links = _unrolled([(source, target, minor) for source, target, minor in flows if minor > 0], back)
    if not links:
        return chart.nothing()
    names = list(dict.fromkeys(name for source, target, _ in links for name in (source, target)))
    into: dict[str, int] = defaultdict(int)
    out: dict[str, int] = defaultdict(int)
    for source, target, minor in links:
        out[source] += minor
        into[target] += minor
    colours = _stream_colours(links)
    through = {name: max(into[name], out[name]) for name in names}
    places = places_of(links, through)
    # Plotly lays the streams of one place side by side in the order of these lists.
    names.sort(key=lambda name: places[name])
    links.sort(key=lambda link: (places[link[0]], places[link[1]]))
    number = {name: index for index, name in enumerate(names)}
    return {
        "data": [
            {
                "type": "sankey",
                "orientation": "h",
                "arrangement": "fixed",
                "valueformat": ",.2f",
                "textfont": {"color": chart.colour("ink"), "shadow": "none"},
                "node": {
                    "label": [f"<b>{_broken(name)}</b><br>{chart.amount(through[name], currency)}" for name in names],
                    "color": [chart.colour(colours[name]) for name in names],
                    "customdata": [f"{chart.plain(name)}: {chart.amount(through[name], currency)}" for name in names],
                    "hovertemplate": "%{customdata}<extra></extra>",
                    "x": [places[name][0] for name in names],
                    "y": [places[name][1] for name in names],
                    "pad": PAD,
                    "thickness": 16,
                    "line": {"width": 0},
                },
                "link": {
                    "source": [number[source] for source, _, _ in links],
                    "target": [number[target] for _, target, _ in links],
                    "value": [minor / 10**currency.digits for _, _, minor in links],
                    "color": [
                        chart.colour(f"{_link_colour(colours, source, target)}-soft") for source, target, _ in links
                    ],
                    "customdata": [
                        f"{chart.plain(source)} → {chart.plain(target)}<br><b>{chart.amount(minor, currency)}</b>"
                        for source, target, minor in links
                    ],
                    "hovertemplate": "%{customdata}<extra></extra>",
                },
            }
        ],
        "layout": chart.layout(margin={"l": 8, "r": 8, "t": MARGIN, "b": MARGIN}),
    }


def places_of(links: Sequence[tuple[str, str, int]], through: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Where the centre of each place of a flow stands, from 0 to 1, left to right and top to bottom.

    A place stands right of all that feed it; money that goes no further stands at the right edge. Within a column,
    places are in the order of what feeds them, so that streams cross as little as they must.
    """
    depth = dict.fromkeys(through, 0)
    for _ in through:  # links have no circles, so this many rounds settle every depth
        for source, target, _minor in links:
            depth[target] = max(depth[target], depth[source] + 1)
    deepest = max(depth.values())
    going = {source for source, _, _ in links}
    column = {name: depth[name] if name in going else deepest for name in through}
    columns = [[name for name in through if column[name] == number] for number in range(deepest + 1)]

    pad = PAD / (HEIGHT - 2 * MARGIN)
    scale = min(max(1 - pad * (len(names) - 1), 0.1) / sum(through[name] for name in names) for names in columns)
    places: dict[str, tuple[float, float]] = {}
    for number, names in enumerate(columns):
        feeds = {
            name: [(places[source][1], minor) for source, target, minor in links if target == name] for name in names
        }
        mean = {
            name: sum(y * m for y, m in fed) / sum(m for _, m in fed) if fed else 0.0 for name, fed in feeds.items()
        }
        height = {name: through[name] * scale for name in names}
        top = (1 - sum(height.values()) - pad * (len(names) - 1)) / 2
        for name in sorted(names, key=mean.__getitem__):  # stable: roots stay in the order given
            # Neither 0 nor 1: plotly takes 0 for "not given".
            x, y = number / max(deepest, 1), top + height[name] / 2
            places[name] = (min(max(x, 0.001), 0.999), min(max(y, 0.001), 0.999))
            top += height[name] + pad
    return places


def _unrolled(links: Sequence[tuple[str, str, int]], back: str) -> list[tuple[str, str, int]]:
    """The same links without circles: one that leads back to where its money was before ends in a place of its own."""
    after: dict[str, set[str]] = defaultdict(set)
    unrolled = []
    for source, target, minor in links:
        if source == target or source in _reached(after, target):
            target = back.format(target)
        after[source].add(target)
        unrolled.append((source, target, minor))
    return unrolled


def _reached(after: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in after.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def _stream_colours(links: Sequence[tuple[str, str, int]]) -> dict[str, str]:
    """A colour for each place: its stream's where one stream alone feeds it, else that of a meeting."""
    feeds: dict[str, list[str]] = defaultdict(list)
    names = list(dict.fromkeys(name for source, target, _ in links for name in (source, target)))
    for source, target, _ in links:
        feeds[target].append(source)
    streams: Iterable[str] = iter(STREAMS)
    roots = {name for name in names if not feeds[name]}
    colours = dict.fromkeys(roots, "neutral")
    waiting = [name for name in names if name not in roots]
    while waiting:
        for name in list(waiting):
            if any(source not in colours for source in feeds[name]):
                continue
            waiting.remove(name)
            fed = {colours[source] for source in feeds[name]}
            if set(feeds[name]) <= roots:
                colours[name] = next(iter(streams), "neutral")
            else:
                colours[name] = fed.pop() if len(fed) == 1 else "meeting"
    return colours


def _link_colour(colours: dict[str, str], source: str, target: str) -> str:
    return colours[target] if colours[source] == "neutral" else colours[source]


def _broken(name: str) -> str:
    return "<br>".join(chart.plain(line) for line in textwrap.wrap(name, LABEL_CHARACTERS))
