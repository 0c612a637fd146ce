"""A ledger that stops, closes or is interrupted: each caller gets a result, and no snapshot is ahead of the log."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.ctrl_c import interrupted_when
from tests.sequencer.gated import Place, run, settled
from tests.sequencer.small import LEDGER_ID, SECOND_NS, SHOP, START_NS, TREASURY, opening, some_ids

from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.records import operations
from sycee.core.records.envelopes import ENVELOPE
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.ledger import queries
from sycee.sequencer import snapshot_schedule
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.sequencer import Sequencer
from sycee.testing.disk import FakeDisk

WAIT_S = 60


def payment(id: int, amount: int = 1) -> Array:
    return operations.transfer(id, debit=TREASURY, credit=SHOP, amount=amount)


@contextmanager
def failing(sequencer: Sequencer) -> Iterator[None]:
    """Refuse every append to the log inside the block."""
    log = sequencer._log
    append = log.append

    def refuse(**_: Any) -> int:
        raise UnavailableError("the disk refuses")

    log.append = refuse  # type: ignore[method-assign]
    yield
    log.append = append  # type: ignore[method-assign]


@pytest.mark.parametrize("overlap", [True, False])
def test_no_snapshot_is_of_a_state_ahead_of_its_log(overlap: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot's thread starts late, after a frame was applied whose append fails."""
    disk, kept, clock = FakeDisk(), FakeDisk(), SimulatedClock(START_NS)
    may_write, write_behind = threading.Event(), snapshot_schedule.SnapshotSchedule._write_in_background
    ended = threading.Event()

    def late(schedule: snapshot_schedule.SnapshotSchedule) -> None:
        may_write.wait(WAIT_S)
        write_behind(schedule)
        ended.set()

    monkeypatch.setattr(snapshot_schedule.SnapshotSchedule, "_write_in_background", late)
    sequencer = Sequencer(
        Journal.create(disk, ledger_id=LEDGER_ID),
        clock=clock,
        overlap=overlap and Overlap(records_min=1),
        snapshot_disk=kept,
        snapshot_every=3,
        snapshot_frames=None,
    )
    sequencer.submit(opening())
    clock.set(START_NS + SECOND_NS)
    sequencer.submit(payment(900))
    clock.set(START_NS + 2 * SECOND_NS)
    with failing(sequencer), pytest.raises(UnavailableError, match="the disk refuses"):
        sequencer.submit(payment(901, 1_000))
    may_write.set()
    assert ended.wait(WAIT_S)
    assert not kept.names()
    sequencer.close()
    reopened = Sequencer(Journal.open(disk.kill()), clock=clock, overlap=False, snapshot_disk=kept.kill())
    assert reopened.read(queries.accounts([SHOP])).balances() == [1]
    reopened.close()


def test_ctrl_c_in_close_still_closes(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path)
    ledger.submit(opening())
    inside, may_leave = threading.Event(), threading.Event()

    def read() -> None:
        with ledger.sequencer.reading():
            inside.set()
            may_leave.wait(WAIT_S)

    reader = threading.Thread(target=read)
    reader.start()
    inside.wait(WAIT_S)
    closing, queue = ledger.sequencer._closing, ledger.sequencer.admission.queue
    with interrupted_when(lambda: closing.locked() and bool(queue._calls)):
        ledger.close()
    may_leave.set()
    reader.join(WAIT_S)
    ledger.close()
    Ledger.open(tmp_path).close()


def test_a_read_that_waits_for_a_frame_fails_when_the_ledger_stops() -> None:
    place = Place()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(place.ledger.read, queries.accounts([SHOP]), at_least=place.frames + 5)
        time.sleep(0.05)
        with failing(place.ledger.sequencer), pytest.raises(UnavailableError):
            place.ledger.submit(payment(1))
        with pytest.raises(UnavailableError, match="the ledger stopped"):
            waiting.result(WAIT_S)
    place.ledger.close()


def test_a_read_of_no_kind_is_refused_and_spoils_no_other() -> None:
    place = Place()
    wrong = queries.accounts([SHOP])
    wrong["kind"] = 200
    with pytest.raises(UsageError, match="200 is no kind of read"):
        place.ledger.read(wrong)

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            with pytest.raises(UsageError, match="200 is no kind of read"):
                await async_ledger.read(wrong)
            # A request is copied: a later change has no effect.
            requests = queries.accounts([SHOP])
            task = asyncio.create_task(async_ledger.read(requests))
            await asyncio.sleep(0)
            requests["kind"] = 200
            assert (await task).balances() == [0]

    run(main())
    place.ledger.close()


def test_closing_waits_for_no_caller_that_gave_up() -> None:
    place = Place()
    record = payment(5).tobytes()
    envelope = np.zeros(1, ENVELOPE)
    envelope["count"] = 1

    async def main() -> None:
        async_ledger = place.ledger.asynchronous()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(async_ledger.read(queries.accounts([SHOP]), at_least=10**6), 0.05)
        signed = asyncio.create_task(async_ledger.submit_signed(record, envelope.tobytes()))
        await asyncio.sleep(0)
        signed.cancel()
        await asyncio.wait_for(async_ledger.aclose(), WAIT_S)

    run(main())
    place.ledger.close()


def test_a_record_that_changes_after_the_call_is_written_as_it_was() -> None:
    place = Place()
    record = bytearray(payment(5).tobytes())
    envelope = np.zeros(1, ENVELOPE)
    envelope["count"] = 1

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            signed = asyncio.create_task(async_ledger.submit_signed(record, envelope.tobytes()))  # type: ignore[arg-type]
            other = asyncio.create_task(async_ledger.transfer(TREASURY, SHOP, 1))
            await asyncio.sleep(0)
            record.append(0)
            assert await other is Result.CREATED
            assert isinstance(await signed, Result)

    run(main())
    place.ledger.close()


def test_the_bound_holds_for_batches_that_wait() -> None:
    place = Place(operations_max=1_000)
    queue = place.ledger.sequencer.admission.queue
    highest = 0
    admitted = queue._put

    def watched(entries: Any) -> None:
        nonlocal highest
        admitted(entries)
        highest = max(highest, queue.operations)

    queue._put = watched  # type: ignore[method-assign]

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with place.shut():
                batches = [
                    operations.transfer(some_ids(f"b{n}", 500), debit=TREASURY, credit=SHOP, amount=1)
                    for n in range(20)
                ]
                tasks = [asyncio.create_task(async_ledger.submit(batch)) for batch in batches]
                await settled(10)
            await asyncio.gather(*tasks)

    run(main())
    assert 1_000 <= highest < 1_500
    place.ledger.close()


def scheduled(**options: Any) -> tuple[Sequencer, FakeDisk]:
    kept = FakeDisk()
    return Sequencer(Journal.create(FakeDisk()), overlap=False, snapshot_disk=kept, **options), kept


def test_no_snapshot_starts_while_the_ledger_closes(monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer, kept = scheduled(snapshot_frames=1)
    sequencer.submit(opening())
    put_call, was_called = sequencer._queue.put_call, []

    def beside(call: Any) -> None:
        monkeypatch.undo()
        with pytest.raises(UnavailableError, match="being closed"):
            sequencer.begin_snapshot()
        was_called.append(True)
        put_call(call)

    monkeypatch.setattr(sequencer._queue, "put_call", beside)
    sequencer.close()
    assert was_called
    assert len(kept.names()) == 1


def test_one_background_snapshot_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer, _ = scheduled(snapshot_every=1, snapshot_frames=None)
    may_write, begun = threading.Event(), []
    monkeypatch.setattr(
        snapshot_schedule.SnapshotSchedule, "_write_in_background", lambda _: (begun.append(1), may_write.wait(WAIT_S))
    )
    sequencer.submit(opening())
    for id in range(900, 930):
        sequencer.submit(payment(id))
    assert len(begun) == 1
    may_write.set()
    sequencer.close()


def test_a_thread_that_cannot_start_fails_no_committed_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer, _ = scheduled(snapshot_every=3, snapshot_frames=None)
    sequencer.submit(opening())

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert sequencer.submit(payment(900))["code"].tolist() == [Result.CREATED]
    monkeypatch.undo()
    assert any("can't start new thread" in finding for finding in sequencer.findings)
    sequencer.close()


def test_times_of_frames_end_at_the_newest_committed_one() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), overlap=Overlap(records_min=1))
    sequencer.submit(opening())
    append, applied, may_end = sequencer._log.append, threading.Event(), threading.Event()
    apply = sequencer.state.apply

    def slow(**frame: Any) -> int:
        may_end.wait(WAIT_S)
        return append(**frame)

    def tell(*arguments: Any) -> Any:
        answers = apply(*arguments)
        applied.set()
        return answers

    sequencer._log.append = slow  # type: ignore[method-assign]
    sequencer.state.apply = tell  # type: ignore[method-assign]

    thread = threading.Thread(target=sequencer.submit, args=(payment(900),))
    thread.start()
    applied.wait(WAIT_S)
    assert sequencer.frame_times.size == sequencer.durable_sequence + 1 == 3
    may_end.set()
    thread.join(WAIT_S)
    assert sequencer.frame_times.size == 4
    sequencer.close()


def test_a_chain_accepts_nothing_after_its_block() -> None:
    place = Place()
    with place.ledger.chain() as chain:
        chain.transfer(TREASURY, SHOP, 1)
    with pytest.raises(UsageError, match="this chain ended"):
        chain.transfer(TREASURY, SHOP, 1)
    with pytest.raises(ZeroDivisionError), place.ledger.chain() as broken:
        raise ZeroDivisionError
    with pytest.raises(UsageError, match="this chain ended"):
        broken.transfer(TREASURY, SHOP, 1)

    async def main() -> None:
        async with place.ledger.asynchronous() as async_ledger:
            async with async_ledger.chain() as other:
                other.transfer(TREASURY, SHOP, 1)
            with pytest.raises(UsageError, match="this chain ended"):
                other.transfer(TREASURY, SHOP, 1)

    run(main())
    assert place.ledger.balance(SHOP) == 2
    place.ledger.close()


def test_each_later_caller_gets_the_hint_of_a_stopped_ledger() -> None:
    place = Place()
    log = place.ledger.sequencer._log

    def gone(**_: Any) -> int:
        raise UnavailableError("the file was removed", hint="copy /proc/1/fd/9")

    log.append = gone  # type: ignore[method-assign]
    for use in (lambda: place.ledger.submit(payment(1)), lambda: place.ledger.balance(SHOP), place.ledger.tick):
        with pytest.raises(UnavailableError) as caught:
            use()
        assert caught.value.hint == "copy /proc/1/fd/9"
    place.ledger.close()
    with pytest.raises(UnavailableError) as caught:
        place.ledger.balance(SHOP)
    assert caught.value.hint == "copy /proc/1/fd/9"
