"""Many threads at one sequencer: each operation once, each answer to its caller, one frame for many callers."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sequencer.small import ANN, BOB, SHOP, TREASURY, Array, opening, some_ids

from sycee.core import ids
from sycee.core.clock import RealClock
from sycee.core.codes import Result
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.limits import FRAME_RECORDS_MAX
from sycee.journal import Journal
from sycee.ledger import operations
from sycee.sequencer import sequencer as sequencers
from sycee.sequencer import units
from sycee.sequencer.sequencer import Sequencer, journal_disk
from sycee.testing.disk import FakeDisk

THREADS = 8
SUBMITS = 25
POOL_ACCOUNTS = np.array([(account, 0) for account in (TREASURY, ANN, BOB, SHOP)], ids.ID)


class SlowLog:
    """A log whose disk takes its time, so that callers have to wait for one another."""

    def __init__(self, log: Journal, seconds: float) -> None:
        self._log = log
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    def append(self, **frame: Any) -> int:
        time.sleep(self._seconds)
        return self._log.append(**frame)


@pytest.mark.parametrize("side_by_side", [False, True])
def test_each_once_and_each_answer_to_its_caller(tmp_path: Path, side_by_side: bool) -> None:
    disk = journal_disk(tmp_path)
    sequencer = Sequencer(SlowLog(Journal.create(disk), 0.001), side_by_side=side_by_side)
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
            # Everybody sends one and the same operation too, and some of their own again.
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


def test_one_frame_gathers_what_several_threads_wait_with() -> None:
    """While one frame is on its way to the disk, the next one fills."""
    sequencer = Sequencer(SlowLog(Journal.create(FakeDisk()), 0.01), side_by_side=False)
    sequencer.submit(opening())
    before = sequencer.durable_sequence

    def caller(number: int) -> None:
        for submit in range(SUBMITS):
            record = operations.transfer(1_000 + number * SUBMITS + submit, debit=TREASURY, credit=SHOP, amount=1)
            assert sequencer.submit(record)["code"][0] == Result.CREATED

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(caller, range(THREADS)))
    # Two halves that take turns: four requests to a frame, and twice as many frames as that are still well.
    assert sequencer.durable_sequence - before <= THREADS * SUBMITS // 2
    with sequencer.reading() as state:
        assert state.account(SHOP).balance == THREADS * SUBMITS  # type: ignore[union-attr]


@contextmanager
def gathered(sequencer: Sequencer, submits: list[Callable[[], Any]]) -> Iterator[list[Any]]:
    """Start all these at once so that one of them works off all; yields what came of each, or its error."""
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
            while len(sequencer._waiting) < count:
                time.sleep(0.001)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a caller waits for ever"
    yield results


def test_callers_that_wait_share_a_frame_and_a_moment() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), side_by_side=False)
    sequencer.submit(opening())
    records = [operations.transfer(500 + n, debit=TREASURY, credit=SHOP, amount=n) for n in range(1, 6)]
    with gathered(sequencer, [lambda r=r: sequencer.submit(r) for r in records]) as answers:
        assert [answer["code"].tolist() for answer in answers] == [[Result.CREATED]] * 5
        assert [int(answer["place"][0]) for answer in answers] == [3 << 13 | at for at in range(5)]
    assert sequencer.durable_sequence == 3


def test_a_caller_who_asks_too_much_does_not_spoil_it_for_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), side_by_side=False)
    sequencer.submit(opening())
    monkeypatch.setattr("sycee.sequencer.sequencer.available_bytes", lambda: 1 << 30)
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


class InterruptedClock(RealClock):
    """Ctrl-C comes when it is asked for the time, once."""

    armed = False

    def now_ns(self) -> int:
        if self.armed:
            self.armed = False
            raise KeyboardInterrupt
        return super().now_ns()


def test_ctrl_c_stops_one_thread_and_the_others_go_on() -> None:
    clock = InterruptedClock()
    disk = FakeDisk()
    sequencer = Sequencer(Journal.create(disk), clock=clock, side_by_side=False)
    sequencer.submit(opening())
    # So large that each is a frame of its own: the interrupt hits the first, the others wait behind it.
    requests = [
        operations.transfer(some_ids(f"large {n}", FRAME_RECORDS_MAX), debit=TREASURY, credit=SHOP, amount=1)
        for n in range(4)
    ]
    clock.armed = True
    with gathered(sequencer, [lambda r=r: sequencer.submit(r) for r in requests]) as results:
        errors = [result for result in results if isinstance(result, BaseException)]
    # The thread that was at work is interrupted. The request it held has an error if it was another thread's, and
    # what it had not come to is worked off by those who wait.
    assert sum(isinstance(error, KeyboardInterrupt) for error in errors) == 1
    assert len(errors) <= 2
    assert all(isinstance(error, KeyboardInterrupt | UnavailableError) for error in errors)
    for request, result in zip(requests, results, strict=True):
        again = sequencer.submit(request)
        if not isinstance(result, BaseException):
            assert set(again["code"].tolist()) == {Result.EXISTS}
            assert again["place"].tolist() == result["place"].tolist()
    with sequencer.reading() as state:
        state.check()
        assert state.bound.size == 1 + opening().size + 4 * FRAME_RECORDS_MAX
    sequencer.close()


class InterruptedGate:
    """A gate at which Ctrl-C comes on the way out, once, for the thread that sends `armed` through it."""

    armed = 0  # how often the gate is left before it comes

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self.armed and threading.current_thread() is threading.main_thread():
            self.armed -= 1
            if not self.armed:
                raise KeyboardInterrupt


def leading_beside_another(sequencer: Sequencer, gate: InterruptedGate, armed: int) -> tuple[bool, list[Any]]:
    """This thread leads and leaves the gate so many times until Ctrl-C comes, while another waits.

    Whether it was interrupted, and what the other was told.
    """
    told: list[Any] = []

    def other() -> None:
        told.append(sequencer.submit(operations.transfer(701, debit=TREASURY, credit=SHOP, amount=1)))

    waiting = threading.Thread(target=other, daemon=True)
    work_off = sequencer._work_off

    def with_company(own: Any) -> None:
        sequencer._work_off = work_off  # type: ignore[method-assign]
        waiting.start()
        while len(sequencer._waiting) < 2:
            time.sleep(0.001)
        gate.armed = armed
        work_off(own)

    sequencer._work_off = with_company  # type: ignore[method-assign]
    interrupted = False
    try:
        sequencer.submit(operations.transfer(700, debit=TREASURY, credit=SHOP, amount=1))
    except KeyboardInterrupt:
        interrupted = True
    waiting.join(60)
    assert not waiting.is_alive(), "the other waits for ever"
    return interrupted, told


def elsewhere(do: Callable[[], Any]) -> Any:
    """Do it in a thread that may hang without hanging the tests; returns what came of it."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(do()), daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), "it waits for ever"
    return results[0]


@pytest.mark.parametrize("armed", [1, 2, 3])
def test_ctrl_c_at_the_gate_makes_nobody_wait_for_ever(armed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On taking what waits, on putting back what was not come to, and on handing on the lead."""
    monkeypatch.setattr("sycee.sequencer.sequencer.LEADER_LOST_S", 0.1)
    sequencer = Sequencer(Journal.create(FakeDisk()), side_by_side=False)
    sequencer.submit(opening())
    gate = sequencer._gate = InterruptedGate()  # type: ignore[assignment]
    interrupted, told = leading_beside_another(sequencer, gate, armed)
    assert interrupted
    assert told[0]["code"].tolist() == [Result.CREATED]
    assert sequencer.submit(operations.define_group(702, group=1))["code"].tolist() == [Result.CREATED]
    with sequencer.reading() as state:
        state.check()
    sequencer.close()


def test_a_lead_that_is_lost_is_taken_by_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C where the lead is handed on: nobody leads any more, and nobody knows."""
    monkeypatch.setattr("sycee.sequencer.sequencer.LEADER_LOST_S", 0.1)
    sequencer = Sequencer(Journal.create(FakeDisk()), side_by_side=False)
    sequencer.submit(opening())
    sequencer._led = True
    assert elsewhere(lambda: sequencer.submit(operations.define_group(702, group=1)))["code"] == [Result.CREATED]
    assert not sequencer._led
    sequencer.close()


def test_ctrl_c_never_says_that_nothing_was_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread's request was taken in part, or in whole, when the thread that held it was interrupted."""
    sequencer = Sequencer(Journal.create(FakeDisk()), side_by_side=False)
    sequencer.submit(opening())
    count = 2 * FRAME_RECORDS_MAX
    large = operations.transfer(some_ids("large", count), debit=TREASURY, credit=SHOP, amount=1)
    small = [operations.transfer(701 + n, debit=TREASURY, credit=SHOP, amount=1) for n in range(2)]
    frame, left = sequencer._frame, [0]

    def interrupted(asked: Any) -> Array:
        answers = frame(asked)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return answers

    monkeypatch.setattr(sequencer, "_frame", interrupted)

    def told_when_held_by_another(after_frames: int, *requests: Array) -> list[BaseException | None]:
        left[0] = after_frames
        tickets = [sequencers._Ticket(units.submission(request)) for request in requests]
        with pytest.raises(KeyboardInterrupt):
            sequencer._answer(tickets)
        return [ticket.error for ticket in tickets]

    (error,) = told_when_held_by_another(2, large)
    assert isinstance(error, UnavailableError)
    assert error.message == "the first 8,064 of 16,128 operations were taken, then: the ledger was interrupted"
    for error in told_when_held_by_another(1, *small):
        assert isinstance(error, UnavailableError)
        assert error.message == "the ledger was interrupted: it may have taken this request"
        assert error.hint == "send it again under the same ids: what was taken is answered EXISTS"
    with sequencer.reading() as state:
        assert state.account(SHOP).balance == 10_000 - 50  # type: ignore[union-attr]
    sequencer.close()


def test_what_would_wait_for_itself_is_refused() -> None:
    sequencer = Sequencer(Journal.create(FakeDisk()), side_by_side=False)

    def inside(use: Callable[[], object]) -> None:
        with sequencer.reading(), pytest.raises(UsageError, match="would wait for itself"):
            use()

    for use in (sequencer.next_due_ns, sequencer.tick, sequencer.position, sequencer.snapshot, sequencer.close):
        elsewhere(lambda use=use: inside(use))
    sequencer.close()


def test_ctrl_c_while_waiting_leaves_the_others_alone() -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("NOT RUN: Ctrl-C reaches the main thread only, and this test runs in another")
    sequencer = Sequencer(Journal.create(FakeDisk()), side_by_side=False)
    sequencer.submit(opening())
    main = threading.main_thread().ident
    assert main
    go_on = threading.Event()
    answers: list[Array] = []

    def read() -> None:
        with sequencer.reading():
            go_on.wait(60)

    def lead() -> None:
        answers.append(sequencer.submit(operations.transfer(700, debit=TREASURY, credit=SHOP, amount=1)))

    def interrupt() -> None:
        while len(sequencer._waiting) < 2:
            time.sleep(0.001)
        signal.pthread_kill(main, signal.SIGINT)

    reader, leader = threading.Thread(target=read), threading.Thread(target=lead)
    reader.start()
    while not sequencer._order.locked():
        time.sleep(0.001)
    leader.start()
    while not sequencer._waiting:
        time.sleep(0.001)
    # A shell that starts tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        sequencer.submit(operations.transfer(701, debit=TREASURY, credit=SHOP, amount=10))
    signal.signal(signal.SIGINT, before)
    go_on.set()
    leader.join(60)
    reader.join(60)
    assert answers[0]["code"].tolist() == [Result.CREATED]
    # It was never asked for, and the next request finds nobody in its way.
    assert (
        sequencer.submit(operations.transfer(701, debit=TREASURY, credit=SHOP, amount=10))["code"][0] == Result.CREATED
    )
    sequencer.close()


def test_a_request_larger_than_a_frame_keeps_its_order(tmp_path: Path) -> None:
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
    # What is strided or read-only is taken as well.
    assert set(sequencer.submit(records[::-2])["code"].tolist()) == {Result.EXISTS}
    frozen = np.frombuffer(records[:5].tobytes(), records.dtype)
    assert set(sequencer.submit(frozen)["code"].tolist()) == {Result.EXISTS}
    sequencer.close()
