"""Page-aligned memory for frames, reused: allocating a megabyte takes longer than copying one."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Final

import numpy as np

from sycee.core.arrays import Bytes

Checksum = Callable[[memoryview], bytes]

FREE_MAX: Final = 8  # free buffers of a pool: only a few frames are in work at one time


class FrameBuffer:
    """Memory in which a log builds a frame around records that are already in place."""

    __slots__ = ("_record_offset", "body_checksum", "memory")

    def __init__(self, frame_bytes: int, record_offset: int) -> None:
        # Anonymous mappings are whole pages, as direct writes to a disk require.
        self.memory: memoryview = memoryview(mmap.mmap(-1, frame_bytes))
        self.body_checksum: bytes | None = None  # of a frame of these records without envelopes; None: unknown
        self._record_offset = record_offset

    def records(self, record_bytes: int) -> Bytes:
        """Return the part for `record_bytes` bytes of records: (record_bytes,) uint8, a writable view."""
        return np.frombuffer(self.memory, np.uint8, record_bytes, self._record_offset)


class BufferPool:
    """Frame buffers of one log, safe for many threads: `append` and `pop` of a list are atomic."""

    def __init__(self, frame_bytes: int, record_offset: int, checksum: Checksum | None = None) -> None:
        """Create a pool. `checksum`: returns the body checksum of a frame of these records; None: not needed."""
        self._shape = frame_bytes, record_offset
        self._checksum = checksum
        self._free: list[FrameBuffer] = []

    def acquire(self) -> FrameBuffer:
        """Return a buffer that nobody else uses until it is released."""
        try:
            buffer = self._free.pop()
        except IndexError:
            return FrameBuffer(*self._shape)
        buffer.body_checksum = None
        return buffer

    def compute_checksum(self, buffer: FrameBuffer, records: Bytes) -> None:
        """Set the body checksum of complete `records` in a buffer, on the core whose cache holds them."""
        if self._checksum is not None:
            buffer.body_checksum = self._checksum(records.data)

    def release(self, buffer: FrameBuffer) -> None:
        """Return a buffer to the pool. The caller must not read any view of it afterwards."""
        if len(self._free) < FREE_MAX:
            self._free.append(buffer)
