"""Effects of a drop: payments of the winners of a draw, compared with those who participated and did not win.

A draw decides by chance, so the difference between both groups estimates the effect of *winning*, whether or not a
winner claimed the packet (intention to treat). Standard errors are robust to unequal variances: HC2, which for a
difference of means is Neyman's. Intervals are of the normal distribution, for groups of some dozens and more.

Sources: Neyman, "On the Application of Probability Theory to Agricultural Experiments", 1923; Lin, "Agnostic notes on
regression adjustments to experimental data", 2013; MacKinnon and White, 1985, for HC2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sycee.core.errors import UsageError

LEVEL: Final = 0.95
GROUP_MIN: Final = 2  # of each group, for a variance

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect with its interval, in the unit of the outcome. `winners`, `others`: persons in the two groups."""

    effect: float
    standard_error: float
    low: float
    high: float
    winners: int
    others: int


def difference_in_means(outcome: Numbers, won: NDArray[np.bool_], *, level: float = LEVEL) -> Estimate:
    """Return the mean outcome of the winners less that of the others. Outcome and `won`: one value per person.

    Raises UsageError for values of different length or not finite, and for groups of fewer than two persons.
    """
    outcome, won = _checked(outcome, won)
    one, other = outcome[won], outcome[~won]
    effect = float(one.mean() - other.mean())
    variance = one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other)
    return _estimate(effect, float(variance), len(one), len(other), level)


def by_stratum(
    outcome: Numbers, won: NDArray[np.bool_], stratum: NDArray[np.integer], *, level: float = LEVEL
) -> Estimate:
    """Return the mean of the strata's differences, each weighted by its persons.

    For a draw in which the strata have different chances: a plain difference would compare different people. Raises
    UsageError as `difference_in_means`, also for a stratum with too small a group.
    """
    outcome, won = _checked(outcome, won)
    if len(stratum) != len(outcome):
        raise UsageError(f"{len(stratum)} strata for {len(outcome)} persons", hint="give each person one stratum")
    effect = variance = 0.0
    for each in np.unique(stratum):
        chosen = stratum == each
        part = difference_in_means(outcome[chosen], won[chosen])
        weight = float(chosen.mean())
        effect += weight * part.effect
        variance += (weight * part.standard_error) ** 2
    return _estimate(effect, variance, int(won.sum()), int((~won).sum()), level)


def lin(outcome: Numbers, won: NDArray[np.bool_], covariates: Numbers, *, level: float = LEVEL) -> Estimate:
    """Return Lin's estimate: a regression on winning, covariates around their means, and products of the two.

    Covariates, [n, k], are of the time before the draw; they make the interval narrower. Raises UsageError as
    `difference_in_means`, and for covariates that depend on each other linearly or leave no degree of freedom.
    """
    outcome, won = _checked(outcome, won)
    around = np.asarray(covariates, np.float64).reshape(len(outcome), -1)
    around = around - around.mean(axis=0)
    design = np.column_stack((np.ones(len(outcome)), won, around, around * won[:, None]))
    if not np.isfinite(design).all():
        raise UsageError("a covariate is not finite", hint="leave out persons without the value")
    if np.linalg.matrix_rank(design) < design.shape[1] or design.shape[1] >= len(outcome):
        raise UsageError(
            f"{around.shape[1]} covariates of {len(outcome)} persons cannot be told apart",
            hint="leave out a covariate that is constant or follows from others",
        )
    orthogonal, triangle = np.linalg.qr(design)
    coefficients = np.linalg.solve(triangle, orthogonal.T @ outcome)
    residuals = outcome - design @ coefficients
    leverage = np.einsum("ij,ij->i", orthogonal, orthogonal)
    # HC2: (X'X)⁻¹ X' diag(e² / (1 - h)) X (X'X)⁻¹, with X = QR. A person with leverage 1 is fitted exactly.
    weights = np.where(leverage < 1 - 1e-12, residuals**2 / np.maximum(1 - leverage, 1e-12), 0.0)
    half = np.linalg.solve(triangle, orthogonal.T * np.sqrt(weights))
    return _estimate(float(coefficients[1]), float(half[1] @ half[1]), int(won.sum()), int((~won).sum()), level)


def _estimate(effect: float, variance: float, winners: int, others: int, level: float) -> Estimate:
    error = math.sqrt(variance)
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    return Estimate(effect, error, effect - reach, effect + reach, winners, others)


def _checked(outcome: Numbers, won: NDArray[np.bool_]) -> tuple[Numbers, NDArray[np.bool_]]:
    outcome, won = np.asarray(outcome, np.float64), np.asarray(won, np.bool_)
    if outcome.ndim != 1 or won.shape != outcome.shape:
        raise UsageError(f"outcomes of shape {outcome.shape} and winners of {won.shape}", hint="one value per person")
    if not np.isfinite(outcome).all():
        raise UsageError("an outcome is not finite", hint="leave out persons whose payments are not known")
    groups = int(won.sum()), int((~won).sum())
    if min(groups) < GROUP_MIN:
        raise UsageError(f"{groups[0]} winners and {groups[1]} others", hint="two of each, at least")
    return outcome, won
