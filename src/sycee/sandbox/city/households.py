"""Households of one zone: persons with ages and sexes grouped into households of given sizes.

A household has a head of at least ADULT_AGE. Couples are a woman and a man of similar rank in age. Children go to
households whose woman, or head, has an age of PARENT_AGES if there are enough. Everybody else fills the remaining
places by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.sandbox.city.model import FEMALE, MALE, PPM
from sycee.sandbox.seeded_choices import Stream

ADULT_AGE: Final = 18
OWN_HOME_AGE: Final = 22  # younger adults head a household only if there are not enough older ones
PARENT_AGES: Final = (20, 58)
JITTER_YEARS: Final = 8  # range of the noise on an age before persons are matched by rank
_NOISE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Households:
    """Persons of a zone in the order of their households: places in the given arrays, and household numbers from 0."""

    order: Array  # (persons,) int64: a permutation
    household: Array  # (persons,) int64, ascending


def size_counts(persons: int, shares: Array) -> Array:
    """Return how many households of each size 1, 2, … hold exactly this number of persons: (sizes,) int64.

    shares: of households by size. Counts are exact shares rounded down; households are added by largest remainder while
    persons are left, and the last persons live alone.
    """
    sizes = np.arange(1, shares.size + 1, dtype=np.int64)
    exact = persons * shares / float(shares @ sizes)
    counts = np.floor(exact).astype(np.int64)
    left = persons - int(counts @ sizes)
    for place in np.argsort(-(exact - counts), kind="stable"):
        if sizes[place] <= left:
            counts[place] += 1
            left -= int(sizes[place])
    counts[0] += left
    return counts


def group(age: Array, sex: Array, sizes: Array, couples_ppm: int, stream: Stream, zone: str) -> Households:
    """Group the persons of a zone into `sizes[n - 1]` households of each size n; the sizes hold exactly all persons.

    Raises UsageError if there are fewer adults than households.
    """
    persons, count = age.size, int(sizes.sum())
    adult = age >= ADULT_AGE
    adults = int(adult.sum())
    if adults < count:
        raise UsageError(
            f"zone {zone} has {count:,} households, but only {adults:,} persons of at least {ADULT_AGE} outside of "
            "dormitories",
            hint="give fewer or larger households, or other weights of dormitories",
        )
    # Adults by chance, those below OWN_HOME_AGE last.
    key = stream.bits(f"{zone}: heads", persons) >> np.uint64(1)
    key = key | ((age < OWN_HOME_AGE).astype(np.uint64) << np.uint64(63))
    by_chance = np.argsort(key, kind="stable")
    by_chance = by_chance[adult[by_chance]]
    women, men = by_chance[sex[by_chance] == FEMALE], by_chance[sex[by_chance] == MALE]
    larger = int(sizes[1:].sum())
    couples = min(larger * couples_ppm // PPM, women.size, men.size, adults - count)
    women, men = (
        _by_age(women[:couples], age, stream, f"{zone}: women"),
        _by_age(men[:couples], age, stream, f"{zone}: men"),
    )
    is_used = np.zeros(persons, np.bool_)
    is_used[women] = True
    is_used[men] = True
    rest = by_chance[~is_used[by_chance]]
    heads, others = rest[: count - couples], rest[count - couples :]

    # Households of two and more persons that hold a couple, by chance.
    size = np.repeat(np.arange(1, sizes.size + 1), sizes)
    with_couple = np.zeros(count, np.bool_)
    if couples:
        several = count - larger + stream.order(f"{zone}: couples", larger)
        with_couple[several[:couples]] = True
    anchor = np.empty(count, np.int64)
    anchor[with_couple] = women
    anchor[~with_couple] = heads
    household = np.empty(persons, np.int64)
    household[anchor] = np.arange(count)
    household[men] = np.flatnonzero(with_couple)

    places = np.repeat(np.arange(count), size - 1 - with_couple)
    children = np.flatnonzero(~adult)
    first, last = PARENT_AGES
    anchor_age = age[anchor[places]].astype(np.int64)
    key = stream.bits(f"{zone}: children", places.size) >> np.uint64(1)
    key = key | (((anchor_age < first) | (anchor_age > last)).astype(np.uint64) << np.uint64(63))
    by_fitness = np.argsort(key, kind="stable")
    for_children, free = by_fitness[: children.size], by_fitness[children.size :]
    for_children = for_children[_rank_by_age(anchor_age[for_children], stream, f"{zone}: parents")]
    household[_by_age(children, age, stream, f"{zone}: ages of children")] = places[for_children]
    household[others] = places[free]
    order = np.argsort(household, kind="stable")
    return Households(order, household[order])


def _by_age(rows: Array, age: Array, stream: Stream, purpose: str) -> Array:
    """Return rows in the order of their ages with noise."""
    return rows[_rank_by_age(age[rows].astype(np.int64), stream, purpose)]


def _rank_by_age(age: Array, stream: Stream, purpose: str) -> Array:
    noise = stream.below(purpose, age.size, JITTER_YEARS * _NOISE)
    return np.argsort(age * _NOISE + noise, kind="stable")
