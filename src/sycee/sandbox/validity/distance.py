"""How far a design is from the pilots that the parameters were fitted on.

Behaviour that was seen in one kind of programme may not hold in another (Lucas 1976). Each feature is compared with the
fitted pilots: 0 inside their range, and outside of it the distance to the nearer end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

from sycee.sandbox.pilots.description import Description
from sycee.sandbox.pilots.features import KINDS, NUMBERS, Features, features


@dataclass(frozen=True, slots=True)
class Distance:
    """The distance of one feature. For numbers it is a natural logarithm: 0.69 is twice the nearer end."""

    feature: str
    value: float | str
    low: float | str
    high: float | str
    distance: float


def distances(pilot: Description, fitted: Sequence[Features]) -> tuple[Distance, ...]:
    """Return the distance of each feature of a pilot from those of the fitted ones, the largest first."""
    own = features(pilot)
    found = []
    for name in NUMBERS:
        value, known = float(own[name]), [float(each[name]) for each in fitted]
        low, high = min(known), max(known)
        outside = max(log(low / value), log(value / high), 0.0)
        found.append(Distance(name, value, low, high, outside))
    for name in KINDS:
        words = sorted({str(each[name]) for each in fitted})
        found.append(Distance(name, own[name], ", ".join(words), "", 0.0 if own[name] in words else 1.0))
    return tuple(sorted(found, key=lambda each: -each.distance))
