"""The voucher model in Mesa and in mesa-frames, beside the engine: equal totals of every day, and the rates of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import metadata
from typing import Any, Final

import numpy as np

from benchmarks import voucher_model
from benchmarks.measure import Benchmark, Setting, Timing
from benchmarks.voucher_model import DAYS, TOTALS, Day, Model, Persons
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError, require
from sycee.sandbox.behaviour import layout as c
from sycee.sandbox.behaviour.layout import BASKET_BITS, PPM

ENGINE_PERSONS: Final = 1_000_000  # of the engine's rate: fewer would measure its start
LIMIT: Final = "the engine with the same rule and days, for 1,000,000 persons"

# Totals of days, and seconds of all steps: of the clock, and of processors.
Run = Callable[[Model, Persons, Iterator[Day]], tuple[Array, float, float]]


def measured(setting: Setting, *, package: str, peer: Run) -> Iterator[tuple[Timing, Timing]]:
    """Run a peer and the engine on the same persons and draws. Raises IntegrityError if a total of a day differs."""
    persons = max(setting.operations // DAYS, 1)
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError as error:
        hint = "pip install --no-deps --require-hashes -r requirements/peers.txt"
        raise UnavailableError(f"{package} is not installed", hint=hint) from error
    setting.say("building the town")
    model = voucher_model.model()
    same = voucher_model.totals_of(model.engine(persons))
    attributes = voucher_model.persons_of(model, persons)
    for _ in range(setting.repeats):
        setting.say(f"{package}, {persons:,} persons")
        totals, seconds, cpu_s = peer(model, attributes, voucher_model.days_of(model, persons))
        differ = [TOTALS[at] for at in np.flatnonzero((totals != same).any(axis=0))]
        require(not differ, f"{package} and the engine differ in {', '.join(differ)}")
        setting.say(f"the engine, {ENGINE_PERSONS:,} persons")
        start, cpu = time.perf_counter(), time.process_time()
        model.engine(ENGINE_PERSONS)
        limit = Timing(ENGINE_PERSONS * DAYS, time.perf_counter() - start)
        by_cpu = (cpu_s / persons) / ((time.process_time() - cpu) / ENGINE_PERSONS)
        timing = Timing(persons * DAYS, seconds)
        spent = int(totals[:, TOTALS.index("label")].sum()) / 100
        timing.note = (
            f"{package} {version}; the engine computes {limit.rate_per_s / timing.rate_per_s:,.0f} times as many "
            f"person-days a second, and {by_cpu:,.0f} times as many in a second of a processor; all totals of all "
            f"days are equal, {spent:,.2f} spent"
        )
        yield timing, limit


def mesa_run(model: Model, persons: Persons, days: Iterator[Day]) -> tuple[Array, float, float]:
    """Return totals and seconds of Mesa: one agent for each person, whose step is the rule in Python."""
    import mesa

    rules = model.setting.rules
    payback, forward_share, beside, clear = (rules[at] for at in (c.R_PAYBACK, c.R_FORWARD, c.R_BESIDE, c.R_CLEAR))
    beside_size, own_money = rules[c.R_BESIDE_SIZE], rules[c.R_OWN_MONEY]

    class Person(mesa.Agent):  # type: ignore[misc]
        def __init__(
            self, town: Any, number: int, month: int, liquid: int, state: tuple[bool, bool, bool, int]
        ) -> None:
            super().__init__(town)
            self.number, self.month, self.liquid = number, month, liquid
            self.is_member, self.willing, self.never, self.propensity = state
            self.is_claimed = False
            self.balance = self.debt = 0

        def step(self) -> None:
            town, number = self.model, self.number
            day, totals = town.day, town.totals
            planned = 0
            if town.went_out[number] < day.out:
                planned = self.month * town.basket[number] >> BASKET_BITS
                totals[0] += planned
            waits = self.is_member and day.claims and not self.is_claimed and self.willing
            if waits and town.claimed[number] < day.claim:
                self.is_claimed, self.balance = True, voucher_model.AMOUNT
                totals[1] += 1
            if self.debt and planned:
                back = min(self.debt, planned * payback // PPM)
                planned -= back
                self.debt -= back
                totals[8] += back
            if self.balance and planned and day.open and not self.never and town.used[number] < day.use:
                self.pay(planned, number, totals)
            if day.ends and self.is_member:
                totals[9] += self.balance if self.is_claimed else voucher_model.AMOUNT
                self.is_member, self.balance = False, 0

        def pay(self, planned: int, number: int, totals: list[int]) -> None:
            town, available = self.model, self.balance
            own_max = max(self.liquid, planned) if own_money and town.beside[number] < beside else 0
            target = planned
            if town.cleared[number] < clear:
                target = available
                if own_max:
                    target += available * beside_size // PPM * (2 * town.size[number]) // PPM
                target = max(target, planned)
            new = min(available, target) * self.propensity // PPM
            payment = min(max(target, planned + new), available + own_max)
            label = min(payment, available)
            new = min(min(new, payment) * (PPM - forward_share) // PPM, payment)
            substituted = min(planned, payment - new)
            forward = payment - new - substituted
            self.balance -= label
            self.debt += forward
            for at, amount in zip(range(2, 8), (1, label, payment - label, substituted, forward, new), strict=True):
                totals[at] += amount

    class Town(mesa.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(seed=1)
            columns = (persons.member, persons.willing, persons.never, persons.propensity)
            for number, (month, liquid, *state) in enumerate(
                zip(*(each.tolist() for each in (persons.month, persons.liquid, *columns)), strict=True)
            ):
                Person(self, number, month, liquid, tuple(state))

        def begin(self, day: Day) -> None:
            self.day, self.totals = day, [0] * len(TOTALS)
            self.went_out, self.basket, self.claimed = (
                each.tolist() for each in (day.went_out, day.basket, day.claimed)
            )
            self.used, self.beside, self.cleared, self.size = (
                each.tolist() for each in (day.used, day.beside, day.cleared, day.size)
            )

        def step(self) -> None:
            self.agents.do("step")  # the order of persons changes nothing

    town, found, seconds, cpu_s = Town(), [], 0.0, 0.0
    for day in days:
        town.begin(day)
        start, cpu = time.perf_counter(), time.process_time()
        town.step()
        seconds += time.perf_counter() - start
        cpu_s += time.process_time() - cpu
        found.append(town.totals)
    return np.array(found, np.int64), seconds, cpu_s


def frames_run(model: Model, persons: Persons, days: Iterator[Day]) -> tuple[Array, float, float]:
    """Return totals and seconds of mesa-frames: one Polars frame of persons, whose step is expressions of columns."""
    import polars as pl
    from mesa_frames import AgentSetPolars, ModelDF

    rules = model.setting.rules
    payback, forward_share, beside, clear = (rules[at] for at in (c.R_PAYBACK, c.R_FORWARD, c.R_BESIDE, c.R_CLEAR))
    beside_size, own_money = rules[c.R_BESIDE_SIZE], rules[c.R_OWN_MONEY]
    col, when, least, most = pl.col, pl.when, pl.min_horizontal, pl.max_horizontal

    class People(AgentSetPolars):  # type: ignore[misc]
        def __init__(self, town: Any) -> None:
            super().__init__(town)
            count = persons.month.size
            columns = {name: getattr(persons, name) for name in Persons.__slots__}
            zero = np.zeros(count, np.int64)
            self += pl.DataFrame(
                {"unique_id": np.arange(count), **columns, "is_claimed": zero > 0, "balance": zero, "debt": zero}
            )

        def step(self) -> None:
            day: Day = self.model.day
            drawn = ("went_out", "basket", "claimed", "used", "beside", "cleared", "size")
            frame = self.agents.with_columns(pl.Series(name, getattr(day, name)) for name in drawn)
            planned = (
                when(col("went_out") < day.out).then(col("month") * col("basket") // (1 << BASKET_BITS)).otherwise(0)
            )
            claims = (
                col("member") & ~col("is_claimed") & col("willing") & (col("claimed") < day.claim)
                if day.claims
                else pl.lit(value=False)
            )  # fmt: skip
            frame = frame.with_columns(planned=planned, claims=claims).with_columns(
                is_claimed=col("is_claimed") | col("claims"),
                balance=when(col("claims")).then(voucher_model.AMOUNT).otherwise(col("balance")),
                paid_back=least(col("debt"), col("planned") * payback // PPM),
            )
            frame = frame.with_columns(left=col("planned") - col("paid_back"), debt=col("debt") - col("paid_back"))
            uses = (col("balance") > 0) & (col("left") > 0) & ~col("never") & (col("used") < day.use) & bool(day.open)
            own = (col("beside") < beside) & bool(own_money)
            frame = frame.with_columns(uses=uses, own_max=when(own).then(most(col("liquid"), col("left"))).otherwise(0))
            sized = col("balance") * beside_size // PPM * (2 * col("size")) // PPM
            filled = col("balance") + when(col("own_max") > 0).then(sized).otherwise(0)
            target = when(col("cleared") < clear).then(most(filled, col("left"))).otherwise(col("left"))
            frame = frame.with_columns(target=target)
            frame = frame.with_columns(wanted=least(col("balance"), col("target")) * col("propensity") // PPM)
            frame = frame.with_columns(
                payment=when(col("uses"))
                .then(least(most(col("target"), col("left") + col("wanted")), col("balance") + col("own_max")))
                .otherwise(0)
            )
            frame = frame.with_columns(
                label=least(col("payment"), col("balance")),
                new=least(col("wanted"), col("payment")) * (PPM - forward_share) // PPM,
            )
            frame = frame.with_columns(substituted=least(col("left"), col("payment") - col("new")))
            frame = frame.with_columns(
                forward=col("payment") - col("new") - col("substituted"), balance=col("balance") - col("label")
            )
            rest = when(col("is_claimed")).then(col("balance")).otherwise(voucher_model.AMOUNT)
            returned = when(col("member")).then(rest).otherwise(0) if day.ends else pl.lit(0)
            frame = frame.with_columns(debt=col("debt") + col("forward"), returned=returned)
            sums = (
                *("planned", "claims", "uses", "label"),
                *("own", "substituted", "forward", "new", "paid_back", "returned"),
            )
            row = frame.with_columns(own=col("payment") - col("label")).select(sums).sum()
            self.model.totals = [int(row[name][0]) for name in sums]
            if day.ends:
                frame = frame.with_columns(member=pl.lit(value=False), balance=pl.lit(0, pl.Int64))
            self.agents = frame.select(self.agents.columns)

    class Town(ModelDF):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(seed=1)
            self.agents += People(self)

    town, found, seconds, cpu_s = Town(), [], 0.0, 0.0
    for day in days:
        town.day = day
        start, cpu = time.perf_counter(), time.process_time()
        town.step()
        seconds += time.perf_counter() - start
        cpu_s += time.process_time() - cpu
        found.append(town.totals)
    return np.array(found, np.int64), seconds, cpu_s


BENCHMARKS: Final = (
    Benchmark(
        "sandbox-peer-mesa",
        "a voucher model in Mesa: person-days of 20,000 persons on 20 days, each an agent",
        None,
        20_000 * DAYS,
        LIMIT,
        partial(measured, package="mesa", peer=mesa_run),
        quick=2_000 * DAYS,
    ),
    Benchmark(
        "sandbox-peer-mesa-frames",
        "the same in mesa-frames: person-days of 1,000,000 persons on 20 days, one frame of Polars",
        None,
        1_000_000 * DAYS,
        LIMIT,
        partial(measured, package="mesa-frames", peer=frames_run),
        quick=20_000 * DAYS,
    ),
)
