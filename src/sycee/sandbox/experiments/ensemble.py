"""Runs of several candidates under common random numbers: every structure, draw of parameters and seed for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.worker_thread import processors
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.engine.run import run
from sycee.sandbox.experiments.candidates import Candidate
from sycee.sandbox.experiments.granting import granted

TOTALS: Final = ("issued", "claimed", "spent", "returned", "own", "substituted", "forward", "new")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Totals of all runs in minor units: [candidates, structures, draws, seeds, TOTALS] int64."""

    totals: Array

    def of(self, name: str) -> Array:
        """Return one total of all runs: [candidates, structures, draws, seeds] int64."""
        found: Array = self.totals[..., TOTALS.index(name)]
        return found

    def digest(self) -> str:
        """Return the BLAKE3-256 of all totals, hexadecimal."""
        return blake3(np.ascontiguousarray(self.totals, "<i8").tobytes()).hexdigest()


def compute(
    candidates: Sequence[Candidate],
    structures: Sequence[str],
    draws: Sequence[Sequence[Parameters]],
    seeds: int,
    seed: int,
    days: int,
    progress: Progress = lambda done, total: None,
) -> Ensemble:
    """Run every candidate with every structure, draw and seed. All candidates have the same ones.

    draws: of each structure, whose parameters were fitted separately; the same number for all. Seed k of draw d follows
    from `seed`, d and k, so that draws are independent. `progress` is called with finished runs and their total.
    """
    count = len(draws[0])
    totals = np.zeros((len(candidates), len(structures), count, seeds, len(TOTALS)), np.int64)

    def work(at: int) -> None:
        for place, candidate in enumerate(candidates):
            for number, structure in enumerate(structures):
                for each in range(seeds):
                    chosen = run_seed(seed, at, each)
                    totals[place, number, at, each] = totals_of(candidate, draws[number][at], structure, chosen, days)

    per_draw = len(candidates) * len(structures) * seeds
    each_of(work, count, lambda done: progress(done * per_draw, count * per_draw))
    return Ensemble(totals)


def each_of(work: Callable[[int], None], count: int, progress: Callable[[int], None]) -> None:
    """Call `work` with 0 to count - 1 on all processors, and `progress` after each. Ctrl-C drops what has not begun."""
    with ThreadPoolExecutor(processors()) as pool:
        try:
            for done, _ in enumerate(pool.map(work, range(count)), 1):
                progress(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_seed(seed: int, draw: int, number: int) -> int:
    """Return the seed of one run: 63 bits of BLAKE3."""
    raw = blake3(f"sycee sandbox compare {seed} {draw} {number}".encode()).digest(8)
    return int.from_bytes(raw, "little") >> 1


def totals_of(candidate: Candidate, parameters: Parameters, structure: str, seed: int, days: int) -> list[int]:
    """Return the totals of one run. `forward` is what was brought forward and not paid back by the last day."""
    given = granted(candidate.programme, candidate.design, candidate.place, parameters, structure, seed)
    outcome = run(
        candidate.place,
        given.design,
        parameters,
        structure,
        seed,
        days,
        grants=given.grants,
        from_days=given.from_days,
        with_baseline=False,
        threads=1,
    )
    return [outcome.open_forward() if name == "forward" else outcome.total(name) for name in TOTALS]
