"""Real file systems that fill up, take reserved space back or turn read-only, and journals with a missing file."""

from __future__ import annotations

import mmap
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.forked import MAY_FORK, in_child
from tests.sequencer.mounts import mounted, overcommitted, read_only, resize
from tests.sequencer.small import SHOP, START_NS, TREASURY, first_results, opening, run, some_ids

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import JournalDamaged, UnavailableError
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.journal.disk import RealDisk, RealFile
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.restore import restore
from sycee.sequencer.sequencer import Sequencer
from sycee.sequencer.verify import verify

FRAMES_MAX = 400  # of 1 MiB each: more than fits any disk here


def full_frame(number: int) -> Array:
    """Return the records of a frame of 1 MiB."""
    made = some_ids(f"frame {number}", FRAME_RECORDS_MAX)
    debit = np.array([(TREASURY, 0), (SHOP, 0)] * (FRAME_RECORDS_MAX // 2), ids.ID)
    return operations.transfer(made, debit=debit, credit=debit[::-1], amount=1)


def fill(
    folder: Path, when_open: Callable[[], None] = lambda: None
) -> tuple[list[tuple[Array, Array]], Array, UnavailableError]:
    """Pay until the disk refuses; return acknowledged and refused records, and the error."""
    ledger = Ledger.open(folder, snapshot_frames=None)
    acknowledged = [(opening(), ledger.submit(opening()))]
    when_open()
    for number in range(FRAMES_MAX):
        records = full_frame(number)
        try:
            acknowledged.append((records, ledger.submit(records)))
        except UnavailableError as error:
            with pytest.raises(UnavailableError, match="the ledger stopped at frame"):
                ledger.balance(SHOP)
            with pytest.raises(UnavailableError, match="the ledger stopped at frame"):
                ledger.submit(opening())
            ledger.close()
            return acknowledged, records, error
    raise AssertionError("the disk never refused")


def require_kept(folder: Path, acknowledged: list[tuple[Array, Array]], refused: Array) -> None:
    """Check that everything acknowledged is present, and that refused operations succeed once when sent again."""
    with Ledger.open(folder, snapshot_frames=None) as ledger:
        for records, answers in acknowledged:
            again = ledger.submit(records)
            assert set(again["code"].tolist()) == {Result.EXISTS}
            assert again["first_code"].tolist() == first_results(answers)
        assert set(ledger.submit(refused)["code"].tolist()) <= {Result.CREATED, Result.EXISTS}
        assert set(ledger.submit(refused)["code"].tolist()) == {Result.EXISTS}
        ledger.check()
        digest = ledger.digest().hex()
    assert verify(folder).digest == digest


def test_a_file_system_that_fills_up(tmp_path: Path) -> None:
    with mounted(tmp_path / "small", "-t", "tmpfs", "-o", "size=40m", "tmpfs") as small:
        acknowledged, refused, error = fill(small / "ledger")
        assert "no space left on the disk" in error.message
        assert "everything acknowledged is safe" in str(error.hint)
        assert len(acknowledged) > 15, "the first segment holds as many"
        resize(small, 300)
        require_kept(small / "ledger", acknowledged, refused)


def test_a_disk_that_refuses_reserved_space(tmp_path: Path) -> None:
    """Space was reserved, but the write of a frame is refused in the middle: the disk below is full."""
    with overcommitted(tmp_path, size_mebibytes=200, real_mebibytes=28) as (disk, real):
        acknowledged, refused, error = fill(disk / "ledger")
        assert re.search(r"\.segment: .* while (writing \d+ bytes|making it durable)", error.message), error.message
        assert len(acknowledged) > 2
        resize(real, 400)
        # The file system may be read-only after its error. It is mounted again, as after a restart of the machine.
        subprocess.run(["umount", str(disk)], check=True)
        with mounted(tmp_path / "again", "-o", "loop", str(real / "disk")) as again:
            require_kept(again / "ledger", acknowledged, refused)


@contextmanager
def failed_beside(tmp_path: Path, left_bytes: int, step: Callable[[Path, int, Callable[[], None]], None]) -> Any:
    """Call `step(folder, number, commit)` on a disk with `left_bytes` until that is used up and an error is raised.

    Yield the folder, mounted again, and how many steps succeeded. `commit` makes the file system commit the metadata
    of another file, as a second thread or program may at any time, and ignores the error.
    """
    with overcommitted(tmp_path, size_mebibytes=200, real_mebibytes=28) as (folder, real):
        other = os.open(folder / "other", os.O_RDWR | os.O_CREAT)

        def commit() -> None:
            with suppress(OSError):
                os.utime(other)
                os.fsync(other)

        status = os.statvfs(real)
        os.pwrite(other, b"x" * (status.f_bavail * status.f_frsize - left_bytes), 0)
        commit()
        done = 0
        with suppress(UnavailableError):
            for done in range(500):
                step(folder, done, commit)
        os.close(other)
        assert 10 < done < 499
        resize(real, 400)
        subprocess.run(["umount", str(folder)], check=True)
        with mounted(tmp_path / "again", "-o", "loop", str(real / "disk")) as again:
            yield again, done


@pytest.mark.parametrize("left_kibibytes", [1000, 1300, 1600])
@pytest.mark.parametrize("reopened", [False, True])
def test_a_write_that_was_not_committed_for_another_file(tmp_path: Path, reopened: bool, left_kibibytes: int) -> None:
    """If a commit of metadata fails, ext4 reports this to all who wait for it, and success to who calls later."""
    block, files = mmap.mmap(-1, 4096), list[RealFile]()

    def step(folder: Path, number: int, commit: Callable[[], None]) -> None:
        if not number:
            files.append(RealDisk(folder).create("frames"))
            files[0].zero_fill(8 << 20, written=False)
            files[0].fdatasync()
        elif reopened:
            files.append(RealDisk(folder).open("frames", writable=True))
        try:
            block[:] = bytes([number % 255 + 1]) * 4096
            files[-1].pwrite(memoryview(block), number * 8192)
            commit()
            files[-1].fdatasync()
        except UnavailableError:
            files[-1].close()
            raise
        if reopened:
            files.pop().close()

    with failed_beside(tmp_path, left_kibibytes << 10, step) as (again, durable):
        data = (again / "frames").read_bytes()
        assert [data[at * 8192] for at in range(durable)] == [at % 255 + 1 for at in range(durable)]


@pytest.mark.parametrize("left_kibibytes", [1000, 1300, 1600])
def test_a_name_that_was_not_committed_for_another_file(tmp_path: Path, left_kibibytes: int) -> None:
    def step(folder: Path, number: int, commit: Callable[[], None]) -> None:
        disk = RealDisk(folder / "segments")
        if not number:
            disk.make_folder()
            disk.create("0").close()
        disk.rename(str(number), str(number + 1))
        commit()
        disk.fsync_folder()

    with failed_beside(tmp_path, left_kibibytes << 10, step) as (again, durable):
        assert int(RealDisk(again / "segments").names()[0]) >= durable


@MAY_FORK
def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    """A frame crosses the limit: a part of it is written, and the rest is refused."""
    limit = (2 << 20) + 6 * 4096

    def filled() -> tuple[int, str]:
        acknowledged, _, error = fill(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        return len(acknowledged), error.message

    count, message = in_child(filled)
    assert re.search(r"the disk refused while writing \d+ bytes at byte \d+: File too large", message), message
    assert count == 1 + 2
    acknowledged = [opening(), *(full_frame(number) for number in range(count - 1))]
    with Ledger.open(tmp_path, snapshot_frames=None) as ledger:
        for records in acknowledged:
            assert set(ledger.submit(records)["code"].tolist()) == {Result.EXISTS}
        assert set(ledger.submit(full_frame(count))["code"].tolist()) == {Result.CREATED}
        ledger.check()


def test_a_read_only_mount(tmp_path: Path) -> None:
    """The ledger cannot be opened, but verify and restore work, since both only read."""
    folder = tmp_path / "ledger"
    with Ledger.open(folder) as ledger:
        ledger.submit(opening())
        digest = ledger.digest().hex()
    with read_only(folder, tmp_path / "shut") as shut:
        with pytest.raises(UnavailableError, match=r"shut/journal/lock: the disk is read-only; refused while"):
            Ledger.open(shut)
        assert verify(shut).digest == digest
        restored = restore(shut, tmp_path / "restored")
        assert (restored.digest, restored.findings) == (digest, ())
    with Ledger.open(folder) as ledger:
        assert ledger.digest().hex() == digest


def in_segments(folder: Path) -> bytes:
    """Write the small history in several segments; return the ledger's digest."""
    clock = SimulatedClock(START_NS)
    sequencer = Sequencer(Journal.create(journal_disk(folder), segment_bytes=20 << 10), clock=clock)
    run(sequencer, clock, [])
    digest = sequencer.state.digest()
    sequencer.close()
    return digest


@pytest.mark.parametrize("use", [Ledger.open, verify, lambda folder: restore(folder, folder.parent / "restored")])
def test_a_missing_segment_in_the_middle(tmp_path: Path, use: Callable[[Path], object]) -> None:
    folder = tmp_path / "ledger"
    in_segments(folder)
    segments = sorted((folder / "journal").glob("*.segment"))
    assert len(segments) > 3
    gone = segments[1]
    gone.rename(tmp_path / gone.name)
    before = {path: path.read_bytes() for path in (folder / "journal").glob("*.segment")}
    with pytest.raises(JournalDamaged, match=f"{gone.name}.*the file is missing, but {segments[2].name} exists"):
        use(folder)
    assert {path: path.read_bytes() for path in (folder / "journal").glob("*.segment")} == before
    shutil.move(tmp_path / gone.name, gone)
    Ledger.open(folder).close()
