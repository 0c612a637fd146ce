"""Real file systems that fill up, take reserved space back or turn read-only, and journals with a missing file."""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

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
