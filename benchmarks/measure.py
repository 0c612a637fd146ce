"""What a benchmark is, and how its repeats become one row."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from sycee.core.limits import FRAME_RECORDS_MAX

BATCH: Final = FRAME_RECORDS_MAX  # what fits one frame: 8,064 operations
REPEATS: Final = 3
SEED: Final = b"sycee benchmarks"


@dataclass(slots=True)
class Timing:
    """One repeat: how many operations, how long each batch took, and all of it."""

    operations: int = 0
    total_s: float = 0.0
    batches_s: list[float] = field(default_factory=list)

    @property
    def rate_per_s(self) -> float:
        """Operations a second over the whole repeat, what lies between the batches included."""
        return self.operations / self.total_s


@dataclass(frozen=True, slots=True)
class Setting:
    """What a benchmark is given: where to write, how much to do, and whom to tell what it is at."""

    folder: Path  # empty, on the disk to be measured
    operations: int
    repeats: int
    say: Callable[[str], None]


# Each repeat yields the timing of the work and that of its limit.
Measure = Callable[[Setting], Iterator[tuple[Timing, Timing]]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One row to be. `accounts` is None where the work knows none."""

    work: str
    description: str
    accounts: int | None
    operations: int  # of one repeat
    limit: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Rates are medians over the repeats; percentiles are over the batches of all of them."""

    work: str
    accounts: int | None
    operations: int
    rate_per_s: float
    p50_ms: float
    p99_ms: float
    limit: str
    limit_rate_per_s: float
    ratio: float  # rate / limit rate

    @classmethod
    def of(cls, benchmark: Benchmark, repeats: list[tuple[Timing, Timing]]) -> Row:
        """Sum up the repeats of one benchmark."""
        rate = median(work.rate_per_s for work, _ in repeats)
        limit_rate = median(limit.rate_per_s for _, limit in repeats)
        batches_ms = 1000 * np.concatenate([work.batches_s for work, _ in repeats])
        return cls(
            work=benchmark.work,
            accounts=benchmark.accounts,
            operations=repeats[0][0].operations,
            rate_per_s=round(rate, 1),
            p50_ms=round(float(np.percentile(batches_ms, 50)), 4),
            p99_ms=round(float(np.percentile(batches_ms, 99)), 4),
            limit=benchmark.limit,
            limit_rate_per_s=round(limit_rate, 1),
            ratio=round(rate / limit_rate, 4),
        )


def timed(batches: list[Any], step: Callable[[Any], object], operations: int) -> Timing:
    """Call `step` with each of `batches` and time every call."""
    timing = Timing(operations)
    start = before = time.perf_counter()
    for batch in batches:
        step(batch)
        now = time.perf_counter()
        timing.batches_s.append(now - before)
        before = now
    timing.total_s = before - start
    return timing


def batches_of(records: np.ndarray[Any, Any], size: int = BATCH) -> list[np.ndarray[Any, Any]]:
    """Views of `size` records each; the last may have fewer."""
    return [records[start : start + size] for start in range(0, records.shape[0], size)]


def settle() -> None:
    """Let the disk finish what earlier steps left to it, so that the next repeat does not pay for it."""
    os.sync()
