"""Choose the set of payments that settles the most, and prove how near the best it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.netting import ejection, enumeration, exact, fifo, levels, local_search, rounding
from sycee.netting.queue import Chosen, Integers, Queue
from sycee.netting.relaxation import Relaxation, relax
from sycee.netting.repair import repaired

MOVES_PER_SECOND: Final = 1_000_000  # of annealing, for each second of effort
GAP_SECONDS: Final = 1.5e-3  # share of the bound that a level may lose, times the effort in seconds
GAP_MIN, GAP_MAX = 5e-5, 2e-3
CHAIN_STEPS_PER_SECOND: Final = 1_500_000  # for each second of effort; a chain takes one step for each payment
WHOLE_MAX: Final = 1_000  # payments of a queue that branch and bound solves whole, from the best set so far
SMALL: Final = 64  # payments of a queue for which branch and bound is the only search
MANY_PER_COLUMN: Final = 100  # payments of one pair of nodes of which some have nearly every sum
ROUNDINGS: Final = 4  # other subsets, where no exchange covers what rounding left open
ROUNDING_LOSS: Final = 1e-3  # share of the bound that a good rounding does not lose
ROUNDING_LOSS_MAX: Final = 1e-2  # above which levels are worth their time, which is much longer
NEAR: Final = 1e-6  # a set that is this share of the bound below it needs no further search
# Without a deadline, the solver stops after this many times the effort, and not before DEADLINE_MIN seconds.
DEADLINE_FACTOR: Final = 5.0
DEADLINE_MIN: Final = 10.0


@dataclass(frozen=True)
class NettingResult:
    """A set of payments that may settle together, and its proof.

    Attributes
    ----------
    chosen : bool [payments]
    value : int
        Sum of the weights of the set.
    bound : int
        The weight that no set exceeds: proven by `prices`.
    prices : int64 [nodes]
        From which anybody computes the bound (`relaxation.bound`).
    method : str
        Which method found the set: none, enumeration, first-in-first-out, rounding, levels, annealing, ejection,
        branch-and-bound.
    is_best : bool
        Whether no set is better: all were compared (enumeration), the bound is reached, or the solver claims it. It
        calculates in floating point, and neglects a millionth of the mean weight.
    claim : int, or None
        The weight that no set exceeds, at most `bound`, according to the solver; after enumeration the largest weight.
    is_repeatable : bool
        Whether the same input gives the same set on each machine: the deadline did not stop the solver.

    """

    chosen: Chosen
    value: int
    bound: int
    prices: Integers
    method: str
    is_best: bool = False
    claim: int | None = None
    is_repeatable: bool = True


def optimise(queue: Queue, *, seconds: float = 3.0, seed: int = 0, deadline: float | None = None) -> NettingResult:
    """Return the best set that the methods find with this effort.

    The effort becomes numbers of moves and nodes, and how near the best each step must come. So the same input gives
    the same set, unless the deadline stops the solver: then the outcome is not repeatable.

    Parameters
    ----------
    queue
        The payments that wait.
    seconds
        Effort: about the time that the search needs on an idle core of 2020.
    seed
        From which the random moves follow.
    deadline
        Seconds after which the solver is stopped; the best set so far is returned. Omitted: five times the effort,
        and at least 10.

    Raises
    ------
    IntegrityError
        If a set exceeds a limit in integers. No input does this; a defect in a method would.

    """
    if not queue.count:
        return NettingResult(
            np.zeros(0, np.bool_), 0, 0, np.zeros(queue.nodes, np.int64), "none", is_best=True, claim=0
        )
    left = max(DEADLINE_FACTOR * seconds, DEADLINE_MIN) if deadline is None else deadline
    relaxation = relax(queue)
    if queue.count <= enumeration.COUNT_MAX:
        chosen = enumeration.best_set(queue)
        queue.require_feasible(chosen)
        value = queue.value(chosen)
        method = "enumeration" if value else "none"
        return NettingResult(chosen, value, relaxation.bound, relaxation.prices, method, is_best=True, claim=value)
    claim, is_best, is_stopped = float(relaxation.bound), False, False
    sets = {"first-in-first-out": fifo.largest_in_order(queue)}
    is_rounded = False
    if len(rounding.partial_payments(relaxation)) >= MANY_PER_COLUMN * queue.nodes:
        sets["rounding"] = _rounded(queue, relaxation, seed)
        is_rounded = queue.value(sets["rounding"]) >= (1.0 - ROUNDING_LOSS_MAX) * relaxation.bound
    if not is_rounded and queue.count > SMALL:
        gap = min(max(GAP_SECONDS / max(seconds, 1e-9), GAP_MIN), GAP_MAX)
        found = levels.decide(queue, relaxation, gap=gap, seconds=left, seed=seed)
        sets["levels"], claim, is_stopped = found.chosen, min(claim, found.bound), found.is_stopped
        left -= found.seconds
    best = max(sets.values(), key=queue.value)
    if not is_rounded and queue.value(best) < (1.0 - NEAR) * claim:
        sets["annealing"] = local_search.anneal(
            queue,
            best,
            relaxation.prices,
            moves=int(seconds * MOVES_PER_SECOND),
            seed=seed,
        )
        if queue.count <= WHOLE_MAX:
            sets["ejection"] = ejection.chains(
                queue,
                best,
                relaxation.prices,
                count=int(seconds * CHAIN_STEPS_PER_SECOND / queue.count),
                rings=1.0,
                seed=seed,
            )
    is_stopped |= queue.count <= WHOLE_MAX and left <= 0
    if queue.count <= WHOLE_MAX and left > 0:
        best = max(sets.values(), key=queue.value)
        answer = exact.solve(queue, best, np.arange(queue.count), seconds=left)
        claim, is_stopped = min(claim, answer.bound), is_stopped or answer.is_stopped
        if answer.chosen is not None:
            # Floating point may let a set through that integers do not, and neglect a small payment beside large ones.
            is_best = answer.is_proven and not np.any(queue.outflows(answer.chosen) > queue.limits)
            sets["branch-and-bound"] = repaired(queue, answer.chosen)
    method = max(sets, key=lambda name: queue.value(sets[name]))
    chosen = sets[method]
    queue.require_feasible(chosen)
    value = queue.value(chosen)
    claimed = relaxation.bound
    if math.isfinite(claim):
        claimed = max(value, min(relaxation.bound, math.ceil(claim)))
    return NettingResult(
        chosen,
        value,
        relaxation.bound,
        relaxation.prices,
        method if value else "none",
        is_best or value == relaxation.bound,
        claimed,
        not is_stopped,
    )


def _rounded(queue: Queue, relaxation: Relaxation, seed: int) -> Chosen:
    """Return the best of some roundings of a relaxation; the first one that loses little ends the search.

    Without liquidity a single unit that one node lacks makes every payment of a rounding impossible.
    """
    best = np.zeros(queue.count, np.bool_)
    for attempt in range(ROUNDINGS):
        found = repaired(queue, rounding.round_columns(queue, relaxation, seed=seed + attempt))
        best = max(best, found, key=queue.value)
        if queue.value(best) >= (1.0 - ROUNDING_LOSS) * relaxation.bound:
            break
    return best
