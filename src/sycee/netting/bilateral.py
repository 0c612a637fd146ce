"""Payments between two participants, such as opposite ones that settle together when one of them arrives."""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.netting import enumeration
from sycee.netting.fifo import by_sender, largest_in_order
from sycee.netting.queue import Chosen, Queue
from sycee.netting.release import release

SEARCHES_MAX: Final = 10  # of some milliseconds each


def offset(queue: Queue) -> Chosen:
    """Return payments that settle together, quickly: bool [payments]. The same input gives the same set.

    Of up to `enumeration.COUNT_MAX` payments it is the set of the most weight. Of more it is the largest set in order,
    then the best set of as many others, the first of each sender, again and again, then each payment that still fits.
    """
    if queue.count <= enumeration.COUNT_MAX:
        return enumeration.best_set(queue)
    chosen = largest_in_order(queue)
    for _ in range(SEARCHES_MAX):
        left = np.flatnonzero(~chosen)
        rest = queue.rest(chosen)
        first = np.flatnonzero(_places(rest) < enumeration.COUNT_MAX)
        more = first[enumeration.best_set(rest.part(first))]
        chosen[left[more]] = True
        if not more.size or left.size == more.size:
            break
    left = np.flatnonzero(~chosen)
    chosen[left[release(queue.rest(chosen), keeps_order=False)]] = True
    return chosen


def _places(queue: Queue) -> np.ndarray:
    """Return the place of each payment if senders take turns, each in its order: int64 [payments]."""
    order, starts = by_sender(queue)
    turns = np.empty(len(order), np.int64)
    turns[order] = np.arange(len(order)) - np.repeat(starts[:-1], np.diff(starts))
    first = turns[queue.first_legs]
    places = np.empty(queue.count, np.int64)
    places[np.lexsort((np.arange(queue.count), first))] = np.arange(queue.count)
    return places
