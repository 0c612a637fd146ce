"""Differences between pilots: each has its own parameters, which vary around those common to all pilots.

On the scale of a standard normal distribution, on which every prior is N(0, 1), a pilot's value is
√(1 - s) × common + √s × own. So a share s of the variance differs between pilots, and draws of the prior stay draws of
the prior: only what a fit has learned is less certain for the next pilot.
"""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import Final

from sycee.sandbox.behaviour.parameters import Prior

EDGE: Final = 1e-6  # a prior has no quantile at 0 and 1
_NORMAL: Final = NormalDist()


def of_pilot(common: float, share: float, own: float) -> float:
    """Return the probability of a pilot's value, from that of the common value; `own` is a number in (0, 1)."""
    return probability(sqrt(1 - share) * normal(common) + sqrt(share) * normal(own))


def moved(prior: Prior, value: float, share: float, own: float) -> float:
    """Return a pilot's value of a parameter, from the common value."""
    return prior.quantile(of_pilot(prior.probability(value), share, own))


def normal(share: float) -> float:
    """Return the value of a standard normal distribution below which this share lies."""
    return _NORMAL.inv_cdf(inside(share))


def probability(value: float) -> float:
    """Return the share of a standard normal distribution below a value: the inverse of `normal`."""
    return inside(_NORMAL.cdf(value))


def inside(share: float) -> float:
    """Return a probability moved into (0, 1)."""
    return min(max(share, EDGE), 1 - EDGE)
