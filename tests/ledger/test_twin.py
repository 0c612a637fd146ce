"""Kernels and naive twin agree after every frame: codes, first codes, movements, balances, state digest."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.ledger.side_by_side import Sides
from tests.ledger.test_codes import SIGNATURE_CODES

from sycee.core.records.layout import Kind
from sycee.core.result_codes import Result
from sycee.ledger import state
from sycee.testing.histories import Frame, histories, random_history

# The first set gives every code, and eight successes of each kind; the soak tests try all seeds from 0 on.
SEEDS = (
    *(6, 30, 145, 159, 171, 174, 180, 181, 209, 211, 215, 219, 239, 248, 250, 251, 252, 257, 285, 293),
    *range(20, 30),
)
SOAK_PART = 1_000
SOAK_SEEDS = 4 * SOAK_PART
OPERATIONS = 60


Codes = Counter[tuple[int, Result]]  # kind and code of each answer


def agree(frames: list[Frame], *, seed: int = 0, compare_every: int = 1) -> Codes:
    """Require equal results after every frame, and equal states after one of `compare_every` frames and at the end."""
    sides = Sides(resolve_first=seed % 2 == 0, compare_every=compare_every)
    codes: Codes = Counter()
    for now_ns, operations, calendar in frames:
        answers = sides.frame(now_ns, operations, calendar)
        codes.update(zip(operations["kind"].tolist(), (code for code, _ in answers), strict=True))
    sides.compare()
    return codes


def agree_on(seeds: Iterable[int], operations: int = OPERATIONS, *, compare_every: int = 1) -> Codes:
    codes: Codes = Counter()
    for seed in seeds:
        try:
            codes += agree(random_history(seed, operations), seed=seed, compare_every=compare_every)
        except AssertionError as error:
            raise AssertionError(f"random_history({seed}, {operations}): {error}") from error
    return codes


def test_seeded_histories() -> None:
    """Kernels and twin agree; the histories produce every code, and each kind of operation succeeds."""
    found = agree_on(SEEDS, compare_every=3)
    too_large = {Result.TOO_MANY_PAYMENTS}  # 2^30 payments: test_tables_settlement
    assert set(Result) - {code for _, code in found} == SIGNATURE_CODES | too_large
    assert [kind.name for kind in Kind if found[kind, Result.CREATED] < 8] == []


def test_long_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "HASHED_RECORDS_MIN", 1)  # each frame hashes the members that it added
    agree_on(range(1_000_000, 1_000_001), operations=1_500, compare_every=20)


@settings(max_examples=30)
@given(histories())
def test_hypothesis_histories(frames: list[Frame]) -> None:
    agree(frames)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(0, SOAK_SEEDS, SOAK_PART))
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
        "agree_on(range(4_000_000, 4_000_004))\n"
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
tables = kernels.empty_tables().replaced(bound=np.zeros(0, layout.BOUND))
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
