"""Choose the set of payments that settles the most, and prove how near the best it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.netting import diving, exact, fifo, local_search, rounding
from sycee.netting.queue import Chosen, Integers, Queue
from sycee.netting.relaxation import relax

MOVES_PER_SECOND: Final = 4_000_000  # on a core of 2020: turns an effort in seconds into a number of moves
STEPS_PER_SECOND: Final = 100  # of diving, for a queue of PER_STEP payments
PER_STEP: Final = 10_000
SMALL: Final = 64  # payments that branch and bound decides alone
MANY_PER_COLUMN: Final = 100  # payments of a partial column that hit its sum nearly exactly


@dataclass(frozen=True)
class Outcome:
    """A set of payments that may settle together, and its proof.

    Attributes
    ----------
    chosen : bool [payments]
    value : int
        Sum of the weights of the set.
    bound : int
        The weight that no set exceeds.
    prices : int64 [nodes]
        From which anybody computes the bound (`relaxation.bound`).
    method : str
        Which method found the set: none, first-in-first-out, annealing, branch-and-bound.
    is_best : bool
        Whether the solver claims that no set is better. A claim in floating point, no proof.

    """

    chosen: Chosen
    value: int
    bound: int
    prices: Integers
    method: str
    is_best: bool = False


def optimise(queue: Queue, *, seconds: float = 3.0, seed: int = 0) -> Outcome:
    """Return the best set that the methods find with this effort. The same input gives the same set.

    Parameters
    ----------
    queue
        The payments that wait.
    seconds
        Effort: the time that the search needs on a core of 2020. It counts moves and reads no clock.
    seed
        From which the moves of the search follow.

    Raises
    ------
    IntegrityError
        If a set exceeds a limit in integers. No input does this; a defect in a method would.

    """
    if not queue.count:
        return Outcome(np.zeros(0, np.bool_), 0, 0, np.zeros(queue.nodes, np.int64), "none", is_best=True)
    relaxation = relax(queue)
    sets = {"first-in-first-out": fifo.largest_in_order(queue)}
    partial = rounding.partial_payments(relaxation)
    many = len(partial) >= MANY_PER_COLUMN * queue.nodes
    if many:
        start = rounding.round_columns(queue, relaxation, seed=seed)
    else:
        start = diving.dive(queue, steps=int(seconds * STEPS_PER_SECOND / max(1, queue.count // PER_STEP)))
    sets["annealing"] = local_search.anneal(
        queue,
        start,
        relaxation.prices,
        moves=int(seconds * MOVES_PER_SECOND),
        seed=seed,
        candidates=partial if many else None,
    )
    is_best = False
    if queue.count <= SMALL:
        best = max(sets.values(), key=queue.value)
        sets["branch-and-bound"], is_best = exact.solve(queue, best, np.arange(queue.count))
    method = max(sets, key=lambda name: queue.value(sets[name]))
    chosen = sets[method]
    queue.require_feasible(chosen)
    value = queue.value(chosen)
    if not value:
        method = "none"
    return Outcome(chosen, value, relaxation.bound, relaxation.prices, method, is_best or value == relaxation.bound)
