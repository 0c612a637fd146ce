"""Compute the answers to rows as of now: the ledger's own code applies them to a copy of its state.

The copy includes every account, purse and bound id, so the answers are those of the ledger, limits and the money that
earlier rows take included. Frames of payments continue while the state is copied.
"""

from __future__ import annotations

import numpy as np

from sycee.bulk import results
from sycee.bulk.results import RowResults
from sycee.core.memory import available_bytes
from sycee.core.records import bulk_rows
from sycee.core.records.bulk_rows import FileIds, RowCode, Rows
from sycee.database.stores import Stores
from sycee.ledger.batch import PreparedBatch
from sycee.sequencer.frame_time import next_time_ns
from sycee.sequencer.state_copy import copied_state
from sycee.sequencer.time_zones import calendar_of


class DryRun:
    """Answers rows as the ledger would now, one batch after another; moves no money."""

    def __init__(self, stores: Stores, file: FileIds, unpayable: frozenset[int]) -> None:
        """Copy the state. `unpayable`: accounts that no row may pay. Raises UnavailableError as `copied_state`."""
        self._state = copied_state(stores.ledger.sequencer)
        self.frame = self._state.sequence  # as of which the answers are
        self._now_ns = next_time_ns(stores.clock, self._state.now_ns)
        self._calendar = calendar_of(self._state.zones, self._now_ns)
        self._file = file
        self._unpayable = unpayable

    def answer(self, rows: Rows, first: int) -> RowResults:
        """Return what rows would be answered, after those of earlier calls."""
        bad = bulk_rows.any_of(rows, self._unpayable)
        if bad.any():
            return results.not_taken(first, rows.size, bad, RowCode.PAYEE_NOT_PAYABLE)
        records = bulk_rows.records(rows, self._file, first)
        state = self._state
        batch = PreparedBatch(records)
        state.reserve(batch, available_bytes=available_bytes)
        made = state.apply(state.sequence + 1, self._now_ns, batch, self._calendar)
        found = results.of_answers(first, made)
        return RowResults(first, found.codes, found.repeated, np.zeros(rows.size, np.uint64), found.ledger_codes)
