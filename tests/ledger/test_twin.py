"""Kernels and naive twin agree after every frame: codes, first codes, movements, balances, state digest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.ledger.side_by_side import Sides
from tests.ledger.test_codes import SEEDS

from sycee.testing.histories import Frame, histories, random_history

PART = 25
SOAK_PART = 1_000
SOAK_SEEDS = SEEDS + 3 * SOAK_PART
OPERATIONS = 60


def agree(frames: list[Frame], *, seed: int = 0) -> None:
    Sides(resolve_first=seed % 2 == 0).history(frames)


def agree_on(seeds: range, operations: int = OPERATIONS) -> None:
    for seed in seeds:
        try:
            agree(random_history(seed, operations), seed=seed)
        except AssertionError as error:
            raise AssertionError(f"random_history({seed}, {operations}): {error}") from error


@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_seeded_histories(first: int) -> None:
    agree_on(range(first, first + PART))


def test_long_histories() -> None:
    agree_on(range(1_000_000, 1_000_001), operations=1_500)


@settings(max_examples=60)
@given(histories())
def test_hypothesis_histories(frames: list[Frame]) -> None:
    agree(frames)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SEEDS, SOAK_SEEDS, SOAK_PART))
def test_many_seeded_histories(first: int) -> None:
    agree_on(range(first, first + SOAK_PART))
    print(f"  seeds to {first + SOAK_PART:,} of {SOAK_SEEDS:,}", flush=True)


@pytest.mark.soak
def test_many_long_histories() -> None:
    agree_on(range(2_000_000, 2_000_020), operations=3_000)


@pytest.mark.soak
@settings(max_examples=600, suppress_health_check=list(HealthCheck))
@given(histories(200))
def test_many_hypothesis_histories(frames: list[Frame]) -> None:
    agree(frames)


@pytest.mark.soak  # compiling all kernels again needs up to a minute
def test_no_index_is_out_of_range(tmp_path: Path) -> None:
    """Compiled code reads garbage beyond an array's end, unless it is compiled with bounds checks."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", BOUNDS_CHECKED], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_interpreted_kernels_agree_too() -> None:
    """Interpreted kernels agree with the twin too: an overflow that compiled code hides would warn here."""
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    root = Path(__file__).resolve().parents[2]
    script = (
        "import numba\n"
        "from sycee.ledger import kernels\n"
        "from tests.ledger.test_twin import agree_on\n"
        "assert not hasattr(kernels.apply, 'signatures'), 'they are compiled'\n"
        "agree_on(range(4_000_000, 4_000_010))\n"
    )
    # Products of hashes may wrap; nothing else may.
    quiet = "ignore:overflow encountered in scalar:RuntimeWarning:sycee.ledger.kernels.lookup"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", quiet, "-c", script],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


# The last lines use an invalid index on purpose: otherwise the test would pass without bounds checks.
BOUNDS_CHECKED = """
import numpy as np
from sycee.core.records import layout, operations
from sycee.ledger import kernels
from sycee.ledger.kernels import constants
from tests.ledger.test_capacity import grow
from tests.ledger.test_twin import agree_on
agree_on(range(3_000_000, 3_000_040))
grow()
tables = kernels.empty_tables()._replace(bound=np.zeros(0, layout.BOUND))
records = operations.close_account(1, account=1)
try:
    words, hashes = records.view(np.uint64).reshape(1, 16), np.zeros((0, 4), np.uint64)
    savepoint = np.zeros(constants.COUNTERS, np.int64)
    kernels.apply(tables, records, words, hashes, savepoint, 0, 1, 1, np.zeros(1, layout.ANSWER), False)
except IndexError:
    pass
else:
    raise AssertionError("indices are not checked")
"""
