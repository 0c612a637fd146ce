"""What no policy can exceed on a day: the value settled before the close, and the least delay.

At a moment t, what has settled is a set of the payments that have arrived, and no position is below zero. So its value
is at most that of the linear programme over all arrived payments, from the positions at the opening, and what waits is
worth at least the rest. The programme's value grows with time, so between two moments its value at the later one holds.
A policy would need to know the day in advance, and to settle payments in part, to reach either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.days.synthetic import Day
from sycee.netting.queue import Integers, Queue
from sycee.netting.relaxation import relax

MOMENTS: Final = 60  # more of them give a higher bound of the delay


@dataclass(frozen=True, slots=True)
class Bounds:
    """What no policy can exceed.

    Attributes
    ----------
    value_most : int
        The value that can settle before the close.
    delay_least : int
        The sum over payments of amount times seconds of waiting.
    liquidity_least : int
        The sum of net outflows of the day: with less, not all payments settle.
    liquidity_gross : int
        What positions at the opening need so that each payment settles on arrival, alone.

    """

    value_most: int
    delay_least: int
    liquidity_least: int
    liquidity_gross: int


def bounds(day: Day, positions: Integers, *, moments: int = MOMENTS) -> Bounds:
    """Return the bounds of a day with these positions at the opening: int64 [participants]."""
    at = np.arange(1, moments) * day.count // moments
    times = np.unique(np.concatenate([day.times[at], np.array([day.seconds])]))
    before, delay, value = 0, 0, 0
    for time in times.tolist():
        count = int(np.searchsorted(day.times, time, side="right"))
        value = _most(day, count, positions)
        # The payments that have arrived, summed over the seconds since the last moment.
        since = np.minimum(time - day.times[:count], time - before)
        delay += max(0, _product(day.amounts[:count], since) - value * (time - before))
        before = time
    return Bounds(value, delay, int(np.maximum(day.net_outflows(), 0).sum()), _gross(day))


def _most(day: Day, count: int, positions: Integers) -> int:
    if not count:
        return 0
    queue = Queue(day.senders[:count], day.receivers[:count], day.amounts[:count], positions)
    return relax(queue).bound


def _product(amounts: Integers, seconds: Integers) -> int:
    """Return the exact sum of products, which may need more than 64 bits."""
    low = amounts & 0xFFFF_FFFF
    return (int(((amounts >> 32) * seconds).sum()) << 32) + int((low * seconds).sum())


def _gross(day: Day) -> int:
    """Return the sum of the deepest positions if each payment settles on arrival from nothing."""
    nodes = np.concatenate([day.senders, day.receivers])
    moves = np.concatenate([day.amounts, -day.amounts])
    order = np.lexsort((np.tile(np.arange(day.count), 2), nodes))
    total = 0
    for part in np.split(moves[order], np.searchsorted(nodes[order], np.arange(1, day.banks))):
        if len(part):
            total += max(0, int(np.cumsum(part).max()))
    return total
