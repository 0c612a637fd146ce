"""From a set that exceeds some limits by little to a feasible one that settles nearly as much."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.netting import kernels, rounding
from sycee.netting.queue import Chosen, Indexes, Integers, Queue

FEW: Final = 13  # payments of each direction whose subsets `_exchange` tries


def repaired(queue: Queue, chosen: Chosen) -> Chosen:
    """Return the set changed so that it exceeds no limit, with each other payment that still fits.

    What a node pays above its limit is passed on along payments with one leg to nodes that can spare it: also what a
    payment of several legs leaves open in one currency. Where limits leave no room for that, payments of both
    directions between two nodes are dropped whose difference is what the one lacks. Where that is impossible too,
    payments are dropped.
    """
    taken = chosen.astype(np.uint8)
    slack = queue.limits - queue.outflows(chosen)
    lone = _single_legs(queue)
    if len(lone) and np.any(slack < 0):
        senders, receivers, amounts = queue.senders[lone], queue.receivers[lone], queue.amounts[lone]
        both = np.concatenate([senders, receivers])
        order = np.lexsort((np.tile(amounts, 2), both))
        starts = np.searchsorted(both[order], np.arange(queue.nodes + 1))
        near = order % len(lone)
        settles = taken[queue.payments[lone]]
        if kernels.mend(starts, near, senders, receivers, amounts, slack, settles):
            single = (senders, receivers, amounts)
            for node in np.flatnonzero(slack < 0).tolist():
                _exchange(single, near[starts[node] : starts[node + 1]], node, slack, settles)
        taken[queue.payments[lone]] = settles
    smallest_first = np.argsort(queue.weights, kind="stable")
    legs = np.append(queue.first_legs, len(queue.amounts))
    kernels.repair(smallest_first, legs, queue.senders, queue.receivers, queue.amounts, slack, taken)
    return taken.astype(np.bool_)


def _single_legs(queue: Queue) -> NDArray[np.int64]:
    """Return the legs that settle without another leg: int64."""
    counts = np.bincount(queue.payments, minlength=queue.count)
    return np.flatnonzero(counts[queue.payments] == 1)


def _exchange(
    legs: tuple[Indexes, Indexes, Integers],
    near: NDArray[np.int64],
    node: int,
    slack: Integers,
    taken: NDArray[np.uint8],
) -> None:
    """Drop payments between a node and those that have slack, so that it lacks less and no other node lacks anything.

    `legs` are senders, receivers and amounts of payments with one leg; `near` are the node's, the smallest first.
    Changes slack and `taken`.
    """
    senders, receivers, amounts = legs
    settled = near[taken[near] == 1]
    for other in np.argsort(-slack, kind="stable").tolist():
        spare = int(slack[other])
        least = min(-int(slack[node]), spare)
        if least <= 0:
            return
        out = settled[receivers[settled] == other][:FEW]
        back = settled[senders[settled] == other][:FEW]
        sums_out, sums_back = rounding.sums(amounts[out]), rounding.sums(amounts[back])
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
