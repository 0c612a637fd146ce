"""Settings for every test, and the databases that several rooms' tests run on: one server for all of them.

Hypothesis draws the same examples on every run, so a failure is never a matter of luck.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings
from tests.database.fixtures import server, sockets, where

if TYPE_CHECKING:
    from sycee.journal import Journal

__all__ = ["server", "sockets", "where"]

# A bank opens and closes with some thirty `fdatasync`, each of which takes milliseconds on a disk. No test needs it:
# tests kill processes, never the machine, and `sycee.testing` simulates disks that lose data.
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - each test has a new folder in it
MEMORY_BYTES_MIN: Final = 4 << 30


def _keep_files_in_memory() -> None:
    """Let new temporary files be in memory, unless TMPDIR is set, or there is too little, or programs cannot run in it.

    Workers and subprocesses inherit the setting.
    """
    if "TMPDIR" in os.environ or not MEMORY.is_dir() or not os.access(MEMORY, os.W_OK):
        return
    if shutil.disk_usage(MEMORY).free >= MEMORY_BYTES_MIN and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # or the folder chosen before would stay


_keep_files_in_memory()

settings.register_profile(
    "seeded",
    derandomize=True,
    database=None,
    deadline=None,  # a cold kernel compiles inside the first example
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # two shared cores are slow at times
)
settings.load_profile("seeded")

# All modules of tests and of the product stay until the end: 700,000 objects, which each full collection would visit.
gc.disable()

# They take longest. They begin first, so that no worker is left with one of them at the end.
LONGEST = (
    "test_the_published_figures_come_out",
    "test_ten_histories",
    "test_all_tables_grow_and_kernels_agree_with_the_twin",
    "test_seeded_histories",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first; the order of the others stays. Multiply the examples of hypothesis for a soak."""
    items.sort(key=lambda item: item.name not in LONGEST)
    factor = int(os.environ.get("EXAMPLES", "1"))
    if factor > 1:
        for test in {item.function for item in items if isinstance(item, pytest.Function)}:
            multiply_examples(test, factor)


def multiply_examples(test: Any, factor: int) -> None:
    """Let hypothesis draw `factor` times as many examples for a test; other tests stay as they are."""
    if is_hypothesis_test(test):
        own = test._hypothesis_internal_use_settings
        test._hypothesis_internal_use_settings = settings(own, max_examples=own.max_examples * factor)


# Of journals on a real disk that a test makes without a size: writing 16 MiB takes half of the opening of a new ledger.
SEGMENT_BYTES = 4 << 20


def pytest_collection_finish() -> None:
    """Let the garbage collector, which was off during the imports, visit only what the tests make; shorten journals."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # with the usual ones, tests that cache much spend a tenth of their time in it
    gc.enable()
    if "sycee.journal.journal" in sys.modules:
        _shorten_journals()


def _shorten_journals() -> None:
    from sycee.journal import Journal, RealDisk

    create = Journal.create.__func__  # type: ignore[attr-defined]

    def shorter(cls: type[Journal], disk: Any, **options: Any) -> Journal:
        if isinstance(disk, RealDisk):
            options.setdefault("segment_bytes", SEGMENT_BYTES)
        made: Journal = create(cls, disk, **options)
        return made

    Journal.create = classmethod(shorter)  # type: ignore[assignment]
