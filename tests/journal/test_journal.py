from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from tests.journal.history import (
    CALENDAR,
    COUNTS,
    FIRST,
    LEDGER_ID,
    SECOND,
    TIME_NS,
    append,
    as_written,
    create,
    movement_digest,
    places,
    records,
    recover,
    run,
    small,
)

from sycee.core.errors import JournalDamaged, TailInDoubt, UnavailableError, UsageError
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.journal import FrameKind, Journal, RealDisk, segments
from sycee.testing.disk import FakeDisk, Loss

pytestmark = pytest.mark.fast


def resealed(content: bytes, at: int, form: str, value: object, *, header: int, size: int) -> bytes:
    """`content` with one field of the header at `header` changed and a valid checksum, as after a forgery."""
    block = bytearray(content[header : header + size])
    struct.pack_into(form, block, at, value)
    block[-8:] = bytes(8)
    block[-8:] = xxhash.xxh3_64_digest(bytes(block))
    return content[:header] + bytes(block) + content[header + size :]


def test_appended_frames_are_read_back() -> None:
    disk = FakeDisk()
    written: list = []
    run(disk, written)
    frames = list(Journal.open(disk, read_only=True).recover())
    assert as_written(frames) == written
    assert [frame.sequence for frame in frames] == list(range(1, len(COUNTS) + 3))
    assert all(frame.acknowledged == frame.sequence - 1 for frame in frames)
    assert all(before.time_ns < after.time_ns for before, after in pairwise(frames))
    assert frames[0].calendar == CALENDAR
    assert frames[0].records.shape == (1, 128)
    assert frames[0].records.flags.c_contiguous
    assert not frames[0].records.flags.writeable
    assert str(frames[0].location) == f"{FIRST} at byte 4096"


def test_a_report_counts_everything() -> None:
    disk = FakeDisk()
    written: list = []
    run(disk, written)
    report = Journal.verify(disk)
    assert report.ledger_id == LEDGER_ID.hex()
    assert (report.segments, report.frames, report.records) == (3, len(written), sum(COUNTS))
    assert (report.last_sequence, report.closed, report.findings) == (len(written), True, ())
    assert (report.first_time_ns, report.last_time_ns) == (written[0][2], written[-1][2])
    assert report.frame_bytes % 4096 == 0
    assert len(report.digest) == 64


def test_two_ledgers_with_the_same_frames_have_different_chains() -> None:
    reports = []
    for ledger_id in (bytes(16), bytes([1] * 16)):
        disk = FakeDisk()
        append(Journal.create(disk, ledger_id=ledger_id, segment_bytes=1 << 16), 3)
        reports.append(Journal.verify(disk))
    assert reports[0].digest != reports[1].digest


def test_records_may_be_bytes_or_any_array_of_whole_records() -> None:
    disk = FakeDisk()
    journal = create(disk)
    content = records(1, 4)
    wide = np.zeros((4, 256), dtype=np.uint8)
    wide[:, :128] = content
    for form in (content, content.tobytes(), content.view("V128"), content.view(np.int64), wide[:, :128]):
        journal.append(kind=FrameKind.OPERATIONS, time_ns=journal.last_time_ns + 1, records=form)
    assert {found[3] for found in recover(disk.kill())[1]} == {content.tobytes()}


def test_frames_are_prepared_before_earlier_ones_are_written() -> None:
    disk = FakeDisk()
    journal = create(disk)
    ahead = [
        journal.prepare(kind=FrameKind.OPERATIONS, time_ns=TIME_NS + number, records=records(number, 40))
        for number in (1, 2, 3, 4, 5, 6, 7, 8)
    ]
    assert (journal.prepared_sequence, journal.last_sequence) == (8, 0)
    with pytest.raises(ValueError, match="frame 2 cannot be written after frame 0"):
        journal.write(ahead[1])
    assert [journal.write(one) for one in ahead] == list(range(1, 9))
    assert journal.bytes_written == 8 * 8192
    with pytest.raises(ValueError, match="is not after"):
        journal.prepare(kind=FrameKind.EMPTY, time_ns=TIME_NS + 8)
    journal.close()
    frames = list(Journal.open(disk, read_only=True).recover())
    assert [frame.acknowledged for frame in frames] == [0, 0, 0, 0, 0, 0, 0, 0, 8]


def test_a_run_with_a_frame_prepared_and_never_written_does_not_end_cleanly() -> None:
    disk = FakeDisk()
    journal = create(disk)
    append(journal, 1)
    journal.prepare(kind=FrameKind.EMPTY, time_ns=TIME_NS + 9)
    journal.close()
    assert Journal.verify(disk).closed is False


def test_a_frame_larger_than_a_segment_is_refused() -> None:
    journal = create(FakeDisk())
    with pytest.raises(ValueError, match="does not fit a segment of 49152 bytes"):
        append(journal, 400)
    assert append(journal, 3)[0] == 1


def test_full_frames_and_full_size_segments() -> None:
    disk = FakeDisk()
    journal = Journal.create(disk)
    for _ in range(17):
        append(journal, FRAME_RECORDS_MAX)
    journal.close()
    report = Journal.verify(disk)
    assert (report.segments, report.records) == (2, 17 * FRAME_RECORDS_MAX)
    assert disk.names() == [FIRST, SECOND]


def test_close_writes_one_close_frame() -> None:
    disk = FakeDisk()
    journal = create(disk)
    journal.close()
    assert Journal.verify(disk).frames == 0, "nothing was written, so there is nothing to close"
    journal, _ = recover(disk)
    append(journal, 2)
    journal.close()
    journal.close()
    for _ in range(3):
        disk.operations.clear()
        journal, found = recover(disk)
        journal.close()
        assert disk.operations["create"] == 0
    assert [kind for _, kind, _, _ in found] == [FrameKind.OPERATIONS, FrameKind.CLOSE]
    journal, _ = recover(disk)
    append(journal, 2)
    journal.close(time_ns=TIME_NS + 99)
    frames = list(Journal.open(disk, read_only=True).recover())
    assert [frame.kind for frame in frames] == [FrameKind.OPERATIONS, FrameKind.CLOSE] * 2
    assert (frames[-1].time_ns, frames[-1].acknowledged) == (TIME_NS + 99, 3)


def test_a_folder_has_at_most_one_journal() -> None:
    disk = FakeDisk()
    with pytest.raises(UsageError, match="fake/journal contains no journal"):
        Journal.open(disk)
    journal = create(disk)
    with pytest.raises(UnavailableError, match="in use"):
        Journal.open(disk)
    journal.close()
    with pytest.raises(UsageError, match="already contains a journal"):
        create(disk)
    Journal.open(disk)


def test_append_before_recovery_is_refused() -> None:
    disk, _ = small(1, closed=True)
    journal = Journal.open(disk)
    with pytest.raises(ValueError, match=r"iterate over recover\(\) to its end first"):
        append(journal, 1)
    journal.close()
    journal = Journal.open(disk, read_only=True)
    list(journal.recover())
    with pytest.raises(ValueError, match="not open for writing"):
        append(journal, 1)


def test_reading_needs_no_lock_and_changes_nothing() -> None:
    disk = FakeDisk()
    journal = create(disk)
    append(journal, 3)
    disk.operations.clear()
    disk.read_only = True
    assert Journal.verify(disk).frames == 1
    assert not disk.operations
    disk.read_only = False
    append(journal, 3)


def test_a_partial_temporary_segment_is_created_again() -> None:
    disk, written = small(3, 200, closed=False)
    assert "spare.temp" in disk.names()
    disk.replace("spare.temp", bytes(5_000))
    journal, found = recover(disk)
    assert found == written
    assert "spare.temp" not in disk.names()
    written.append(append(journal, 200))
    assert recover(disk.kill())[1] == written

    # Without its first segment there is no journal, so one can be created.
    disk = FakeDisk()
    disk.create("spare.temp")
    assert not Journal.exists(disk)
    append(create(disk), 1)


def test_a_last_segment_without_header_and_frames_is_in_doubt() -> None:
    disk, written = small(3, 200, closed=False)
    disk.replace(SECOND, bytes(48 << 10))
    with pytest.raises(TailInDoubt, match=f"{SECOND}: its segment header has no magic number, and no frame follows"):
        recover(disk)
    journal, found = recover(disk, cut_tail=True)
    assert found == written
    assert SECOND in journal.findings[0]
    written.append(append(journal, 200))
    assert recover(disk.crash(loss=Loss.LOST))[1] == written


def test_a_first_segment_without_header_is_damage() -> None:
    disk = FakeDisk()
    create(disk).close()
    disk.replace(FIRST, b"")
    with pytest.raises(JournalDamaged, match=f"{FIRST}: byte 0: the file ends after 0 bytes"):
        recover(disk)
    with pytest.raises(UsageError, match="already contains a journal"):
        create(disk)


@pytest.mark.parametrize(("lost", "says"), [(FIRST, FIRST), (SECOND, SECOND)])
def test_a_missing_segment_is_named(lost: str, says: str) -> None:
    disk = FakeDisk()
    run(disk, [])
    disk.remove(lost)
    with pytest.raises(JournalDamaged, match=f"fake/journal/{says}: byte 0: the file is missing, but 0"):
        recover(disk)


def test_a_segment_of_another_ledger_is_refused() -> None:
    disk, _ = small(3, 200, 150, closed=True)
    other = FakeDisk()
    journal = Journal.create(other, ledger_id=bytes(16), segment_bytes=48 << 10)
    for count in (3, 200, 150):
        append(journal, count)
    disk.replace(SECOND, other.content(SECOND))
    with pytest.raises(JournalDamaged, match=f"{SECOND}: byte 0: it belongs to another ledger, 00000000") as refused:
        recover(disk)
    assert refused.value.hint is not None
    assert f"restore the one of ledger {LEDGER_ID.hex()}" in refused.value.hint
    assert "Nothing was changed" in refused.value.hint


def test_a_segment_of_an_earlier_copy_is_refused() -> None:
    """Same ledger and number, other frames: a restored backup with later writes."""
    disk, _ = small(3, 200, 150, closed=True)
    other, _ = small(3, 210, 150, closed=True)
    disk.replace(SECOND, other.content(SECOND))
    with pytest.raises(JournalDamaged, match=f"{SECOND}: byte 0: it does not continue frame 2: the digests differ"):
        recover(disk)


def test_a_renamed_segment_is_refused() -> None:
    disk, _ = small(3, 200, 150, closed=True)
    disk.replace("000000000003.segment", disk.content(SECOND))
    with pytest.raises(JournalDamaged, match="its header has the number 2"):
        recover(disk)


@pytest.mark.parametrize("size", [4095, 4096, 20_000, 49_151])
@pytest.mark.parametrize("file", [FIRST, SECOND])
def test_a_truncated_segment_is_refused(file: str, size: int) -> None:
    disk, _ = small(3, 200, 150, closed=False)
    disk.replace(file, disk.content(file)[:size])
    with pytest.raises(
        (JournalDamaged, TailInDoubt), match=rf"{file}: (byte 0: )?the file (has|ends after) {size} bytes"
    ):
        recover(disk)


def test_a_segment_of_a_newer_version_is_unavailable_and_not_damaged() -> None:
    disk, _ = small(3, closed=True)
    disk.replace(FIRST, resealed(disk.content(FIRST), 8, "<H", 2, header=0, size=4096))
    with pytest.raises(UnavailableError, match="newer version of Sycee: segment 1 has format version 2") as refused:
        recover(disk)
    assert refused.value.hint is not None
    assert "Use the release that wrote it" in refused.value.hint
    assert "Nothing was changed or lost" in refused.value.hint


@pytest.mark.parametrize(
    ("at", "form", "value", "says"),
    [
        (48, "<Q", 2, "frames 1 to 1 are missing"),
        (48, "<Q", 0, "it begins with frame 0, which an earlier segment contains"),
        (40, "<I", 0, "its epoch"),
    ],
)
def test_a_segment_header_that_contradicts_its_frames_is_damage(at: int, form: str, value: int, says: str) -> None:
    disk, _ = small(3, closed=True)
    disk.replace(FIRST, resealed(disk.content(FIRST), at, form, value, header=0, size=4096))
    if at == 40:
        says = "its epoch 1 is not that of its segment, 0"
    with pytest.raises(JournalDamaged, match=says):
        recover(disk)


@pytest.mark.parametrize(
    ("at", "form", "value", "says"),
    [
        (16, "<Q", 5, "its header has the sequence 5"),
        (24, "<q", TIME_NS, "is not after that of the previous frame"),
        (32, "<Q", 2, "its header has frame 2 as acknowledged before"),
        (48, "<I", 9, "its epoch 9 is not that of its segment, 1"),
        (56, "<Q", 9, "its previous digest is not that of frame 1"),
    ],
)
@pytest.mark.parametrize("closed", [True, False])
def test_a_valid_header_that_breaks_the_chain_is_damage_even_at_the_end(
    at: int, form: str, value: int, says: str, closed: bool
) -> None:
    disk, _ = small(3, 30, closed=closed)
    disk.replace(FIRST, resealed(disk.content(FIRST), at, form, value, header=8192, size=512))
    with pytest.raises(JournalDamaged, match=f"{FIRST}: frame 2 at byte 8192: .*{says}"):
        recover(disk, cut_tail=True)


def test_a_frame_replaced_by_another_valid_one_is_found_by_the_next() -> None:
    disk, _ = small(3, 30, closed=True)
    other = FakeDisk()
    journal = create(other)
    journal.append(
        kind=FrameKind.OPERATIONS,
        time_ns=TIME_NS + 1,
        records=records(77, 3),
        calendar=CALENDAR,
        movement_digest=movement_digest(1),
    )
    content = disk.content(FIRST)
    disk.replace(FIRST, content[:4096] + other.content(FIRST)[4096:8192] + content[8192:])
    with pytest.raises(JournalDamaged, match="frame 2 at byte 8192: its previous digest is not that of frame 1"):
        recover(disk)


def test_the_same_journal_on_a_real_disk(tmp_path) -> None:  # type: ignore[no-untyped-def]
    fake, real = FakeDisk(), RealDisk(tmp_path / "new" / "ledger" / "journal")
    for disk in (fake, real):
        run(disk, [])  # type: ignore[arg-type]
    assert real.names() == [*fake.names(), "lock"]
    for name in fake.names():
        assert (tmp_path / "new" / "ledger" / "journal" / name).read_bytes() == fake.content(name)
    assert Journal.verify(real) == Journal.verify(fake)
    assert len(places(fake)) == len(COUNTS) + 2


def test_a_frame_is_built_around_the_records_of_a_buffer(tmp_path: Path) -> None:
    """The next frame contains the digest of a large frame, which another thread computes."""
    journal, plain = (
        Journal.create(RealDisk(tmp_path / name), ledger_id=bytes(16), segment_bytes=4 << 20) for name in ("in", "out")
    )
    for sequence, count in enumerate((8_064, 3, 8_064, 2_000, 1), 1):
        content = records(sequence, count)
        buffer = journal.buffers.acquire()
        place = buffer.records(content.nbytes).reshape(content.shape)
        place[:] = content
        if sequence % 2:
            journal.buffers.compute_checksum(buffer, place.reshape(-1))
        told: dict[str, Any] = {"kind": FrameKind.OPERATIONS, "time_ns": TIME_NS + sequence}
        journal.append(records=place, buffer=buffer, **told)
        journal.release(buffer)
        plain.append(records=content, **told)
        assert journal.anchor == plain.anchor
    for one in (journal, plain):
        one.close()
    names = sorted(path.name for path in (tmp_path / "in").glob("*.segment"))
    assert names
    for name in names:
        assert (tmp_path / "in" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
    found = list(Journal.open(RealDisk(tmp_path / "in"), read_only=True).recover())
    assert [frame.records.tobytes() for frame in found[:5]] == [
        records(sequence, count).tobytes() for sequence, count in enumerate((8_064, 3, 8_064, 2_000, 1), 1)
    ]
    assert found[-1].kind is FrameKind.CLOSE


def test_large_frames_lead_to_large_segments(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    journal = Journal.create(disk, segment_bytes=2 << 20)

    def fill(count: int, frames_each: int) -> None:
        for _ in range(frames_each):
            number = journal.last_sequence + 1
            journal.append(kind=FrameKind.OPERATIONS, time_ns=TIME_NS + number, records=records(number, count))

    fill(8_064, 10)
    journal.close()
    journal = Journal.open(disk)
    assert len(list(journal.recover())) == 11
    fill(60, 2_000)
    journal.close()
    sizes = [(tmp_path / segments.segment_name(number)).stat().st_size for number in segments.segment_numbers(disk)]
    assert sizes[:3] == [2 << 20, 8 << 20, 8 << 20]
    assert sizes[-1] == 2 << 20, "small frames came meanwhile"
    assert Journal.verify(disk).closed
