"""Decisions about a queue: the search, completed so that nothing covered is left, and the order of senders."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sycee.netting import bilateral, enumeration
from sycee.netting.fifo import largest_in_order
from sycee.netting.optimise import NettingResult, optimise
from sycee.netting.queue import Queue
from sycee.netting.relaxation import bound, relax
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


def offset(queue: Queue) -> NettingResult:
    """Return payments that settle together, quickly, with the bound of the queue: for the payments of one pair."""
    chosen = bilateral.offset(queue)
    if not chosen.any():
        prices = np.zeros(queue.nodes, np.int64)
        return NettingResult(chosen, 0, bound(queue, prices), prices, "none")
    relaxation, value = relax(queue), queue.value(chosen)
    is_best = queue.count <= enumeration.COUNT_MAX
    return NettingResult(
        chosen, value, relaxation.bound, relaxation.prices, "bilateral", is_best, value if is_best else None
    )


def completed(queue: Queue, outcome: NettingResult) -> NettingResult:
    """Return an outcome with the payments that its set leaves and that what is left of the limits covers.

    A search that weighs sums of 10^9 in floating point may leave a payment of 1.
    """
    left = np.flatnonzero(~outcome.chosen)
    if not left.size:
        return outcome
    chosen = outcome.chosen.copy()
    chosen[left[release(queue.rest(outcome.chosen), keeps_order=False)]] = True
    queue.require_feasible(chosen)
    value = queue.value(chosen)
    claim = None if outcome.claim is None else max(outcome.claim, value)
    return replace(outcome, chosen=chosen, value=value, claim=claim)
