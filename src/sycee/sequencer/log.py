"""The interface between the sequencer and a log of frames: the journal of a folder now, a replicated log later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from sycee.core.arrays import Array
from sycee.core.buffers import BufferPool, FrameBuffer
from sycee.journal.frame import CalendarEntry, Digest, Frame, FrameKind, Mark


class Log(Protocol):
    """An ordered, durable log of frames with one writer."""

    ledger_id: bytes  # 16 bytes, of the ledger whose log it is
    epoch: int  # changes whenever another writer takes the log over
    # Whether a frame may be applied while it is appended. A local journal either commits the frame or stops the ledger,
    # so the state can never hold a frame that another one replaces. A replicated log may commit another frame in its
    # place: there a frame is applied only after `append` returned.
    apply_may_overlap: bool

    @property
    def buffers(self) -> BufferPool | None:
        """Return memory for records, around which this log builds frames in place; None: it copies them."""
        ...

    @property
    def findings(self) -> list[str]:
        """Return what recovery cut or repaired, one sentence each."""
        ...

    @property
    def last_sequence(self) -> int:
        """Return the sequence of the newest committed frame, 0 for none."""
        ...

    @property
    def last_time_ns(self) -> int:
        """Return the time of the newest committed frame."""
        ...

    @property
    def mark(self) -> Mark:
        """Return sequence, time and digest of the newest committed frame."""
        ...

    def recover(
        self,
        after: Mark | None = None,
        *,
        known: Sequence[Mark] = (),
        give_up: Callable[[int], None] | None = None,
    ) -> Iterator[Frame]:
        """Yield every frame in order, or those after a mark; afterwards the log accepts new frames.

        `known`: frames that were committed. `give_up(sequence)` is called before one of them is cut on a person's
        decision.
        """
        ...

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

        `buffer`, of `buffers`: the one that holds the records. Raises UnavailableError where the frame is not
        committed, or where that is unknown.
        """
        ...

    def release(self, buffer: FrameBuffer) -> None:
        """Take back a buffer of `buffers` when no view of it is read any more."""
        ...

    def prepare(self, *, kind: FrameKind, time_ns: int) -> object:
        """Number a frame. One that is never written keeps `close` from saying that all is well."""
        ...

    def close(self, *, clean: bool, movement_digest: bytes) -> None:
        """Close the log; write a CLOSE frame if the end is `clean` and every numbered frame was written."""
        ...
