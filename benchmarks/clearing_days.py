"""Synthetic days of clearing: one policy's time, and the days on which our policy is ahead of every other one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Final

from benchmarks.clearing_queues import PERCENT
from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing
from sycee.core.errors import require
from sycee.days import assumptions, synthetic
from sycee.days.compare import OURS
from sycee.days.measures import Measures, measure
from sycee.days.policies import named
from sycee.days.simulate import prefund, run

PAYMENTS: Final = 20_000
VALUE_BY_PREFUND: Final = 60
DAYS: Final = 20
FIRST_SEED: Final = 1  # seeds from 100 on are for the choice of a policy's numbers
OTHERS: Final = ("fifo", "bech-soramaki", "value")


def day(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Settle a day under our policy; the limit is gross settlement of the same day."""
    loaded = assumptions.load()
    for seed in range(setting.repeats):
        setting.say(f"settling the day of seed {seed}")
        made = synthetic.make(loaded, seed)
        positions = prefund(made, VALUE_BY_PREFUND)
        timings = []
        for name in (OURS, "gross"):
            start = time.perf_counter()
            found = measure(run(made, named(name), positions))
            timing = Timing(made.count, time.perf_counter() - start)
            timing.note = (
                f"{100 * found.value_share:.2f} % of the value before the close, delay {100 * found.delay:.2f} %"
            )
            timings.append(timing)
        yield tuple(timings)


def ahead(setting: Setting, *, value_by_prefund: int) -> Iterator[tuple[Timing, ...]]:
    """Settle days under our policy and the others. The repeats share the days between them.

    The figure is the share of days on which our policy settles more value before the close, with less delay, than each
    other policy.
    """
    loaded = assumptions.load()
    seeds = range(FIRST_SEED, FIRST_SEED + setting.operations)
    require(len(seeds) >= setting.repeats, "there are fewer days than repeats")
    for repeat in range(setting.repeats):
        ours: list[Measures] = []
        others: dict[str, list[Measures]] = {name: [] for name in OTHERS}
        seconds: list[float] = []
        for seed in seeds[repeat :: setting.repeats]:
            setting.say(f"settling the day of seed {seed}")
            made = synthetic.make(loaded, seed)
            positions = prefund(made, value_by_prefund)
            start = time.perf_counter()
            ours.append(measure(run(made, named(OURS), positions)))
            seconds.append(time.perf_counter() - start)
            for name, days in others.items():
                days.append(measure(run(made, named(name), positions)))
        wins = {name: list(map(_is_ahead, ours, days)) for name, days in others.items()}
        all_wins = sum(map(all, zip(*wins.values(), strict=True)))
        timing = Timing(len(ours), sum(seconds), seconds, value=100 * all_wins / len(ours))
        timing.note = "medians of the differences: " + "; ".join(
            f"{name} {_difference(ours, days, 'value_share'):+.2f} % of the value, "
            f"delay {_difference(ours, days, 'delay'):+.2f} %, ahead on {sum(wins[name])} of {len(ours)} days"
            for name, days in others.items()
        )
        yield timing, Timing(1, 1.0, name="all days", value=100.0)


def _is_ahead(one: Measures, other: Measures) -> bool:
    return one.value_share > other.value_share and one.delay < other.delay


def _difference(ours: list[Measures], others: list[Measures], field: str) -> float:
    pairs = zip(ours, others, strict=True)
    return 100 * median(getattr(one, field) - getattr(other, field) for one, other in pairs)


def _row(value_by_prefund: int) -> Benchmark:
    return Benchmark(
        f"clearing-policies-{value_by_prefund}",
        f"{DAYS} synthetic days of 20,000 payments, prefund 1/{value_by_prefund} of the value: days on which the "
        "policy `sycee` is ahead of every other one in share and delay",
        None,
        DAYS,
        "all days",
        partial(ahead, value_by_prefund=value_by_prefund),
        PERCENT,
        Goal(100),
    )


BENCHMARKS: Final = (
    Benchmark(
        "clearing-day",
        "a synthetic day of 20,000 payments between 40 banks, prefund 1/60 of its value, settled with rounds",
        None,
        PAYMENTS,
        "gross settlement of the same day",
        day,
        unit=TOTAL_MS,
        goal=Goal(10_000),
    ),
    *(_row(each) for each in (29, 60, 150)),
)
