"""City file: published marginals of one city, each with a source and a mark, read from TOML and checked as a whole.

`load` reads a file, or a city shipped with the package. docs/reference/cities.md lists every key. Shares are parts per
million, ages are completed years with both ends included, amounts of the file are major units as text and become minor
units here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from blake3 import blake3

from sycee import data
from sycee.core import documents, money
from sycee.core.documents import Table
from sycee.core.errors import SyceeError
from sycee.core.money import Currency
from sycee.programmes.file_values import Provenance, finished, positive, provenance
from sycee.sandbox.city.model import PPM

FOLDER: Final = "cities"
AGE_MAX: Final = 120
ZONES_MAX: Final = 1 << 12
SECTORS_MAX: Final = 1 << 8
PERSONS_MAX: Final = 1 << 31
QUINTILES: Final = 5

_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class ZoneRow:
    """A zone. Weights are relative to 100 for an average zone."""

    name: str
    persons: int
    area_m2: int
    x_m: int
    y_m: int
    cited: Provenance
    dormitory_weight: int = 100
    jobs_weight: int = 100  # jobs for each resident who works
    shops_weight: int = 100  # shops for each person present by day
    income_shift_ppm: int = 0  # moves the zone's households in the order of incomes
    day_persons: int = 0  # published persons present by day; compared, not fitted. 0: not published


@dataclass(frozen=True, slots=True)
class AgeGroup:
    """Weights of an age group before fitting."""

    from_age: int
    to_age: int
    female: int
    male: int
    dormitory: int  # weight of living in a dormitory

    @property
    def years(self) -> int:
        """Return the number of years of age in the group."""
        return self.to_age - self.from_age + 1

    @property
    def name(self) -> str:
        """Return the group as text."""
        return f"{self.from_age} to {self.to_age}"


@dataclass(frozen=True, slots=True)
class Band:
    """Shares of persons of some ages, in parts per million."""

    from_age: int
    to_age: int
    ppm: tuple[int, ...]
    cited: Provenance

    @property
    def name(self) -> str:
        """Return the ages as text."""
        return f"{self.from_age} to {self.to_age}"


@dataclass(frozen=True, slots=True)
class Share:
    """A share in parts per million."""

    ppm: int
    cited: Provenance


@dataclass(frozen=True, slots=True)
class Count:
    """A number of persons or households."""

    count: int
    cited: Provenance


@dataclass(frozen=True, slots=True)
class Values:
    """Several integers of one source: shares in parts per million, amounts in minor units, or percentages."""

    values: tuple[int, ...]
    cited: Provenance


@dataclass(frozen=True, slots=True)
class Work:
    """Who works, and the distance over which the number of commuters falls by a factor of e."""

    from_age: int
    to_age: int
    employed_ppm: int
    commute_m: int
    cited: Provenance


@dataclass(frozen=True, slots=True)
class SectorRow:
    """A sector of shops."""

    name: str
    basket_ppm: int
    shops: int
    distance_m: int
    online_ppm: int  # of the sector's turnover
    chain_ppm: int
    cited: Provenance


@dataclass(frozen=True, slots=True)
class ShopSizes:
    """The turnover of the shop at rank r is in proportion to (r + head) to the power of -1000 / exponent_milli."""

    exponent_milli: int
    head: int
    cited: Provenance


@dataclass(frozen=True, slots=True)
class CityFile:
    """A city file. All parts are consistent with each other."""

    name: str
    title: str
    country: str
    currency: Currency
    as_of: date
    population: Count
    zones: tuple[ZoneRow, ...]
    ages: tuple[AgeGroup, ...]
    ages_cited: Provenance
    age_bands: tuple[Band, ...]
    male: Share
    dormitories: Count | None
    households: Count
    household_sizes: Values
    couples: Share
    income_year: Values  # one amount: the mean of a person
    income_quintiles: Values
    consumption_year: Values  # one amount
    median_over_mean: Share | None
    liquid: Values
    wallets: tuple[Band, ...]  # two shares: phone, card or proxy
    wallet_total: Share | None
    disabilities: tuple[Band, ...]
    disability_total: Share | None
    work: Work
    sectors: tuple[SectorRow, ...]
    shop_sizes: ShopSizes
    digest: str  # BLAKE3-256 of the file's bytes, hexadecimal

    @property
    def consumption_ppm(self) -> int:
        """Return the mean share of income that is consumed, in parts per million."""
        return self.consumption_year.values[0] * PPM // self.income_year.values[0]


def load(source: Path | str) -> CityFile:
    """Load a city file, or a shipped city by its name.

    A text that contains a slash or ends in `.toml` is a path. Raises DocumentError for an error in the file, UsageError
    for an unknown city.
    """
    name, content = data.file(FOLDER, source, "city")
    return define(documents.parse(content, name), blake3(content).hexdigest())


def define(table: Table, digest: str) -> CityFile:
    """Return the city file of a document; `digest` is that of its bytes. Raises DocumentError for an impossible one."""
    currency = table.currency("currency")
    name = _name(table, "name")
    population = _count(table.table("population"), "persons")
    zones = tuple(_zone(each) for each in table.tables("zones"))
    _check_zones(table, zones, population.count)
    ages_table = table.table("ages")
    ages = tuple(_age_group(each) for each in ages_table.tables("groups"))
    ages_cited = finished(ages_table, provenance(ages_table))
    _check_partition(ages_table, "groups", [(each.from_age, each.to_age) for each in ages])
    dormitories = _count(table.table("dormitories"), "persons") if _has(table, "dormitories") else None
    households = _count(table.table("households"), "count")
    inhabitants = population.count - (dormitories.count if dormitories else 0)
    if not 0 < households.count <= inhabitants:
        raise table.table("households").error(
            "count", f"{households.count} households for {inhabitants} persons outside of dormitories",
            right="at least one household, and no more than persons",
        )  # fmt: skip
    income_year = _amounts(table.table("income"), "year_mean", currency)
    sectors = tuple(_sector(each) for each in table.tables("sectors"))
    _check_sectors(table, sectors)
    made = CityFile(
        name=name,
        title=table.text("title"),
        country=table.text("country"),
        currency=currency,
        as_of=table.day("as_of"),
        population=population,
        zones=zones,
        ages=ages,
        ages_cited=ages_cited,
        age_bands=_bands(table, "age_bands", ("ppm",), ages, add_up=True),
        male=_share(table.table("sex"), "male_ppm"),
        dormitories=dormitories,
        households=households,
        household_sizes=_integers(table.table("household_sizes"), "ppm", None),
        couples=_share(table.table("couples"), "ppm"),
        income_year=income_year,
        income_quintiles=_amounts(table.table("income_quintiles"), "year_means", currency, QUINTILES),
        consumption_year=_amounts(table.table("consumption"), "year_mean", currency),
        median_over_mean=_optional_share(table, "income_median", "over_mean_ppm"),
        liquid=_integers(table.table("liquid"), "quintile_months_percent", QUINTILES),
        wallets=_bands(table, "wallets", ("phone_ppm", "card_ppm"), ages),
        wallet_total=_optional_share(table, "wallet_total", "phone_ppm"),
        disabilities=_bands(table, "disabilities", ("ppm",), ages),
        disability_total=_optional_share(table, "disability_total", "ppm"),
        work=_work(table.table("work")),
        sectors=sectors,
        shop_sizes=_shop_sizes(table.table("shop_sizes")),
        digest=digest,
    )
    table.finish()
    if made.consumption_year.values[0] > income_year.values[0]:
        raise table.table("consumption").error(
            "year_mean", "consumption is above the mean income", right="an amount of at most income.year_mean"
        )
    quintiles = made.income_quintiles.values
    if list(quintiles) != sorted(quintiles) or quintiles[0] <= 0:
        raise table.table("income_quintiles").error(
            "year_means", "the means are not above zero and ascending", right="the mean of the poorest fifth first"
        )
    return made


def _has(table: Table, key: str) -> bool:
    table.offer(key)
    return key in table


def _name(table: Table, key: str) -> str:
    name = table.text(key)
    if not _NAME.fullmatch(name):
        raise table.error(
            key, f'found "{name}"', right='small letters, digits and single hyphens, such as "market-town"'
        )
    return name


def _ppm(table: Table, key: str) -> int:
    return table.integer(key, least=0, most=PPM)


def _weight(table: Table, key: str, default: int | None = None) -> int:
    return table.integer(key, default, least=0, most=PPM)


def _count(table: Table, key: str) -> Count:
    return finished(table, Count(table.integer(key, least=1, most=PERSONS_MAX), provenance(table)))


def _share(table: Table, key: str) -> Share:
    return finished(table, Share(_ppm(table, key), provenance(table)))


def _optional_share(table: Table, name: str, key: str) -> Share | None:
    return _share(table.table(name), key) if _has(table, name) else None


def _integers(table: Table, key: str, length: int | None) -> Values:
    values = table.integers(key, least=0)
    if length is not None and len(values) != length:
        raise table.error(key, f"has {len(values)} figures", right=f"{length} figures, one for each fifth")
    if not sum(values):
        raise table.error(key, "all figures are 0", right="at least one figure above 0")
    return finished(table, Values(values, provenance(table)))


def _amounts(table: Table, key: str, currency: Currency, length: int = 1) -> Values:
    """Return amounts in minor units: one text, or a list of `length` texts."""
    if length == 1:
        return finished(table, Values((positive(table, key, currency),), provenance(table)))
    right = f'{length} amounts of {currency.code} in quotes, the poorest fifth first, such as ["12000.00", …]'
    texts = table.texts(key)
    if len(texts) != length:
        raise table.error(key, f"has {len(texts)} amounts", right=right)
    try:
        values = tuple(money.parse(each, currency) for each in texts)
    except SyceeError as error:
        raise table.error(key, f"no amount of {currency.code}: {error}", right=right) from error
    return finished(table, Values(values, provenance(table)))


def _zone(table: Table) -> ZoneRow:
    row = ZoneRow(
        name=_name(table, "name"),
        persons=table.integer("persons", least=1, most=PERSONS_MAX),
        area_m2=table.integer("area_m2", least=1),
        x_m=table.integer("x_m", least=-(10**9), most=10**9),
        y_m=table.integer("y_m", least=-(10**9), most=10**9),
        cited=provenance(table),
        dormitory_weight=_weight(table, "dormitory_weight", 100),
        jobs_weight=_weight(table, "jobs_weight", 100),
        shops_weight=_weight(table, "shops_weight", 100),
        income_shift_ppm=table.integer("income_shift_ppm", 0, least=-PPM, most=PPM),
        day_persons=table.integer("day_persons", 0, least=1, most=PERSONS_MAX),
    )
    return finished(table, row)


def _age_group(table: Table) -> AgeGroup:
    group = AgeGroup(*_ages(table), _weight(table, "female"), _weight(table, "male"), _weight(table, "dormitory", 100))
    return finished(table, group)


def _ages(table: Table) -> tuple[int, int]:
    from_age = table.integer("from", least=0, most=AGE_MAX)
    return from_age, table.integer("to", least=from_age, most=AGE_MAX)


def _bands(
    table: Table, key: str, shares: Sequence[str], ages: Sequence[AgeGroup], *, add_up: bool = False
) -> tuple[Band, ...]:
    """Return bands that cover all ages, each made of whole age groups. `add_up`: their shares are one whole."""
    rows = table.tables(key)
    bands = []
    for row in rows:
        from_age, to_age = _ages(row)
        ppm = tuple(_ppm(row, share) for share in shares)
        if sum(ppm) > PPM:
            raise row.error(shares[-1], f"the shares add up to {sum(ppm)}", right=f"at most {PPM} in all")
        bands.append(finished(row, Band(from_age, to_age, ppm, provenance(row))))
    _check_partition(table, key, [(each.from_age, each.to_age) for each in bands])
    ends = {each.to_age for each in ages}
    for row, band in zip(rows, bands, strict=True):
        if band.to_age not in ends:
            raise row.error(
                "to", f"{band.to_age} is inside of an age group", right=f"one of {', '.join(map(str, sorted(ends)))}"
            )
    if bands[-1].to_age != ages[-1].to_age:
        raise rows[-1].error("to", f"ends at {bands[-1].to_age}", right=f"{ages[-1].to_age}, as the age groups do")
    whole = sum(each.ppm[0] for each in bands)
    if add_up and whole != PPM:
        raise rows[-1].error("ppm", f"the shares add up to {whole}", right=f"shares that add up to {PPM}")
    return tuple(bands)


def _check_partition(table: Table, key: str, ages: Sequence[tuple[int, int]]) -> None:
    """Raise DocumentError unless the ages begin at 0 and each row begins one year after the row before."""
    due = 0
    for row, (from_age, to_age) in zip(table.tables(key), ages, strict=True):
        if from_age != due:
            raise row.error("from", f"found {from_age}", right=f"{due}: rows are in order of age and leave no age out")
        due = to_age + 1


def _check_zones(table: Table, zones: Sequence[ZoneRow], persons: int) -> None:
    if len(zones) > ZONES_MAX:
        raise table.error("zones", f"{len(zones)} zones", right=f"at most {ZONES_MAX}")
    _check_names(table, "zones", [each.name for each in zones])
    total = sum(each.persons for each in zones)
    if total != persons:
        raise table.table("population").error(
            "persons", f"is {persons:_}, but the zones have {total:_}", right=f"{total:_}, or other zones"
        )


def _check_names(table: Table, key: str, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise table.tables(key)[place].error("name", f'"{name}" is used twice', right=f"each name in {key} once")


def _sector(table: Table) -> SectorRow:
    row = SectorRow(
        name=_name(table, "name"),
        basket_ppm=_ppm(table, "basket_ppm"),
        shops=table.integer("shops", least=1, most=PERSONS_MAX),
        distance_m=table.integer("distance_m", least=1, most=10**7),
        online_ppm=_ppm(table, "online_ppm"),
        chain_ppm=_ppm(table, "chain_ppm"),
        cited=provenance(table),
    )
    return finished(table, row)


def _check_sectors(table: Table, sectors: Sequence[SectorRow]) -> None:
    if len(sectors) > SECTORS_MAX:
        raise table.error("sectors", f"{len(sectors)} sectors", right=f"at most {SECTORS_MAX}")
    _check_names(table, "sectors", [each.name for each in sectors])
    whole = sum(each.basket_ppm for each in sectors)
    if whole > PPM:
        raise table.tables("sectors")[-1].error(
            "basket_ppm", f"the baskets add up to {whole}", right=f"at most {PPM} in all sectors together"
        )


def _work(table: Table) -> Work:
    from_age, to_age = _ages(table)
    employed = _ppm(table, "employed_ppm")
    return finished(table, Work(from_age, to_age, employed, table.integer("commute_m", least=1), provenance(table)))


def _shop_sizes(table: Table) -> ShopSizes:
    exponent = table.integer("exponent_milli", least=100, most=10_000)
    return finished(table, ShopSizes(exponent, table.integer("head", 0, least=0, most=10**6), provenance(table)))
