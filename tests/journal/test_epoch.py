"""Epochs: each begins a new durable segment, and all its frames have its number."""

from __future__ import annotations

import struct

import pytest
import xxhash
from tests.journal.history import FIRST, SECOND, TIME_NS, Written, append, as_written, create, recover, small

from sycee.core.errors import JournalDamaged, TailInDoubt, UnavailableError
from sycee.journal import FrameKind, Journal
from sycee.testing.disk import FakeDisk, Loss, PowerCut

pytestmark = pytest.mark.fast


def test_a_new_epoch_begins_a_segment_and_its_frames_have_its_number() -> None:
    disk, written = small(3, 28, closed=True)
    before = disk.content(FIRST)
    journal, _ = recover(disk)
    assert journal.begin_epoch() == 2
    assert journal.epoch == 2
    assert disk.content(FIRST) == before, "zeros stay zeros"
    written += [append(journal, 5), append(journal, 200), append(journal, 200)]
    anchor = journal.anchor
    journal.close(movement_digest=bytes([7]) * 32)

    reopened = Journal.open(disk)
    frames = list(reopened.recover())
    assert as_written(frames)[:-1] == written
    assert [frame.epoch for frame in frames] == [1, 1, 1, 2, 2, 2, 2]
    assert (frames[-1].kind, frames[-1].movement_digest) == (FrameKind.CLOSE, bytes([7]) * 32)
    assert frames[3].location == (SECOND, 4096)
    assert reopened.epoch == 2
    assert reopened.begin_epoch() == 3
    reopened.close()
    report = Journal.verify(disk)
    assert (report.epoch, report.segments, report.frames, report.closed) == (3, 4, 7, True)

    later = Journal.open(disk)
    assert [frame.sequence for frame in later.recover(after=anchor)] == [7]
    assert later.epoch == 3


def test_epochs_without_frames_between_them() -> None:
    disk = FakeDisk()
    journal = create(disk)
    assert [journal.begin_epoch(), journal.begin_epoch()] == [2, 3]
    written = [append(journal, 3)]
    assert [journal.begin_epoch(), journal.begin_epoch()] == [4, 5]
    reopened, found = recover(disk.kill())
    assert found == written
    assert reopened.epoch == 5
    written.append(append(reopened, 1))
    for anchor in (journal.anchor, reopened.anchor):
        again = Journal.open(disk.crash(loss=Loss.LOST))
        assert as_written(again.recover(after=anchor)) == written[anchor.sequence :]
        assert again.epoch == 5


def test_an_epoch_cannot_begin_before_recovery_or_with_a_prepared_frame() -> None:
    disk, _ = small(3, closed=True)
    journal = Journal.open(disk)
    with pytest.raises(ValueError, match=r"iterate over recover\(\) to its end first"):
        journal.begin_epoch()
    list(journal.recover())
    ahead = journal.prepare(kind=FrameKind.EMPTY, time_ns=TIME_NS + 50)
    with pytest.raises(ValueError, match="frame 3 of epoch 1 is not written yet"):
        journal.begin_epoch()
    journal.write(ahead)
    assert journal.begin_epoch() == 2
    journal.epoch = 2**32 - 1
    with pytest.raises(ValueError, match="epoch 4294967295 is the last one"):
        journal.begin_epoch()


def written_in_epochs(disk: FakeDisk, acknowledged: list[Written], epochs: list[int]) -> None:
    journal = create(disk)
    epochs.append(journal.epoch)
    for _ in range(2):
        acknowledged += [append(journal, 3)]
        acknowledged += [append(journal, 28)]
        epochs.append(journal.begin_epoch())
    acknowledged += [append(journal, 60)]


def test_a_power_cut_while_an_epoch_begins() -> None:
    undisturbed = FakeDisk()
    everything: list[Written] = []
    written_in_epochs(undisturbed, everything, [])
    for cut_after in range(undisturbed.operations.total()):
        disk = FakeDisk(cut_after=cut_after)
        acknowledged: list[Written] = []
        epochs: list[int] = []
        with pytest.raises(PowerCut):
            written_in_epochs(disk, acknowledged, epochs)
        for seed, loss in enumerate(Loss):
            crashed = disk.crash(seed, loss)
            if not Journal.exists(crashed):
                assert epochs == []
                continue
            journal = Journal.open(crashed, cut_tail=True)
            found = as_written(journal.recover())
            assert found == everything[: len(found)]
            assert len(acknowledged) <= len(found) <= len(acknowledged) + 1
            assert journal.epoch in (*(epochs or [1])[-1:], len(epochs) + 1)
            assert journal.epoch >= (epochs or [1])[-1], "an epoch that had begun was forgotten"
            journal.begin_epoch()
            append(journal, 1)
            assert Journal.verify(crashed.crash(loss=Loss.LOST)).epoch == journal.epoch


def restored_and_rotten() -> tuple[FakeDisk, list[Written]]:
    """A new epoch has begun without a frame, and the header of its segment is damaged."""
    disk, written = small(3, 28, closed=True)
    journal, _ = recover(disk)
    assert journal.begin_epoch() == 2
    journal.close()
    disk = disk.kill()
    disk.damage(SECOND, 40, 3)
    return disk, written


def test_an_epoch_whose_beginning_is_cut_is_never_used_again() -> None:
    disk, written = restored_and_rotten()
    with pytest.raises(TailInDoubt, match=f"{SECOND}: its segment header does not match the header's checksum"):
        recover(disk.kill())
    journal, found = recover(disk, cut_tail=True)
    assert found == written
    assert journal.epoch == 3, "neither the epoch of the old writer nor the one that had begun"
    assert journal.findings[-1] == "epoch 3 begins: the segment that was cut may have begun the one before"
    written.append(append(journal, 5))
    journal.close()
    frames = list(Journal.open(disk.kill(), read_only=True).recover())
    assert [frame.epoch for frame in frames] == [1, 1, 1, 3, 3]
    assert frames[3].location == (SECOND, 4096)
    later, _ = recover(disk.kill())
    assert (later.epoch, later.findings) == (3, [])
    assert later.begin_epoch() == 4


def test_a_power_cut_while_the_beginning_of_an_epoch_is_cut() -> None:
    cuts = 0
    for after in range(40):
        disk, written = restored_and_rotten()
        disk.cut_after = after
        try:
            recover(disk, cut_tail=True)
        except PowerCut:
            cuts += 1
        else:
            break
        for seed, loss in enumerate(Loss):
            crashed = disk.crash(seed, loss)
            try:
                journal, found = recover(crashed.kill())
            except TailInDoubt:
                journal, found = recover(crashed, cut_tail=True)
            assert (found, journal.epoch) == (written, 3)
    assert 5 < cuts < 40


def test_a_full_disk_stops_the_journal_and_the_old_epoch_continues() -> None:
    disk = FakeDisk(space_bytes=60_000)
    journal = create(disk)
    written = [append(journal, 3)]
    with pytest.raises(UnavailableError, match=r"spare\.temp: no space left on the disk"):
        journal.begin_epoch()
    with pytest.raises(UnavailableError, match="stopped after a failed write"):
        append(journal, 1)
    journal.close()
    restarted = disk.kill()
    journal, found = recover(restarted)
    assert (found, journal.epoch) == (written, 1)
    assert journal.begin_epoch() == 2


def test_a_segment_of_an_older_epoch_after_a_newer_one_is_refused() -> None:
    """As if a writer continued after another one had replaced it."""
    disk, _ = small(3, closed=True)
    journal, _ = recover(disk)
    journal.begin_epoch()
    append(journal, 3)
    journal.begin_epoch()
    third = bytearray(disk.content("000000000003.segment"))
    struct.pack_into("<I", third, 40, 1)
    third[4088:4096] = bytes(8)
    third[4088:4096] = xxhash.xxh3_64_digest(bytes(third[:4096]))
    disk.replace("000000000003.segment", bytes(third))
    for anchor in (None, journal.anchor):
        with pytest.raises(JournalDamaged, match=r"000000000003\.segment: byte 0: its epoch 1 is older than 2"):
            list(Journal.open(disk.kill()).recover(after=anchor))
