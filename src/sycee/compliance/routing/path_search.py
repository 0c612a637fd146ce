"""Ways through a network of places and links, and the best of them under regimes that the way itself makes apply.

Here a regime is a bit, and a place or a link is what it does to it: touch it (it applies), or fail it. What any part
of a way touches applies to all of the way, the parts before too: so neither the cheapest way nor the cheapest way to a
place on the way says anything by itself. But a way that keeps to a regime does one of two things: nowhere does it
touch the regime, or nowhere does it fail it. Each of the two is a plain search in a network from which something is
taken out. `best` takes the least way of all, looks which regimes it breaks, and tries both for one of these, and also
to let it be broken, always going on with what can still come out best. The first way that breaks no more than it was
let is the best there is.
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

REGIMES_MAX: Final = 63  # a bit each, beside the one for costs
COST: Final = 1 << 63  # as if it were a regime that always applies: a link whose cost nobody declared lacks a fact
# Each search takes a fraction of a millisecond. Twenty regimes or so that all hang on the way may need more: an answer
# that takes minutes helps nobody who waits to send.
SEARCHES_MAX: Final = 1 << 14

Bits = NDArray[np.uint64]
Numbers = NDArray[np.int32]


class Masks(NamedTuple):
    """What something does to each regime. Cumulative: what applies may apply too, and what fails is not in order."""

    touched: int = 0  # makes it apply
    reached: int = 0  # makes it apply, or may: a fact is missing
    failed: int = 0  # breaks a rule of it
    dirty: int = 0  # breaks a rule of it, or may: a fact is missing

    def __or__(self, other: tuple[int, ...]) -> Masks:
        """What both do together."""
        return Masks(*[one | another for one, another in zip(self, other, strict=True)])

    def __and__(self, bits: int) -> Masks:
        """Of some regimes only."""
        return Masks(*[each & bits for each in self])

    @property
    def broken(self) -> int:
        """The regimes that apply and are failed."""
        return self.touched & self.failed

    @property
    def lacking(self) -> int:
        """The regimes that may be broken, as far as anybody knows."""
        return self.reached & self.dirty & ~self.broken


@dataclass(frozen=True, slots=True)
class Link:
    """A span or a segment between two places, by their numbers. `cost` is None where nobody declared it."""

    id: str
    one: int
    other: int
    cost: int | None


class Graph:
    """Places and links as arrays. Links are numbered in the order of their ids, so that ties go by ids."""

    def __init__(self, places: Sequence[str], links: Sequence[Link]) -> None:
        self.places = tuple(places)
        self.links = tuple(sorted(links, key=lambda link: link.id))
        # A weight is the cost and, below it, the number of links: of two ways of one cost the shorter weighs less.
        self.shift = len(self.places).bit_length()
        for link in self.links:
            if link.cost is not None and (link.cost * len(self.places) + 1) << self.shift >= route_kernel.FAR:
                message = f"{link.id}: a cost of {link.cost:,} cannot be added up over {len(self.places):,} places"
                raise UsageError(message, hint="choose a larger unit of cost for the whole network")
        self.weights = np.array([((link.cost or 0) << self.shift) + 1 for link in self.links], np.int64)
        ends = np.array([(link.one, link.other) for link in self.links], np.int32).reshape(-1, 2)
        leaving = np.concatenate((ends[:, 0], ends[:, 1]))
        order = np.argsort(leaving, kind="stable")
        self.starts = np.zeros(len(self.places) + 1, np.int32)
        np.cumsum(np.bincount(leaving, minlength=len(self.places)), out=self.starts[1:])
        self.arc_nodes = np.concatenate((ends[:, 1], ends[:, 0]))[order]
        self.arc_edges = np.tile(np.arange(len(self.links), dtype=np.int32), 2)[order]

    def to(self, target: int) -> NDArray[np.int64]:
        """The least weight from each place to this one, whatever that breaks: int64 [places]."""
        out = np.empty(len(self.places), np.int64)
        route_kernel.distances(self.starts, self.arc_nodes, self.arc_edges, self.weights, target, out)
        return out


@dataclass(frozen=True, slots=True)
class MaskTable:
    """What places and links do to regimes. Those that do the same are of one class."""

    of_places: Numbers  # [places], the class of each
    of_links: Numbers  # [links]
    masks: Bits  # [classes, 4], in the order of `Masks`


@dataclass(frozen=True, slots=True)
class Path:
    """A way, by the numbers of its links and places, and what all of it does, with what the flow does by itself."""

    links: tuple[int, ...]
    places: tuple[int, ...]
    weight: int
    masks: Masks


class _Limits(NamedTuple):
    """What a search is held to: what nothing on its way may do, and the regimes that are let be broken, or lack."""

    without: Masks
    broken: int
    lacking: int


class _Search:
    """One question to one graph."""

    def __init__(self, graph: Graph, marks: MaskTable, base: Masks, considered: int, source: int, target: int) -> None:
        self.graph, self.marks, self.considered = graph, marks, considered
        self.source, self.target = source, target
        one, other = marks.masks[marks.of_places[[source, target]]].tolist()
        self.start = (base | one | other) & considered
        self.to_target = graph.to(target)
        places = len(graph.places)
        self.out = (np.empty(places, np.int32), np.empty(places, np.int32), np.empty(len(base), np.uint64))

    def least(self, without: Masks) -> Path | None:
        """The least way on which nothing does what is not allowed."""
        if any(each & start for each, start in zip(without, self.start, strict=True)):
            return None
        graph, marks = self.graph, self.marks
        found = route_kernel.least(
            graph.starts,
            graph.arc_nodes,
            graph.arc_edges,
            graph.weights,
            self.to_target,
            marks.of_places,
            marks.of_links,
            marks.masks,
            np.array(without, np.uint64),
            self.source,
            self.target,
            self.out,
        )
        if found == route_kernel.NO_WAY:
            return None
        links, places, done = self.out
        ids = links[:found].tolist()
        masks = self.start | (Masks(*done.tolist()) & self.considered)
        return Path(tuple(ids), tuple(places[: found + 1].tolist()), int(graph.weights[ids].sum()), masks)


def best(
    graph: Graph,
    marks: MaskTable,
    base: Masks,
    considered: int,
    source: int,
    target: int,
    *,
    broken: int = 0,
    lacking: int = 0,
    nearest_miss: bool = True,
) -> Path | None:
    """The best way from one place to another: fewest regimes broken, then fewest that lack a fact, then least weight.

    Equal ones go by the ids of their links from the start on. `base` is what the flow does by itself, and only regimes
    in `considered` count; those `broken`, and those `lacking` a fact, are that whatever the way. None if nothing joins
    the two, and without `nearest_miss` if no way is all in order. UnavailableError beyond SEARCHES_MAX.
    """
    search = _Search(graph, marks, base, considered, source, target)
    ticks = count()
    waiting: list[tuple[tuple[int, int, int, tuple[int, ...]], int, _Limits, Path | None]] = []

    def wait(limits: _Limits, way: Path | None, at_least: Path | None) -> None:
        """Have it looked at in its turn. A way of fewer possibilities is no less than `at_least`."""
        known = (0, ()) if at_least is None else (at_least.weight, at_least.links)
        key = (limits.broken.bit_count(), limits.lacking.bit_count(), *known)
        heappush(waiting, (key, next(ticks), limits, way))

    wait(_Limits(Masks(), broken, lacking), None, None)
    searches = 0
    while waiting:
        _, _, limits, way = heappop(waiting)
        if not nearest_miss and limits.broken | limits.lacking:
            return None
        if way is None:
            searches += 1
            if searches > SEARCHES_MAX:
                regimes = (considered & ~COST).bit_count()
                message = f"no answer was found in {SEARCHES_MAX:,} searches under {regimes} regimes"
                raise UnavailableError(message, hint="ask for fewer profiles at once")
            way = search.least(limits.without)
            if way is not None:
                wait(limits, way, way)
            continue
        breaks, lacks = way.masks.broken & ~limits.broken, way.masks.lacking & ~limits.lacking & ~limits.broken
        if not breaks and not lacks:
            return way
        for stricter in _broken_less(limits, breaks) if breaks else _lacking_less(limits, lacks):
            wait(stricter, way if stricter.without == limits.without else None, way)
    return None


def _broken_less(limits: _Limits, broken: int) -> tuple[_Limits, ...]:
    """One regime of those broken: not touched, or not failed, or let be broken."""
    bit = broken & -broken
    return (
        limits._replace(without=limits.without | (bit, 0, 0, 0)),
        limits._replace(without=limits.without | (0, 0, bit, 0)),
        limits._replace(broken=limits.broken | bit, lacking=limits.lacking & ~bit),
    )


def _lacking_less(limits: _Limits, lacking: int) -> tuple[_Limits, ...]:
    """One regime of those that lack a fact: surely not touched, or surely in order, or let lack it."""
    bit = lacking & -lacking
    return (
        limits._replace(without=limits.without | (0, bit, 0, 0)),
        limits._replace(without=limits.without | (0, 0, 0, bit)),
        limits._replace(lacking=limits.lacking | bit),
    )
