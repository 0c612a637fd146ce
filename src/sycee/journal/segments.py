"""Segments: the files that contain frames, and the spare segment that is created in advance."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from threading import Thread
from typing import Any, Final, NamedTuple

import numpy as np

from sycee.core.arrays import Bytes
from sycee.core.errors import SyceeError
from sycee.core.limits import FRAME_ALIGNMENT_BYTES
from sycee.journal.disk import Disk, DiskFile
from sycee.journal.frame import FORMAT_VERSION, Flaw, checksum_holds, checksummed, newer

SEGMENT_MAGIC: Final = b"SYCEESEG"
SEGMENT_HEADER_BYTES: Final = FRAME_ALIGNMENT_BYTES  # so that the first frame is aligned too
LEDGER_ID_BYTES: Final = 16
TEMPORARY_SUFFIX: Final = ".temp"
SPARE_NAME: Final = f"spare{TEMPORARY_SUFFIX}"
LARGE_TIMES: Final = 4  # size of a segment whose space is reserved without writing, in normal segments

# magic, version, reserved, segment bytes, ledger id, number, epoch, reserved, first sequence, previous digest
_HEADER: Final = struct.Struct("<8sHHI16sQIIQ32s")
_NAME: Final = re.compile(r"(\d{12})\.segment")

assert _HEADER.size == 88


class SegmentHeader(NamedTuple):
    """The first block of a segment."""

    ledger_id: bytes
    number: int
    epoch: int
    first_sequence: int  # of the frame at byte 4096
    previous_digest: bytes  # of the frame before that one
    segment_bytes: int


def segment_name(number: int) -> str:
    """Return the file name of a segment; numbers begin at 1."""
    return f"{number:012}.segment"


def segment_numbers(disk: Disk) -> list[int]:
    """Return the numbers of the segments in the folder, in order. Other files are ignored."""
    return [int(match[1]) for name in disk.names() if (match := _NAME.fullmatch(name))]


def encode_header(header: SegmentHeader) -> bytes:
    """Return the first block of a segment, SEGMENT_HEADER_BYTES long."""
    fixed = _HEADER.pack(
        SEGMENT_MAGIC,
        FORMAT_VERSION,
        0,
        header.segment_bytes,
        header.ledger_id,
        header.number,
        header.epoch,
        0,
        header.first_sequence,
        header.previous_digest,
    )
    return checksummed(fixed, SEGMENT_HEADER_BYTES)


def decode_header(data: memoryview) -> SegmentHeader:
    """Return the header in the first block of a segment. Raises Flaw, or UnavailableError for a newer version."""
    block = data[:SEGMENT_HEADER_BYTES]
    if len(block) < SEGMENT_HEADER_BYTES:
        raise Flaw(f"the file ends after {len(block)} bytes, within its segment header")
    if bytes(block[: len(SEGMENT_MAGIC)]) != SEGMENT_MAGIC:
        raise Flaw("its segment header has no magic number")
    if not checksum_holds(block):
        raise Flaw("its segment header does not match the header's checksum")
    fields: tuple[Any, ...] = _HEADER.unpack_from(block)
    _, version, _, segment_bytes, ledger_id, number, epoch, _, first_sequence, previous_digest = fields
    if version > FORMAT_VERSION:
        raise newer(f"segment {number} has format version {version}")
    return SegmentHeader(ledger_id, number, epoch, first_sequence, previous_digest, segment_bytes)


def read_whole(file: DiskFile) -> Bytes:
    """Return all bytes of a file as a new read-only array."""
    data: Bytes = np.empty(file.size(), dtype=np.uint8)
    done = file.pread_into(data.data, 0)
    data = data[:done]
    data.flags.writeable = False
    return data


def publish(disk: Disk, file: DiskFile, temporary: str, header: SegmentHeader) -> None:
    """Convert a temporary file of zeros to a segment: header, fdatasync, rename, fsync of the folder.

    In this order, a file with the name of a segment has a valid header after any power cut.
    """
    file.pwrite(memoryview(encode_header(header)), 0)
    file.fdatasync()
    disk.rename(temporary, segment_name(header.number))
    file.name = segment_name(header.number)
    disk.fsync_folder()


class Spare:
    """The next segment, created in advance as a file of zeros with a temporary name.

    On a disk that supports two threads, another thread creates it. A failure raises nothing, because the frame whose
    write triggered it is durable: `pop` retries, possibly after space was freed.
    """

    def __init__(self, disk: Disk, segment_bytes: int) -> None:
        self.segment_bytes = segment_bytes  # of the file that `pop` returned last
        self._disk = disk
        self._least_bytes = segment_bytes
        self._thread: Thread | None = None
        self._file: DiskFile | None = None
        self._failed = False

    def prepare(self, *, written: bool = True) -> None:
        """Begin to create the file, if that has not begun; `written`: see DiskFile.zero_fill.

        Reserving space without writing takes the same time for any size, so such a segment is larger.
        """
        if self._file is not None or self._thread is not None or self._failed:
            return
        if not self._disk.concurrent:
            self._create_in_thread(written)
            return
        try:
            thread = Thread(target=self._create_in_thread, args=(written,), name="sycee-journal-spare", daemon=True)
            thread.start()
        except (RuntimeError, MemoryError):
            return  # the last frame is durable, so its writer must not get an error; the next frame retries
        self._thread = thread

    def pop(self) -> DiskFile:
        """Return the file of zeros, under SPARE_NAME; wait for it, or create it now.

        Raises UnavailableError if the disk refuses.
        """
        self._wait()
        file = self._file or self._create(written=True)
        self.segment_bytes = file.size()
        self._file = None
        self._failed = False
        return file

    def discard(self) -> None:
        """Remove the file if it was created."""
        if self.abandon():
            self._disk.unlink(SPARE_NAME)

    def abandon(self) -> bool:
        """Close the file without changing the disk; return whether there was one."""
        self._wait()
        file, self._file = self._file, None
        if file is not None:
            file.close()
        return file is not None

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _create_in_thread(self, written: bool) -> None:
        try:
            self._file = self._create(written=written)
        except Exception:
            self._failed = True

    def _create(self, *, written: bool) -> DiskFile:
        file = self._disk.create(SPARE_NAME)
        try:
            file.zero_fill(self._least_bytes * (1 if written else LARGE_TIMES), written=written)
            file.fdatasync()  # so that `publish`, which delays a frame, makes only a header durable
        except BaseException:
            file.close()
            with suppress(SyceeError):
                self._disk.unlink(SPARE_NAME)  # half a file would occupy space that frames need
            raise
        return file
