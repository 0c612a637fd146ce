"""From a set that exceeds some limits by little to a feasible one that settles nearly as much."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.netting import fifo, kernels, rounding
from sycee.netting.queue import Chosen, Indexes, Integers, Queue, ascending

WINDOW: Final = 15  # payments of each direction whose subsets are compared with each other: 2**15 sums each
WINDOWS: Final = 16  # the smallest payments, then others among the four times as many that are smallest
HUBS: Final = 8  # nodes with the most payments, through which two others exchange
DROPS_PER_NODE: Final = 100  # single payments that `kernels.repair` drops, which reads the queue for each


def repaired(queue: Queue, chosen: Chosen) -> Chosen:
    """Return the set changed so that it exceeds no limit, with each other payment that still fits.

    What a node pays above its limit is passed on along payments with one leg to nodes that can spare it: also what a
    payment of several legs leaves open in one currency. Where limits do not permit that, small payments between
    two nodes are dropped and taken whose difference is what the one lacks. Where that is impossible too, payments are
    dropped one by one; if that takes too many, the last ones of each node's order are dropped.
    """
    taken, slack = _passed_on(queue, chosen, exchanges=True)
    smallest_first = ascending(queue.weights)
    legs = np.append(queue.first_legs, len(queue.amounts))
    columns = (legs, queue.senders, queue.receivers, queue.amounts, slack, taken)
    if kernels.repair(smallest_first, *columns, DROPS_PER_NODE * queue.nodes):
        fifo.drop_until_feasible(queue, slack, taken)
    kernels.take_what_fits(smallest_first, *columns)
    return taken.astype(np.bool_)


def mended(queue: Queue, chosen: Chosen) -> Chosen | None:
    """Return the set changed so that it exceeds no limit, or None if excesses cannot all be passed on.

    Needs some milliseconds for 20,000 payments, and drops nothing without taking nearly as much elsewhere.
    """
    taken, slack = _passed_on(queue, chosen, exchanges=False)
    return None if np.any(slack < 0) else taken.astype(np.bool_)


def _passed_on(queue: Queue, chosen: Chosen, *, exchanges: bool) -> tuple[NDArray[np.uint8], Integers]:
    """Return the set after excesses were passed on, and what each node may still pay out: uint8 [payments] and [nodes].

    With `exchanges`, also by dropping and taking small payments between two nodes.
    """
    taken = chosen.astype(np.uint8)
    slack = queue.limits - queue.outflows(chosen)
    lone = _single_legs(queue)
    if len(lone) and np.any(slack < 0):
        senders, receivers, amounts = queue.senders[lone], queue.receivers[lone], queue.amounts[lone]
        smallest = ascending(amounts)
        both = np.concatenate([senders[smallest], receivers[smallest]])
        order = ascending(both)
        starts = np.searchsorted(both[order], np.arange(queue.nodes + 1))
        near = smallest[order % len(lone)]
        settles = taken[queue.payments[lone]]
        kernels.mend(starts, near, senders, receivers, amounts, slack, settles)
        if exchanges and np.any(slack < 0):
            _Exchange(senders, receivers, amounts, starts, near, slack, settles).cover_all()
        taken[queue.payments[lone]] = settles
    return taken, slack


def _single_legs(queue: Queue) -> NDArray[np.int64]:
    """Return the legs that settle without another leg: int64."""
    counts = np.bincount(queue.payments, minlength=queue.count)
    return np.flatnonzero(counts[queue.payments] == 1)


class _Exchange:
    """Drops and takes payments between two nodes, so that money moves from one to the other.

    `near` are payments with one leg by node, the smallest first: node n's are near[starts[n]:starts[n + 1]]. Changes
    `slack` and `settles`.
    """

    def __init__(
        self, senders: Indexes, receivers: Indexes, amounts: Integers, starts: NDArray[np.int64],
        near: NDArray[np.int64], slack: Integers, settles: NDArray[np.uint8],
    ) -> None:  # fmt: skip
        self._senders, self._receivers, self._amounts = senders, receivers, amounts
        self._starts, self._near = starts, near
        self._slack, self._settles = slack, settles
        self._hubs = np.argsort(-np.diff(starts), kind="stable")[:HUBS]

    def cover_all(self) -> None:
        """Move money to nodes that lack it from those with slack, as far as this finds payments for it.

        Two nodes exchange directly, or each with the hubs, which have many payments with each other.
        """
        for _ in range(4 * len(self._slack)):
            slack = self._slack
            lacking = np.flatnonzero(slack < 0)
            if not len(lacking):
                return
            node, other = int(lacking[slack[lacking].argmin()]), int(slack.argmax())
            least = min(-int(slack[node]), int(slack[other]))
            if least <= 0:
                return
            direct = self._flips(node, np.array([other]), least, int(slack[other]))
            if direct is not None:
                self._flip(direct)
                continue
            for end, to_end in ((node, least), (other, -least)):
                flips = self._flips(end, np.setdiff1d(self._hubs, [end]), to_end, to_end)
                if flips is None:
                    return
                self._flip(flips)

    def _flip(self, legs: NDArray[np.int64]) -> None:
        """Drop the settled among the legs, and take the others."""
        amounts = np.where(self._settles[legs] == 1, self._amounts[legs], -self._amounts[legs])
        np.add.at(self._slack, self._senders[legs], amounts)
        np.subtract.at(self._slack, self._receivers[legs], amounts)
        self._settles[legs] ^= 1

    def _flips(self, node: int, others: NDArray[np.int64], least: int, most: int) -> NDArray[np.int64] | None:
        """Return payments between a node and others whose flips give it `least` to `most`, or None if none are found.

        Below zero the node gives. Of several answers the one that settles the most money is returned.
        """
        near = self._near[self._starts[node] : self._starts[node + 1]]
        senders, receivers = self._senders[near], self._receivers[near]
        near = near[np.isin(np.where(senders == node, receivers, senders), others)]
        gives = (self._senders[near] == node) == (self._settles[near] == 1)
        every_more, every_less = near[gives], near[~gives]
        random = np.random.default_rng(node)
        for window in range(WINDOWS):
            more, less = every_more[:WINDOW], every_less[:WINDOW]
            if window:
                more, less = (
                    each[np.sort(random.permutation(min(len(each), 4 * WINDOW))[:WINDOW])]
                    for each in (every_more, every_less)
                )
            # Larger flips lead to the middle of what the window's subsets give, where their sums are densest.
            gap = least - (int(self._amounts[more].sum()) - int(self._amounts[less].sum())) // 2
            others = np.setdiff1d(every_more if gap > 0 else every_less, more if gap > 0 else less)
            large = others[rounding.greedy(self._amounts[others], abs(gap))]
            rest = least - int(np.sign(gap)) * int(self._amounts[large].sum())
            sums_more, sums_less = rounding.sums(self._amounts[more]), rounding.sums(self._amounts[less])
            order = ascending(sums_more)
            place = np.searchsorted(sums_more[order], sums_less + rest)
            usable = np.flatnonzero(place < len(order))
            chosen = order[place[usable]]
            fits = np.flatnonzero(sums_more[chosen] - sums_less[usable] <= rest + most - least)
            if len(fits):
                worth = self._worth(more)[chosen[fits]] + self._worth(less)[usable[fits]]
                best = fits[worth.argmax()]
                small = (_members(more, int(chosen[best])), _members(less, int(usable[best])))
                return np.concatenate([large, *small])
        return None

    def _worth(self, legs: NDArray[np.int64]) -> Integers:
        """Return how much more settles after the flips of each subset of legs."""
        return rounding.sums(np.where(self._settles[legs] == 1, -self._amounts[legs], self._amounts[legs]))


def _members(legs: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    return legs[[bool(bits >> at & 1) for at in range(len(legs))]]
