"""Segments: the files that frames stand in, and the spare that is made before it is needed."""

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
LARGE_TIMES: Final = 4  # so much larger is a segment whose space is only asked for

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
    """File name of a segment; numbers begin at 1."""
    return f"{number:012}.segment"


def segment_numbers(disk: Disk) -> list[int]:
    """Numbers of the segments there, in order. Other files in the folder are not ours to judge."""
    return [int(match[1]) for name in disk.names() if (match := _NAME.fullmatch(name))]


def encode_header(header: SegmentHeader) -> bytes:
    """The first block of a segment, SEGMENT_HEADER_BYTES long."""
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
    """Read the first block of a segment. Raises Flaw, or UnavailableError when a newer version wrote it."""
    block = data[:SEGMENT_HEADER_BYTES]
    if len(block) < SEGMENT_HEADER_BYTES:
        raise Flaw(f"the file ends after {len(block)} bytes, within its segment header")
    if bytes(block[: len(SEGMENT_MAGIC)]) != SEGMENT_MAGIC:
        raise Flaw("its segment header does not begin like one")
    if not checksum_holds(block):
        raise Flaw("its segment header does not match the header's checksum")
    fields: tuple[Any, ...] = _HEADER.unpack_from(block)
    _, version, _, segment_bytes, ledger_id, number, epoch, _, first_sequence, previous_digest = fields
    if version > FORMAT_VERSION:
        raise newer(f"segment {number} has format version {version}")
    return SegmentHeader(ledger_id, number, epoch, first_sequence, previous_digest, segment_bytes)


def read_whole(file: DiskFile) -> Bytes:
    """All bytes of a file, as a read-only array of its own."""
    data: Bytes = np.empty(file.size(), dtype=np.uint8)
    done = file.pread_into(data.data, 0)
    data = data[:done]
    data.flags.writeable = False
    return data


def publish(disk: Disk, file: DiskFile, temporary: str, header: SegmentHeader) -> None:
    """Turn a temporary file full of zeros into a segment: header, fdatasync, rename, fsync of the folder.

    In this order, so that a segment seen under its own name has a sound header after any power cut.
    """
    file.pwrite(memoryview(encode_header(header)), 0)
    file.fdatasync()
    disk.rename(temporary, segment_name(header.number))
    file.name = segment_name(header.number)
    disk.fsync_folder()


class Spare:
    """The next segment, full of zeros under a temporary name before it is needed.

    On a disk that takes work from two threads it is made beside the appends. A failure raises nothing, since the frame
    whose write led here is durable: `take` tries again, and by then there may be room.
    """

    def __init__(self, disk: Disk, segment_bytes: int) -> None:
        self.segment_bytes = segment_bytes  # of the file that `take` gave last
        self._disk = disk
        self._least_bytes = segment_bytes
        self._thread: Thread | None = None
        self._file: DiskFile | None = None
        self._gave_up = False

    def prepare(self, *, written: bool = True) -> None:
        """Begin to make the file, unless it is made or being made; `written`: see DiskFile.zero_fill.

        Space that is only asked for costs the same however much it is, so then it is for more frames.
        """
        if self._file is not None or self._thread is not None or self._gave_up:
            return
        if not self._disk.concurrent:
            self._make_beside(written)
            return
        try:
            thread = Thread(target=self._make_beside, args=(written,), name="sycee-journal-spare", daemon=True)
            thread.start()
        except (RuntimeError, MemoryError):
            return  # the frame before is durable, so its writer must not see an error; the next frame tries again
        self._thread = thread

    def pop(self) -> DiskFile:
        """The file, under SPARE_NAME, full of zeros. Waits for it, or makes it now.

        Raises UnavailableError when the disk refuses.
        """
        self._wait()
        file = self._file or self._make(written=True)
        self.segment_bytes = file.size()
        self._file = None
        self._gave_up = False
        return file

    def discard(self) -> None:
        """Remove the file if it was made."""
        self._wait()
        if self._file is not None:
            self._file.close()
            self._file = None
            self._disk.unlink(SPARE_NAME)

    def abandon(self) -> None:
        """Let go of the file without touching the disk any more."""
        self._wait()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _make_beside(self, written: bool) -> None:
        try:
            self._file = self._make(written=written)
        except Exception:
            self._gave_up = True

    def _make(self, *, written: bool) -> DiskFile:
        file = self._disk.create(SPARE_NAME)
        try:
            file.zero_fill(self._least_bytes * (1 if written else LARGE_TIMES), written=written)
            file.fdatasync()  # so that `publish`, for which a frame waits, has only a header to make durable
        except BaseException:
            file.close()
            with suppress(SyceeError):
                self._disk.unlink(SPARE_NAME)  # half a file takes the room that the frames need
            raise
        return file
