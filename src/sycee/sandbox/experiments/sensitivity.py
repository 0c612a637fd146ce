"""Sobol indices: how much of the variance of an outcome is from each parameter, and from the structure.

The factors are all parameters, independent and with their priors, and the structure, all equally likely. Runs have one
seed, so chance is no factor. Samples and indices are SALib's (Saltelli 2010).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.extras import extra
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.experiments import ensemble
from sycee.sandbox.experiments.candidates import Candidate
from sycee.sandbox.experiments.ensemble import TOTALS

STRUCTURE: Final = "structure"
FACTORS: Final = (*behaviour.NAMES, STRUCTURE)
OUTCOME: Final = "new_of_spent"
CONFIDENCE: Final = 0.9
_EDGE: Final = 1e-9  # a prior has no quantile at 0 and 1

Progress = Callable[[int, int], None]


def require_samples(samples: int) -> None:
    """Raise UsageError unless the number of samples is a power of two, which a Sobol sequence needs."""
    if samples & (samples - 1):
        near = 1 << samples.bit_length() - 1
        raise UsageError(f"{samples} samples are no power of two", hint=f"--sobol {near} or --sobol {2 * near}")


def sobol(
    candidates: Sequence[Candidate],
    structures: Sequence[str],
    samples: int,
    seed: int,
    days: int,
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Return first and total indices of new consumption per unit spent for each candidate, as a JSON object.

    For each candidate after the first, the indices of its difference from the first, too: they show which parameters
    make the difference. Equal arguments give an equal object. Raises UsageError as `require_samples`.
    """
    require_samples(samples)
    with extra("research"):
        from SALib.analyze import sobol as analysing
        from SALib.sample import sobol as sampling
    problem = {"num_vars": len(FACTORS), "names": list(FACTORS), "bounds": [[0.0, 1.0]] * len(FACTORS)}
    points = np.clip(sampling.sample(problem, samples, calc_second_order=False, seed=seed), _EDGE, 1 - _EDGE)
    values = _values(candidates, structures, points, ensemble.run_seed(seed, 0, 0), days, progress)
    rows = []
    for name, against, found in _outcomes(candidates, values):
        indices = None
        if found.std() > 0:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # a factor without an effect has no variance to divide by
                indices = analysing.analyze(
                    problem, found, calc_second_order=False, conf_level=CONFIDENCE, seed=seed, print_to_console=False
                )
        rows.append({"design": name, "against": against, "outcome": OUTCOME, "factors": _factors(indices)})
    return {"samples": samples, "runs": values.size, "confidence": CONFIDENCE, "rows": rows}


def _values(
    candidates: Sequence[Candidate], structures: Sequence[str], points: Array, seed: int, days: int, progress: Progress
) -> Array:
    """Return the outcome of each candidate at each point: [candidates, points] float64; 0 where nothing is spent."""
    standard = behaviour.standard()
    found = np.zeros((len(candidates), len(points)))

    def work(at: int) -> None:
        *probabilities, structure = points[at].tolist()
        parameters = standard.at(dict(zip(behaviour.NAMES, probabilities, strict=True)))
        chosen = structures[int(structure * len(structures))]
        for place, candidate in enumerate(candidates):
            totals = dict(zip(TOTALS, ensemble.totals_of(candidate, parameters, chosen, seed, days), strict=True))
            found[place, at] = totals["new"] / totals["spent"] if totals["spent"] else 0.0

    ensemble.each_of(work, len(points), lambda done: progress(done * len(candidates), found.size))
    return found


def _outcomes(candidates: Sequence[Candidate], values: Array) -> list[tuple[str, str | None, Array]]:
    alone: list[tuple[str, str | None, Array]] = [(each.name, None, values[at]) for at, each in enumerate(candidates)]
    base = candidates[0].name
    return alone + [(each.name, base, values[at] - values[0]) for at, each in enumerate(candidates) if at]


def _factors(indices: Any) -> list[dict[str, Any]] | None:
    """Return each factor with its indices and the half widths of their confidence, the largest total first."""
    if indices is None:
        return None
    found = [
        {"factor": name} | {key: float(f"{indices[of][at]:.6g}") for key, of in _KEYS}
        for at, name in enumerate(FACTORS)
    ]
    return sorted(found, key=lambda each: -float(str(each["total"])))


_KEYS: Final = (("first", "S1"), ("first_width", "S1_conf"), ("total", "ST"), ("total_width", "ST_conf"))
