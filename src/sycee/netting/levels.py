"""Decide the largest payments first, while all smaller ones may settle in part; then the next largest, and so on.

Beside many smaller payments, branch and bound decides some hundred large ones quickly: whatever a large payment leaves
open, parts of the smaller ones fill. Each level decides more payments than the one before it, and its payments are
smaller, so each level loses less against payments in part than the one before it.

The first level also bounds what any set settles. Where payments are large against the limits, that bound is weak, and
so is the one of the linear programme. More payments decided whole, all at once, then lead to a lower one. It needs no
set, so the search for it begins with the set that the levels found, and the solver looks for no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.netting import diving, exact, rounding
from sycee.netting.queue import Chosen, Queue
from sycee.netting.relaxation import Relaxation
from sycee.netting.repair import repaired

FIRST: Final = 200  # payments of the first level
LEVEL_RATIO: Final = 1.6  # payments of a level for each of the level before it
REST_SHARE: Final = 0.6  # of the payments that are left, which one level decides at most
DECIDED_MAX: Final = 25_000  # payments that levels decide; the rest is rounded
TREE_MAX: Final = 20  # nodes of the search tree of a level
ROUNDED_FROM: Final = 3  # from this level on, the rest is rounded too: the best of all roundings counts
TIME_SHARE: Final = 0.25  # of the time that is left, which one level may take if many follow it
LATE: Final = 0.6  # of the time
LEAST: Final = 1.0  # minimum time limit of a linear programme, in seconds, also after the deadline
POOR: Final = 0.5  # share of the bound that a level may lose; else it is rounded, which may lose as much of large ones
HALF: Final = 0.5
WEAK: Final = 5e-3  # share of the linear programme's bound by which the first level lowers it, if both are weak
PROVED: Final = 1_000  # payments that are decided whole for a lower bound
PROOF_SHARE: Final = 0.3  # of the time, which the search for a lower bound may take


@dataclass(frozen=True)
class Levels:
    """A set, the solver's claim which weight no set exceeds, and what the search needed.

    Attributes
    ----------
    chosen : bool [payments]
        A feasible set.
    bound : float
        It may depend on the machine, also where the set does not.
    seconds : float
        Time that the solver needed.
    is_stopped : bool
        Whether a limit of time stopped the search for a set, or changed which levels are rounded.

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
        The most that the solver may take, and LEAST more. Nothing but this limit makes the set depend on the machine.
    seed
        Of the rounding of the smallest payments.

    """
    order = np.argsort(-_sizes(queue), kind="stable")
    # The result if the deadline passes before the levels find a better one.
    first = diving.dive(queue, relaxation, seconds=max(seconds, LEAST))
    best = first.chosen
    if not first.is_near:
        best = max(best, _rounded(queue, relaxation, seed), key=queue.value)
    chosen = best  # no payment is decided yet: the first level only begins with this set
    bound, used, low, is_stopped = float(relaxation.bound), first.seconds, 0, first.is_stopped
    if used >= seconds:
        return Levels(best, bound, used, is_stopped=True)
    ends, penalty = _ends(queue.count), diving.penalty_of(queue, relaxation)
    limit, is_weak = seconds, False
    for number, high in enumerate(ends):
        level = partial(
            exact.solve,
            queue,
            chosen,
            np.sort(order[low:high]),
            partial=np.sort(order[high:]),
            columns=relaxation.columns,
            gap=gap * relaxation.bound,
            nodes=TREE_MAX,
        )
        share = max(TIME_SHARE, 1.0 / (len(ends) - number))
        answer = level(seconds=share * max(limit - used, 0.0))
        used += answer.seconds
        if not low:
            bound = min(bound, answer.bound)
            is_weak = bound < (1.0 - WEAK) * relaxation.bound
            limit -= PROOF_SHARE * seconds if is_weak else 0.0
        is_stopped |= answer.is_stopped
        if answer.chosen is None and not answer.is_stopped:
            # No whole payments keep the limits of a node, as earlier levels left it: exceed them by little.
            answer = level(seconds=share * max(limit - used, 0.0), penalty=penalty)
            used += answer.seconds
            is_stopped |= answer.is_stopped
        if answer.chosen is None or answer.value < (1.0 - POOR) * answer.bound:
            # No good set was found in the time or in the nodes: round this level, which needs one linear programme.
            answer = level(seconds=max(limit - used, LEAST), penalty=penalty, is_whole=False)
            used += answer.seconds
        is_short = used >= LATE * limit  # then this level may be the last one, so it is rounded
        is_stopped |= is_short
        if answer.chosen is None:
            break
        chosen, low = answer.chosen, high
        if number >= min(ROUNDED_FROM, len(ends) - 1) or is_short:
            shares = answer.shares[relaxation.columns]
            shares[order[:low]] = chosen[order[:low]]
            parts = replace(relaxation, shares=shares, column_shares=answer.shares)
            best = max(best, _rounded(queue, parts, seed), key=queue.value)
        if used >= limit:
            break
    left = min(PROOF_SHARE * seconds, seconds - used)
    if is_weak and left > 0.0 and queue.value(best) < (1.0 - gap) * bound:
        proof = exact.solve(
            queue,
            best,
            np.sort(order[:PROVED]),
            partial=np.sort(order[PROVED:]),
            columns=relaxation.columns,
            nodes=TREE_MAX,
            seconds=left,
            is_search=False,
        )
        bound, used = min(bound, proof.bound), used + proof.seconds
    return Levels(best, bound, used, is_stopped)


def _rounded(queue: Queue, relaxation: Relaxation, seed: int) -> Chosen:
    """Return the better of two feasible sets near the shares of a relaxation."""
    sets = (rounding.round_columns(queue, relaxation, seed=seed), relaxation.shares > HALF)
    return max((repaired(queue, each) for each in sets), key=queue.value)


def _ends(count: int) -> list[int]:
    """Return how many payments are decided after each level."""
    ends, size = [0], min(FIRST, count)
    while ends[-1] < min(count, DECIDED_MAX) and size >= min(FIRST, count // 3):
        ends.append(ends[-1] + size)
        size = min(int(size * LEVEL_RATIO), int(REST_SHARE * (count - ends[-1])))
    return ends[1:]


def _sizes(queue: Queue) -> NDArray[np.float64]:
    """Return how large each payment is beside all that its nodes send or receive: float64 [payments]."""
    sent = np.bincount(queue.senders, queue.amounts, queue.nodes)
    received = np.bincount(queue.receivers, queue.amounts, queue.nodes)
    sizes = np.zeros(queue.count)
    legs = np.maximum(queue.amounts / sent[queue.senders], queue.amounts / received[queue.receivers])
    np.maximum.at(sizes, queue.payments, legs)
    return sizes
