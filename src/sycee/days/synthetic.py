"""Make a synthetic day of payments from a seed, in integers. The same seed gives the same day on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from sycee.days.assumptions import MILLION, THOUSAND, Assumptions
from sycee.netting.queue import Indexes, Integers

SEED_MAX: Final = 2**63 - 1

_CONTEXT: Final = "sycee 2026-11-28 days: a synthetic day of payments between banks"
_TRIES: Final = 12  # receivers that are drawn for a payment, of which the first possible one is taken
_LEVELS: Final = 1 << 26  # equally likely places in the distribution of amounts


@dataclass(frozen=True)
class Day:
    """Payments of one day in order of arrival.

    Attributes
    ----------
    assumptions : Assumptions
    seed : int
    times : int64 [payments]
        Seconds after the opening; ascending.
    senders, receivers : int32 [payments]
    amounts : int64 [payments]
        Minor units.
    urgent : bool [payments]
    weights : int64 [participants]
        Expected size of each participant, known before the day.

    """

    assumptions: Assumptions
    seed: int
    times: Integers
    senders: Indexes
    receivers: Indexes
    amounts: Integers
    urgent: NDArray[np.bool_]
    weights: Integers

    @property
    def banks(self) -> int:
        """Return the number of participants."""
        return len(self.weights)

    @property
    def count(self) -> int:
        """Return the number of payments."""
        return len(self.amounts)

    @property
    def value(self) -> int:
        """Return the sum of all amounts."""
        return int(self.amounts.sum())

    @property
    def seconds(self) -> int:
        """Return the length of the session."""
        return self.assumptions.seconds

    def net_outflows(self) -> Integers:
        """Return what each participant pays out net over the whole day: int64 [participants]."""
        net = np.zeros(self.banks, np.int64)
        np.add.at(net, self.senders, self.amounts)
        np.subtract.at(net, self.receivers, self.amounts)
        return net


def make(assumptions: Assumptions, seed: int) -> Day:
    """Make the day of a seed, from 0 to `SEED_MAX`."""
    draws = _Draws(seed)
    count = assumptions.payments
    weights = MILLION // (np.arange(assumptions.count, dtype=np.int64) + assumptions.head)
    ends = np.cumsum(weights)
    senders = np.searchsorted(ends, draws.below("senders", count, int(ends[-1])), side="right")
    receivers = _receivers(assumptions, draws, senders, ends)
    amounts = _amounts(assumptions, draws)
    amounts = np.minimum(amounts, _largest(assumptions, amounts, weights)[np.maximum(senders, receivers)])
    senders, receivers = _balanced(assumptions, draws, senders, receivers, amounts)
    times = _times(assumptions, draws)
    order = np.argsort(times, kind="stable")
    return Day(
        assumptions,
        seed,
        times[order],
        senders[order].astype(np.int32),
        receivers[order].astype(np.int32),
        amounts[order],
        (draws.below("urgent", count, THOUSAND) < assumptions.urgent)[order],
        weights,
    )


class _Draws:
    """Named streams of integers under one seed, from BLAKE3: NumPy does not promise equal streams across versions."""

    def __init__(self, seed: int) -> None:
        self._seed = seed.to_bytes(8, "little")

    def below(self, purpose: str, count: int, end: int) -> Integers:
        """Return integers in [0, end), end at most 2**32: int64 [count]."""
        raw = blake3(self._seed + purpose.encode(), derive_key_context=_CONTEXT).digest(8 * count)
        high = np.frombuffer(raw, "<u8") >> np.uint64(32)
        return (high * np.uint64(end) >> np.uint64(32)).astype(np.int64)


def _receivers(assumptions: Assumptions, draws: _Draws, senders: Integers, ends: Integers) -> Integers:
    """Draw receivers by weight: another bank, and of pairs outside the core only a part."""
    count, core = len(senders), assumptions.core
    drawn = np.searchsorted(ends, draws.below("receivers", count * _TRIES, int(ends[-1])), side="right")
    drawn = drawn.reshape(count, _TRIES)
    stays = draws.below("outside the core", count * _TRIES, THOUSAND).reshape(count, _TRIES) < assumptions.outside_core
    one = senders[:, None]
    possible = (drawn != one) & ((drawn < core) | (one < core) | stays)
    receivers: Integers = drawn[np.arange(count), possible.argmax(axis=1)]
    none = ~possible.any(axis=1)
    receivers[none] = np.where(senders[none] == 0, 1, 0)  # the largest other bank
    return receivers


def _amounts(assumptions: Assumptions, draws: _Draws) -> Integers:
    """Draw amounts from the quantiles, with straight lines between them."""
    places = np.array([part * _LEVELS // MILLION for part, _ in assumptions.quantiles], np.int64)
    amounts = np.array([amount for _, amount in assumptions.quantiles], np.int64)
    drawn = draws.below("amounts", assumptions.payments, _LEVELS)
    at = np.searchsorted(places, drawn, side="right") - 1
    low, width = amounts[at], places[at + 1] - places[at]
    whole, rest = (amounts[at + 1] - low) // width, (amounts[at + 1] - low) % width
    found: Integers = low + whole * (drawn - places[at]) + rest * (drawn - places[at]) // width
    return found


def _largest(assumptions: Assumptions, amounts: Integers, weights: Integers) -> Integers:
    """Return the largest payment that each participant makes or receives: int64 [participants]."""
    part = int(amounts.sum()) * assumptions.largest // THOUSAND
    return np.array([max(1, part * int(weight) // int(weights.sum())) for weight in weights], np.int64)


def _balanced(
    assumptions: Assumptions, draws: _Draws, senders: Integers, receivers: Integers, amounts: Integers
) -> tuple[Integers, Integers]:
    """Turn payments around that would pay from the bank with the larger net outflow to the other."""
    turns = draws.below("balancing", len(senders), THOUSAND) < assumptions.balancing
    net = [0] * assumptions.count
    out, into = senders.tolist(), receivers.tolist()
    for place, (amount, may_turn) in enumerate(zip(amounts.tolist(), turns.tolist(), strict=True)):
        one, other = out[place], into[place]
        if may_turn and net[one] > net[other]:
            one, other = out[place], into[place] = other, one
        net[one] += amount
        net[other] -= amount
    return np.array(out, np.int64), np.array(into, np.int64)


def _times(assumptions: Assumptions, draws: _Draws) -> Integers:
    ends = np.cumsum(np.array(assumptions.arrivals, np.int64))
    hours = np.searchsorted(ends, draws.below("hours", assumptions.payments, int(ends[-1])), side="right")
    found: Integers = hours * 3_600 + draws.below("seconds", assumptions.payments, 3_600)
    return found
