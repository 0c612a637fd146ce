"""Compare all sets of a few payments, in exact integers."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.netting import rounding
from sycee.netting.queue import Chosen, Queue

COUNT_MAX: Final = 15  # payments, which have 32,768 sets: some milliseconds, less than branch and bound
COLUMNS: Final = 64  # nodes whose outflows are compared at once: 16 MiB for 15 payments


def best_set(queue: Queue) -> Chosen:
    """Return a feasible set of the largest weight: bool [payments]. The same input gives the same set.

    It needs 2**count rows of `COLUMNS` numbers, so call it for up to `COUNT_MAX` payments, and some more in tests.
    """
    effects = np.zeros((queue.count, queue.nodes), np.int64)
    np.add.at(effects, (queue.payments, queue.senders), queue.amounts)
    np.subtract.at(effects, (queue.payments, queue.receivers), queue.amounts)
    at_risk = np.flatnonzero(np.maximum(effects, 0).sum(axis=0) > queue.limits)  # no set exceeds another node's limit
    fits = np.ones(1 << queue.count, np.bool_)
    for start in range(0, len(at_risk), COLUMNS):
        nodes = at_risk[start : start + COLUMNS]
        fits &= np.all(rounding.sums(effects[:, nodes]) <= queue.limits[nodes], axis=1)
    best = int(np.where(fits, rounding.sums(queue.weights), -1).argmax())
    return np.asarray(best >> np.arange(queue.count) & 1, np.bool_)
