"""A restored ledger is the same ledger in a new epoch; a damaged copy gives no ledger."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from tests.sequencer.small import START_NS, opening, run

from sycee.core.clock import SimulatedClock
from sycee.core.errors import IntegrityError, JournalDamaged, TailInDoubt, UnavailableError, UsageError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.journal import Frame, Journal, RealDisk
from sycee.ledger.state import LedgerState
from sycee.sequencer import restore as restore_module
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.restore import restore
from sycee.sequencer.verify import verify

SEGMENT = "000000000001.segment"


def ledger_in(folder: Path, *, closed: bool = True) -> bytes:
    """Write the small history to a folder; return its digest."""
    clock = SimulatedClock(START_NS)
    ledger = Ledger.open(folder, clock=clock, snapshot_frames=0)
    run(ledger.sequencer, clock, [])
    digest = ledger.digest()
    if closed:
        ledger.close()
    else:  # as a killed process leaves it
        ledger.sequencer._log._release()  # type: ignore[attr-defined]
    return digest


def frames_of(folder: Path) -> list[Frame]:
    return list(Journal.open(journal_disk(folder), read_only=True).recover())


@pytest.mark.parametrize("closed", [True, False])
def test_the_same_ledger_in_a_new_epoch(tmp_path: Path, closed: bool) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    digest = ledger_in(source, closed=closed)
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    seen: list[int] = []
    restored = restore(source, target, progress=seen.append)
    assert (restored.epoch, restored.digest, restored.findings) == (2, digest.hex(), ())
    assert restored.frames == 13 + closed
    assert seen == list(range(1, restored.frames + 1))
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in target.iterdir()) == ["journal"]
    with Ledger.open(target) as ledger:
        assert ledger.digest() == digest
        assert ledger.submit(opening())["code"].tolist() == [Result.EXISTS] * opening().size
        assert ledger.submit(operations.define_group(77, group=7))["code"].tolist() == [Result.CREATED]
        later = ledger.digest()
    assert verify(target).digest == later.hex()
    epochs = [frame.epoch for frame in frames_of(target)]
    assert epochs == [1] * restored.frames + [2] * (len(epochs) - restored.frames)
    assert len(epochs) > restored.frames
    # A copy of a copy.
    assert restore(target, tmp_path / "third").epoch == 3
    with Ledger.open(tmp_path / "third") as ledger:
        assert ledger.digest() == later


def test_a_ledger_that_is_open_is_named(tmp_path: Path) -> None:
    """The copy is valid, without the operations that the running ledger acknowledges from now on."""
    source = tmp_path / "source"
    with Ledger.open(source, clock=SimulatedClock(START_NS)) as ledger:
        ledger.submit(opening())
        frames = ledger.sequencer.durable_sequence
        (finding,) = restore(source, tmp_path / "target").findings
        assert f"was in use by this process (pid {os.getpid()}) while it was copied" in finding
        assert f"operations after frame {frames} are not in the copy" in finding
        assert ledger.submit(operations.define_group(77, group=7))["code"].tolist() == [Result.CREATED]
    assert restore(source, tmp_path / "later").findings == ()
    # The check needs no write permission, and takes no lock.
    (source / "journal" / "lock").chmod(0o444)
    assert restore(source, tmp_path / "third").findings == ()
    (source / "journal" / "lock").unlink()
    assert restore(source, tmp_path / "fourth").findings == ()


def test_a_folder_that_holds_no_ledger_or_holds_something(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with pytest.raises(UsageError, match="source holds no ledger"):
        restore(source, tmp_path / "target")
    ledger_in(source)
    for target in (source, tmp_path):
        with pytest.raises(UsageError, match="is not empty"):
            restore(source, target)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is not empty"):
        restore(source, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    restore(source, tmp_path / "empty")


def damaged(folder: Path, sequence: int, into: int) -> None:
    """Change one byte of a frame, `into` its bytes."""
    frame = next(frame for frame in frames_of(folder) if frame.sequence == sequence)
    path = folder / "journal" / SEGMENT
    content = bytearray(path.read_bytes())
    content[frame.location.offset + into] ^= 1
    path.write_bytes(content)


def test_a_damaged_copy_makes_no_ledger(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    ledger_in(source)
    damaged(source, 4, 600)
    with pytest.raises(JournalDamaged, match=f"source/journal/{SEGMENT}: frame 4 at byte"):
        restore(source, target)
    assert not target.exists()


def test_a_tail_in_doubt_is_a_persons_to_cut(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    ledger_in(source, closed=False)
    damaged(source, 13, 600)
    before = (source / "journal" / SEGMENT).read_bytes()
    with pytest.raises(TailInDoubt):
        restore(source, target)
    assert not target.exists()
    restored = restore(source, target, cut_tail=True)
    assert (restored.frames, restored.epoch) == (12, 2)
    assert "bytes would be cut" in restored.findings[0]
    assert (source / "journal" / SEGMENT).read_bytes() == before
    with Ledger.open(target) as ledger:
        assert ledger.digest().hex() == restored.digest
        assert ledger.sequencer.findings == ()


def test_a_copy_that_changes_meanwhile_makes_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    ledger_in(source)
    real = restore_module._copy

    def busy(*disks: object) -> None:
        with Ledger.open(source) as ledger:
            ledger.submit(operations.define_group(77, group=7))
        real(*disks)  # type: ignore[arg-type]

    monkeypatch.setattr(restore_module, "_copy", busy)
    with pytest.raises(IntegrityError, match="changed while it was copied: it ended with frame 14"):
        restore(source, target)
    assert list(target.iterdir()) == []
    monkeypatch.undo()
    restore(source, target)


def test_a_disk_that_is_full_makes_no_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    digest = ledger_in(source)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patched:
        patched.setattr("os.pwrite", full)
        with pytest.raises(UnavailableError, match=r"journal.partial.*no space left"):
            restore(source, target)
    assert list(target.iterdir()) == []
    assert restore(source, target).digest == digest.hex()


def test_half_a_copy_is_no_ledger(tmp_path: Path) -> None:
    """The machine fails during the copy: there is no ledger, and a second attempt reports the incomplete copy."""
    source, target = tmp_path / "source", tmp_path / "target"
    ledger_in(source)
    shutil.copytree(source / "journal", target / "journal.partial")
    with pytest.raises(UsageError, match="holds no ledger"):
        verify(target)
    with pytest.raises(UsageError, match="target is not empty") as caught:
        restore(source, target)
    assert f"{target}/journal.partial is an incomplete copy" in (caught.value.hint or "")
    shutil.rmtree(target / "journal.partial")
    restore(source, target)


@pytest.mark.parametrize("failure", [UnavailableError("it refused"), KeyboardInterrupt()], ids=["error", "Ctrl-C"])
@pytest.mark.parametrize("where", ["before the name", "after the name", "not durable", "digest"])
def test_after_any_error_there_is_no_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, failure: BaseException
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    digest = ledger_in(source)
    rename, fsync_folder = RealDisk.rename, RealDisk.fsync_folder

    def failing_rename(self: RealDisk, old: str, new: str) -> None:
        if new == "journal" and where == "before the name":
            raise failure
        rename(self, old, new)
        if new == "journal" and where == "after the name":
            raise failure

    def failing_fsync(self: RealDisk) -> None:
        if self.folder == str(target) and where == "not durable":
            raise failure
        fsync_folder(self)

    def failing_digest(_: LedgerState) -> bytes:
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(RealDisk, "rename", failing_rename)
        patched.setattr(RealDisk, "fsync_folder", failing_fsync)
        if where == "digest":
            patched.setattr(LedgerState, "digest", failing_digest)
        with pytest.raises(type(failure)):
            restore(source, target)
    assert not target.exists() or list(target.iterdir()) == []
    assert restore(source, target).digest == digest.hex()
