"""Decide the largest payments first, while all smaller ones may settle in part; then the next largest, and so on.

Beside many smaller payments, branch and bound decides some hundred large ones quickly: whatever a large payment leaves
open, parts of the smaller ones fill. Each level decides more payments than the one before it, and its payments are
smaller, so each level loses less against payments in part than the one before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.netting import exact, rounding
from sycee.netting.queue import Chosen, Queue
from sycee.netting.relaxation import Relaxation
from sycee.netting.repair import repaired

FIRST: Final = 200  # payments of the first level
GROWTH: Final = 1.6  # payments of a level for each of the level before it
REST_SHARE: Final = 0.6  # of the payments that are left, which one level decides at most
DECIDED_MAX: Final = 25_000  # payments that levels decide; the rest is rounded
TREE_MAX: Final = 20  # nodes of the search tree of a level
ROUNDED_FROM: Final = 3  # from this level on, the rest is rounded too: the best of all roundings counts
TIME_SHARE: Final = 0.4  # of the time that is left, which one level may take


@dataclass(frozen=True)
class Levels:
    """A set, the solver's claim which weight no set exceeds, and what the search needed.

    Attributes
    ----------
    chosen : bool [payments]
        A feasible set.
    bound : float
    seconds : float
        Time that the solver needed.
    is_stopped : bool
        Whether a limit of time stopped the solver, or changed which levels are rounded.

    """

    chosen: Chosen
    bound: float
    seconds: float
    is_stopped: bool


def decide(queue: Queue, relaxation: Relaxation, *, gap: float, seconds: float, seed: int) -> Levels:
    """Return a feasible set.

    Parameters
    ----------
    queue, relaxation
        The payments, and their solved linear programme.
    gap
        Share of the bound that each level may lose.
    seconds
        The most that the solver may take. Nothing but this limit makes the answer depend on the machine.
    seed
        Of the rounding of the smallest payments.

    """
    order = np.argsort(-_sizes(queue), kind="stable")
    chosen = best = np.zeros(queue.count, np.bool_)
    bound, used, low, is_stopped = float(relaxation.bound), 0.0, 0, False
    ends = _ends(queue.count)
    for number, high in enumerate(ends):
        answer = exact.solve(
            queue,
            chosen,
            np.sort(order[low:high]),
            partial=np.sort(order[high:]),
            columns=relaxation.columns,
            gap=gap * relaxation.bound,
            nodes=TREE_MAX,
            seconds=TIME_SHARE * max(seconds - used, 0.0),
        )
        used += answer.seconds
        is_short = used >= (1.0 - TIME_SHARE) * seconds  # then this level may be the last one, so it is rounded
        is_stopped |= answer.is_stopped or is_short
        bound = bound if low else min(bound, answer.bound)
        if answer.chosen is None:  # no whole payments keep the limits of a node, as earlier levels left it
            break
        chosen, low = answer.chosen, high
        if number >= min(ROUNDED_FROM, len(ends) - 1) or is_short:
            shares = answer.shares[relaxation.columns]
            shares[order[:low]] = chosen[order[:low]]
            parts = replace(relaxation, shares=shares, column_shares=answer.shares)
            for whole in (rounding.round_columns(queue, parts, seed=seed), shares > 0.5):
                best = max(best, repaired(queue, whole), key=queue.value)
    return Levels(best, bound, used, is_stopped)


def _ends(count: int) -> list[int]:
    """Return how many payments are decided after each level."""
    ends, size = [0], min(FIRST, count)
    while ends[-1] < min(count, DECIDED_MAX) and size >= min(FIRST, count // 3):
        ends.append(ends[-1] + size)
        size = min(int(size * GROWTH), int(REST_SHARE * (count - ends[-1])))
    return ends[1:]


def _sizes(queue: Queue) -> NDArray[np.float64]:
    """Return how large each payment is beside all that its nodes send or receive: float64 [payments]."""
    sent = np.bincount(queue.senders, queue.amounts, queue.nodes)
    received = np.bincount(queue.receivers, queue.amounts, queue.nodes)
    sizes = np.zeros(queue.count)
    legs = np.maximum(queue.amounts / sent[queue.senders], queue.amounts / received[queue.receivers])
    np.maximum.at(sizes, queue.payments, legs)
    return sizes
