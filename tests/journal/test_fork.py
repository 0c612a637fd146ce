"""A forked child may read through its copy of a journal's disk, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.forked import MAY_FORK, Child, in_child

from sycee.core.errors import UnavailableError
from sycee.journal import FrameKind, Journal
from sycee.journal.disk import RealDisk

pytestmark = [MAY_FORK, pytest.mark.fast]

BYTES_MAX = 1 << 20


def refusal(call: Callable[[], Any]) -> str:
    try:
        value = call()
    except UnavailableError as error:
        return str(error)
    return f"returned {value!r}"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_journal_of_a_forked_child_refuses_every_call(tmp_path: Path) -> None:
    journal = Journal.create(RealDisk(tmp_path), segment_bytes=BYTES_MAX)
    journal.append(kind=FrameKind.EMPTY, time_ns=1)
    prepared = journal.prepare(kind=FrameKind.EMPTY, time_ns=2)
    before = contents(tmp_path)

    def child() -> list[str]:
        said = [
            refusal(call)
            for call in (
                lambda: journal.append(kind=FrameKind.EMPTY, time_ns=3),
                lambda: journal.prepare(kind=FrameKind.EMPTY, time_ns=3),
                lambda: journal.write(prepared),
                journal.begin_epoch,
                lambda: list(journal.recover()),
                lambda: journal.anchor,
            )
        ]
        journal.close()
        return said

    for said in in_child(child):
        assert said.startswith(f"{tmp_path} was opened by the process with pid {os.getpid()}; this is its forked child")
    assert contents(tmp_path) == before
    assert journal.write(prepared) == 2
    journal.close()
    assert Journal.verify(RealDisk(tmp_path)).last_sequence == 3  # with the frame of the clean end


def test_the_disk_of_a_forked_child_may_only_read(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    disk.lock()
    file = disk.create("a")
    file.pwrite(memoryview(b"parent"), 0)
    before = contents(tmp_path)

    def child() -> list[Any]:
        said: list[Any] = [
            refusal(call)
            for call in (
                lambda: file.pwrite(memoryview(b"child!"), 0),
                lambda: file.zero_fill(4096),
                file.fdatasync,
                lambda: disk.create("b"),
                lambda: disk.open("a", writable=True),
                lambda: disk.rename("a", "b"),
                lambda: disk.unlink("a"),
                disk.make_folder,
                disk.fsync_folder,
                disk.lock,
            )
        ]
        read = bytearray(6)
        with memoryview(read) as view:
            disk.open("a", writable=False).pread_into(view, 0)
        said.append(bytes(read))
        disk.unlock()
        file.close()
        return said

    *refused, read = in_child(child)
    assert read == b"parent"
    for said in refused:
        assert "this is its forked child" in said
    assert contents(tmp_path) == before  # the number of the owner in the file `lock`, too
    with pytest.raises(UnavailableError, match="is in use by this process"):
        RealDisk(tmp_path).lock()
    disk.unlock()
    RealDisk(tmp_path).lock()


def test_an_idle_forked_child_holds_no_lock(tmp_path: Path) -> None:
    """Both processes have the open file with the lock: closing the parent's copy alone does not release it."""
    disk = RealDisk(tmp_path)
    disk.lock()
    (is_idle, idles), (ends, end) = os.pipe(), os.pipe()
    child = Child(lambda: (os.write(idles, b"!"), os.read(ends, 1)))
    try:
        assert os.read(is_idle, 1) == b"!"
        with pytest.raises(UnavailableError, match="is in use by this process"):
            RealDisk(tmp_path).lock()
        disk.unlock()
        RealDisk(tmp_path).lock()
        os.write(end, b"!")
        assert child.result() == (1, b"!")
    finally:
        child.kill()
        for descriptor in (is_idle, idles, ends, end):
            os.close(descriptor)


def test_a_fork_that_bypasses_python_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server in C may fork the interpreter without its hooks: the process id still differs."""
    journal = Journal.create(RealDisk(tmp_path), segment_bytes=BYTES_MAX)
    before = contents(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: -1)
        with pytest.raises(UnavailableError, match="this is its forked child, with pid -1"):
            journal.append(kind=FrameKind.EMPTY, time_ns=1)
        journal._disk.unlock()
    assert contents(tmp_path) == before
