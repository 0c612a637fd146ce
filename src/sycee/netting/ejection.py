"""Search by ejection chains: force a payment in, drop what that makes impossible, take what then fits.

It is strong where payments are large against the limits, so that hardly two sets differ in one payment only: queues of
some hundred payments near the close of a day. Where limits are wide, `local_search` needs less time.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core.errors import UsageError
from sycee.netting import ejection_kernel
from sycee.netting.kernels import PRICE_UNIT
from sycee.netting.queue import Chosen, Integers, Queue

HOT: Final = 0.3  # the first temperature, times the mean weight
NOISE: Final = 0.5  # of the costs that decide what is dropped


def chains(queue: Queue, start: Chosen, prices: Integers, *, count: int, seed: int = 0) -> Chosen:
    """Return the best feasible set that the search has found. The same input gives the same set.

    Parameters
    ----------
    queue
        Payments with one leg each.
    start
        The set to begin with, feasible or not: bool [payments].
    prices
        Prices of the nodes, times `PRICE_UNIT`, from `relaxation.relax`: int64 [nodes]. They decide what is dropped.
    count
        Chains that are tried.
    seed
        From which the moves follow.

    Raises
    ------
    UsageError
        If a payment has several legs.

    """
    if not queue.is_single:
        raise UsageError("ejection chains need payments with one leg each", hint="use `local_search.anneal`")
    chosen = start.astype(np.uint8)
    if queue.count:
        by_sender = np.lexsort((np.arange(queue.count), -queue.weights, queue.senders))
        starts = np.searchsorted(queue.senders[by_sender], np.arange(queue.nodes + 1))
        ejection_kernel.search(
            queue.senders,
            queue.receivers,
            queue.amounts,
            queue.weights,
            prices / PRICE_UNIT,
            starts,
            by_sender,
            queue.limits.copy(),
            chosen,
            count,
            HOT * float(queue.weights.mean()),
            NOISE,
            seed,
        )
    return chosen.astype(np.bool_)
