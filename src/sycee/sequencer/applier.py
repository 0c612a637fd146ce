"""Applying frames to the state: one code path for the writer, for replay and, later, for a follower."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError, UnavailableError
from sycee.journal.frame import CalendarEntry, Frame, FrameKind
from sycee.ledger import batch as batches
from sycee.ledger import layout
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.state import LedgerState
from sycee.sequencer import rules_version

NO_ANSWERS = np.zeros(0, layout.ANSWER)


class Applier:
    """Applies frames to one state, in order of their sequence. For one thread."""

    def __init__(self, state: LedgerState) -> None:
        self.state = state

    def reserve(self, batch: PreparedBatch, available_bytes: Callable[[], int] | None = None) -> int:
        """Make room in memory for a frame of this batch, before it is journaled; return the most movements it makes.

        `available_bytes`: how much memory there is; None for a frame that was journaled, which must fit. Raises
        UnavailableError, with nothing changed, where memory cannot hold it.
        """
        return self.state.reserve(batch, available_bytes=available_bytes)

    def apply(
        self,
        kind: FrameKind,
        sequence: int,
        time_ns: int,
        batch: PreparedBatch,
        calendar: Sequence[CalendarEntry],
    ) -> Array:
        """Apply one frame for which `reserve` made room; return its answers, (n,) layout.ANSWER."""
        if kind is FrameKind.OPERATIONS:
            return self.state.apply(sequence, time_ns, batch, calendar)
        self.state.pass_time(time_ns, calendar, sequence=sequence)
        return NO_ANSWERS

    def replay(self, frame: Frame) -> None:
        """Apply a frame that was read back from the log.

        Raises IntegrityError where the movements computed so far differ from those that the frame's writer had
        computed, and UnavailableError where the frame follows rules that this release does not know.
        """
        batch = batches.from_frame(frame.records)
        if frame.kind is FrameKind.OPERATIONS:
            if batch.in_order and self.state.is_new(batch.operations):
                batch = batch.with_all_new()
            self.reserve(batch)
        # Compared only now: the digest of the frame before is computed on another thread meanwhile.
        if frame.movement_digest != self.state.movement_digest:
            raise _movements_error(self.state, frame)
        self.apply(frame.kind, frame.sequence, frame.time_ns, batch, frame.calendar)
        rules_version.check_rules(self.state)


def _movements_error(state: LedgerState, frame: Frame) -> Exception:
    if state.rules < rules_version.RULES_OLDEST:
        return UnavailableError(
            f"this ledger follows version {state.rules} of the rules, older than {rules_version.RULES_OLDEST}, "
            "the oldest that this release replays",
            hint=f"Sycee {rules_version.RELEASES[state.rules]} replays it. Nothing was changed.",
        )
    return IntegrityError(
        f"{frame.place}: frame {frame.sequence}: this release computes other movements for the frames before it than "
        "the one that wrote it",
        hint="The bytes are whole, so it is the program that differs: use the release that wrote the ledger, and "
        "report this as a defect. Nothing was changed.",
    )
