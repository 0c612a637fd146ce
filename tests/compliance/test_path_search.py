"""The best path under regimes, compared with all simple paths of networkx."""

from __future__ import annotations

from collections.abc import Iterator

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sycee.compliance.routing import path_search
from sycee.compliance.routing.path_search import COST, Graph, Link, Masks, MaskTable, Path
from sycee.core.errors import UnavailableError, UsageError

REGIMES = 3
ALL = (1 << REGIMES) - 1 | COST


@st.composite
def masks(draw: st.DrawFn) -> Masks:
    touched, failed = (
        draw(st.integers(0, 7)) & draw(st.integers(0, 7)),
        draw(st.integers(0, 7)) & draw(st.integers(0, 7)),
    )
    perhaps, lacking = draw(st.sampled_from((0, 0, 0, 1, 2, 4))), draw(st.sampled_from((0, 0, 0, 1, 2, 4)))
    return Masks(touched, touched | perhaps, failed, failed | lacking)


@st.composite
def networks(draw: st.DrawFn) -> tuple[Graph, MaskTable]:
    places = draw(st.integers(2, 6))
    ends = st.tuples(st.integers(0, places - 1), st.integers(0, places - 1)).filter(lambda pair: pair[0] != pair[1])
    drawn = draw(st.lists(st.tuples(ends, st.sampled_from((0, 1, 1, 2, 3, None))), min_size=1, max_size=11))
    names = draw(st.permutations([f"link-{number}" for number in range(len(drawn))]))
    links = [Link(name, *pair, cost) for name, (pair, cost) in zip(names, drawn, strict=True)]
    graph = Graph([f"place-{number}" for number in range(places)], links)
    drawn_masks = draw(st.lists(masks(), min_size=places + len(links), max_size=places + len(links)))
    for number, link in enumerate(graph.links):
        if link.cost is None:
            drawn_masks[places + number] |= Masks(0, 0, 0, COST)
    of_all = np.arange(places + len(links), dtype=np.int32)
    return graph, MaskTable(of_all[:places], of_all[places:], np.array(drawn_masks, np.uint64))


def every_way(graph: Graph, source: int, target: int) -> Iterator[tuple[int, ...]]:
    """Yield all simple paths, by the numbers of their links."""
    drawn = nx.MultiGraph()
    drawn.add_nodes_from(range(len(graph.places)))
    for number, link in enumerate(graph.links):
        drawn.add_edge(link.one, link.other, key=number)
    if source == target:
        yield ()
        return
    for way in nx.all_simple_edge_paths(drawn, source, target):
        yield tuple(key for *_, key in way)


def together(graph: Graph, marks: MaskTable, base: Masks, source: int, links: tuple[int, ...]) -> Masks:
    """Return the combined masks of a path."""
    done, at = base, source
    for part in (marks.of_places[at], *(number for link in links for number in _parts(graph, marks, link))):
        done = done | tuple(marks.masks[part].tolist())
    return done


def _parts(graph: Graph, marks: MaskTable, link: int) -> tuple[int, ...]:
    ends = graph.links[link]
    return marks.of_links[link], marks.of_places[ends.one], marks.of_places[ends.other]


def places_on(graph: Graph, source: int, links: tuple[int, ...]) -> list[int]:
    places = [source]
    for link in links:
        ends = graph.links[link]
        places.append(ends.other if places[-1] == ends.one else ends.one)
    return places


def order(graph: Graph, links: tuple[int, ...], done: Masks) -> tuple[object, ...]:
    cost = sum(graph.links[link].cost or 0 for link in links)
    return done.broken.bit_count(), done.lacking.bit_count(), cost, len(links), [graph.links[link].id for link in links]


@given(
    network=networks(), base=masks(), considered=st.integers(0, 7), ends=st.tuples(st.integers(0, 5), st.integers(0, 5))
)
@settings(max_examples=80, deadline=None)
def test_the_best_path_is_the_first_of_all_paths(
    network: tuple[Graph, MaskTable], base: Masks, considered: int, ends: tuple[int, int]
) -> None:
    graph, marks = network
    source, target = (end % len(graph.places) for end in ends)
    considered |= COST
    base |= Masks(COST, COST, 0, 0)
    found = path_search.best(graph, marks, base, considered, source, target)
    possible = [
        (order(graph, links, together(graph, marks, base, source, links) & considered), links)
        for links in every_way(graph, source, target)
    ]
    if not possible:
        assert found is None
        return
    first, links = min(possible)
    assert found is not None
    assert found.links == links
    assert found.masks == together(graph, marks, base, source, links) & considered
    assert order(graph, found.links, found.masks) == first
    assert list(found.places) == places_on(graph, source, links)
    assert found.weight >> graph.shift == first[2]


def line(*costs: int | None) -> tuple[Graph, MaskTable]:
    """Return places in a row, joined by links without effects."""
    graph = Graph(
        [f"place-{n}" for n in range(len(costs) + 1)], [Link(f"link-{n}", n, n + 1, c) for n, c in enumerate(costs)]
    )
    rows = [Masks(0, 0, 0, COST if link.cost is None else 0) for link in graph.links]
    classes = np.arange(len(costs), dtype=np.int32)
    return graph, MaskTable(
        np.full(len(costs) + 1, len(costs), np.int32), classes, np.array([*rows, Masks()], np.uint64)
    )


def best(network: tuple[Graph, MaskTable], considered: int = ALL) -> Path:
    graph, marks = network
    found = path_search.best(graph, marks, Masks(COST, COST, 0, 0), considered, 0, len(graph.places) - 1)
    assert found is not None
    return found


def test_an_undeclared_cost_is_a_missing_fact() -> None:
    assert best(line(1, 2, 3)).masks.lacking == 0
    assert best(line(1, None, 3)).masks.lacking == COST


def test_costs_that_overflow_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="link-1: a cost of 4,611,686,018,427,387,904") as refused:
        line(1, 1 << 62)
    assert "larger unit" in str(refused.value.hint)


def test_a_search_without_result_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, marks = line(1, 2)
    marks.masks[0] = Masks(1, 1, 1, 1)
    marks.masks[1] = Masks(0, 2, 0, 2)
    found = path_search.best(graph, marks, Masks(), 7, 0, 2)
    assert found is not None
    assert (found.masks.broken, found.masks.lacking) == (1, 2)
    monkeypatch.setattr(path_search, "SEARCHES_MAX", 4)
    with pytest.raises(UnavailableError, match="after 4 searches under 3 regimes"):
        path_search.best(graph, marks, Masks(), 7, 0, 2)
