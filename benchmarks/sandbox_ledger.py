"""A programme on a synthetic city, on a ledger that pays every purchase of every person for a month."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Final

from benchmarks import disk
from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, forget_peak, peak_bytes
from sycee.core.errors import require
from sycee.programmes.definition import load
from sycee.sandbox.behaviour import parameters
from sycee.sandbox.city import definition
from sycee.sandbox.city.build import build
from sycee.sandbox.ledger_run import record
from sycee.sandbox.ledger_run import run as runs
from sycee.sandbox.ledger_run.folder import BANK
from sycee.sequencer.verify import verify

CITY: Final = "shenzhen"
PROGRAMME: Final = "luohu-2020"
PERSONS: Final = 1_756_006  # of the city, one for ten
DAYS: Final = 30
SEED: Final = 2020
PAYMENTS_MIN: Final = 14  # for each person


def on_ledger(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Draw, run the engine and the ledger, and compare them; the limit writes as many full frames to the disk."""
    file = definition.load(CITY)
    setting.say("building the city")
    city = build(file, seed=SEED, one_in=max(round(file.population.count / setting.operations), 1))
    case = runs.prepare(
        load(PROGRAMME), city, parameters.standard().central(), seed=SEED, days=DAYS, with_ordinary=True
    )
    for _ in range(setting.repeats):
        folder = setting.folder / "ledger"
        forget_peak()
        setting.say(f"{case.people:,} persons, {DAYS} days")
        start, cpu = time.perf_counter(), time.process_time()
        with runs.opened(case, folder) as begun:
            outcome = runs.alone(case, begun.recipients)
            found = runs.on_ledger(case, begun)
        made = record.make(case, begun.recipients, outcome, found)["ledger"]
        timing = Timing(case.people, time.perf_counter() - start, peak_bytes=peak_bytes())
        cpu = time.process_time() - cpu
        require(made["equal"], f"ledger and engine differ: {made}")
        paid = found.payments + found.purchases
        require(paid >= PAYMENTS_MIN * case.people, f"{paid:,} payments are too few")
        setting.say("verifying the ledger")
        start = time.perf_counter()
        verified = verify(folder / BANK)
        took_s = time.perf_counter() - start
        require(verified.digest == found.digest, "the journal gives another state")
        phases = ", ".join(f"{phase} {seconds:.1f}" for phase, seconds in found.seconds.items())
        timing.note = (
            f"{paid:,} payments in {found.operations:,} operations; {cpu:.0f} s of processor time; seconds: {phases}; "
            f"`sycee verify` {took_s:.0f} s"
        )
        shutil.rmtree(folder)
        written = disk.written(setting.folder / "limit", found.operations)
        yield (
            timing,
            Timing(case.people, written.total_s * found.operations / written.operations, name=written.name),
        )


BENCHMARKS: Final = (
    Benchmark(
        "sandbox-ledger",
        "a programme in a city of 1,756,006 persons for 30 days, every purchase a durable payment: draw, engine, "
        "ledger, comparison",
        None,
        PERSONS,
        "the same operations as full frames written to the disk",
        on_ledger,
        unit=TOTAL_MS,
        goal=Goal(120_000, memory_gib=8),
    ),
)
