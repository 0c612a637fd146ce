"""Prior and posterior of each fitted parameter side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.inference.fitting import FITTED, Case, Fitted

QUANTILES: Final = (0.05, 0.5, 0.95)
INFORMED_BELOW: Final = 0.8  # width of the posterior's band per width of the prior's


@dataclass(frozen=True, slots=True)
class Row:
    """One parameter: quantiles at 5, 50 and 95 %, over all variants alike."""

    name: str
    prior: tuple[float, ...]
    posterior: tuple[float, ...]
    is_informed: bool  # whether the results made the band clearly narrower, in the median of the variants


def rows(found: Sequence[Fitted]) -> list[Row]:
    """Return a row for each fitted parameter, in the order of FITTED."""
    standard = behaviour.standard()
    weights = np.concatenate([each.weights / each.weights.sum() for each in found])
    made = []
    for at, name in enumerate(FITTED):
        values = np.concatenate([each.values[:, at] for each in found])
        prior = tuple(standard[name].prior.quantile(each) for each in QUANTILES)
        bands = [weighted_quantiles(each.values[:, at], each.weights) for each in found]
        ratio = float(np.median([(band[2] - band[0]) / (prior[2] - prior[0]) for band in bands]))
        together = weighted_quantiles(values, weights)
        made.append(Row(name, prior, together, ratio < INFORMED_BELOW))
    return made


def weighted_quantiles(values: Array, weights: Array, probabilities: Sequence[float] = QUANTILES) -> tuple[float, ...]:
    """Return the smallest values at which the weights reach each of the probabilities."""
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weights[order]) / weights.sum()
    places = np.minimum(np.searchsorted(running, probabilities), values.size - 1)
    return tuple(values[order][places].tolist())


def as_json(found: Sequence[Fitted], cases: Sequence[Case]) -> dict[str, Any]:
    """Return the fit as a JSON object."""
    return {
        "pilots": [
            {"name": each.description.name, "file": each.description.digest, "results": each.published.digest}
            for each in cases
        ],
        "variants": [
            {
                "name": each.variant,
                "simulations": each.simulations,
                "distance": each.distance,
                "effective": each.effective,
            }
            for each in found
        ],
        "parameters": [
            {"name": row.name, "prior": row.prior, "posterior": row.posterior, "informed": row.is_informed}
            for row in rows(found)
        ],
    }
