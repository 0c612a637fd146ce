"""Child processes that verify signatures while frames are written.

    check ─> find_jobs: which key applies ─> queue ─┬─ batch ─> worker process ─ response ─> thread ─┐
                                                    └─ batch ─> worker process ─ response ─> thread ─┤
    done <─ one byte for each signature <────────────────────────────────────────────────────────────┘

A worker has only a socket that it inherited (`signature_worker`), so no other process can respond in its place. The
socket preserves message boundaries (SOCK_SEQPACKET): a message is a batch or a response. The caller, or a thread that
has received a response, sends the next batch. While batches are verified, the next ones collect; a worker has at most
two, so that it never waits for this process. A worker that ends, sends an invalid response or does not respond is
replaced, and its batches are verified in this process.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
import weakref
from collections import deque
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from sycee.core import keys
from sycee.core.child_process import start_module
from sycee.core.errors import BusyError, UnavailableError, UsageError
from sycee.core.fork_guard import Owner
from sycee.ledger import signatures
from sycee.ledger.batch import PreparedBatch
from sycee.sequencer.signature_worker import BATCH_BYTES_MAX, BATCH_JOBS_MAX

if TYPE_CHECKING:
    from sycee.ledger.state import LedgerState


WORKERS_MAX: Final = 64
BATCHES_IN_FLIGHT: Final = 2  # per worker: one under verification, one waiting
WAITING_JOBS_MAX: Final = 1 << 18  # 54 MB; more than two cores verify in 10 s
ANSWER_S_MAX: Final = 20.0  # a slower worker is stopped; a loaded machine may need seconds to start one
STARTS_IN_A_ROW_MAX: Final = 3  # workers without a response; after that this process verifies
RETRY_S: Final = 1.0  # after the system refused a process or thread
_CLOSE_S_MAX: Final = 5.0
_PENDING: Final = 2  # instead of an outcome


class _Request:
    """Signatures of one caller, with one outcome for each."""

    __slots__ = ("future", "jobs", "outcomes")

    def __init__(self, jobs: bytes) -> None:
        self.jobs = memoryview(jobs)
        self.outcomes = bytearray([_PENDING]) * (len(jobs) // keys.JOB.size)
        self.future: Future[bytes] = Future()
        self.future.set_running_or_notify_cancel()


_Part = tuple[_Request, int, int]  # a request, and the first job and the end of a range of its jobs
_Batch = list[_Part]


@dataclass(slots=True, eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: socket.socket
    in_flight: deque[_Batch] = field(default_factory=deque)
    began_s: float = 0.0  # start of the first batch in flight
    has_responded: bool = False


class SignatureVerifier:
    """Verifies signatures in child processes. Safe for many threads; callbacks run on threads of the verifier."""

    def __init__(self, workers: int = 0) -> None:
        """Set the number of processes, 0 to WORKERS_MAX; 0: the caller verifies. The first signature starts them."""
        if not 0 <= workers <= WORKERS_MAX:
            raise UsageError(
                f"signature workers must be 0 to {WORKERS_MAX}; got {workers}", hint="use at most one per processor"
            )
        self._owner = Owner()
        # Threads refer to the pool only, so that a verifier that is dropped is collected and its threads end.
        self._pool = _WorkerPool(workers)
        weakref.finalize(self, self._pool.close_dropped).atexit = False

    @property
    def process_ids(self) -> tuple[int, ...]:
        """Return the process ids of the running workers."""
        with self._pool.lock:
            return tuple(worker.process.pid for worker in self._pool.workers)

    @property
    def findings(self) -> list[str]:
        """Return one sentence for each replaced worker, and one if the system refuses workers."""
        return self._pool.findings

    def check(self, state: LedgerState, ledger_id: bytes, now_ns: int, batch: PreparedBatch) -> Future[PreparedBatch]:
        """Verify a batch's envelopes; return the future of the batch with its `checks`.

        Looks the keys up in `state` at once, possibly while the writer changes it: `authority.authorise` later verifies
        again what was checked with a key that no longer applies. Raises UnavailableError once closed, or if too many
        signatures wait.
        """
        checked_batch: Future[PreparedBatch] = Future()
        found = signatures.find_jobs(state, ledger_id, now_ns, batch.operations, batch.envelopes, batch.firsts)
        if not found.jobs.size:
            checked_batch.set_result(replace(batch, checks=found.checks(b"")) if batch.envelopes.size else batch)
            return checked_batch

        def finish(verified: Future[bytes]) -> None:
            try:
                checked = replace(batch, checks=found.checks(verified.result()))
            except BaseException as error:  # a future without a result would block its caller forever
                checked_batch.set_exception(error)
            else:
                checked_batch.set_result(checked)

        checked_batch.set_running_or_notify_cancel()
        self.verify(found.jobs.tobytes()).add_done_callback(finish)
        return checked_batch

    def verify(self, jobs: bytes) -> Future[bytes]:
        """Verify whole keys.JOBs; return the future of one byte for each: 1 for a valid signature, else 0.

        Raises UsageError for bytes that are no jobs, UnavailableError once closed or if too many jobs wait.
        """
        if len(jobs) % keys.JOB.size:
            raise UsageError(
                f"jobs has {len(jobs)} bytes, which is not a multiple of {keys.JOB.size}",
                hint="join whole jobs, each packed with keys.JOB",
            )
        self._owner.check("the signature verifier")
        request = _Request(jobs)
        if not self._pool.submit(request):
            request.future.set_result(keys.verify_jobs(jobs))
        return request.future

    def start(self) -> None:
        """Start the processes before the first signature, which would wait for them."""
        self._owner.check("the signature verifier")
        self._pool.start()

    def close(self) -> None:
        """Verify all accepted requests, then end the processes. A second call does nothing."""
        if not self._owner.is_here:
            return  # a forked child owns no worker
        threads = self._pool.close()
        if threading.current_thread() not in threads:  # a callback may close
            for thread in threads:
                thread.join()


class _WorkerPool:
    """Workers, and the jobs that wait for them. Each worker has one thread, which receives its responses."""

    def __init__(self, size: int) -> None:
        self.lock = threading.Lock()
        self.workers: list[_Worker] = []
        self.threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
        self.findings: list[str] = []
        self._size = size
        self._is_closed = False
        self._waiting: deque[_Part] = deque()  # in no batch yet
        self._waiting_jobs = 0
        self._failed_starts = 0
        self._retry_s = 0.0
        _pools.add(self)

    def submit(self, request: _Request) -> bool:
        """Queue a request; return False if the caller must verify it, since there is no worker."""
        count = len(request.outcomes)
        with self.lock:
            if self._is_closed:
                raise UnavailableError("the signature verifier is closed", hint="open the ledger again")
            if not count or not self._size:
                return False
            if self._waiting_jobs + count > WAITING_JOBS_MAX:
                raise BusyError(
                    f"{self._waiting_jobs:,} signatures wait for verification; at most {WAITING_JOBS_MAX:,} may wait",
                    hint="nothing was accepted: send the operations again in a moment",
                )
            self._start_missing()
            if not self.workers:
                return False
            self._waiting_jobs += count
            self._waiting.append((request, 0, count))
            self._send()
        return True

    def start(self) -> None:
        """Start the missing workers."""
        with self.lock:
            self._start_missing()

    def close(self) -> list[threading.Thread]:
        """Refuse further requests; return the threads, which end when all accepted requests are complete."""
        with self.lock:
            self._is_closed = True
            self._send()
            return list(self.threads)

    def close_dropped(self) -> None:
        """Close without waiting for the lock: garbage collection may call this on a thread that holds it."""
        self._is_closed = True
        if self.lock.acquire(blocking=False):  # otherwise the next `_send` ends the workers
            try:
                self._send()
            finally:
                self.lock.release()

    def close_after_fork(self) -> None:
        """Close the sockets in a forked child, so that the workers detect the end of their parent."""
        self._is_closed = True
        for worker in self.workers:
            worker.connection.close()
        self.workers = []

    # --- under the lock ---

    def _start_missing(self) -> None:
        """Start the missing workers, unless the system refuses, or too many in a row ended without a response."""
        while (
            len(self.workers) < self._size
            and not self._is_closed
            and self._failed_starts < STARTS_IN_A_ROW_MAX
            and time.monotonic() >= self._retry_s
        ):
            try:
                self._start_worker()
            except (OSError, RuntimeError, MemoryError) as error:
                self._retry_s = time.monotonic() + RETRY_S
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                finding = f"no child process can verify signatures: {reason}; this process verifies them"
                if finding not in self.findings:
                    self.findings.append(finding)
                return

    def _start_worker(self) -> None:
        """Start one process and its thread; start neither if the system refuses one of them."""
        with contextlib.ExitStack() as undo:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.enter_context(ours)
            with theirs:
                process = start_module("sycee.sequencer.signature_worker", theirs.fileno())
            undo.callback(_end_process, process, 0)
            ours.setblocking(False)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * BATCHES_IN_FLIGHT * BATCH_BYTES_MAX)
            worker = _Worker(process, ours)
            thread = threading.Thread(target=self._serve, args=(worker,), name="sycee-signatures", daemon=True)
            thread.start()
            self.threads.add(thread)
            self.workers.append(worker)
            undo.pop_all()

    def _send(self) -> None:
        """Send waiting jobs to workers with fewer than BATCHES_IN_FLIGHT batches, in equal parts."""
        while self._waiting and self.workers:
            worker = min(self.workers, key=lambda each: len(each.in_flight))
            if len(worker.in_flight) >= BATCHES_IN_FLIGHT:
                return
            if not worker.in_flight:
                worker.began_s = time.monotonic()
            batch: _Batch = []
            try:
                worker.in_flight.append(batch)
                self._fill(batch, min(-(-self._waiting_jobs // len(self.workers)), BATCH_JOBS_MAX))
                worker.connection.send(_jobs_of(batch))
            except BaseException as error:
                # Also after Ctrl-C: if the batch was not sent, a later batch's response would be taken for its own.
                with contextlib.suppress(OSError):
                    worker.connection.shutdown(socket.SHUT_RDWR)  # its thread replaces it and verifies the batch
                if not isinstance(error, Exception):
                    raise
        if self._is_closed and not self._waiting:
            for worker in self.workers:
                with contextlib.suppress(OSError):  # the worker has ended
                    worker.connection.shutdown(socket.SHUT_WR)  # the worker reads end-of-file after its batches

    def _fill(self, batch: _Batch, count_max: int) -> None:
        """Move up to `count_max` waiting jobs to a batch. Ctrl-C may duplicate a job, but never loses one."""
        while self._waiting and count_max:
            request, start, end = self._waiting[0]
            count = min(end - start, count_max)
            batch.append((request, start, start + count))
            if start + count < end:
                self._waiting[0] = (request, start + count, end)
            else:
                self._waiting.popleft()
            count_max -= count
            self._waiting_jobs -= count
        if not self._waiting:
            self._waiting_jobs = 0

    # --- a worker's thread ---

    def _serve(self, worker: _Worker) -> None:
        """Receive a worker's responses until the worker ends or fails; then replace it."""
        failure = ""
        try:
            poller = select.poll()
            poller.register(worker.connection, select.POLLIN)
            while self._receive(worker, poller):
                pass
        except BaseException as error:
            failure = f", {error}"
        self._replace(worker, failure)

    def _receive(self, worker: _Worker, poller: select.poll) -> bool:
        """Wait for a response; return False if the worker has ended, responds invalidly or too slowly."""
        if not poller.poll(ANSWER_S_MAX / 4 * 1000):
            with self.lock:
                self._send()
            return not worker.in_flight or time.monotonic() - worker.began_s < ANSWER_S_MAX
        response = worker.connection.recv(BATCH_JOBS_MAX + 1)
        batch = worker.in_flight[0] if worker.in_flight else []
        count = sum(end - start for _, start, end in batch)
        if not response or len(response) != count or response.translate(None, b"\0\1"):
            return False
        _complete(batch, response)
        with self.lock:
            worker.in_flight.popleft()
            worker.began_s = time.monotonic()
            worker.has_responded, self._failed_starts = True, 0
            self._send()
        return True

    def _replace(self, worker: _Worker, failure: str) -> None:
        """Stop a worker and start another; verify the jobs of the first, and all if none can be started."""
        is_expected = self._is_closed and not worker.in_flight
        _end_process(worker.process, _CLOSE_S_MAX if is_expected else 0)
        with self.lock:
            worker.connection.close()
            if worker in self.workers:  # not if its start was interrupted
                self.workers.remove(worker)
            if not is_expected:
                pid, status = worker.process.pid, worker.process.returncode
                self.findings.append(f"signature worker {pid} was replaced: exit {status}{failure}")
                self._failed_starts += not worker.has_responded
            self._start_missing()
            lost = list(worker.in_flight)
            while self._waiting and not self.workers:
                lost.append([])
                self._fill(lost[-1], BATCH_JOBS_MAX)
            self._send()
        for batch in lost:
            try:
                _complete(batch, keys.verify_jobs(_jobs_of(batch)))
            except BaseException as error:  # a future without a result would block its caller forever
                for request, _, _ in batch:
                    with contextlib.suppress(InvalidStateError):
                        request.future.set_exception(error)


def _jobs_of(batch: _Batch) -> bytes:
    size = keys.JOB.size
    return b"".join([request.jobs[start * size : end * size] for request, start, end in batch])


def _complete(batch: _Batch, outcomes: bytes) -> None:
    """Store a batch's outcomes, and set the results of requests without a pending job.

    Call it without the lock: a result runs its caller's callbacks, which may submit again.
    """
    at = 0
    for request, start, end in batch:
        request.outcomes[start:end] = outcomes[at : at + end - start]
        at += end - start
        if _PENDING not in request.outcomes:
            with contextlib.suppress(InvalidStateError):  # two threads may find a request without a pending job
                request.future.set_result(bytes(request.outcomes))


def _end_process(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    """Wait for a process that must end; kill it after `timeout_s`."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_pools: Final[weakref.WeakSet[_WorkerPool]] = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_pools):
        pool.close_after_fork()


os.register_at_fork(after_in_child=_after_fork)
