"""A copy of the ledger's state, to which records are applied without a trace. Exact: the kernels are the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from sycee.core.arrays import Array
from sycee.core.result_codes import Result
from sycee.ledger.batch import prepare
from sycee.ledger.state import LedgerState
from sycee.sequencer.time_zones import calendar_of


@dataclass(frozen=True, slots=True, eq=False)
class _Memory:
    """A section of a snapshot in memory."""

    content: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.content.shape)

    def read_into(self, array: Array) -> None:
        np.copyto(array, self.content)


class StateCopy:
    """A copy of a state. `frame`: the last frame that it has; `frame_ns`: that frame's time.

    Payments wait while the tables are copied: about a second for each 5 GB.
    """

    def __init__(self, reading: Callable[[], AbstractContextManager[LedgerState]]) -> None:
        """Copy the state that `reading` yields between two frames."""
        with reading() as state:
            sections, small = state.save()
            copied = {name: _Memory(array.copy()) for name, array in sections.items()}
            self.frame, self.frame_ns = state.sequence, state.now_ns
        self.state = LedgerState.load(copied, small)

    def apply(self, records: Array, now_ns: int) -> list[Result]:
        """Apply records in frames of this time, or of the next nanosecond that is possible; return their results."""
        results: list[Result] = []
        for batch in prepare(records).split_into_frames():
            now_ns = max(now_ns, self.state.now_ns + 1)
            self.state.reserve(batch.operations)
            calendar = calendar_of(self.state.zones, now_ns)
            answers = self.state.apply(self.state.sequence + 1, now_ns, batch, calendar)
            results += [Result(code) for code in answers["code"].tolist()]
        return results
