"""Faults of disks other than power cuts: the fake disk causes and counts them, and the journal finds them."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from tests.each import case
from tests.journal.history import FIRST, Written, append, create, recover, run, small

from sycee.core.errors import JournalDamaged, UnavailableError
from sycee.journal import Journal, RealDisk
from sycee.journal.segments import segment_numbers
from sycee.testing.disk import FakeDisk, Loss, PowerCut

pytestmark = pytest.mark.fast


def test_a_frame_is_written_if_the_thread_for_the_spare_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    disk = RealDisk(tmp_path / "journal")
    journal = create(disk)
    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", refuse)
        written = [append(journal, 30) for _ in range(40)]
    written.append(append(journal, 30))
    assert len(segment_numbers(disk)) > 1
    journal.close(clean=False)
    journal, found = recover(disk)
    assert found == written
    journal.close()


def written_with(fault: tuple[str, int] | None, at: int) -> tuple[FakeDisk, list[Written]]:
    """Return a disk with five frames, where write `at` was misdirected or lost; the first write is the header."""
    disk = FakeDisk(misdirected={at: fault})
    journal = create(disk)
    return disk, [append(journal, count) for count in (3, 30, 1, 28, 2)]


def outcome(disk: FakeDisk) -> tuple[str, list[Written]]:
    """Start from the disk with `cut_tail`; return the damage, or the frames."""
    try:
        return "", recover(disk.kill(), cut_tail=True)[1]
    except JournalDamaged as error:
        return error.message, []


@pytest.mark.parametrize("at", [2, 3, 4, 5])
def test_a_lost_write_is_found_if_a_later_frame_exists(at: int) -> None:
    disk, _ = written_with(None, at)
    assert disk.faults == {"write lost": 1}
    with pytest.raises(JournalDamaged, match=rf"frame {at} at byte \d+ was written after it"):
        recover(disk.kill())


def test_a_lost_last_write_is_found_by_an_anchor() -> None:
    """The journal alone cannot detect that it was longer; a snapshot's anchor or a checkpoint stored elsewhere can."""
    disk = FakeDisk(misdirected={3: None})
    journal = create(disk)
    first = append(journal, 3)
    append(journal, 30)
    assert recover(disk.kill())[1] == [first]
    with pytest.raises(JournalDamaged, match="the journal ends with frame 1, but frame 2 was durable"):
        list(Journal.open(disk.kill()).recover(after=journal.anchor))


def test_a_misdirected_write_is_never_accepted_as_a_frame() -> None:
    for at in [2, 3, 4, 5, 6]:
        for offset in [0, 4096, 8192, 8704, 16384, 40_960]:
            with case(at, offset):
                disk, written = written_with((FIRST, offset), at)
                assert disk.faults == {"write misdirected": 1}
                says, found = outcome(disk)
                # Without damage, the write landed at its place, or was the last one: no frame is invented.
                assert FIRST in says if says else found in (written, written[:-1])


def test_a_misdirected_write_may_hit_another_file() -> None:
    disk, _ = small(3, 200, 150, closed=False)
    journal, _ = recover(disk)
    disk.misdirected = {disk.operations["pwrite"] + 1: (FIRST, 8192)}
    append(journal, 1)
    with pytest.raises(JournalDamaged, match=FIRST):
        recover(disk.kill())


def test_bit_rot_is_found_or_harmless() -> None:
    for seed in range(60):
        with case(seed):
            disk = FakeDisk()
            written: list[Written] = []
            run(disk, written)
            hits = disk.flip_bits(seed, bits=1 + seed % 3)
            assert disk.faults["byte damaged"] == len(hits) == 1 + seed % 3
            says, found = outcome(disk)
            if says:
                assert any(name in says for name, _ in hits)
            else:
                assert found in (written, written[:-1])


def test_flip_bits_is_repeatable_and_needs_bytes() -> None:
    disks = [FakeDisk(), FakeDisk()]
    assert disks[0].flip_bits(3) == []
    for disk in disks:
        run(disk, [])
    assert disks[0].flip_bits(3, bits=5) == disks[1].flip_bits(3, bits=5)
    assert {name for name, _ in disks[0].flip_bits(4, bits=9, name=FIRST)} == {FIRST}


def test_the_fake_disk_counts_its_faults() -> None:
    disk = FakeDisk()
    file = disk.create("a")
    disk.fsync_folder()
    for number in range(8):
        file.pwrite(memoryview(bytes([number + 1]) * 512), 0)
    seen = {disk.crash(seed, Loss.SHUFFLED).content("a")[:1] for seed in range(40)}
    assert seen > {bytes([1]), bytes([8])}, "an older write may win over a newer one"
    assert disk.faults["power cut"] == 40
    assert disk.faults["writes done in another order"] > 0
    assert disk.faults["sectors lost in a power cut"] > 0

    disk.create("b")
    assert disk.crash(loss=Loss.LOST).faults is disk.faults
    assert disk.faults["names lost in a power cut"] == 1
    disk.space_bytes = 512
    with pytest.raises(UnavailableError):
        file.pwrite(memoryview(bytes(600)), 0)
    disk.fail_sync_at = 1
    with pytest.raises(UnavailableError):
        file.fdatasync()
    disk.read_only = True
    with pytest.raises(UnavailableError):
        disk.unlink("a")
    assert [disk.faults[name] for name in ("refused: no space", "failed fdatasync", "refused: read-only")] == [1, 1, 1]
    disk.cut_after = 0
    disk.read_only = False
    with pytest.raises(PowerCut):
        disk.unlink("a")
