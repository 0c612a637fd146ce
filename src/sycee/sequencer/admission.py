"""Admission: check submitted batches, verify their signatures, and queue them for the writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final

from sycee.core.arrays import Array
from sycee.core.clock import Clock, read_ns
from sycee.core.records.envelopes import Envelope
from sycee.core.records.layout import Kind
from sycee.ledger import batch as batches
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.state import LedgerState
from sycee.sequencer import rules_version
from sycee.sequencer.log import Log
from sycee.sequencer.signature_workers import SignatureVerifier
from sycee.sequencer.submission_queue import PendingVerification, SubmissionQueue, Ticket
from sycee.sequencer.time_zones import check_zones

_DEFINITIONS: Final = (2 << Kind.UPGRADE) - 1  # bit mask of the kinds up to UPGRADE


class Admission:
    """Entry of batches from threads and event loops into one queue. Safe for many threads."""

    def __init__(
        self,
        queue: SubmissionQueue,
        log: Log,
        state: LedgerState,
        clock: Clock,
        *,
        signature_workers: int,
    ) -> None:
        """Connect to the queue. `signature_workers`: number of processes that verify signatures; 0 for none."""
        self.queue = queue
        self.has_workers = signature_workers > 0
        self._buffers = log.buffers
        self._ledger_id = log.ledger_id
        self._state = state
        self._clock = clock
        self._verifier = SignatureVerifier(signature_workers)

    def prepare(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> PreparedBatch:
        """Copy and check a batch. Raises UsageError as `Sequencer.submit` does."""
        batch = batches.prepare(operations, envelopes, buffers=self._buffers)
        if batch.kinds:
            defines = batch.kinds & _DEFINITIONS
        else:
            kinds = batch.operations["kind"]
            defines = kinds.size and (kinds.item() if kinds.size == 1 else int(kinds.min())) <= Kind.UPGRADE
        if defines:
            check_zones(batch.operations)
            rules_version.check_upgrades(batch.operations)
        return batch

    def submit(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Submit a thread's batch; block until it is durable. Returns and raises as `Sequencer.submit` does."""
        batch = self.prepare(operations, envelopes)
        if batch.envelopes.size:
            batch = self._verify(batch).result()
        answers: Array = self.queue.submit(batch)
        return answers

    def start(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Ticket:
        """Submit a thread's batch; return once it is queued. `wait` of the ticket returns its results.

        Worker processes verify its signatures while it waits in the queue.
        """
        batch = self.prepare(operations, envelopes)
        if not batch.envelopes.size:
            return self.queue.start(batch)
        if not self.has_workers:
            return self.queue.start(self._verify(batch).result())
        verifying = PendingVerification(batch)

        def store(outcome: PreparedBatch | BaseException) -> None:
            verifying.outcome = outcome
            self.queue.notify_verified()

        self.verify(batch, store)
        return self.queue.start(verifying)

    def verify(self, batch: PreparedBatch, done: Callable[[PreparedBatch | BaseException], None]) -> None:
        """Verify a batch's signatures, then call `done` with the batch and its checks, or with an error.

        `done` runs on a thread of the verifier, or on the calling thread if no check is needed; the callbacks of
        several batches may run concurrently. The writer verifies again if a different key applies to the frame.
        """

        def finish(future: Future[PreparedBatch]) -> None:
            done(future.exception() or future.result())

        try:
            future = self._verify(batch)
        except Exception as error:
            done(error)
        else:
            future.add_done_callback(finish)

    def frame_time_ns(self, frame: int) -> int:
        """Return the time of a committed frame. Safe beside the writer, which only appends to the times."""
        return int(self._state.frame_times[frame])

    @property
    def findings(self) -> Sequence[str]:
        """Return one sentence for each replaced worker."""
        return self._verifier.findings

    def start_workers(self) -> None:
        """Start the worker processes now; otherwise the first signature starts them."""
        self._verifier.start()

    def close(self) -> None:
        """End the worker processes."""
        self._verifier.close()

    def _verify(self, batch: PreparedBatch) -> Future[PreparedBatch]:
        return self._verifier.check(self._state, self._ledger_id, read_ns(self._clock), batch)
