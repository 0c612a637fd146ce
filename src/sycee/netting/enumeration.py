"""Compare all sets of a few payments, in exact integers."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.netting.queue import Chosen, Queue

COUNT_MAX: Final = 15  # payments, which have 32,768 sets: some milliseconds, less than branch and bound


def best_set(queue: Queue) -> Chosen:
    """Return a feasible set of the largest weight: bool [payments]. The same input gives the same set.

    It needs 2**count rows of memory, so call it for up to `COUNT_MAX` payments, and some more in tests.
    """
    effects = np.zeros((queue.count, queue.nodes), np.int64)
    np.add.at(effects, (queue.payments, queue.senders), queue.amounts)
    np.subtract.at(effects, (queue.payments, queue.receivers), queue.amounts)
    touched = np.flatnonzero(effects.any(axis=0))
    outflows, weights = np.zeros((1, len(touched)), np.int64), np.zeros(1, np.int64)
    for effect, weight in zip(effects[:, touched], queue.weights, strict=True):  # set k has the payments of k's bits
        outflows = np.concatenate([outflows, outflows + effect])
        weights = np.concatenate([weights, weights + weight])
    fits = np.all(outflows <= queue.limits[touched], axis=1)
    best = int(np.where(fits, weights, -1).argmax())
    return np.asarray(best >> np.arange(queue.count) & 1, np.bool_)
