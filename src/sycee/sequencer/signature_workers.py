"""Child processes that verify signatures while frames are written.

    check ─> find_jobs: which key applies ─> queue ─┬─ batch ─> worker process ─┐
    done <─ one byte for each signature <───────────┴─ batch ─> worker process ─┘  on one thread of the verifier

A worker has only a socket that it inherited (`signature_worker`), so no other process can respond in its place. While
batches are verified, the next ones collect; a worker has at most two, so that it never waits for this process. A worker
that ends, sends an invalid response or does not respond is replaced, and its batches are verified in this process.
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
BATCHES_IN_FLIGHT: Final = 2  # per worker: one under verification, one waiting
WAITING_JOBS_MAX: Final = 1 << 18  # 54 MB; more than two cores verify in 10 s
ANSWER_S_MAX: Final = 20.0  # a slower worker is stopped; a loaded machine may need seconds to start one
STARTS_IN_A_ROW_MAX: Final = 3  # workers without a response; after that this process verifies
_CLOSE_S_MAX: Final = 5.0


class _Request:
    """Signatures of one caller. Protected by the verifier's lock, except for `future`."""

    __slots__ = ("batched", "future", "jobs", "outcomes", "unanswered")

    def __init__(self, jobs: bytes, count: int) -> None:
        self.jobs = memoryview(jobs)
        self.unanswered = count  # jobs without an outcome
        self.batched = 0  # jobs in a batch
        self.outcomes = bytearray(count)
        self.future: Future[bytes] = Future()


_Part = tuple[_Request, int, int]  # a request, its first job and the end of the range


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
    answered: bytearray = field(default_factory=bytearray)  # response to the first batch so far
    is_proven: bool = False  # at least one response was received


class _Step(NamedTuple):
    """One iteration of the verifier's thread."""

    watched: list[_Worker]
    is_busy: bool  # a request has no result yet
    is_over: bool  # the verifier is closed, and every request has its result
    answered: list[tuple[_Request, bytes]]  # verified without a worker


class SignatureVerifier:
    """Verifies signatures in child processes. Safe for many threads; callbacks run on the verifier's own thread."""

    def __init__(self, workers: int = 0) -> None:
        """Set the number of processes, 0 to WORKERS_MAX; 0: the caller verifies. The first signature starts them."""
        if not 0 <= workers <= WORKERS_MAX:
            raise UsageError(
                f"signature workers must be 0 to {WORKERS_MAX}; got {workers}", hint="use at most one per processor"
            )
        self._wanted = workers
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._waiting: deque[_Request] = deque()  # requests with jobs that are in no batch
        self._waiting_jobs = 0
        self._unanswered: set[_Request] = set()
        self._failed_starts = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._wake_out: socket.socket | None = None
        self._wake_in: socket.socket | None = None
        self._owner = Owner()
        self.findings: list[str] = []  # one sentence for each replaced worker
        _open.add(self)

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Return the process ids of the running workers."""
        with self._lock:
            return tuple(worker.process.pid for worker in self._workers)

    def check(self, state: LedgerState, ledger_id: bytes, now_ns: int, batch: PreparedBatch) -> Future[PreparedBatch]:
        """Verify a batch's envelopes; return the future of the batch with its `checks`.

        Looks the keys up in `state` at once, possibly while the writer changes it: `authority.authorise` later verifies
        again what was checked with a key that no longer applies. Raises UnavailableError once closed, or if too many
        signatures wait.
        """
        coming: Future[PreparedBatch] = Future()
        found = signatures.find_jobs(state, ledger_id, now_ns, batch.operations, batch.envelopes, batch.firsts)
        if not found.jobs.size:
            coming.set_result(replace(batch, checks=found.checks(b"")) if batch.envelopes.size else batch)
            return coming

        def finish(verified: Future[bytes]) -> None:
            try:
                checked = replace(batch, checks=found.checks(verified.result()))
            except BaseException as error:  # a future without a result would block its caller forever
                coming.set_exception(error)
            else:
                coming.set_result(checked)

        coming.set_running_or_notify_cancel()
        self.verify(found.jobs.tobytes()).add_done_callback(finish)
        return coming

    def verify(self, jobs: bytes) -> Future[bytes]:
        """Verify whole keys.JOBs; return the future of one byte for each: 1 for a valid signature, else 0.

        Raises UsageError for bytes that are no jobs, UnavailableError once closed or if too many jobs wait.
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
        """Verify all accepted requests, then end the processes. A second call does nothing."""
        if not self._owner.is_here:
            return  # a forked child owns no worker
        with self._lock:
            self._closed = True
            thread = self._thread
            self._wake_thread()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _enqueue(self, request: _Request) -> bool:
        """Queue a request for the workers; return False if the caller must verify it. Raises UnavailableError."""
        with self._lock:
            if self._closed:
                raise _closed()
            if not request.unanswered or not self._wanted:
                return False
            if self._waiting_jobs + request.unanswered > WAITING_JOBS_MAX:
                raise UnavailableError(
                    f"{self._waiting_jobs:,} signatures wait for verification; at most {WAITING_JOBS_MAX:,} may wait",
                    hint="nothing was accepted: send the operations again in a moment",
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
        """Start the thread and the processes; return False if the system refuses the thread or its sockets."""
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
        weakref.finalize(self, self._wake_in.close).atexit = False  # the thread wakes and ends
        for _ in range(self._wanted):
            self._start_worker()
        return True

    def _add_finding(self, error: BaseException) -> None:
        """Add one finding: the system refuses a process or thread, so this process verifies."""
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        finding = f"no child process can verify signatures: {reason}; this process verifies them"
        if finding not in self.findings:
            self.findings.append(finding)

    def _start_worker(self) -> None:
        """Start one process, unless too many in a row ended before their first response."""
        if self._failed_starts >= STARTS_IN_A_ROW_MAX:
            return
        sockets: tuple[socket.socket, ...] = ()
        try:
            ours, theirs = sockets = socket.socketpair()
            # The child inherits only the module path: no environment, file, working folder or terminal (Ctrl-C).
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
        """Send waiting jobs to workers with fewer than BATCHES_IN_FLIGHT batches, in equal parts."""
        while self._waiting:
            worker = min(self._workers, key=lambda each: len(each.in_flight), default=None)
            if worker is None:
                self._wake_thread()  # it verifies
                return
            if len(worker.in_flight) >= BATCHES_IN_FLIGHT:
                return
            even = -(-self._waiting_jobs // len(self._workers))
            batch = self._next_batch(min(even, BATCH_JOBS_MAX))
            was_all_idle = not any(each.in_flight for each in self._workers)
            worker.in_flight.append(batch)
            was_idle = not worker.unsent
            worker.unsent += COUNT.pack(batch.count) + batch.jobs()
            if was_idle:
                self._send_unsent(worker)
            if worker.unsent or was_all_idle:
                self._wake_thread()  # it sends the rest, and starts to measure the response time

    def _next_batch(self, count_max: int) -> _Batch:
        """Pop the next waiting jobs as one batch."""
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
        """Send as many bytes as the worker's socket accepts. The thread detects a worker that has ended."""
        with contextlib.suppress(OSError):
            worker.unsent = worker.unsent[worker.connection.send(worker.unsent) :]

    def _wake_thread(self) -> None:
        if self._wake_in is not None:
            with contextlib.suppress(OSError):  # the socket is full, so the thread will wake
                self._wake_in.send(b"\0")

    # --- the verifier's thread ---

    def _next_step(self, selector: selectors.BaseSelector) -> _Step:
        """Return what the thread waits for, or the requests that it verified itself."""
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
        """Set the results of requests, without the lock: their callbacks may submit again."""
        for request, outcomes in answered:
            with self._lock:
                self._unanswered.discard(request)
            request.future.set_result(outcomes)

    def _update_selector(self, selector: selectors.BaseSelector) -> list[_Worker]:
        """Register the current workers with the selector; return them."""
        registered = {key.fileobj: key for key in selector.get_map().values() if key.fileobj is not self._wake_out}
        for connection in registered.keys() - {worker.connection for worker in self._workers}:
            selector.unregister(connection)
        for worker in self._workers:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if worker.unsent else 0)
            if worker.connection not in registered:
                selector.register(worker.connection, events)
            elif registered[worker.connection].events != events:
                selector.modify(worker.connection, events)
        return list(self._workers)

    def _answer(self, watched: list[_Worker]) -> None:
        """Read responses, send waiting bytes, and complete requests, without the lock."""
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
        """Read a worker's response; return False if the worker has ended, responds invalidly or too slowly."""
        try:
            received = worker.connection.recv(1 << 16)
        except BlockingIOError:
            return not worker.in_flight or time.monotonic() - worker.in_flight[0].sent_s < ANSWER_S_MAX
        except OSError:
            return False
        worker.answered += received
        if not received or len(worker.answered) > sum(batch.count for batch in worker.in_flight):
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
        """Verify all waiting jobs on this thread, since there is no worker."""
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
        """Close the sockets in a forked child, so that the workers detect the end of their parent."""
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
    """Run the verifier's thread until the verifier is closed or garbage-collected.

    Without requests the thread has only a weak reference to the verifier. At the end it verifies open requests itself.
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
    """Read responses and send batches until the verifier is collected, or closed with every request complete."""
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
    """Close the workers' sockets, and stop workers that do not end within _CLOSE_S_MAX."""
    for worker in workers:
        worker.connection.close()  # the worker reads end-of-file and ends
    for worker in workers:
        try:
            worker.process.wait(_CLOSE_S_MAX)
        except subprocess.TimeoutExpired:
            _stop(worker)


def _store_outcomes(batch: _Batch, outcomes: bytes) -> list[tuple[_Request, bytes]]:
    """Store a batch's outcomes in its requests; return the requests that are complete, with all their outcomes."""
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
