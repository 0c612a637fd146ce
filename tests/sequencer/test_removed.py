"""A folder that is removed or moved while its ledger is open: every acknowledged operation is found at a start."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.sequencer.small import ANN, BOB, opening

from sycee.core.errors import UnavailableError
from sycee.core.result_codes import Result
from sycee.journal import FrameKind, Journal
from sycee.journal import disk as disks
from sycee.journal.disk import RealDisk
from sycee.sequencer.embedded import Ledger
from sycee.testing.disk import FakeDisk

SEGMENT = "000000000001.segment"
GONE = "was removed, replaced or moved while it was open"


def with_a_second_link(folder: Path) -> None:
    """A backup with hard links: every file has another name elsewhere."""
    shutil.copytree(folder, folder.parent / "backup", copy_function=os.link)
    shutil.rmtree(folder)


def moved(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")


def replaced(folder: Path) -> None:
    """A restored copy replaces the file under its name."""
    copy = folder / "journal" / "copy"
    shutil.copy(folder / "journal" / SEGMENT, copy)
    copy.replace(folder / "journal" / SEGMENT)


@pytest.mark.parametrize("take_away", [shutil.rmtree, with_a_second_link, moved, replaced])
def test_a_payment_into_a_removed_file_is_not_acknowledged(
    tmp_path: Path, take_away: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ledger"
    ledger = Ledger.open(folder)
    ledger.submit(opening())
    take_away(folder)
    if take_away is not shutil.rmtree:
        time.sleep(1.5 * disks.LOOK_UP_S)  # the path of an open file is checked at intervals
    with pytest.raises(UnavailableError, match=rf"{SEGMENT}: the file {GONE}") as error:
        ledger.transfer(ANN, BOB, 1)
    assert f"/proc/{os.getpid()}/fd/" in str(error.value.hint)
    # The ledger has stopped, with the reason.
    for call in (lambda: ledger.transfer(ANN, BOB, 1), lambda: ledger.balance(ANN)):
        with pytest.raises(UnavailableError, match=f"the ledger stopped at frame .*{GONE}"):
            call()
    hint = str(error.value.hint)
    open_as = Path(hint[hint.index("/proc") : hint.index(", which")])
    kept = open_as.read_bytes()
    ledger.close()
    # The hint is correct: the file copied from there has everything acknowledged.
    rescued = tmp_path / "rescued" / "journal"
    rescued.mkdir(parents=True)
    (rescued / SEGMENT).write_bytes(kept)
    with Ledger.open(rescued.parent) as ledger:
        ledger.check()
        assert {*ledger.submit(opening())["code"].tolist()} == {Result.EXISTS}


def test_checking_the_file_needs_two_microseconds_a_frame(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    file = disk.create("a")
    count = 2_000
    file.fdatasync()
    best_s = min(_seconds(file._is_there, count) for _ in range(5))
    assert best_s / count < 20e-6, "ten times what it takes, for a machine with other work"


def _seconds(work: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - began


def test_the_fake_disk_does_as_the_real_one() -> None:
    disk = FakeDisk()
    journal = Journal.create(disk)
    journal.append(kind=FrameKind.EMPTY, time_ns=1)
    disk.remove(SEGMENT)
    with pytest.raises(UnavailableError, match=GONE):
        journal.append(kind=FrameKind.EMPTY, time_ns=2)
