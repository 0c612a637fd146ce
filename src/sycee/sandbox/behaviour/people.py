"""The persons of a city as decisions read them: what each buys in a month, deciles, and who is eligible.

A household shares its income and its liquid wealth equally, children included. Deciles are of that baseline income;
equal incomes are in one decile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour.design import APP, CASH, HOUSEHOLD, Design
from sycee.sandbox.city.model import NO_WALLET, City

OLD_AGE: Final = 60
EXACT: Final = 720_720  # divisible by the size of every household up to 16


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Columns of shape (persons,). `month` and `liquid` are minor units of a person, as the household shares them."""

    zone: Array  # uint16
    works_in: Array  # uint16
    month: Array  # int64
    liquid: Array  # int64
    deciles: Array  # uint8: decile of income * 16 + decile of liquid wealth
    age: Array  # uint8
    has_wallet: Array  # bool
    disabled: Array  # bool
    is_head: Array  # bool: the first person of a household
    household_size: Array  # uint8, at most 255

    def __len__(self) -> int:
        return int(self.zone.size)

    def flags(self, design: Design) -> Array:
        """Return the bits of layout.FLAGS under a design: (persons,) uint8."""
        eligible = self.age >= design.age_min
        if design.kind != CASH and design.channel == APP:
            eligible = eligible & self.has_wallet
        if design.unit == HOUSEHOLD:
            eligible = eligible & self.is_head
        found: Array = (
            eligible * np.uint8(c.ELIGIBLE)
            + (self.age >= OLD_AGE) * np.uint8(c.OLD)
            + self.disabled * np.uint8(c.DISABLED)
            + self.is_head * np.uint8(c.HEAD)
        ).astype(np.uint8)
        return found


def of_city(city: City) -> People:
    """Return the persons of a city."""
    persons = city.persons
    first = np.ones(len(persons), np.bool_)
    first[1:] = persons.household[1:] != persons.household[:-1]
    starts = np.flatnonzero(first)
    sizes = np.diff(np.append(starts, len(persons)))
    income, liquid = _sums(persons.income_month, starts), _sums(persons.liquid, starts)
    in_shops = city.consumption_ppm * sum(sector.basket_ppm for sector in city.sectors) // c.PPM
    # One division each: a city with twice the money then has exactly twice the purchases, and the same deciles.
    month = income * in_shops // (sizes * c.PPM)
    ranks = deciles(np.repeat(income * EXACT // sizes, sizes)) * 16 + deciles(np.repeat(liquid * EXACT // sizes, sizes))
    return People(
        zone=persons.zone,
        works_in=persons.works_in,
        month=np.repeat(month, sizes),
        liquid=np.repeat(liquid // sizes, sizes),
        deciles=ranks.astype(np.uint8),
        age=persons.age,
        has_wallet=persons.wallet != NO_WALLET,
        disabled=persons.disability,
        is_head=first,
        household_size=np.repeat(np.minimum(sizes, 255).astype(np.uint8), sizes),
    )


def deciles(values: Array) -> Array:
    """Return the decile of each value, from 0 to 9: (n,) int64. Equal values are together, by their middle rank."""
    if not values.size:
        return np.zeros(0, np.int64)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    below = np.cumsum(counts) - counts
    twice = 2 * below + counts  # twice the middle rank
    found: Array = (twice * c.DECILES // (2 * values.size))[inverse]
    return np.minimum(found, c.DECILES - 1)


def _sums(amounts: Array, starts: Array) -> Array:
    """Return the sum of each household: (households,) int64."""
    if not amounts.size:
        return np.zeros(0, np.int64)
    found: Array = np.add.reduceat(amounts, starts)
    return found
