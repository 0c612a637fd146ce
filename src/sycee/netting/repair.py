"""From a set that exceeds some limits by little to a feasible one that settles nearly as much."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.netting import kernels, rounding
from sycee.netting.queue import Chosen, Integers, Queue

FEW: Final = 13  # payments of each direction whose subsets `_exchange` tries


def repaired(queue: Queue, chosen: Chosen) -> Chosen:
    """Return the set changed so that it exceeds no limit, with each other payment that still fits.

    What a node pays above its limit is passed on along payments to nodes that can spare it. Where limits leave no room
    for that, payments of both directions between two nodes are dropped whose difference is what the one lacks. Where
    that is impossible too, payments are dropped.
    """
    taken = chosen.astype(np.uint8)
    slack = queue.limits - queue.outflows(chosen)
    if queue.is_single and np.any(slack < 0):
        both = np.concatenate([queue.senders, queue.receivers])
        order = np.lexsort((np.tile(queue.amounts, 2), both))
        starts = np.searchsorted(both[order], np.arange(queue.nodes + 1))
        near = order % queue.count
        if kernels.mend(starts, near, queue.senders, queue.receivers, queue.amounts, slack, taken):
            for node in np.flatnonzero(slack < 0).tolist():
                _exchange(queue, near[starts[node] : starts[node + 1]], node, slack, taken)
    smallest_first = np.argsort(queue.weights, kind="stable")
    legs = np.append(queue.first_legs, len(queue.amounts))
    kernels.repair(smallest_first, legs, queue.senders, queue.receivers, queue.amounts, slack, taken)
    return taken.astype(np.bool_)


def _exchange(queue: Queue, near: NDArray[np.int64], node: int, slack: Integers, taken: NDArray[np.uint8]) -> None:
    """Drop payments between a node and those that have slack, so that it lacks less and no other node lacks anything.

    `near` are the node's payments, the smallest first. Changes slack and `taken`.
    """
    settled = near[taken[near] == 1]
    for other in np.argsort(-slack, kind="stable").tolist():
        spare = int(slack[other])
        least = min(-int(slack[node]), spare)
        if least <= 0:
            return
        out = settled[queue.receivers[settled] == other][:FEW]
        back = settled[queue.senders[settled] == other][:FEW]
        sums_out, sums_back = rounding.sums(queue.amounts[out]), rounding.sums(queue.amounts[back])
        order = np.argsort(sums_out, kind="stable")
        place = np.searchsorted(sums_out[order], sums_back + least)
        usable = np.flatnonzero(place < len(order))
        excess = sums_out[order[place[usable]]] - sums_back[usable]
        fits = np.flatnonzero(excess <= spare)
        if not len(fits):
            continue
        best = fits[sums_back[usable[fits]].argmin()]
        bits_out, bits_back = int(order[place[usable[best]]]), int(usable[best])
        dropped = [leg for at, leg in enumerate(out) if bits_out >> at & 1]
        dropped += [leg for at, leg in enumerate(back) if bits_back >> at & 1]
        taken[dropped] = 0
        slack[node] += excess[best]
        slack[other] -= excess[best]
