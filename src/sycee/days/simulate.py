"""Settle a synthetic day under a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.errors import UsageError, require
from sycee.days import kernels
from sycee.days.policies import Gates, Policy, Round, Rule
from sycee.days.synthetic import Day
from sycee.netting import ejection, fifo
from sycee.netting.kernels import PRICE_UNIT
from sycee.netting.queue import Chosen, Integers, Queue
from sycee.netting.relaxation import relax

SPARE: Final = 50  # a price below 1 / SPARE counts as zero: it belongs to liquidity that is almost unused
LEAST: Final = 20  # the smallest weight of a payment is its amount / LEAST
SEARCHES: Final = 2  # per round, with different seeds; the best set counts
TENTHS: Final = 10
PER_CENT: Final = 100
PER_MILLE: Final = 1_000
PLENTY: Final = 3  # liquidity is scarce if more waits than this many times the sum of all positions


@dataclass(frozen=True)
class Run:
    """A settled day.

    Attributes
    ----------
    day : Day
    policy : Policy
    prefund : int64 [participants]
        Positions at the opening.
    settled : int64 [payments]
        The second in which a payment settled, or -1 for one that waits for the closing net settlement.
    sets : int64 [payments]
        Payments with the same number settled together; numbers ascend in the order of settlement; -1 for none.

    """

    day: Day
    policy: Policy
    prefund: Integers
    settled: Integers
    sets: Integers

    @property
    def is_settled(self) -> NDArray[np.bool_]:
        """Return which payments settled before the close: bool [payments]."""
        return self.settled >= 0


def prefund(day: Day, value_per_prefund: int) -> Integers:
    """Return positions at the opening: the day's value over this number, divided by the participants' weights.

    The weights are known before the day and the net positions are not, so a net payer gets no more than others.
    """
    if value_per_prefund < 1:
        raise UsageError(f"the day's value over {value_per_prefund} is no prefund", hint="give a number from 1 on")
    total = day.value // value_per_prefund
    weights = [int(weight) for weight in day.weights]
    return np.array([total * weight // sum(weights) for weight in weights], np.int64)


def run(day: Day, policy: Policy, positions: Integers) -> Run:
    """Settle a day under a policy, from these positions: int64 [participants]. The same input gives the same run."""
    state = _State(day, policy, positions)
    if policy.rounds is Round.NONE:
        state.arrive_until(day.seconds)
    else:
        for end in policy.round_times(day.seconds):
            state.arrive_until(end)
            state.is_held = day.seconds - end <= policy.holds and end < day.seconds
            state.round(end, is_last=end == day.seconds)
    require(int(state.positions.min()) >= 0, "a position of a simulated day is below zero")
    return Run(day, policy, positions.copy(), state.settled, state.sets)


class _State:
    """Positions, queues and settled payments at one moment of a day."""

    def __init__(self, day: Day, policy: Policy, positions: Integers) -> None:
        self.day, self.policy = day, policy
        self.positions = positions.astype(np.int64)
        self.senders, self.receivers = day.senders.astype(np.int64), day.receivers.astype(np.int64)
        self.urgent = day.urgent.astype(np.uint8)
        queues = 2 * self.senders + 1 - self.urgent
        sizes = np.bincount(queues, minlength=2 * day.banks)
        self.starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]).astype(np.int64)
        self.counts = np.zeros(2 * day.banks, np.int64)
        self.slots = np.zeros(day.count, np.int64)
        self.settled, self.sets = np.full(day.count, -1, np.int64), np.full(day.count, -1, np.int64)
        self.number = np.zeros(1, np.int64)
        self.gates = np.ones(day.banks * day.banks, np.uint8)
        self.prices, self.has_prices = np.zeros(day.banks, np.int64), False
        self.is_scarce = self.is_held = False
        self.arrived = 0
        ranked = np.sort(day.amounts)
        at = day.count * policy.large // PER_MILLE
        self.large_from = int(ranked[at]) if at < day.count else int(ranked[-1]) + 1

    @property
    def rule(self) -> int:
        """Return the rule until the next round."""
        policy = self.policy
        if self.is_held:
            return int(Rule.GATED)
        return int(policy.rule if self.is_scarce or policy.plenty is None else policy.plenty)

    def arrive_until(self, end: int) -> None:
        """Add the payments that arrive before second `end`; settle those that the rule permits."""
        stop = int(np.searchsorted(self.day.times, end))
        offsets = self.policy.offsets and not self.is_scarce and not self.is_held
        kernels.arrive(
            self.arrived, stop, self.day.times, self.senders, self.receivers, self.day.amounts, self.urgent,
            self.rule, int(offsets), self.gates, self.starts, self.counts, self.slots,
            self.positions, self.settled, self.sets, self.number,
        )  # fmt: skip
        self.arrived = stop

    def round(self, now: int, *, is_last: bool) -> None:
        """Settle a set of queued payments together, then single payments that the new positions cover."""
        waiting = np.flatnonzero(self.settled[: self.arrived] < 0)
        if not len(waiting):
            self.is_scarce = False
            return
        self.is_scarce = int(self.day.amounts[waiting].sum()) > PLENTY * int(self.positions.sum())
        if self.policy.rounds is Round.IN_ORDER:
            self._settle(waiting[fifo.largest_in_order(self._queue(waiting))], now)
        else:
            if self.policy.gates is not Gates.OPEN or self.policy.circulation:
                self._read_prices(waiting)
            # The last round maximises value alone, because later rounds cannot use the positions.
            queue = self._queue(waiting) if is_last else self._weighted(waiting, now)
            chains = self.policy.chains * (self.policy.closing if is_last else 1)
            self._settle(waiting[best(queue, chains)], now)
        if self.is_held:
            self.gates[:] = 0
        kernels.release(
            now, self.receivers, self.day.amounts, self.rule, self.gates, self.starts, self.counts,
            self.slots, self.positions, self.settled, self.sets, self.number,
        )  # fmt: skip

    def _queue(self, waiting: Integers, weights: Integers | None = None) -> Queue:
        day = self.day
        return Queue(
            day.senders[waiting], day.receivers[waiting], day.amounts[waiting], self.positions,
            weights=np.empty(0, np.int64) if weights is None else weights,
            priorities=(1 - self.urgent[waiting]).astype(np.int8),
        )  # fmt: skip

    def _weighted(self, waiting: Integers, now: int) -> Queue:
        """Return the queue with the weights of the policy."""
        policy, day = self.policy, self.day
        weights = day.amounts[waiting].copy()
        if policy.aging and self.is_scarce:
            waited = (now - day.times[waiting]) * TENTHS * policy.aging // day.seconds
            weights += np.where(weights >= self.large_from, weights // PER_CENT * waited, 0)
        if policy.circulation:
            gap = self.prices[day.receivers[waiting]] - self.prices[day.senders[waiting]]
            parts = np.maximum(PRICE_UNIT + gap * policy.circulation // PER_CENT, PRICE_UNIT // LEAST)
            # Two steps keep the product within 64 bits.
            weights = weights // PRICE_UNIT * parts + weights % PRICE_UNIT * parts // PRICE_UNIT
        return self._queue(waiting, np.maximum(weights, 1))

    def _read_prices(self, waiting: Integers) -> None:
        """Set gates and prices from the linear programme of the waiting payments."""
        found = relax(self._queue(waiting)).prices
        old = self.policy.memory if self.has_prices else 0
        self.prices, self.has_prices = (self.prices * old + found * (PER_CENT - old)) // PER_CENT, True
        margin = PRICE_UNIT // SPARE
        if self.policy.gates is Gates.SENDER:
            self.gates[:] = np.repeat(found <= margin, self.day.banks)
        elif self.policy.gates is Gates.PAIR:
            self.gates[:] = (PRICE_UNIT - found[:, None] + found[None, :] > margin).ravel()

    def _settle(self, payments: Integers, now: int) -> None:
        """Settle payments as one set; every position is at least zero after it."""
        if not len(payments):
            return
        np.subtract.at(self.positions, self.senders[payments], self.day.amounts[payments])
        np.add.at(self.positions, self.receivers[payments], self.day.amounts[payments])
        require(int(self.positions.min()) >= 0, "a set takes a position below zero")
        self.settled[payments], self.sets[payments] = now, self.number[0]
        self.number[0] += 1


def best(queue: Queue, chains: int) -> Chosen:
    """Return the best set of two searches with different seeds."""
    prices, start = relax(queue).prices, np.ones(queue.count, np.bool_)
    found = [ejection.chains(queue, start, prices, count=chains, seed=seed) for seed in range(SEARCHES)]
    return max(found, key=queue.value)
