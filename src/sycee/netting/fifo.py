"""First in, first out: the one largest set that keeps each sender's order (Bech and Soramäki, 2001).

Start with all payments. While a node pays out more than its limit, drop the last payment of its order. Dropping never
helps another node, so the result is the same for every sequence of drops, and no other set in order is larger.
"""

from __future__ import annotations

import numpy as np

from sycee.netting import kernels
from sycee.netting.queue import Chosen, Integers, Queue


def largest_in_order(queue: Queue) -> Chosen:
    """Return the largest set in which no payment settles before one that the same node sent earlier.

    The order of a node is by priority, then arrival. A payment with several legs keeps the order of all its senders.

    Returns
    -------
    bool [payments]

    """
    chosen = np.ones(queue.count, np.uint8)
    if queue.count:
        order, starts = by_sender(queue)
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(len(order))
        kernels.drop_last(
            starts,
            order,
            places,
            np.append(queue.first_legs, len(queue.amounts)),
            queue.payments,
            queue.senders,
            queue.receivers,
            queue.amounts,
            queue.limits - queue.outflows(chosen.astype(np.bool_)),
            chosen,
        )
    return chosen.astype(np.bool_)


def by_sender(queue: Queue) -> tuple[Integers, Integers]:
    """Return the legs in each node's order, int64 [legs]: node n's are order[starts[n]:starts[n + 1]]."""
    order = np.lexsort((np.arange(len(queue.amounts)), queue.priorities[queue.payments], queue.senders))
    return order, np.searchsorted(queue.senders[order], np.arange(queue.nodes + 1))
