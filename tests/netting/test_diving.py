"""Fractions decided in groups: feasible sets, repeatable, and near the bound where plain rounding loses most of it."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks import clearing_queues
from hypothesis import given, settings
from tests.netting.test_netting import queue, queues

from sycee.netting import diving, levels, relaxation, repair
from sycee.netting.queue import Queue

LONG = 600.0  # seconds: no test waits for it


def dive(of: Queue, *, seconds: float = LONG) -> diving.Dive:
    return diving.dive(of, relaxation.relax(of), seconds=seconds)


@settings(max_examples=60, deadline=None)
@given(queues(most=30))
def test_any_set_is_feasible_and_repeatable(of: Queue) -> None:
    found = dive(of)
    of.require_feasible(found.chosen)
    assert not found.is_stopped
    assert np.array_equal(dive(of).chosen, found.chosen)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_heavy_tails_lose_little_before_the_first_level(seed: int) -> None:
    # Not every queue of this size: with seed 0 the search ends without such a set, and 21 % of the bound settles.
    of = clearing_queues.synthetic(2_000, 60, 0.005, clearing_queues.HEAVY, seed)
    relaxed = relaxation.relax(of)
    assert of.value(repair.repaired(of, relaxed.shares > 0.5)) < 0.3 * relaxed.bound
    found = levels.decide(of, relaxed, gap=1e-3, seconds=0.0, seed=0)
    assert found.is_stopped
    of.require_feasible(found.chosen)
    assert of.value(found.chosen) > 0.85 * relaxed.bound


def test_without_time_the_set_is_feasible() -> None:
    of = clearing_queues.synthetic(2_000, 60, 0.005, clearing_queues.HEAVY, 1)
    found = dive(of, seconds=0.0)
    of.require_feasible(found.chosen)
    assert found.is_stopped
    assert not found.is_near


def test_an_excess_without_single_legs_is_not_passed_on_but_dropped() -> None:
    of = queue([(0, 1, 10), (2, 3, 5)], [9, 0, 5, 0], [0, 0])
    every = np.ones(1, np.bool_)
    assert repair.mended(of, every) is None
    assert not repair.repaired(of, every).any()
