"""Figures of a synthetic city beside the published ones that it was fitted to, and beside some that it was not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.programmes.file_values import Provenance
from sycee.sandbox.city.definition import QUINTILES, Band, CityFile, Count
from sycee.sandbox.city.model import CARD_WALLET, MALE, PHONE_WALLET, PPM, City, Comparison
from sycee.sandbox.city.people import MONTHS

NOT_FITTED: Final = " (not fitted)"  # at the end of the name of a marginal that the city is only compared with
_FIFTHS: Final = ("poorest fifth", "second fifth", "third fifth", "fourth fifth", "richest fifth")


def compared(city: City, file: CityFile) -> City:
    """Return the city with its comparisons."""
    rows = [*_people(city, file), *_money(city, file), *_shops(city, file)]
    return replace(city, comparisons=tuple(rows))


def _row(marginal: str, cell: str, published: float, synthetic: float, unit: str, cited: Provenance) -> Comparison:
    return Comparison(marginal, cell, round(published), round(synthetic), unit, cited.source, cited.mark)


def _people(city: City, file: CityFile) -> Iterator[Comparison]:
    persons, one_in = city.persons, city.one_in
    total = len(persons)
    for zone, here in zip(file.zones, city.zones.population, strict=True):
        yield _row("zones", zone.name, zone.persons / one_in, here, "persons", zone.cited)
    by_day = np.bincount(persons.works_in, minlength=len(file.zones))
    for zone, here in zip(file.zones, by_day, strict=True):
        if zone.day_persons:
            yield _row("by day" + NOT_FITTED, zone.name, zone.day_persons / one_in, here, "persons", zone.cited)
    by_age = np.bincount(persons.age)
    for band in file.age_bands:
        yield _row("ages", band.name, band.ppm[0] * total / PPM, _between(by_age, band), "persons", band.cited)
    males = int((persons.sex == MALE).sum())
    yield _row("sex", "male", file.male.ppm * total / PPM, males, "persons", file.male.cited)
    in_dormitories = file.dormitories or Count(0, Provenance("no dormitories in the file", "assumed"))
    dormitories = int(persons.dormitory.sum())
    yield _row("dormitories", "persons", in_dormitories.count / one_in, dormitories, "persons", in_dormitories.cited)
    sizes = np.bincount(persons.household)
    alone = np.bincount(sizes, minlength=len(file.household_sizes.values) + 1)
    alone[1] -= dormitories  # a person in a dormitory has a household number alone
    households = int(alone.sum())
    yield _row("households", "all", file.households.count / one_in, households, "households", file.households.cited)
    shares, cited = file.household_sizes.values, file.household_sizes.cited
    for size, share in enumerate(shares, 1):
        published = share / sum(shares) * households
        yield _row("household sizes, before the mean is fitted", str(size), published, alone[size], "households", cited)
    for name, column, is_kind, bands, whole in (
        ("phone wallet", 0, persons.wallet == PHONE_WALLET, file.wallets, file.wallet_total),
        ("card or proxy wallet", 1, persons.wallet == CARD_WALLET, file.wallets, None),
        ("disability", 0, persons.disability, file.disabilities, file.disability_total),
    ):
        kind_by_age = np.bincount(persons.age[is_kind], minlength=by_age.size)
        if whole is not None:
            yield _row(name, "all ages", whole.ppm * total / PPM, int(kind_by_age.sum()), "persons", whole.cited)
        label = name + (", by age before the total is fitted" if whole is not None else ", by age")
        for band in bands:
            published = band.ppm[column] * _between(by_age, band) / PPM
            yield _row(label, band.name, published, _between(kind_by_age, band), "persons", band.cited)


def _between(by_age: Array, band: Band) -> int:
    return int(by_age[band.from_age : band.to_age + 1].sum())


def _money(city: City, file: CityFile) -> Iterator[Comparison]:
    persons = city.persons
    income = np.sort(persons.income_month)
    mean = float(income.mean())
    published = file.income_year.values[0] / MONTHS
    yield _row("income of a month", "mean", published, mean, "minor", file.income_year.cited)
    quintiles, cited = file.income_quintiles.values, file.income_quintiles.cited
    scale = published * QUINTILES / sum(quintiles)
    for name, fifth, found in zip(_FIFTHS, quintiles, _fifths(income), strict=True):
        yield _row("income of a month, scaled to the mean", name, fifth * scale, found, "minor", cited)
    if file.median_over_mean is not None:
        median = float(np.median(income)) / mean * PPM
        share = file.median_over_mean
        yield _row("income, median over mean" + NOT_FITTED, "all", share.ppm, median, "ppm", share.cited)
    consumption, cited = file.consumption_year.values[0] / MONTHS, file.consumption_year.cited
    yield _row("consumption of a month", "mean", consumption, mean * city.consumption_ppm / PPM, "minor", cited)
    income = np.maximum(persons.income_month, 1)
    percent = np.sort((persons.liquid * 100 + income // 2) // income)
    for name, fifth, found in zip(_FIFTHS, file.liquid.values, _fifths(percent), strict=True):
        yield _row("liquid wealth, % of a month's income", name, fifth, found, "percent", file.liquid.cited)


def _fifths(ascending: Array) -> list[float]:
    return [float(each.mean()) if each.size else 0.0 for each in np.array_split(ascending, QUINTILES)]


def _shops(city: City, file: CityFile) -> Iterator[Comparison]:
    shops = city.merchants
    consumption = int(city.persons.income_month.sum()) * MONTHS * city.consumption_ppm // PPM
    for number, sector in enumerate(file.sectors):
        here = shops.sector == number
        turnover = shops.turnover_year[here]
        total = int(turnover.sum())
        for cell, published, found, unit in (
            ("shops", sector.shops / city.one_in, turnover.size, "merchants"),
            ("share of consumption", sector.basket_ppm, total * PPM / max(consumption, 1), "ppm"),
            ("online", sector.online_ppm, int(turnover[shops.online[here]].sum()) * PPM / max(total, 1), "ppm"),
            ("chains", sector.chain_ppm, int(turnover[shops.chain[here]].sum()) * PPM / max(total, 1), "ppm"),
        ):
            yield _row(f"sector {sector.name}", cell, published, found, unit, sector.cited)
    largest = max(range(len(file.sectors)), key=lambda number: file.sectors[number].shops)
    exponent = size_exponent_milli(shops.turnover_year[shops.sector == largest], file.shop_sizes.head)
    sizes, name = file.shop_sizes, file.sectors[largest].name
    yield _row("exponent of shop sizes × 1000", name, sizes.exponent_milli, exponent, "exponent", sizes.cited)


def size_exponent_milli(turnover: Array, head: int) -> int:
    """Return 1000 times the exponent a of rank + head ∝ size⁻ᵃ, from the shops at a hundredth and half of the ranks."""
    descending = np.sort(turnover)[::-1]
    high, low = descending.size // 100, descending.size // 2
    if not 0 <= high < low or descending[low] <= 0 or descending[high] == descending[low]:
        return 0
    ratio = np.log((low + 1 + head) / (high + 1 + head)) / np.log(float(descending[high]) / float(descending[low]))
    return round(1000 * float(ratio))
