"""Apply frames to the state: one code path for the writer, for replay and, later, for a replica."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UnavailableError
from sycee.core.records import layout
from sycee.journal.frame import CalendarEntry, Frame, FrameKind
from sycee.ledger import batch as batches
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.state import LedgerState
from sycee.sequencer import rules_version

NO_ANSWERS = np.zeros(0, layout.ANSWER)


class Applier:
    """Applies frames to one state, in order of sequence. For one thread."""

    def __init__(self, state: LedgerState) -> None:
        self.state = state

    def apply(
        self,
        kind: FrameKind,
        sequence: int,
        time_ns: int,
        batch: PreparedBatch,
        calendar: Sequence[CalendarEntry],
    ) -> Array:
        """Apply one frame for which `LedgerState.reserve` was called; return its results, (n,) layout.ANSWER."""
        if kind is FrameKind.OPERATIONS:
            return self.state.apply(sequence, time_ns, batch, calendar)
        self.state.pass_time(time_ns, calendar, sequence=sequence)
        return NO_ANSWERS

    def replay(self, frame: Frame) -> None:
        """Apply a frame that was read from the log.

        Raises IntegrityError if the movements computed so far differ from those that the frame's writer computed, and
        UnavailableError if the frame follows rules that this release does not support.
        """
        batch = batches.from_frame(frame.records)
        if frame.kind is FrameKind.OPERATIONS:
            if batch.in_order and self.state.is_all_new(batch.operations):
                batch = batch.with_all_new()
            self.state.reserve(batch)
        # Compare after `reserve`: another thread computes the previous frame's digest concurrently.
        if frame.movement_digest != self.state.movement_digest:
            raise _movements_error(self.state, frame)
        self.apply(frame.kind, frame.sequence, frame.time_ns, batch, frame.calendar)
        rules_version.check_rules(self.state)


def _movements_error(state: LedgerState, frame: Frame) -> Exception:
    if state.rules < rules_version.RULES_OLDEST:
        return UnavailableError(
            f"this ledger follows version {state.rules} of the rules; this release replays versions from "
            f"{rules_version.RULES_OLDEST} on",
            hint=rules_version.replay_hint(state.rules),
        )
    return IntegrityError(
        f"{frame.location}: frame {frame.sequence}: the digest of the movements before this frame differs from the one "
        "that this release computes",
        hint="The file is intact, so the release differs: use the release that wrote the ledger, and report this as "
        "a defect. Nothing was changed.",
    )
