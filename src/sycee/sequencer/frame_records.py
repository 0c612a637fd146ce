"""Read the records of durable frames from a journal while its ledger continues.

The state stores no records: an operation's row has its id, kind, amount and result. The bytes of a durable frame no
longer change, so they are read without the writer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.errors import IntegrityError
from sycee.core.limits import FRAME_ALIGNMENT_BYTES
from sycee.core.records import layout
from sycee.journal import frame as frames
from sycee.journal import segments
from sycee.journal.disk import DiskFile
from sycee.sequencer.folders import journal_disk

INDEXED_SEGMENTS_MAX: Final = 64  # a segment has at most 4,096 frames


@dataclass(slots=True)
class _Index:
    """Offsets of the frames of one segment that were passed so far, by sequence."""

    offsets: dict[int, int] = field(default_factory=dict)
    end: int = segments.SEGMENT_HEADER_BYTES  # where the next frame begins


class FrameRecords:
    """The records of the frames of the ledger in `folder`. Not thread-safe."""

    def __init__(self, folder: str | Path) -> None:
        self._disk = journal_disk(folder)
        self._first: dict[int, int] = {}  # first sequence of segments, by number
        self._indexes: OrderedDict[int, _Index] = OrderedDict()

    def read(self, sequence: int) -> Array:
        """Return the records of a durable frame, (n,) layout.OPERATION.

        Raises IntegrityError if the journal does not have the frame, or has it damaged.
        """
        try:
            numbers = segments.segment_numbers(self._disk)
            number = numbers[max(bisect_right(numbers, sequence, key=self._first_sequence), 1) - 1]
            with closing(self._disk.open(segments.segment_name(number), writable=False)) as file:
                return self._read(file, number, sequence)
        except frames.Flaw as flaw:
            raise IntegrityError(
                f"frame {sequence:,} cannot be read from {self._disk.folder}: {flaw}", hint="run `sycee verify`"
            ) from flaw

    def _read(self, file: DiskFile, number: int, sequence: int) -> Array:
        index = self._indexes.setdefault(number, _Index())
        self._indexes.move_to_end(number)
        if len(self._indexes) > INDEXED_SEGMENTS_MAX:
            self._indexes.popitem(last=False)
        while sequence not in index.offsets:
            header = frames.decode_header(read_at(file, index.end, FRAME_ALIGNMENT_BYTES))
            index.offsets[header.sequence] = index.end
            index.end += header.frame_bytes
            if header.sequence > sequence:
                raise frames.Flaw("it is not in its segment")
        offset = index.offsets[sequence]
        header = frames.decode_header(read_at(file, offset, FRAME_ALIGNMENT_BYTES))
        whole = read_at(file, offset, header.frame_bytes)
        if header.sequence != sequence or not frames.body_holds(header, whole):
            raise frames.Flaw("its bytes do not match their checksum")
        data = np.frombuffer(whole, np.uint8)
        records: Array = np.frombuffer(frames.records_of(header, data).tobytes(), layout.OPERATION)
        return records

    def _first_sequence(self, number: int) -> int:
        if number not in self._first:
            with closing(self._disk.open(segments.segment_name(number), writable=False)) as file:
                header = segments.decode_header(read_at(file, 0, segments.SEGMENT_HEADER_BYTES))
            self._first[number] = header.first_sequence
        return self._first[number]


def read_at(file: DiskFile, offset: int, size: int) -> memoryview:
    """Return up to `size` bytes of a file from `offset` on."""
    buffer = memoryview(bytearray(size))
    return buffer[: file.pread_into(buffer, offset)]
