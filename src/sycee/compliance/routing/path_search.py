"""Search for the best path through places and links, under regimes that the path itself makes apply.

Each regime is a bit, and a place or link has two effects on it: to touch it, so that it applies, and to fail it. A
regime that any part touches applies to the whole path, earlier parts included. So neither the cheapest path nor the
cheapest path to an intermediate place decides. But a path that complies with a regime either never touches it or never
fails it, and each of the two is a plain shortest path in a network without some parts. `best` takes the shortest path,
finds the regimes that it breaks, and branches on one of them: never touch it, never fail it, or accept the break. The
branch that can have the best result is always continued first, so the first path that breaks nothing beyond the
accepted regimes is the best. docs/decisions/0019 has the reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sycee.compliance.routing import route_kernel
from sycee.core.errors import UnavailableError, UsageError

REGIMES_MAX: Final = 63  # a bit each, beside COST
COST: Final = 1 << 63  # a regime that always applies: a link without a declared cost lacks a fact under it
SEARCHES_MAX: Final = 1 << 14  # a fraction of a millisecond each; 20 regimes that all depend on the path may need more

Bits = NDArray[np.uint64]
Numbers = NDArray[np.int32]


class Masks(NamedTuple):
    """Effects on regimes, as bits. The second and fourth include the first and third."""

    touched: int = 0  # regimes that surely apply
    may_touch: int = 0  # regimes that apply, or would with a missing fact
    failed: int = 0  # regimes with a rule that is surely broken
    may_fail: int = 0  # regimes with a rule that is broken, or would be with a missing fact

    def __or__(self, other: tuple[int, ...]) -> Masks:
        """Combine the effects of two parts."""
        return Masks(*[one | another for one, another in zip(self, other, strict=True)])

    def __and__(self, bits: int) -> Masks:
        """Select some regimes."""
        return Masks(*[each & bits for each in self])

    @property
    def broken(self) -> int:
        """The regimes that apply and are failed."""
        return self.touched & self.failed

    @property
    def lacking(self) -> int:
        """The regimes that a missing fact could break."""
        return self.may_touch & self.may_fail & ~self.broken


@dataclass(frozen=True, slots=True)
class Link:
    """A span or segment between two places, by their numbers. `cost` is None if it is not declared."""

    id: str
    one: int
    other: int
    cost: int | None


class Graph:
    """Places and links as arrays. Links are numbered in the order of their ids, which decides between equal paths."""

    def __init__(self, places: Sequence[str], links: Sequence[Link]) -> None:
        self.places = tuple(places)
        self.links = tuple(sorted(links, key=lambda link: link.id))
        # A weight is the cost and, in the lower bits, the number of links: of equally cheap paths the shorter wins.
        self.shift = len(self.places).bit_length()
        for link in self.links:
            if link.cost is not None and (link.cost * len(self.places) + 1) << self.shift >= route_kernel.FAR:
                message = f"{link.id}: a cost of {link.cost:,} overflows in the sum over {len(places):,} places"
                raise UsageError(message, hint="choose a larger unit of cost for the whole network")
        self.weights = np.array([((link.cost or 0) << self.shift) + 1 for link in self.links], np.int64)
        ends = np.array([(link.one, link.other) for link in self.links], np.int32).reshape(-1, 2)
        sources = np.concatenate((ends[:, 0], ends[:, 1]))
        order = np.argsort(sources, kind="stable")
        self.starts = np.zeros(len(self.places) + 1, np.int32)
        np.cumsum(np.bincount(sources, minlength=len(self.places)), out=self.starts[1:])
        self.arc_nodes = np.concatenate((ends[:, 1], ends[:, 0]))[order]
        self.arc_edges = np.tile(np.arange(len(self.links), dtype=np.int32), 2)[order]

    def to(self, target: int) -> NDArray[np.int64]:
        """Return the least weight from each place to `target`, without regard to regimes: int64 [places]."""
        out = np.empty(len(self.places), np.int64)
        route_kernel.distances(self.starts, self.arc_nodes, self.arc_edges, self.weights, target, out)
        return out


@dataclass(frozen=True, slots=True)
class MaskTable:
    """The effects of places and links on regimes. Places and links with equal effects are of one class."""

    of_places: Numbers  # [places], the class of each
    of_links: Numbers  # [links]
    masks: Bits  # [classes, 4], in the order of `Masks`


@dataclass(frozen=True, slots=True)
class Path:
    """A path, by the numbers of its links and places. `masks` are its effects with those of the flow itself."""

    links: tuple[int, ...]
    places: tuple[int, ...]
    weight: int
    masks: Masks


class _Branch(NamedTuple):
    """The limits of one branch of the search."""

    excluded: Masks  # effects that no part of its path may have
    broken: int  # regimes accepted as broken or as lacking a fact
    lacking: int


class _Search:
    def __init__(self, graph: Graph, table: MaskTable, base: Masks, considered: int, source: int, target: int) -> None:
        self.graph, self.table, self.considered = graph, table, considered
        self.source, self.target = source, target
        one, other = table.masks[table.of_places[[source, target]]].tolist()
        self.start = (base | one | other) & considered
        self.to_target = graph.to(target)
        places = len(graph.places)
        self.out = (np.empty(places, np.int32), np.empty(places, np.int32), np.empty(len(base), np.uint64))

    def shortest_path(self, excluded: Masks) -> Path | None:
        """Return the path of least weight on which nothing has an excluded effect."""
        if any(each & start for each, start in zip(excluded, self.start, strict=True)):
            return None
        graph, table = self.graph, self.table
        found = route_kernel.shortest_path(
            graph.starts,
            graph.arc_nodes,
            graph.arc_edges,
            graph.weights,
            self.to_target,
            table.of_places,
            table.of_links,
            table.masks,
            np.array(excluded, np.uint64),
            self.source,
            self.target,
            self.out,
        )
        if found == route_kernel.NO_PATH:
            return None
        links, places, effects = self.out
        numbers = links[:found].tolist()
        masks = self.start | (Masks(*effects.tolist()) & self.considered)
        return Path(tuple(numbers), tuple(places[: found + 1].tolist()), int(graph.weights[numbers].sum()), masks)


def best(
    graph: Graph,
    table: MaskTable,
    base: Masks,
    considered: int,
    source: int,
    target: int,
    *,
    broken: int = 0,
    lacking: int = 0,
    nearest_miss: bool = True,
) -> Path | None:
    """Return the best path: fewest regimes broken, then fewest that lack a fact, then least weight.

    The ids of the links, from the start on, decide between equal paths. `base` are the effects of the flow itself. Only
    regimes in `considered` count; `broken` and `lacking` are so on every path. None if no path joins the two places,
    and without `nearest_miss` if no path complies. UnavailableError after SEARCHES_MAX searches.
    """
    search = _Search(graph, table, base, considered, source, target)
    ticks = count()
    queue: list[tuple[tuple[int, int, int, tuple[int, ...]], int, _Branch, Path | None]] = []

    def push(branch: _Branch, path: Path | None, at_least: Path | None) -> None:
        """Queue a branch by its best possible result: a path with more exclusions is never better than `at_least`."""
        bound = (0, ()) if at_least is None else (at_least.weight, at_least.links)
        key = (branch.broken.bit_count(), branch.lacking.bit_count(), *bound)
        heappush(queue, (key, next(ticks), branch, path))

    push(_Branch(Masks(), broken, lacking), None, None)
    searches = 0
    while queue:
        _, _, branch, path = heappop(queue)
        if not nearest_miss and branch.broken | branch.lacking:
            return None
        if path is None:
            searches += 1
            if searches > SEARCHES_MAX:
                regimes = (considered & ~COST).bit_count()
                message = f"no result after {SEARCHES_MAX:,} searches under {regimes} regimes"
                raise UnavailableError(message, hint="ask for fewer profiles at once")
            path = search.shortest_path(branch.excluded)
            if path is not None:
                push(branch, path, path)
            continue
        breaks, lacks = path.masks.broken & ~branch.broken, path.masks.lacking & ~branch.lacking & ~branch.broken
        if not breaks and not lacks:
            return path
        for stricter in _branches(branch, breaks, lacks):
            push(stricter, path if stricter.excluded == branch.excluded else None, path)
    return None


def _branches(branch: _Branch, broken: int, lacking: int) -> tuple[_Branch, ...]:
    """Branch on one broken regime, or else on one that lacks a fact: never touch it, never fail it, or accept that.

    For a regime that lacks a fact, a part that may touch or fail it is excluded too.
    """
    regimes = broken or lacking
    bit = regimes & -regimes
    touching, failing = ((bit, 0, 0, 0), (0, 0, bit, 0)) if broken else ((0, bit, 0, 0), (0, 0, 0, bit))
    if broken:
        accepted = branch._replace(broken=branch.broken | bit, lacking=branch.lacking & ~bit)
    else:
        accepted = branch._replace(lacking=branch.lacking | bit)
    return (*(branch._replace(excluded=branch.excluded | effects) for effects in (touching, failing)), accepted)
