"""A synthetic city: the columns of its persons, merchants and zones as NumPy arrays.

Row `i` of a table has the number `i`: `persons.person[i] == i`, and the same for merchants and zones. Amounts are minor
units of the city's currency. `City.digest` covers every column, so two equal digests mean two equal cities.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from blake3 import blake3

from sycee.core.arrays import Array
from sycee.core.canonical_json import canonical
from sycee.core.errors import require

FEMALE: Final = 0
MALE: Final = 1

NO_WALLET: Final = 0
PHONE_WALLET: Final = 1
CARD_WALLET: Final = 2  # a card, or a wallet that another person operates (proxy)
WALLETS: Final = ("none", "phone", "card")

PPM: Final = 1_000_000

PERSON_COLUMNS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "person": np.uint32,
        "household": np.uint32,
        "zone": np.uint16,
        "age": np.uint8,
        "sex": np.uint8,
        "dormitory": np.bool_,
        "income_month": np.int64,
        "liquid": np.int64,
        "wallet": np.uint8,
        "disability": np.bool_,
        "works_in": np.uint16,
    }
)
MERCHANT_COLUMNS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "merchant": np.uint32,
        "zone": np.uint16,
        "sector": np.uint8,
        "turnover_year": np.int64,
        "weight": np.uint32,
        "online": np.bool_,
        "chain": np.bool_,
    }
)
ZONE_COLUMNS: Final[Mapping[str, Any]] = MappingProxyType(
    {"zone": np.uint16, "population": np.int64, "area_m2": np.int64, "x_m": np.int32, "y_m": np.int32}
)


@dataclass(frozen=True, slots=True, eq=False)
class Persons:
    """Columns of shape (persons,), with the types of PERSON_COLUMNS. Members of a household are neighbouring rows."""

    person: Array  # row number
    household: Array  # from 0, ascending; a person in a dormitory is a household alone
    zone: Array
    age: Array  # years
    sex: Array  # FEMALE or MALE
    dormitory: Array  # lives in a collective household
    income_month: Array  # of the person, in minor units
    liquid: Array  # liquid wealth of the person, in minor units
    wallet: Array  # NO_WALLET, PHONE_WALLET or CARD_WALLET
    disability: Array
    works_in: Array  # zone by day; the zone of residence for a person without work

    def __len__(self) -> int:
        return int(self.person.size)


@dataclass(frozen=True, slots=True, eq=False)
class Merchants:
    """Columns of shape (merchants,), with the types of MERCHANT_COLUMNS."""

    merchant: Array  # row number
    zone: Array
    sector: Array  # index in City.sectors
    turnover_year: Array  # in minor units
    weight: Array  # attractiveness in a gravity model, at least 1
    online: Array
    chain: Array

    def __len__(self) -> int:
        return int(self.merchant.size)


@dataclass(frozen=True, slots=True, eq=False)
class Zones:
    """Columns of shape (zones,), with the types of ZONE_COLUMNS."""

    zone: Array  # row number
    name: tuple[str, ...]
    population: Array  # persons in the synthetic city
    area_m2: Array
    x_m: Array  # metres to the east of an origin
    y_m: Array  # metres to the north

    def __len__(self) -> int:
        return int(self.zone.size)


@dataclass(frozen=True, slots=True)
class Sector:
    """A kind of shops: its share of a month's consumption, and the median distance of a payment from home."""

    name: str
    basket_ppm: int  # paid at shops of the sector, of all consumption; the sum over sectors is at most PPM
    distance_m: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """One published figure beside the figure of the synthetic city."""

    marginal: str  # such as "age and sex"
    cell: str  # such as "60 and over, female"
    published: int  # scaled to the size of the synthetic city
    synthetic: int
    unit: str  # "persons", "households", "merchants", "minor", "percent", "ppm" or "exponent"
    source: str
    mark: str

    @property
    def error_ppm(self) -> int | None:
        """Difference from the published figure in parts per million of that figure; None if it is zero."""
        if not self.published:
            return None
        return round((self.synthetic - self.published) * PPM / self.published)


@dataclass(frozen=True, slots=True, eq=False)
class City:
    """A synthetic city, with the seed that made it and its figures beside the published ones."""

    name: str
    title: str
    currency: str  # ISO 4217
    seed: int
    one_in: int  # 1: full size; 10: one synthetic person for ten
    consumption_ppm: int  # mean share of income that is consumed
    sectors: tuple[Sector, ...]
    persons: Persons
    merchants: Merchants
    zones: Zones
    comparisons: tuple[Comparison, ...] = ()
    file_digest: str = ""  # of the city file that it was built from; not part of `digest`

    def columns(self) -> Iterator[tuple[str, str, Array]]:
        """Yield table, column name and array of every column of numbers, in a fixed order."""
        for table, columns, wanted in (
            ("persons", self.persons, PERSON_COLUMNS),
            ("merchants", self.merchants, MERCHANT_COLUMNS),
            ("zones", self.zones, ZONE_COLUMNS),
        ):
            for name in wanted:
                yield table, name, getattr(columns, name)

    def digest(self) -> str:
        """Return the BLAKE3-256 of name, currency, scale, sectors, zone names and all columns, hexadecimal."""
        head = {
            "name": self.name,
            "currency": self.currency,
            "one_in": self.one_in,
            "consumption_ppm": self.consumption_ppm,
            "sectors": [[each.name, each.basket_ppm, each.distance_m] for each in self.sectors],
            "zones": list(self.zones.name),
        }
        made = blake3(canonical(head), max_threads=blake3.AUTO)
        for table, name, column in self.columns():
            made.update(f"\n{table}.{name} {column.dtype.str} {column.size}\n".encode())
            made.update(np.ascontiguousarray(column).view(np.uint8).data)
        return made.hexdigest()

    def check(self) -> None:
        """Raise IntegrityError where a column has another type or length, or a number that names no row."""
        sizes = {"persons": len(self.persons), "merchants": len(self.merchants), "zones": len(self.zones)}
        types = {"persons": PERSON_COLUMNS, "merchants": MERCHANT_COLUMNS, "zones": ZONE_COLUMNS}
        for table, name, column in self.columns():
            require(column.dtype == types[table][name], f"{table}.{name} has the type {column.dtype}")
            require(column.shape == (sizes[table],), f"{table}.{name} has the shape {column.shape}")
        for owner in (self.persons, self.merchants, self.zones):
            rows = getattr(owner, fields(owner)[0].name)
            require(np.array_equal(rows, np.arange(rows.size)), f"rows of {type(owner).__name__} are out of order")
        zones = sizes["zones"]
        for table, column in (("persons", self.persons.zone), ("merchants", self.merchants.zone)):
            require(not column.size or int(column.max()) < zones, f"{table}.zone names a zone that does not exist")
        require(len(self.zones.name) == zones, f"{len(self.zones.name)} names for {zones} zones")
        require(
            not len(self.persons) or int(self.persons.works_in.max()) < zones, "works_in names a zone that is missing"
        )
        require(
            not len(self.merchants) or int(self.merchants.sector.max()) < len(self.sectors),
            "a merchant names a sector that does not exist",
        )
        population = np.bincount(self.persons.zone, minlength=zones)
        require(np.array_equal(population, self.zones.population), "zones.population is not the count of persons")


def tiny_town(people: int = 240, merchants: int = 24, *, zones: int = 3) -> City:
    """Return a small town made by arithmetic, without marginals: the same columns on every call. For tests."""
    rows = np.arange(people, dtype=np.int64)
    homes = people - people // 8  # all others live in dormitories
    households = np.where(rows < homes, rows * 2 // 5, homes + rows)  # alternately two and three persons
    household = np.unique(households, return_inverse=True)[1].astype(np.uint32)
    zone = (household * np.int64(7) % zones).astype(np.uint16)
    age = ((rows * 37 + 11) % 90).astype(np.uint8)
    dormitory = rows >= homes
    age[dormitory] = 18 + age[dormitory] % 40
    is_adult = age >= 16
    income = np.where(is_adult, 150_000 + (rows * 7_919) % 900_000, 0)
    wallet = np.where((age < 12) | ((age >= 60) & (rows % 2 == 0)), NO_WALLET, PHONE_WALLET)
    wallet[(age >= 60) & (rows % 5 == 0)] = CARD_WALLET
    works = is_adult & (age < 60) & (rows % 4 != 0)
    shops = np.arange(merchants, dtype=np.int64)
    turnover = 6_000_000_000 // (shops + 1)
    return City(
        name="tiny-town",
        title="A tiny town made by arithmetic",
        currency="CNY",
        seed=0,
        one_in=1,
        consumption_ppm=625_000,
        sectors=(
            Sector("food", 300_000, 1_000),
            Sector("eating-out", 150_000, 2_000),
            Sector("goods", 150_000, 4_000),
            Sector("leisure", 100_000, 8_000),
        ),
        persons=Persons(
            person=rows.astype(np.uint32),
            household=household,
            zone=zone,
            age=age,
            sex=(rows * 13 % 7 % 2).astype(np.uint8),
            dormitory=dormitory,
            income_month=income,
            liquid=income * (rows % 11) // 2,
            wallet=wallet.astype(np.uint8),
            disability=rows % 16 == 5,
            works_in=np.where(works, (zone + rows) % zones, zone).astype(np.uint16),
        ),
        merchants=Merchants(
            merchant=shops.astype(np.uint32),
            zone=(shops % zones).astype(np.uint16),
            sector=(shops // zones % 4).astype(np.uint8),
            turnover_year=turnover,
            weight=np.maximum(turnover // 1_000_000, 1).astype(np.uint32),
            online=shops % 8 == 3,
            chain=shops % 6 == 1,
        ),
        zones=Zones(
            zone=np.arange(zones, dtype=np.uint16),
            name=tuple(f"zone-{number}" for number in range(zones)),
            population=np.bincount(zone, minlength=zones),
            area_m2=np.full(zones, 4_000_000, np.int64),
            x_m=(np.arange(zones) * 2_000).astype(np.int32),
            y_m=(np.arange(zones) % 2 * 1_500).astype(np.int32),
        ),
    )
