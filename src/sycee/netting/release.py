"""Release without optimisation: each payment that a position covers."""

from __future__ import annotations

import numpy as np

from sycee.netting import kernels
from sycee.netting.fifo import by_sender
from sycee.netting.queue import Chosen, Queue


def release(queue: Queue, *, keeps_order: bool = True) -> Chosen:
    """Return the payments that settle one by one, each from what its senders then have.

    Payments are tried by priority, then arrival. What a payment brings its receiver counts for those that are tried
    after it, and the queue is tried again until nothing more settles.

    Parameters
    ----------
    queue
        The payments that wait.
    keeps_order
        Let a payment wait behind each one that the same node sent earlier at the same or a more urgent priority.

    Returns
    -------
    bool [payments]

    """
    chosen = np.zeros(queue.count, np.uint8)
    first = np.append(queue.first_legs, len(queue.amounts))
    slack = queue.limits.copy()
    if not queue.count:
        return chosen.astype(np.bool_)
    if keeps_order:
        order, starts = by_sender(queue)
        kernels.release_in_order(
            starts, order, first, queue.payments, queue.senders, queue.receivers, queue.amounts, slack, chosen
        )
    else:
        order = np.lexsort((np.arange(queue.count), queue.priorities))
        kernels.release_all(order, first, queue.senders, queue.receivers, queue.amounts, slack, chosen)
    return chosen.astype(np.bool_)
