"""Shortest path through a network without some nodes and edges, compiled.

Edges work in both directions. The arcs `starts[n]` to `starts[n + 1]` leave node n, for the nodes `arc_nodes` over the
edges `arc_edges`. The `weights` [edges] are at least 1, so that every path weighs more than its parts.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import int32, int64, njit, types, uint64, void

from sycee.core import jit, kernel_build

NO_PATH: Final = -1
FAR: Final = 1 << 62  # the distance of an unreachable node, above the weight of every path

kernel_build.ensure(__name__)
_plain: Any = njit(error_model="numpy")


@_plain
def _before(keys: Any, one: Any, other: Any) -> Any:
    """Return whether heap entry `one` comes first: by the least total weight through it, then by its own weight."""
    return keys[one, 0] < keys[other, 0] or (keys[one, 0] == keys[other, 0] and keys[one, 1] < keys[other, 1])


@_plain
def _push(heap: Any, size: Any, keys: Any, entry: Any) -> Any:
    index = size
    while index > 0:
        parent = (index - 1) >> 1
        if not _before(keys, entry, heap[parent]):
            break
        heap[index] = heap[parent]
        index = parent
    heap[index] = entry
    return size + 1


@_plain
def _pop(heap: Any, size: Any, keys: Any) -> Any:
    """Remove the first entry and return the new size; `heap[size]` is the removed entry."""
    first, last = heap[0], heap[size - 1]
    size -= 1
    index = 0
    while 2 * index + 1 < size:
        child = 2 * index + 1
        if child + 1 < size and _before(keys, heap[child + 1], heap[child]):
            child += 1
        if not _before(keys, heap[child], last):
            break
        heap[index] = heap[child]
        index = child
    heap[index] = last
    heap[size] = first
    return size


@jit.entry(void(int32[::1], int32[::1], int32[::1], int64[::1], int64, int64[::1]), error_model="numpy")
def distances(starts: Any, arc_nodes: Any, arc_edges: Any, weights: Any, target: Any, out: Any) -> None:
    """Write the least weight from each node to `target`, over all edges, into `out` [nodes]; FAR if unreachable."""
    capacity = arc_nodes.shape[0] + 1
    heap, nodes, keys = np.empty(capacity, np.int64), np.empty(capacity, np.int32), np.zeros((capacity, 2), np.int64)
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
            weight = out[node] + weights[arc_edges[arc]]
            if weight < out[arc_nodes[arc]]:
                out[arc_nodes[arc]] = weight
                nodes[count], keys[count, 0] = arc_nodes[arc], weight
                size = _push(heap, size, keys, count)
                count += 1


@_plain
def _earlier(parents: Any, parent_edges: Any, node: Any, parent: Any, edge: Any) -> Any:
    """Return whether the path to `node` by `edge` from `parent` comes before its present one, edge by edge.

    Both have the same weight, so the same number of edges, and are followed back to their last common node.
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
    """Write the path to a node into `out` (edges, nodes, and its combined masks), in order; return its edge count."""
    edges, nodes, masks = out
    count, current = 0, node
    while parents[current] != -1:
        count, current = count + 1, parents[current]
    masks[:] = 0
    for index in range(count, -1, -1):
        nodes[index] = node
        masks |= class_masks[node_classes[node]]
        if index > 0:
            edges[index - 1] = parent_edges[node]
            masks |= class_masks[edge_classes[parent_edges[node]]]
            node = parents[node]
    return count


@_plain
def _usable(class_masks: Any, excluded: Any) -> Any:
    """Return whether each class is without excluded effects: uint8 [classes]."""
    usable = np.ones(class_masks.shape[0], np.uint8)
    for each in range(class_masks.shape[0]):
        for column in range(class_masks.shape[1]):
            if class_masks[each, column] & excluded[column]:
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
def shortest_path(
    starts: Any,
    arc_nodes: Any,
    arc_edges: Any,
    weights: Any,
    to_target: Any,
    node_classes: Any,
    edge_classes: Any,
    class_masks: Any,
    excluded: Any,
    source: Any,
    target: Any,
    out: Any,
) -> Any:
    """Find the path of least weight from `source` to `target` on which nothing has an excluded effect (A*).

    The effects of a node or edge are the bits of `class_masks` [classes, columns] of its class; `excluded` [columns]
    are those that are not allowed. The caller checks both ends. The numbers of the edges, from the start on, decide
    between paths of equal weight. `out` receives the edges [nodes], the nodes [nodes] and the combined masks [columns]
    of the path. Return the number of its edges, or NO_PATH. `to_target` is the result of `distances`: a lower bound for
    the remaining weight, which directs the search.
    """
    capacity = arc_nodes.shape[0] + 1
    count_nodes = node_classes.shape[0]
    heap, nodes, keys = np.empty(capacity, np.int64), np.empty(capacity, np.int32), np.empty((capacity, 2), np.int64)
    weight, parents = np.full(count_nodes, FAR, np.int64), np.full(count_nodes, -1, np.int32)
    parent_edges = np.full(count_nodes, -1, np.int32)
    usable = _usable(class_masks, excluded)
    if to_target[source] >= FAR:
        return NO_PATH
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
            edge, neighbour = arc_edges[arc], arc_nodes[arc]
            own = weight[node] + weights[edge]
            if own > weight[neighbour] or not usable[edge_classes[edge]] or not usable[node_classes[neighbour]]:
                continue
            # A path of equal weight may still replace the present one: both parents leave the heap before their child.
            if own < weight[neighbour]:
                weight[neighbour] = own
                nodes[count], keys[count, 0], keys[count, 1] = neighbour, own + to_target[neighbour], own
                size = _push(heap, size, keys, count)
                count += 1
            elif not _earlier(parents, parent_edges, neighbour, node, edge):
                continue
            parents[neighbour], parent_edges[neighbour] = node, edge
    return NO_PATH
