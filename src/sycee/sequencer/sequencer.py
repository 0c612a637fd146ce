"""One order of frames for one ledger: connects admission, queue, writer, log, applier and views.

    submit ─> admission ─> queue ─> writer ─┬─> log      ─┬─> results, views
                                            └─> applier  ─┘

`DESIGN.md` in this folder describes the parts and their guarantees.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from sycee.core.arrays import Array
from sycee.core.clock import Clock, RealClock
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.fork_guard import Owner
from sycee.core.records.envelopes import Envelope
from sycee.journal.disk import Disk
from sycee.journal.frame import Anchor
from sycee.ledger.queries import Answers
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer.admission import Admission
from sycee.sequencer.applier import Applier
from sycee.sequencer.checkpoint import Position
from sycee.sequencer.frame_time import FrameTimes
from sycee.sequencer.frame_watch import FrameWatch
from sycee.sequencer.frozen import FrozenTables
from sycee.sequencer.log import Log
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.snapshot_schedule import SNAPSHOT_FRAMES_MIN, SnapshotSchedule, between_frames
from sycee.sequencer.submission_queue import BYTES_MAX, OPERATIONS_MAX, Call, SubmissionQueue, Ticket
from sycee.sequencer.ticker import Ticker
from sycee.sequencer.views import Views
from sycee.sequencer.writer import Writer
from sycee.storage.history import History


class Sequencer:
    """Owner of one log and one state. Safe for many threads."""

    def __init__(
        self,
        log: Log,
        *,
        clock: Clock | None = None,
        overlap: bool | Overlap = True,
        snapshot_disk: Disk | None = None,
        snapshot_frames: int | None = SNAPSHOT_FRAMES_MIN,
        snapshot_every: int | None = None,
        trust_snapshots: bool = True,
        ticks: bool = False,
        history: History | None = None,
        operations_max: int = OPERATIONS_MAX,
        bytes_max: int = BYTES_MAX,
        signature_workers: int = 0,
    ) -> None:
        """Recover the state from the newest good snapshot on `snapshot_disk`, if there is one, and the frames after it.

        - `overlap`: apply large frames while they are appended, if the log allows it; an Overlap sets how.
        - `trust_snapshots`: False replays all frames, and removes snapshots beyond the log's end.
        - `history`: storage of old rows, closed with the ledger.

        The other arguments are those of `Ledger.open`. Raises IntegrityError if the log is damaged or inconsistent,
        UnavailableError if a newer release wrote it.
        """
        try:
            start = snapshots.recover_state(log, snapshot_disk, trusted=trust_snapshots, history=history)
        except BaseException:
            if history:
                history.close()
            log.close(clean=False, movement_digest=bytes(32))  # releases the folder
            raise
        self.state = start.state
        self._log = log
        self._owner = Owner()
        self._findings = start.findings
        self._closing = threading.Lock()
        self._is_closed = False
        self._close_call: Call | None = None
        self._reader = 0  # identifier of the thread inside `reading`, 0 for none
        self._queue = SubmissionQueue(operations_max, bytes_max)
        self._snapshots = SnapshotSchedule(
            snapshot_disk,
            log,
            self.state,
            self._queue,
            self._findings,
            newest=start.snapshot_sequence,
            at_close=snapshot_frames,
            every=snapshot_every,
        )
        clock = clock or RealClock()
        self.views = Views(self._queue, self.state)
        if overlap is True:
            overlap = Overlap()
        self._writer = Writer(
            log,
            Applier(self.state),
            FrameTimes(clock),
            self._queue,
            self._snapshots,
            self.views,
            overlap=overlap or None,
        )
        self.admission = Admission(self._queue, log, self.state, clock, signature_workers=signature_workers)
        self._ticker: Ticker | None = None
        if ticks:
            # The ticker's thread starts immediately, and may write a frame before this assignment.
            self._ticker = self._writer.ticker = Ticker(self, clock)

    @property
    def durable_sequence(self) -> int:
        """Return the newest frame that is committed and applied."""
        self.check_process()
        return self._writer.durable_sequence

    @property
    def waiting(self) -> int:
        """Return the number of operations that are admitted and have no outcome yet."""
        return self._queue.operations

    @property
    def frame_times(self) -> Array:
        """Return the times of frames by sequence: (durable_sequence + 1,) int64, nanoseconds; index 0 is unused."""
        self.check_process()
        times: Array = self.state.frame_times[: self._writer.durable_sequence + 1]
        return times

    @property
    def ledger_id(self) -> bytes:
        """Return the ledger's 16 bytes, which every signature covers."""
        return self._log.ledger_id

    @property
    def epoch(self) -> int:
        """Return the number of the ledger's present leader, from 1; a restore increases it."""
        return self._log.epoch

    @property
    def newest_frame(self) -> Anchor:
        """Return the newest committed frame. Inside `reading`, the state is as of this frame."""
        return self._log.anchor

    @property
    def findings(self) -> tuple[str, ...]:
        """Return one sentence for each cut, repair or skipped snapshot, at the start and since."""
        refused = self.state.storage.refused
        return (*self._findings, *self.admission.findings, *([refused] if refused else []))

    @property
    def authority_on(self) -> bool:
        """Return whether operations need signatures, as of the frame that is being applied: never False again."""
        self.check_process()
        self.check_running()
        return self.state.authority_on

    def submit(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Submit operations: (n,) layout.OPERATION to (n,) layout.ANSWER. Block until they are durable.

        The ranges of `envelopes` count from the first operation of this call. Operations of one call stay in order.
        Calls of several threads share frames. A long call is split into several frames, but never within a chain or
        within the range of an envelope.

        Raises UsageError, with nothing written, for operations that no frame can hold and for an unknown time zone;
        UnavailableError if memory or the disk is insufficient. After a failed write the ledger stops. On Ctrl-C,
        operations that the writer has popped are still written: look them up by their ids.
        """
        self._check_not_reading("submit")
        return self.admission.submit(operations, envelopes)

    def start(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Ticket:
        """Submit operations as `submit` does; return once they are queued. `wait` of the ticket returns the results.

        Operations of several calls of one thread stay in order, so that a thread can prepare the next ones meanwhile.
        """
        self._check_not_reading("start")
        return self.admission.start(operations, envelopes)

    def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Return the results of requests, (n,) queries.READ, from one committed frame. Raises as `Ledger.read` does."""
        self._check_not_reading("read")
        return self.views.read(requests, at_least=at_least)

    def tick(self) -> bool:
        """Write a frame without operations if a hold ends or a rule set changes; return whether one did."""
        return bool(self._run("tick", self._writer.tick))

    def watch_frames(self, notify: Callable[[int], None]) -> FrameWatch:
        """Call `notify(sequence)` on the running event loop after new frames; the writer never waits for it.

        `notify` gets the newest sequence: one call may stand for several frames. See `frame_watch`.
        """
        self.check_process()
        return self._writer.published.watch(notify)

    def next_due_ns(self) -> int | None:
        """Return the next time at which a hold ends or a rule set changes, nanoseconds; None for never."""
        due_ns: int | None = self._run("next_due_ns", self.state.next_due_ns)
        return due_ns

    def snapshot(self) -> str:
        """Write a snapshot of the newest frame; return the file's name. See `SnapshotSchedule.write`."""
        self._check_not_reading("snapshot")
        self._check_not_frozen("snapshot")
        return self._snapshots.write()

    def begin_snapshot(self, *, piece_bytes: int = snapshots.PIECE_BYTES) -> snapshots.SnapshotTask:
        """Begin a snapshot of the newest frame. See `SnapshotSchedule.begin`."""
        self._check_not_reading("begin_snapshot")
        return self._snapshots.begin(piece_bytes=piece_bytes)

    @contextmanager
    def frozen(self) -> Iterator[FrozenTables]:
        """Yield the tables as of the newest frame, while frames continue inside the block.

        See `SnapshotSchedule.frozen`.
        """
        self._check_not_reading("frozen")
        self._check_not_frozen("frozen")
        with self._snapshots.frozen() as tables:
            yield tables

    def position(self) -> Position:
        """Return the position after the newest frame, for a witness to sign. Raises UsageError if there is none.

        Frames continue while the state is hashed, unless memory is short or a snapshot is being copied.
        """
        self._check_not_reading("position")
        if not self.durable_sequence:
            raise UsageError("the ledger is empty: there is no position to sign", hint="submit something first")
        try:
            with self.frozen() as tables:
                copied = tables.readable()
        except (UnavailableError, UsageError):
            with self.reading() as state:
                return Position.of(state, ledger_id=self.ledger_id, epoch=self.epoch, anchor=self.newest_frame)
        return Position.of(copied, ledger_id=self.ledger_id, epoch=tables.epoch, anchor=tables.anchor)

    @contextmanager
    def reading(self) -> Iterator[LedgerState]:
        """Yield the state between two frames; no frame is written inside the block."""
        self._check_not_reading("reading")
        with between_frames(self._queue):
            self._queue.check_running()
            self._reader = threading.get_ident()
            try:
                yield self.state
            finally:
                self._reader = 0

    def close(self) -> None:
        """Close the log and release the folder; write a snapshot if many frames were written since the last.

        A second call, or a call in a forked child, does nothing. A snapshot that the disk refuses becomes a finding.
        """
        if not self._owner.is_here:
            return
        self._check_not_reading("close")
        self._check_not_frozen("close")
        if self._ticker:
            self._ticker.stop()
        with self._closing:
            if self._is_closed:
                return
            # Wait for a snapshot in progress: the next start uses it.
            with self._snapshots.closing():
                if self._close_call is None:
                    call = Call(self._writer.close, always=True)
                    with suppress(UnavailableError):  # Ctrl-C interrupted an earlier call right after `put_call`
                        self._queue.put_call(call)
                        self._close_call = call
                try:
                    if self._close_call is not None:
                        self._close_call.wait()
                finally:
                    # After Ctrl-C the writer still closes; another `close` waits for it.
                    if self._close_call is None or self._close_call.is_done:
                        self._is_closed = True
                        self._writer.join()
                        self.admission.close()
                        self.state.storage.close()

    def _run(self, name: str, function: Callable[[], Any]) -> Any:
        """Have the writer run `function` between two frames. Raises UnavailableError unless the ledger runs."""
        self._check_not_reading(name)

        def checked() -> Any:
            self._queue.check_running()
            return function()

        return self._queue.run(checked)

    def check_running(self) -> None:
        """Raise UnavailableError once the ledger is closed or has stopped. Uses no lock, also in a forked child."""
        self._queue.check_running()

    def check_process(self) -> None:
        """Raise UnavailableError in a forked child, before any lock: a thread may have held it during the fork."""
        self._owner.check("the ledger")

    def _check_not_reading(self, name: str) -> None:
        self.check_process()
        if self._reader == threading.get_ident():
            raise UsageError(f"{name} inside `with reading()` would wait for itself", hint="leave the block first")

    def _check_not_frozen(self, name: str) -> None:
        if self._snapshots.is_copying_here:
            raise UsageError(f"{name} inside `with frozen()` would wait for itself", hint="leave the block first")
