"""The engine of the sandbox: all persons of a country on all days of a month."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, forget_peak, peak_bytes
from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.worker_thread import processors
from sycee.sandbox.behaviour import parameters
from sycee.sandbox.behaviour.design import Design
from sycee.sandbox.city import definition
from sycee.sandbox.city.build import build
from sycee.sandbox.engine.run import Columns, prepare, run

CITY: Final = "shenzhen"
ROWS: Final = 1_756_006  # of the city, one for ten; more persons repeat its rows with draws of their own
PERSONS: Final = 100_000_000
DAYS: Final = 30
SEED: Final = 2020
PACKETS_IN: Final = 40  # a lottery has one packet for this number of persons, about as Luohu for registrants
AMOUNT: Final = 20_000  # minor units
WINDOW: Final = 10  # days
GIB: Final = 2**30


def lottery(persons: int) -> Design:
    last = WINDOW - 1
    return Design(
        how="lottery", recipients=max(persons // PACKETS_IN, 1), amount=AMOUNT, claim_until=last, spend_until=last
    )


def universal(persons: int) -> Design:
    last = WINDOW - 1
    return Design(how="universal", amount=AMOUNT, claim_until=last, spend_until=last)


def ran(setting: Setting, *, is_universal: bool) -> Iterator[tuple[Timing, Timing]]:
    """Run a programme for a month; the limit is one read of every person's columns from memory."""
    persons = setting.operations
    file = definition.load(CITY)
    setting.say("building the rows of the city")
    one_in = max(round(file.population.count / min(persons, ROWS)), 1)
    city = build(file, seed=SEED, one_in=one_in)
    design = universal(persons) if is_universal else lottery(persons)
    place, values = prepare(city, design.shops), parameters.standard().central()
    columns = Columns.of(place.people, design).arrays
    digests = set()
    for _ in range(setting.repeats):
        setting.say(f"{persons:,} persons, {DAYS} days")
        forget_peak()
        start, cpu = time.perf_counter(), time.process_time()
        outcome = run(place, design, values, seed=SEED, days=DAYS, people=persons)
        timing = Timing(persons, time.perf_counter() - start, peak_bytes=peak_bytes())
        cpu = time.process_time() - cpu
        outcome.check()
        digests.add(outcome.digest())
        setting.say("reading the columns from memory")
        limit, bandwidth = _read(columns, persons)
        row_bytes = sum(column.itemsize for column in columns)
        timing.note = (
            f"{cpu:.0f} s of processor time, {cpu / persons / DAYS * 1e9:.1f} ns a person and day; "
            f"{persons * row_bytes / timing.total_s / GIB:.2f} GiB/s of columns, memory gives {bandwidth:.1f} GiB/s; "
            f"{len(place.people):,} rows of {row_bytes} bytes, {outcome.total('payments'):,} payments of purses"
        )
        yield timing, limit
    require(len(digests) == 1, "two repeats gave different outcomes")


def _read(columns: tuple[Array, ...], persons: int) -> tuple[Timing, float]:
    """Read a block of memory as often as the columns of all persons are long, on all processors."""
    total = persons * sum(column.itemsize for column in columns)
    block = np.ones(min(total, GIB) // 8, np.int64)
    parts = np.array_split(block, processors())
    rounds = max(total // block.nbytes, 1)
    start = time.perf_counter()
    with ThreadPoolExecutor(len(parts)) as pool:
        sums = list(pool.map(lambda part: [int(part.max()) for _ in range(rounds)], parts))
    seconds = time.perf_counter() - start
    require(all(each == 1 for part in sums for each in part), "memory gave another value")
    timing = Timing(persons, seconds * total / (rounds * block.nbytes))
    return timing, rounds * block.nbytes / seconds / GIB


BENCHMARKS: Final = (
    Benchmark(
        "sandbox-engine",
        "100 million persons, 30 days, a lottery of packets for one in 40: choice of shop and daily totals",
        None,
        PERSONS,
        "one read of the persons' columns from memory",
        partial(ran, is_universal=False),
        unit=TOTAL_MS,
        goal=Goal(60_000, memory_gib=8),
    ),
    Benchmark(
        "sandbox-universal",
        "the same with a packet for everybody",
        None,
        PERSONS,
        "one read of the persons' columns from memory",
        partial(ran, is_universal=True),
        unit=TOTAL_MS,
    ),
)
