"""Frames of records applied to a copy of the ledger's state, for a dry run."""

from __future__ import annotations

from sycee.core.arrays import Array
from sycee.core.result_codes import Result
from sycee.ledger.batch import prepare
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.state_copy import copied_state
from sycee.sequencer.time_zones import calendar_of


class StateCopy:
    """A copy of a state. `frame`: the last frame that it had when it was made; `frame_ns`: that frame's time."""

    def __init__(self, sequencer: Sequencer) -> None:
        """Copy the state. Raises UnavailableError as `copied_state`."""
        self.state = copied_state(sequencer)
        self.frame, self.frame_ns = self.state.sequence, self.state.now_ns

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
