"""A ledger that is dropped without `close` leaves no thread, open file or lock."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.sequencer.test_signature_workers import WAIT_S, is_running, some_jobs

from sycee import AccountKind, Ledger
from sycee.core.errors import UnavailableError
from sycee.journal import RealDisk
from sycee.sequencer.signature_workers import SignatureVerifier

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="open files are counted in /proc")


def opened(folder: Path) -> list[str]:
    """Return the paths in the folder, and the unlinked files, that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)  # noqa: PTH115  a Path would drop the mark of an unlinked file
        except FileNotFoundError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


def test_a_disk_that_is_dropped_closes_its_files_and_gives_its_lock_back(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    disk.lock()
    file = disk.create("one")
    file.pwrite(memoryview(b"12"), 0)
    assert len(opened(tmp_path)) >= 3
    with pytest.raises(UnavailableError, match="in use"):
        RealDisk(tmp_path).lock()
    del disk, file
    gc.collect()
    assert opened(tmp_path) == []
    assert (tmp_path / "one").read_bytes() == b"12"
    again = RealDisk(tmp_path)
    again.lock()
    again.unlock()


def test_a_child_that_drops_its_copy_leaves_the_lock_to_its_parent(tmp_path: Path) -> None:
    disk = RealDisk(tmp_path)
    disk.lock()
    child = os.fork()
    if not child:  # pragma: no cover
        del disk
        gc.collect()
        os._exit(0 if opened(tmp_path) == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    locking = f"from sycee.journal import RealDisk; RealDisk({str(tmp_path)!r}).lock()"
    other = subprocess.run([sys.executable, "-c", locking], capture_output=True, text=True, check=False)
    assert f"in use by the process with pid {os.getpid()}" in other.stderr
    disk.unlock()


@pytest.mark.parametrize("is_busy", [False, True])
def test_a_verifier_that_is_dropped_answers_and_ends_its_thread_and_processes(is_busy: bool) -> None:
    verifier = SignatureVerifier(2)
    jobs, expected = some_jobs(300)
    assert verifier.verify(jobs).result(WAIT_S) == expected
    processes, threads = verifier.process_ids, list(verifier._pool.threads)
    assert len(threads) == 2
    coming = [verifier.verify(jobs) for _ in range(20 * is_busy)]
    del verifier
    gc.collect()
    assert [future.result(WAIT_S) for future in coming] == [expected] * len(coming)
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()
    assert not any(is_running(process) for process in processes)


@pytest.mark.parametrize("signature_workers", [0, 1])
def test_a_ledger_that_is_dropped_can_be_opened_again(tmp_path: Path, signature_workers: int) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    ledger = Ledger.open(tmp_path, signature_workers=signature_workers)
    ledger.define_currency("CNY", zone="Asia/Shanghai")
    ledger.open_account("CNY", AccountKind.ISSUANCE, account=1)
    digest = ledger.digest()
    del ledger
    left = ["everything"]
    deadline = time.monotonic() + 20
    while (opened(tmp_path) or left) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)  # a thread ends shortly after its files are closed
        left = [thread.name for thread in threading.enumerate() if thread.ident not in before]
    assert (opened(tmp_path), left) == ([], [])
    with Ledger.open(tmp_path) as ledger:
        assert ledger.digest() == digest
