"""Synthetic cities of the sandbox."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, forget_peak, peak_bytes
from sycee.core.errors import require
from sycee.sandbox.city import definition, files
from sycee.sandbox.city.build import build

CITY: Final = "shenzhen"
PERSONS: Final = 1_756_006  # of the city, one for ten
SEED: Final = 2020


def built(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Build and store a city; the limit is writing the finished columns to another folder."""
    file = definition.load(CITY)
    one_in = max(1, round(file.population.count / setting.operations))
    for number in range(setting.repeats):
        folder, copy = setting.folder / f"city-{number}", setting.folder / f"copy-{number}"
        setting.say(f"building {CITY}, one in {one_in}")
        forget_peak()
        start, cpu = time.perf_counter(), time.process_time()
        city = build(file, seed=SEED, one_in=one_in)
        digest = files.write(city, folder)
        timing = Timing(setting.operations, time.perf_counter() - start, peak_bytes=peak_bytes())
        timing.note = (
            f"{time.process_time() - cpu:.1f} s of processor time; {len(city.persons):,} persons, "
            f"{len(city.merchants):,} shops"
        )
        start = time.perf_counter()
        files.write(city, copy)
        limit = Timing(setting.operations, time.perf_counter() - start)
        require(files.read(folder).digest() == digest == files.read(copy).digest(), "the city differs from its files")
        shutil.rmtree(folder)
        shutil.rmtree(copy)
        yield timing, limit


BENCHMARKS: Final = (
    Benchmark(
        "sandbox-city",
        "a synthetic city of 1,756,006 persons, fitted and stored",
        None,
        PERSONS,
        "the finished columns written to Parquet files",
        built,
        unit=TOTAL_MS,
        goal=Goal(60_000),
    ),
)
