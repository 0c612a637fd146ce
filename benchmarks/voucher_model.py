"""A voucher model that the engine and its peers both run: one part of the rule of decisions, with the same draws.

Everybody with a wallet has a packet, and every shop accepts it. On a day a person goes out or stays at home, claims
the packet, pays back what was brought forward before, and pays the purchase from the packet or not: with the size of
the purchase or of the packet, with own money or without, of which a part is substituted, brought forward and new. On
the last day the rest returns. Not in it: special trips, thresholds, coupons, decay, refunds, and shops outside of the
town. The engine also chooses zone, sector and shop of each purchase, which no total here depends on: the peers do less.

Peers have what depends on the person alone as attributes, and the draws of a day as arrays. Both are computed before
the timed part, so they have no hash to compute: the engine computes its draws in the timed part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour import draws, parameters, variants
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import setting as settings
from sycee.sandbox.behaviour.design import UNIVERSAL, Design
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.behaviour.setting import Setting
from sycee.sandbox.city import definition
from sycee.sandbox.city.build import build
from sycee.sandbox.engine.outcome import RunOutcome
from sycee.sandbox.engine.run import Place, prepare, run

CITY: Final = "market-town"
SEED: Final = 7
DAYS: Final = 20
WINDOW: Final = 14
AMOUNT: Final = 20_000  # minor units
# Without special trips, shops outside of the town, and refunds.
ABSENT: Final = ("start_hazard", "base_hazard", "end_hazard", "outside_share", "refund_share")
TOTALS: Final = (
    *("planned", "claims", "payments", "label", "own", "substituted", "forward", "new", "paid_back", "returned"),
)
_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The town, its programme, and the setting that decisions read."""

    place: Place
    design: Design
    parameters: Parameters
    setting: Setting

    def engine(self, persons: int) -> RunOutcome:
        """Return what the engine computes for this number of persons."""
        return run(self.place, self.design, self.parameters, seed=SEED, days=DAYS, people=persons)


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """What does not change of each person: (persons,) int64, or bool."""

    month: Array
    liquid: Array
    member: Array  # has a packet
    willing: Array  # will ever claim
    never: Array  # claims, and never pays with it
    propensity: Array  # parts per million


@dataclass(frozen=True, slots=True, eq=False)
class Day:
    """A day: its rules, and the draws of all persons, each from 0 to 999,999."""

    out: int
    claims: bool
    claim: int
    open: bool
    use: int
    ends: bool
    went_out: Array
    basket: Array  # multiplier of a month's purchases, times 2 ** BASKET_BITS
    claimed: Array
    used: Array
    beside: Array
    cleared: Array
    size: Array


def model() -> Model:
    """Return the model in the neutral town."""
    town = build(definition.load(CITY), seed=2020, one_in=10)
    design = Design(how=UNIVERSAL, amount=AMOUNT, claim_until=WINDOW - 1, spend_until=WINDOW - 1)
    chosen = parameters.standard().of(dict.fromkeys(ABSENT, 0.0))
    place = prepare(town, design.shops)
    return Model(place, design, chosen, settings.make(design, chosen, variants.LIQUID_WEALTH, place.market, DAYS))


def persons_of(made: Model, count: int) -> Persons:
    """Return the attributes of the first persons, as the rule of decisions computes them."""
    people, rules = made.place.people, made.setting.rules
    row = np.arange(count) % len(people)
    flags = people.flags(made.design)[row]
    slow = flags & (c.OLD | c.DISABLED) != 0
    willing = np.where(slow, rules[c.R_CLAIM] * rules[c.R_CLAIM_OLD] // c.PPM, rules[c.R_CLAIM])
    decile = people.deciles[row].astype(np.int64)
    share = made.setting.propensity[(decile >> 4) * c.DECILES + (decile & 15)]
    key = _keys(count)
    centred = 2 * _shares(_once(key, c.SPREAD)) - (c.PPM - 1)
    moved = np.clip(share + rules[c.R_SPREAD] * centred // c.PPM, 0, c.MPC_MAX)
    return Persons(
        month=people.month[row],
        liquid=people.liquid[row],
        member=flags & c.ELIGIBLE != 0,
        willing=_shares(_once(key, c.WILLING)) < willing,
        never=_shares(_once(key, c.NEVER)) < rules[c.R_NEVER],
        propensity=np.where(share > 0, moved, 0),
    )


def days_of(made: Model, count: int) -> Iterator[Day]:
    """Yield each day with the draws of the first persons."""
    key, setting = _keys(count), made.setting
    for number in range(DAYS):
        row = setting.day(number)
        bits = {stream: _of_day(key, number, stream) for stream in _STREAMS}
        yield Day(
            out=row[c.DAY_OUT],
            claims=bool(row[c.DAY_CLAIMS]),
            claim=row[c.DAY_CLAIM_HAZARD],
            open=bool(row[c.DAY_OPEN]),
            use=row[c.DAY_USE],
            ends=bool(row[c.DAY_ENDS]),
            went_out=_shares(bits[c.OUT]),
            basket=setting.baskets[(bits[c.BASKET] >> np.uint64(54)).astype(np.int64)],
            claimed=_shares(bits[c.CLAIM]),
            used=_shares(bits[c.USE]),
            beside=_shares(bits[c.BESIDE]),
            cleared=_shares(bits[c.CLEAR]),
            size=_shares(bits[c.BESIDE_SIZE]),
        )


_STREAMS: Final = (c.OUT, c.BASKET, c.CLAIM, c.USE, c.BESIDE, c.CLEAR, c.BESIDE_SIZE)


def totals_of(outcome: RunOutcome) -> Array:
    """Return the totals of each day: [days, TOTALS] int64."""
    flows = {name: outcome.flow(name) for name in ("claims", "returned")}
    known = flows | {"planned": outcome.cell_base.sum(axis=1)}
    return np.stack([known[name] if name in known else outcome.effect(name) for name in TOTALS], axis=1)


def _keys(count: int) -> Array:
    with np.errstate(over="ignore"):
        return draws.mixed(
            np.uint64(draws.seed_key(SEED)) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(c.GOLDEN)
        )


def _once(key: Array, stream: int) -> Array:
    return _of_day(key, c.STATIC, stream)


def _of_day(key: Array, day: int, stream: int) -> Array:
    """Return `Draws.bits` of many persons: (n,) uint64."""
    with np.errstate(over="ignore"):
        return draws.mixed(key ^ np.uint64(((day + 1) * c.STREAMS + stream + 1) * c.ODD & _MASK))


def _shares(bits: Array) -> Array:
    """Return `share_of` of many draws: (n,) int64."""
    return ((bits >> np.uint64(32)) * np.uint64(c.PPM) >> np.uint64(32)).astype(np.int64)
