"""What a benchmark is, and how its repeats become one row."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import mmap
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.core.memory import available_bytes

BATCH: Final = FRAME_RECORDS_MAX  # what fits one frame: 8,064 operations
MILLION: Final = 124 * BATCH  # the whole number of frames that comes nearest to a million: 999,936 operations
REPEATS: Final = 3
READY_BYTES: Final = 4 << 30  # more than what most rows come to hold while they are clocked
READY_BYTES_EACH: Final = 1 << 10  # for each operation of a small row
FRAMES_NOT_FULL_MAX: Final = 2  # at the end of a run: one of each kind
STEADY: Final = 0.9  # of the first million's rate: what the last must reach to count as fast as it. The rest is noise

# Where the system keeps the most memory that this process had at once, and how that is set back.
_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_CLEAR_PEAK: Final = "5"


@dataclass(slots=True)
class Timing:
    """One repeat of the work, or of one of its limits."""

    operations: int = 0
    total_s: float = 0.0
    batches_s: list[float] = field(default_factory=list)  # how long each batch took
    name: str = ""  # of a limit, where there are several
    value: float | None = None  # the figure itself, where it is no matter of time
    peak_bytes: int = 0  # the most memory that the process had while it worked; 0 where nobody looked
    note: str = ""  # one sentence for the reader of the row

    @property
    def rate_per_s(self) -> float:
        """Operations a second over the whole repeat."""
        return self.operations / self.total_s

    def millions_per_s(self) -> list[float]:
        """The rate of each million operations in order; empty where there is no whole one, or batches are no frames."""
        frames = MILLION // BATCH
        if abs(len(self.batches_s) - self.operations / BATCH) > FRAMES_NOT_FULL_MAX:
            return []
        parts = [self.batches_s[at : at + frames] for at in range(0, self.operations // BATCH - frames + 1, frames)]
        return [MILLION / sum(part) for part in parts]


@dataclass(frozen=True, slots=True)
class Unit:
    """What the figure of a row is, and how a repeat gives it."""

    name: str
    more_is_better: bool
    of: Callable[[Timing], float]


def _value(timing: Timing) -> float:
    if timing.value is None:
        raise ValueError("a figure that is no matter of time is given as `value`")
    return timing.value


def _p99_ms(timing: Timing) -> float:
    return 1000 * float(np.percentile(timing.batches_s, 99))


RATE: Final = Unit("/s", more_is_better=True, of=lambda timing: timing.rate_per_s)
TOTAL_MS: Final = Unit("ms", more_is_better=False, of=lambda timing: 1000 * timing.total_s)
P99_MS: Final = Unit("ms", more_is_better=False, of=_p99_ms)
VALUE_MS: Final = Unit("ms", more_is_better=False, of=_value)
BYTES: Final = Unit("bytes", more_is_better=False, of=_value)
TIMES: Final = Unit("times", more_is_better=False, of=_value)


@dataclass(frozen=True, slots=True)
class Goal:
    """What the figure of a row at its full size is to be, on the machine that the goals were set for."""

    value: float  # at least, or at most: as the unit says what is better
    steady: bool = False  # and the last million as fast as the first
    memory_gib: float | None = None  # and at most so much memory

    def text(self, unit: Unit) -> str:
        """In one cell of a table."""
        parts = [f"{'≥' if unit.more_is_better else '≤'} {self.value:,.10g} {unit.name}".replace(" /s", "/s")]
        parts += ["last million as the first"] if self.steady else []
        parts += [f"≤ {self.memory_gib:g} GiB"] if self.memory_gib else []
        return ", ".join(parts)

    def is_met(self, row: Row, unit: Unit) -> bool:
        """Whether a measured row reaches it, by its median."""
        reached = row.median >= self.value if unit.more_is_better else row.median <= self.value
        steady = not self.steady or bool(row.millions and row.millions[-1] >= STEADY * row.millions[0])
        within = self.memory_gib is None or row.peak_mib <= 1024 * self.memory_gib
        return reached and steady and within


@dataclass(frozen=True, slots=True)
class Setting:
    """What a benchmark is given: where to write, how much to do, and whom to tell what it is at."""

    folder: Path  # empty, on the disk to be measured
    operations: int
    repeats: int
    say: Callable[[str], None]


# Each repeat yields the timing of the work, then that of each of its limits.
Measure = Callable[[Setting], Iterator[tuple[Timing, ...]]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One row to be. `accounts` is None where the work knows none."""

    work: str
    description: str
    accounts: int | None
    operations: int  # of one repeat, at full size: that of the goal
    limit: str  # what its limits are; of several the slowest is its limit
    measure: Measure
    unit: Unit = RATE
    goal: Goal | None = None
    quick: int | None = None  # operations of one repeat in the subset that takes minutes; None if it is not in it


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Figures are of all repeats; `millions` are of the one in the middle."""

    work: str
    description: str
    accounts: int | None
    operations: int
    repeats: int
    unit: str
    median: float
    lowest: float
    highest: float
    p50_ms: float | None  # of the batches of all repeats: frames, calls, or whatever was done at once
    p99_ms: float | None
    longest_ms: float | None
    millions: list[float]  # rate of each million operations
    limit: str
    limits: dict[str, float]  # by name, medians
    limit_by: str  # the one that decides
    limit_value: float | None
    ratio: float | None  # how much of what the limit allows was reached: 1 is all
    goal: str
    goal_value: float | None
    met: bool | None  # None where there is no goal, or the row was not measured at the goal's size
    peak_mib: float
    note: str

    @classmethod
    def of(cls, benchmark: Benchmark, repeats: list[tuple[Timing, ...]], *, peak_bytes: int = 0) -> Row:
        """Sum up the repeats of one benchmark. `peak_bytes`: of the process, where the repeats do not say."""
        unit, goal = benchmark.unit, benchmark.goal
        works = sorted((work for work, *_ in repeats), key=unit.of)
        middle = median(unit.of(work) for work in works)
        limits = {
            one.name: _rounded(median(unit.of(each[at]) for each in repeats))
            for at, one in enumerate(repeats[0][1:], start=1)
        }
        slowest = min if unit.more_is_better else max
        limit_by = slowest(limits, key=lambda name: limits[name]) if limits else ""
        limit = limits.get(limit_by)
        reached = None if not limit or not middle else middle / limit if unit.more_is_better else limit / middle
        row = cls(
            work=benchmark.work,
            description=benchmark.description,
            accounts=benchmark.accounts,
            operations=works[0].operations,
            repeats=len(repeats),
            unit=unit.name,
            median=_rounded(middle),
            lowest=_rounded(unit.of(works[0])),
            highest=_rounded(unit.of(works[-1])),
            **_spread_ms([second for work in works for second in work.batches_s]),
            millions=[_rounded(rate) for rate in works[len(works) // 2].millions_per_s()],
            limit=benchmark.limit,
            limits=limits,
            limit_by=limit_by,
            limit_value=limit,
            ratio=None if reached is None else round(reached, 4),
            goal=goal.text(unit) if goal else "",
            goal_value=goal.value if goal else None,
            met=None,
            peak_mib=round((max(work.peak_bytes for work in works) or peak_bytes) / 2**20, 1),
            note=next((work.note for work in works if work.note), ""),
        )
        if goal is None or row.operations < benchmark.operations:
            return row
        return replace(row, met=goal.is_met(row, unit))


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _spread_ms(batches_s: list[float]) -> dict[str, Any]:
    names = ("p50_ms", "p99_ms", "longest_ms")
    if not batches_s:
        return dict.fromkeys(names)
    return dict(zip(names, map(_rounded, 1000 * np.percentile(batches_s, (50, 99, 100))), strict=True))


def timed(
    batches: Iterable[Any],
    step: Callable[[Any], object],
    operations: int,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Call `step` with each of `batches` and time the calls; making the batches is not counted."""
    timing = Timing(operations)
    for batch in batches:
        start = clock()
        step(batch)
        timing.batches_s.append(clock() - start)
    timing.total_s = sum(timing.batches_s)
    return timing


def batches_of(records: Array | Iterable[Array], size: int = BATCH) -> Iterator[Array]:
    """Views of `size` records each, of one array or of several in turn; the last of each may have fewer."""
    for part in [records] if isinstance(records, np.ndarray) else records:
        for start in range(0, part.shape[0], size):
            yield part[start : start + size]


def settle(folder: Path, operations: int) -> None:
    """Let the file system finish what earlier steps left to it, so that the next repeat does not pay for it.

    And have the machine hold memory that it can give at once: a virtual one may have to ask its host first, which takes
    more than the work itself. It is let go of again, and does not count as a peak.
    """
    memory = np.zeros(min(READY_BYTES, READY_BYTES_EACH * operations, available_bytes() // 4), np.uint8)
    memory[:: mmap.PAGESIZE] = 1
    del memory
    forget_peak()
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forget_peak() -> None:
    """From here on `peak_bytes` looks for the most memory anew."""
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_CLEAR_PEAK)


def peak_bytes() -> int:
    """The most memory that this process held at once; 0 where the system does not say."""
    return _status_bytes("VmHWM:")


def resident_bytes() -> int:
    """The memory that this process holds; 0 where the system does not say.

    What was freed is given back first: the C library keeps some of it for later.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # another C library has another way, or none
        ctypes.CDLL(None).malloc_trim(0)
    return _status_bytes("VmRSS:")


def _status_bytes(name: str) -> int:
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0
