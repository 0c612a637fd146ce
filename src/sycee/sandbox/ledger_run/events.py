"""What happens on a day of a run, in the order in which operators submit it: hour, operator, step, person.

Refunds come last in their hour: the operator of a shop submits them, after those of the payers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sycee.core.arrays import Array

# Steps of a person in one hour, in this order.
OPENED, CLAIMED, TOPPED, PAID, BOUGHT, REFUNDED = range(6)
STEPS: Final = ("wallet", "claim", "top-up", "payment", "purchase", "refund")
_FEW: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Events of a day: columns of one length."""

    moment: Array  # int64
    operator: Array  # int64: index
    step: Array  # int64
    row: Array  # int64: of the day's decisions

    @classmethod
    def ordered(cls, parts: Sequence[tuple[int, Array, Array, Array]]) -> Events:
        """Return events in their order. parts: (step, rows, moments and operators of all rows) of each step."""
        row = np.concatenate([rows for _, rows, _, _ in parts])
        moment = np.concatenate([moments[rows] for _, rows, moments, _ in parts])
        by = np.concatenate([operator[rows] for _, rows, _, operator in parts])
        step = np.repeat([step for step, _, _, _ in parts], [rows.size for _, rows, _, _ in parts])
        hours, hour = np.unique(moment, return_inverse=True)
        operators = int(by.max(initial=0)) + 1
        turn = 2 * hour.reshape(-1) + (step == REFUNDED)
        key = (turn * operators + by) * len(STEPS) + step
        # A stable sort of 16 bits is a radix sort.
        small = key.astype(np.uint16) if 2 * hours.size * operators * len(STEPS) <= _FEW else key
        order = np.argsort(small, kind="stable")
        return cls(moment[order], by[order], step[order], row[order])

    @property
    def size(self) -> int:
        """Number of events."""
        return int(self.moment.size)

    def hours(self) -> Iterator[tuple[int, slice]]:
        """Yield each moment with its events."""
        starts = np.flatnonzero(np.diff(self.moment, prepend=-1)).tolist()
        for first, end in pairwise([*starts, self.size]):
            yield int(self.moment[first]), slice(first, end)
