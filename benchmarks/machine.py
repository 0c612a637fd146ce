"""Facts about the measured machine. No host, person or path is named."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np

from sycee.core.arrays import Array

ROOT: Final = Path(__file__).resolve().parent.parent
RATE_PER_S: Final = 50_000
SHARE: Final = 0.5  # of one core at its quickest
SUMMED: Final = 200
CALIBRATIONS: Final = 1_000


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
        "late_ms": round(1000 * float(np.percentile(lateness_s(RATE_PER_S), 99)), 2),
    }


def lateness_s(calls: int) -> Array:
    """Make `calls` small sums, due at RATE_PER_S, which together need half of a core; return how late each ends.

    (calls,) f8, seconds. A steady processor ends them in time. One that its host slows down does not, and no open loop
    of this rate can have better latencies on it.
    """
    clock = time.perf_counter
    seconds = []
    for _ in range(CALIBRATIONS):
        start = clock()
        sum(range(SUMMED))
        seconds.append(clock() - start)
    summed = range(max(1, round(SUMMED * SHARE / RATE_PER_S / min(seconds))))
    late_s = np.empty(calls)
    start = clock()
    for call in range(calls):
        due = start + call / RATE_PER_S
        while clock() < due:
            pass
        sum(summed)
        late_s[call] = clock() - due
    return late_s


def commit() -> str:
    """Return the commit of the measured sources; "+" follows if files differ, "" without a repository."""
    found = _git("rev-parse", "--short=10", "HEAD")
    is_changed = _git("status", "--porcelain", "--", "src", "benchmarks", ":!benchmarks/results")
    return f"{found}+" if found and is_changed else found


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
