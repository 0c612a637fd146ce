"""Calibration against the model itself: synthetic pilots of the prior are predicted, and fits find drawn parameters.

If a prediction uses what it knows correctly, 90 % of synthetic results are in its band of 90 %, and ranks are uniform
(Cook, Gelman and Rubin 2006; Talts and others 2018). Calibration says nothing about real pilots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.behaviour import variants
from sycee.sandbox.inference import fitting
from sycee.sandbox.inference.fitting import FITTED, Case
from sycee.sandbox.inference.posterior import Numbers, prior
from sycee.sandbox.pilots import town
from sycee.sandbox.pilots.description import Description
from sycee.sandbox.pilots.published import Published, Result
from sycee.sandbox.pilots.simulation import Simulation
from sycee.sandbox.validity import scoring
from sycee.sandbox.validity.predicting import predict, run_seed
from sycee.sandbox.validity.scoring import Score

BINS: Final = 20
SYNTHETIC: Final = "synthetic"
RESULTS_MIN: Final = 1_000  # an outcome with more results has the narrow margin
# Columns of `Numbers` for a fit of drawn parameters: the towns of its cases take those from 0, with the same seed.
DRAWN: Final = 1_000
WITHIN: Final = 2_000
SEEDS: Final = 3_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many results are in the bands, and the ranks of all of them in [0, 1]."""

    results: int
    in_50: int
    in_90: int
    ranks: tuple[float, ...]

    @staticmethod
    def of(scores: Iterable[Score]) -> Coverage:
        """Return the coverage of scores."""
        rows = list(scores)
        ranks = tuple(each.pit for each in rows)
        return Coverage(len(rows), sum(each.in_50 for each in rows), sum(each.in_90 for each in rows), ranks)

    def histogram(self, bins: int = BINS) -> list[int]:
        """Return how many ranks are in each of equal bins."""
        found: list[int] = np.histogram(self.ranks, bins=bins, range=(0, 1))[0].tolist()
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the counts as a JSON object."""
        return {
            "results": self.results,
            "in_50": self.in_50,
            "in_90": self.in_90,
            "ranks": self.histogram(),
        }


def margin(results: int) -> float:
    """Return how far from 0.9 the share in the band of 90 % may be: few results vary more by chance."""
    return 0.05 if results > RESULTS_MIN else 0.1


def of_prior(
    pilots: Sequence[Description],
    *,
    draws: int,
    synthetic: int,
    seed: int = 1,
    people: int = 4_000,
    progress: Progress = lambda done, total: None,
) -> list[Score]:
    """Return the scores of `synthetic` pilots of each design, drawn from the prior and predicted with the prior.

    A synthetic pilot has a structure, parameters, absent facts and a seed of its own. Figures that cannot vary are left
    out. Equal arguments give equal scores. `progress` is called with predicted designs and their total.
    """
    found: list[Score] = []
    for at, pilot in enumerate(pilots):
        prediction = predict(pilot, prior(), draws=draws, seed=2 * seed, people=people)
        for number in range(synthetic):
            results = synthetic_results(pilot, 2 * seed + 1, number, people)
            found.extend(each for each in scoring.score(prediction, results).scores if _varies(each))
        progress(at + 1, len(pilots))
    return found


def _varies(each: Score) -> bool:
    """Return whether a prediction is more than one value, such as the share of a sector that cannot accept."""
    return each.quantiles["5"] < each.quantiles["95"]


def synthetic_results(pilot: Description, seed: int, number: int, people: int) -> Published:
    """Return the results of one synthetic pilot, as if they had been published."""
    numbers = Numbers(seed)
    (parameters,) = prior().draws(behaviour.standard(), 1, numbers.integer(number, 0))
    names = variants.SHIPPED
    structure = names[int(numbers.of(number, 1) * len(names))]
    simulation = Simulation.of(pilot, [numbers.of(number, 2 + place) for place in range(town.width())])
    outcome = simulation.run(parameters, structure, run_seed(seed, number), people)
    return Published(
        pilot.name,
        tuple(
            Result(pilot.name, key.outcome, key.date, key.sector, None, value, value, SYNTHETIC, SYNTHETIC)
            for key, value in simulation.values(outcome).items()
            if value is not None
        ),
        "",
    )


def of_fit(
    cases: Sequence[Case],
    structure: str,
    *,
    fits: Sequence[int],
    particles: int,
    people: int,
    seed: int = 1,
    progress: Progress = lambda done, total: None,
) -> Array:
    """Return ranks of drawn parameters in the posteriors of fits to their own synthetic results: (fits, FITTED).

    fits: their numbers; a fit is the same beside any others. Equal arguments give equal ranks. `progress` is called
    with finished fits and their total.
    """
    standard = behaviour.standard()
    numbers = Numbers(seed)
    found = np.zeros((len(fits), len(FITTED)))
    for at, number in enumerate(fits):
        drawn = drawn_parameters(seed, number)
        first, second = (numbers.integer(number, SEEDS + place) & fitting.SEED_MAX for place in range(2))
        observed = fitting.synthetic(cases, standard, drawn, structure, people, first)
        (fitted,) = fitting.fit(
            cases, [structure], particles=particles, generations=1, people=people, seed=second, observed=observed
        )
        true = np.array([standard[name].prior.quantile(drawn[name]) for name in FITTED])
        within = [numbers.of(number, WITHIN + place) for place in range(len(FITTED))]
        found[at] = ranks(fitted.values, true, within, fitted.weights)
        progress(at + 1, len(fits))
    return found


def drawn_parameters(seed: int, number: int) -> dict[str, float]:
    """Return the probability of each fitted parameter that the results of a fit are simulated with."""
    numbers = Numbers(seed)
    return {name: numbers.of(number, DRAWN + place) for place, name in enumerate(FITTED)}


def ranks(values: Array, true: Array, within: Sequence[float], weights: Array) -> Array:
    """Return the rank of each true value among weighted particles, (particles, parameters), in (0, 1).

    The rank is (particles × share of the weight below + within) / (particles + 1), with a number within (0, 1) for each
    parameter. So it is uniform if the true value and particles of one weight come from one distribution.
    """
    below = len(values) * (weights @ (values < true)) / weights.sum()
    found: Array = (below + np.asarray(within)) / (len(values) + 1)
    return found
