"""Run a design on a city: `run(city, design, parameters, variant, seed, days)` returns a `RunOutcome`.

Persons are independent of each other given the draw, so threads take chunks of persons and add to their own tables,
which are summed at the end. Sums of integers do not depend on the order: any number of threads and any size of chunk
give the same outcome.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import UsageError
from sycee.core.worker_thread import processors
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour import market as markets
from sycee.sandbox.behaviour import people as peoples
from sycee.sandbox.behaviour import setting as settings
from sycee.sandbox.behaviour import variants
from sycee.sandbox.behaviour.decide import Person
from sycee.sandbox.behaviour.design import NONE, Design, Shops
from sycee.sandbox.behaviour.market import SIZE_BOUNDS, Market
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.behaviour.people import People
from sycee.sandbox.behaviour.setting import Setting
from sycee.sandbox.behaviour.variants import Variant
from sycee.sandbox.city.model import City
from sycee.sandbox.engine import columns as e
from sycee.sandbox.engine import kernel, respending
from sycee.sandbox.engine.outcome import RunOutcome

CHUNK: Final = 16_384  # persons per task of a thread
PEOPLE_MAX: Final = 1 << 32
SEED_MAX: Final = (1 << 63) - 1
ALL: Final = (1 << 64) - 1  # a ticket is never above this threshold

Progress = Callable[[int, int], None]  # (done, total) in persons


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A city prepared for runs of one rule about shops: persons as decisions read them, and a market."""

    city: City
    people: People
    market: Market
    shops: Shops | None  # the rule about shops; None where they were given one by one


def prepare(city: City, shops: Shops | Array | None = None, size_bounds: tuple[int, ...] = SIZE_BOUNDS) -> Place:
    """Return a city prepared for many runs. Arguments and errors as `market.of_city`."""
    rule = None if isinstance(shops, np.ndarray) else shops or Shops()
    return Place(city, peoples.of_city(city), markets.of_city(city, shops, size_bounds), rule)


def run(
    city: City | Place,
    design: Design,
    parameters: Parameters,
    variant: Variant | str = variants.LIQUID_WEALTH,
    seed: int = 0,
    days: int = 30,
    *,
    people: int | None = None,
    grants: Array | None = None,
    from_days: Array | None = None,
    with_baseline: bool = True,
    with_purses: bool = False,
    threads: int | None = None,
    chunk: int = CHUNK,
    progress: Progress | None = None,
) -> RunOutcome:
    """Return what happens with a design, beside what happens without it, under the same draws.

    city: a city, or one that `prepare` made ready, which must have the shops of the design.
    people: number of persons; beyond the city's, person p has the row p % rows of the city and its own draws.
    grants: (people,) int64, the amount of each recipient in minor units, if a real draw has chosen them; 0 for others.
    from_days: (people,) int64, the first day on which a recipient can claim; day 0 for all without it.
    with_baseline: False omits purchases of persons without a grant, which a programme does not change. It is much
        faster for a lottery; totals without a programme are then 0.
    with_purses: keep the purse of each person at the end, 64 bytes a person.
    threads, chunk: do not change the outcome.

    Raises UsageError for impossible arguments.
    """
    place = city if isinstance(city, Place) else prepare(city, design.shops)
    chosen = variants.named(variant) if isinstance(variant, str) else variant
    setting = settings.make(design, parameters, chosen, place.market, days)
    count = len(place.people) if people is None else people
    _check(place, design, seed, count, chunk, {"grants": grants, "from_days": from_days})
    setting.rules[c.R_SEED] = seed
    columns = Columns.of(place.people, design)
    workers = min(threads or processors(), max(-(-count // chunk), 1))
    thresholds, amounts = _draw(place, setting, columns, count, workers, chunk, given=grants is not None)
    purses = np.zeros((count if with_purses else 0, c.PURSE_FIELDS), np.int64)
    none = np.zeros(0, np.int64)
    given = arguments(setting)

    def work(tables: Tables, first: int, last: int) -> None:
        kernel.run(
            *given,
            *columns.arrays,
            first,
            last,
            setting.steps,
            int(with_baseline),
            thresholds,
            amounts,
            none if grants is None else grants[first:last],
            none if from_days is None else from_days[first:last],
            *tables.arrays,
            purses[first:last] if with_purses else purses,
        )

    tables = _sum([Tables.empty(place.market, days) for _ in range(workers)], work, count, chunk, progress)
    return _outcome(place, setting, chosen, seed, count, tables, purses if with_purses else None, with_baseline)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The columns of persons in the order and the types of the kernel's arguments."""

    arrays: tuple[Array, ...]

    @staticmethod
    def of(people: People, design: Design) -> Columns:
        """Return the columns under a design, which decides who is eligible."""
        return Columns(
            (
                _column(people.zone, np.uint16),
                _column(people.works_in, np.uint16),
                _column(people.month, np.int64),
                _column(people.liquid, np.int64),
                people.deciles,
                people.flags(design),
            )
        )

    def person(self, number: int, steps: int) -> Person:
        """Return one person for the plain rule, with amounts in price steps of `steps` minor units."""
        zone, works, month, liquid, deciles, flags = (int(column[number % column.size]) for column in self.arrays)
        return Person(zone, works, month // steps, liquid // steps, deciles >> 4, deciles & 15, flags)


def _column(values: Array, kind: type[np.generic]) -> Array:
    """Return a column that a kernel accepts. Columns read from a file cannot be written, and are copied."""
    return np.require(values, kind, ("C_CONTIGUOUS", "WRITEABLE"))


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Sums of one thread: arrays in the order of the kernel's arguments."""

    arrays: tuple[Array, ...]

    @staticmethod
    def empty(market: Market, days: int) -> Tables:
        """Return tables of zeros."""
        cells, groups, shops = market.cells, market.size_classes * c.DECILES, market.merchant.size
        shapes = (
            (days, cells),
            (days, groups),
            (shops,),
            (days, cells, e.EFFECTS),
            (days, groups, e.EFFECTS),
            (shops,),
            (shops, 2),
            (days, e.FLOWS),
        )
        return Tables(tuple(np.zeros(shape, np.int64) for shape in shapes))


def arguments(setting: Setting) -> tuple[Any, ...]:
    """Return the arrays of a setting in the order of the kernel's arguments."""
    market = setting.market
    return (
        np.array(setting.rules, np.int64),
        setting.days_table,
        setting.start,
        setting.propensity,
        setting.baskets,
        setting.sectors,
        setting.open_sectors,
        market.offsets,
        market.entries,
    )


def _check(
    place: Place, design: Design, seed: int, count: int, chunk: int, columns: Mapping[str, Array | None]
) -> None:
    if design.how != NONE and place.shops is not None and place.shops != design.shops:
        raise UsageError(
            f"the city was prepared for {place.shops}, and the design has {design.shops}",
            hint="prepare(city, design.shops)",
        )
    if not 0 <= seed <= SEED_MAX:
        raise UsageError(f"the seed {seed} is impossible", hint=f"a whole number from 0 to {SEED_MAX}")
    if not 0 <= count <= PEOPLE_MAX or (count and not len(place.people)):
        raise UsageError(f"{count} persons are impossible", hint=f"up to {PEOPLE_MAX}, of a city with persons")
    if chunk < 1:
        raise UsageError(f"a chunk of {chunk} persons is impossible", hint="at least 1")
    for name, column in columns.items():
        if column is not None and (column.dtype != np.int64 or column.shape != (count,)):
            raise UsageError(
                f"{name} have the shape {column.shape} and the type {column.dtype}", hint=f"({count},) int64"
            )


def _sum(
    tables: list[Tables], work: Callable[[Tables, int, int], None], count: int, chunk: int, progress: Progress | None
) -> tuple[Array, ...]:
    """Give chunks of persons to one thread for each of `tables`, and return the sum of the tables."""
    lock = threading.Lock()
    following = iter(range(0, count, chunk))
    done = 0

    def loop(own: Tables) -> None:
        nonlocal done
        while True:
            with lock:
                first = next(following, None)
            if first is None:
                return
            last = min(first + chunk, count)
            work(own, first, last)
            with lock:
                done += last - first
                if progress is not None:
                    progress(done, count)

    if len(tables) == 1:
        loop(tables[0])
        return tables[0].arrays
    with ThreadPoolExecutor(len(tables)) as pool:
        try:
            for each in [pool.submit(loop, own) for own in tables]:
                each.result()
        except BaseException:  # Ctrl-C: the threads end after their current chunk
            with lock:
                following = iter(range(0))
            raise
    return tuple(np.sum(parts, axis=0) for parts in zip(*(each.arrays for each in tables), strict=True))


def _draw(
    place: Place, setting: Setting, columns: Columns, count: int, workers: int, chunk: int, *, given: bool
) -> tuple[Array, Array]:
    """Return the ticket of the last recipient of each class: (classes,) uint64, and the amounts.

    Amounts are (classes,) int64, or (rows,) where the size of a household decides.
    """
    design = setting.design
    if design.how == NONE or given:
        return np.zeros(0, np.uint64), np.zeros(1, np.int64)
    if design.amount_by_size:
        by_size = np.array(design.amount_by_size, np.int64)
        amounts = by_size[np.minimum(place.people.household_size.astype(np.int64), by_size.size) - 1]
    else:
        amounts = np.array([amount for _, amount in design.classes] or [design.amount], np.int64)
    wanted = [number for number, _ in design.classes] or [design.recipients]
    if wanted == [0]:
        return np.array([ALL], np.uint64), amounts
    population = design.population or count
    ends = np.cumsum([round(number * count / population) if population != count else number for number in wanted])
    rules = np.array(setting.rules, np.int64)
    thresholds = [_ticket(rules, columns.arrays[-1], count, int(end), workers, chunk) for end in ends]
    return np.array(thresholds, np.uint64), amounts


def _ticket(rules: Array, flags: Array, count: int, rank: int, workers: int, chunk: int) -> int:
    """Return the ticket with this rank from 1 among all that are drawn from; ALL if there are no more of them."""
    prefix = 0
    if rank < 1:
        return 0
    for shift in (48, 32, 16, 0):

        def work(own: Tables, first: int, last: int, prefix: int = prefix, shift: int = shift) -> None:
            kernel.tickets(rules, flags, first, last, np.uint64(prefix), shift, own.arrays[0])

        (counts,) = _sum([Tables((np.zeros(e.BUCKETS, np.int64),)) for _ in range(workers)], work, count, chunk, None)
        ends = np.cumsum(counts)
        if shift == 48 and int(ends[-1]) <= rank:
            return ALL
        bucket = int(np.searchsorted(ends, rank))
        rank -= int(ends[bucket - 1]) if bucket else 0
        prefix = prefix << 16 | bucket
    return prefix


def _decile_people(people: People, count: int) -> Array:
    """Return the number of persons of each decile among the first `count`, whose rows repeat: (10,) int64."""
    whole, rest = divmod(count, max(len(people), 1))
    decile = people.deciles >> 4
    found: Array = whole * np.bincount(decile, minlength=c.DECILES) + np.bincount(decile[:rest], minlength=c.DECILES)
    return found


def _outcome(
    place: Place,
    setting: Setting,
    variant: Variant,
    seed: int,
    count: int,
    tables: tuple[Array, ...],
    purses: Array | None,
    with_baseline: bool,
) -> RunOutcome:
    market, days, step = place.market, setting.days, setting.steps
    cell_base, group_base, shop_base, cell_effect, group_effect, shop_change, shop_paid, flows = tables
    counts = (e.F_REGISTERED, e.F_RECIPIENTS, e.F_CLAIMS, e.F_USERS)
    flows = np.where(np.isin(np.arange(e.FLOWS), counts), flows, flows * step)
    money = np.full(e.EFFECTS, step, np.int64)
    money[e.PAYMENTS] = 1
    cell_effect, group_effect = cell_effect * money, group_effect * money
    change = cell_effect[:, :, e.NEW] + cell_effect[:, :, e.FORWARD] - cell_effect[:, :, e.PAID_BACK]
    change = change + cell_effect[:, :, e.MOVED]
    inside = change[:, : market.outside_cell].sum(axis=1)
    shops_base = np.zeros(len(place.city.merchants), np.int64)
    shops_change = np.zeros(len(place.city.merchants), np.int64)
    shops_base[market.merchant], shops_change[market.merchant] = shop_base * step, shop_change * step
    shops_paid = np.zeros((len(place.city.merchants), 2), np.int64)
    shops_paid[market.merchant] = shop_paid * step
    if purses is not None and step != 1:
        purses = purses.copy()
        for field in (c.BALANCE, c.DEBT, c.SPENT, c.RETURNED, c.GRANT):
            purses[:, field] *= step
    return RunOutcome(
        city=place.city.name,
        design=setting.design,
        variant=variant.name,
        seed=seed,
        days=days,
        people=count,
        parameters=setting.parameters.digest(),
        with_baseline=with_baseline,
        cell_base=cell_base.reshape(days, market.cells) * step,
        cell_effect=cell_effect,
        group_base=group_base.reshape(days, market.size_classes, c.DECILES) * step,
        group_effect=group_effect.reshape(days, market.size_classes, c.DECILES, e.EFFECTS),
        sectors=market.sectors,
        flows=flows,
        shops_base=shops_base,
        shops_change=shops_change,
        shops_paid=shops_paid,
        decile_people=_decile_people(place.people, count),
        respend=respending.rounds(inside, setting.parameters),
        purses=purses,
    )
