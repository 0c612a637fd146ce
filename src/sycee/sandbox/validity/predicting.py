"""Prediction of a pilot: quantiles of each outcome that its description asks for, before any result is known.

Each draw of parameters is run once for every structure of behaviour, with facts that the description omits drawn too.
The three uncertainties are reported separately: within a variant (parameters and absent facts), between variants, and
between seeds at the central parameters. A prediction is one JSON object; docs/reference/sandbox-predict.md lists its
keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from typing import Any, Final

import numpy as np
from blake3 import blake3

import sycee
from sycee import data
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.behaviour import variants
from sycee.sandbox.inference.posterior import Numbers, Posterior
from sycee.sandbox.inference.provenance import older
from sycee.sandbox.pilots import description as descriptions
from sycee.sandbox.pilots import sectors, town
from sycee.sandbox.pilots.description import Description
from sycee.sandbox.pilots.features import features
from sycee.sandbox.pilots.simulation import PEOPLE, Key, Simulation
from sycee.sandbox.validity.distance import distances

FORMAT: Final = "sycee-prediction-1"
QUANTILES: Final = (5, 25, 50, 75, 95)
DRAWS: Final = 200
SEEDS: Final = 8
SEED: Final = 1
ELIGIBLE_APART: Final = 0.05  # largest difference of an eligible share that is still explained by ages
CANNOT_SAY: Final = (
    "This is a model of synthetic persons, fitted to few pilots; and pilots that published figures did well.",
    "It knows no event of the time: no lockdown, no holiday that the description does not name, no other programme.",
    "Money spent is not an effect. New consumption is a guess: no causal estimate exists for a drop of digital money.",
)
# What results follow from, as folders and files of the package: always; of a fit and a prediction; of a run.
SHARED_CODE: Final = ("sandbox/city", "sandbox/seeded_choices.py", "data/behaviour", "data/cities")
CODE: Final = (
    *("sandbox/behaviour", "sandbox/engine", "sandbox/pilots", "sandbox/inference", "sandbox/validity"),
    *("data/pilot-designs", "data/pilot-results", "data/sector-names"),
)
RUN_CODE: Final = ("sandbox/behaviour", "sandbox/engine", "sandbox/ledger_run", "sandbox/plan.py", "programmes")
_CODE_SUFFIXES: Final = (".py", ".toml")

Progress = Callable[[int, int], None]


def predict(
    pilot: Description,
    posterior: Posterior,
    *,
    draws: int = DRAWS,
    seed: int = SEED,
    people: int = PEOPLE,
    structures: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> dict[str, Any]:
    """Return the prediction of a pilot as a JSON object. Equal arguments give an equal object.

    structures: names of variants; all that are shipped without it. people: persons of each run. `progress` is called
    with finished runs and their total.
    """
    standard = behaviour.standard()
    names = tuple(structures) or variants.names()
    numbers = Numbers(seed)
    total = draws * len(names) + SEEDS
    done = 0
    found: dict[str, list[dict[Key, float | None]]] = {name: [] for name in names}
    by_structure = [posterior.draws(standard, draws, seed, name) for name in names]
    for at, drawn in enumerate(zip(*by_structure, strict=True)):
        simulation = Simulation.of(pilot, [numbers.of(at, 1_000 + place) for place in range(town.width())])
        for name, parameters in zip(names, drawn, strict=True):
            outcome = simulation.run(parameters, name, run_seed(seed, at), people)
            found[name].append(simulation.values(outcome))
            done += 1
            progress(done, total)
    simulation = Simulation.of(pilot)
    by_seed = []
    for at in range(SEEDS):
        by_seed.append(
            simulation.values(simulation.run(standard.central(), names[0], run_seed(seed, draws + at), people))
        )
        done += 1
        progress(done, total)
    fitted = [each["features"] for each in posterior.record.get("pilots", ())]
    if not fitted:
        fitted = [features(descriptions.load(name)) for name in data.names(descriptions.FOLDER)]
    return {
        "format": FORMAT,
        "release": sycee.__version__,
        "cannot_say": list(CANNOT_SAY),
        "pilot": pilot.name,
        "title": pilot.title,
        "currency": pilot.currency.code,
        "file": pilot.digest,
        "posterior": {"source": posterior.source, "digest": posterior.digest, "older": list(older(posterior))},
        "code": code_digest(),
        "horizon_days": pilot.ask.horizon,
        "draws": draws,
        "people": people,
        "seed": seed,
        "structures": list(names),
        "absent": dict(pilot.absent),
        "not_used": _not_used(pilot, simulation),
        "distance": [
            {
                "feature": each.feature,
                "value": each.value,
                "low": each.low,
                "high": each.high,
                "distance": each.distance,
            }
            for each in distances(pilot, fitted)
        ],
        "outcomes": _outcomes(found, by_seed),
    }


def code_digest(places: Sequence[str] = CODE) -> str:
    """Return the BLAKE3-256 of the files of `code_files`, each with its name."""
    made = blake3()
    root = resources.files(sycee)
    for name in code_files(places):
        made.update(f"{name}\n".encode() + root.joinpath(name).read_bytes())
    return made.hexdigest()


def code_files(places: Sequence[str]) -> list[str]:
    """Return the files of code and figures in folders and files of the package, and in `SHARED_CODE`, by their names.

    Folders inside of a folder are left out.
    """
    root = resources.files(sycee)
    found = []
    for place in (*places, *SHARED_CODE):
        if place.endswith(_CODE_SUFFIXES):
            found.append(place)
            continue
        names = sorted(each.name for each in root.joinpath(place).iterdir() if each.is_file())
        found += [f"{place}/{name}" for name in names if name.endswith(_CODE_SUFFIXES)]
    return found


def _not_used(pilot: Description, simulation: Simulation) -> list[str]:
    """Return facts of the file that no rule reads, in words."""
    found = list(pilot.unused)
    has = sorted(sector.name for sector in simulation.place.city.sectors)
    missing = [each for each in pilot.sectors if not sectors.named(each, has)]
    if missing:
        found.append(f"merchants.sectors: the town has no {', '.join(missing)}; it has {', '.join(has)}")
    if town.eligible_by_age(pilot, simulation.place.city) - pilot.eligible / pilot.population > ELIGIBLE_APART:
        found.append("people.eligible: fewer than by any age up to 21; a sample of all of that age is assumed")
    return found


def _outcomes(
    found: dict[str, list[dict[Key, float | None]]], by_seed: list[dict[Key, float | None]]
) -> list[dict[str, Any]]:
    rows = []
    for key in next(iter(found.values()))[0]:
        by_structure = {name: _known(each[key] for each in values) for name, values in found.items()}
        together = [value for values in by_structure.values() for value in values]
        rows.append(
            {
                "name": key.outcome,
                "date": key.date.isoformat() if key.date else None,
                "sector": key.sector,
                "quantiles": quantiles(together),
                "by_structure": {name: quantiles(values) for name, values in by_structure.items()},
                "by_seed": quantiles(_known(each[key] for each in by_seed)),
                "sample": [float(f"{value:.6g}") for value in together],
            }
        )
    return rows


def quantiles(values: Sequence[float]) -> dict[str, float] | None:
    """Return the quantiles of values by their percentage; None without values."""
    if not values:
        return None
    found = np.quantile(np.array(values, np.float64), [each / 100 for each in QUANTILES])
    return {str(each): float(f"{value:.6g}") for each, value in zip(QUANTILES, found.tolist(), strict=True)}


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def run_seed(seed: int, at: int) -> int:
    """Return the seed of one run: 63 bits of BLAKE3."""
    raw = blake3(f"sycee sandbox seed {seed} {at}".encode()).digest(8)
    return int.from_bytes(raw, "little") >> 1
