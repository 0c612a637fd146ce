"""Fit of behaviour to published results of pilots by ABC-SMC (Toni and others 2009), computed by pyabc.

Each structural variant is fitted by itself. A particle is a probability for each fitted parameter, so that the prior is
uniform; its summary statistics are the simulated results of every pilot. Facts that a description leaves out differ
between evaluations, from a few towns made for each pilot.
"""

from __future__ import annotations

import logging
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from sycee import data
from sycee.core import typos
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.behaviour.parameters import ParameterSet
from sycee.sandbox.inference import posterior
from sycee.sandbox.inference.posterior import Numbers
from sycee.sandbox.pilots import town
from sycee.sandbox.pilots.description import FOLDER, UNIT_AMOUNT, Description, load
from sycee.sandbox.pilots.published import Published, Result
from sycee.sandbox.pilots.published import load as load_results
from sycee.sandbox.pilots.simulation import Key, Simulation

# Parameters that published results of pilots can inform. All others keep their priors.
FITTED: Final = (
    *("claim_app", "claim_card", "claim_paper", "claim_speed_app", "claim_speed_card", "never_share", "use_share"),
    *("start_hazard", "start_fade", "base_hazard", "end_hazard", "end_fade", "clear_share"),
    *("beside_app", "beside_other", "beside_size", "mpc_cash", "mpc_expiry", "mpc_decay"),
)
PARTICLES: Final = 100
GENERATIONS: Final = 6
SIMULATIONS_MAX: Final = 4_000  # of one variant
PEOPLE: Final = 4_000
TOWNS: Final = 4  # of each pilot
SEED_MAX: Final = 2**31 - 1
# A simulated result this far from the published one counts as one unit of distance.
TOLERANCE_RATE: Final = 0.05
TOLERANCE_SHARE: Final = 0.15  # of the result, for amounts and counts
UNKNOWN: Final = 10.0  # units of distance of a result that a simulation does not give

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Particles of one structural variant: (particles, FITTED) in units of the parameters' file, weights of sum 1."""

    variant: str
    values: Array
    weights: Array
    distance: float  # the largest distance of a particle, in units of tolerance
    simulations: int


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One pilot of the fitting set, with the towns that stand for it."""

    description: Description
    published: Published
    towns: tuple[Simulation, ...]

    @staticmethod
    def of(description: Description, published: Published, seed: int) -> Case:
        """Return a case. Raises UsageError if the results are of another pilot, or not asked for."""
        if description.name != published.pilot:
            raise UsageError(
                f'the results are of "{published.pilot}" and the description of "{description.name}"',
                hint="`pilot` of the results is `pilot.name` of the description",
            )
        for result in published.results:
            if result.outcome not in description.ask.outcomes:
                raise UsageError(
                    f"{description.name} does not ask for {result.outcome}", hint="add it to `ask.outcomes`"
                )
        numbers = Numbers(seed)
        width = len(town.ABSENT)
        towns = tuple(
            Simulation.of(description, tuple(numbers.of(at, place) for place in range(width)))  # type: ignore[arg-type]
            for at in range(TOWNS)
        )
        return Case(description, published, towns)


def cases(files: Sequence[str], leave_out: Sequence[str], seed: int) -> tuple[Case, ...]:
    """Return the cases of a fit: pairs of files, or names of shipped pilots, or all shipped ones without either.

    Raises UsageError for a file without its pair, for an unknown name, and where nothing is left.
    """
    shipped = data.names(FOLDER)
    for name in leave_out:
        typos.require(name, shipped, f'there is no shipped pilot "{name}"', f"shipped: {', '.join(shipped)}")
    pairs: list[tuple[str, str]] = []
    paths = [each for each in files if each not in shipped]
    if len(paths) % 2:
        raise UsageError(
            f"{len(paths)} files are no pairs of description and results",
            hint=f"sycee sandbox fit DESIGN.toml RESULTS.toml --out P.parquet; shipped: {', '.join(shipped)}",
        )
    pairs += zip(paths[::2], paths[1::2], strict=True)
    pairs += [(name, name) for name in ([each for each in files if each in shipped] if files else shipped)]
    found = tuple(Case.of(load(one), load_results(other), seed) for one, other in pairs if one not in leave_out)
    if not found:
        raise UsageError("no pilot is left to fit", hint="leave out fewer")
    return found


def store(found: Sequence[Fitted], path: Path) -> None:
    """Write the posterior of all variants, each with the weight 1. Raises like `core.output_files.write_file`."""
    posterior.store(
        path,
        FITTED,
        np.concatenate([each.values for each in found]),
        np.concatenate([each.weights / each.weights.sum() for each in found]),
        [each.variant for each in found for _ in range(each.weights.size)],
    )


def fit(
    cases: Sequence[Case],
    structures: Sequence[str],
    *,
    particles: int = PARTICLES,
    generations: int = GENERATIONS,
    people: int = PEOPLE,
    seed: int = 1,
    progress: Progress = lambda done, total: None,
) -> tuple[Fitted, ...]:
    """Return the posterior of each structural variant. Equal arguments give equal particles.

    `progress` is called with simulations done and the most that can be needed.
    """
    standard = behaviour.standard()
    total = SIMULATIONS_MAX * len(structures)
    found = []
    for at, name in enumerate(structures):

        def done(count: int, before: int = at * SIMULATIONS_MAX) -> None:
            progress(before + min(count, SIMULATIONS_MAX), total)

        found.append(_fit(cases, standard, name, particles, generations, people, seed + at, done))
    return tuple(found)


def statistics(case: Case, values: Mapping[Key, float | None]) -> list[float]:
    """Return the distance of each result of a case from simulated values, in units of its tolerance."""
    found = []
    for result in case.published.results:
        value = values.get(Key(result.outcome, result.date, result.sector), values.get(Key(result.outcome, None, None)))
        found.append(UNKNOWN if value is None else (value - result.middle) / tolerance(result))
    return found


def tolerance(result: Result) -> float:
    """Return the difference from a result that counts as one."""
    is_rate = result.outcome not in UNIT_AMOUNT and result.middle <= 1
    return TOLERANCE_RATE if is_rate else TOLERANCE_SHARE * result.middle


def _fit(
    cases: Sequence[Case],
    standard: ParameterSet,
    variant: str,
    particles: int,
    generations: int,
    people: int,
    seed: int,
    progress: Callable[[int], None],
) -> Fitted:
    with extra("fit"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyabc
    done = 0

    def model(probabilities: Mapping[str, float]) -> dict[str, float]:
        nonlocal done
        drawn = standard.at({name: min(max(probabilities[name], 1e-6), 1 - 1e-6) for name in FITTED})
        found: list[float] = []
        for case in cases:
            simulation = case.towns[int(np.random.randint(TOWNS))]  # the generator that pyabc uses
            outcome = simulation.run(drawn, variant, int(np.random.randint(SEED_MAX)), people)
            found.extend(statistics(case, simulation.values(outcome)))
        done += 1
        progress(done)
        return {str(at): value for at, value in enumerate(found)}

    results = sum(len(case.published.results) for case in cases)
    observed = {str(at): 0.0 for at in range(results)}
    prior = pyabc.Distribution(**{name: pyabc.RV("uniform", 0, 1) for name in FITTED})
    with _seeded(seed), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        logging.getLogger("ABC").setLevel(logging.ERROR)
        search = pyabc.ABCSMC(
            model, prior, pyabc.PNormDistance(p=2), particles, sampler=pyabc.sampler.SingleCoreSampler()
        )
        search.new(f"sqlite:///{Path(folder, 'history.db')}", observed)
        history = search.run(max_nr_populations=generations, max_total_nr_simulations=SIMULATIONS_MAX)
        frame, weights = history.get_distribution(m=0, t=history.max_t)
        distance = float(history.get_weighted_distances(t=history.max_t)["distance"].max())
        simulations = int(history.total_nr_simulations)
    values = np.column_stack(
        [[standard[name].prior.quantile(min(max(each, 1e-6), 1 - 1e-6)) for each in frame[name]] for name in FITTED]
    )
    return Fitted(variant, values, np.asarray(weights, np.float64), distance, simulations)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed the generators that pyabc uses, which are global, and restore them afterwards."""
    states: tuple[Any, Any] = (np.random.get_state(), random.getstate())
    np.random.seed(seed & SEED_MAX)
    random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])
