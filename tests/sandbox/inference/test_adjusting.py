"""Adjusted particles follow the posterior where it is known, and are no more certain than the results allow."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from sycee.core.arrays import Array
from sycee.sandbox.inference.adjusting import adjusted
from sycee.sandbox.inference.variation import EDGE

pytestmark = pytest.mark.fast
NORMAL = NormalDist()


def particles(count: int, results: int, seed: int) -> tuple[Array, Array]:
    """Return the probabilities of one parameter and results of which the first is 3 × its normal value + an error."""
    random = np.random.default_rng(seed)
    value = random.standard_normal(count)
    found = random.standard_normal((count, results)) * 4
    found[:, 0] = 3 * value + random.standard_normal(count) * 4
    return np.array([[NORMAL.cdf(each)] for each in value]), found


def normal_of(probabilities: Array) -> Array:
    return np.array([NORMAL.inv_cdf(each) for each in probabilities[:, 0]])


def test_the_posterior_of_a_normal_model_is_found() -> None:
    drawn, found = particles(4_000, 3, 1)
    observed = np.array([5.0, 0.0, 0.0])
    moved, weights = adjusted(drawn, found - observed, np.full(4_000, 1 / 4_000))
    values = normal_of(moved)
    assert weights.sum() == pytest.approx(1)
    assert (weights > 0).all()
    mean = weights @ values
    # Of 3 θ + 4 e = 5 with θ and e from N(0, 1): mean 3 × 5 / 25, variance 16 / 25.
    assert mean == pytest.approx(0.6, abs=0.05)
    assert np.sqrt(weights @ (values - mean) ** 2) == pytest.approx(0.8, abs=0.03)


def test_few_particles_and_many_results_are_not_too_certain() -> None:
    spreads = []
    for seed in range(40):
        drawn, found = particles(30, 25, seed)
        found[:, 0] = np.random.default_rng(1_000 + seed).standard_normal(30) * 4  # no result says anything
        moved, weights = adjusted(drawn, found, np.full(30, 1 / 30))
        values = normal_of(moved)
        spreads.append(weights @ (values - weights @ values) ** 2)
    assert np.mean(spreads) > 0.9  # of the prior: 1. Fitted residuals would give less than 0.5


def test_probabilities_stay_inside_of_the_prior() -> None:
    drawn, found = particles(200, 1, 3)
    moved, _ = adjusted(drawn, found + 1_000.0, np.full(200, 1 / 200))
    assert ((moved >= EDGE) & (moved <= 1 - EDGE)).all()
    assert moved.max() < 0.01
