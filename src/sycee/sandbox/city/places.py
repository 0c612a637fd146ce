"""Distances between zones, commuters, and shops with their sectors, zones and turnovers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.sandbox.city.definition import CityFile
from sycee.sandbox.city.fitting import ipf
from sycee.sandbox.city.model import PPM, Merchants, Persons
from sycee.sandbox.city.rounding import largest_remainder
from sycee.sandbox.seeded_choices import Stream

# Mean distance of two points of a square with side 1 (Robbins 1978: (2 + √2 + 5 ln(1 + √2)) / 15).
WITHIN_SQUARE: Final = 0.5214054331647207
# About 80 % of the differences in sales between shops are numbers of customers, not sizes of baskets (Einav and others,
# Visa), so a shop's attractiveness is its turnover to this power.
CUSTOMERS_POWER: Final = 0.8
WEIGHT_OF_MEAN: Final = 1_000  # weight of a shop with its sector's mean turnover
WEIGHT_MAX: Final = (1 << 32) - 1

_SIZE_GRID: Final = float(1 << 40)
_GREEDY_ROUNDS: Final = 8


def distances_m(file: CityFile) -> Array:
    """Return distances between zones in metres: (zones, zones) float64; inside a zone that of a square of its area."""
    x = np.array([each.x_m for each in file.zones], np.float64)
    y = np.array([each.y_m for each in file.zones], np.float64)
    table = np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :])
    inside = WITHIN_SQUARE * np.sqrt(np.array([each.area_m2 for each in file.zones], np.float64))
    np.fill_diagonal(table, inside)
    return table


def commuters(file: CityFile) -> Callable[[Array], Array]:
    """Return a function from workers by zone to workers by zone of residence and zone of work, both int64.

    The table is fitted to the workers of each zone and to jobs in proportion to workers × jobs_weight, from a seed that
    falls exponentially with distance.
    """
    seed = np.exp(-distances_m(file) / file.work.commute_m)
    weight = np.array([each.jobs_weight for each in file.zones], np.float64)

    def table(workers: Array) -> Array:
        if not int(workers.sum()):
            return np.zeros(seed.shape, np.int64)
        jobs = workers * weight
        fitted = ipf(seed, [((0,), workers.astype(np.float64)), ((1,), jobs)], "commuters")
        return np.stack([largest_remainder(fitted[zone], int(workers[zone])) for zone in range(workers.size)])

    return table


def merchants(file: CityFile, persons: Persons, one_in: int, stream: Stream) -> Merchants:
    """Return the shops of a city in the order of zones. Turnovers of a sector sum to its share of consumption."""
    zones = len(file.zones)
    by_day = np.bincount(persons.works_in, minlength=zones).astype(np.float64)
    weight = np.array([each.shops_weight for each in file.zones], np.float64)
    shops = np.array([max(1, round(each.shops / one_in)) for each in file.sectors], np.int64)
    fitted = ipf(
        np.ones((shops.size, zones)), [((0,), shops.astype(np.float64)), ((1,), by_day * weight)], "sectors and zones"
    )
    consumption = int(persons.income_month.sum()) * 12 * file.consumption_ppm // PPM
    columns: list[tuple[Array, ...]] = []
    for number, row in enumerate(file.sectors):
        count = int(shops[number])
        total = consumption * row.basket_ppm // PPM
        turnover = largest_remainder(_sizes(file, count), total)
        zone = np.repeat(np.arange(zones), largest_remainder(fitted[number], count))
        zone = zone[stream.order(f"{row.name}: zones", count)]
        online = _until(turnover, total * row.online_ppm // PPM, stream.order(f"{row.name}: online", count))
        rest = np.flatnonzero(~online)  # by descending turnover
        chain = np.zeros(count, np.bool_)
        chain[rest] = _until(turnover[rest], total * row.chain_ppm // PPM, np.arange(rest.size))
        relative = turnover.astype(np.float64) * count / max(total, 1)
        attraction = np.clip(np.rint(WEIGHT_OF_MEAN * relative**CUSTOMERS_POWER), 1, WEIGHT_MAX)
        columns.append((zone, np.full(count, number), turnover, attraction, online, chain))
    zone, sector, turnover, attraction, online, chain = (np.concatenate(each) for each in zip(*columns, strict=True))
    order = np.lexsort((-turnover, sector, zone))
    return Merchants(
        merchant=np.arange(order.size, dtype=np.uint32),
        zone=zone[order].astype(np.uint16),
        sector=sector[order].astype(np.uint8),
        turnover_year=turnover[order],
        weight=attraction[order].astype(np.uint32),
        online=online[order],
        chain=chain[order],
    )


def _sizes(file: CityFile, count: int) -> Array:
    """Return relative turnovers of the ranks 1, 2, …: (count,) int64."""
    ranks = np.arange(1, count + 1, dtype=np.float64) + file.shop_sizes.head
    relative = (ranks / ranks[0]) ** (-1000 / file.shop_sizes.exponent_milli)
    sizes: Array = np.maximum(np.rint(relative * _SIZE_GRID), 1).astype(np.int64)
    return sizes


def _until(turnover: Array, target: int, order: Array) -> Array:
    """Return which shops are taken, in this order, so that their turnover comes near to `target` from below."""
    taken = np.zeros(turnover.size, np.bool_)
    for _ in range(_GREEDY_ROUNDS):
        order = order[(turnover[order] <= target) & ~taken[order]]
        fits = order[np.cumsum(turnover[order]) <= target]
        if not fits.size:
            break
        taken[fits] = True
        target -= int(turnover[fits].sum())
    return taken
