"""Small synthetic days, and a slow simulation of the policies without rounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sycee.days import assumptions, kernels, synthetic
from sycee.days.simulate import Run
from sycee.days.synthetic import Day

CHIPS_LIKE = assumptions.load()
SMALL = replace(CHIPS_LIKE, payments=80, count=6, core=3, urgent=200, largest=400)


def small(seed: int) -> Day:
    return synthetic.make(SMALL, seed)


def naive(day: Day, rule: int, positions: np.ndarray) -> dict[int, int]:
    """Return the second in which each payment settles, one by one, without gates, offsets and rounds."""
    money, waits, settled = positions.tolist(), [], {}
    for payment in range(day.count):
        waits.append(payment)
        again = True
        while again:
            again = False
            for each in sorted(waits, key=lambda one: (not day.urgent[one], one)):
                sender, receiver = int(day.senders[each]), int(day.receivers[each])
                if rule == kernels.ORDERED and any(before(day, other, each) for other in waits):
                    continue
                if day.amounts[each] <= money[sender]:
                    money[sender] -= int(day.amounts[each])
                    money[receiver] += int(day.amounts[each])
                    settled[each] = int(day.times[payment])
                    waits.remove(each)
                    again = True
                    break
    return settled


def before(day: Day, one: int, other: int) -> bool:
    """Return whether `one` is of the same sender and before `other` in its order: urgent first, then by arrival."""
    keys = [(not day.urgent[each], each) for each in (one, other)]
    return bool(day.senders[one] == day.senders[other]) and keys[0] < keys[1]


def positions_after(run: Run) -> list[np.ndarray]:
    """Return the positions at the opening and after each set."""
    day, money = run.day, run.prefund.copy()
    found = [money.copy()]
    for number in range(int(run.sets.max(initial=-1)) + 1):
        chosen = np.flatnonzero(run.sets == number)
        np.subtract.at(money, day.senders[chosen], day.amounts[chosen])
        np.add.at(money, day.receivers[chosen], day.amounts[chosen])
        found.append(money.copy())
    return found
