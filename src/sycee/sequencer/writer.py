"""The writer: one thread that turns what waits in the queue into frames, and answers it.

It owns the state: nothing else touches the state but what the writer lets in between two frames (a call or a pause of
the queue). For each frame it resolves, authorises, reserves memory, appends to the log and has the frame applied; the
answers leave only when the frame is both committed and applied. If the append fails the ledger stops: the state may
then be ahead of the log, so nothing is read from it any more.
"""

from __future__ import annotations

import weakref
from functools import partial
from threading import Thread, current_thread
from typing import Any, Final

import numpy as np

from sycee.core.arrays import Array
from sycee.core.clock import read_ns
from sycee.core.errors import SyceeError, UnavailableError
from sycee.core.fork_guard import Owner
from sycee.core.memory import available_bytes
from sycee.core.result_codes import Result
from sycee.journal.frame import FrameKind
from sycee.ledger import authority, kernels, layout
from sycee.ledger import batch as batches
from sycee.ledger.batch import PreparedBatch
from sycee.sequencer import rules_version
from sycee.sequencer.applier import Applier
from sycee.sequencer.frame_time import FrameTimes, next_time_ns
from sycee.sequencer.log import Log
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.snapshot_schedule import SnapshotSchedule
from sycee.sequencer.submission_queue import Entry, ReadyEntry, SubmissionQueue, copy_error, deliver
from sycee.sequencer.ticker import Ticker
from sycee.sequencer.views import Views

NO_OPERATIONS: Final = PreparedBatch(np.zeros(0, layout.OPERATION))


class Writer:
    """Writes the frames of one ledger on a thread of its own, which ends with `close` or with this object."""

    def __init__(
        self,
        log: Log,
        applier: Applier,
        times: FrameTimes,
        queue: SubmissionQueue,
        snapshots: SnapshotSchedule,
        views: Views,
        *,
        overlap: Overlap | None,
    ) -> None:
        """Begin. `overlap`: applies frames while they are appended, where the log allows it; None: never."""
        self.durable_sequence = log.last_sequence  # the newest frame that is committed and applied
        self.views = views
        self.ticker: Ticker | None = None
        self._log = log
        self._applier = applier
        self._state = applier.state
        self._times = times
        self._queue = queue
        self._snapshots = snapshots
        self._is_closed = False
        self._state_matches_log = True  # whether the state is known to be at the log's end
        self._overlap = overlap if log.apply_may_overlap else None
        # The thread holds the writer only while there is work, so that a ledger that was never closed can be collected.
        self._thread = Thread(target=_run, args=(queue, weakref.ref(self)), name="sycee-writer", daemon=True)
        weakref.finalize(self, _close_dropped, queue, Owner()).atexit = False
        self._thread.start()

    @property
    def stopped(self) -> str | None:
        """Return why nothing more is written or read; None while the ledger runs."""
        return self._queue.stopped

    @stopped.setter
    def stopped(self, reason: str | None) -> None:
        self._queue.stopped = reason

    def check_running(self) -> None:
        """Raise UnavailableError if the ledger is closed or has stopped itself."""
        self._queue.check_running()

    def tick(self) -> bool:
        """Write a frame that only moves time on, if something has fallen due; return whether it had. On the writer's
        thread. Raises UnavailableError as `submit` does.
        """
        self.check_running()
        due_ns = self._state.next_due_ns()
        if due_ns is None or due_ns > read_ns(self._times.clock):
            return False
        self._upgrade_rules()
        self._commit(FrameKind.EMPTY, self._next_ns(), NO_OPERATIONS)
        return True

    def close(self) -> None:
        """Say in the log that all is well and let it go, with a snapshot if one is due. On the writer's thread."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self.stopped is None:
                self._snapshots.write_at_close(self.durable_sequence)
        finally:
            self.stopped = self.stopped or "the ledger is closed"
            self._queue.close(self.stopped)
            if self._overlap:
                self._overlap.close()
            # Where the state stopped elsewhere than the log, no CLOSE frame would agree with a replay.
            self._log.close(clean=self._state_matches_log, movement_digest=self._state.movement_digest)

    def join(self) -> None:
        """Wait until the thread has ended, after `close`."""
        if current_thread() is not self._thread:
            self._thread.join()

    # --- from the queue to answers ---

    def work(self) -> None:
        """Run the calls that wait, and write one frame of the entries that wait."""
        for call in self._queue.pop_calls():
            call.run()
        self.views.answer(self.durable_sequence)
        taken, dropped = self._queue.pop_frame()
        outcomes = self._outcomes(taken)
        entries: list[Entry] = [*taken, *(entry for entry, _ in dropped)]
        for _, _, _, batch in entries:
            if isinstance(batch, PreparedBatch) and batch.buffer is not None:
                self._log.release(batch.buffer)
        self._queue.free_space(entries)
        deliver(entries, [*outcomes, *(outcome for _, outcome in dropped)])

    def fail(self, error: BaseException) -> None:
        """Stop the ledger after a defect of Sycee, so that later callers get an error instead of waiting for ever."""
        self.stopped = self.stopped or f"the ledger stopped: {str(error) or type(error).__name__}"
        self._state_matches_log = False

    def refuse_all(self) -> None:
        """Answer everything that waits with an error, after the queue was closed."""
        self.views.refuse()
        entries = self._queue.pop_all()
        self._queue.free_space(entries)
        deliver(entries, [self._queue.stop_error() for _ in entries])

    def _outcomes(self, entries: list[ReadyEntry]) -> list[Any]:
        """Return for each entry a Result, its answers, or the exception that its caller is to raise."""
        if not entries:
            return []
        try:
            answers = self._answers(_join_entries(entries))
        except Exception as error:
            if len(entries) == 1:
                return [error]
            if self.stopped is not None:
                return [copy_error(error) for _ in entries]
            # Nothing was written. One of the entries asked for more than there is: each is tried by itself.
            return [self._outcomes([entry])[0] for entry in entries]
        except BaseException as error:
            return [error for _ in entries]
        if len(entries) == 1 and entries[0][3] is not None:
            return [answers]
        results = batches.results_of(answers)
        outcomes, end = [], 0
        for _, _, _, batch in entries:
            start, end = end, end + (1 if batch is None else batch.size)
            outcomes.append(results[start] if batch is None else answers[start:end])
        return outcomes

    def _answers(self, batch: PreparedBatch) -> Array:
        """Answer a batch; one that is larger than a frame is written as several."""
        self.check_running()
        answers = np.zeros(batch.size, layout.ANSWER)
        start = 0
        try:
            for part in batch.split_into_frames():
                if part is batch:
                    return self._frame(part)
                answers[start : start + part.size] = self._frame(part)
                start += part.size
        except UnavailableError as error:
            if not start:
                raise
            hint = f"send all again under the same ids: those written are answered EXISTS. {error.hint or ''}"
            raise UnavailableError(
                f"the first {start:,} of {answers.size:,} operations were written, then: {error.message}",
                hint=hint.rstrip(),
            ) from error
        return answers

    # --- one frame ---

    def _frame(self, batch: PreparedBatch) -> Array:
        """Answer a batch that fits one frame, and journal those of its operations that are new."""
        is_unsigned = not batch.envelopes.size and not self._state.grants
        if is_unsigned and batch.in_order and self._state.is_new(batch.operations):
            return self._write(batch.with_all_new())
        answers, pending = self._state.resolve(batch.operations)
        if not pending:
            return answers
        if is_unsigned and pending == answers.size:
            return self._write(batch.with_all_new())
        self._upgrade_rules()
        now_ns = self._next_ns()
        pends = answers["code"] == kernels.PENDING
        batch = batch.drop_answered_envelopes(pends)
        kept = batch.expand_to_units(pends)
        if not is_unsigned:
            kept = self._authorise(batch, answers, kept, now_ns)
            if not kept.any():
                return answers
        answers[kept] = self._commit(FrameKind.OPERATIONS, now_ns, batch.select(kept))
        self._state.look_again(batch.operations, answers)
        return answers

    def _write(self, batch: PreparedBatch) -> Array:
        """Journal a whole batch that needs no signature; return its answers."""
        self._upgrade_rules()
        return self._commit(FrameKind.OPERATIONS, self._next_ns(), batch)

    def _authorise(self, batch: PreparedBatch, answers: Array, kept: Array, now_ns: int) -> Array:
        """Return which of the `kept` operations may be journaled, (n,) bool; set the answers of the others."""
        part = batch.select(kept)
        fresh = answers["code"][kept] == kernels.PENDING
        codes = authority.authorise(
            self._state,
            self._log.ledger_id,
            now_ns,
            part.operations,
            part.frame_envelopes(),
            checks=part.checks,
            fresh=fresh,
        )
        codes = batches.spread_refusals(part, fresh, codes)
        refused = codes != Result.CREATED
        if not refused.any():
            return kept
        places = np.flatnonzero(kept)
        at = places[refused]
        answers[at] = 0
        answers["code"][at] = codes[refused]
        stays = kept.copy()
        stays[places[part.expand_to_units(refused)]] = False
        return stays

    def _upgrade_rules(self) -> None:
        """Write an UPGRADE frame if older rules than this release's held so far."""
        if self._state.rules < rules_version.RULES_VERSION:
            self._commit(
                FrameKind.OPERATIONS, self._next_ns(), PreparedBatch(rules_version.upgrade_record(self._state))
            )

    def _next_ns(self) -> int:
        return next_time_ns(self._times.clock, self._log.last_time_ns)

    def _commit(self, kind: FrameKind, now_ns: int, batch: PreparedBatch) -> Array:
        """Write one frame and apply it; return its answers once it is committed and applied."""
        movements = self._applier.reserve(batch, available_bytes) if batch.size else 0
        calendar = self._times.calendar_at(now_ns, self._state.zones)
        sequence = self._log.last_sequence + 1
        append = partial(
            self._log.append,
            kind=kind,
            time_ns=now_ns,
            records=batch.operations,
            calendar=calendar,
            envelopes=batch.frame_envelopes(),
            movement_digest=self._state.coming_digest,
            buffer=batch.buffer,
        )
        apply = partial(self._applier.apply, kind, sequence, now_ns, batch, calendar)
        answers: Array
        # From here on both log and state must reach this frame: an error in between stops the ledger.
        self._state_matches_log = False
        try:
            # A pay may make seventeen movements and makes one or two; a drop makes as many as it may.
            if self._overlap and max(batch.size, movements // 16) >= self._overlap.records_min:
                _, answers = self._overlap.run(append, apply)
            else:
                append()
                answers = apply()
        except BaseException as error:
            self.stopped = f"the ledger stopped at frame {sequence}: {str(error) or type(error).__name__}"
            if isinstance(error, SyceeError) and error.hint:
                self._queue.stop_hint = error.hint  # later callers need it as much: it may say how to rescue a file
            if isinstance(error, SyceeError) or not isinstance(error, Exception):
                raise
            raise UnavailableError(self.stopped, hint="open the ledger again") from error
        self._state_matches_log = True
        self.durable_sequence = sequence
        if self.ticker:
            self.ticker.reschedule(self._state.next_due_ns())
        self._snapshots.frame_written(sequence)
        return answers


def _close_dropped(queue: SubmissionQueue, owner: Owner) -> None:
    """End the thread of a writer that was dropped. A forked child has no such thread, and must not touch its locks."""
    if owner.is_here:
        queue.close("the ledger was dropped without being closed")


def _run(queue: SubmissionQueue, reference: weakref.ref[Writer]) -> None:
    """Run a writer's thread until its queue is closed."""
    has_more = False
    while queue.wait_for_work(has_more=has_more):
        writer = reference()
        if writer is None:
            return  # callers hold the ledger while they wait, so that none waits
        try:
            writer.work()
        except BaseException as error:
            writer.fail(error)
        has_more = writer.views.has_work(writer.durable_sequence)
        del writer
    if (writer := reference()) is not None:
        writer.refuse_all()


def _join_entries(entries: list[ReadyEntry]) -> PreparedBatch:
    """Return entries as one batch, in order."""
    parts: list[PreparedBatch] = []
    records: list[bytes] = []
    for _, _, record, batch in entries:
        if batch is None:
            records.append(record)
            continue
        if records:
            parts.append(_join_records(records))
            records = []
        parts.append(batch)
    if records:
        parts.append(_join_records(records))
    return batches.concatenate(parts)


def _join_records(records: list[bytes]) -> PreparedBatch:
    """Return records of one TRANSFER or PAY each, linked to nothing, as one batch."""
    operations = np.frombuffer(bytearray().join(records), layout.OPERATION)
    kinds = operations["kind"]
    if kinds.size == 1:
        return PreparedBatch(operations, kinds=1 << kinds.item())
    return PreparedBatch(operations, kinds=1 << int(kinds.min()) | 1 << int(kinds.max()))
