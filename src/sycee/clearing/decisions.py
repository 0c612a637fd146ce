"""Decisions about a queue: the search, completed so that nothing covered is left, and the order of senders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sycee.netting.fifo import largest_in_order
from sycee.netting.optimise import NettingResult, optimise
from sycee.netting.queue import Queue
from sycee.netting.relaxation import relax
from sycee.netting.release import release


def best(queue: Queue, *, seconds: float, seed: int) -> NettingResult:
    """Return the best set that the search finds, with every other payment that fits beside it."""
    return completed(queue, optimise(queue, seconds=seconds, seed=seed))


def in_order(queue: Queue) -> NettingResult:
    """Return the largest set in which no payment settles before one that its sender sent earlier, with its bound."""
    chosen, relaxation = largest_in_order(queue), relax(queue)
    return NettingResult(chosen, queue.value(chosen), relaxation.bound, relaxation.prices, "first-in-first-out")


def covered(queue: Queue) -> NettingResult:
    """Return the payments that settle one after another, urgent first, then oldest, with the bound of the queue."""
    chosen, relaxation = release(queue, keeps_order=False), relax(queue)
    return NettingResult(chosen, queue.value(chosen), relaxation.bound, relaxation.prices, "release")


def completed(queue: Queue, outcome: NettingResult) -> NettingResult:
    """Return an outcome with the payments that its set leaves and that what is left of the limits covers.

    A search that weighs sums of 10^9 in floating point may leave a payment of 1.
    """
    left = np.flatnonzero(~outcome.chosen)
    if not left.size:
        return outcome
    is_left = ~outcome.chosen[queue.payments]
    rest = Queue(
        queue.senders[is_left],
        queue.receivers[is_left],
        queue.amounts[is_left],
        queue.limits - queue.outflows(outcome.chosen),
        np.searchsorted(left, queue.payments[is_left]).astype(np.int32),
        queue.weights[left],
        queue.priorities[left],
    )
    chosen = outcome.chosen.copy()
    chosen[left[release(rest, keeps_order=False)]] = True
    queue.require_feasible(chosen)
    value = queue.value(chosen)
    claim = None if outcome.claim is None else max(outcome.claim, value)
    return replace(outcome, chosen=chosen, value=value, claim=claim)
