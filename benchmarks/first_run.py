"""First payment on a machine, which compiles the kernels. `python -m benchmarks.first_run FOLDER N` pays."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Final

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, settle
from sycee.core.errors import require

ROOT: Final = Path(__file__).resolve().parent.parent


def first_run(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Time a process that opens a ledger and pays without compiled kernels; then the same with all of them."""
    for _ in range(setting.repeats):
        settle(setting.folder, setting.operations)
        setting.say("compiling and paying")
        first = _run(setting)
        setting.say("paying again")
        again = _run(setting)
        shutil.rmtree(setting.folder / "kernels")
        yield first, again


def _run(setting: Setting) -> Timing:
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.first_run", str(setting.folder / "ledger"), str(setting.operations)],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(setting.folder / "kernels")},
        capture_output=True,
        text=True,
        check=False,
    )
    timing = Timing(setting.operations, perf_counter() - start)
    require(done.returncode == 0, f"the paying process ended with exit code {done.returncode}: {done.stderr.strip()}")
    shutil.rmtree(setting.folder / "ledger")
    return timing


def pay(folder: Path, operations: int) -> None:
    """Open a ledger and its accounts, and make transfers."""
    from benchmarks.books import submit_all
    from benchmarks.town import Town
    from sycee.sequencer.embedded import Ledger

    town = Town(50, operations)
    with Ledger.open(folder, snapshot_frames=None) as ledger:
        submit_all(ledger, town.opening())
        submit_all(ledger, town.transfers())


BENCHMARKS: Final = (
    Benchmark(
        "first-run",
        "from the start of a process to its first durable payment, without compiled kernels",
        None,
        1,
        "the same with the kernels in the cache",
        first_run,
        TOTAL_MS,
        Goal(40_000),
        quick=1,
    ),
)

if __name__ == "__main__":
    pay(Path(sys.argv[1]), int(sys.argv[2]))
