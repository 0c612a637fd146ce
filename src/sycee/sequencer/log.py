"""What the sequencer needs of a log of frames: today the journal in a folder, tomorrow a replicated stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from sycee.journal.frame import CalendarEntry, Digest, Frame, FrameKind, Mark

Array = np.ndarray[Any, Any]


class Log(Protocol):
    """An ordered, durable log of frames with one writer."""

    ledger_id: bytes  # 16 bytes, of the ledger whose log it is
    epoch: int  # changes whenever another writer takes the log over

    @property
    def findings(self) -> list[str]:
        """What recovery cut or repaired, one sentence each."""
        ...

    @property
    def last_sequence(self) -> int:
        """Newest durable frame, 0 for none."""
        ...

    @property
    def last_time_ns(self) -> int:
        """Its time."""
        ...

    @property
    def mark(self) -> Mark:
        """Its place, time and digest: where a snapshot says that it stands."""
        ...

    def recover(
        self,
        after: Mark | None = None,
        *,
        known: Sequence[Mark] = (),
        give_up: Callable[[int], None] | None = None,
    ) -> Iterator[Frame]:
        """Every frame in order, or those after a mark; afterwards the log takes new ones.

        `known` are frames that were durable; `give_up` is told which of them a person gives up, before it is cut.
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
        room: memoryview | None = None,
    ) -> int:
        """Write one frame and return its sequence once it is durable.

        `room`: FRAME_BYTES_MAX bytes in which the records stand already, at FRAME_HEADER_BYTES.
        """
        ...

    def prepare(self, *, kind: FrameKind, time_ns: int) -> object:
        """Number a frame. One that is never written keeps `close` from saying that all is well."""
        ...

    def close(self, *, clean: bool, movement_digest: bytes) -> None:
        """Let the log go; say in it that all is well if that is so and all that was begun was done."""
        ...
