"""Damage to each region of a small journal is found and named, or harmless; it never changes the content."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from tests.each import case
from tests.journal.history import FIRST, SECOND, Written, append, places, recover, small

from sycee.core.errors import JournalDamaged, SyceeError, TailInDoubt
from sycee.journal import Journal
from sycee.testing.disk import FakeDisk

# Offsets within a segment header and a frame header, as in docs/reference/journal.md.
SEGMENT_FIELDS = {
    "magic": 0, "version": 8, "reserved": 10, "segment bytes": 12, "ledger id": 16, "number": 32, "epoch": 40,
    "more reserved": 44, "first sequence": 48, "previous digest": 56, "rest": 88, "checksum": 4088,
}  # fmt: skip
FRAME_FIELDS = {
    "magic": 0, "version": 8, "kind": 10, "frame bytes": 12, "sequence": 16, "time": 24, "acknowledged": 32,
    "records": 40, "envelopes": 44, "epoch": 48, "calendar entries": 52, "reserved": 54, "previous digest": 56,
    "movement digest": 88, "body checksum": 120, "calendar": 136, "second date": 152, "unused calendar": 168,
    "rest": 392, "checksum": 504,
}  # fmt: skip
TRAILER_FIELDS = {"magic": 0, "sequence": 8, "frame bytes": 16, "reserved": 20, "body": 24, "rest": 40, "own": 56}
XORS = (0x01, 0xFF)
FRAME_ENDS = [8192, 16384, 20480, 24576]  # three frames of 1, 2 and 1 blocks, and CLOSE


def outcome(disk: FakeDisk, *, cut_tail: bool = False) -> tuple[str, list[Written]]:
    """Start from the disk; return the error or the findings, and the frames."""
    try:
        journal, found = recover(disk, cut_tail=cut_tail)
    except SyceeError as error:
        return f"{type(error).__name__}: {error.message} {error.hint}", []
    return "; ".join(journal.findings), found


def frame_at(offset: int) -> int:
    return next(number for number, end in enumerate(FRAME_ENDS, 1) if offset < end)


def every_position(xor: int) -> list[int]:
    """Every byte of headers and trailers, and some of the rest; every fourth of these with all bits changed."""
    edges = [range(96), range(4080, 4096)]
    for start, end in zip([4096, *FRAME_ENDS], FRAME_ENDS, strict=False):
        edges += [range(start, start + 520), range(end - 72, end)]
    positions = sorted({position for edge in edges for position in edge} | set(range(0, 30_000, 29)))
    return positions[:: 4 if xor == 0xFF else 1]


def judged(disk: FakeDisk, position: int, xor: int, *, cut_tail: bool = False) -> tuple[str, list[Written]]:
    damaged = disk.kill().crash()
    damaged.damage(FIRST, position, xor)
    return outcome(damaged, cut_tail=cut_tail)


@pytest.mark.parametrize("xor", XORS)
def test_damage_to_every_byte_after_a_clean_close(xor: int) -> None:
    disk, written = small(3, 30, 1, closed=True)
    assert [offset for _, offset in places(disk)] == [4096, *FRAME_ENDS[:-1]]
    verdicts: Counter[str] = Counter()
    for position in every_position(xor):
        says, found = judged(disk, position, xor)
        if position < 4096:
            assert says.startswith(f"JournalDamaged: fake/journal/{FIRST}: byte 0: its segment header"), position
        elif position >= FRAME_ENDS[-1]:
            assert found == written, position
            assert "it has no trailer" in says
            assert "bytes cut" in says
        elif position >= FRAME_ENDS[-1] - 64:
            assert found == written, position
            assert "frame 4 at byte 20480 was complete except for its trailer" in says
        elif position >= FRAME_ENDS[-2]:
            assert says.startswith(f"TailInDoubt: fake/journal/{FIRST}: frame 4 at byte 20480: its "), position
            assert judged(disk, position, xor, cut_tail=True)[1] == written[:3]
        else:
            number = frame_at(position)
            start = [4096, *FRAME_ENDS][number - 1]
            assert says.startswith(f"JournalDamaged: fake/journal/{FIRST}: frame {number} at byte {start}: "), position
            assert re.search(r"frame [234] at byte \d+ was written after it", says), position
            assert "Run `sycee verify fake` for details" in says
        verdicts[says.partition(":")[0]] += 1
    assert set(verdicts) >= {"JournalDamaged", "TailInDoubt"}


@pytest.mark.parametrize("xor", XORS)
def test_damage_to_every_byte_after_a_kill(xor: int) -> None:
    disk, written = small(3, 30, 1, closed=False)
    for position in every_position(xor):
        says, found = judged(disk, position, xor)
        if position < FRAME_ENDS[1]:
            assert says.startswith(f"JournalDamaged: fake/journal/{FIRST}: "), position
        elif position < FRAME_ENDS[2] - 64:
            # The bytes of the last frame do not show whether it was acknowledged, so a person decides.
            assert says.startswith(f"TailInDoubt: fake/journal/{FIRST}: frame 3 at byte 16384: "), position
            assert "frame 3 can be given up: by `sycee restore --cut-tail`" in says
            says, found = judged(disk, position, xor, cut_tail=True)
            assert found == written[:2]
            assert "4,096 bytes cut" in says
        else:
            assert found == written, position
            assert ("complete except for its trailer" if position < FRAME_ENDS[2] else "bytes cut") in says


def test_damage_to_every_field_of_a_segment_header() -> None:
    for field in SEGMENT_FIELDS:
        for file in [FIRST, SECOND]:
            with case(field, file):
                disk, _ = small(3, 200, 150, 1, closed=True)
                assert {name for name, _ in places(disk)} == {FIRST, SECOND}
                disk.damage(file, SEGMENT_FIELDS[field], 0x10)
                says, _ = outcome(disk)
                assert says.startswith(f"JournalDamaged: fake/journal/{file}: byte 0: its segment header")


def test_damage_to_every_field_of_a_frame_header() -> None:
    for field in FRAME_FIELDS:
        for number in [1, 2, 3]:
            with case(field, number):
                disk, _ = small(3, 200, 150, 1, closed=True)
                file, offset = places(disk)[number - 1]
                disk.damage(file, offset + FRAME_FIELDS[field], 0x10)
                says, _ = outcome(disk)
                flaw = "has no magic number" if field == "magic" else "does not match the header's checksum"
                assert says.startswith(
                    f"JournalDamaged: fake/journal/{file}: frame {number} at byte {offset}: its header {flaw}"
                )


@pytest.mark.parametrize("field", TRAILER_FIELDS)
def test_damage_to_every_field_of_a_trailer(field: str) -> None:
    for closed in (True, False):
        disk, written = small(3, 30, closed=closed)
        offset = 16384 - 64 + TRAILER_FIELDS[field]
        disk.damage(FIRST, offset, 0x80)
        says, found = outcome(disk)
        if closed:
            assert says.startswith(
                f"JournalDamaged: fake/journal/{FIRST}: frame 2 at byte 8192: its trailer is damaged"
            )
        else:
            assert found == written
            assert "frame 2 at byte 8192 was complete except for its trailer, which was written again" in says
            assert outcome(disk.kill()) == ("", written), "the trailer is sound now"


@pytest.mark.parametrize("position", [512 + 28 * 128, 512 + 28 * 128 + 103])
def test_a_damaged_envelope_is_found_like_a_damaged_record(position: int) -> None:
    for closed in (True, False):
        disk, _ = small(3, 28, closed=closed)
        disk.damage(FIRST, 8192 + position, 1)
        says, _ = outcome(disk)
        assert says.startswith("JournalDamaged" if closed else "TailInDoubt")
        assert "frame 2 at byte 8192: its records, envelopes or padding do not match" in says


def test_damage_at_the_end_of_a_full_segment_is_damage() -> None:
    """The next segment proves all frames of this one, with or without a clean close."""
    disk, _ = small(3, 200, 150, closed=False)
    file, offset = places(disk)[1]
    assert places(disk)[2][0] == SECOND
    for position in (offset + 3, offset + 600, offset + 28_672 - 1, offset + 28_672 + 9):
        says, _ = judged(disk, position, 1)
        assert says.startswith(f"JournalDamaged: fake/journal/{file}: frame "), says
        assert f"{SECOND} follows it" in says


def test_the_trailer_of_a_later_frame_proves_earlier_frames() -> None:
    disk, _ = small(3, 30, 1, closed=False)
    disk.damage(FIRST, 8192, 1)
    disk.damage(FIRST, 16384, 1)
    with pytest.raises(JournalDamaged, match=r"frame 2 at byte 8192: .*a later frame ends at byte 20480"):
        recover(disk, cut_tail=True)


def test_an_erased_frame_is_damage_if_a_later_frame_exists() -> None:
    disk, _ = small(3, 30, 1, closed=True)
    content = disk.content(FIRST)
    disk.replace(FIRST, content[:8192] + bytes(8192) + content[16384:])
    says, _ = outcome(disk)
    assert "JournalDamaged" in says
    assert "frame 2 at byte 8192" in says

    disk, _ = small(3, 200, 150, closed=False)
    file, offset = places(disk)[1]
    content = disk.content(file)
    disk.replace(file, content[:offset] + bytes(len(content) - offset))
    says, _ = outcome(disk)
    assert f"{FIRST}: frame 2 at byte {offset}: frames 2 to 2 are missing: {SECOND} begins with frame 3" in says


def test_garbage_after_the_end_is_cut_and_appending_continues() -> None:
    disk, written = small(3, 30, closed=True)
    disk.damage(FIRST, 40_000, 0x55)
    journal, found = recover(disk)
    assert found == written
    assert "frame 4 at byte 20480" in journal.findings[0]
    assert not any(disk.content(FIRST)[20480:])
    written.append(append(journal, 100))
    assert recover(disk.kill())[1] == written


def test_a_tail_in_doubt_is_unchanged_without_cut_tail() -> None:
    disk, written = small(3, 30, closed=False)
    disk.damage(FIRST, 9_000, 1)
    content = disk.content(FIRST)
    with pytest.raises(TailInDoubt, match="was written last, and may have been acknowledged"):
        recover(disk)
    assert disk.content(FIRST) == content
    assert not disk.operations

    # A read-only journal changes nothing either, even with `cut_tail`.
    with pytest.raises(TailInDoubt):
        Journal.verify(disk)
    report = Journal.verify(disk, cut_tail=True)
    assert "would be cut at a start" in report.findings[0]
    assert report.frames == 1
    assert disk.content(FIRST) == content

    journal, found = recover(disk, cut_tail=True)
    assert found == written[:1]
    assert append(journal, 30) == written[1]
    assert recover(disk.kill())[1] == written


def test_damage_releases_the_folder() -> None:
    disk, _ = small(3, 30, closed=True)
    disk.damage(FIRST, 5_000, 1)
    for _ in range(2):
        with pytest.raises(JournalDamaged):
            recover(disk)
