"""Limits of the disk: the same bytes at the same positions, without a ledger."""

from __future__ import annotations

import mmap
import os
import shutil
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.measure import BATCH, Timing, timed
from sycee.core.limits import FRAME_ALIGNMENT_BYTES, SEGMENT_BYTES
from sycee.journal import segments
from sycee.journal.disk import DiskFile, RealDisk
from sycee.journal.frame import padded_bytes
from sycee.journal.journal import LARGE_FRAME_BYTES, SPARE_FRACTION
from sycee.journal.segments import LEDGER_ID_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Spare

FRAMES_MAX: Final = 248  # two million operations suffice to measure the disk
READ_BYTES: Final = 16 << 20


class SegmentWriter:
    """Writer of bytes at the positions of the journal's frames.

    Its files are made by the journal's own code: concurrently, once an eighth of the current file is used, zero-filled
    for small frames, then renamed.
    """

    def __init__(self, folder: Path) -> None:
        self._disk = RealDisk(folder)
        self._disk.make_folder()
        self._spare = Spare(self._disk, SEGMENT_BYTES)
        self._number = 0
        self._offset = self._frame_bytes = 0
        self._file: DiskFile | None = None
        self._next_segment()

    def write(self, data: memoryview) -> None:
        self.pwrite(data)
        self.fdatasync()

    def pwrite(self, data: memoryview) -> None:
        """Write `data`, in the next file if the current file is full."""
        if self._offset + len(data) > self._spare.segment_bytes:
            self._next_segment()
        assert self._file is not None
        self._file.pwrite(data, self._offset)
        self._frame_bytes = len(data)
        self._offset += len(data)

    def fdatasync(self) -> None:
        """Make the written data durable, and prepare the next file."""
        assert self._file is not None
        self._file.fdatasync()
        if self._offset * SPARE_FRACTION > self._spare.segment_bytes:
            self._spare.prepare(written=self._frame_bytes < LARGE_FRAME_BYTES)

    def close(self) -> None:
        self._spare.discard()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_segment(self) -> None:
        self._number += 1
        file = self._spare.pop()
        header = SegmentHeader(bytes(LEDGER_ID_BYTES), self._number, 1, 1, bytes(32), self._spare.segment_bytes)
        segments.publish(self._disk, file, segments.SPARE_NAME, header)
        if self._file is not None:
            self._file.close()
        self._file = file
        self._offset = SEGMENT_HEADER_BYTES


def written(folder: Path, operations: int) -> Timing:
    """Write frames of 8,064 records for this many operations, up to FRAMES_MAX: one pwrite and one fdatasync each."""
    count = min(-(-operations // BATCH), FRAMES_MAX)
    records = min(BATCH, operations)
    return _written(folder, np.random.default_rng(5).bytes(padded_bytes(records)), count, records)


def synced(folder: Path, count: int) -> Timing:
    """Write blocks of 4 KiB with one pwrite and one fdatasync each: the minimum for durable data."""
    return _written(folder, bytes(FRAME_ALIGNMENT_BYTES), count, 1)


def _written(folder: Path, data: bytes, count: int, operations: int) -> Timing:
    buffer = mmap.mmap(-1, len(data))  # page-aligned like the journal's buffers, so that the kernel need not copy
    buffer[:] = data
    writer = SegmentWriter(folder)
    try:
        timing = timed([memoryview(buffer)] * count, writer.write, count * operations)
    finally:
        writer.close()
        shutil.rmtree(folder)
    timing.name = "disk"
    return timing


def read(paths: list[Path], operations: int) -> Timing:
    """Read these files once from the disk."""
    forget(paths)
    timing = timed(paths, _read_whole, operations)
    timing.name = "disk"
    return timing


def forget(paths: list[Path]) -> None:
    """Drop these files from the page cache, so that they are read from the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _read_whole(path: Path) -> None:
    buffer = memoryview(bytearray(READ_BYTES))
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
