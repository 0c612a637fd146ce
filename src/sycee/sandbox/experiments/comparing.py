"""Comparison of candidates: bands of each outcome, paired differences, and regret.

Three uncertainties are computed separately: between structures, of parameters within a structure, and between seeds at
the same parameters. A comparison is one JSON object; docs/reference/sandbox-compare.md lists its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

import sycee
from sycee.core import money
from sycee.core.arrays import Array
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.behaviour import variants
from sycee.sandbox.experiments import ensemble, sensitivity
from sycee.sandbox.experiments.candidates import Candidate, Trial
from sycee.sandbox.experiments.ensemble import Ensemble
from sycee.sandbox.inference.posterior import Posterior
from sycee.sandbox.inference.provenance import older
from sycee.sandbox.validity.predicting import CODE, code_digest, quantiles

FORMAT: Final = "sycee-comparison-1"
COMPARISON_CODE: Final = (
    *(*CODE, "sandbox/experiments"),
    *(f"sandbox/ledger_run/{name}.py" for name in ("hours", "recipients")),
    *(f"programmes/{name}.py" for name in ("definition", "merchant_groups", "variants", "zones")),
)
DRAWS: Final = 200
SEEDS: Final = 2
SEED: Final = 1
PEOPLE: Final = 100_000
HORIZON_DAYS: Final = 30  # at least
PAY_BACK_DAYS: Final = 14  # after the last deadline, for purchases that were brought forward

OUTCOMES: Final = {
    "issued": "money given to recipients who registered",
    "claimed": "money that recipients took",
    "spent": "money spent from purses: the cost, as the rest returns to the funder",
    "returned": "money that returned to the funder unspent",
    "own": "own money in the same payments; it is not an effect",
    "substituted": "purchases that would have been made on the same day anyway",
    "forward": "purchases that were brought forward, and not yet paid back on the last day",
    "new": "new consumption: purchases that would not have been made",
    "new_of_spent": "new consumption for each unit spent",
    "cost_per_new": "money spent for each unit of new consumption; no figure where there is none",
}
RATIOS: Final = ("new_of_spent", "cost_per_new")
CRITERIA: Final = ("new", "new_of_spent")  # more is better
ATTRIBUTED: Final = ("spent", "new", "new_of_spent")
CANNOT_SAY: Final = (
    "New consumption is a guess: no causal estimate exists for a drop of digital money. Figures hold in this model.",
    "A design with more money has more new consumption. At different costs, compare new consumption per unit spent.",
    "Habits, prices and shops stay as they are. Nobody talks about the programme, and no other event happens.",
    "Later rounds, in which shops spend what they receive, are left out.",
)

Progress = Callable[[int, int], None]


def compare(
    trial: Trial,
    candidates: Sequence[Candidate],
    posterior: Posterior,
    *,
    draws: int = DRAWS,
    seeds: int = SEEDS,
    seed: int = SEED,
    structures: Sequence[str] = (),
    steps: Mapping[str, Sequence[Candidate]] = MappingProxyType({}),
    samples: int = 0,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Return the comparison of candidates as a JSON object. Equal arguments give an equal object.

    structures: names of variants of behaviour; all without it. steps: of candidates by their name, each
    with the changes of the steps before it; differences are then attributed to them in this order. samples: of Sobol
    indices; 0 for none. `progress` is called with finished runs and their total, first of the designs.
    """
    names = tuple(structures) or variants.names()
    parts = [each for name in steps for each in steps[name]]
    days = max(HORIZON_DAYS, max(each.design.last_day for each in (*candidates, *parts)) + 1 + PAY_BACK_DAYS)
    drawn = [posterior.draws(behaviour.standard(), draws, seed, name) for name in names]
    runs = ensemble.compute([*candidates, *parts], names, drawn, seeds, seed, days, progress)
    currency = money.currency(trial.city.currency)
    unit = trial.population / trial.people / 10**currency.digits
    together = _outcomes(runs, unit)
    values = {name: found[: len(candidates)] for name, found in together.items()}
    return {
        "format": FORMAT,
        "release": sycee.__version__,
        "cannot_say": list(CANNOT_SAY),
        "base": candidates[0].name,
        "city": {"name": trial.city.name, "digest": trial.city.digest(), "people": trial.people},
        "population": trial.population,
        "currency": currency.code,
        "posterior": {"source": posterior.source, "digest": posterior.digest, "older": list(older(posterior))},
        "code": code_digest(COMPARISON_CODE),
        "runs": runs.digest(),
        "draws": draws,
        "seeds": seeds,
        "seed": seed,
        "days": days,
        "structures": list(names),
        "designs": [
            {
                "name": each.name,
                "title": each.programme.title,
                "keys": list(each.keys),
                "axes": dict(each.values),
                "file": each.digest,
                "design": each.design_digest(),
                "recipients": each.recipients,
                "outcomes": {name: bands(found[at], names) for name, found in values.items()},
                "regret": {name: _regret(values[name], at) for name in CRITERIA},
            }
            for at, each in enumerate(candidates)
        ],
        "pairs": [
            {"a": candidates[a].name, "b": candidates[b].name}
            | {name: _pair(values[name][a], values[name][b], names) for name in CRITERIA}
            for b in range(len(candidates))
            for a in range(b + 1, len(candidates))
        ],
        "attribution": _attribution(steps, together, len(candidates), names),
        "sobol": sensitivity.sobol(candidates, names, samples, seed, days, progress) if samples else None,
    }


def _outcomes(runs: Ensemble, unit: float) -> dict[str, Array]:
    """Return each outcome: [candidates, structures, draws, seeds] float64, money in major units of the whole city."""
    found = {name: runs.of(name) * unit for name in OUTCOMES if name not in RATIOS}
    spent, new = found["spent"], found["new"]
    with np.errstate(divide="ignore", invalid="ignore"):
        found["new_of_spent"] = np.where(spent > 0, new / spent, np.nan)
        found["cost_per_new"] = np.where(new > 0, spent / new, np.nan)
    return found


def bands(values: Array, structures: Sequence[str]) -> dict[str, Any]:
    """Return the bands of one outcome, [structures, draws, seeds] float64 with NaN where it has no figure.

    quantiles: over all runs. by_structure: within each structure. parameters: of the means over seeds, less the median
    of their structure. sampling: of single runs, less the mean over seeds; None with one seed.
    """
    seeds = values.shape[2]
    means = values.mean(axis=2)
    middles = np.array([_median(row) for row in means])
    deviations = (values - means[:, :, None]) * np.sqrt(seeds / max(seeds - 1, 1))
    return {
        "quantiles": quantiles(_known(values)),
        "by_structure": {name: quantiles(_known(values[at])) for at, name in enumerate(structures)},
        "parameters": quantiles(_known(means - middles[:, None])),
        "sampling": quantiles(_known(deviations)) if seeds > 1 else None,
        "without_figure": int(np.isnan(values).sum()),
    }


def beats(a: Array, b: Array) -> float | None:
    """Return the share of runs in which `a` exceeds `b`; equal values count half. None if no run has both figures."""
    known = ~(np.isnan(a) | np.isnan(b))
    if not known.any():
        return None
    more = (a > b)[known].sum() + (a == b)[known].sum() / 2
    return float(f"{more / known.sum():.6g}")


def _pair(a: Array, b: Array, structures: Sequence[str]) -> dict[str, Any]:
    return {
        "difference": bands(a - b, structures),
        "a_beats_b": beats(a, b),
        "by_structure": {name: beats(a[at], b[at]) for at, name in enumerate(structures)},
    }


def _attribution(
    steps: Mapping[str, Sequence[Candidate]], values: Mapping[str, Array], first: int, structures: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what each step changes: its run less the run of the step before it, the base before the first."""
    rows = []
    for name, parts in steps.items():
        before = 0
        for place, part in enumerate(parts, first):
            changes = {each: bands(values[each][place] - values[each][before], structures) for each in ATTRIBUTED}
            rows.append({"design": name, "keys": list(part.keys)} | changes)
            before = place
        first += len(parts)
    return rows


def _regret(values: Array, at: int) -> dict[str, Any]:
    """Return what is lost by choosing one candidate instead of the best of each run, and how often it is the best."""
    known = ~np.isnan(values).any(axis=0)
    if not known.any():
        return {"mean": None, "quantiles": None, "best": None}
    all_known = values[:, known]
    most = all_known.max(axis=0)
    lost = most - all_known[at]
    share = ((lost == 0) / (all_known == most).sum(axis=0)).mean()
    return {
        "mean": float(f"{lost.mean():.6g}"),
        "quantiles": quantiles(lost.tolist()),
        "best": float(f"{share:.6g}"),
    }


def _known(values: Array) -> list[float]:
    found: list[float] = values[~np.isnan(values)].tolist()
    return found


def _median(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")
