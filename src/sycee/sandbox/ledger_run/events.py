"""What happens on a day of a run, in the order in which operators submit it: hour, operator, step, person."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from sycee.core.arrays import Array

# Steps of a person in one hour, in this order.
OPENED, CLAIMED, TOPPED, PAID, BOUGHT = range(5)
STEPS: Final = ("wallet", "claim", "top-up", "payment", "purchase")
_FEW: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """Events of a day: columns of one length."""

    moment: Array  # int64
    operator: Array  # int64: index
    step: Array  # int64
    row: Array  # int64: of the day's decisions

    @classmethod
    def ordered(cls, parts: Sequence[tuple[int, Array, Array]], operator: Array) -> Events:
        """Return events in their order.

        parts: (step, rows, moments of all rows) of each step. operator: (k,) of each row.
        """
        row = np.concatenate([rows for _, rows, _ in parts])
        moment = np.concatenate([moments[rows] for _, rows, moments in parts])
        step = np.repeat([step for step, _, _ in parts], [rows.size for _, rows, _ in parts])
        by = operator[row]
        hours, hour = np.unique(moment, return_inverse=True)
        operators = int(by.max(initial=0)) + 1
        key = (hour.reshape(-1) * operators + by) * len(STEPS) + step
        # A stable sort of 16 bits is a radix sort.
        small = key.astype(np.uint16) if hours.size * operators * len(STEPS) <= _FEW else key
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
