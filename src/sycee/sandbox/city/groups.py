"""Shops of a city that may join the merchant groups of a programme: the conditions of its file, applied to columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sycee.core import typos
from sycee.core.arrays import Array
from sycee.programmes.definition import Programme
from sycee.programmes.merchant_groups import MerchantGroup
from sycee.sandbox.city.model import City


def members(city: City, programme: Programme) -> Array:
    """Return which shops are members of which group: (groups, merchants) bool.

    Of the shops that meet a group's conditions, the `count` with the largest weights are members; of equal weights the
    first rows. With a city of one in n, a group has a count of `count` / n, at least 1. A shop is a member of the first
    group that takes it. Raises UsageError for a sector or zone that the city does not have, with the nearest one.
    """
    taken = np.zeros(len(city.merchants), np.bool_)
    made = np.zeros((len(programme.merchants), taken.size), np.bool_)
    for number, group in enumerate(programme.merchants):
        rows = np.flatnonzero(_meets(city, group) & ~taken)
        count = max(1, round(group.count / city.one_in))
        by_weight = np.argsort(-city.merchants.weight[rows].astype(np.int64), kind="stable")
        made[number, rows[by_weight[:count]]] = True
        taken |= made[number]
    return made


def _meets(city: City, group: MerchantGroup) -> Array:
    """Return which shops meet the conditions of a group: (merchants,) bool."""
    shops = city.merchants
    meets: Array = np.ones(len(shops), np.bool_)
    if group.sectors:
        names = [each.name for each in city.sectors]
        meets &= np.isin(shops.sector, _numbers(group.sectors, names, "sector", group, city))
    if group.zones:
        meets &= np.isin(shops.zone, _numbers(group.zones, city.zones.name, "zone", group, city))
    if group.turnover_min_minor:
        meets &= shops.turnover_year >= group.turnover_min_minor
    if group.turnover_max_minor:
        meets &= shops.turnover_year < group.turnover_max_minor
    if not group.online:
        meets &= ~shops.online
    if not group.chains:
        meets &= ~shops.chain
    return meets


def _numbers(wanted: Sequence[str], names: Sequence[str], what: str, group: MerchantGroup, city: City) -> list[int]:
    for name in wanted:
        typos.require(
            name,
            names,
            f'the merchant group "{group.name}" names the {what} "{name}", which {city.name} does not have',
            f"its {what}s: {', '.join(names)}",
        )
    return [list(names).index(name) for name in wanted]
