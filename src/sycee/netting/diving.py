"""Decide the fractions of a linear programme in groups, the largest payments first, and solve it again after each.

The simplex method begins each programme where the one before it ended, so a group needs some milliseconds. Hardly any
weight is lost while the rest may settle in part. What the last fractions leave open, `repair.mended` passes on: after
each group the set is tried, and the first one that keeps all limits ends the search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.extras import extra
from sycee.netting import ejection, exact, repair
from sycee.netting.kernels import PRICE_UNIT
from sycee.netting.queue import Chosen, Queue
from sycee.netting.relaxation import Relaxation, matrix

with extra("clearing"):
    import highspy

GROUP: Final = 20  # fractions that are decided at once
RATIO: Final = 0.5  # weight of the smallest of a group, of that of the largest
PROGRAMMES: Final = 120  # the most that are solved; queues of 20,000 payments of 200 nodes needed 20 to 60
TRIED_FROM: Final = 8  # programmes; before, the fractions are large, and more weight is lost by passing them on
CHANGES: Final = 4  # after which a group is withdrawn
REVERSALS: Final = 3  # the most of one payment
MARGIN: Final = 5  # the programme lowers each limit by 1 / MARGIN, which leaves money for passing fractions on
PENALTY: Final = 2.0  # of a unit above a limit, times the dearest price
WHOLE: Final = 1e-7  # a share this near to 0 or 1 is none
HALF: Final = 0.5  # share from which a fraction is rounded up, and minor units above a limit that count


@dataclass(frozen=True)
class Dive:
    """A set and what the search for it needed.

    Attributes
    ----------
    chosen : bool [payments]
        A feasible set.
    is_near : bool
        Whether only small excesses were passed on. Else payments were dropped, which may lose half of the weight.
    seconds : float
        Time that the solver needed.
    is_stopped : bool
        Whether the limit of time ended the search.

    """

    chosen: Chosen
    is_near: bool
    seconds: float
    is_stopped: bool


def dive(queue: Queue, relaxation: Relaxation, *, seconds: float) -> Dive:
    """Return a feasible set. The same input gives the same set, unless time runs out.

    Parameters
    ----------
    queue, relaxation
        The payments, and their solved linear programme, whose prices decide what is dropped if that is inevitable.
    seconds
        Time limit for the solver.

    """
    programme = _Programme(queue, penalty_of(queue, relaxation), seconds)
    for number in range(PROGRAMMES):
        if not programme.solve():
            break
        lacking = programme.lacks > HALF
        if np.any(lacking):
            if not programme.make_way(lacking):
                break
            continue
        group = programme.largest_fractions()
        if number >= TRIED_FROM or not len(group):
            found = repair.mended(queue, programme.shares >= HALF)
            if found is not None:
                return Dive(repair.repaired(queue, found), is_near=True, seconds=programme.seconds, is_stopped=False)
        if not len(group):
            break
        programme.decide(group)
    found = ejection.chains(queue, programme.shares >= HALF, relaxation.prices, count=0)
    return Dive(repair.repaired(queue, found), False, programme.seconds, programme.is_stopped)


def penalty_of(queue: Queue, relaxation: Relaxation) -> float:
    """Return what a unit above a limit costs: more than settling further payments with it could bring."""
    dearest = max(float(relaxation.prices.max()) / PRICE_UNIT, 1.0)
    return PENALTY * dearest * float((queue.weights / queue.amounts[queue.first_legs]).max())


class _Programme:
    """The linear programme of all payments, some of which are decided.

    `shares` [payments] settle, and `lacks` [nodes] are the minor units above limits, after `solve`.
    """

    def __init__(self, queue: Queue, penalty: float, seconds: float) -> None:
        self._queue = queue
        legs, count = queue.first_legs, queue.count
        self._scale, unit = float(np.median(queue.amounts[legs])), float(queue.weights.mean())
        self._solver = exact.model(
            matrix(queue, legs, np.append(legs[1:], len(queue.amounts))),
            queue.amounts[legs] / self._scale,
            queue.weights / unit,
            np.ones(count),
            0,
            (queue.limits - queue.limits // MARGIN) / self._scale,
            penalty * self._scale / unit,
        )
        self._solver.setOptionValue("time_limit", seconds)
        self._is_decided = np.zeros(count, np.bool_)
        self._is_rounded = np.zeros(count, np.bool_)  # decided as a fraction, and not because the payment was whole
        self._reversals = np.zeros(count, np.int8)
        self._group, self._size, self._changes = np.empty(0, np.int64), GROUP, 0
        self._before = self._is_decided, self._is_rounded, self._is_rounded
        self.shares, self.lacks = np.zeros(count), np.zeros(queue.nodes)
        self.is_stopped = False

    @property
    def seconds(self) -> float:
        """Return the time that the solver has needed."""
        return float(self._solver.getRunTime())

    def solve(self) -> bool:
        """Solve the programme; return False if time ran out."""
        self._solver.run()
        self.is_stopped = self._solver.getModelStatus() != highspy.HighsModelStatus.kOptimal
        if not self.is_stopped:
            values = np.asarray(self._solver.getSolution().col_value)
            self.shares, self.lacks = values[: len(self.shares)], values[len(self.shares) :] * self._scale
        return not self.is_stopped

    def largest_fractions(self) -> NDArray[np.int64]:
        """Return the undecided payments to decide next, the largest weight first: int64."""
        is_part = (self.shares > WHOLE) & (self.shares < 1.0 - WHOLE) & ~self._is_decided
        parts = np.flatnonzero(is_part)
        weights = self._queue.weights
        parts = parts[np.argsort(-weights[parts], kind="stable")][: self._size]
        return parts[weights[parts] >= RATIO * weights[parts[0]]] if len(parts) else parts

    def decide(self, group: NDArray[np.int64]) -> None:
        """Round these payments. Decide each larger one as it is, so that the next fractions are smaller."""
        if not self._changes:
            self._size = min(2 * self._size, GROUP)
        self._before = self._is_decided.copy(), self._is_rounded.copy(), self.shares >= HALF
        self._group, self._changes = group, 0
        payments = np.flatnonzero(~self._is_decided & (self._queue.weights >= self._queue.weights[group[-1]]))
        self._is_decided[payments] = True
        self._is_rounded[group] = True
        self._bind(payments, self.shares[payments] >= HALF)

    def make_way(self, lacking: Chosen) -> bool:
        """Change decisions so that these nodes [nodes] lack less money; return whether there were any to change.

        Release payments of the nodes that were decided as they were. Without any, reverse some that were rounded. After
        some changes, withdraw the group, to decide it in smaller groups. One payment alone can always be decided.
        """
        self._changes += 1
        if len(self._group) == 1 and self._changes == 1:
            return self._reverse(self._group)
        if len(self._group) > 1 and self._changes > CHANGES:
            return self._withdraw()
        queue = self._queue
        is_near = np.zeros(queue.count, np.bool_)
        is_near[queue.payments[lacking[queue.senders] | lacking[queue.receivers]]] = True
        free = np.flatnonzero(is_near & self._is_decided & ~self._is_rounded)
        if len(free):
            self._is_decided[free] = False
            self._change(free, np.zeros(len(free)), np.ones(len(free)))
            return True
        payments = {found for node in np.flatnonzero(lacking) if (found := self._to_reverse(int(node))) >= 0}
        if payments:
            return self._reverse(np.array(sorted(payments)))
        return len(self._group) > 1 and self._withdraw()

    def _reverse(self, payments: NDArray[np.int64]) -> bool:
        self._reversals[payments] += 1
        self._bind(payments, self.shares[payments] < HALF)
        return True

    def _withdraw(self) -> bool:
        """Return to the decisions before the group."""
        self._is_decided, self._is_rounded, settles = self._before
        low, high = np.where(self._is_decided, settles, 0.0), np.where(self._is_decided, settles, 1.0)
        self._change(np.arange(len(settles)), low.astype(float), high.astype(float))
        self._size = max(len(self._group) // 4, 1)
        return True

    def _to_reverse(self, node: int) -> int:
        """Return the rounded payment whose reversal gives a node what it lacks, or -1.

        The smallest that is enough, else the largest. No payment is reversed more than REVERSALS times.
        """
        queue = self._queue
        settles = self.shares[queue.payments] >= HALF
        gives = np.where(settles, queue.senders, queue.receivers) == node
        legs = np.flatnonzero(gives & (self._is_rounded & (self._reversals < REVERSALS))[queue.payments])
        if not len(legs):
            return -1
        enough = legs[queue.amounts[legs] >= self.lacks[node]]
        leg = enough[queue.amounts[enough].argmin()] if len(enough) else legs[queue.amounts[legs].argmax()]
        return int(queue.payments[leg])

    def _bind(self, payments: NDArray[np.int64], settle: Chosen) -> None:
        self._change(payments, settle.astype(float), settle.astype(float))

    def _change(self, payments: NDArray[np.int64], low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        self._solver.changeColsBounds(len(payments), payments.astype(np.int32), low, high)
