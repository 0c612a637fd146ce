"""Distributions of amounts from the means of five fifths: a table of quantiles, and amounts by rank.

Within the fifths the shape is lognormal, with the deviation that fits the five means best (least squares of
logarithms); a factor that is smooth in the rank then moves each mean to the published one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

import numpy as np

from sycee.core.arrays import Array

POINTS: Final = 10_000  # quantiles in a table
_FIFTH: Final = POINTS // 5
_ROUNDS: Final = 200
_COARSE: Final = 20  # every twentieth quantile is enough to choose the deviation
_SIGMAS: Final = [number / 100 for number in range(5, 301)]


def table(fifth_means: Sequence[int], mean: int) -> Array:
    """Return quantiles at the ranks (i + ½) / POINTS: (POINTS,) int64, ascending, with this mean.

    fifth_means: the means of the five fifths, the poorest first, in any unit; they are scaled to `mean`.
    """
    scale = mean * len(fifth_means) / sum(fifth_means)
    wanted = np.array([each * scale for each in fifth_means], np.float64)
    normal = [NormalDist().inv_cdf((place + 0.5) / POINTS) for place in range(POINTS)]
    made = _lognormal(normal, _sigma(normal[_COARSE // 2 :: _COARSE], wanted), float(mean))
    for _ in range(_ROUNDS):
        found = made.reshape(5, _FIFTH).mean(axis=1)
        factors = np.maximum(wanted / np.maximum(found, 1e-9), 1e-9)
        if np.all(np.abs(factors - 1) < 1e-7):
            break
        made = np.maximum.accumulate(made * _smooth(factors))
    amounts: Array = np.rint(made).astype(np.int64)
    # The rounding errors go to the largest quantile, so that the mean is exact.
    amounts[-1] += mean * POINTS - int(amounts.sum())
    return amounts


def at_ranks(quantiles: Array, counts: Array, order: Array) -> Array:
    """Return the amount of each group, whose members share one rank: (groups,) int64.

    counts: members of each group; order: groups from the lowest to the highest. A group's rank is that of its middle
    member; amounts between two quantiles are interpolated.
    """
    sizes = counts[order].astype(np.int64)
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if ends.size else 1
    # Position in halves of a member: the middle of a group is 2 · end - size, of 2 · total.
    position = (2 * ends - sizes) * np.float64(POINTS / (2 * total)) - 0.5
    amounts = np.interp(position, np.arange(POINTS), quantiles.astype(np.float64))
    result = np.empty(counts.size, np.int64)
    result[order] = np.rint(amounts).astype(np.int64)
    return result


def _lognormal(normal: Sequence[float], sigma: float, mean: float) -> Array:
    values = np.array([math.exp(sigma * each) for each in normal])
    return values * (mean / float(values.mean()))


def _sigma(normal: Sequence[float], wanted: Array) -> float:
    """Return the deviation whose fifths are nearest to the wanted means, by squares of differences of logarithms."""
    positive = wanted > 0

    def distance(sigma: float) -> float:
        found = _lognormal(normal, sigma, float(wanted.mean())).reshape(5, -1).mean(axis=1)
        return float(np.sum((np.log(found[positive]) - np.log(wanted[positive])) ** 2))

    best = min(_SIGMAS[::10], key=distance)
    return min((each for each in _SIGMAS if abs(each - best) <= 0.1), key=distance)


def _smooth(factors: Array) -> Array:
    """Return a factor for each quantile: the given ones in the middle of the fifths, geometric means between."""
    middles = np.arange(5) * _FIFTH + (_FIFTH - 1) / 2
    smooth: Array = np.exp(np.interp(np.arange(POINTS), middles, np.log(factors)))
    return smooth
