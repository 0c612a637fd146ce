"""Recovery after an anchor: the same frames as in a recovery from the first frame, or damage."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
import xxhash
from tests.journal.history import (
    FIRST,
    SECOND,
    TIME_NS,
    Written,
    append,
    as_written,
    create,
    places,
    recover,
    recover_whatever,
    run,
    small,
)

from sycee.core.errors import JournalDamaged, TailInDoubt
from sycee.journal import Anchor, Frame, Journal, RealDisk
from sycee.journal.frame import genesis_digest
from sycee.testing.disk import FakeDisk, Loss, PowerCut

pytestmark = pytest.mark.fast

THIRD = "000000000003.segment"


def anchors_of(disk: FakeDisk) -> list[Anchor]:
    """Return the anchor of each frame, read from the next frame's header, and from the journal for the last one."""
    journal = Journal.open(disk, read_only=True)
    anchors: list[Anchor] = []
    content = {name: disk.content(name) for name in disk.names()}
    frames: list[Frame] = list(journal.recover())
    for frame, after in pairwise(frames):
        header = content[after.location.file][after.location.offset :]
        anchors.append(Anchor(frame.sequence, frame.time_ns, header[56:88]))
    return [*anchors, journal.anchor] if frames else []


def after(disk: FakeDisk, anchor: Anchor, *, cut_tail: bool = False) -> tuple[Journal, list[Written]]:
    journal = Journal.open(disk, cut_tail=cut_tail)
    return journal, as_written(journal.recover(after=anchor))


@pytest.fixture
def three_segments() -> tuple[FakeDisk, list[Written], list[Anchor]]:
    disk = FakeDisk()
    written: list[Written] = []
    run(disk, written)
    return disk, written, anchors_of(disk)


def test_the_anchor_is_the_newest_durable_frame() -> None:
    disk = FakeDisk()
    journal = create(disk)
    assert journal.anchor == Anchor(0, 0, genesis_digest(journal.ledger_id))
    seen = []
    for count in (3, 28, 0, 200):
        append(journal, count)
        seen.append(journal.anchor)
    ahead = journal.prepare(kind=1, time_ns=TIME_NS + 99, records=bytes(128))  # type: ignore[arg-type]
    assert journal.anchor == seen[-1], "prepared is not durable"
    journal.write(ahead)
    assert journal.anchor != seen[-1]
    assert anchors_of(disk.kill())[:-1] == seen
    reopened, _ = recover(disk.kill())
    assert reopened.anchor == journal.anchor


def test_recovery_after_any_anchor_yields_the_frames_after_it(
    three_segments: tuple[FakeDisk, list[Written], list[Anchor]],
) -> None:
    disk, written, anchors = three_segments
    assert [anchor[:2] for anchor in anchors] == [(one[0], one[2]) for one in written]
    start = Anchor(0, 0, genesis_digest(Journal.open(disk, read_only=True).ledger_id))
    for anchor in [start, *anchors]:
        copy = disk.crash()
        journal, found = after(copy, anchor)
        assert found == written[anchor.sequence :]
        assert journal.findings == []
        assert journal.anchor == anchors[-1]
        extra = append(journal, 7)
        assert recover(copy.kill())[1] == [*written, extra], "appending continues after the last frame"


def test_frames_of_earlier_segments_are_not_read(three_segments: tuple[FakeDisk, list[Written], list[Anchor]]) -> None:
    disk, written, anchors = three_segments
    where = places(disk)
    first_of_third = next(index for index, (name, _) in enumerate(where) if name == THIRD)
    for name in (FIRST, SECOND):
        disk.damage(name, 4096 + 700, 0xFF)
    _, found = after(disk, anchors[first_of_third])
    assert found == written[first_of_third + 1 :]
    with pytest.raises(JournalDamaged, match=f"{SECOND}: frame .* at byte 4096: its records, envelopes or padding"):
        after(disk.kill(), anchors[first_of_third - 1])
    with pytest.raises(JournalDamaged, match=f"{FIRST}: frame 1 at byte 4096"):
        recover(disk.kill())


def test_damage_before_the_anchor_in_its_segment_is_found() -> None:
    disk, _ = small(3, 30, 1, closed=True)
    anchors = anchors_of(disk)
    disk.damage(FIRST, 4096 + 600, 1)
    for anchor in anchors:
        with pytest.raises(JournalDamaged, match=f"{FIRST}: frame 1 at byte 4096: its records, envelopes or padding"):
            after(disk.kill(), anchor)


@pytest.mark.parametrize("cut_tail", [False, True])
@pytest.mark.parametrize("loss", ["erased", "torn", "in doubt", "no header", "no segment"])
def test_a_journal_that_ends_before_the_anchor_is_damaged(loss: str, cut_tail: bool) -> None:
    """Without the anchor, the next start would cut frames that were durable."""
    disk, _ = small(3, 200, 150, 28, closed=False)
    anchor = anchors_of(disk)[-1]
    (_, before), (name, offset) = places(disk)[-2:]
    assert name == SECOND
    content = disk.content(SECOND)
    if loss == "erased":
        disk.replace(SECOND, content[:offset] + bytes(len(content) - offset))
    elif loss == "torn":
        disk.replace(SECOND, content[: offset + 1024] + bytes(len(content) - offset - 1024))
    elif loss == "in doubt":
        disk.damage(SECOND, offset + 600, 1)
    elif loss == "no header":
        disk.replace(SECOND, bytes(len(content)))
    else:
        disk.remove(SECOND)
    last = 2 if loss in ("no header", "no segment") else 3
    kept = {one: disk.content(one) for one in disk.names()}
    with pytest.raises(JournalDamaged, match=f"the journal ends with frame {last}, but frame 4 was durable") as found:
        after(disk, anchor, cut_tail=cut_tail)
    assert ("(fake/journal" in found.value.message) == (loss in ("torn", "in doubt", "no header"))
    assert found.value.hint is not None
    assert "restore the journal's newest segments from a copy" in found.value.hint
    assert {one: disk.content(one) for one in disk.names()} == kept, "nothing was changed"
    assert before < offset


@pytest.mark.parametrize("loss", ["torn", "in doubt"])
def test_a_frame_that_is_given_up_may_be_an_anchor(loss: str) -> None:
    disk, _ = small(3, 200, 150, 28, closed=False)
    anchors = anchors_of(disk)
    name, offset = places(disk)[-1]
    content = disk.content(name)
    if loss == "torn":
        disk.replace(name, content[: offset + 1024] + bytes(len(content) - offset - 1024))
    else:
        disk.damage(name, offset + 600, 1)

    def cut(given: list[Anchor], *, cut_tail: bool = True, after: Anchor | None = None) -> tuple[int, list[int]]:
        given_up: list[int] = []
        journal = Journal.open(disk.crash(loss=Loss.KEPT), cut_tail=cut_tail)
        return len(list(journal.recover(after, anchors=given, give_up=given_up.append))), given_up

    assert cut(anchors) == (3, [4])
    assert cut(anchors[:3]) == (3, [4])
    for given, options in (
        ([*anchors, Anchor(5, TIME_NS + 99, bytes(32))], {}),
        ([Anchor(5, TIME_NS + 99, bytes(32))], {}),
        (anchors, {"cut_tail": False}),
        (anchors, {"after": anchors[-1]}),
    ):
        with pytest.raises(JournalDamaged, match="the journal ends with frame 3, but frame "):
            cut(given, **options)  # type: ignore[arg-type]
    with pytest.raises(JournalDamaged, match="frame 2 before it is not the one that was durable there"):
        cut([anchors[1]._replace(digest=bytes(32)), anchors[3]])


def test_an_anchor_that_vanished_without_a_trace_cannot_be_given_up() -> None:
    disk, _ = small(3, 200, 150, 28, closed=False)
    anchors = anchors_of(disk)
    name, offset = places(disk)[-1]
    content = disk.content(name)
    disk.replace(name, content[:offset] + bytes(len(content) - offset))
    with pytest.raises(JournalDamaged, match="the journal ends with frame 3, but frame 4 was durable"):
        list(Journal.open(disk, cut_tail=True).recover(anchors=anchors, give_up=lambda _: None))


def test_a_frame_without_its_trailer_has_the_same_digest() -> None:
    disk, _ = small(3, 30, closed=False)
    digests = [anchor.digest for anchor in anchors_of(disk)]
    disk.damage(FIRST, 16384 - 64, 1)
    assert [frame.digest for frame in Journal.open(disk, read_only=True).recover()] == digests


def test_a_frame_without_its_trailer_still_matches_the_anchor() -> None:
    disk, written = small(3, 30, closed=False)
    anchor = anchors_of(disk)[-1]
    disk.damage(FIRST, 16384 - 64, 1)
    journal, found = after(disk, anchor)
    assert found == []
    assert "which was written again" in journal.findings[0]
    assert recover(disk.kill())[1] == written


@pytest.mark.parametrize("sequence", [0, 1, 2, 3])
def test_another_frame_at_the_anchor_is_damage(sequence: int) -> None:
    disk, _ = small(3, 200, 150, closed=False)
    with pytest.raises(
        JournalDamaged, match=f"frame {sequence} before it is not the one that was durable there: the digests differ"
    ) as found:
        after(disk, Anchor(sequence, TIME_NS, bytes(32)))
    assert found.value.hint is not None
    assert "Nothing was changed" in found.value.hint


def test_a_copy_with_other_frames_does_not_match_the_anchor() -> None:
    disk, _ = small(3, 200, 150, closed=True)
    anchor = anchors_of(disk)[2]
    other, _ = small(3, 210, 150, closed=True)
    with pytest.raises(JournalDamaged, match="frame 3 before it is not the one"):
        after(other, anchor)


@pytest.mark.parametrize(
    ("at", "form", "value", "says"),
    [
        (16, "<Q", 7, "it belongs to another ledger, 0700"),
        (32, "<Q", 5, "its header has the number 5"),
        (12, "<I", 4096, "the file has 49152 bytes, but 4096 in its header"),
        (48, "<Q", 0, "it begins with frame 0, which an earlier segment contains"),
        (40, "<I", 0, "its epoch 0 is older than 1"),
        (88, "<Q", 1, None),
    ],
)
def test_headers_of_earlier_segments_are_checked(
    three_segments: tuple[FakeDisk, list[Written], list[Anchor]], at: int, form: str, value: int, says: str | None
) -> None:
    disk, _, anchors = three_segments
    block = bytearray(disk.content(SECOND))
    struct.pack_into(form, block, at, value)
    block[4088:4096] = bytes(8)
    block[4088:4096] = xxhash.xxh3_64_digest(bytes(block[:4096]))
    disk.replace(SECOND, bytes(block))
    if says is None:  # reserved bytes mean nothing
        assert after(disk, anchors[-1])[1] == []
        return
    with pytest.raises(JournalDamaged, match=f"{SECOND}: byte 0: {says}"):
        after(disk, anchors[-1])


def test_an_invalid_header_or_a_missing_segment_before_the_anchor_is_damage(
    three_segments: tuple[FakeDisk, list[Written], list[Anchor]],
) -> None:
    disk, _, anchors = three_segments
    disk.damage(SECOND, 100, 1)
    with pytest.raises(JournalDamaged, match=f"{SECOND}: byte 0: its segment header does not match"):
        after(disk.kill(), anchors[-1])
    disk.remove(SECOND)
    with pytest.raises(JournalDamaged, match=f"{SECOND}: byte 0: the file is missing"):
        after(disk, anchors[-1])


def test_an_unfinished_last_segment_is_still_in_doubt() -> None:
    disk, _ = small(3, 200, closed=False)
    anchor = anchors_of(disk)[0]
    disk.replace(SECOND, bytes(48 << 10))
    with pytest.raises(TailInDoubt, match=f"{SECOND}: its segment header has no magic number"):
        after(disk, anchor)
    journal, found = after(disk, anchor, cut_tail=True)
    assert [one[0] for one in found] == [2]
    assert append(journal, 200)[0] == 3


def test_after_every_power_cut_anchors_and_full_recovery_agree() -> None:
    undisturbed = FakeDisk()
    run(undisturbed, [])
    anchors = anchors_of(undisturbed)
    for cut_after in range(12, undisturbed.operations.total(), 5):
        disk = FakeDisk(cut_after=cut_after)
        acknowledged: list[Written] = []
        with pytest.raises(PowerCut):
            run(disk, acknowledged)
        for loss in Loss:
            _, found, doubted = recover_whatever(disk.crash(1, loss))
            for anchor in anchors[: len(acknowledged)]:
                crashed = disk.crash(1, loss)
                if doubted:
                    with pytest.raises(TailInDoubt):
                        after(crashed, anchor)
                _, rest = after(crashed, anchor, cut_tail=True)
                assert rest == found[anchor.sequence :]


def test_an_anchor_on_a_real_disk(tmp_path) -> None:  # type: ignore[no-untyped-def]
    journal = create(RealDisk(tmp_path / "journal"))
    written = [append(journal, count) for count in (3, 200, 150)]
    anchor = journal.anchor
    written.append(append(journal, 28))
    journal.close()
    journal = Journal.open(RealDisk(tmp_path / "journal"))
    assert as_written(journal.recover(after=anchor))[0] == written[3]
    journal.close()
