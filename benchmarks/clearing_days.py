"""Synthetic days of clearing, settled under one policy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing
from sycee.days import assumptions, synthetic
from sycee.days.measures import measure
from sycee.days.policies import named
from sycee.days.simulate import prefund, run

PAYMENTS: Final = 20_000
VALUE_BY_PREFUND: Final = 60


def day(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Settle a day under our policy; the limit is gross settlement of the same day."""
    loaded = assumptions.load()
    for seed in range(setting.repeats):
        setting.say(f"settling the day of seed {seed}")
        made = synthetic.make(loaded, seed)
        positions = prefund(made, VALUE_BY_PREFUND)
        timings = []
        for name in ("sycee", "gross"):
            start = time.perf_counter()
            found = measure(run(made, named(name), positions))
            timing = Timing(made.count, time.perf_counter() - start)
            timing.note = (
                f"{100 * found.value_share:.2f} % of the value before the close, delay {100 * found.delay:.2f} %"
            )
            timings.append(timing)
        yield tuple(timings)


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
)
