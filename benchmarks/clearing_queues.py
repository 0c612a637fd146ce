"""Queues of a clearing house: how near the best the set of payments is that settles, and how long the choice takes.

Queues are synthetic, because no data of payments between banks are public. Sizes of banks are lognormal with deviation
1. Sender and receiver of a payment are drawn by size. Amounts are lognormal: with deviation 1.2, or 2 (*heavy*), where
the largest of 10,000 payments is some percent of all money. A bank's liquidity is a share of its own queued outflow.
Each repeat is another seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.measure import Benchmark, Goal, Setting, Timing, Unit
from sycee.core.errors import require
from sycee.netting import fifo
from sycee.netting.optimise import optimise
from sycee.netting.queue import Queue

MEDIAN_MINOR: Final = 13.0  # logarithm of the median amount in units of 100
MILD, HEAVY = 1.2, 2.0  # deviations of the logarithms of amounts
PERCENT: Final = Unit("%", more_is_better=True, of=lambda timing: float(timing.value or 0.0))


def synthetic(payments: int, banks: int, liquidity: float, deviation: float, seed: int) -> Queue:
    """Return a queue from a seed. `liquidity`: share of each bank's queued outflow that it may pay out net."""
    random = np.random.default_rng(seed)
    sizes = random.lognormal(0.0, 1.0, banks)
    share = sizes / sizes.sum()
    senders, receivers = random.choice(banks, payments, p=share), random.choice(banks, payments, p=share)
    while np.any(own := senders == receivers):
        receivers[own] = random.choice(banks, int(own.sum()), p=share)
    amounts = np.maximum(1, (np.exp(random.normal(MEDIAN_MINOR, deviation, payments)) * 100).astype(np.int64))
    outflow = np.zeros(banks, np.int64)
    np.add.at(outflow, senders, amounts)
    return Queue(senders, receivers, amounts, (outflow * liquidity).astype(np.int64))


def choose(
    setting: Setting, *, banks: int, liquidity: float, deviation: float, effort: float, deadline: float, of_solver: bool
) -> Iterator[tuple[Timing, ...]]:
    """Choose a set; the limits are the solver's bound and that of the linear programme."""
    optimise(synthetic(1_000, 5, 0.01, MILD, 0), seconds=0.01)  # loads kernels and solver
    for seed in range(setting.repeats):
        setting.say("making a queue")
        queue = synthetic(setting.operations, banks, liquidity, deviation, seed)
        setting.say("choosing")
        began = perf_counter()
        outcome = optimise(queue, seconds=effort, deadline=deadline)
        took = perf_counter() - began
        queue.require_feasible(outcome.chosen)
        require(outcome.value <= outcome.bound, "the value is above its bound")
        claim = outcome.bound if outcome.claim is None else outcome.claim
        best = max(claim if of_solver else outcome.bound, 1)
        in_order = queue.value(fifo.largest_in_order(queue))
        timing = Timing(setting.operations, took, [took], value=100 * outcome.value / best)
        timing.note = (
            f"seed 0: {outcome.chosen.sum():,} payments, {100 * outcome.value / int(queue.weights.sum()):.2f} % of the "
            f"value, by {outcome.method}; first in, first out settles {100 * in_order / best:.2f} % of the bound; "
            f"{'the same' if outcome.is_repeatable else 'NOT the same'} on each machine"
        )
        bounds = {"linear programme": outcome.bound} | ({"solver": claim} if of_solver else {})
        yield timing, *(Timing(1, took, name=name, value=100 * bound / best) for name, bound in bounds.items())


def _row(
    name: str, payments: int, banks: int, liquidity: float, goal: float, within: float, effort: float, *,
    deviation: float = MILD, of_solver: bool = False, quick: bool = False,
) -> Benchmark:  # fmt: skip
    """Return a row whose figure is the share of the bound; the solver is stopped after `within` seconds."""
    return Benchmark(
        f"clearing-queue-{name}",
        f"{payments:,} payments of {banks} banks with {100 * liquidity:g} % liquidity, within {within:g} s"
        + (", heavy tails" if deviation == HEAVY else ""),
        None,
        payments,
        "the solver's bound" if of_solver else "the bound of the linear programme",
        partial(
            choose,
            banks=banks,
            liquidity=liquidity,
            deviation=deviation,
            effort=effort,
            deadline=within,
            of_solver=of_solver,
        ),
        PERCENT,
        Goal(goal),
        payments if quick else None,
    )


BENCHMARKS: Final = (
    _row("1m", 1_000_000, 50, 0.002, 99.999, 1, 0.1),
    _row("1m-none", 1_000_000, 50, 0.0, 99.999, 1, 0.1),
    _row("1m-heavy", 1_000_000, 50, 0.002, 99.999, 1, 0.2, deviation=HEAVY),
    _row("100k", 100_000, 50, 0.002, 99.95, 10, 10, quick=True),
    _row("100k-fast", 100_000, 50, 0.002, 99.95, 3, 3),
    _row("100k-heavy", 100_000, 50, 0.002, 99.95, 10, 10, deviation=HEAVY),
    _row("10k", 10_000, 50, 0.002, 99.9, 15, 15, of_solver=True),
    _row("10k-fast", 10_000, 50, 0.002, 99.5, 3, 3, of_solver=True),
    _row("10k-heavy", 10_000, 50, 0.002, 99.9, 15, 15, deviation=HEAVY, of_solver=True),
    _row("20k-200", 20_000, 200, 0.005, 99.5, 30, 6, of_solver=True),
    _row("20k-200-fast", 20_000, 200, 0.005, 99.5, 10, 3, of_solver=True),
    _row("300", 300, 20, 0.002, 50, 15, 3, of_solver=True),
    _row("20k-200-heavy", 20_000, 200, 0.005, 99.5, 30, 6, deviation=HEAVY, of_solver=True),
)
