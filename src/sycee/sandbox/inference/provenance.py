"""Inputs of a posterior, as its file stores them: pilots, priors, code and arguments; and which changed since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import sycee
from sycee import data
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.inference.fitting import Case, Fitted
from sycee.sandbox.inference.posterior import Posterior
from sycee.sandbox.pilots import description, published
from sycee.sandbox.pilots.features import features

FORMAT: Final = "sycee-posterior-1"


def record(
    cases: Sequence[Case], found: Sequence[Fitted], *, code: str, arguments: Mapping[str, int]
) -> dict[str, Any]:
    """Return the record of a fit as a JSON object. code: BLAKE3-256 of the packages that a fit follows from."""
    return {
        "format": FORMAT,
        "release": sycee.__version__,
        "code": code,
        "priors": behaviour.standard().digest(),
        "arguments": dict(arguments),
        "variants": [
            {
                "name": each.variant,
                "simulations": each.simulations,
                "distance": each.distance,
                "effective": each.effective,
            }
            for each in found
        ],
        "pilots": [
            {
                "name": each.description.name,
                "file": each.description.digest,
                "results": each.published.digest,
                "features": features(each.description),
            }
            for each in cases
        ],
    }


def older(posterior: Posterior) -> tuple[str, ...]:
    """Return in words which priors and shipped pilots of a posterior differ from those of this release; () for none.

    Pilots that are not shipped are not compared. For the priors alone, the result is ().
    """
    if not posterior.names:
        return ()
    if not posterior.record:
        return (f"{posterior.source} does not say what it was fitted on",)
    found = []
    if posterior.record["priors"] != behaviour.standard().digest():
        found.append(f"{posterior.source} was fitted with other priors than this release has")
    shipped = data.names(description.FOLDER)
    for pilot in posterior.record["pilots"]:
        name = pilot["name"]
        if name in shipped and [pilot["file"], pilot["results"]] != [
            description.load(name).digest,
            published.load(name).digest,
        ]:
            found.append(f"{posterior.source} was fitted to another version of the pilot {name}")
    return tuple(found)
