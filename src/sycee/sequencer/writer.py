"""The writer: one thread that writes queued entries as frames and delivers their results.

It owns the state. Other threads access the state only between two frames, through a call or a pause of the queue. For
each frame the writer resolves ids, checks authority, reserves memory, appends to the log and applies the frame. Results
are delivered only when the frame is committed and applied. If the append fails, the ledger stops: the state may be
ahead of the log, so reads are refused as well.
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
from sycee.core.records import layout
from sycee.core.result_codes import Result
from sycee.journal.frame import FrameKind
from sycee.ledger import authority
from sycee.ledger import batch as batches
from sycee.ledger.batch import PreparedBatch
from sycee.ledger.kernels import constants
from sycee.sequencer import rules_version
from sycee.sequencer.applier import NO_ANSWERS, Applier
from sycee.sequencer.frame_time import FrameTimes, next_time_ns
from sycee.sequencer.frame_watch import PublishedFrames
from sycee.sequencer.log import Log
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.snapshot_schedule import SnapshotSchedule
from sycee.sequencer.submission_queue import Entry, ReadyEntry, SubmissionQueue, copy_error, deliver
from sycee.sequencer.ticker import Ticker
from sycee.sequencer.views import Views

NO_OPERATIONS: Final = PreparedBatch(np.zeros(0, layout.OPERATION))


class Writer:
    """Writes the frames of one ledger on its own thread, which ends with `close` or when this object is collected."""

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
        """Start the thread. `overlap` applies frames while they are appended, if the log allows it; None: never."""
        self.durable_sequence = log.last_sequence  # newest frame that is committed and applied
        self.published = PublishedFrames(log.last_sequence)
        self.views = views
        self.ticker: Ticker | None = None
        self._log = log
        self._applier = applier
        self._state = applier.state
        self._times = times
        self._queue = queue
        self._snapshots = snapshots
        self._is_closed = False
        self._state_matches_log = True  # False while a frame is only appended or only applied
        self._overlap = overlap if log.apply_may_overlap else None
        # The thread references the writer only while there is work, so that a ledger without `close` can be collected.
        self._thread = Thread(target=_run, args=(queue, weakref.ref(self)), name="sycee-writer", daemon=True)
        weakref.finalize(self, _close_dropped, queue, Owner()).atexit = False
        self._thread.start()

    def tick(self) -> bool:
        """Write a frame without operations if something has fallen due; return whether it had. On the writer's thread.

        Raises UnavailableError as `submit` does.
        """
        self._queue.check_running()
        due_ns = self._state.next_due_ns()
        if due_ns is None or due_ns > read_ns(self._times.clock):
            return False
        self._upgrade_rules()
        self._commit(FrameKind.EMPTY, self._next_ns(), NO_OPERATIONS)
        return True

    def close(self) -> None:
        """Write a snapshot if one is due, mark the log as cleanly closed and close it. On the writer's thread."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            if self._queue.stopped is None:
                self._snapshots.write_at_close(self.durable_sequence)
        finally:
            self._queue.stopped = self._queue.stopped or "the ledger is closed"
            self._queue.close(self._queue.stopped)
            if self._overlap:
                self._overlap.close()
            # If the state is not at the log's end, a replay would not agree with a CLOSE frame.
            self._log.close(clean=self._state_matches_log, movement_digest=self._state.movement_digest)

    def join(self) -> None:
        """Wait until the thread has ended, after `close`."""
        if current_thread() is not self._thread:
            self._thread.join()

    # --- from the queue to answers ---

    def work(self) -> None:
        """Run the waiting calls, one pass of reads, and write one frame of the waiting entries."""
        for call in self._queue.pop_calls():
            call.run()
        self.views.answer(self.durable_sequence)
        ready, dropped = self._queue.pop_frame()
        outcomes = self._outcomes(ready)
        entries: list[Entry] = [*ready, *(entry for entry, _ in dropped)]
        for _, _, batch in entries:
            if isinstance(batch, PreparedBatch) and batch.buffer is not None:
                self._log.release(batch.buffer)
        self._queue.free_space(entries)
        deliver(entries, [*outcomes, *(outcome for _, outcome in dropped)])
        self.published.publish(self.durable_sequence)

    def fail(self, error: BaseException) -> None:
        """Stop the ledger after a defect in Sycee, so that later callers get an error instead of waiting forever."""
        self._queue.stopped = self._queue.stopped or f"the ledger stopped: {str(error) or type(error).__name__}"
        self._state_matches_log = False

    def refuse_all(self) -> None:
        """Fail every waiting read and entry with an error, after the queue was closed."""
        self.views.refuse()
        entries = self._queue.pop_all()
        self._queue.free_space(entries)
        deliver(entries, [self._queue.stop_error() for _ in entries])

    def _outcomes(self, entries: list[ReadyEntry]) -> list[Any]:
        """Return for each entry its array of results, or the exception that its callers raise."""
        if not entries:
            return []
        try:
            answers = self._answers(batches.concatenate([batch for _, _, batch in entries]))
        except Exception as error:
            if len(entries) == 1:
                return [error]
            if self._queue.stopped is not None:
                return [copy_error(error) for _ in entries]
            # Nothing was written, since one entry needs too much memory: write each entry as its own frame.
            return [self._outcomes([entry])[0] for entry in entries]
        except BaseException as error:
            return [error for _ in entries]
        outcomes, end = [], 0
        for _, _, batch in entries:
            start, end = end, end + batch.size
            outcomes.append(answers[start:end])
        return outcomes

    def _answers(self, batch: PreparedBatch) -> Array:
        """Write a batch and return its results; a batch larger than a frame is written as several frames."""
        self._queue.check_running()
        answers: list[Array] = []
        try:
            for part in batch.split_into_frames():
                answers.append(self._frame(part))
        except UnavailableError as error:
            if not answers:
                raise
            written = sum(each.size for each in answers)
            hint = f"send all again under the same ids: those already written return EXISTS. {error.hint or ''}"
            raise UnavailableError(
                f"the first {written:,} of {batch.size:,} operations were written, then: {error.message}",
                hint=hint.rstrip(),
            ) from error
        return answers[0] if len(answers) == 1 else np.concatenate([NO_ANSWERS, *answers])

    # --- one frame ---

    def _frame(self, batch: PreparedBatch) -> Array:
        """Return the results of a batch that fits one frame; journal those of its operations that are new."""
        is_unsigned = not batch.envelopes.size and not self._state.grants
        if batch.in_order and self._state.is_all_new(batch.operations):
            if is_unsigned:
                return self._write(batch.with_all_new())
            if (answers := self._write_signed(batch)) is not None:
                return answers
        answers, pending = self._state.resolve(batch.operations)
        if not pending:
            return answers
        if is_unsigned and pending == answers.size:
            return self._write(batch.with_all_new())
        self._upgrade_rules()
        now_ns = self._next_ns()
        is_pending = answers["code"] == constants.PENDING
        batch = batch.drop_answered_envelopes(is_pending)
        selected = batch.expand_to_units(is_pending)
        if not is_unsigned:
            selected = self._authorise(batch, answers, selected, now_ns)
            if not selected.any():
                return answers
        answers[selected] = self._commit(FrameKind.OPERATIONS, now_ns, batch.select(selected))
        self._state.resolve_broken_chains(batch.operations, answers)
        return answers

    def _write(self, batch: PreparedBatch) -> Array:
        """Journal a whole batch that needs no signature; return its results."""
        self._upgrade_rules()
        return self._commit(FrameKind.OPERATIONS, self._next_ns(), batch)

    def _write_signed(self, batch: PreparedBatch) -> Array | None:
        """Journal a whole batch of new operations that have all signatures; return its results, else None."""
        self._upgrade_rules()
        now_ns = self._next_ns()
        fresh = np.ones(batch.size, np.bool_)
        codes = authority.authorise(
            self._state, self._log.ledger_id, now_ns, batch.operations, batch.frame_envelopes(),
            checks=batch.checks, fresh=fresh,
        )  # fmt: skip
        return None if codes.any() else self._commit(FrameKind.OPERATIONS, now_ns, batch.with_all_new())

    def _authorise(self, batch: PreparedBatch, answers: Array, selected: Array, now_ns: int) -> Array:
        """Return which of the `selected` operations may be journaled, (n,) bool; set the results of the others."""
        part = batch.select(selected)
        fresh = answers["code"][selected] == constants.PENDING
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
            return selected
        places = np.flatnonzero(selected)
        at = places[refused]
        answers[at] = 0
        answers["code"][at] = codes[refused]
        permitted = selected.copy()
        permitted[places[part.expand_to_units(refused)]] = False
        return permitted

    def _upgrade_rules(self) -> None:
        """Write an UPGRADE frame if the ledger follows older rules than this release's."""
        if self._state.rules < rules_version.RULES_VERSION:
            self._commit(
                FrameKind.OPERATIONS, self._next_ns(), PreparedBatch(rules_version.upgrade_record(self._state))
            )

    def _next_ns(self) -> int:
        return next_time_ns(self._times.clock, self._log.last_time_ns)

    def _commit(self, kind: FrameKind, now_ns: int, batch: PreparedBatch) -> Array:
        """Write one frame and apply it; return its results once it is committed and applied."""
        movements = self._state.reserve(batch, available_bytes=available_bytes) if batch.size else 0
        calendar = self._times.calendar_at(now_ns, self._state.zones)
        sequence = self._log.last_sequence + 1
        append = partial(
            self._log.append,
            kind=kind,
            time_ns=now_ns,
            records=batch.operations,
            calendar=calendar,
            envelopes=batch.frame_envelopes(),
            movement_digest=self._state.pending_movement_digest,
            buffer=batch.buffer,
        )
        apply = partial(self._applier.apply, kind, sequence, now_ns, batch, calendar)
        answers: Array
        # From here on both the log and the state must reach this frame: any error stops the ledger.
        self._state_matches_log = False
        try:
            # A pay makes 1 or 2 of its 17 possible movements; a drop makes all of them.
            if self._overlap and max(batch.size, movements // 16) >= self._overlap.records_min:
                _, answers = self._overlap.run(append, apply)
            else:
                append()
                answers = apply()
        except BaseException as error:
            self._queue.stopped = f"the ledger stopped at frame {sequence}: {str(error) or type(error).__name__}"
            if isinstance(error, SyceeError) and error.hint:
                self._queue.stop_hint = error.hint  # for later callers, too: its hint may be how to rescue a file
            if isinstance(error, SyceeError) or not isinstance(error, Exception):
                raise
            raise UnavailableError(self._queue.stopped, hint="open the ledger again") from error
        self._state_matches_log = True
        self.durable_sequence = sequence
        if self.ticker:
            self.ticker.reschedule(self._state.next_due_ns())
        self._snapshots.frame_written(sequence)
        return answers


def _close_dropped(queue: SubmissionQueue, owner: Owner) -> None:
    """End the thread of a writer that was collected. A forked child has no such thread, and must not use its locks."""
    if owner.is_here:
        queue.close("the ledger was dropped without being closed")


def _run(queue: SubmissionQueue, reference: weakref.ref[Writer]) -> None:
    """Run a writer's thread until its queue is closed."""
    has_more = False
    while queue.wait_for_work(has_more=has_more):
        writer = reference()
        if writer is None:
            return  # waiting callers reference the ledger, so no caller is waiting
        try:
            writer.work()
        except BaseException as error:
            writer.fail(error)
        has_more = writer.views.has_work(writer.durable_sequence)
        del writer
    if (writer := reference()) is not None:
        writer.refuse_all()
