"""Later rounds: what shops and their workers spend of additional receipts.

Receipts of a day add to an income that is spent gradually: a round's spending is the receipts of the next. Rounds are
kept separate from the first one, which persons decide, because they rest on two parameters alone.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour.layout import PPM
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.city.rounding import largest_remainder

ROUNDS: Final = 3


def rounds(receipts: Array, parameters: Parameters) -> Array:
    """Return spending of each later round by day: (ROUNDS, days) int64, from additional receipts (days,) int64.

    Receipts may be negative: then later spending is less than without a programme.
    """
    share, speed = parameters["respend_share"], parameters["respend_speed"]
    found = np.zeros((ROUNDS, receipts.size), np.int64)
    incoming: list[int] = receipts.tolist()
    for number in range(ROUNDS):
        waiting, spent = 0, []
        for amount in incoming:
            out = _times(waiting, speed)
            waiting += _times(amount, share) - out
            spent.append(out)
        found[number] = spent
        incoming = spent
    return found


def by_group(total: Array, base: Array) -> Array:
    """Return totals by day (days,) divided among groups in proportion to `base` (groups,): (days, groups) int64.

    Parts add up exactly, by largest remainders. The first group gets everything if `base` is zero.
    """
    weights = base if base.any() else np.arange(base.size) == 0
    rows = [int(np.sign(amount)) * largest_remainder(weights, abs(amount)) for amount in total.tolist()]
    return np.array(rows, np.int64).reshape(len(rows), base.size)


def _times(amount: int, share: int) -> int:
    """Return a share of an amount, rounded towards zero."""
    return -(-amount * share // PPM) if amount < 0 else amount * share // PPM
