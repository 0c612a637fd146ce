"""Decisions about a queue besides the search: they keep the order of each sender, and prove their bound as well."""

from __future__ import annotations

from sycee.netting.fifo import largest_in_order
from sycee.netting.optimise import Outcome
from sycee.netting.queue import Queue
from sycee.netting.relaxation import relax


def in_order(queue: Queue) -> Outcome:
    """Return the largest set in which no payment settles before one that its sender sent earlier, with its bound."""
    chosen, relaxation = largest_in_order(queue), relax(queue)
    return Outcome(chosen, queue.value(chosen), relaxation.bound, relaxation.prices, "first-in-first-out")
