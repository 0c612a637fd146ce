"""Structures of behaviour: assumptions, which data do not decide, about who spends more and when money is used.

A structure turns parameters and a design into tables of integers, which the rule of decisions reads. So a structure is
replaced without a change of the rule: `register` adds one under its name, and `named` finds it. Structures of a run are
named in its record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sycee.core import typos
from sycee.core.errors import UsageError
from sycee.sandbox.behaviour.design import CASH, NEVER, Design
from sycee.sandbox.behaviour.layout import DECILES, MPC_MAX, PPM
from sycee.sandbox.behaviour.parameters import Parameters

THREE_WEEKS: Final = 21  # the window of the experiment that measured `mpc_expiry`
LONGEST: Final = 61  # the longest window of Shu and Gneezy; money without a deadline is delayed as with this window
TENTH: Final = 100_000  # the weekly loss of the experiment that measured `mpc_decay`

# (parameters, design, decile of income, decile of liquid wealth from 0) -> parts per million
Propensity = Callable[[Parameters, Design, int, int], int]
# (parameters, design, days) -> parts per million
Hazard = Callable[[Parameters, Design, int], int]


@dataclass(frozen=True, slots=True)
class Variant:
    """A structure of behaviour."""

    name: str
    title: str
    propensity: Propensity  # new spending per unit of the grant
    start: Hazard  # special trips by days since the claim
    end: Hazard  # special trips by days to the deadline that is known, 0 on the last
    planned: Hazard  # planned purchases paid by the purse, by days to the deadline
    habit: Callable[[Parameters], int]  # addition to `planned` after a first payment


_VARIANTS: Final[dict[str, Variant]] = {}


def register(variant: Variant) -> Variant:
    """Add a variant under its name. Raises UsageError if the name is taken."""
    if variant.name in _VARIANTS:
        raise UsageError(f"there is a structure {variant.name!r} already", hint="choose another name")
    _VARIANTS[variant.name] = variant
    return variant


def names() -> tuple[str, ...]:
    """Return the names of all variants, those shipped first."""
    return tuple(_VARIANTS)


def named(name: str) -> Variant:
    """Return a variant. Raises UsageError for an unknown name, with the nearest one."""
    typos.require(name, _VARIANTS, f"there is no structure {name!r}", f"structures: {', '.join(_VARIANTS)}")
    return _VARIANTS[name]


def flat(parameters: Parameters, design: Design) -> int:
    """Return the new spending per unit of this design, the same for all persons, before any gradient."""
    share = parameters["mpc_cash"]
    if design.kind != CASH:
        if design.spend_until < NEVER:
            fade = parameters["mpc_expiry_fade"]  # thousandths of a day
            beyond = max(design.window_days - THREE_WEEKS, 0) * 1_000
            share += parameters["mpc_expiry"] * fade // (fade + beyond) if fade + beyond else 0
        share += parameters["mpc_decay"] * min(design.decay_week, 3 * TENTH) // TENTH
    return share


def clipped(share: int, design: Design) -> int:
    """Return a share within its bounds, of the part of the amount that the recipient does not pay for."""
    amount = design.amount_largest
    given = max(amount - design.price, 0) * PPM // amount if amount else PPM
    return min(max(share, 0), MPC_MAX) * given // PPM


def gradient(slope: int, decile: int) -> int:
    """Return the addition of a decile: from -slope / 2 in decile 0 to +slope / 2 in decile 9."""
    return slope * (2 * decile - (DECILES - 1)) // (2 * (DECILES - 1))


def faded(start: int, fade: int, days: int) -> int:
    """Return `start` multiplied `days` times by `fade`."""
    values = _fading(start, fade)
    return values[min(days, len(values) - 1)]


@lru_cache(maxsize=256)
def _fading(start: int, fade: int) -> tuple[int, ...]:
    """Return the faded values of all days, to the first 0."""
    values = [start]
    while values[-1] and len(values) <= NEVER:
        values.append(values[-1] * fade // PPM)
    return tuple(values)


def _by_liquid_wealth(parameters: Parameters, design: Design, income: int, liquid: int) -> int:
    return clipped(flat(parameters, design) - gradient(parameters["mpc_liquid_slope"], liquid), design)


def _by_income(parameters: Parameters, design: Design, income: int, liquid: int) -> int:
    return clipped(flat(parameters, design) + gradient(parameters["mpc_income_slope"], income), design)


def _equal(parameters: Parameters, design: Design, income: int, liquid: int) -> int:
    return clipped(flat(parameters, design), design)


def _start(parameters: Parameters, design: Design, days: int) -> int:
    return faded(parameters["start_hazard"], parameters["start_fade"], days) + parameters["base_hazard"]


def _end(parameters: Parameters, design: Design, days: int) -> int:
    return faded(parameters["end_hazard"], parameters["end_fade"], days)


def _planned(parameters: Parameters, design: Design, days: int) -> int:
    return min(parameters["use_share"] + _end(parameters, design, days), PPM)


def _forgotten(parameters: Parameters, design: Design, share: int) -> int:
    """Return a share reduced for a long window: people delay purchases that are not urgent."""
    salience, window = parameters["salience_days"], min(design.window_days, LONGEST) * 1_000
    return share * min(salience, window) // window


def _start_with_deadline(parameters: Parameters, design: Design, days: int) -> int:
    return _forgotten(parameters, design, _start(parameters, design, days))


def _end_with_deadline(parameters: Parameters, design: Design, days: int) -> int:
    """Return special trips before the deadline: after a longer delay, fewer persons remember the money."""
    end = _end(parameters, design, days)
    return (end + _forgotten(parameters, design, end)) // 2


def _planned_with_deadline(parameters: Parameters, design: Design, days: int) -> int:
    use = _forgotten(parameters, design, parameters["use_share"])
    return min(use + _end_with_deadline(parameters, design, days), PPM)


def _start_of_habit(parameters: Parameters, design: Design, days: int) -> int:
    """Return special trips: few, because the purse is used where people shop anyway."""
    return _start(parameters, design, days) // 4


def _no_habit(parameters: Parameters) -> int:
    return 0


def _habit(parameters: Parameters) -> int:
    return parameters["habit_boost"]


LIQUID_WEALTH: Final = register(
    Variant(
        "liquid-wealth",
        "persons with less liquid wealth spend more; use is high at the start and at the end",
        _by_liquid_wealth,
        _start,
        _end,
        _planned,
        _no_habit,
    )
)
INCOME: Final = register(
    Variant(
        "income",
        "persons with more income spend more; use is high at the start and at the end",
        _by_income,
        _start,
        _end,
        _planned,
        _no_habit,
    )
)
DEADLINE: Final = register(
    Variant(
        "deadline",
        "all persons spend alike; with a long window, spending is delayed and partly forgotten",
        _equal,
        _start_with_deadline,
        _end_with_deadline,
        _planned_with_deadline,
        _no_habit,
    )
)
HABIT: Final = register(
    Variant(
        "habit",
        "all persons spend alike; the purse pays planned purchases, more often after the first",
        _equal,
        _start_of_habit,
        _end,
        _planned,
        _habit,
    )
)
SHIPPED: Final = names()  # those above; `names` has registered ones too
