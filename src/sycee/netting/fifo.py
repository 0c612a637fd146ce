"""First in, first out: the one largest set that keeps each sender's order (Bech and Soramäki, 2001).

Start with all payments. While a node pays out more than its limit, drop the last payment of its order. Dropping never
helps another node, so the result is the same for every sequence of drops, and no other set in order is larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sycee.netting import kernels
from sycee.netting.queue import Chosen, Integers, Queue, ascending


def largest_in_order(queue: Queue) -> Chosen:
    """Return the largest set in which no payment settles before one that the same node sent earlier.

    The order of a node is by priority, then arrival. A payment with several legs keeps the order of all its senders.

    Returns
    -------
    bool [payments]

    """
    chosen = np.ones(queue.count, np.uint8)
    drop_until_feasible(queue, queue.limits - queue.outflows(chosen.astype(np.bool_)), chosen)
    return chosen.astype(np.bool_)


def drop_until_feasible(queue: Queue, slack: Integers, chosen: NDArray[np.uint8]) -> None:
    """Drop the last payments of nodes from `chosen`, uint8 [payments], until no `slack`, int64 [nodes], is below zero.

    `slack` is what each node may still pay out while the chosen settle. Changes both.
    """
    if not queue.count:
        return
    order, starts = by_sender(queue)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    legs = np.append(queue.first_legs, len(queue.amounts))
    kernels.drop_last(
        starts, order, places, legs, queue.payments, queue.senders, queue.receivers, queue.amounts, slack, chosen
    )


def by_sender(queue: Queue) -> tuple[Integers, Integers]:
    """Return the legs in each node's order, int64 [legs]: node n's are order[starts[n]:starts[n + 1]]."""
    urgent = np.argsort(queue.priorities[queue.payments], kind="stable")
    order = urgent[ascending(queue.senders[urgent])]
    return order, np.searchsorted(queue.senders[order], np.arange(queue.nodes + 1))
