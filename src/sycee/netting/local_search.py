"""Annealing from the relaxation: flip and exchange whole payments until the set is close to the bound.

For any prices, the bound minus the value of a feasible set is exactly this sum of losses::

    gain of each payment outside the set whose gain is positive
    +  loss of each payment in the set whose gain is negative
    +  price of each unit of unused liquidity

The search lowers this sum, with a penalty for each unit above a limit that exceeds the largest price. It draws its
moves from a seed and makes a stated number of them, so that the same input gives the same set on each machine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.netting import kernels
from sycee.netting.kernels import PRICE_UNIT
from sycee.netting.queue import Chosen, Integers, Queue
from sycee.netting.repair import repaired

# Of each round: the first temperature, times the mean weight; and the penalty of a unit above a limit, times the
# largest price or weight of a unit. A low penalty finds more, a high one ends below the limits.
ROUNDS: Final = ((0.1, 1.5), (0.1, 7.0), (1.0, 30.0), (0.3, 7.0), (0.1, 30.0), (0.03, 7.0))
MARGIN: Final = 50  # the search lowers each limit by 1 / MARGIN: its last set often exceeds limits by a few units


def anneal(queue: Queue, start: Chosen, prices: Integers, *, moves: int, seed: int) -> Chosen:
    """Return the best feasible set that the search finds. No further payment can be added to it.

    Parameters
    ----------
    queue
        Payments with one leg each, or several.
    start
        The set to begin with, feasible or not: bool [payments].
    prices
        Prices of the nodes, times `PRICE_UNIT`: int64 [nodes].
    moves
        Number of moves to try.
    seed
        Seed of the random moves.

    """
    legs = queue.first_legs
    arrays = np.append(legs, len(queue.amounts)), queue.senders, queue.receivers, queue.amounts
    order = np.argsort(queue.senders[legs], kind="stable")
    starts = np.searchsorted(queue.senders[legs[order]], np.arange(queue.nodes + 1))
    density = float((queue.weights / queue.amounts[legs]).max())
    price = max(density, float(prices.max(initial=0)) / PRICE_UNIT)
    best = np.zeros(queue.count, np.bool_)
    for number, (hot, penalty) in enumerate(ROUNDS):
        last = (best if np.any(best) else start).astype(np.uint8)
        kernels.anneal(
            *arrays,
            queue.weights,
            queue.limits - queue.limits // MARGIN - queue.outflows(last.astype(np.bool_)),
            order,
            starts,
            last,
            moves // len(ROUNDS),
            hot * float(queue.weights.mean()),
            penalty * price,
            seed * len(ROUNDS) + number,
        )
        best = max(best, repaired(queue, last.astype(np.bool_)), key=queue.value)
    return best
