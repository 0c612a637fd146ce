"""The least way through a network from which some places and links are taken out, compiled.

Links go both ways. Arcs `starts[n]` to `starts[n + 1]` leave node n, to `arc_nodes` over the edges `arc_edges`; an
edge weighs `weights` [edges], which is never below 1, so that every way weighs more than any part of it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int32, int64, njit, types, uint64, void

from sycee.core import jit, kernel_build

NO_WAY: Final = -1
FAR: Final = 1 << 62  # the distance of what cannot be reached; every weight of a way is below it

kernel_build.ensure(__name__)
_plain: Any = njit(error_model="numpy")


@_plain
def _before(keys: Any, one: Any, other: Any) -> Any:
    """Whether entry `one` leaves the heap before `other`: by the whole weight that it can lead to, then by its own."""
    return keys[one, 0] < keys[other, 0] or (keys[one, 0] == keys[other, 0] and keys[one, 1] < keys[other, 1])


@_plain
def _push(heap: Any, size: Any, keys: Any, entry: Any) -> Any:
    at = size
    while at > 0:
        above = (at - 1) >> 1
        if not _before(keys, entry, heap[above]):
            break
        heap[at] = heap[above]
        at = above
    heap[at] = entry
    return size + 1


@_plain
def _pop(heap: Any, size: Any, keys: Any) -> Any:
    """Take the first off: it lies behind the end of the heap then, which is one shorter."""
    first, last = heap[0], heap[size - 1]
    size -= 1
    at = 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and _before(keys, heap[below + 1], heap[below]):
            below += 1
        if not _before(keys, heap[below], last):
            break
        heap[at] = heap[below]
        at = below
    heap[at] = last
    heap[size] = first
    return size


@jit.entry(
    void(int32[::1], int32[::1], int32[::1], int64[::1], int64, int64[::1]),
    error_model="numpy",
)
def distances(starts: Any, arc_nodes: Any, arc_edges: Any, weights: Any, target: Any, out: Any) -> None:
    """The least weight from each node to `target` through all there is, into `out` [nodes]; FAR where no way leads."""
    room = arc_nodes.shape[0] + 1
    heap, nodes, keys = np.empty(room, np.int64), np.empty(room, np.int32), np.zeros((room, 2), np.int64)
    out[:] = FAR
    out[target] = 0
    nodes[0], count = target, 1
    size = _push(heap, 0, keys, 0)
    while size:
        size = _pop(heap, size, keys)
        entry = heap[size]
        node = nodes[entry]
        if keys[entry, 0] > out[node]:
            continue
        for arc in range(starts[node], starts[node + 1]):
            there = out[node] + weights[arc_edges[arc]]
            if there < out[arc_nodes[arc]]:
                out[arc_nodes[arc]] = there
                nodes[count], keys[count, 0] = arc_nodes[arc], there
                size = _push(heap, size, keys, count)
                count += 1


@_plain
def _earlier(parents: Any, parent_edges: Any, node: Any, parent: Any, edge: Any) -> Any:
    """Whether the way to `node` by `edge` from `parent` comes before the one that it has, edge by edge from the start.

    Both weigh the same and so have as many edges: they are followed back to where they part.
    """
    earlier = edge < parent_edges[node]
    one, other = parent, parents[node]
    while one != other:
        if parent_edges[one] != parent_edges[other]:
            earlier = parent_edges[one] < parent_edges[other]
        one, other = parents[one], parents[other]
    return earlier


@_plain
def _trace(
    node: Any, parents: Any, parent_edges: Any, node_classes: Any, edge_classes: Any, class_masks: Any, out: Any
) -> Any:
    """Write the way to a node into `out` (edges, nodes, and what all of it does), in order; how many edges it has."""
    edges, nodes, masks = out
    count, at = 0, node
    while parents[at] != -1:
        count, at = count + 1, parents[at]
    masks[:] = 0
    for place in range(count, -1, -1):
        nodes[place] = node
        masks |= class_masks[node_classes[node]]
        if place > 0:
            edges[place - 1] = parent_edges[node]
            masks |= class_masks[edge_classes[parent_edges[node]]]
            node = parents[node]
    return count


@_plain
def _usable(class_masks: Any, without: Any) -> Any:
    """The classes that do nothing of what is not to be done: uint8 [classes]."""
    usable = np.ones(class_masks.shape[0], np.uint8)
    for each in range(class_masks.shape[0]):
        for column in range(class_masks.shape[1]):
            if class_masks[each, column] & without[column]:
                usable[each] = 0
    return usable


@jit.entry(
    int64(
        int32[::1],
        int32[::1],
        int32[::1],
        int64[::1],
        int64[::1],
        int32[::1],
        int32[::1],
        uint64[:, ::1],
        uint64[::1],
        int64,
        int64,
        types.Tuple((int32[::1], int32[::1], uint64[::1])),
    ),
    error_model="numpy",
)
def least(
    starts: Any,
    arc_nodes: Any,
    arc_edges: Any,
    weights: Any,
    to_target: Any,
    node_classes: Any,
    edge_classes: Any,
    class_masks: Any,
    without: Any,
    source: Any,
    target: Any,
    out: Any,
) -> Any:
    """Find the least way from `source` to `target` on which nothing does what is not to be done.

    What a node or an edge does are the bits of `class_masks` [classes, columns] of its class, and `without` [columns]
    those that are not to be done; whether the two ends do is up to the caller. Of ways of one weight it is the first by
    the numbers of its edges, from the start on. Into `out` go its edges [nodes], its nodes [nodes] and what all of it
    does [columns]; the answer is how many edges it has, or NO_WAY. `to_target` is what `distances` gives: no way can do
    with less, so the search goes there first (A*).
    """
    room = arc_nodes.shape[0] + 1
    count_nodes = node_classes.shape[0]
    heap, nodes, keys = np.empty(room, np.int64), np.empty(room, np.int32), np.empty((room, 2), np.int64)
    weight, parents = np.full(count_nodes, FAR, np.int64), np.full(count_nodes, -1, np.int32)
    parent_edges = np.full(count_nodes, -1, np.int32)
    usable = _usable(class_masks, without)
    if to_target[source] >= FAR:
        return NO_WAY
    weight[source], nodes[0], keys[0, 0], keys[0, 1] = 0, source, to_target[source], 0
    count, size = 1, _push(heap, 0, keys, 0)
    while size:
        size = _pop(heap, size, keys)
        entry = heap[size]
        node = nodes[entry]
        if keys[entry, 1] > weight[node]:
            continue
        if node == target:
            return _trace(node, parents, parent_edges, node_classes, edge_classes, class_masks, out)
        for arc in range(starts[node], starts[node + 1]):
            edge, there = arc_edges[arc], arc_nodes[arc]
            own = weight[node] + weights[edge]
            if own > weight[there] or not usable[edge_classes[edge]] or not usable[node_classes[there]]:
                continue
            # Whatever weighs the same leaves the heap after both parents: the way can be changed until then.
            if own < weight[there]:
                weight[there] = own
                nodes[count], keys[count, 0], keys[count, 1] = there, own + to_target[there], own
                size = _push(heap, size, keys, count)
                count += 1
            elif not _earlier(parents, parent_edges, there, node, edge):
                continue
            parents[there], parent_edges[there] = node, edge
    return NO_WAY
