"""The synthetic city of a pilot: a shipped neutral town, changed to the pilot's incomes, ages, wallets and shops.

A description gives totals of one place and no marginals, so the shape of the town (households, distances, sizes of
shops) is the neutral town's. Facts that a description omits are drawn from ABSENT, anew for each simulation; so are the
sectors' shares of the basket, which no description gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise
from math import exp
from statistics import NormalDist
from types import MappingProxyType
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.behaviour import market as markets
from sycee.sandbox.behaviour import parameters as behaviour
from sycee.sandbox.behaviour.design import APP, UNIVERSAL, Design, Shops
from sycee.sandbox.behaviour.layout import PPM
from sycee.sandbox.behaviour.parameters import BASKET_SPREAD, LOGNORMAL, UNIFORM, Prior
from sycee.sandbox.behaviour.people import OLD_AGE
from sycee.sandbox.city import definition
from sycee.sandbox.city.build import build
from sycee.sandbox.city.model import NO_WALLET, PHONE_WALLET, City, Persons, Sector
from sycee.sandbox.engine.run import Place, prepare
from sycee.sandbox.pilots import sectors
from sycee.sandbox.pilots.description import Description

TOWN: Final = "market-town"
TOWN_SEED: Final = 2020
ONE_IN: Final = 10
PERSONS_PER_SHOP: Final = 35  # assumed, to turn a number of merchants into a share of all shops
# Bounds of yearly turnovers between sizes of shops, in months of consumption per head: equal sizes in all currencies.
TURNOVERS: Final = (30, 100, 300, 1_000, 3_000, 10_000, 30_000)
AGE_MIN_MAX: Final = 21  # a smaller eligible share than the town's share of this age is not explained by ages

# Assumed ranges of facts that a description may omit.
INCOME_OF_CONSUMPTION: Final = "people.income_month_median"
AGE_60: Final = "people.age_60_share"
WALLET: Final = "people.wallet_share"
RETAIL: Final = "merchants.share_of_retail"
ABSENT: Final = MappingProxyType(
    {
        INCOME_OF_CONSUMPTION: Prior(LOGNORMAL, 0.9, 2.5, 1.4, 0.2),  # median income ÷ mean consumption, both per head
        AGE_60: Prior(UNIFORM, 0.05, 0.28),
        WALLET: Prior(UNIFORM, 0.6, 0.98),
        RETAIL: Prior(UNIFORM, 0.15, 0.95),
    }
)
# Of online shops, where they accept and no share of retail is known: a count of merchants has few of them, and large
# ones (Suzhou 2020: 10,368 merchants and one platform, with about 45 % of the value).
ONLINE: Final = Prior(UNIFORM, 0.2, 1.0)
SHOPS_OF_COUNT: Final = Prior(LOGNORMAL, 0.2, 5.0, 1.0, 0.6)  # around count × PERSONS_PER_SHOP ÷ population


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of a pilot with nothing omitted, each share in parts per million."""

    income_of_consumption_ppm: int
    age_60_ppm: int
    wallet_ppm: int
    shops_ppm: int
    online_ppm: int | None = None  # of online shops that accept; None: as of all shops
    basket: tuple[float, ...] = ()  # factor of each sector's share of the neutral basket; () for 1


def width() -> int:
    """Return how many numbers `facts` takes: of ABSENT, of the basket's spread, of each sector, of online shops."""
    return len(ABSENT) + 1 + len(neutral().sectors) + 1


def facts(description: Description, numbers: Sequence[float]) -> Facts:
    """Return the facts of a description; where one is absent, the quantile of its range at one of `numbers`.

    numbers: in (0, 1), `width()` of them. With the first four alone, the basket is the neutral town's and the share of
    online shops the middle of its range.
    """
    absent = description.absent

    def drawn(key: str, known: int, number: float) -> int:
        return round(ABSENT[key].quantile(number) * PPM) if key in absent else known

    consumption = max(description.consumption_month, 1)
    shops = drawn(RETAIL, description.share_of_retail_ppm, numbers[3])
    if RETAIL in absent and description.merchants:
        guess = description.merchants * PERSONS_PER_SHOP / description.population
        shops = round(min(max(guess * SHOPS_OF_COUNT.quantile(numbers[3]), 0.01), 1.0) * PPM)
    has_all = len(numbers) > len(ABSENT)
    online = None
    if RETAIL in absent and description.design.shops.online:
        online = round(ONLINE.quantile(numbers[-1] if has_all else 0.5) * PPM)
    return Facts(
        drawn(INCOME_OF_CONSUMPTION, description.income_month * PPM // consumption, numbers[0]),
        drawn(AGE_60, description.age_60_ppm, numbers[1]),
        drawn(WALLET, description.wallet_ppm, numbers[2]),
        shops,
        online,
        _basket_factors(numbers[len(ABSENT) : -1] if has_all else ()),
    )


def _basket_factors(numbers: Sequence[float]) -> tuple[float, ...]:
    """Return lognormal factors of median 1. numbers: of their spread, then of each sector."""
    if not numbers:
        return ()
    spread = behaviour.standard().varies(BASKET_SPREAD).prior.quantile(numbers[0])
    return tuple(exp(spread * NormalDist().inv_cdf(each)) for each in numbers[1:])


@cache
def neutral(one_in: int = ONE_IN) -> City:
    """Return the town whose shape all pilots share, with one synthetic person and shop for `one_in` of its own."""
    return build(definition.load(TOWN), seed=TOWN_SEED, one_in=one_in)


def city(description: Description, known: Facts, base: City) -> City:
    """Return a neutral town with the incomes, ages, wallets and prices of a pilot."""
    income, consumption_ppm, ratio = _incomes(base, description.consumption_month, known.income_of_consumption_ppm)
    age = _ages(base.persons, known.age_60_ppm)
    shops = base.merchants
    return replace(
        base,
        name=description.name,
        title=description.title,
        currency=description.currency.code,
        consumption_ppm=consumption_ppm,
        sectors=_sectors(base.sectors, known.basket),
        persons=replace(
            base.persons,
            income_month=income,
            liquid=np.rint(base.persons.liquid * ratio).astype(np.int64),
            age=age,
            wallet=_wallets(base.persons, age, known.wallet_ppm),
        ),
        merchants=replace(shops, turnover_year=np.rint(shops.turnover_year * ratio).astype(np.int64)),
    )


def size_bounds(description: Description) -> tuple[int, ...]:
    """Return the yearly turnovers between sizes of shops, in minor units."""
    return tuple(description.consumption_month * each for each in TURNOVERS)


def place(description: Description, known: Facts) -> Place:
    """Return the city of a pilot, prepared for its design."""
    base = neutral()
    made, bounds = city(description, known, base), size_bounds(description)
    rule, shops = accepting(description, base, known), base.merchants
    if known.online_ppm is None:
        return prepare(made, rule, bounds)
    online = markets.accepting(made, replace(rule, share_ppm=max(known.online_ppm, 1))) & shops.online
    return prepare(made, (markets.accepting(made, rule) & ~shops.online) | online, bounds)


def accepting(description: Description, city: City, known: Facts) -> Shops:
    """Return the rule about which shops of a city accept. Sectors that the city does not know are omitted."""
    rule = description.design.shops
    share = max(min(known.shops_ppm, PPM), 1)
    return replace(rule, share_ppm=share, sectors=known_sectors(description, city))


def known_sectors(description: Description, city: City) -> tuple[str, ...]:
    """Return the sectors of a pilot that the city has; () for all, also if it has none of them."""
    has = [sector.name for sector in city.sectors]
    wanted = {name for each in description.sectors for name in sectors.named(each, has)}
    return tuple(name for name in has if name in wanted)


def design(description: Description, place: Place, people: int) -> Design:
    """Return the design for a run on `people` persons: rates of the pilot, with as many recipients as they allow.

    The outcomes are rates of recipients. A lottery with few winners in a city of millions is therefore run with more
    winners among the same share of registrants.
    """
    made = description.design
    rate = description.registered / description.population
    shops = place.shops or made.shops
    found = replace(made, age_min=_age_min(description, place.city), shops=shops)
    if made.how == UNIVERSAL:
        return replace(found, recipients=0, population=0, registered=0)
    most = people // 4 if not rate else min(people // 4, int(people * rate * 0.8))
    wanted = max(most, people * made.recipients // description.population, 1)
    population = max(made.recipients * people // wanted, 1)
    registered = round(rate * population)
    return replace(
        found, population=population, registered=max(registered, min(made.recipients, population)) if rate else 0
    )


def _age_min(description: Description, city: City) -> int:
    """Return the least age for which the share of older persons is nearest to the eligible share; 0 if all are."""
    wanted = description.eligible / description.population
    return 0 if wanted > 0.995 else int(np.argmin(np.abs(_older(city) - wanted)))


def eligible_by_age(description: Description, city: City) -> float:
    """Return the share of persons whom a simulation takes as eligible."""
    return float(_older(city)[_age_min(description, city)])


def _older(city: City) -> Array:
    """Return the share of persons of at least 0, 1, … AGE_MIN_MAX years."""
    counts = np.bincount(city.persons.age, minlength=AGE_MIN_MAX + 1)
    found: Array = 1 - np.concatenate([[0], np.cumsum(counts)])[: AGE_MIN_MAX + 1] / len(city.persons)
    return found


def _sectors(kinds: tuple[Sector, ...], factors: Sequence[float]) -> tuple[Sector, ...]:
    """Return sectors whose shares of the basket are multiplied by factors, with an equal sum."""
    if not factors:
        return kinds
    total = sum(each.basket_ppm for each in kinds)
    weights = [each.basket_ppm * factor for each, factor in zip(kinds, factors, strict=True)]
    ends = [round(part * total / sum(weights)) for part in accumulate(weights)]
    shares = [end - before for before, end in pairwise((0, *ends))]
    return tuple(replace(each, basket_ppm=share) for each, share in zip(kinds, shares, strict=True))


def _incomes(base: City, consumption_month: int, ratio_ppm: int) -> tuple[Array, int, float]:
    """Return incomes, consumption share and the factor of amounts, for mean consumption and median income per head."""
    persons = base.persons
    starts = np.flatnonzero(np.append(True, persons.household[1:] != persons.household[:-1]))
    sizes = np.diff(np.append(starts, len(persons)))
    per_head = np.repeat(np.add.reduceat(persons.income_month, starts) / sizes, sizes)
    ratio = consumption_month * ratio_ppm / PPM / float(np.median(per_head))
    income = np.rint(persons.income_month * ratio).astype(np.int64)
    share = min(consumption_month / max(float(income.mean()), 1.0), 1.0)
    return income, max(round(share * PPM), 1), ratio


def _ages(persons: Persons, age_60_ppm: int) -> Array:
    """Return ages with this share of persons of 60 and over: ages near 60 are moved by 15 years, in a fixed order."""
    age = persons.age.copy()
    missing = len(persons) * age_60_ppm // PPM - int((age >= OLD_AGE).sum())
    order = np.argsort(_shuffled(len(persons)), kind="stable")
    if missing > 0:
        for low in (45, 30, 18):
            rows = order[(age[order] >= low) & (age[order] < OLD_AGE)][:missing]
            age[rows] = OLD_AGE + (age[rows] - low) % 30
            missing -= rows.size
    elif missing < 0:
        rows = order[age[order] >= OLD_AGE][:-missing]
        age[rows] = 40 + age[rows] % 20
    return age


def _wallets(persons: Persons, age: Array, wallet_ppm: int) -> Array:
    """Return wallets with this share of persons who have one; the oldest and the youngest are without first."""
    wallet = persons.wallet.copy()
    missing = len(persons) * wallet_ppm // PPM - int((wallet != NO_WALLET).sum())
    reluctance = np.abs(age.astype(np.int64) - 35) * 1_000 + _shuffled(len(persons)) % 20_000
    order = np.argsort(reluctance, kind="stable")
    if missing > 0:
        wallet[order[wallet[order] == NO_WALLET][:missing]] = PHONE_WALLET
    elif missing < 0:
        wallet[order[::-1][wallet[order[::-1]] != NO_WALLET][:-missing]] = NO_WALLET
    return wallet


def _shuffled(count: int) -> Array:
    """Return fixed numbers without pattern: (count,) int64."""
    rows = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    rows ^= rows >> np.uint64(29)
    found: Array = ((rows * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(33)).astype(np.int64)
    return found


def needs_wallet(design: Design) -> bool:
    """Return whether only persons with a wallet can receive the money."""
    return design.channel == APP
