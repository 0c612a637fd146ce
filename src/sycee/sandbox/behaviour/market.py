"""The shops of a city and the tables from which a person's shop is drawn.

A purchase has a sector, then a zone by gravity, then a shop of that zone and sector by its weight. The weight of a zone
at distance d is the weight of its shops × (D / (D + d))², with the sector's distance D. Online shops form one more
zone, at distance 0 from everybody. A zone and a sector are a *cell*; the last cell is outside of the city. Shops are
numbered by *position*: in the order of their cells.

Each draw is one lookup in an alias table. There are two sets of tables: of all shops, and of those that accept the
programme's money. Everything is integer arithmetic, so a market is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Final

import numpy as np

from sycee.core import typos
from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.sandbox.behaviour import kernel
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour.design import Shops
from sycee.sandbox.behaviour.draws import mixed
from sycee.sandbox.city.model import City

SIZE_BOUNDS: Final = (50_000_000, 200_000_000, 1_000_000_000)  # yearly turnovers in minor units: four size classes
SHARE_SEED: Final = 0x53686F7073  # of the draw of accepting shops, which is the same in every run
_WEIGHT_BITS: Final = 20  # a zone's gravity is below 2 ** 20, so that a row of 2,048 zones stays below 2 ** 31
_CELL_WEIGHT_BITS: Final = 24


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Tables of the shops of a city, for one rule about accepting shops."""

    zones: int
    sectors: int
    size_classes: int  # the last one is outside of the city
    size_bounds: tuple[int, ...]  # turnover of a year, in minor units
    merchant: Array  # [positions] uint32: row of the city's merchants
    cell: Array  # [positions] int64
    accepting: Array  # [positions] bool
    entries: Array  # uint64: all tables
    offsets: Array  # [OFFSETS] int64: where each begins
    basket_ppm: tuple[int, ...]  # of each sector
    has_shops: tuple[bool, ...]  # of each sector
    open_sectors: tuple[bool, ...]  # whether shops of the sector accept

    @property
    def cells(self) -> int:
        """Number of cells with the one outside of the city."""
        return (self.zones + 1) * self.sectors + 1

    @property
    def outside_cell(self) -> int:
        """The cell outside of the city."""
        return self.cells - 1

    def accepts(self, position: int) -> bool:
        """Return whether a shop accepts the programme's money."""
        return bool(self.accepting[position])

    def zone_table(self, origin: int, sector: int, *, is_open: bool) -> list[int]:
        """Return the alias table of zones for an origin and a sector."""
        first = int(self.offsets[c.M_OPEN_ZONES if is_open else c.M_ZONES])
        first += (origin * self.sectors + sector) * (self.zones + 1)
        table: list[int] = self.entries[first : first + self.zones + 1].tolist()
        return table

    def shop_table(self, cell: int, *, is_open: bool) -> tuple[int, list[int]]:
        """Return the first position of a cell's shops, and their alias table."""
        cells, shops = (c.M_OPEN_CELLS, c.M_OPEN_SHOPS) if is_open else (c.M_CELLS, c.M_SHOPS)
        place = int(self.entries[int(self.offsets[cells]) + cell])
        first, count = place >> c.ALIAS_BITS, place & 0xFFFFFFFF
        begin = int(self.offsets[shops]) + first
        return first, self.entries[begin : begin + count].tolist()


def of_city(city: City, shops: Shops | Array | None = None, size_bounds: tuple[int, ...] = SIZE_BOUNDS) -> Market:
    """Return the market of a city.

    shops: which of them accept the programme's money: a rule, or (merchants,) bool. size_bounds: ascending yearly
    turnovers that separate the size classes.

    Raises UsageError for a sector or a zone that the city does not have.
    """
    merchants, zones, kinds = city.merchants, len(city.zones), len(city.sectors)
    if zones > 1 << 11 or kinds > 64 or not 0 < len(size_bounds) < 255:
        raise UsageError(f"{zones} zones and {kinds} sectors are too many", hint="at most 2,048 zones and 64 sectors")
    is_accepting = shops if isinstance(shops, np.ndarray) else accepting(city, shops or Shops())
    if is_accepting.dtype != np.bool_ or is_accepting.shape != (len(merchants),):
        raise UsageError(f"accepting shops have the shape {is_accepting.shape}", hint=f"({len(merchants)},) bool")
    place = np.where(merchants.online, zones, merchants.zone).astype(np.int64)
    cell = place * kinds + merchants.sector
    # Accepting shops are first in their cell: the second set of tables covers the first positions of each cell.
    order = np.lexsort((merchants.merchant, ~is_accepting, cell))
    cell, is_accepting = cell[order], is_accepting[order]
    weight = np.maximum(merchants.weight[order].astype(np.int64), 1)
    size = np.searchsorted(np.array(size_bounds), merchants.turnover_year[order], side="right")
    data = (
        merchants.merchant[order].astype(np.uint64)
        | size.astype(np.uint64) << np.uint64(c.SIZE_SHIFT)
        | is_accepting.astype(np.uint64) << np.uint64(c.ACCEPTS_SHIFT)
    )
    gravity = _gravity(city)
    cells = (zones + 1) * kinds
    every = _tables(cell, weight, cells, gravity)
    some = _tables(cell, np.where(is_accepting, weight, 0), cells, gravity)
    tables = (every.zones, every.cells, every.shops, data, some.zones, some.cells, some.shops)
    lengths = np.array([each.size for each in tables])
    return Market(
        zones=zones,
        sectors=kinds,
        size_classes=len(size_bounds) + 2,
        size_bounds=tuple(size_bounds),
        merchant=merchants.merchant[order],
        cell=cell,
        accepting=is_accepting,
        entries=np.concatenate(tables),
        offsets=np.cumsum(lengths) - lengths,
        basket_ppm=tuple(each.basket_ppm for each in city.sectors),
        has_shops=every.has_shops,
        open_sectors=some.has_shops,
    )


def accepting(city: City, shops: Shops) -> Array:
    """Return which merchants accept the programme's money: (merchants,) bool. Errors as `of_city`."""
    merchants = city.merchants
    names = [sector.name for sector in city.sectors]
    for name in shops.sectors:
        typos.require(name, names, f"the city has no sector {name!r}", f"sectors: {', '.join(names)}")
    for zone in shops.zones:
        if not 0 <= zone < len(city.zones):
            raise UsageError(f"the city has no zone {zone}", hint=f"zones from 0 to {len(city.zones) - 1}")
    found = np.ones(len(merchants), np.bool_)
    if shops.sectors:
        found &= np.isin(merchants.sector, [names.index(name) for name in shops.sectors])
    if shops.zones:
        found &= np.isin(merchants.zone, shops.zones)
    if not shops.online:
        found &= ~merchants.online
    if not shops.chains:
        found &= ~merchants.chain
    if shops.turnover_max:
        found &= merchants.turnover_year <= shops.turnover_max
    if shops.share_ppm < c.PPM:
        rows = np.flatnonzero(found)
        tickets = mixed(rows.astype(np.uint64) + np.uint64(SHARE_SEED))
        taken = -(-rows.size * shops.share_ppm // c.PPM)
        found[rows[np.argsort(tickets, kind="stable")[taken:]]] = False
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    zones: Array
    cells: Array
    shops: Array
    has_shops: tuple[bool, ...]


def _tables(cell: Array, weight: Array, cells: int, gravity: Array) -> _Tables:
    """Return the alias tables of shops with a weight above 0, which are first in their cells."""
    zones, kinds = gravity.shape[0], gravity.shape[1]
    starts = np.searchsorted(cell, np.arange(cells + 1))
    totals = np.zeros(cells, np.int64)
    np.add.at(totals, cell, weight)
    counts = np.zeros(cells, np.int64)
    np.add.at(counts, cell, (weight > 0).astype(np.int64))
    own_total = np.maximum(totals, 1)[cell]
    scaled = np.where(weight > 0, np.maximum((weight << _CELL_WEIGHT_BITS) // own_total, 1), 0)
    shops = np.zeros(cell.size, np.uint64)
    # A group is the front part of a cell: groups of weight 0 behind it are skipped by their own bounds.
    bounds = np.empty(2 * cells + 1, np.int64)
    bounds[0::2] = starts
    bounds[1::2] = starts[:-1] + counts
    kernel.alias_groups(np.ascontiguousarray(scaled), bounds, shops)
    place = starts[:-1].astype(np.uint64) << np.uint64(c.ALIAS_BITS) | counts.astype(np.uint64)
    by_zone = totals.reshape(zones + 1, kinds)
    largest = max(int(by_zone.max()), 1) if by_zone.size else 1
    # Below 2 ** 20 each; a cell with shops never gets the weight 0.
    shrink = max(largest.bit_length() - _WEIGHT_BITS, 0)
    mass = np.where(by_zone > 0, np.maximum(by_zone >> shrink, 1), 0)
    rows = gravity * mass.T[None, :, :] >> _WEIGHT_BITS
    rows = np.where(mass.T[None, :, :] > 0, np.maximum(rows, 1), 0)
    entries = np.zeros((zones * kinds, zones + 1), np.uint64)
    kernel.alias_rows(np.ascontiguousarray(rows.reshape(zones * kinds, zones + 1)), entries)
    return _Tables(entries.ravel(), place, shops, tuple((by_zone.sum(axis=0) > 0).tolist()))


def _gravity(city: City) -> Array:
    """Return (D / (D + d))² of each origin, sector and zone, online shops last: [zones, sectors, zones + 1] int64."""
    zones = city.zones
    x, y = zones.x_m.astype(np.int64), zones.y_m.astype(np.int64)
    square = (x[:, None] - x[None, :]) ** 2 + (y[:, None] - y[None, :]) ** 2
    distance = np.array([[isqrt(int(each)) for each in row] for row in square], np.int64).reshape(square.shape)
    inside = np.array([isqrt(int(area)) // 2 for area in zones.area_m2], np.int64)
    np.fill_diagonal(distance, inside)
    distance = np.concatenate([distance, np.zeros((len(zones), 1), np.int64)], axis=1)
    usual = np.array([max(sector.distance_m, 1) for sector in city.sectors], np.int64)
    near = (usual[None, :, None] << _WEIGHT_BITS) // (usual[None, :, None] + distance[:, None, :])
    return near * near >> _WEIGHT_BITS
