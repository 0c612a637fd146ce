"""Copy of a journal up to one frame while its ledger continues.

Segments are append-only and filled with zeros in advance: the bytes up to the end of a durable frame no longer change.
So a copy has these bytes and zeros behind them, as if the ledger had stopped after that frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee.core.errors import IntegrityError
from sycee.core.limits import FRAME_ALIGNMENT_BYTES
from sycee.journal import frame as frames
from sycee.journal import segments
from sycee.journal.disk import DiskFile
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.frame_records import read_at

CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class SegmentPart:
    """The beginning of a segment: `used_bytes` up to the end of the last copied frame, of `segment_bytes` in all."""

    name: str
    used_bytes: int
    segment_bytes: int


def parts_up_to(folder: str | Path, sequence: int) -> list[SegmentPart]:
    """Return the parts of the journal in `folder` that contain the frames up to a durable one, in order.

    Raises IntegrityError if a header on the way is damaged or the frame is missing.
    """
    disk = journal_disk(folder)
    parts = []
    for number in segments.segment_numbers(disk):
        name = segments.segment_name(number)
        with closing(disk.open(name, writable=False)) as file:
            try:
                header = segments.decode_header(read_at(file, 0, segments.SEGMENT_HEADER_BYTES))
                if header.first_sequence > sequence:
                    break
                end, last = _end_of(file, header.segment_bytes, sequence)
            except frames.Flaw as flaw:
                raise IntegrityError(
                    f"{disk.folder}/{name}: {flaw}", hint="run `sycee verify`: nothing was copied"
                ) from flaw
        parts.append(SegmentPart(name, end, header.segment_bytes))
        if last == sequence:
            return parts
    raise IntegrityError(f"{disk.folder} has no frame {sequence}", hint="name a frame that is durable")


def content_of(folder: str | Path, part: SegmentPart) -> Iterator[bytes]:
    """Yield the used bytes of a part in chunks."""
    disk = journal_disk(folder)
    with closing(disk.open(part.name, writable=False)) as file:
        for offset in range(0, part.used_bytes, CHUNK_BYTES):
            yield bytes(read_at(file, offset, min(CHUNK_BYTES, part.used_bytes - offset)))


def write_part(folder: str | Path, part: SegmentPart, content: Iterator[bytes]) -> None:
    """Write a part of a journal into the ledger's folder `folder`, with zeros up to the size of the segment."""
    path = Path(folder) / "journal" / part.name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        for chunk in content:
            file.write(chunk)
        file.truncate(part.segment_bytes)


def _end_of(file: DiskFile, segment_bytes: int, sequence: int) -> tuple[int, int]:
    """Return the offset behind the last frame of a segment that is not later than `sequence`, and that frame."""
    offset, last = segments.SEGMENT_HEADER_BYTES, 0
    while offset < segment_bytes and last < sequence:
        block = read_at(file, offset, FRAME_ALIGNMENT_BYTES)
        if not any(block[: len(frames.FRAME_MAGIC)]):
            break  # never written: the next segment continues
        header = frames.decode_header(block)
        offset, last = offset + header.frame_bytes, header.sequence
    return offset, last
