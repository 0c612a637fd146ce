"""The limits that the disk sets: the same bytes in the same places, with nothing thought about them."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Timing, timed
from sycee.core.limits import SEGMENT_BYTES
from sycee.journal import segments
from sycee.journal.disk import DiskFile, RealDisk
from sycee.journal.frame import padded_bytes
from sycee.journal.journal import SPARE_FRACTION
from sycee.journal.segments import LEDGER_ID_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, Spare

Array = np.ndarray[Any, Any]


class SegmentWriter:
    """Writes bytes where the journal would write its frames.

    Its files are made as the journal makes its own: zero-filled beside the writes when an eighth of the one at hand is
    used, and then renamed.
    """

    def __init__(self, folder: Path) -> None:
        self._disk = RealDisk(folder)
        self._disk.make_folder()
        self._spare = Spare(self._disk, SEGMENT_BYTES)
        self._number = 0
        self._offset = 0
        self._file: DiskFile | None = None
        self._next_segment()

    def write(self, data: memoryview) -> None:
        """Write `data` and make it durable."""
        self.pwrite(data)
        self.fdatasync()

    def pwrite(self, data: memoryview) -> None:
        """Write `data`, in the next file if it does not fit this one."""
        if self._offset + len(data) > SEGMENT_BYTES:
            self._next_segment()
        assert self._file is not None
        self._file.pwrite(data, self._offset)
        self._offset += len(data)

    def fdatasync(self) -> None:
        """Make what was written durable, and see to the next file."""
        assert self._file is not None
        self._file.fdatasync()
        if self._offset * SPARE_FRACTION > SEGMENT_BYTES:
            self._spare.prepare()

    def close(self) -> None:
        """Let the files go."""
        self._spare.discard()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next_segment(self) -> None:
        self._number += 1
        header = SegmentHeader(bytes(LEDGER_ID_BYTES), self._number, 1, 1, bytes(32), SEGMENT_BYTES)
        file = self._spare.take()
        segments.publish(self._disk, file, segments.SPARE_NAME, header)
        if self._file is not None:
            self._file.close()
        self._file = file
        self._offset = SEGMENT_HEADER_BYTES


def written(folder: Path, batches: list[Array]) -> Timing:
    """Each batch's records, padded to the length of its frame: one pwrite and one fdatasync."""
    writer = SegmentWriter(folder)
    flat = [batch.reshape(-1).view(np.uint8) for batch in batches]
    frames = [np.resize(one, padded_bytes(batch.size)).data for one, batch in zip(flat, batches, strict=True)]
    try:
        return timed(frames, writer.write, sum(batch.size for batch in batches))
    finally:
        writer.close()
        shutil.rmtree(folder)


def read(folder: Path, operations: int) -> Timing:
    """Every segment of the journal in `folder` once, from the disk, whole."""
    paths = sorted(folder.glob("*.segment"))
    forget(folder)
    start = time.perf_counter()
    timing = timed(paths, _read_whole, operations)
    timing.total_s = time.perf_counter() - start
    return timing


def forget(folder: Path) -> None:
    """Ask the system to drop what it remembers of the files in `folder`, so that they are read from the disk."""
    for path in folder.glob("*.segment"):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fdatasync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _read_whole(path: Path) -> None:
    data = np.empty(path.stat().st_size, np.uint8)
    with path.open("rb", buffering=0) as file:
        done = 0
        while done < data.size:
            count = file.readinto(data[done:].data)
            if not count:
                break
            done += count
