"""Page-aligned memory for frames, used again: asking for a new megabyte takes longer than copying one."""

from __future__ import annotations

import mmap
from typing import Final

import numpy as np

from sycee.core.arrays import Array

KEPT_MAX: Final = 8  # free buffers that a pool keeps: a few frames are under way at a time


class FrameBuffer:
    """Memory in which a log can build a frame around records that are already there."""

    __slots__ = ("_record_offset", "memory")

    def __init__(self, frame_bytes: int, record_offset: int) -> None:
        # Anonymous mappings are whole pages, as direct writes to a disk need.
        self.memory: memoryview = memoryview(mmap.mmap(-1, frame_bytes))
        self._record_offset = record_offset

    def records(self, record_bytes: int) -> Array:
        """Return the part that holds `record_bytes` of records: (record_bytes,) uint8, a writable view."""
        return np.frombuffer(self.memory, np.uint8, record_bytes, self._record_offset)


class BufferPool:
    """Frame buffers of one log. Safe for many threads: a list's own `append` and `pop` are atomic."""

    def __init__(self, frame_bytes: int, record_offset: int) -> None:
        self._shape = frame_bytes, record_offset
        self._free: list[FrameBuffer] = []

    def acquire(self) -> FrameBuffer:
        """Return a buffer that is in use nowhere else, until it is released."""
        try:
            return self._free.pop()
        except IndexError:
            return FrameBuffer(*self._shape)

    def release(self, buffer: FrameBuffer) -> None:
        """Take a buffer back. The caller must hold no view of it any more, or never read that view again."""
        if len(self._free) < KEPT_MAX:
            self._free.append(buffer)
