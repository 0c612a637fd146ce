"""A forked child has a copy of an open ledger, and cannot use it."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.forked import MAY_FORK, WAIT_S, Child, in_child, waiting_child
from tests.sequencer.gated import Place
from tests.sequencer.small import ANN, BOB, SHOP, TREASURY, opening, some_ids

from sycee.archive.export import ExportSession
from sycee.archive.exporter import Exporter
from sycee.archive.manifest import Archive
from sycee.core import ids
from sycee.core.errors import UnavailableError
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger

pytestmark = MAY_FORK

REFUSED = "is its forked child, with pid"
EXTERNAL = """
import sys
from sycee.core.errors import UnavailableError
from sycee.journal import RealDisk
try:
    RealDisk(sys.argv[1] + "/journal").lock()
    print("free")
except UnavailableError as error:
    print(error)
"""


def opened(folder: Path, **options: Any) -> Ledger:
    ledger = Ledger.open(folder, **options)
    ledger.submit(opening())
    return ledger


def refusal(call: Callable[[], Any]) -> str:
    """Return the error that a call raised, with its hint, or the call's result."""
    try:
        value = call()
    except UnavailableError as error:
        return f"{error} | {error.hint}"
    return f"returned {value!r}"


def bytes_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def used_by(folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", EXTERNAL, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def calls(ledger: Ledger) -> dict[str, Callable[[], Any]]:
    sequencer = ledger.sequencer

    def chain() -> None:
        with ledger.chain() as both:
            both.transfer(ANN, BOB, 1)

    def reading() -> None:
        with sequencer.reading():
            pass

    return {
        "transfer": lambda: ledger.transfer(ANN, BOB, 1),
        "pay": lambda: ledger.pay(ANN, SHOP, 1),
        "submit": lambda: ledger.submit(opening()),
        "chain": chain,
        "open_account": lambda: ledger.define_currency("EUR", zone="Europe/Paris"),
        "balance": lambda: ledger.balance(ANN),
        "statement": lambda: ledger.statement(ANN),
        "result_of": lambda: ledger.result_of(100),
        "digest": ledger.digest,
        "check": ledger.check,
        "tick": ledger.tick,
        "snapshot": ledger.snapshot,
        "lent": lambda: ledger.signed_by().balance(ANN),
        "reading": reading,
        "begin_snapshot": sequencer.begin_snapshot,
        "next_due_ns": sequencer.next_due_ns,
        "position": sequencer.position,
        "frame_times": lambda: sequencer.frame_times,
        "durable_sequence": lambda: sequencer.durable_sequence,
    }


def test_a_childs_copy_refuses_every_call(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        ledger.snapshot()
        before = bytes_in(tmp_path)
        found = in_child(lambda: {name: refusal(call) for name, call in calls(ledger).items()})
        for name, message in found.items():
            assert message.startswith(f"the ledger was opened by the process with pid {os.getpid()}"), (name, message)
            assert REFUSED in message, name
            assert "in the child after the fork" in message, name
            assert "spawn" in message, name
        assert bytes_in(tmp_path) == before
        assert ledger.transfer(ANN, BOB, 1) is Result.CREATED
    with Ledger.open(tmp_path) as ledger:
        ledger.check()
        assert ledger.balance(BOB) == 1


def test_four_forked_workers_cannot_overspend_one_wallet(tmp_path: Path) -> None:
    """A server with four workers, forked after the ledger was opened: 200 payments of 10 from a wallet of 1,000."""
    with opened(tmp_path) as ledger:
        assert ledger.transfer(TREASURY, ANN, 950) is Result.CREATED
        workers = [Child(lambda: [refusal(lambda: ledger.pay(ANN, SHOP, 10)) for _ in range(50)]) for _ in range(4)]
        messages = [each for worker in workers for each in worker.result()]
        assert len(messages) == 200
        assert all(REFUSED in each for each in messages), messages[0]
        assert ledger.balance(ANN) == 1_000
        assert ledger.pay(ANN, SHOP, 10) is Result.CREATED
    with Ledger.open(tmp_path) as ledger:
        ledger.check()
        assert (ledger.balance(ANN), ledger.balance(SHOP)) == (990, 10)


def test_a_child_that_closes_writes_nothing_and_gives_nothing_back(tmp_path: Path) -> None:
    ledger = opened(tmp_path, snapshot_frames=1, ticks=True)
    before = bytes_in(tmp_path)

    def closes() -> str:
        nonlocal ledger
        with ledger:
            pass
        ledger.close()
        ledger.sequencer._log.close()  # type: ignore[attr-defined]
        del ledger
        gc.collect()
        return used_by(tmp_path)

    assert f"is in use by the process with pid {os.getpid()}" in in_child(closes)
    assert bytes_in(tmp_path) == before
    assert ledger.transfer(ANN, BOB, 1) is Result.CREATED
    ledger.close()
    Ledger.open(tmp_path).close()


def test_a_child_that_ends_as_programs_do_leaves_the_ledger_alone(tmp_path: Path) -> None:
    """Handlers of atexit, joined threads and collected objects run in the child as well."""
    program = """
import os, sys
from sycee.sequencer.embedded import Ledger
import atexit
with Ledger.open(sys.argv[1], ticks=True, snapshot_frames=1, snapshot_every=1) as ledger:
    atexit.register(ledger.close)
    ledger.define_currency("CNY", zone="Asia/Shanghai")
    child = os.fork()
    if child == 0:
        sys.exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), ledger.define_currency("EUR", zone="Europe/Paris").name)
"""
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=WAIT_S)
    assert (done.stdout, done.stderr) == ("7 CREATED\n", "")
    with Ledger.open(tmp_path) as ledger, ledger.sequencer.reading() as state:
        assert state.zones == {156: "Asia/Shanghai", 978: "Europe/Paris"}


def test_an_idle_child_does_not_lock_the_folder_of_a_killed_parent(tmp_path: Path) -> None:
    def forks() -> tuple[int, Ledger]:
        ledger = Ledger.open(tmp_path)
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        idle = os.fork()
        while not idle:
            signal.pause()
        return idle, ledger

    with waiting_child(forks) as (parent, idle):
        try:
            with pytest.raises(UnavailableError, match=f"the process with pid {parent.process}"):
                Ledger.open(tmp_path)
            parent.kill()
            os.kill(idle, 0)  # it still exists
            with Ledger.open(tmp_path) as ledger, ledger.sequencer.reading() as state:
                assert state.zones == {156: "Asia/Shanghai"}
        finally:
            os.kill(idle, signal.SIGKILL)


def test_a_fork_while_another_thread_is_in_submit() -> None:
    """That thread holds the ledger's locks and does not exist in the child: no call there may wait for it."""

    async def main() -> None:
        place = Place()
        async with place.shut():
            found = await asyncio.to_thread(
                in_child, lambda: {name: refusal(call) for name, call in calls(place.ledger).items()}
            )
            assert all(REFUSED in message for message in found.values()), found
            assert in_child(place.ledger.close) is None
        assert place.ledger.transfer(TREASURY, SHOP, 1, id=1) is Result.EXISTS

    asyncio.run(main())


def test_asyncio_callers_in_the_child() -> None:
    async def main() -> None:
        place = Place(operations_max=2)
        async with place.ledger.asynchronous() as async_ledger, place.shut():
            waits = async_ledger.submit_nowait(operations.transfer(2, debit=TREASURY, credit=SHOP, amount=1))

            def child() -> list[str]:
                record = operations.transfer(3, debit=TREASURY, credit=SHOP, amount=1)
                messages = [
                    refusal(lambda: async_ledger.submit_nowait(record)),
                    refusal(lambda: async_ledger.transfer(TREASURY, SHOP, 1).send(None)),
                    refusal(lambda: async_ledger.submit(record).send(None)),
                    refusal(place.ledger.asynchronous),
                ]
                with pytest.raises(StopIteration):
                    async_ledger.aclose().send(None)  # returns at once: the waiting entries are the parent's
                return messages

            for message in in_child(child):
                assert REFUSED in message
            place.log.open.set()
            assert (await waits)["code"].tolist() == [Result.CREATED]

    asyncio.run(main())


def test_a_snapshot_that_was_being_written(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        writing = ledger.sequencer.begin_snapshot(piece_bytes=4096)
        assert writing.step()
        before = bytes_in(tmp_path)

        def child() -> list[str]:
            messages = [refusal(writing.step)]
            writing.abandon()
            return messages

        assert REFUSED in in_child(child)[0]
        assert bytes_in(tmp_path) == before
        name = writing.run()
        assert (tmp_path / "snapshots" / name).exists()
    with Ledger.open(tmp_path) as ledger:
        assert not ledger.findings
        ledger.check()


def test_an_exporter_in_the_child(tmp_path: Path) -> None:
    """The exporter belongs to the parent, with its thread and the lock of the archive's folder."""
    archive = tmp_path / "archive"
    with opened(tmp_path / "ledger") as ledger:
        exporter = Exporter(ledger, archive, every_s=0.01)
        exporter.flush()
        before = bytes_in(archive)

        def child() -> list[str]:
            messages = [refusal(exporter.flush)]
            exporter.stop()
            exporter._session.close()
            return messages

        with exporter._lock:  # another thread held it during the fork
            assert "is its forked child, with pid" in in_child(child)[0]
        assert bytes_in(archive) == before
        with pytest.raises(UnavailableError, match="another process exports to"):
            Archive(archive, bytes(16))
        exporter.stop()
        ExportSession(ledger, archive).close()


def _pays(ledger: Ledger) -> str:
    return refusal(lambda: ledger.pay(ANN, SHOP, 10))


def test_multiprocessing_with_its_fork_method(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        received, sent = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=lambda: sent.send(_pays(ledger)))
        process.start()
        assert received.poll(WAIT_S)
        assert REFUSED in received.recv()
        process.join(WAIT_S)
        assert process.exitcode == 0
        assert ledger.pay(ANN, SHOP, 10) is Result.CREATED


def test_a_child_opens_a_ledger_of_its_own(tmp_path: Path) -> None:
    """The child starts new threads, and shares no buffer with the parent."""

    def busy(ledger: Ledger, purpose: str) -> list[int]:
        made = some_ids(purpose, 9_000)
        debit = np.array([(TREASURY, 0), (SHOP, 0)] * 4_500, ids.ID)
        answers = ledger.submit(operations.transfer(made, debit=debit, credit=debit[::-1], amount=1))
        return np.unique(answers["code"]).tolist()

    def child() -> list[int]:
        with opened(tmp_path / f"child {os.getpid()}") as own:
            own.snapshot()
            return busy(own, "child")

    ledger = opened(tmp_path / "parent")
    assert busy(ledger, "before") == [Result.CREATED]
    stop = threading.Event()
    codes: list[int] = []

    def goes_on() -> None:
        count = 0
        while not stop.is_set():
            codes.extend(busy(ledger, f"beside {count}"))
            count += 1

    thread = threading.Thread(target=goes_on)
    thread.start()
    try:
        for _ in range(3):
            assert in_child(child) == [Result.CREATED]
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join(WAIT_S)
    assert set(codes) == {Result.CREATED}
    ledger.check()
    digest = ledger.digest()
    ledger.close()
    with Ledger.open(tmp_path / "parent") as ledger:
        assert ledger.digest() == digest

    def takes_over() -> list[int]:
        with Ledger.open(tmp_path / "parent") as ledger:
            return busy(ledger, "over")

    # The folder is free again, so a child may open it after the fork.
    assert in_child(takes_over) == [Result.CREATED]
