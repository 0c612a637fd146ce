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

from sycee.netting import exact, kernels, rounding
from sycee.netting.exact import Answer
from sycee.netting.queue import Chosen, Queue
from sycee.netting.relaxation import Relaxation

FIRST: Final = 200  # payments of the first level
GROWTH: Final = 1.6  # payments of a level for each of the level before it
DECIDED_MAX: Final = 25_000  # payments that levels decide; the rest is rounded
LAST_MAX: Final = 3_000  # payments of a level after which no payment settles in part
TREE_MAX: Final = 20  # nodes of the search tree of a level
PENALTY: Final = 1_000.0  # of a unit above a limit, times the largest price


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
        Whether a limit of time stopped the solver.

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
        answers = _level(queue, relaxation, chosen, order, low, high, gap, seconds - used)
        used += sum(each.seconds for each in answers)
        is_stopped |= any(each.is_stopped for each in answers)
        bound = bound if low else min(bound, answers[0].bound)
        answer = answers[-1]
        if answer.chosen is None:
            break
        chosen, low = answer.chosen, high
        if number >= len(ends) - 2 or is_stopped:
            shares = answer.shares[relaxation.columns]
            shares[order[:low]] = chosen[order[:low]]
            parts = replace(relaxation, shares=shares, column_shares=answer.shares)
            for whole in (rounding.round_columns(queue, parts, seed=seed), shares > 0.5):
                best = max(best, repaired(queue, whole), key=queue.value)
        if is_stopped:
            break
    return Levels(best, bound, used, is_stopped)


def repaired(queue: Queue, chosen: Chosen) -> Chosen:
    """Return the set without payments that exceed a limit, and with each other payment that still fits."""
    taken = chosen.astype(np.uint8)
    smallest_first = np.lexsort((np.arange(queue.count), queue.weights))
    legs = np.append(queue.first_legs, len(queue.amounts))
    slack = queue.limits - queue.outflows(chosen)
    kernels.repair(smallest_first, legs, queue.senders, queue.receivers, queue.amounts, slack, taken)
    return taken.astype(np.bool_)


def _level(
    queue: Queue,
    relaxation: Relaxation,
    chosen: Chosen,
    order: NDArray[np.int64],
    low: int,
    high: int,
    gap: float,
    seconds: float,
) -> list[Answer]:
    """Decide the payments from `low` to `high` of the order; return the answers of the solver; the last counts.

    Where earlier levels have left a node no whole payments that keep its limit, its payments are decided again.
    """
    penalty = PENALTY * max(1.0, float(relaxation.prices.max(initial=0)) / kernels.PRICE_UNIT)
    answers: list[Answer] = []

    def solve(free: NDArray[np.int64], penalty: float = 0.0) -> Answer:
        answers.append(
            exact.solve(
                queue,
                chosen,
                free,
                partial=np.sort(order[high:]),
                columns=relaxation.columns,
                penalty=penalty,
                gap=gap * relaxation.bound,
                nodes=TREE_MAX,
                seconds=seconds - sum(each.seconds for each in answers),
            )
        )
        return answers[-1]

    free = np.sort(order[low:high])
    if solve(free).chosen is None and low and not answers[-1].is_stopped:
        over = solve(free, penalty)
        lacks = over.excess > 0.5
        if over.chosen is not None and np.any(lacks):
            near = queue.payments[lacks[queue.senders] | lacks[queue.receivers]]
            if solve(np.union1d(free, np.intersect1d(near, order[:low]))).chosen is None:
                answers.append(replace(over, seconds=0.0))
    return answers


def _ends(count: int) -> list[int]:
    """Return how many payments are decided after each level."""
    ends, size = [0], FIRST
    while ends[-1] + size < min(count, DECIDED_MAX):
        ends.append(ends[-1] + size)
        size = int(size * GROWTH)
    if count - ends[-1] <= LAST_MAX:
        ends.append(count)
    return ends[1:]


def _sizes(queue: Queue) -> NDArray[np.float64]:
    """Return how large each payment is beside all that its nodes send or receive: float64 [payments]."""
    sent = np.bincount(queue.senders, queue.amounts, queue.nodes)
    received = np.bincount(queue.receivers, queue.amounts, queue.nodes)
    sizes = np.zeros(queue.count)
    legs = np.maximum(queue.amounts / sent[queue.senders], queue.amounts / received[queue.receivers])
    np.maximum.at(sizes, queue.payments, legs)
    return sizes
