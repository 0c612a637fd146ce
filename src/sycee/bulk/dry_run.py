"""What rows would be answered now: the ledger's own code applies them to a copy of its state.

The copy includes every account, purse and bound id, so the answers are those of the ledger, limits and the money that
earlier rows take included. Copying stops the writer for about a second for each GB of state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from sycee.bulk import results
from sycee.bulk.results import Results
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.memory import available_bytes
from sycee.core.records import bulk_rows
from sycee.core.records.bulk_rows import FileIds, RowCode, Rows
from sycee.database.stores import Stores
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.state import LedgerState
from sycee.sequencer.frame_time import next_time_ns
from sycee.sequencer.time_zones import calendar_of

_SHARE: Final = 2  # at most this part of the free memory


@dataclass(frozen=True, slots=True, eq=False)
class _Copied:
    """One array of a state, in memory."""

    array: Array

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.array.shape
        return shape

    def read_into(self, array: Array) -> None:
        array[...] = self.array


def copied_state(stores: Stores) -> LedgerState:
    """Return a copy of the ledger's state, which nobody else uses.

    Raises UnavailableError if it would take more than half of the free memory.
    """
    with stores.ledger.sequencer.reading() as state:
        sections, small = state.save()
        wanted = sum(array.nbytes for array in sections.values())
        free = available_bytes()
        if wanted * _SHARE * 2 > free:
            raise UnavailableError(
                f"a copy of the ledger's state takes {wanted >> 20:,} MiB twice; {free >> 20:,} MiB are free",
                hint="make the dry run on a restored copy of the bank, on another machine",
            )
        sections = {name: array.copy() for name, array in sections.items()}
    return LedgerState.load({name: _Copied(array) for name, array in sections.items()}, small)


class DryRun:
    """Answers rows as the ledger would now, one batch after another; moves no money."""

    def __init__(self, stores: Stores, file: FileIds, closed: frozenset[int]) -> None:
        """Copy the state. `closed`: accounts that no row may pay. Raises UnavailableError as `copied_state`."""
        self._state = copied_state(stores)
        self.frame = self._state.sequence  # as of which the answers are
        self._now_ns = next_time_ns(stores.clock, self._state.now_ns)
        self._calendar = calendar_of(self._state.zones, self._now_ns)
        self._file = file
        self._closed = closed

    def answer(self, rows: Rows, first: int) -> Results:
        """Return what rows would be answered, after those of earlier calls."""
        bad = bulk_rows.any_of(rows, self._closed)
        if bad.any():
            return results.not_taken(first, rows.size, bad, RowCode.PAYEE_NOT_PAYABLE)
        records = bulk_rows.records(rows, self._file, first)
        state = self._state
        batch = PreparedBatch(records)
        state.reserve(batch, available_bytes=available_bytes)
        made = state.apply(state.sequence + 1, self._now_ns, batch, self._calendar)
        found = results.of_answers(first, made)
        return Results(first, found.codes, found.repeated, np.zeros(rows.size, np.uint64), found.ledger_codes)
