"""Leave one programme out: fit without it, predict it, and score the prediction against its published results.

Groups of one trial have one `source`; they are left out together, since each has information about the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import sycee
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.inference import fitting, provenance
from sycee.sandbox.inference.fitting import Case
from sycee.sandbox.validity import scoring
from sycee.sandbox.validity.predicting import code_digest, predict

FORMAT: Final = "sycee-leave-one-out-1"
KEPT: Final = ("pilot", "title", "currency", "file", "absent", "not_used", "distance", "draws", "people", "seed")

Progress = Callable[[str, int, int], None]  # (programme that is left out, done, total)


def programmes(cases: Sequence[Case]) -> list[str]:
    """Return the programmes of cases; `without` can omit each of them."""
    return list(dict.fromkeys(case.programme for case in cases))


def together(rows: Sequence[dict[str, Any]], arguments: dict[str, int]) -> dict[str, Any]:
    """Return the JSON object of the pilots' rows, which `without` returned for these arguments."""
    return {
        "format": FORMAT,
        "release": sycee.__version__,
        "code": code_digest(),
        "priors": behaviour.standard().digest(),
        "arguments": arguments,
        "pilots": list(rows),
    }


def without(
    programme: str,
    cases: Sequence[Case],
    structures: Sequence[str],
    *,
    particles: int,
    generations: int,
    people: int,
    draws: int,
    people_of_prediction: int,
    seed: int = 1,
    progress: Progress = lambda programme, done, total: None,
) -> list[dict[str, Any]]:
    """Return predictions and scores of the pilots of one programme, by a fit to all others.

    Equal arguments give equal rows.
    """
    kept = [case for case in cases if case.programme != programme]
    left = [case for case in cases if case.programme == programme]

    def report(done: int, total: int) -> None:
        progress(left[0].description.name, done, total)

    found = fitting.fit(
        kept, structures, particles=particles, generations=generations, people=people, seed=seed, progress=report
    )
    record = provenance.record(kept, found, code="", arguments={})
    posterior = fitting.together(found, record)
    rows = []
    for case in left:
        prediction = predict(case.description, posterior, draws=draws, seed=seed, people=people_of_prediction)
        scores = scoring.score(prediction, case.published)
        rows.append(
            {key: prediction[key] for key in KEPT}
            | {"results": case.published.digest, "fit": record["variants"], "scored": scores.as_json()}
        )
    return rows
