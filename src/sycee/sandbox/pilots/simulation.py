"""Outcomes of a pilot on its synthetic city: one run for one draw of parameters, one variant and one seed.

A `Value` is keyed by outcome, date and sector. Rates of zero persons or of no money are None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple

import numpy as np

from sycee.core import money
from sycee.core.arrays import Array
from sycee.sandbox.behaviour.parameters import Parameters
from sycee.sandbox.engine.outcome import EFFECT_NAMES, RunOutcome
from sycee.sandbox.engine.run import Place, run
from sycee.sandbox.pilots import description as names
from sycee.sandbox.pilots import town
from sycee.sandbox.pilots.description import Description

PEOPLE: Final = 40_000
WITHIN_HORIZON: Final = frozenset({names.MPC, names.MPC_OF_ISSUED, names.OWN_MONEY_PER_SUBSIDY})


class Key(NamedTuple):
    """One figure: the date is the last day that it counts; None for consumption within the horizon."""

    outcome: str
    date: date | None
    sector: str | None  # of `sector_share`; of `size_share` the upper turnover of a year in major units


@dataclass(frozen=True, slots=True, eq=False)
class Simulation:
    """A pilot prepared for runs: its description and its city, for one draw of facts that it omits."""

    description: Description
    place: Place

    @staticmethod
    def of(description: Description, numbers: Sequence[float] = (0.5, 0.5, 0.5, 0.5)) -> Simulation:
        """Return the simulation of a pilot. numbers: in (0, 1), for absent facts and the basket, as `town.facts`."""
        return Simulation(description, town.place(description, town.facts(description, numbers)))

    def run(self, parameters: Parameters, variant: str, seed: int, people: int = PEOPLE) -> RunOutcome:
        """Return what happens. Persons beyond the town's rows are copies with their own draws."""
        design = town.design(self.description, self.place, people)
        return run(
            self.place, design, parameters, variant, seed, self.description.days, people=people, with_baseline=False
        )

    def values(self, outcome: RunOutcome) -> dict[Key, float | None]:
        """Return every figure that the description asks for, at each of its dates; at the end without any."""
        made = self.description
        last = made.first + timedelta(days=outcome.days - 1)
        found: dict[Key, float | None] = {}
        for name in made.ask.outcomes:
            if name in WITHIN_HORIZON:
                found[Key(name, None, None)] = _within_horizon(outcome, made, name)
                continue
            for when in made.ask.dates or (last,):
                until = made.day(when) + 1
                if name == names.SECTOR_SHARE:
                    found |= self._shares(name, when, outcome.by_sector()[:until], self.sector_names())
                elif name == names.SIZE_SHARE:
                    sizes = np.cumsum(outcome.by_size()[:until], axis=1)[:, :-1]
                    found |= self._shares(name, when, sizes, self.size_names(), total=outcome.effect("label")[:until])
                else:
                    found[Key(name, when, None)] = _rate(outcome, name, until, 10**made.currency.digits)
        return found

    def sector_names(self) -> list[str]:
        """Return the names of the town's sectors, and of purchases outside."""
        return [*(sector.name for sector in self.place.city.sectors), "outside"]

    def size_names(self) -> list[str]:
        """Return the upper turnovers of the size classes, in major units."""
        code = money.currency(self.place.city.currency)
        return [money.format(bound, code) for bound in self.place.market.size_bounds]

    def _shares(
        self, name: str, when: date, effects: Array, groups: list[str], total: Array | None = None
    ) -> dict[Key, float | None]:
        label = effects[:, :, EFFECT_NAMES.index("label")].sum(axis=0)
        whole = int(label.sum()) if total is None else int(total.sum())
        return {Key(name, when, group): float(label[at]) / whole if whole else None for at, group in enumerate(groups)}


def _within_horizon(outcome: RunOutcome, made: Description, name: str) -> float | None:
    until = made.design.spend_from + made.ask.horizon
    change = int(outcome.consumption_change()[:until].sum())
    spent = int(outcome.flow("spent")[:until].sum())
    if name == names.MPC_OF_ISSUED:
        return _ratio(change, int(outcome.flow("issued")[:until].sum()))
    return _ratio(change - spent if name == names.OWN_MONEY_PER_SUBSIDY else change, spent)


def _rate(outcome: RunOutcome, name: str, until: int, minor_of_major: int) -> float | None:
    def flow(column: str) -> int:
        return int(outcome.flow(column)[:until].sum())

    if name == names.CLAIM_RATE:
        return _ratio(flow("claims"), flow("recipients"))
    if name == names.SPENT_OF_CLAIMED:
        return _ratio(flow("spent"), flow("claimed"))
    if name == names.SPENT_OF_ISSUED:
        return _ratio(flow("spent"), flow("issued"))
    payments = int(outcome.effect("payments")[:until].sum())
    if name == names.PAYMENTS_PER_CLAIMER:
        return _ratio(payments, flow("claims"))
    if name == names.PAYMENT_MEAN:
        return _ratio(flow("spent"), payments * minor_of_major)
    return _ratio(int(outcome.effect("own")[:until].sum()), flow("spent"))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
