"""Settle many days under many policies, with the same days for each, and compare in pairs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np

from sycee.core.errors import UsageError
from sycee.days import synthetic
from sycee.days.assumptions import Assumptions
from sycee.days.bounds import Bounds, bounds
from sycee.days.measures import Measures, measure
from sycee.days.policies import Policy
from sycee.days.simulate import prefund, run

LOW, HIGH = 5, 95  # percentiles of the range
OURS: Final = "sycee"

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median over the days, with the 5th and 95th percentile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of at least one value."""
        low, high = np.percentile(np.array(values), [LOW, HIGH])
        return cls(float(median(values)), float(low), float(high))

    def per_cent_text(self) -> str:
        """Return the spread of shares in per cent, without the sign: "12.34 [11.00, 13.90]"."""
        return f"{100 * self.median:.2f} [{100 * self.low:.2f}, {100 * self.high:.2f}]"


@dataclass(frozen=True)
class Level:
    """All days at one prefund.

    Attributes
    ----------
    value_per_prefund : int
        The day's value over the prefund.
    measures : dict[str, tuple[Measures, ...]]
        By name of the policy: one for each day, in the order of the seeds.
    bounds : tuple[Bounds, ...]
        One for each day.
    values, prefunds : tuple[int, ...]
        The value and the prefund of each day, minor units.

    """

    value_per_prefund: int
    measures: dict[str, tuple[Measures, ...]]
    bounds: tuple[Bounds, ...]
    values: tuple[int, ...]
    prefunds: tuple[int, ...]

    def spread(self, policy: str, measure: str) -> Spread:
        """Return the spread of a measure, by the name of its field."""
        return Spread.of([getattr(each, measure) for each in self.measures[policy]])

    def difference(self, measure: str, policy: str, other: str) -> Spread:
        """Return the spread of the differences day by day: `policy` minus `other`."""
        pairs = zip(self.measures[policy], self.measures[other], strict=True)
        return Spread.of([getattr(one, measure) - getattr(two, measure) for one, two in pairs])

    def ahead(self, policy: str, other: str) -> int:
        """Return on how many days a policy settles more value and with less delay than another one."""
        pairs = zip(self.measures[policy], self.measures[other], strict=True)
        return sum(one.value_share > two.value_share and one.delay < two.delay for one, two in pairs)


@dataclass(frozen=True)
class Comparison:
    """Policies side by side on the same days."""

    assumptions: Assumptions
    seeds: tuple[int, ...]
    policies: tuple[Policy, ...]
    levels: tuple[Level, ...]


def compare(
    assumptions: Assumptions,
    policies: Sequence[Policy],
    *,
    seeds: Sequence[int],
    values_per_prefund: Sequence[int],
    progress: Progress = lambda done, total: None,
) -> Comparison:
    """Settle the day of each seed under each policy, with each prefund. Raises UsageError for an empty list."""
    if not policies or not seeds or not values_per_prefund:
        raise UsageError("a comparison needs a policy, a seed and a prefund")
    done, total = 0, len(seeds) * len(values_per_prefund) * (len(policies) + 1)
    days = [synthetic.make(assumptions, seed) for seed in seeds]
    levels = []
    for ratio in values_per_prefund:
        found: dict[str, list[Measures]] = {policy.name: [] for policy in policies}
        limits = []
        for day in days:
            positions = prefund(day, ratio)
            for policy in policies:
                found[policy.name].append(measure(run(day, policy, positions)))
                done += 1
                progress(done, total)
            limits.append(bounds(day, positions))
            done += 1
            progress(done, total)
        levels.append(
            Level(
                ratio,
                {name: tuple(each) for name, each in found.items()},
                tuple(limits),
                tuple(day.value for day in days),
                tuple(int(prefund(day, ratio).sum()) for day in days),
            )
        )
    return Comparison(assumptions, tuple(seeds), tuple(policies), tuple(levels))
