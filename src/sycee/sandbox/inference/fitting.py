"""Fit of behaviour to published results of pilots by ABC-SMC (Toni and others 2009), computed by pyabc, and adjusted.

Each structure is fitted separately. A particle is a probability for each fitted parameter, so that the prior is
uniform; its summary statistics are the simulated results of every pilot. Facts that a description leaves out differ
between evaluations, from a few towns made for each pilot; so do the pilot's own values of parameters (`variation`),
and the error of the model, which has the size of a result's tolerance. The first generation accepts every simulation of
the prior; `adjusting` moves the particles of the last one towards the published results.
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
from sycee.sandbox.behaviour.design import UNIVERSAL
from sycee.sandbox.behaviour.parameters import PILOT_SPREAD, Parameters, ParameterSet
from sycee.sandbox.inference import posterior
from sycee.sandbox.inference.adjusting import adjusted
from sycee.sandbox.inference.posterior import Numbers, Posterior
from sycee.sandbox.inference.variation import inside, of_pilot
from sycee.sandbox.pilots import sectors, town
from sycee.sandbox.pilots.description import AMOUNT_OUTCOMES, FOLDER, SECTOR_SHARE, SIZE_SHARE, Description, load
from sycee.sandbox.pilots.published import Published, Result
from sycee.sandbox.pilots.published import load as load_results
from sycee.sandbox.pilots.simulation import WITHIN_HORIZON, Key, Simulation

# Parameters that published results of pilots can inform. All others keep their priors.
FITTED: Final = (
    *("claim_app", "claim_card", "claim_paper", "claim_speed_app", "claim_speed_card", "never_share", "use_share"),
    *("start_hazard", "start_fade", "base_hazard", "end_hazard", "end_fade", "clear_share"),
    *("beside_app", "beside_other", "beside_size", "mpc_cash", "mpc_expiry", "mpc_decay"),
)
PARTICLES: Final = 600
GENERATIONS: Final = 1
SIMULATIONS_MAX: Final = 6_000  # of one variant: no generation begins after as many; one that began is completed
PEOPLE: Final = 4_000
TOWNS: Final = 12  # of each pilot
QUANTILE: Final = 0.5  # of distances: the tolerance of a later generation, from those of the one before
ACCEPTED_MIN: Final = 0.01  # share of simulations: a later generation that accepts fewer stops the fit before it
NOISE_RUNS: Final = 60  # at central values, to see how much a result varies without a change of what is fitted
SEED_MAX: Final = 2**31 - 1
# A simulated result this far from the published one counts as one unit of distance.
TOLERANCE_RATE: Final = 0.05  # besides what varies between simulations
TOLERANCE_SHARE: Final = 0.15  # of the result, for amounts and counts
UNKNOWN: Final = 10.0  # units of distance of a result that a simulation does not give

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Particles of one structure: (particles, FITTED) in units of the parameters' file, weights of sum 1."""

    variant: str
    values: Array
    weights: Array
    distance: float  # the largest distance of a particle, in units of tolerance
    simulations: int

    @property
    def effective(self) -> float:
        """Return the effective number of particles: (Σ w)² ÷ Σ w² (Kish 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One pilot of the fitting set, with the towns that represent it."""

    description: Description
    published: Published
    towns: tuple[Simulation, ...]
    keys: tuple[tuple[Key, ...], ...]  # of each result: the simulated values whose sum it is

    @staticmethod
    def of(description: Description, published: Published, seed: int) -> Case:
        """Return a case. Raises UsageError if the results are of another pilot, or of figures not asked for."""
        if description.name != published.pilot:
            raise UsageError(
                f'the results are of "{published.pilot}" and the description of "{description.name}"',
                hint="`pilot` of the results is `pilot.name` of the description",
            )
        keys = tuple(_keys(description, result) for result in published.results)
        numbers = Numbers(seed)
        towns = tuple(
            Simulation.of(description, [numbers.of(at, place) for place in range(town.width())]) for at in range(TOWNS)
        )
        return Case(description, published, towns, keys)

    @property
    def programme(self) -> str:
        """The programme that the pilot belongs to: groups of one trial have one `source`, and behave alike."""
        return self.description.source

    def run_size(self, people: int) -> int:
        """Return the persons of a run, for about as many recipients in every case: at most a quarter win a lottery."""
        return max(people // 4, 1) if self.description.design.how == UNIVERSAL else people


def cases(files: Sequence[str], leave_out: Sequence[str], seed: int) -> tuple[Case, ...]:
    """Return the cases of the pilots that `pairs` finds. Errors as `pairs` and `cases_of`."""
    return cases_of(pairs(files, leave_out), seed)


def cases_of(files: Sequence[tuple[Path | str, Path | str]], seed: int) -> tuple[Case, ...]:
    """Return the cases of descriptions with their results, each a file or a shipped one by its name.

    Raises DocumentError for an error in a file, UsageError as `Case.of`.
    """
    return tuple(Case.of(load(one), load_results(other), seed) for one, other in files)


def pairs(files: Sequence[str], leave_out: Sequence[str]) -> list[tuple[str, str]]:
    """Return description and results of each pilot of a fit: pairs of files, names of shipped pilots, or all shipped.

    Raises UsageError for a file without its pair, for an unknown name, and where nothing is left.
    """
    shipped = data.names(FOLDER)
    for name in leave_out:
        typos.require(name, shipped, f'there is no shipped pilot "{name}"', f"shipped: {', '.join(shipped)}")
    paths = [each for each in files if each not in shipped]
    if len(paths) % 2:
        raise UsageError(
            f"{len(paths)} files are no pairs of description and results",
            hint=f"sycee sandbox fit DESIGN.toml RESULTS.toml --out P.parquet; shipped: {', '.join(shipped)}",
        )
    made = list(zip(paths[::2], paths[1::2], strict=True))
    made += [(name, name) for name in ([each for each in files if each in shipped] if files else shipped)]
    found = [(one, other) for one, other in made if one not in leave_out]
    if not found:
        raise UsageError("no pilot is left to fit", hint="leave out fewer")
    return found


def store(found: Sequence[Fitted], path: Path, record: Mapping[str, Any] | None = None) -> None:
    """Write the posterior of all variants. Raises like `core.output_files.write_file`."""
    made = together(found)
    posterior.store(path, made.names, made.values, made.weights, made.variants, record)


def together(found: Sequence[Fitted], record: Mapping[str, Any] | None = None) -> Posterior:
    """Return the posterior of all variants, each with the weight 1."""
    return Posterior(
        "fit",
        "",
        FITTED,
        np.concatenate([each.values for each in found]),
        np.concatenate([each.weights / each.weights.sum() for each in found]),
        tuple(each.variant for each in found for _ in range(each.weights.size)),
        record or {},
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
    observed: Array | None = None,
) -> tuple[Fitted, ...]:
    """Return the posterior of each structure of behaviour. Equal arguments give equal particles.

    `progress` is called with simulations done and those that are expected. observed: results to fit to instead of
    the published ones, as `simulated` returns them.
    """
    standard = behaviour.standard()
    each = expected(particles, generations)
    total = each * len(structures)
    found = []
    for at, name in enumerate(structures):

        def done(count: int, before: int = at * each) -> None:
            progress(before + min(count, each), total)

        found.append(_fit(cases, standard, name, particles, generations, people, seed + at, done, observed))
        done(each)
    return tuple(found)


def expected(particles: int, generations: int) -> int:
    """Return the number of simulations that a fit of one structure is expected to need.

    The first generation accepts all of them, a later one the share `QUANTILE`, or fewer.
    """
    total = particles
    for _ in range(1, generations):
        if total >= SIMULATIONS_MAX:
            break
        total += round(particles / QUANTILE)
    return total


def simulated(
    cases: Sequence[Case], standard: ParameterSet, probabilities: Mapping[str, float], variant: str, people: int
) -> Array:
    """Return `statistics` of one simulation of every case: (results,) float64. Draws as `own_parameters`."""
    found: list[float] = []
    own = own_parameters(standard, probabilities, cases)
    for case in cases:
        simulation = case.towns[int(np.random.randint(TOWNS))]
        outcome = simulation.run(own[case.programme], variant, int(np.random.randint(SEED_MAX)), case.run_size(people))
        found.extend(statistics(case, simulation.values(outcome)))
    return np.array(found, np.float64)


def synthetic(
    cases: Sequence[Case],
    standard: ParameterSet,
    probabilities: Mapping[str, float],
    variant: str,
    people: int,
    seed: int,
) -> Array:
    """Return `simulated` results with errors for a seed, to be fitted to instead of the published ones."""
    with _seeded(seed):
        return _with_errors(simulated(cases, standard, probabilities, variant, people))


def _with_errors(found: Array) -> Array:
    """Return results, in units of tolerance, with a normal error of one unit each.

    With such errors a posterior is exact for a model that is wrong by as much (Wilkinson 2013).
    """
    made: Array = found + np.random.standard_normal(found.size)
    return made


def statistics(case: Case, values: Mapping[Key, float | None]) -> list[float]:
    """Return the distance of each result of a case from simulated values, in units of its tolerance."""
    found = []
    for result, keys in zip(case.published.results, case.keys, strict=True):
        parts = [values[key] for key in keys]
        known = [each for each in parts if each is not None]
        found.append((sum(known) - result.middle) / tolerance(result) if len(known) == len(parts) else UNKNOWN)
    return found


def _keys(description: Description, result: Result) -> tuple[Key, ...]:
    """Return the keys of the simulated values whose sum is a result. Raises UsageError if none is asked for."""
    name, ask, outcome = description.name, description.ask, result.outcome
    if outcome not in ask.outcomes:
        raise UsageError(f"{name} does not ask for {outcome}", hint="add it to `ask.outcomes` of the description")
    if outcome in WITHIN_HORIZON:
        if result.horizon not in (None, ask.horizon):
            raise UsageError(
                f"{name} asks for {outcome} within {ask.horizon} days, and the result is within {result.horizon}",
                hint="equal `ask.horizon_days` and `horizon_days`",
            )
        return (Key(outcome, None, None),)
    when = result.date or max(ask.dates, default=None)
    if when not in ask.dates:
        raise UsageError(f"{name} does not ask for {outcome} on {when}", hint="add the day to `ask.dates`")
    if outcome not in (SECTOR_SHARE, SIZE_SHARE):
        return (Key(outcome, when, None),)
    simulation = Simulation.of(description)
    has = simulation.sector_names() if outcome == SECTOR_SHARE else simulation.size_names()
    chosen = sectors.named(result.sector or "", has)
    if not chosen:
        raise UsageError(
            f'the town of {name} has no {outcome} of "{result.sector or ""}"',
            hint=f"`sector` is one of {', '.join(has)}",
        )
    return tuple(Key(outcome, when, each) for each in chosen)


def tolerance(result: Result) -> float:
    """Return the difference from a result that counts as one."""
    is_rate = result.outcome not in AMOUNT_OUTCOMES and result.middle <= 1
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
    observed: Array | None,
) -> Fitted:
    with extra("research"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyabc
    done = 0

    def model(probabilities: Mapping[str, float]) -> dict[str, float]:
        nonlocal done
        found = _with_errors(simulated(cases, standard, probabilities, variant, people))
        done += 1
        progress(done)
        return {str(at): value for at, value in enumerate((found - target) / scale)}

    with _seeded(seed):
        middle = [simulated(cases, standard, dict.fromkeys(FITTED, 0.5), variant, people) for _ in range(NOISE_RUNS)]
    scale = np.sqrt(1 + np.var(middle, axis=0))
    target = np.zeros(scale.size) if observed is None else observed
    prior = pyabc.Distribution(**{name: pyabc.RV("uniform", 0, 1) for name in FITTED})
    with _seeded(seed), warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        logging.getLogger("ABC").setLevel(logging.ERROR)
        sampler = pyabc.sampler.SingleCoreSampler(check_max_eval=True)
        tolerance = pyabc.QuantileEpsilon(initial_epsilon=np.inf, alpha=QUANTILE)
        search = pyabc.ABCSMC(model, prior, pyabc.PNormDistance(p=2), particles, eps=tolerance, sampler=sampler)
        search.new(f"sqlite:///{Path(folder, 'history.db')}", {str(at): 0.0 for at in range(scale.size)})
        history = search.run(
            max_nr_populations=generations,
            max_total_nr_simulations=SIMULATIONS_MAX,
            min_acceptance_rate=ACCEPTED_MIN if generations > 1 else 0.0,
        )
        if history.max_t < 0:
            raise UsageError(f"no generation of {variant} was accepted", hint="more particles: --particles")
        accepted = history.get_population(t=history.max_t).particles
        simulations = int(history.total_nr_simulations)
    accepted.sort(key=lambda each: each.distance)
    drawn = np.array([[each.parameter[name] for name in FITTED] for each in accepted])
    results = np.array([[float(each.sum_stat[str(at)]) for at in range(scale.size)] for each in accepted])
    found, weights = adjusted(drawn, results, np.array([each.weight for each in accepted]))
    values = np.column_stack(
        [[standard[name].prior.quantile(each) for each in column] for name, column in zip(FITTED, found.T, strict=True)]
    )
    return Fitted(variant, values, weights, float(accepted[-1].distance), simulations)


def own_parameters(
    standard: ParameterSet, probabilities: Mapping[str, float], cases: Sequence[Case]
) -> dict[str, Parameters]:
    """Return parameters for each programme: around those that all share, and draws of the prior where none is fitted.

    Draws are from the generator that pyabc uses.
    """
    share = standard.varies(PILOT_SPREAD).prior.quantile(inside(np.random.random()))
    found = {}
    for programme in dict.fromkeys(case.programme for case in cases):
        drawn = {name: inside(np.random.random()) for name in behaviour.NAMES}
        own = {name: of_pilot(probabilities[name], share, drawn[name]) for name in FITTED}
        found[programme] = standard.at(drawn | own)
    return found


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
