"""How far a design is from the pilots that the parameters were fitted on.

Behaviour that was seen in one kind of programme may not hold in another (Lucas 1976). Each feature is compared with the
fitted pilots: 0 inside their range, and outside of it the distance to the nearer end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from types import MappingProxyType
from typing import Final

from sycee.sandbox.behaviour import design as designs
from sycee.sandbox.pilots.description import Description


@dataclass(frozen=True, slots=True)
class Distance:
    """The distance of one feature. For numbers it is a natural logarithm: 0.69 is twice the nearer end."""

    feature: str
    value: float | str
    low: float | str
    high: float | str
    distance: float


def distances(pilot: Description, fitted: Sequence[Description]) -> tuple[Distance, ...]:
    """Return the distance of each feature of a pilot from the fitted ones, the largest first."""
    found = []
    for name, number in _NUMBERS.items():
        value, known = number(pilot), [number(each) for each in fitted]
        low, high = min(known), max(known)
        outside = max(log(low / value), log(value / high), 0.0)
        found.append(Distance(name, value, low, high, outside))
    for name, kind in _KINDS.items():
        word, words = kind(pilot), sorted({kind(each) for each in fitted})
        found.append(Distance(name, word, ", ".join(words), "", 0.0 if word in words else 1.0))
    return tuple(sorted(found, key=lambda each: -each.distance))


def _window(pilot: Description) -> float:
    return float(min(pilot.design.window_days, 365))


_NUMBERS: Final[Mapping[str, Callable[[Description], float]]] = MappingProxyType(
    {
        "amount, in days of consumption": lambda pilot: 30 * pilot.design.amount / pilot.consumption_month,
        "days of the window": _window,
        "threshold, in amounts": lambda pilot: max(pilot.design.payment_min / pilot.design.amount, 0.01),
        "share of people who receive": lambda pilot: pilot.design.recipients / pilot.population,
    }
)
_KINDS: Final[Mapping[str, Callable[[Description], str]]] = MappingProxyType(
    {
        "kind of money": lambda pilot: pilot.design.kind,
        "channel": lambda pilot: pilot.design.channel,
        "unit": lambda pilot: pilot.design.unit,
        "used without choosing": lambda pilot: "yes" if pilot.design.automatic else "no",
        "loses value": lambda pilot: "yes" if pilot.design.decay_week else "no",
        "what the recipient pays": lambda pilot: "something" if pilot.design.price else "nothing",
        "deadline": lambda pilot: "none" if pilot.design.spend_until >= designs.NEVER else "some",
    }
)
