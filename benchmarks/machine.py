"""Facts about the measured machine. No host, person or path is named."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np

STEADY_S: Final = 1.0
SLICE_S: Final = 0.005
SLOW: Final = 2  # times the median


def facts() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
        "date": now(),
        "load_average_1min": round(os.getloadavg()[0], 2),
        "slow_slices_percent": round(100 * slow_slices(), 1),
    }


def slow_slices() -> float:
    """Return the share of slices of 5 ms in which the same arithmetic took more than twice its median.

    Measured for a second on one core. A virtual processor that its host slows down has such slices, and no figure of
    latency can be better than they are.
    """
    slices: dict[int, list[float]] = {}
    start = last = time.perf_counter()
    while last - start < STEADY_S:
        sum(range(2_000))
        now = time.perf_counter()
        slices.setdefault(int((last - start) / SLICE_S), []).append(now - last)
        last = now
    means = np.array([np.mean(each) for each in slices.values()])
    return float((means > SLOW * np.median(means)).mean())


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
