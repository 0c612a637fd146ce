"""Interface between the sequencer and a log of frames: the journal of a folder now, a replicated log later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool, FrameBuffer
from sycee.journal.frame import Anchor, CalendarEntry, Digest, Frame, FrameKind


class Log(Protocol):
    """An ordered, durable log of frames with one writer."""

    ledger_id: bytes  # the ledger's 16 bytes
    epoch: int  # changes when another writer continues the log
    # Whether a frame may be applied while it is appended. A local journal either commits the frame or stops the ledger,
    # so no other frame can replace it. A replicated log may commit a different frame at the same sequence: the frame
    # must then be applied only after `append` returned.
    apply_may_overlap: bool

    @property
    def buffers(self) -> BufferPool | None:
        """Return buffers for records, in which this log builds frames in place; None: the log copies records."""

    @property
    def findings(self) -> list[str]:
        """Return one sentence for each repair or cut that recovery made."""

    @property
    def last_sequence(self) -> int:
        """Return the sequence of the newest committed frame, 0 for none."""

    @property
    def last_time_ns(self) -> int:
        """Return the time of the newest committed frame."""

    @property
    def anchor(self) -> Anchor:
        """Return sequence, time and digest of the newest committed frame."""

    def recover(
        self,
        after: Anchor | None = None,
        *,
        anchors: Sequence[Anchor] = (),
        give_up: Callable[[int], None] | None = None,
    ) -> Iterator[Frame]:
        """Yield every frame in order, or those after an anchor; afterwards the log accepts new frames.

        `anchors`: frames that are known to be committed. `give_up(sequence)` is called before one of them is cut with
        `cut_tail`.
        """

    def append(
        self,
        *,
        kind: FrameKind,
        time_ns: int,
        records: Array,
        calendar: Sequence[CalendarEntry],
        envelopes: Array,
        movement_digest: Digest,
        buffer: FrameBuffer | None = None,
    ) -> int:
        """Write one frame and return its sequence once it is committed: durable, and never replaced.

        `buffer`: the one of `buffers` that holds the records. Raises UnavailableError if the frame is not committed, or
        if that cannot be determined.
        """

    def release(self, buffer: FrameBuffer) -> None:
        """Return a buffer to `buffers`, after the last read of its contents."""

    def close(self, *, clean: bool, movement_digest: bytes) -> None:
        """Close the log. Write a CLOSE frame if the state is `clean` and every numbered frame was written."""
