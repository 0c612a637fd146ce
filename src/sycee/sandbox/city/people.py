"""Persons of a city: counts by zone, age, sex and dwelling, then one row for each person.

The counts are fitted by iterative proportional fitting and rounded by largest remainder inside each zone, so zones have
exactly their persons. A share by age, such as wallets, becomes a count for each age group, and persons are chosen by
chance until the count is reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.limits import I64_MAX
from sycee.sandbox.city import households, quantiles
from sycee.sandbox.city.definition import Band, CityFile, Share
from sycee.sandbox.city.fitting import ipf, tilted
from sycee.sandbox.city.model import CARD_WALLET, FEMALE, MALE, NO_WALLET, PHONE_WALLET, PPM, Persons
from sycee.sandbox.city.rounding import largest_remainder
from sycee.sandbox.seeded_choices import Stream

MONTHS: Final = 12

_PRIVATE, _DORMITORY = 0, 1


@dataclass(frozen=True, slots=True)
class Counts:
    """Fitted numbers of persons and shares of household sizes, before any person exists."""

    persons: Array  # (zones, age groups, 2 sexes, 2 dwellings) int64
    sizes: Array  # (household sizes,) float64: shares of households
    wallets: Array  # (age groups, 3) int64
    disabilities: Array  # (age groups, 2) int64


def counts(file: CityFile, one_in: int) -> Counts:
    """Fit the marginals of a city file, and round to one synthetic person for `one_in`. Raises UsageError as `ipf`."""
    zones = np.array([each.persons for each in file.zones], np.int64)
    scaled = largest_remainder(zones, max(1, round(int(zones.sum()) / one_in)))
    seed = np.array([[each.female, each.male] for each in file.ages], np.float64)
    bands = band_of_groups(file.age_bands, file)
    # A table band × group × sex with zeros outside of a group's band has both published sums as axes.
    spread = np.zeros((len(file.age_bands), *seed.shape))
    spread[bands, np.arange(len(file.ages))] = seed
    sums = [
        ((0,), np.array([each.ppm[0] for each in file.age_bands], np.float64)),
        ((2,), np.array([PPM - file.male.ppm, file.male.ppm], np.float64)),
    ]
    by_age_and_sex = ipf(spread, sums, "ages and sex").sum(axis=0)

    dormitory = np.array([each.dormitory for each in file.ages], np.float64)
    zone_weight = np.array([each.dormitory_weight for each in file.zones], np.float64)
    table = np.ones((zones.size, *seed.shape, 2))
    table[..., _DORMITORY] = zone_weight[:, None, None] * dormitory[None, :, None] / 10_000
    total = int(zones.sum())
    in_dormitories = file.dormitories.count if file.dormitories else 0
    if not in_dormitories:
        table[..., _DORMITORY] = 0
    fitted = ipf(
        table,
        [
            ((0,), scaled.astype(np.float64)),
            ((1, 2), by_age_and_sex),
            ((3,), np.array([total - in_dormitories, in_dormitories], np.float64)),
        ],
        "zones, ages, sex and dormitories",
    )
    persons = np.stack([largest_remainder(fitted[zone], int(scaled[zone])) for zone in range(zones.size)])
    by_group = persons.sum(axis=(0, 2, 3))
    mean = (total - in_dormitories) / file.households.count
    sizes = tilted(np.array(file.household_sizes.values, np.float64), mean, "household sizes")
    return Counts(
        persons,
        sizes,
        _by_age(file.wallets, file.wallet_total, 1, by_group, file, "wallets"),
        _by_age(file.disabilities, file.disability_total, 1, by_group, file, "disabilities"),
    )


def band_of_groups(bands: Sequence[Band], file: CityFile) -> Array:
    """Return the index of the band that holds each age group: (groups,) int64."""
    starts = np.array([each.from_age for each in bands])
    return np.searchsorted(starts, np.array([each.from_age for each in file.ages]), side="right") - 1


def _by_age(
    bands: Sequence[Band], total: Share | None, column: int, by_group: Array, file: CityFile, what: str
) -> Array:
    """Return persons by age group and kind; the first kind is all others. `total` is the share of kind `column`."""
    shares = np.array([(PPM - sum(each.ppm), *each.ppm) for each in bands], np.float64)
    table = shares[band_of_groups(bands, file)] * by_group[:, None] / PPM
    if total is not None:
        # Fitted as kind against all others; the others keep their proportions.
        mine = table[:, column]
        pair = np.stack([by_group - mine, mine], axis=1)
        persons = int(by_group.sum())
        wanted = np.array([PPM - total.ppm, total.ppm], np.float64) * persons / PPM
        fitted = ipf(pair, [((0,), by_group.astype(np.float64)), ((1,), wanted)], what)
        others = np.delete(np.arange(table.shape[1]), column)
        rest = table[:, others].sum(axis=1)
        scale = np.divide(fitted[:, 0], rest, out=np.zeros_like(rest), where=rest > 0)
        table[:, others] *= scale[:, None]
        table[:, column] = fitted[:, 1]
    rows = [
        largest_remainder(row, int(count)) if count else np.zeros(row.size, np.int64)
        for row, count in zip(table, by_group, strict=True)
    ]
    return np.stack(rows)


def persons(
    file: CityFile, fitted: Counts, commuters: Callable[[Array], Array], stream: Stream, step: Callable[[int], None]
) -> Persons:
    """Return one row for each person, by zone, then by household; `step` is called with the persons done.

    commuters: workers of each zone to a table of workers by zone of residence and of work, both int64.
    """
    total = int(fitted.persons.sum())
    made = Persons(
        person=np.arange(total, dtype=np.uint32),
        household=np.empty(total, np.uint32),
        zone=np.repeat(np.arange(len(file.zones), dtype=np.uint16), fitted.persons.sum(axis=(1, 2, 3))),
        age=np.empty(total, np.uint8),
        sex=np.empty(total, np.uint8),
        dormitory=np.empty(total, np.bool_),
        income_month=np.empty(total, np.int64),
        liquid=np.empty(total, np.int64),
        wallet=np.empty(total, np.uint8),
        disability=np.empty(total, np.bool_),
        works_in=np.empty(total, np.uint16),
    )
    first_person, first_household = 0, 0
    for number, row in enumerate(file.zones):
        age, sex, dwelling = _cells(file, fitted.persons[number])
        private = np.flatnonzero(dwelling == _PRIVATE)
        dormitory = np.flatnonzero(dwelling == _DORMITORY)
        sizes = households.size_counts(private.size, fitted.sizes)
        grouped = households.group(age[private], sex[private], sizes, file.couples.ppm, stream, row.name)
        order = np.concatenate([private[grouped.order], dormitory])
        alone = int(sizes.sum()) + np.arange(dormitory.size)
        here = slice(first_person, first_person + order.size)
        made.age[here], made.sex[here] = age[order], sex[order]
        made.dormitory[here] = dwelling[order] == _DORMITORY
        made.household[here] = np.concatenate([grouped.household, alone]) + first_household
        first_person, first_household = here.stop, first_household + int(sizes.sum()) + dormitory.size
        step(first_person)
    _assign_wealth(file, made, stream)
    step(first_person)
    group = _group_of_age(file)[made.age]
    made.wallet[:] = _assign(group, fitted.wallets, stream, "wallets", (NO_WALLET, PHONE_WALLET, CARD_WALLET))
    made.disability[:] = _assign(group, fitted.disabilities, stream, "disabilities", (0, 1))
    made.works_in[:] = _works_in(file, made, commuters, stream)
    return made


def _cells(file: CityFile, cells: Array) -> tuple[Array, Array, Array]:
    """Return age, sex and dwelling of the persons of a zone from its counts: (groups, 2, 2) to three (persons,)."""
    groups, sexes, dwellings = np.unravel_index(np.arange(cells.size), cells.shape)
    flat = cells.ravel()
    cell = np.repeat(np.arange(cells.size), flat)
    place = np.arange(cell.size) - np.repeat(np.cumsum(flat) - flat, flat)
    from_age = np.array([each.from_age for each in file.ages])
    years = np.array([each.years for each in file.ages])
    group = groups[cell]
    age = (from_age[group] + place % years[group]).astype(np.uint8)
    sex = np.where(sexes[cell] == 0, FEMALE, MALE).astype(np.uint8)
    return age, sex, dwellings[cell].astype(np.uint8)


def _group_of_age(file: CityFile) -> Array:
    """Return the age group of each age: (ages,) uint8."""
    return np.repeat(np.arange(len(file.ages), dtype=np.uint8), [each.years for each in file.ages])


def _assign_wealth(file: CityFile, made: Persons, stream: Stream) -> None:
    """Write incomes and liquid wealth. Members of a household have the same income a head, as surveys state it."""
    if not len(made):
        return
    sizes = np.bincount(made.household)
    first = np.cumsum(sizes) - sizes
    month = quantiles.table(file.income_quintiles.values, round(file.income_year.values[0] / MONTHS))
    shift = np.array([each.income_shift_ppm for each in file.zones], np.int64)[made.zone[first]]
    rank = (stream.bits("incomes", sizes.size) >> np.uint64(24)).astype(np.int64)  # 40 bits
    rank += (shift << 20) * (1 << 20) // PPM
    income = quantiles.at_ranks(month, sizes, np.argsort(rank, kind="stable"))
    made.income_month[:] = income[made.household]
    percent = quantiles.table(file.liquid.values, round(sum(file.liquid.values) / len(file.liquid.values)))
    months = quantiles.at_ranks(percent, sizes, stream.order("liquid wealth", sizes.size))
    if int(income.max()) * max(int(months.max()), 1) > I64_MAX:
        raise OverflowError("income times months of liquid wealth does not fit 64 bits")
    made.liquid[:] = (income * months // 100)[made.household]


def _assign(group: Array, table: Array, stream: Stream, purpose: str, kinds: Sequence[int]) -> Array:
    """Return a kind for each person, by chance inside each group, exactly as often as `table` states."""
    key = stream.bits(purpose, group.size) >> np.uint64(8)
    key = key | (group.astype(np.uint64) << np.uint64(56))
    result = np.empty(group.size, np.uint8)
    result[np.argsort(key, kind="stable")] = np.repeat(
        np.tile(np.array(kinds, np.uint8), table.shape[0]), table.ravel()
    )
    return result


def _works_in(file: CityFile, made: Persons, commuters: Callable[[Array], Array], stream: Stream) -> Array:
    """Return the zone of each person by day."""
    work = file.work
    zones = len(file.zones)
    is_eligible = (made.age >= work.from_age) & (made.age <= work.to_age)
    eligible = np.bincount(made.zone[is_eligible], minlength=zones).astype(np.int64)
    workers = eligible * work.employed_ppm // PPM
    by_zone = commuters(workers)
    # Eligible persons by zone, by chance: the first ones work, in the zones of the table's row.
    rows = np.flatnonzero(is_eligible)
    key = stream.bits("work", rows.size) >> np.uint64(16)
    key = key | (made.zone[rows].astype(np.uint64) << np.uint64(48))
    rows = rows[np.argsort(key, kind="stable")]
    place = np.arange(rows.size) - np.repeat(np.cumsum(eligible) - eligible, eligible)
    working = rows[place < np.repeat(workers, eligible)]
    result = made.zone.copy()
    result[working] = np.repeat(np.tile(np.arange(zones, dtype=np.uint16), zones), by_zone.ravel())
    return result
