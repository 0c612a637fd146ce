"""What the sequencer needs of a log of frames: today the journal in a folder, tomorrow a replicated stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from sycee.journal.frame import CalendarEntry, Frame, FrameKind


class Log(Protocol):
    """An ordered, durable log of frames with one writer."""

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

    def recover(self) -> Iterator[Frame]:
        """Every frame in order; afterwards the log takes new ones."""
        ...

    def append(
        self, *, kind: FrameKind, time_ns: int, records: np.ndarray[Any, Any], calendar: Sequence[CalendarEntry]
    ) -> int:
        """Write one frame and return its sequence once it is durable."""
        ...

    def close(self) -> None:
        """End cleanly and let the log go."""
        ...
