"""Simulator of a whole ledger: real sequencer and journal, fake disk, fake clock, and injected faults.

One seed is one history: requests, signatures, clock, power cuts, bit rot. The naive twin applies exactly the journaled
frames; after every frame and every restart the two must agree. docs/internals/simulator.md describes the simulation and
how to read a failure.
"""

from __future__ import annotations

import gc
import importlib.util
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from sycee.core.errors import UsageError
from sycee.testing.simulator_plan import Plan, plan_of
from sycee.testing.simulator_run import HistoryOutcome, Parts, run
from sycee.testing.simulator_shrink import RUNS_MAX, shrink

__all__ = ["Failure", "HistoryOutcome", "Parts", "Plan", "Report", "find_checker", "plan_of", "run", "simulate"]

SEED_MAX: Final = 2**63 - 1
# The independent checker rereads one of this many histories: it is slower than the history.
CHECKER_EVERY: Final = 8
COLLECT_EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class Failure:
    """A history that broke a promise."""

    seed: int
    what: str  # the broken promise
    detail: str
    story: tuple[str, ...]  # the shortest failing history found, as text
    steps: int  # steps of the original history
    steps_left: int  # steps of the shortest history
    runs: int  # runs used by shrinking

    @property
    def command(self) -> str:
        """Return the command that repeats the failure."""
        return f"sycee simulate --seed {self.seed} --histories 1"

    def text(self) -> str:
        return "\n".join((
            f"seed {self.seed}: {self.what}",
            f"  {self.detail}",
            f"to repeat it: {self.command}",
            f"the shortest failing history, {self.steps_left} of {self.steps} steps, found in {self.runs} runs:",
            *(f"  {line}" for line in self.story),
        ))  # fmt: skip


@dataclass(slots=True)
class Report:
    """Summary of several histories."""

    seed: int  # seed of the first history
    histories: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)  # by kind
    answers: Counter[str] = field(default_factory=Counter)  # by code
    faults: Counter[str] = field(default_factory=Counter)  # faults of the disk
    failure: Failure | None = None

    def add(self, outcome: HistoryOutcome) -> None:
        self.histories += 1
        self.counts += outcome.counts
        self.operations += outcome.operations
        self.answers += outcome.answers
        self.faults += outcome.faults

    def as_json(self) -> dict[str, Any]:
        failure = self.failure
        return {
            "ok": failure is None,
            "seed": self.seed,
            "histories": self.histories,
            "seconds": round(self.seconds, 3),
            **{
                name: dict(sorted(getattr(self, name).items()))
                for name in ("counts", "operations", "answers", "faults")
            },
            "failure": failure and {**asdict(failure), "command": failure.command},
        }


def simulate(
    seed: int,
    *,
    seconds: float | None = None,
    histories: int | None = None,
    parts: Parts | None = None,
    shrink_runs_max: int = RUNS_MAX,
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Run the histories of `seed`, `seed` + 1 and so on, for `seconds` or `histories` of them.

    The first failure ends the run and is shrunk in about `shrink_runs_max` runs. `parts` replace real components in
    tests; `progress` is called after each history. Raises UsageError for a seed outside 0 to 2⁶³ − 1, without any
    limit, and for a limit of zero.
    """
    _check(seed, seconds, histories)
    report = Report(seed)
    start = time.monotonic()
    while (histories is None or report.histories < histories) and (
        seconds is None or time.monotonic() - start < seconds
    ):
        each = seed + report.histories
        if each > SEED_MAX:
            break
        mine = parts or Parts(checker=find_checker() if each % CHECKER_EVERY == 0 else None)
        outcome = run(plan_of(each), mine)
        report.add(outcome)
        report.seconds = time.monotonic() - start
        if report.histories % COLLECT_EVERY == 0:
            # A history leaves reference cycles; without this call Python collects them gigabytes later.
            gc.collect()
        if progress is not None:
            progress(report)
        if outcome.failure is not None:
            report.failure = _failure(each, outcome, mine, shrink_runs_max)
            break
    report.seconds = time.monotonic() - start
    return report


def _check(seed: int, seconds: float | None, histories: int | None) -> None:
    if not 0 <= seed <= SEED_MAX:
        raise UsageError(f"seed must be a whole number from 0 to {SEED_MAX}; got {seed}")
    if seconds is None and histories is None:
        raise UsageError("the simulation has no end", hint="give a number of seconds or of histories")
    if seconds is not None and not (seconds > 0 and math.isfinite(seconds)):
        raise UsageError(f"seconds must be a finite number above 0; got {seconds}")
    if histories is not None and histories < 1:
        raise UsageError(f"histories must be at least 1; got {histories}")
    if histories is not None and seed + histories - 1 > SEED_MAX:
        raise UsageError(
            f"{histories} histories from seed {seed} need seeds above the last one, {SEED_MAX}",
            hint="give a smaller seed",
        )


def _failure(seed: int, outcome: HistoryOutcome, parts: Parts, shrink_runs_max: int) -> Failure:
    assert outcome.failure is not None
    plan = plan_of(seed)
    shrunk = shrink(plan, parts, outcome, runs_max=shrink_runs_max)
    # A failure that is not reproducible depends on more than the seed: report the first run.
    told = shrunk.outcome if shrunk.outcome.failure is not None else run(plan, parts, tell=True)
    return Failure(
        seed,
        outcome.failure.what,
        outcome.failure.detail,
        tuple(told.story),
        len(plan.steps),
        len(shrunk.plan.steps),
        shrunk.runs,
    )


@cache
def find_checker() -> Callable[[Path], tuple[int, bytes, bytes]] | None:
    """Return the checker of `tools/checker.py`, which shares no code with Sycee; None outside a checkout."""
    path = Path(__file__).parents[3] / "tools" / "checker.py"
    if not path.is_file():
        return None
    spec = importlib.util.spec_from_file_location("sycee_tools_checker", path)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def check(folder: Path) -> tuple[int, bytes, bytes]:
        found = module.check(folder)
        return found.frames, found.state_digest, found.movement_digest

    return check
