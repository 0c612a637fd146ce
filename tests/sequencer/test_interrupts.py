"""Ctrl-C, or an exception in a signal handler, ends only the main thread's call: the ledger continues.

Python runs signal handlers on the main thread, after a call or a jump in its bytecode. So the test interrupts every
such place in the code between a caller and the writer in turn.
"""

from __future__ import annotations

import gc
import opcode
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.sequencer.ctrl_c import interrupted_when
from tests.sequencer.small import ANN, BOB, ISSUANCE, SHOP, TREASURY, opening
from tests.sequencer.test_signature_workers import job

import sycee
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.signature_workers import SignatureVerifier

WAIT_S = 20.0
SOURCES = str(Path(sycee.__file__).parent)
POINTS_MAX = 100_000
ONCE = {Result.CREATED, Result.EXISTS}
# After these instructions the interpreter checks for signals; names differ between releases.
CHECKED = ("CALL", "JUMP_BACKWARD", "RESUME")


class Interrupt(BaseException):
    """Raised by a signal handler."""


class At:
    """Raises at the n-th place at which a signal could be handled in this package's code on this thread."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen = 0
        self.place = ""
        self._last: dict[FrameType, str] = {}

    def __enter__(self) -> At:
        gc.disable()  # it would run finalizers of earlier tests' objects here, which must not be interrupted
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        gc.enable()

    def _enter(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        frame.f_trace = self._step  # before the next line, else Python 3.13 reports a code's instructions one call late
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        if event == "opcode":
            before = self._last.get(frame, "RESUME")
            self._last[frame] = opcode.opname[frame.f_code.co_code[frame.f_lasti]]
            if before.startswith(CHECKED):
                self.seen += 1
                if self.seen == self.number:
                    self.place = f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
                    sys.settrace(None)
                    raise Interrupt
        elif event == "return":
            self._last.pop(frame, None)
        return self._step


def in_another_thread(work: Callable[[], Any], place: str) -> Any:
    """Return the result of a call on another thread. Fails if it blocks."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert found, f"after an interrupt at {place} the ledger answers no other thread"
    return found[0]


def points(call: Callable[[int], Any], every: int = 1) -> Iterator[tuple[int, str]]:
    """Interrupt `call(number)` at each `every`-th place in turn, at fewer late places of a long call; yield number and
    place.
    """
    number = 0
    while number < POINTS_MAX:
        number += every + number // 200
        at = At(number)
        try:
            with at:
                call(number)
        except Interrupt:
            yield number, at.place
            continue
        if at.seen < number:
            assert number > 20, "there were hardly any places"
            return
    raise AssertionError("there is no end of places")


def is_idle(ledger: Ledger) -> bool:
    """Return whether every admitted operation has a result."""
    queue = ledger.sequencer._queue
    deadline = time.monotonic() + WAIT_S
    while (queue.operations, queue.bytes, len(queue)) != (0, 0, 0) and time.monotonic() < deadline:
        time.sleep(0.001)
    return (queue.operations, queue.bytes, len(queue)) == (0, 0, 0)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path)
    opened.submit(opening())
    yield opened
    in_another_thread(opened.check, "the end of the test")
    digest = opened.digest()
    opened.close()
    with Ledger.open(tmp_path) as again:
        assert again.digest() == digest


def test_a_payment_interrupted_anywhere(ledger: Ledger) -> None:
    """The payment was written or withdrawn, as its id shows, and payments of other threads continue."""
    taken = 0
    for number, place in points(lambda number: ledger.transfer(TREASURY, ANN, 1, id=10_000 + number)):
        done = in_another_thread(lambda number=number: ledger.transfer(TREASURY, BOB, 1, id=50_000 + number), place)
        assert done is Result.CREATED
        assert is_idle(ledger), place
        found = ledger.result_of(10_000 + number)
        taken += found is not None
        assert ledger.transfer(TREASURY, ANN, 1, id=10_000 + number) in ONCE, place
        assert ledger.result_of(10_000 + number).result is Result.CREATED, place  # type: ignore[union-attr]
    assert taken, "no interrupt came after the operation was taken"


@pytest.mark.parametrize(
    "call",
    [
        lambda ledger: ledger.balance(ANN),
        lambda ledger: ledger.statement(ANN),
        lambda ledger: ledger.tick(),
        lambda ledger: ledger.digest(),
        lambda ledger: ledger.snapshot(),
        lambda ledger: ledger.result_of(100),
    ],
    ids=["balance", "statement", "tick", "digest", "snapshot", "result_of"],
)
def test_any_other_call_interrupted_anywhere(ledger: Ledger, call: Callable[[Ledger], Any]) -> None:
    for number, place in points(lambda _: call(ledger), every=2):
        done = in_another_thread(lambda number=number: ledger.transfer(TREASURY, BOB, 1, id=50_000 + number), place)
        assert done is Result.CREATED
        assert is_idle(ledger), place
    call(ledger)


GOOD, BAD = job(1), job(2, good=False)


def check_outcomes(verifier: SignatureVerifier, place: str) -> None:
    """Verify signatures of another caller after an interrupt: each must get its own outcome, from a worker."""

    def verify() -> list[bytes]:
        coming = [verifier.verify(jobs) for jobs in (BAD, GOOD)]
        return [future.result(WAIT_S) for future in coming]

    assert in_another_thread(verify, place) == [b"\0", b"\1"], place
    assert len(verifier.process_ids) == 1, place
    in_another_thread(lambda: (verifier.close(), True), place)
    assert not verifier.process_ids, place


# An interrupt right after a system call loses its socket or process, which garbage collection then closes.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.soak)])
def test_a_verification_interrupted_anywhere(every: int) -> None:
    """Also while workers start. No response is taken for another signature's: no invalid signature is accepted."""
    verifiers = [SignatureVerifier(1)]
    for _, place in points(lambda _: verifiers[-1].verify(GOOD), every):
        check_outcomes(verifiers[-1], place)
        verifiers.append(SignatureVerifier(1))
    verifiers[-1].close()
    gc.collect()


@contextmanager
def signals(interval_s: float) -> Iterator[None]:
    """Raise in a signal handler on this thread at random times inside the block."""

    def handler(number: int, frame: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, handler)
    gc.disable()  # hypothesis measures collections in a callback, from which Python passes no exception on
    signal.setitimer(signal.ITIMER_REAL, interval_s, interval_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()


def test_real_signals_while_many_threads_pay(ledger: Ledger) -> None:
    """The main thread is interrupted every few milliseconds at any place; the other threads are not affected."""
    ledger.transfer(ISSUANCE, TREASURY, 10_000_000)  # a fast machine pays more than 10,000 times
    ended = threading.Event()
    paid: list[int] = []
    wrong: list[object] = []

    def pays() -> None:
        while not ended.is_set():
            try:
                paid.append(ledger.transfer(TREASURY, BOB, 1) is Result.CREATED)
            except BaseException as error:
                wrong.append(error)
                return

    threads = [threading.Thread(target=pays, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    interrupted, id = 0, 10_000
    while interrupted < 100:
        id += 1
        try:
            with signals(0.003):
                while True:
                    ledger.transfer(TREASURY, ANN, 1, id=id)
                    id += 1
        except Interrupt:
            interrupted += 1
        in_another_thread(lambda number=id: ledger.transfer(TREASURY, ANN, 1, id=number), "a signal")
    ended.set()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive(), "a thread waits forever"
    assert not wrong
    assert all(paid)
    assert is_idle(ledger)
    assert ledger.balance(BOB) == len(paid)


def test_ctrl_c_while_the_disk_is_at_work(ledger: Ledger) -> None:
    """The waiting thread gets KeyboardInterrupt; its operation is written and found by its id."""
    log = ledger.sequencer._writer._log
    real, begun, may_end = log.append, threading.Event(), threading.Event()

    def slow(**frame: Any) -> int:
        begun.set()
        assert may_end.wait(WAIT_S)
        return real(**frame)

    log.append = slow  # type: ignore[method-assign]
    with interrupted_when(begun.is_set):
        ledger.submit(operations.transfer(900, debit=TREASURY, credit=SHOP, amount=1))
    may_end.set()
    log.append = real  # type: ignore[method-assign]
    found = ledger.result_of(900)
    assert found is not None
    assert found.result is Result.CREATED
    assert ledger.transfer(TREASURY, SHOP, 1, id=900) is Result.EXISTS
