"""Many threads at one sequencer: each operation once, each result to its caller, one frame for many callers."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.ctrl_c import interrupted_when
from tests.sequencer.small import ANN, BOB, SHOP, TREASURY, opening, some_ids

from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.clock import RealClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.journal import Journal
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.sequencer import Sequencer
from sycee.testing.disk import FakeDisk

THREADS = 8
SUBMITS = 25
POOL_ACCOUNTS = np.array([(account, 0) for account in (TREASURY, ANN, BOB, SHOP)], ids.ID)


class SlowLog:
    """A log with a slow disk, so that callers have to wait."""

    def __init__(self, log: Journal, seconds: float) -> None:
        self._log = log
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, **frame: Any) -> int:
        time.sleep(self._seconds)
        return self._log.append(**frame)


@pytest.mark.parametrize("overlap", [False, True])
def test_each_once_and_each_answer_to_its_caller(tmp_path: Path, overlap: bool) -> None:
    disk = journal_disk(tmp_path)
    sequencer = Sequencer(SlowLog(Journal.create(disk), 0.001), overlap=overlap)
    sequencer.submit(opening())
    before = sequencer.durable_sequence

    def caller(number: int) -> list[tuple[Array, Array]]:
        random = np.random.default_rng(number)
        own = []
        for submit in range(SUBMITS):
            count = int(random.integers(1, 40))
            pairs = np.array([random.permutation(4)[:2] for _ in range(count)])
            records = operations.transfer(
                some_ids(f"{number} {submit}", count),
                debit=POOL_ACCOUNTS[pairs[:, 0]],
                credit=POOL_ACCOUNTS[pairs[:, 1]],
                amount=random.integers(1, 30, count),
            )
            wrong = random.integers(0, 2, count) == 0
            records["amount"][wrong] = -1
            answers = sequencer.submit(records)
            assert ((answers["code"] == Result.AMOUNT_MUST_BE_POSITIVE) == wrong).all(), "another caller's answers"
            own.append((records[~wrong], answers[~wrong]))
            # Each thread also sends the same operation as the others, and repeats some of its own.
            shared = operations.transfer(900 + submit, debit=TREASURY, credit=SHOP, amount=1)
            assert sequencer.submit(shared)["code"][0] in (Result.CREATED, Result.EXISTS)
            again = sequencer.submit(records[~wrong][:3])
            assert set(again["code"].tolist()) <= {Result.EXISTS}
            assert again["place"].tolist() == answers[~wrong]["place"][:3].tolist()
            with sequencer.reading() as state:
                assert state.supply(156) == 10_000
        return own

    with ThreadPoolExecutor(THREADS) as pool:
        done = [entry for own in pool.map(caller, range(THREADS)) for entry in own]

    with sequencer.reading() as state:
        state.check()
        bound = {(int(row["id_high"]), int(row["id_low"])): row for row in state.bound}
        assert len(bound) == state.bound.size
        upgrade = 1
        assert len(bound) == upgrade + opening().size + SUBMITS + sum(records.size for records, _ in done)
        for records, answers in done:
            for record, answer in zip(records, answers, strict=True):
                row = bound[int(record["id_high"]), int(record["id_low"])]
                assert (row["place"], row["result"]) == (answer["place"], answer["code"])
        digest = state.digest()
    assert sequencer.durable_sequence - before <= (THREADS + 1) * SUBMITS
    assert (np.diff(sequencer.frame_times) > 0).all()
    sequencer.close()
    reopened = Sequencer(Journal.open(disk))
    assert reopened.state.digest() == digest
    reopened.close()


def test_one_frame_for_the_waiting_entries_of_several_threads() -> None:
    """While one frame is being written, entries of several threads collect for the next."""
    sequencer = Sequencer(SlowLog(Journal.create(FakeDisk()), 0.01), overlap=False)
    sequencer.submit(opening())
    before = sequencer.durable_sequence

    def caller(number: int) -> None:
        for submit in range(SUBMITS):
            record = operations.transfer(1_000 + number * SUBMITS + submit, debit=TREASURY, credit=SHOP, amount=1)
            assert sequencer.submit(record)["code"][0] == Result.CREATED

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(caller, range(THREADS)))
    # Two halves alternate: four requests per frame; twice as many frames are still acceptable.
    assert sequencer.durable_sequence - before <= THREADS * SUBMITS // 2
    with sequencer.reading() as state:
        assert state.account(SHOP).balance == THREADS * SUBMITS  # type: ignore[union-attr]


@contextmanager
def gathered(sequencer: Sequencer, submits: list[Callable[[], Any]]) -> Iterator[list[Any]]:
    """Start all calls while the writer is held, so that they share one frame; yield the result or error of each."""
    results: list[Any] = [None] * len(submits)

    def call(at: int) -> None:
        try:
            results[at] = submits[at]()
        except BaseException as error:
            results[at] = error

    threads = [threading.Thread(target=call, args=(at,), daemon=True) for at in range(len(submits))]
    with sequencer.reading():
        for count, thread in enumerate(threads, 1):
            thread.start()
            while len(sequencer.admission.queue) < count:
                time.sleep(0.001)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a caller waits for ever"
    yield results


def test_callers_that_wait_share_a_frame_and_a_moment() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), overlap=False)
    sequencer.submit(opening())
    records = [operations.transfer(500 + n, debit=TREASURY, credit=SHOP, amount=n) for n in range(1, 6)]
    with gathered(sequencer, [lambda r=r: sequencer.submit(r) for r in records]) as answers:
        assert [answer["code"].tolist() for answer in answers] == [[Result.CREATED]] * 5
        assert [int(answer["place"][0]) for answer in answers] == [3 << 13 | at for at in range(5)]
    assert sequencer.durable_sequence == 3


def test_a_caller_that_needs_too_much_memory_does_not_affect_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), overlap=False)
    sequencer.submit(opening())
    monkeypatch.setattr("sycee.sequencer.writer.available_bytes", lambda: 1 << 30)
    large = operations.open_programme(
        600, programme=1, funder=TREASURY, rule_set=1, members=1 << 30, claim_from_ns=0, claim_until_ns=1
    )
    small = [operations.transfer(601 + n, debit=TREASURY, credit=SHOP, amount=1) for n in range(2)]
    requests = [small[0], large, small[1]]
    with gathered(sequencer, [lambda r=r: sequencer.submit(r) for r in requests]) as (first, refused, last):
        assert first["code"][0] == last["code"][0] == Result.CREATED
        assert isinstance(refused, UnavailableError)
    with sequencer.reading() as state:
        assert state.account(SHOP).balance == 2  # type: ignore[union-attr]


def elsewhere(do: Callable[[], Any]) -> Any:
    """Run `do` in a thread that may block without blocking the tests; return its result."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(do()), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it waits for ever"
    return results[0]


class FailingClock(RealClock):
    """A clock that raises once."""

    error: BaseException | None = None

    def now_ns(self) -> int:
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return super().now_ns()


@pytest.mark.parametrize("error", [MemoryError("none left"), UnavailableError("not now")])
def test_an_error_before_the_log_is_written_stops_nothing(error: Exception) -> None:
    clock = FailingClock()
    sequencer = Sequencer(Journal.create(FakeDisk()), clock=clock, overlap=False)
    sequencer.submit(opening())
    clock.error = error
    with pytest.raises(type(error)):
        sequencer.submit(operations.transfer(700, debit=TREASURY, credit=SHOP, amount=1))
    assert sequencer.submit(operations.transfer(700, debit=TREASURY, credit=SHOP, amount=1))["code"] == [Result.CREATED]
    # Each of several entries in a frame is tried separately.
    records = [operations.transfer(701 + n, debit=TREASURY, credit=SHOP, amount=1) for n in range(3)]
    with gathered(sequencer, [lambda r=r: sequencer.submit(r) for r in records]) as results:
        clock.error = error
    assert [result["code"].tolist() for result in results] == [[Result.CREATED]] * 3
    sequencer.close()


def test_a_defect_stops_the_ledger_and_no_caller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()))
    sequencer.submit(opening())

    def broken(*_: Any) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr(sequencer.views, "answer", broken)
        errors = [elsewhere(lambda: error_of(sequencer.tick)) for _ in range(2)]
    # The first call may return before the defect has an effect.
    assert "the ledger stopped: broken" in str(errors[1])
    sequencer.close()


def error_of(call: Callable[[], Any]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def test_a_wake_up_that_was_lost_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C interrupted the caller between the queue and the wake-up."""
    monkeypatch.setattr("sycee.sequencer.submission_queue.WAKE_TIMEOUT_S", 0.01)
    sequencer = Sequencer(Journal.create(FakeDisk()))
    sequencer.submit(opening())
    queue = sequencer.admission.queue
    time.sleep(0.05)  # the writer is idle
    with monkeypatch.context() as patched:
        patched.setattr(queue, "_wake_writer", lambda: None)
        answers = elsewhere(lambda: sequencer.submit(operations.define_group(702, group=1)))
    assert answers["code"].tolist() == [Result.CREATED]
    sequencer.close()


def test_callers_wait_while_the_queue_is_full() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), overlap=False, operations_max=4)
    sequencer.submit(opening())
    queue = sequencer.admission.queue
    with ThreadPoolExecutor(12) as pool:
        with sequencer.reading():
            records = [operations.transfer(700 + n, debit=TREASURY, credit=SHOP, amount=1) for n in range(12)]
            answers = [pool.submit(sequencer.submit, record) for record in records]
            while len(queue) < 4:
                time.sleep(0.001)
            time.sleep(0.05)
            assert (len(queue), queue.operations) == (4, 4)
        assert [answer.result(60)["code"].tolist() for answer in answers] == [[Result.CREATED]] * 12
    assert (len(queue), queue.operations, queue.bytes) == (0, 0, 0)
    # Callers that wait for space get an error when the ledger closes.
    with ThreadPoolExecutor(12) as pool:
        with sequencer.reading():
            records = [operations.transfer(800 + n, debit=TREASURY, credit=SHOP, amount=1) for n in range(8)]
            answers = [pool.submit(sequencer.submit, record) for record in records]
            while len(queue) < 4:
                time.sleep(0.001)
            closing = pool.submit(sequencer.close)
            while len(queue._calls) < 1:
                time.sleep(0.001)
        closing.result(60)
        assert all(isinstance(answer.exception(60), UnavailableError) for answer in answers)


def test_a_ledger_that_is_dropped_without_close_is_collected() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()))
    sequencer.submit(opening())
    thread, state = sequencer._writer._thread, weakref.ref(sequencer.state)
    del sequencer
    gc.collect()
    thread.join(60)
    assert not thread.is_alive()
    assert state() is None


def test_a_closed_ledger_has_no_thread_left() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()))
    sequencer.submit(opening())
    sequencer.close()
    assert not sequencer._writer._thread.is_alive()
    for use in (lambda: sequencer.submit(opening()), sequencer.tick, sequencer.next_due_ns, sequencer.snapshot):
        with pytest.raises(UnavailableError, match="the ledger is closed"):
            use()


def test_calls_that_would_deadlock_are_refused() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), overlap=False)

    def inside(use: Callable[[], object]) -> None:
        with sequencer.reading(), pytest.raises(UsageError, match="would wait for itself"):
            use()

    for use in (sequencer.next_due_ns, sequencer.tick, sequencer.position, sequencer.snapshot, sequencer.close):
        elsewhere(lambda use=use: inside(use))
    sequencer.close()


def test_ctrl_c_withdraws_an_operation_that_the_writer_has_not_popped() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), overlap=False)
    sequencer.submit(opening())
    queue = sequencer.admission.queue
    go_on = threading.Event()

    def hold() -> None:
        with sequencer.reading():
            go_on.wait(60)

    reader = threading.Thread(target=hold)
    reader.start()
    other = ThreadPoolExecutor(1)
    while not sequencer._reader:
        time.sleep(0.001)
    answers = other.submit(sequencer.submit, operations.transfer(700, debit=TREASURY, credit=SHOP, amount=1))
    record = operations.transfer(701, debit=TREASURY, credit=SHOP, amount=10)
    with interrupted_when(lambda: len(queue) == 2):
        sequencer.submit(record)
    go_on.set()
    reader.join(60)
    assert answers.result(60)["code"].tolist() == [Result.CREATED]
    with sequencer.reading() as state:
        assert state.bound_of(701) is None
    assert queue.operations == 0
    assert sequencer.submit(record)["code"][0] == Result.CREATED
    other.shutdown()
    sequencer.close()


@pytest.mark.parametrize("overlap", [False, True])
def test_ctrl_c_during_a_write_affects_one_caller_only(overlap: bool, tmp_path: Path) -> None:
    """The operation that the writer had popped is written, and found by its id."""
    sequencer = Sequencer(SlowLog(Journal.create(journal_disk(tmp_path)), 0.2), overlap=overlap)
    sequencer.submit(opening())
    records = operations.transfer(some_ids("many", 300), debit=TREASURY, credit=SHOP, amount=1)
    before = sequencer.durable_sequence
    queue = sequencer.admission.queue
    with interrupted_when(lambda: queue.operations == 300 and not len(queue)):
        sequencer.submit(records)
    assert sequencer.submit(operations.transfer(701, debit=TREASURY, credit=SHOP, amount=1))["code"] == [Result.CREATED]
    assert set(sequencer.submit(records)["code"].tolist()) == {Result.EXISTS}
    assert sequencer.durable_sequence == before + 2
    with sequencer.reading() as state:
        state.check()
    sequencer.close()


def test_a_request_larger_than_a_frame_stays_in_order(tmp_path: Path) -> None:
    sequencer = Sequencer(Journal.create(journal_disk(tmp_path)))
    sequencer.submit(opening())
    count = 2 * FRAME_RECORDS_MAX + 5
    records = operations.transfer(some_ids("many", count), debit=ANN, credit=BOB, amount=1)
    answers = sequencer.submit(records)
    # Ann has 50.
    assert answers["code"].tolist() == [Result.CREATED] * 50 + [Result.EXCEEDS_BALANCE] * (count - 50)
    assert sequencer.durable_sequence == 5
    assert (np.diff(answers["place"].astype(np.int64)) > 0).all()
    assert sequencer.submit(records[:0]).size == 0
    # Strided and read-only arrays are accepted as well.
    assert set(sequencer.submit(records[::-2])["code"].tolist()) == {Result.EXISTS}
    frozen = np.frombuffer(records[:5].tobytes(), records.dtype)
    assert set(sequencer.submit(frozen)["code"].tolist()) == {Result.EXISTS}
    sequencer.close()
