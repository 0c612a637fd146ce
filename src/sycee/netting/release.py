"""Release without optimisation: each payment that a position covers, and two opposite payments together."""

from __future__ import annotations

import numpy as np

from sycee.netting import kernels
from sycee.netting.fifo import by_sender
from sycee.netting.queue import Chosen, Integers, Queue


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


def offset(amounts_out: Integers, amounts_back: Integers, limit_out: int, limit_back: int) -> tuple[int, int]:
    """Return how many payments of one pair settle together, each side in order: the most in value.

    Parameters
    ----------
    amounts_out, amounts_back
        Payments from the one node to the other, and back, each in order of arrival: int64 [payments].
    limit_out, limit_back
        The most that the one and the other node may pay out net.

    Returns
    -------
    tuple[int, int]
        The number of payments of each side, from its beginning. (0, 0) if nothing settles.

    Notes
    -----
    As one side takes more, the other can take more: the largest prefixes are one fixed point, found by dropping the
    last payment of the side that exceeds its limit.

    """
    out, back = len(amounts_out), len(amounts_back)
    net = int(amounts_out.sum()) - int(amounts_back.sum())
    while net > limit_out or -net > limit_back:
        if net > limit_out:
            out -= 1
            net -= int(amounts_out[out])
        else:
            back -= 1
            net += int(amounts_back[back])
    return out, back
