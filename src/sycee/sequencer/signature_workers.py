"""Processes that verify signatures beside the ledger, while frames are written.

    check ─> find_jobs: which key must hold ─> queue ─┬─ batch ─> worker process ─┐
    done <─ one byte for each signature <─────────────┴─ batch ─> worker process ─┘  on one thread of the verifier

A worker is a child with nothing but a socket that it inherited (`signature_worker`): what it answers can come from no
other process. While batches are verified the next ones collect; a worker has at most two, so that it never waits for
this process. A worker that dies, answers nonsense or does not answer is replaced, and its batches are verified here.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from sycee.core import keys
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.fork_guard import Owner
from sycee.ledger import signatures
from sycee.ledger.batch import PreparedBatch
from sycee.sequencer.signature_worker import BATCH_JOBS_MAX, COUNT

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState


WORKERS_MAX: Final = 64
BATCHES_IN_FLIGHT: Final = 2  # of a worker: one that it verifies, one that waits for it
WAITING_JOBS_MAX: Final = 1 << 18  # 54 MB; more than two cores verify in ten seconds
ANSWER_S_MAX: Final = 20.0  # a worker that is slower is stopped; a loaded machine may take seconds to start one
STARTS_IN_A_ROW_MAX: Final = 3  # of a worker that answered nothing; then this process verifies by itself
_CLOSE_S_MAX: Final = 5.0


class _Request:
    """Signatures that one caller wants verified. For the verifier's lock, but for `future`."""

    __slots__ = ("batched", "future", "jobs", "outcomes", "unanswered")

    def __init__(self, jobs: bytes, count: int) -> None:
        self.jobs = memoryview(jobs)
        self.unanswered = count  # that are not answered
        self.batched = 0  # that are in a batch
        self.outcomes = bytearray(count)
        self.future: Future[bytes] = Future()


_Part = tuple[_Request, int, int]  # a request's jobs from one to before another


@dataclass(slots=True, eq=False)
class _Batch:
    parts: list[_Part]
    count: int
    sent_s: float

    def jobs(self) -> bytes:
        size = keys.JOB.size
        return b"".join(request.jobs[start * size : end * size] for request, start, end in self.parts)


@dataclass(slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: socket.socket
    in_flight: deque[_Batch] = field(default_factory=deque)
    unsent: bytes = b""
    answered: bytearray = field(default_factory=bytearray)  # of the first batch
    is_proven: bool = False  # it answered once


class _Step(NamedTuple):
    """One turn of the verifier's thread."""

    watched: list[_Worker]
    is_busy: bool  # a request has no answer yet
    is_over: bool  # the verifier is closed, and every request has its answer
    answered: list[tuple[_Request, bytes]]  # without a worker


class SignatureVerifier:
    """Verifies signatures in child processes. Safe for many threads; callbacks run on its own thread.

    How admission uses it:

        verifier = SignatureVerifier(workers=2)      # one for a ledger; the processes start with the first signature
        coming = verifier.check(state, ledger_id, now_ns, batch)   # at once; many envelopes gathered are cheapest
        coming.add_done_callback(enqueue)            # or asyncio.wrap_future(coming), or coming.result()

    and `enqueue` gives `coming.result()`, the same batch with its `checks`, to the writer, whose
    `authority.authorise(..., checks=batch.checks)` verifies again what was checked under a key that no longer counts.
    """

    def __init__(self, workers: int = 0) -> None:
        """Of so many processes; 0 verifies on the thread that asks. Raises UsageError for more than WORKERS_MAX."""
        if not 0 <= workers <= WORKERS_MAX:
            raise UsageError(
                f"signature workers must be 0 to {WORKERS_MAX}; got {workers}", hint="use as many as there are cores"
            )
        self._wanted = workers
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._waiting: deque[_Request] = deque()  # that have jobs in no batch
        self._waiting_jobs = 0
        self._unanswered: set[_Request] = set()
        self._failed_starts = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._wake_out: socket.socket | None = None
        self._wake_in: socket.socket | None = None
        self._owner = Owner()
        self.findings: list[str] = []  # workers that were replaced, one sentence each
        _open.add(self)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Of the workers that run."""
        with self._lock:
            return tuple(worker.process.pid for worker in self._workers)

    def check(self, state: LedgerState, ledger_id: bytes, now_ns: int, batch: PreparedBatch) -> Future[PreparedBatch]:
        """Verify a batch's envelopes; the future is the batch with its `checks`.

        The keys are looked up in `state` at once, which may be done beside the writer. Without envelopes the future is
        done. Raises UnavailableError once it is closed, or where too many signatures wait.
        """
        coming: Future[PreparedBatch] = Future()
        found = signatures.find_jobs(state, ledger_id, now_ns, batch.operations, batch.envelopes, batch.firsts)
        if not found.jobs.size:
            coming.set_result(replace(batch, checks=found.checks(b"")) if batch.envelopes.size else batch)
            return coming

        def finish(verified: Future[bytes]) -> None:
            try:
                checked = replace(batch, checks=found.checks(verified.result()))
            except BaseException as error:  # a future without an answer would keep its caller waiting
                coming.set_exception(error)
            else:
                coming.set_result(checked)

        coming.set_running_or_notify_cancel()
        self.verify(found.jobs.tobytes()).add_done_callback(finish)
        return coming

    def verify(self, jobs: bytes) -> Future[bytes]:
        """Verify whole keys.JOBs: the future of one byte for each, 1 where the signature holds and 0 where not.

        Raises UsageError for bytes that are no jobs, UnavailableError once it is closed or where too many wait.
        """
        count, rest = divmod(len(jobs), keys.JOB.size)
        if rest:
            raise UsageError(
                f"jobs has {len(jobs)} bytes, which is not a multiple of {keys.JOB.size}",
                hint="join whole jobs, each packed with keys.JOB",
            )
        request = _Request(jobs, count)
        request.future.set_running_or_notify_cancel()
        self._owner.check("the signature verifier")
        if not self._enqueue(request):
            request.future.set_result(keys.verify_jobs(jobs))
        return request.future

    def close(self) -> None:
        """End the processes, after what was asked for is answered. A second call does nothing."""
        if not self._owner.is_here:
            return  # a forked child's copy owns nothing
        with self._lock:
            self._closed = True
            thread = self._thread
            self._wake_thread()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _enqueue(self, request: _Request) -> bool:
        """Queue a request for the workers; return False where the caller verifies it. Raises UnavailableError."""
        with self._lock:
            if self._closed:
                raise _closed()
            if not request.unanswered or not self._wanted:
                return False
            if self._waiting_jobs + request.unanswered > WAITING_JOBS_MAX:
                raise UnavailableError(
                    f"{self._waiting_jobs:,} signatures wait to be verified, and at most {WAITING_JOBS_MAX:,} may",
                    hint="nothing was taken: send it again in a moment",
                )
            if self._thread is None and not self._start():
                return False
            self._unanswered.add(request)
            self._waiting.append(request)
            self._waiting_jobs += request.unanswered
            self._send()
        return True

    # --- under the lock ---

    def _start(self) -> bool:
        """Start the thread and the processes; return False where the system refuses the thread or its sockets."""
        try:
            wakes = self._wake_out, self._wake_in = socket.socketpair()
            for wake in wakes:
                wake.setblocking(False)
            given = (weakref.ref(self), self._wake_out, self._workers, self._unanswered)
            thread = threading.Thread(target=_run, args=given, name="sycee-signatures", daemon=True)
            thread.start()  # it waits for the lock
        except (OSError, RuntimeError, MemoryError) as error:
            for end in (self._wake_out, self._wake_in):
                if end is not None:
                    end.close()
            self._wake_out = self._wake_in = None
            self._add_finding(error)
            return False
        self._thread = thread
        weakref.finalize(self, self._wake_in.close).atexit = False  # wakes the thread, which ends
        for _ in range(self._wanted):
            self._start_worker()
        return True

    def _add_finding(self, error: BaseException) -> None:
        """Add a finding, once: the system has no process or thread to spare, so this process verifies."""
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        finding = f"no process verifies signatures: {reason}; this one does"
        if finding not in self.findings:
            self.findings.append(finding)

    def _start_worker(self) -> None:
        """Start one process, unless too many in a row died before they answered."""
        if self._failed_starts >= STARTS_IN_A_ROW_MAX:
            return
        sockets: tuple[socket.socket, ...] = ()
        try:
            ours, theirs = sockets = socket.socketpair()
            # Nothing of this process but the module path: no environment, no file, no folder, no terminal's Ctrl-C.
            process = subprocess.Popen(
                [sys.executable, "-P", "-s", "-m", "sycee.sequencer.signature_worker", str(theirs.fileno())],
                env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
            ours.setblocking(False)
        except (OSError, MemoryError) as error:
            self._failed_starts = STARTS_IN_A_ROW_MAX
            self._add_finding(error)
            for end in sockets:
                end.close()
            return
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _send(self) -> None:
        """Give what waits to the workers that have room, in even parts."""
        while self._waiting:
            worker = min(self._workers, key=lambda each: len(each.in_flight), default=None)
            if worker is None:
                self._wake_thread()  # the thread verifies
                return
            if len(worker.in_flight) >= BATCHES_IN_FLIGHT:
                return
            even = -(-self._waiting_jobs // len(self._workers))
            batch = self._next_batch(min(even, BATCH_JOBS_MAX))
            waits_for_none = not any(each.in_flight for each in self._workers)
            worker.in_flight.append(batch)
            was_idle = not worker.unsent
            worker.unsent += COUNT.pack(batch.count) + batch.jobs()
            if was_idle:
                self._send_unsent(worker)
            if worker.unsent or waits_for_none:
                self._wake_thread()  # the thread sends the rest, and counts from now how long a worker is silent

    def _next_batch(self, count_max: int) -> _Batch:
        """The next jobs that wait, as a batch."""
        parts: list[_Part] = []
        count = 0
        while self._waiting and count < count_max:
            request = self._waiting[0]
            start, total = request.batched, len(request.outcomes)
            end = min(total, start + count_max - count)
            request.batched = end
            parts.append((request, start, end))
            count += end - start
            if end == total:
                self._waiting.popleft()
        self._waiting_jobs -= count
        return _Batch(parts, count, time.monotonic())

    @staticmethod
    def _send_unsent(worker: _Worker) -> None:
        """Send what the worker's socket takes. One that is gone is found by its thread."""
        with contextlib.suppress(OSError):
            worker.unsent = worker.unsent[worker.connection.send(worker.unsent) :]

    def _wake_thread(self) -> None:
        if self._wake_in is not None:
            with contextlib.suppress(OSError):  # full: the thread will wake
                self._wake_in.send(b"\0")

    # --- the verifier's thread ---

    def _next_step(self, selector: selectors.BaseSelector) -> _Step:
        """Prepare what the thread waits for, or what it answers at once."""
        with self._lock:
            watched = self._update_selector(selector)
            is_busy = any(worker.in_flight for worker in self._workers) or bool(self._waiting)
            is_over = self._closed and not is_busy
            return _Step(watched, is_busy, is_over, [] if self._workers or is_over else self._verify_waiting())

    def _disable_workers(self, error: BaseException) -> None:
        """Have callers verify later requests themselves, after the thread failed."""
        with self._lock:
            self._wanted = 0
            self._add_finding(error)
            self._waiting.clear()
            self._waiting_jobs = 0

    def _complete(self, answered: list[tuple[_Request, bytes]]) -> None:
        """Give requests their answers, without the lock: their callers may ask again."""
        for request, outcomes in answered:
            with self._lock:
                self._unanswered.discard(request)
            request.future.set_result(outcomes)

    def _update_selector(self, selector: selectors.BaseSelector) -> list[_Worker]:
        """Have the selector watch the workers that there are; they."""
        known = {key.fileobj: key for key in selector.get_map().values() if key.fileobj is not self._wake_out}
        for connection in known.keys() - {worker.connection for worker in self._workers}:
            selector.unregister(connection)
        for worker in self._workers:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
            if worker.connection not in known:
                selector.register(worker.connection, events)
            elif known[worker.connection].events != events:
                selector.modify(worker.connection, events)
        return list(self._workers)

    def _answer(self, watched: list[_Worker]) -> None:
        """Read what came, send what waits, and tell the callers, without the lock."""
        finished: list[tuple[_Request, bytes]] = []
        lost: list[_Batch] = []
        with self._lock:
            for worker in watched:
                if worker.unsent:
                    self._send_unsent(worker)
                if not self._receive(worker, finished):
                    lost += worker.in_flight
                    self._replace(worker)
            self._send()
        for batch in lost:
            outcomes = keys.verify_jobs(batch.jobs())
            with self._lock:
                finished += _store_outcomes(batch, outcomes)
        self._complete(finished)

    def _receive(self, worker: _Worker, finished: list[tuple[_Request, bytes]]) -> bool:
        """Take a worker's answers; False where it is gone, answers nonsense, or is too slow."""
        try:
            came = worker.connection.recv(1 << 16)
        except BlockingIOError:
            return not worker.in_flight or time.monotonic() - worker.in_flight[0].sent_s < ANSWER_S_MAX
        except OSError:
            return False
        worker.answered += came
        if not came or len(worker.answered) > sum(batch.count for batch in worker.in_flight):
            return False
        if worker.answered.translate(None, b"\0\1"):
            return False
        while worker.in_flight and len(worker.answered) >= worker.in_flight[0].count:
            batch = worker.in_flight.popleft()
            finished += _store_outcomes(batch, bytes(worker.answered[: batch.count]))
            del worker.answered[: batch.count]
            worker.is_proven, self._failed_starts = True, 0
            if worker.in_flight:
                worker.in_flight[0].sent_s = time.monotonic()
        return True

    def _replace(self, worker: _Worker) -> None:
        """Stop a worker and start another."""
        self._workers.remove(worker)
        _stop(worker)
        self.findings.append(f"signature worker {worker.process.pid} was replaced: exit {worker.process.returncode}")
        if not worker.is_proven:
            self._failed_starts += 1
        if not self._closed:
            self._start_worker()

    def _verify_waiting(self) -> list[tuple[_Request, bytes]]:
        """Where no worker can be had: verify what waits on this thread."""
        finished: list[tuple[_Request, bytes]] = []
        while self._waiting:
            batch = self._next_batch(BATCH_JOBS_MAX)
            finished += _store_outcomes(batch, keys.verify_jobs(batch.jobs()))
        return finished

    def _end(self) -> None:
        with self._lock:
            workers = self._workers.copy()
            self._workers.clear()
            for end in (self._wake_out, self._wake_in):
                if end is not None:
                    end.close()
            self._wake_in = None
        _end_workers(workers)

    def _close_after_fork(self) -> None:
        """In a fork's copy: let go of the sockets, so that the workers see their parent's end and not the copy's."""
        self._closed = True
        for worker in self._workers:
            os.close(worker.connection.detach())
        for end in (self._wake_out, self._wake_in):
            if end is not None:
                os.close(end.detach())
        self._workers, self._wake_out, self._wake_in, self._thread = [], None, None, None


def _run(
    reference: weakref.ref[SignatureVerifier],
    wake_out: socket.socket,
    workers: list[_Worker],
    unanswered: set[_Request],
) -> None:
    """Serve requests on the verifier's thread until the verifier is closed or garbage-collected.

    Without requests the thread holds a weak reference only. Requests without an answer are verified here at the end.
    """
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(wake_out, selectors.EVENT_READ)
            _serve(reference, selector, wake_out)
    except BaseException as error:
        verifier = reference()
        if verifier is not None:
            verifier._disable_workers(error)
    while unanswered:
        _verify_request(unanswered.pop())
    verifier = reference()
    if verifier is not None:
        verifier._end()
    else:
        wake_out.close()
        _end_workers(workers)


def _serve(
    reference: weakref.ref[SignatureVerifier], selector: selectors.BaseSelector, wake_out: socket.socket
) -> None:
    """Take answers and send batches until the verifier is collected, or closed with every request answered."""
    while (verifier := reference()) is not None:
        step = verifier._next_step(selector)
        if step.is_over:
            return
        if step.answered:
            verifier._complete(step.answered)
            continue
        if not step.is_busy:
            verifier = None
        for key, _ in selector.select(ANSWER_S_MAX / 4 if step.is_busy else None):
            if key.fileobj is wake_out:
                with contextlib.suppress(BlockingIOError):
                    wake_out.recv(4096)
        verifier = reference()
        if verifier is not None:
            verifier._answer(step.watched)


def _end_workers(workers: list[_Worker]) -> None:
    """Close the workers' sockets, and stop those that do not end by that."""
    for worker in workers:
        worker.connection.close()  # the worker reads the end and ends
    for worker in workers:
        try:
            worker.process.wait(_CLOSE_S_MAX)
        except subprocess.TimeoutExpired:
            _stop(worker)


def _store_outcomes(batch: _Batch, outcomes: bytes) -> list[tuple[_Request, bytes]]:
    """Write a batch's answers where they belong; the requests that are done by it, with all of theirs."""
    finished = []
    at = 0
    for request, start, end in batch.parts:
        request.outcomes[start:end] = outcomes[at : at + end - start]
        at += end - start
        request.unanswered -= end - start
        if not request.unanswered:
            finished.append((request, bytes(request.outcomes)))
    return finished


def _verify_request(request: _Request) -> None:
    """Verify a whole request on this thread."""
    try:
        request.future.set_result(keys.verify_jobs(bytes(request.jobs)))
    except BaseException as error:
        request.future.set_exception(error)


def _stop(worker: _Worker) -> None:
    worker.connection.close()
    with contextlib.suppress(OSError):
        worker.process.kill()
    worker.process.wait()


def _closed() -> UnavailableError:
    return UnavailableError("the signature verifier is closed", hint="open the ledger again")


_open: Final[weakref.WeakSet[SignatureVerifier]] = weakref.WeakSet()


def _after_fork() -> None:
    for verifier in list(_open):
        verifier._close_after_fork()


os.register_at_fork(after_in_child=_after_fork)
