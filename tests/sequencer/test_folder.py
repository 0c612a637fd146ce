"""One process owns a folder, and the next process that opens it finds the same ledger."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.forked import MAY_FORK, waiting_child
from tests.sequencer.small import START_NS, opening, run

from sycee.core.clock import SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.records import operations
from sycee.journal import Journal
from sycee.sequencer.applier import Applier
from sycee.sequencer.embedded import AsyncLedger, Ledger
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.sequencer import Sequencer

TRY = """
import sys
from sycee.core.errors import UnavailableError
from sycee.journal import RealDisk
try:
    RealDisk(sys.argv[1] + "/journal").lock()
except UnavailableError as error:
    print(error, "|", error.hint)
"""


def test_a_second_process_is_refused_with_the_owners_pid(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        command = [sys.executable, "-c", TRY, str(tmp_path)]
        tried = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert f"is in use by the process with pid {os.getpid()}" in tried
        assert "Only one process can use a ledger" in tried
    Ledger.open(tmp_path).close()


def test_the_same_process_is_refused_as_well(tmp_path: Path) -> None:
    with Ledger.open(tmp_path), pytest.raises(UnavailableError, match="this process"):
        Ledger.open(tmp_path)
    Ledger.open(tmp_path).close()


@MAY_FORK
def test_a_killed_process_leaves_the_folder_free_and_its_frames_durable(tmp_path: Path) -> None:
    def opens() -> tuple[str, Ledger]:
        ledger = Ledger.open(tmp_path)
        return ledger.define_currency("CNY", zone="Asia/Shanghai").name, ledger

    with waiting_child(opens) as (child, answer):
        assert answer == "CREATED"
        with pytest.raises(UnavailableError, match=f"the process with pid {child.process}"):
            Ledger.open(tmp_path)
    with Ledger.open(tmp_path) as ledger, ledger.sequencer.reading() as state:
        assert state.zones == {156: "Asia/Shanghai"}


def test_reopening_gives_the_same_digest(tmp_path: Path) -> None:
    clock = SimulatedClock(START_NS)
    sequencer = Sequencer(Journal.create(journal_disk(tmp_path)), clock=clock)
    run(sequencer, clock, [])
    digest, times = sequencer.state.digest(), sequencer.frame_times.tolist()
    sequencer.close()
    for _ in range(3):
        sequencer = Sequencer(Journal.open(journal_disk(tmp_path)), clock=clock)
        assert sequencer.state.digest() == digest
        assert sequencer.frame_times[: len(times)].tolist() == times
        sequencer.state.check()
        sequencer.close()


def test_a_start_that_fails_gives_the_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger.open(tmp_path) as ledger:
        ledger.submit(opening())

    def no_memory(applier: Applier, frame: object) -> None:
        raise UnavailableError("this machine has no memory")

    with monkeypatch.context() as patched:
        patched.setattr(Applier, "replay", no_memory)
        with pytest.raises(UnavailableError, match="no memory"):
            Ledger.open(tmp_path)
    Ledger.open(tmp_path).close()


def test_a_closed_ledger_raises(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.close()
    ledger.close()
    for use in (ledger.digest, lambda: ledger.submit(opening()), ledger.check):
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            use()


def test_a_with_block_on_a_closed_ledger_raises(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        pass
    with pytest.raises(UnavailableError, match="the ledger is closed") as caught, ledger:
        raise AssertionError("the block must not run")
    assert caught.value.hint == "open the ledger again"


def test_an_async_with_block_on_a_closed_ledger_raises(tmp_path: Path) -> None:
    async def enter(asynchronous: AsyncLedger) -> None:
        async with asynchronous:
            raise AssertionError("the block must not run")

    async def use(ledger: Ledger) -> None:
        ended, left = ledger.asynchronous(), ledger.asynchronous()
        await ended.aclose()
        with pytest.raises(UnavailableError, match="closed"):
            await enter(ended)
        ledger.close()
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            await enter(left)
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            ledger.asynchronous()

    asyncio.run(use(Ledger.open(tmp_path)))


def test_create_false_opens_an_existing_ledger_only(tmp_path: Path) -> None:
    folder = tmp_path / "typing-error"
    with pytest.raises(UsageError, match="typing-error holds no ledger") as caught:
        Ledger.open(folder, create=False)
    assert "create=True" in str(caught.value.hint)
    assert not folder.exists()
    Ledger.open(folder).close()
    Ledger.open(folder, create=False).close()


def test_arrays_of_another_type_are_refused(tmp_path: Path) -> None:
    with Ledger.open(tmp_path) as ledger:
        for wrong in (opening().view("u1"), opening().reshape(1, -1), opening()["amount"]):
            with pytest.raises(UsageError, match="one-dimensional array of operations"):
                ledger.submit(wrong)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="NOT RUN: this system does not list open files")
def test_no_file_stays_open(tmp_path: Path) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with Ledger.open(tmp_path / "warm") as ledger:
        ledger.submit(operations.define_group(1, group=1))
    before = opened()
    for number in range(3):
        for _ in range(2):
            with Ledger.open(tmp_path / str(number)) as ledger:
                ledger.submit(opening())
    assert opened() == before
