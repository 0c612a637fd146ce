"""Regression adjustment of particles: each is moved to where it would be had its simulation the published results.

Local-linear regression of Beaumont, Zhang and Balding (Genetics 162, 2025, 2002): nearer particles have larger weights.
Probabilities are adjusted on the scale of a standard normal distribution, on which every prior is N(0, 1), so that no
value leaves the range of its prior. A ridge shrinks slopes that few particles show (Blum, Nunes, Prangle and Sisson,
Statistical Science 28, 189, 2013). Residuals are those of a regression without their own particle, because fitted
residuals are too small where results are many, and a posterior of them is too certain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.inference.variation import normal, probability

# Assumed: slopes have the prior N(0, 1 / 30). Results differ by 3 to 5 tolerances between particles, whose normal
# values have the variance 1.
RIDGE: Final = 30.0
OWN_SHARE_MAX: Final = 0.95  # of a particle in its own regression


def adjusted(probabilities: Array, results: Array, weights: Array) -> tuple[Array, Array]:
    """Return adjusted probabilities, (particles, parameters), and weights of sum 1, (particles,).

    results: of each particle's simulation less the published ones, (particles, results), in units of tolerance. A
    weight is multiplied by Epanechnikov's kernel of the distance, which is 0 just beyond the farthest particle.
    """
    count = results.shape[0]
    distance = np.sqrt((results**2).sum(axis=1))
    near = weights * (1 - (distance / (distance.max() * (1 + 1 / count))) ** 2)
    near = near / near.sum()
    values = _of_each(normal, probabilities)
    centre, middle = near @ results, near @ values
    deviations = results - centre
    inverse = np.linalg.inv(count * (deviations * near[:, None]).T @ deviations + RIDGE * np.eye(results.shape[1]))
    slopes = inverse @ (count * (deviations * near[:, None]).T @ (values - middle))
    own = near * (1 + count * ((deviations @ inverse) * deviations).sum(axis=1))
    residuals = (values - middle - deviations @ slopes) / (1 - np.minimum(own, OWN_SHARE_MAX))[:, None]
    return _of_each(probability, middle - centre @ slopes + residuals), near


def _of_each(function: Callable[[float], float], values: Array) -> Array:
    return np.array([function(each) for each in values.ravel().tolist()]).reshape(values.shape)
