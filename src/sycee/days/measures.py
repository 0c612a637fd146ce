"""Measures of a settled day. A payment that waits for the closing net settlement waits until the close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.days.simulate import Run
from sycee.netting.queue import Integers

DECILES: Final = 10
POINTS: Final = 84  # moments in `Measures.waiting`: four an hour for 21 hours


@dataclass(frozen=True, slots=True)
class Measures:
    """Measures of one run. Shares are from 0 to 1; delays are fractions of the day, weighted by value unless
    stated otherwise.

    Attributes
    ----------
    value_share, count_share : float
        Share of the payments that settled before the close, by value and by count.
    delay, delay_count : float
        Mean delay, by value and by count.
    delay_large : float
        Mean delay of the largest tenth of the payments, by value.
    delay_urgent : float
        Mean delay of the urgent payments, by value; 0 if there are none.
    decile_shares, decile_delays : tuple[float, ...]
        Value share and delay of each tenth of the payments by size, the smallest first.
    waiting : tuple[float, ...]
        Value of the waiting payments at equally spaced moments, as a fraction of the day's value.
    funding : int
        Minor units that participants must add at the closing net settlement, because their positions do not cover it.
    funding_ratio : float
        The day's value over prefund plus funding.

    """

    value_share: float
    count_share: float
    delay: float
    delay_count: float
    delay_large: float
    delay_urgent: float
    decile_shares: tuple[float, ...]
    decile_delays: tuple[float, ...]
    waiting: tuple[float, ...]
    funding: int
    funding_ratio: float


def measure(run: Run) -> Measures:
    """Return the measures of a run."""
    day = run.day
    amounts = day.amounts.astype(np.float64)
    ends = np.where(run.is_settled, run.settled, day.seconds)
    waits = (ends - day.times) / day.seconds
    tenth = np.empty(day.count, np.int64)
    tenth[np.argsort(day.amounts, kind="stable")] = np.arange(day.count) * DECILES // day.count
    sums = np.bincount(tenth, amounts, DECILES)
    settled = np.bincount(tenth, amounts * run.is_settled, DECILES)
    delays = np.bincount(tenth, amounts * waits, DECILES)
    funding = closing_funding(run)
    urgent = float(amounts[day.urgent].sum())
    return Measures(
        value_share=float(settled.sum() / sums.sum()),
        count_share=float(run.is_settled.mean()),
        delay=float(delays.sum() / sums.sum()),
        delay_count=float(waits.mean()),
        delay_large=_ratio(delays[-1], sums[-1]),
        delay_urgent=_ratio(float((amounts * waits)[day.urgent].sum()), urgent),
        decile_shares=tuple(_ratio(*pair) for pair in zip(settled, sums, strict=True)),
        decile_delays=tuple(_ratio(*pair) for pair in zip(delays, sums, strict=True)),
        waiting=_waiting(day.times, ends, amounts, day.seconds),
        funding=funding,
        funding_ratio=day.value / max(1, int(run.prefund.sum()) + funding),
    )


def closing_funding(run: Run) -> int:
    """Return the minor units that the closing net settlement needs beyond the positions at the opening.

    The amount depends only on the day's net positions, so it is equal for every policy.
    """
    return int(np.maximum(run.day.net_outflows() - run.prefund, 0).sum())


def _ratio(part: float, whole: float) -> float:
    return float(part) / float(whole) if whole else 0.0


def _waiting(
    times: Integers, ends: Integers, amounts: np.ndarray[tuple[int], np.dtype[np.float64]], seconds: int
) -> tuple[float, ...]:
    moments = np.arange(1, POINTS + 1) * seconds // POINTS
    arrived = _sums_before(times, amounts, moments)
    left = _sums_before(ends, amounts, moments)
    return tuple(float(each) for each in (arrived - left) / amounts.sum())


def _sums_before(
    times: Integers, amounts: np.ndarray[tuple[int], np.dtype[np.float64]], moments: Integers
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return the sum of the amounts before each moment."""
    order = np.argsort(times, kind="stable")
    totals = np.concatenate([np.zeros(1), np.cumsum(amounts[order])])
    return totals[np.searchsorted(times[order], moments, side="left")]
