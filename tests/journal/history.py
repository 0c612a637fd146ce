"""A small history for the tests of the journal: the same frames in the same order after any number of interruptions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from blake3 import blake3

from sycee.core.errors import TailInDoubt
from sycee.journal import CalendarEntry, Disk, Frame, FrameKind, Journal
from sycee.testing.disk import FakeDisk

LEDGER_ID = bytes(range(16))
FIRST = "000000000001.segment"
SECOND = "000000000002.segment"
SEGMENT_BYTES = 48 << 10  # small, so that a dozen frames need two
TIME_NS = 1_602_461_400_000_000_000
CALENDAR = (CalendarEntry(156, 18_547, 609, 2020), CalendarEntry(840, 18_546, 609, 2020))

# Records per frame: less than a block, exactly one block, one record more, several blocks, none.
COUNTS = (1, 27, 28, 5, 0, 100, 60, 2, 3, 120, 1, 40)
# Envelopes by the number of records: some end in the padding, some a few bytes before the trailer.
ENVELOPES = {5: 2, 28: 1, 60: 33, 120: 1}

Written = tuple[int, FrameKind, int, bytes]


def records(sequence: int, count: int) -> np.ndarray:
    """Return the records of a frame, without a zero byte, so that a lost sector differs from a written one."""
    return np.random.default_rng(sequence).integers(1, 256, (count, 128), dtype=np.uint8)


def envelopes(sequence: int, count: int) -> bytes:
    """Return the envelopes of a frame with `count` records, without a zero byte, like the records."""
    return np.random.default_rng(1_000 + sequence).integers(1, 256, ENVELOPES.get(count, 0) * 104, np.uint8).tobytes()


def movement_digest(sequence: int) -> bytes:
    return blake3(b"%d" % sequence).digest()


def append(journal: Journal, count: int) -> Written:
    """Append the next frame; its content depends on its sequence and `count` only."""
    sequence = journal.last_sequence + 1
    kind = FrameKind.OPERATIONS if count else FrameKind.EMPTY
    content = records(sequence, count)
    journal.append(
        kind=kind,
        time_ns=TIME_NS + sequence,
        records=content,
        calendar=CALENDAR,
        envelopes=envelopes(sequence, count),
        movement_digest=movement_digest(sequence),
    )
    return sequence, kind, TIME_NS + sequence, content.tobytes()


def as_written(frames: Iterable[Frame]) -> list[Written]:
    """Return the frames in the form of `append`; check the fields that `append` does not return."""
    written = []
    for frame in frames:
        if frame.calendar == CALENDAR:
            assert frame.envelopes == envelopes(frame.sequence, len(frame.records))
            assert frame.movement_digest == movement_digest(frame.sequence)
        written.append((frame.sequence, frame.kind, frame.time_ns, frame.records.tobytes()))
    return written


def create(disk: Disk) -> Journal:
    return Journal.create(disk, ledger_id=LEDGER_ID, segment_bytes=SEGMENT_BYTES)


def run(disk: FakeDisk, acknowledged: list[Written], *, counts: tuple[int, ...] = COUNTS, rest: int = 3) -> None:
    """Create a journal, write, close, reopen, write and close; add each acknowledged frame to `acknowledged`."""
    journal = create(disk)
    for count in counts[:-rest]:
        acknowledged.append(append(journal, count))
    journal.close()
    acknowledged.append((journal.last_sequence, FrameKind.CLOSE, journal.last_time_ns, b""))
    journal = Journal.open(disk)
    assert as_written(journal.recover()) == acknowledged
    for count in counts[-rest:]:
        acknowledged.append(append(journal, count))
    journal.close()
    acknowledged.append((journal.last_sequence, FrameKind.CLOSE, journal.last_time_ns, b""))


def recover(disk: FakeDisk, *, cut_tail: bool = False) -> tuple[Journal, list[Written]]:
    journal = Journal.open(disk, cut_tail=cut_tail)
    return journal, as_written(journal.recover())


def recover_whatever(disk: FakeDisk) -> tuple[Journal, list[Written], bool]:
    """Recover and cut a tail in doubt; return also whether there was one."""
    try:
        return *recover(disk), False
    except TailInDoubt:
        return *recover(disk, cut_tail=True), True


def small(*counts: int, closed: bool) -> tuple[FakeDisk, list[Written]]:
    """Return the disk of a journal with a few frames, after a clean close or after a kill."""
    disk = FakeDisk()
    journal = create(disk)
    written = [append(journal, count) for count in counts]
    if closed:
        journal.close()
        written.append((journal.last_sequence, FrameKind.CLOSE, journal.last_time_ns, b""))
    return disk.kill(), written


def places(disk: FakeDisk) -> list[tuple[str, int]]:
    """Return file and offset of each frame."""
    return [tuple(frame.location) for frame in Journal.open(disk, read_only=True).recover()]
