"""Settings for every test, and the databases that several rooms' tests run on: one server for all of them.

Hypothesis draws the same examples on every run, so a failure is never a matter of luck.
"""

from __future__ import annotations

import gc

import pytest
from hypothesis import HealthCheck, settings
from tests.database.fixtures import server, sockets, where

__all__ = ["server", "sockets", "where"]

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
    """Put the longest tests first; the order of the others stays."""
    items.sort(key=lambda item: item.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Let the garbage collector, which was off during the imports, visit only what the tests make."""
    gc.freeze()
    gc.enable()
