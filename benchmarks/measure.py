"""Benchmarks, and the summary of their repeats as one row."""

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

BATCH: Final = FRAME_RECORDS_MAX  # one frame: 8,064 operations
MILLION: Final = 124 * BATCH  # the whole number of frames nearest to a million: 999,936 operations
REPEATS: Final = 3
READY_BYTES: Final = 4 << 30  # more than most rows allocate while they are timed
READY_BYTES_EACH: Final = 1 << 10  # for each operation of a small row
FRAMES_NOT_FULL_MAX: Final = 2  # at the end of a run: one of each kind
STEADY: Final = 0.9  # the last million must reach this share of the first million's rate; the rest is noise

# Linux' record of the peak memory of this process, and the file that resets it.
_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_CLEAR_PEAK: Final = "5"


@dataclass(slots=True)
class Timing:
    """Timing of one repeat of the work, or of one of its limits."""

    operations: int = 0
    total_s: float = 0.0
    batches_s: list[float] = field(default_factory=list)  # duration of each batch
    name: str = ""  # name of the limit, if there are several
    value: float | None = None  # the figure itself, if it is not a time
    peak_bytes: int = 0  # peak memory during the work; 0 if not measured
    beside: float | None = None  # p99 of other calls beside the work, divided by their p99 without it
    note: str = ""  # one sentence for the reader; the row shows that of the last repeat

    @property
    def rate_per_s(self) -> float:
        return self.operations / self.total_s

    def millions_per_s(self) -> list[float]:
        """Return the rate of each whole million operations; empty if there is none or batches are not frames."""
        frames = MILLION // BATCH
        if abs(len(self.batches_s) - self.operations / BATCH) > FRAMES_NOT_FULL_MAX:
            return []
        parts = [self.batches_s[at : at + frames] for at in range(0, self.operations // BATCH - frames + 1, frames)]
        return [MILLION / sum(part) for part in parts]


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of a row's figure, and its computation from a repeat."""

    name: str
    more_is_better: bool
    of: Callable[[Timing], float]


def _value(timing: Timing) -> float:
    if timing.value is None:
        raise ValueError("a figure that is not a time must be set as `value`")
    return timing.value


RATE: Final = Unit("/s", more_is_better=True, of=lambda timing: timing.rate_per_s)
TOTAL_MS: Final = Unit("ms", more_is_better=False, of=lambda timing: 1000 * timing.total_s)
VALUE_MS: Final = Unit("ms", more_is_better=False, of=_value)
BYTES: Final = Unit("bytes", more_is_better=False, of=_value)
TIMES: Final = Unit("times", more_is_better=False, of=_value)


@dataclass(frozen=True, slots=True)
class Goal:
    """Goal of a row at its full size, on the machine for which the goals were set."""

    value: float  # minimum or maximum, depending on the unit
    steady: bool = False  # and the last million as fast as the first
    memory_gib: float | None = None  # and a maximum of memory
    beside_max: float | None = None  # and of how many times longer other calls take beside the work

    def text(self, unit: Unit) -> str:
        parts = [f"{'≥' if unit.more_is_better else '≤'} {self.value:,.10g} {unit.name}".replace(" /s", "/s")]
        parts += ["last million as the first"] if self.steady else []
        parts += [f"≤ {self.memory_gib:g} GiB"] if self.memory_gib else []
        parts += [f"others' p99 ≤ {self.beside_max:g} times"] if self.beside_max else []
        return ", ".join(parts)

    def is_met(self, row: Row, unit: Unit) -> bool:
        """Return whether the median of a measured row reaches the goal."""
        reached = row.median >= self.value if unit.more_is_better else row.median <= self.value
        steady = not self.steady or bool(row.millions and row.millions[-1] >= STEADY * row.millions[0])
        within = self.memory_gib is None or row.peak_mib <= 1024 * self.memory_gib
        others = self.beside_max is None or (row.beside is not None and row.beside <= self.beside_max)
        return reached and steady and within and others


@dataclass(frozen=True, slots=True)
class Setting:
    """Arguments of a benchmark: folder, amount of work, and callback for progress."""

    folder: Path  # empty, on the measured disk
    operations: int
    repeats: int
    say: Callable[[str], None]


# Each repeat yields the timing of the work, then of each limit.
Measure = Callable[[Setting], Iterator[tuple[Timing, ...]]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Definition of one row. `accounts` is None if the work has none."""

    work: str
    description: str
    accounts: int | None
    operations: int  # of one repeat at full size, the size of the goal
    limit: str  # description of its limits; the slowest of several decides
    measure: Measure
    unit: Unit = RATE
    goal: Goal | None = None
    quick: int | None = None  # operations of one quick repeat; None if the row is not in the quick subset


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. Figures are over all repeats; `millions` are of the median repeat."""

    work: str
    description: str
    accounts: int | None
    operations: int
    repeats: int
    unit: str
    median: float
    lowest: float
    highest: float
    p50_ms: float | None  # of the batches of all repeats: frames, calls, or other units
    p99_ms: float | None
    longest_ms: float | None
    millions: list[float]  # rate of each million operations
    limit: str
    limits: dict[str, float]  # medians by name
    limit_by: str  # the deciding limit
    limit_value: float | None
    ratio: float | None  # share of the limit that was reached: 1 is all
    goal: str
    goal_value: float | None
    met: bool | None  # None without a goal, or if the row was not measured at the goal's size
    beside: float | None  # median of the repeats' `Timing.beside`
    peak_mib: float
    note: str

    @classmethod
    def of(
        cls, benchmark: Benchmark, repeats: list[tuple[Timing, ...]], *, size: int | None = None, peak_bytes: int = 0
    ) -> Row:
        """Return the row for the repeats of one benchmark.

        `size`: the operations that were requested, if a repeat may make fewer. `peak_bytes`: of the process, if the
        repeats do not contain it.
        """
        unit, goal = benchmark.unit, benchmark.goal
        works = sorted((work for work, *_ in repeats), key=unit.of)
        middle = median(unit.of(work) for work in works)
        limits = {
            one.name: _rounded(median(unit.of(each[at]) for each in repeats))
            for at, one in enumerate(repeats[0][1:], start=1)
        }
        besides = [_rounded(work.beside) for work in works if work.beside is not None]
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
            beside=median(besides) if besides else None,
            peak_mib=round((max(work.peak_bytes for work in works) or peak_bytes) / 2**20, 1),
            note=repeats[-1][0].note,
        )
        if goal is None or (size or row.operations) < benchmark.operations:
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
    """Call `step` with each of `batches` and time the calls; making the batches is not timed."""
    timing = Timing(operations)
    for batch in batches:
        start = clock()
        step(batch)
        timing.batches_s.append(clock() - start)
    timing.total_s = sum(timing.batches_s)
    return timing


def batches_of(records: Array | Iterable[Array], size: int = BATCH) -> Iterator[Array]:
    """Yield views of `size` records, of one array or of several in order; the last view of each may be shorter."""
    for part in [records] if isinstance(records, np.ndarray) else records:
        for start in range(0, part.shape[0], size):
            yield part[start : start + size]


def settle(folder: Path, operations: int) -> None:
    """Wait until the file system has finished earlier work, so that the next repeat is not slowed by it.

    Also touch memory once: a virtual machine may have to request it from its host, which takes longer than the measured
    work. It is released again and does not count as a peak.
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
    with contextlib.suppress(OSError):
        _CLEAR.write_text(_CLEAR_PEAK)


def peak_bytes() -> int:
    """Return the peak memory of this process; 0 if the system does not report it."""
    return _status_bytes("VmHWM:")


def resident_bytes() -> int:
    """Return the resident memory of this process; 0 if the system does not report it.

    Freed memory is returned to the system first, since the C library caches some of it.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # other C libraries have no such call
        ctypes.CDLL(None).malloc_trim(0)
    return _status_bytes("VmRSS:")


def _status_bytes(name: str) -> int:
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0
