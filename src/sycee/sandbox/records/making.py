"""Results made from the arguments of their records, so that a command and its verification run the same code."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sycee
from sycee.core.errors import UsageError
from sycee.programmes import definition
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.behaviour import variants
from sycee.sandbox.city.model import City
from sycee.sandbox.engine.outcome import RunOutcome
from sycee.sandbox.experiments import comparing, sensitivity
from sycee.sandbox.experiments.candidates import Trial, check_files
from sycee.sandbox.inference import fitting, posterior, provenance
from sycee.sandbox.inference.fitting import Case, Fitted
from sycee.sandbox.pilots import description, published
from sycee.sandbox.records import inputs as roles
from sycee.sandbox.records import record
from sycee.sandbox.records.inputs import Bars, Inputs
from sycee.sandbox.validity import predicting, scoring
from sycee.sandbox.validity.scoring import Scores

FIT_CODE: Final = predicting.CODE
RUN_FORMAT: Final = "sycee-sandbox-run-1"  # as in `ledger_run.record`, which needs the extra of a bank
RUN_CODE: Final = predicting.RUN_CODE
REFUNDS: Final = "refund_share"  # the parameter that an argument of a run replaces
SCORES_FORMAT: Final = "sycee-scores-1"
SCORES_CODE: Final = ("sandbox/pilots", "sandbox/validity", "data/sector-names")

Arguments = Mapping[str, Any]


def comparison(arguments: Arguments, inputs: Inputs, bars: Bars) -> dict[str, Any]:
    """Return the record of a comparison of designs.

    Raises UsageError for impossible arguments, DocumentError for an error in a file.
    """
    sensitivity.require_samples(arguments["sobol"])
    base = inputs.source(roles.PROGRAMME, arguments["base"])
    files = [inputs.path(roles.VARIANT, each) for each in arguments["variants"]]
    grid = inputs.path(roles.GRID, arguments["grid"]) if arguments["grid"] else None
    check_files(base, files, grid)  # before a city is built
    parameters = _posterior(arguments, inputs)
    people = arguments["people"]
    trial = Trial.of(inputs.city(arguments["city"], people, bars), people)
    candidates = trial.candidates(base, files, grid)
    steps = trial.steps(base, files) if arguments["attribution"] else {}
    with bars(f"comparing {len(candidates)} designs", "runs") as report:
        found = comparing.compare(
            trial,
            candidates,
            parameters,
            draws=arguments["draws"],
            seeds=arguments["seeds"],
            seed=arguments["seed"],
            steps=steps,
            samples=arguments["sobol"],
            progress=report,
        )
    return record.finished(found, arguments, inputs.read)


def prediction(arguments: Arguments, inputs: Inputs, bars: Bars) -> dict[str, Any]:
    """Return the record of a prediction. Errors as `comparison`."""
    pilot = description.load(inputs.source(roles.PILOT, arguments["pilot"]))
    parameters = _posterior(arguments, inputs)
    with bars(f"predicting {pilot.name}", "runs") as report:
        found = predicting.predict(
            pilot,
            parameters,
            draws=arguments["draws"],
            seed=arguments["seed"],
            people=arguments["people"],
            progress=report,
        )
    return record.finished(found, arguments, inputs.read)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fit: its record, its particles, and the pilots it was made from."""

    record: dict[str, Any]
    found: tuple[Fitted, ...]
    cases: tuple[Case, ...]


def fit(arguments: Arguments, inputs: Inputs, bars: Bars) -> Fit:
    """Fit behaviour to published results of pilots, for each structure of behaviour: those named, or all shipped.

    Errors as `comparison`, and UsageError for an unknown structure.
    """
    inputs.source(roles.BEHAVIOUR, behaviour.STANDARD)
    structures = [variants.named(each).name for each in arguments["structures"]] or list(variants.SHIPPED)
    twice = next((each for each in structures if structures.count(each) > 1), None)
    if twice is not None:
        raise UsageError(f"the structure {twice!r} is named twice", hint="name each --structure once")
    pairs = fitting.pairs(arguments["pilots"], arguments["leave_out"])
    files = [(inputs.source(roles.PILOT, one), inputs.source(roles.RESULTS, other)) for one, other in pairs]
    few = {name: arguments[name] for name in ("particles", "generations", "people", "seed")}
    cases = fitting.cases_of(files, few["seed"])
    with bars("fitting", "simulations") as report:
        found = fitting.fit(cases, structures, **few, progress=report)
    made = provenance.record(cases, found, code=predicting.code_digest(FIT_CODE), arguments=few)
    made["columns"] = posterior.columns_digest(fitting.together(found))
    return Fit(record.finished(made, arguments, inputs.read), found, cases)


def _posterior(arguments: Arguments, inputs: Inputs) -> posterior.Posterior:
    """Return the draws of parameters, and note the digests of their files."""
    inputs.source(roles.BEHAVIOUR, behaviour.STANDARD)
    if arguments["prior"]:
        return posterior.prior()
    return posterior.load(inputs.source(roles.POSTERIOR, arguments["posterior"] or posterior.STANDARD))


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """A run: its record, and what its page draws."""

    record: dict[str, Any]
    outcome: RunOutcome
    city: City


def run(arguments: Arguments, inputs: Inputs, bars: Bars, ledger: Path | None = None) -> Ran:
    """Run a programme by the engine, and on a ledger in the folder `ledger` if there is one. Errors as `comparison`."""
    from sycee.sandbox.ledger_run import record as run_records
    from sycee.sandbox.ledger_run import run as runs

    programme = definition.load(inputs.source(roles.PROGRAMME, arguments["programme"]))
    refunds = arguments["refunds"]
    inputs.source(roles.BEHAVIOUR, behaviour.STANDARD)
    case = runs.prepare(
        programme,
        inputs.city_in(arguments["city"]),
        behaviour.standard().of({} if refunds is None else {REFUNDS: refunds}),
        seed=arguments["seed"],
        variant=arguments["variant"],
        days=arguments["days"],
        with_ordinary=arguments["ordinary"],
    )
    found = None
    if ledger is None:
        recipients = runs.choose(case)
        with bars(f"{programme.name} by the engine", "persons") as report:
            outcome = runs.alone(case, recipients, report)
    else:
        with runs.opened(case, ledger) as begun:
            recipients = begun.recipients
            with bars(f"{programme.name} by the engine", "persons") as report:
                outcome = runs.alone(case, recipients, report)
            with bars(f"{programme.name} on a ledger", "days") as report:
                found = runs.on_ledger(case, begun, report)
    made = run_records.make(case, recipients, outcome, found) | {"code": predicting.code_digest(RUN_CODE)}
    return Ran(record.finished(made, arguments, inputs.read), outcome, case.place.city)


def run_again(arguments: Arguments, inputs: Inputs, bars: Bars) -> dict[str, Any]:
    """Return the record of a run that is made a second time, on a new ledger if the first one had one."""
    if not arguments["ledger"]:
        return run(arguments, inputs, bars).record
    with tempfile.TemporaryDirectory() as folder:
        return run(arguments, inputs, bars, Path(folder, "ledger")).record


def scores(arguments: Arguments, inputs: Inputs) -> tuple[dict[str, Any], Scores, list[dict[str, Any]]]:
    """Return the record of scores, the scores and the predictions. Errors as `comparison`."""
    names = arguments["files"]
    pairs = list(zip(names[::2], names[1::2], strict=True))
    twice = next((pair for pair in pairs if pairs.count(pair) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice[0]} and {twice[1]} are named twice", hint="name each prediction and its results once")
    predictions = [scoring.read(inputs.path(roles.PREDICTION, each)) for each in names[::2]]
    results = [published.load(inputs.source(roles.RESULTS, each)) for each in names[1::2]]
    found = scoring.together(scoring.score(one, each) for one, each in zip(predictions, results, strict=True))
    made = {
        "format": SCORES_FORMAT,
        "release": sycee.__version__,
        "code": predicting.code_digest(SCORES_CODE),
    } | found.as_json()
    return record.finished(made, arguments, inputs.read), found, predictions
