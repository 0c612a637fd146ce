"""Features of a design that decide whether behaviour seen in other pilots may hold in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from sycee.sandbox.behaviour import design as designs
from sycee.sandbox.pilots.description import Description

Features = Mapping[str, float | str]


def features(pilot: Description) -> dict[str, float | str]:
    """Return the features of a pilot by name: numbers above 0, and kinds in words."""
    numbers: dict[str, float | str] = {name: number(pilot) for name, number in NUMBERS.items()}
    return numbers | {name: kind(pilot) for name, kind in KINDS.items()}


def _window(pilot: Description) -> float:
    return float(min(pilot.design.window_days, 365))


NUMBERS: Final[Mapping[str, Callable[[Description], float]]] = MappingProxyType(
    {
        "amount, in days of consumption": lambda pilot: 30 * pilot.design.amount / pilot.consumption_month,
        "days of the window": _window,
        "threshold, in amounts": lambda pilot: max(pilot.design.payment_min / pilot.design.amount, 0.01),
        "share of people who receive": lambda pilot: pilot.design.recipients / pilot.population,
    }
)
KINDS: Final[Mapping[str, Callable[[Description], str]]] = MappingProxyType(
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
