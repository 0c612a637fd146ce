"""Search by ejection chains: force a payment in, drop what that makes impossible, take what then fits.

A chain may also close rings: a node that lacks money then takes a payment that it receives, whose sender lacks money in
turn, until the chain reaches a node that has some. Where limits are near zero, hardly anything but rings settles.

The search is strong where payments are large against the limits, so that hardly two sets differ in one payment only:
queues of some hundred payments near the close of a day. Where limits are wide, `local_search` needs less time.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.netting import ejection_kernel
from sycee.netting.kernels import PRICE_UNIT
from sycee.netting.queue import Chosen, Indexes, Integers, Queue

HOT: Final = 0.3  # the first temperature, times the mean weight
NOISE: Final = 0.5  # of the costs that decide what is dropped


def chains(queue: Queue, start: Chosen, prices: Integers, *, count: int, rings: float = 0.0, seed: int = 0) -> Chosen:
    """Return the best feasible set that the search has found. The same input gives the same set.

    Parameters
    ----------
    queue
        Payments with one leg each, or several.
    start
        The set to begin with, feasible or not: bool [payments].
    prices
        Prices of the nodes, times `PRICE_UNIT`, from `relaxation.relax`: int64 [nodes]. They decide what is dropped.
    count
        Chains that are tried.
    rings
        Share of the chains that may close rings. They find more where limits are near zero, and need more time.
    seed
        From which the moves follow.

    """
    chosen = start.astype(np.uint8)
    if queue.count:
        starts, by_sender = _by_node(queue, queue.senders)
        ends, by_receiver = _by_node(queue, queue.receivers)
        ejection_kernel.search(
            np.append(queue.first_legs, len(queue.amounts)),
            queue.senders,
            queue.receivers,
            queue.amounts,
            queue.weights,
            prices / PRICE_UNIT,
            starts,
            by_sender,
            ends,
            by_receiver,
            queue.limits.copy(),
            chosen,
            count,
            queue.count + 1,
            HOT * float(queue.weights.mean()),
            NOISE,
            rings,
            seed,
        )
    return chosen.astype(np.bool_)


def _by_node(queue: Queue, nodes: Indexes) -> tuple[Integers, Integers]:
    """Return the payments with a leg at each of its `nodes` [legs], the largest weight first, and where each begins."""
    pairs = np.unique(nodes.astype(np.int64) * queue.count + queue.payments)
    at, payments = pairs // queue.count, pairs % queue.count
    order = np.lexsort((payments, -queue.weights[payments], at))
    return np.searchsorted(at[order], np.arange(queue.nodes + 1)), payments[order]
