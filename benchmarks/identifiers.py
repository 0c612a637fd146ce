"""Generation of ids."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np

from benchmarks.measure import BATCH, Benchmark, Setting, Timing, timed
from benchmarks.town import MOMENT_MS
from sycee.core import ids
from sycee.core.errors import require

RANDOM_BYTES: Final = 4  # random bytes of an id


def generate(setting: Setting) -> Iterator[tuple[Timing, Timing]]:
    """Run ids.generate for a frame's worth of ids at a time; the limit is the random bytes alone."""
    full, rest = divmod(setting.operations, BATCH)
    counts = [BATCH] * full + [rest] * bool(rest)
    for _ in range(setting.repeats):
        made: list[ids.Ids] = []
        timing = timed(counts, partial(_generate, made), setting.operations)
        limit = timed(counts, lambda count: os.urandom(RANDOM_BYTES * count), setting.operations)
        require(np.unique(np.concatenate(made)).size == setting.operations, "an id was made twice")
        yield timing, limit


def _generate(made: list[ids.Ids], count: int) -> None:
    made.append(ids.generate(count, time_ms=MOMENT_MS))


BENCHMARKS: Final = (
    Benchmark(
        "ids-generate", "ids generated 8,064 at a time", None, 2_000_000, "os.urandom of 4 bytes an id", generate
    ),
)
