"""Refusals by the machine: a folder in use, a full disk, a folder without write permission."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.journal.history import FIRST, SECOND, append, create, recover

from sycee.core.errors import UnavailableError
from sycee.journal import Journal, RealDisk
from sycee.testing.disk import FakeDisk

pytestmark = pytest.mark.fast

HOLD = """
import sys, time
from sycee.journal import FrameKind, Journal, RealDisk
journal = Journal.create(RealDisk(sys.argv[1]), segment_bytes=1 << 16)
journal.append(kind=FrameKind.OPERATIONS, time_ns=5, records=bytes(range(128)))
print("ready", flush=True)
time.sleep(60)
"""


def test_a_removed_lock_file_does_not_release_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    journal = create(RealDisk(folder))
    for _ in range(2):
        (folder / "lock").unlink()
        with pytest.raises(UnavailableError, match="journal is in use by another process"):
            Journal.open(RealDisk(folder))
    append(journal, 1)
    journal.close()
    again, found = recover(RealDisk(folder))  # type: ignore[arg-type]
    assert len(found) == 2
    again.close()


def test_the_file_is_locked_if_folders_cannot_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock

    def files_alone(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", files_alone)
    journal = create(RealDisk(tmp_path / "journal"))
    with pytest.raises(UnavailableError, match=r"journal is in use by this process \(pid "):
        Journal.open(RealDisk(tmp_path / "journal"))
    journal.close()
    Journal.open(RealDisk(tmp_path / "journal")).close()


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    folder = tmp_path / "ledger" / "journal"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        for attempt in (Journal.open, Journal.create):
            with pytest.raises(UnavailableError) as refused:
                attempt(RealDisk(folder))
            assert refused.value.message == f"{folder} is in use by the process with pid {holder.pid}"
            assert refused.value.hint is not None
            assert "wait for its end or stop it" in refused.value.hint
        assert Journal.verify(RealDisk(folder)).frames == 1, "reading needs no lock"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    # The kernel released the lock; the frame remains.
    journal, found = recover(RealDisk(folder))  # type: ignore[arg-type]
    assert len(found) == 1
    journal.close()


def test_the_same_process_twice_is_refused(tmp_path: Path) -> None:
    journal = create(RealDisk(tmp_path / "journal"))
    with pytest.raises(UnavailableError, match=rf"is in use by this process \(pid {os.getpid()}\)") as refused:
        Journal.open(RealDisk(tmp_path / "journal"))
    assert "this program has it open already, so use that Ledger, or close it first" in str(refused.value.hint)
    journal.close()
    Journal.open(RealDisk(tmp_path / "journal")).close()


def test_a_full_disk_refuses_the_ledger() -> None:
    disk = FakeDisk(space_bytes=40_000)
    with pytest.raises(UnavailableError, match="no space left on the disk") as refused:
        create(disk)
    assert refused.value.hint == "Free some space and start again; everything acknowledged is safe."
    assert not Journal.exists(disk)
    disk.space_bytes = None
    append(create(disk), 1)


def test_a_full_disk_stops_the_journal_where_its_space_ends() -> None:
    """Space is reserved one segment at a time, before its frames: a frame inside it is never refused."""
    disk = FakeDisk(space_bytes=60_000)
    journal = create(disk)
    written = [append(journal, 100)]
    written.append(append(journal, 100))
    with pytest.raises(UnavailableError, match=r"spare\.temp: no space left on the disk"):
        append(journal, 100)
    with pytest.raises(UnavailableError, match="stopped after a failed write"):
        append(journal, 1)
    journal.close()

    restarted = disk.kill()
    journal, found = recover(restarted)
    assert found == written
    assert append(journal, 100)[0] == 3
    assert set(restarted.names()) == {FIRST, SECOND, "spare.temp"}


@pytest.mark.parametrize(
    ("number", "says", "hint"),
    [
        (errno.ENOSPC, "no space left on the disk while", "Free some space"),
        (errno.EDQUOT, "no space left on the disk while", "Free some space"),
        (errno.EIO, "the disk refused while writing 4096 bytes at byte 4096: Input/output error", "Check the disk"),
    ],
)
def test_a_failed_write_stops_the_journal_and_is_never_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str, hint: str
) -> None:
    journal = create(RealDisk(tmp_path / "journal"))
    calls = []

    def refuse(*_: object) -> int:
        calls.append(1)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", refuse)
        with pytest.raises(UnavailableError) as refused:
            append(journal, 1)
    assert f"{tmp_path}/journal/{FIRST}: {says}" in refused.value.message
    assert refused.value.hint is not None
    assert hint in refused.value.hint
    assert len(calls) == 1, "never tried again"
    with pytest.raises(UnavailableError, match="stopped after a failed write"):
        append(journal, 1)
    journal.close()
    Journal.open(RealDisk(tmp_path / "journal")).close()


def test_a_failed_fdatasync_on_a_real_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = create(RealDisk(tmp_path / "journal"))

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", refuse)
        with pytest.raises(UnavailableError, match=r"making it durable \(fdatasync\): Input/output error"):
            append(journal, 1)
    journal.close()


def test_a_short_write_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = create(RealDisk(tmp_path / "journal"))
    real = os.pwrite
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", lambda descriptor, data, offset: real(descriptor, data[:1000], offset))
        written = append(journal, 30)
    journal.close()
    assert recover(RealDisk(tmp_path / "journal"))[1][0] == written  # type: ignore[arg-type]


def test_a_read_only_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(RealDisk(tmp_path / "journal")).close()
    real = os.open

    def refuse(path: object, flags: int, *rest: int) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(errno.EROFS, "")
        return real(path, flags, *rest)  # type: ignore[call-overload,no-any-return]

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(
            UnavailableError, match="journal/lock: the disk is read-only; refused while opening the lock"
        ) as refused:
            Journal.open(RealDisk(tmp_path / "journal"))
        assert refused.value.hint is not None
        assert "Mount its file system for writing" in refused.value.hint
        assert "Everything acknowledged is safe" in refused.value.hint
        assert Journal.verify(RealDisk(tmp_path / "journal")).frames == 0


def test_a_read_only_fake_disk_raises_the_same_error() -> None:
    disk = FakeDisk(read_only=True)
    with pytest.raises(UnavailableError, match="the disk is read-only; refused while making the folder"):
        create(disk)
    assert not disk.operations
    assert disk.faults == {"refused: read-only": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_another_user_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(UnavailableError, match=r"not allowed for user \d+ while making the folder"):
        create(RealDisk(tmp_path / "closed" / "journal"))


DENIED = """
import os, sys
from sycee.core.errors import SyceeError
from sycee.journal import Journal, RealDisk
os.setuid(65534)
for attempt in (Journal.open, Journal.create):
    try:
        attempt(RealDisk(sys.argv[1]))
    except SyceeError as error:
        print(type(error).__name__, error.message, error.hint, sep="|")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    ("mode", "says"),
    [
        (0o755, "journal/lock: not allowed for user 65534 while opening the lock: Permission denied"),
        (0o700, "journal: not allowed for user 65534 while looking for the folder: Permission denied"),
    ],
)
def test_a_journal_of_another_user_is_unavailable(mode: int, says: str) -> None:
    """A separate process gives up its permissions, since root may write everywhere."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ledger"
        create(RealDisk(folder / "journal")).close()
        Path(name).chmod(0o755)
        folder.chmod(mode)
        found = subprocess.run(
            [sys.executable, "-c", DENIED, str(folder / "journal")], capture_output=True, text=True, check=False
        )
        if "ModuleNotFoundError" in found.stderr or found.returncode in (126, 127):
            pytest.skip("another user cannot read this installation")
        lines = found.stdout.splitlines()
        assert len(lines) == 2, found.stderr
        assert lines[0].startswith("UnavailableError|")
        assert says in lines[0]
        for line in lines:
            assert "Give this user the right to read and write the folder" in line
            assert "Nothing was changed; everything acknowledged is safe." in line


def test_a_file_at_the_path_of_the_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")
    disk = RealDisk(tmp_path / "journal")
    assert not Journal.exists(disk)
    with pytest.raises(UnavailableError, match="journal: a file of this name already exists") as refused:
        create(disk)
    assert refused.value.hint is not None
    assert "move the existing file away" in refused.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_write_to_dev_full_is_refused_with_its_reason() -> None:
    """/dev/full refuses every write; here it is a file of the journal."""
    file = RealDisk("/dev").open("full", writable=True)
    with pytest.raises(UnavailableError, match="/dev/full: no space left on the disk while writing 4096 bytes"):
        file.pwrite(memoryview(bytes(4096)), 0)
    file.close()


def test_a_spare_that_cannot_be_created_stops_the_journal_when_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = create(RealDisk(tmp_path / "journal"))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "")

    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", refuse)
        append(journal, 200)
        append(journal, 1)
        with pytest.raises(
            UnavailableError, match=r"spare.temp: no space left on the disk while reserving 49152 bytes"
        ):
            append(journal, 200)
    journal.close()
    journal, found = recover(RealDisk(tmp_path / "journal"))  # type: ignore[arg-type]
    assert len(found) == 2
    append(journal, 200)
    journal.close()


def test_a_journal_continues_if_space_was_freed_before_the_next_segment() -> None:
    """The next segment is created in advance; a lack of space at that time does not stop the journal later."""
    disk = FakeDisk(space_bytes=60_000)
    journal = create(disk)
    written = [append(journal, 100), append(journal, 100)]
    assert "spare.temp" not in disk.names(), "half a file takes the room that the frames need"
    disk.space_bytes = None
    written.append(append(journal, 100))
    journal.close()
    assert recover(disk.kill())[1][:3] == written
