"""One order of frames for one ledger: admission, writer, log, applier and views, put together.

    submit ─> admission ─> queue ─> writer ─┬─> log      ─┬─> answers, views
                                            └─> applier  ─┘

`DESIGN.md` in this folder explains the parts and what each of them may rely on.
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
from sycee.journal.disk import Disk
from sycee.ledger.envelopes import Envelope
from sycee.ledger.queries import Answers
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer.admission import Admission
from sycee.sequencer.applier import Applier
from sycee.sequencer.checkpoint import Position
from sycee.sequencer.frame_time import FrameTimes
from sycee.sequencer.log import Log
from sycee.sequencer.overlap import Overlap
from sycee.sequencer.snapshot_schedule import SNAPSHOT_FRAMES_MIN, SnapshotSchedule, between_frames
from sycee.sequencer.submission_queue import BYTES_MAX, OPERATIONS_MAX, Call, SubmissionQueue
from sycee.sequencer.ticker import Ticker
from sycee.sequencer.views import Views
from sycee.sequencer.writer import Writer
from sycee.storage.history import History


class Sequencer:
    """Owns one log and one state. Safe for many threads; each call of `submit` blocks until its answers are durable."""

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
        """Recover `log`: the newest good snapshot on `snapshot_disk`, if there is one, and the frames after it.

        `overlap`: large frames are applied while they are appended, if the log allows it; False: each frame is applied
        after it is committed; an Overlap decides how the two run.
        `snapshot_frames`: `close` writes a snapshot when at least this many frames came since the last; None for
        never. `snapshot_every`: after this many frames a thread writes one while the ledger goes on; None for never.
        `trust_snapshots=False` replays everything, and removes snapshots beyond the log's end. `ticks` starts a thread
        that moves time on when something falls due. Old rows of the state go to `history`, which is closed with the
        ledger. `operations_max` and `bytes_max` bound what is admitted and not yet answered. `signature_workers`:
        processes that verify signatures before the writer sees them; 0: this process does. Raises IntegrityError where
        the log does not prove itself, UnavailableError where a newer release wrote it.
        """
        try:
            start = snapshots.recover_state(log, snapshot_disk, trusted=trust_snapshots, history=history)
        except BaseException:
            if history:
                history.close()
            log.close(clean=False, movement_digest=bytes(32))  # gives the folder back
            raise
        self.state = start.state
        self._log = log
        self._owner = Owner()
        self._findings = start.findings
        self._closing = threading.Lock()
        self._is_closed = False
        self._close_call: Call | None = None
        self._reader = 0  # the thread that is inside `reading`, if any
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
            # The ticker's thread begins at once, and may write a frame before the writer knows the ticker.
            self._ticker = self._writer.ticker = Ticker(self, clock)

    @property
    def durable_sequence(self) -> int:
        """Return the newest frame that answers and reads may rest on."""
        self.check_process()
        return self._writer.durable_sequence

    @property
    def frame_times(self) -> Array:
        """Return the times of frames by sequence: (durable_sequence + 1,) int64, nanoseconds; there is no frame 0."""
        self.check_process()
        times: Array = self.state.frame_times[: self._writer.durable_sequence + 1]
        return times

    @property
    def ledger_id(self) -> bytes:
        """Return the ledger's 16 bytes, which every signature names."""
        return self._log.ledger_id

    @property
    def findings(self) -> tuple[str, ...]:
        """Return what was cut, repaired or passed over when the log was opened, and since, one sentence each."""
        refused = self.state.storage.refused
        return (*self._findings, *self.admission.findings, *([refused] if refused else []))

    def submit(self, operations: Array, envelopes: Array | Sequence[Envelope] = ()) -> Array:
        """Submit operations, in order: (n,) layout.OPERATION to (n,) layout.ANSWER, durable when it returns.

        `envelopes`: who signed which of them; their ranges count from the first operation of this call. Operations of
        one call keep their order. Calls of several threads share frames; a long call is cut into several, but never
        within a chain or within the range of an envelope. Blocks while the queue is full.

        Raises UsageError for what no frame can hold, or where a currency's time zone does not exist: nothing is
        written then; UnavailableError where memory or the disk cannot hold it. After a failed write the ledger stops,
        and the next start says what became of the operations. Ctrl-C raises KeyboardInterrupt: an operation that the
        writer has taken already goes on, and is found by its id.
        """
        self._check_not_reading("submit")
        return self.admission.submit(operations, envelopes)

    def read(self, requests: Array, *, at_least: int = 0) -> Answers:
        """Answer reads, (n,) sycee.ledger.queries.READ, from one committed frame, which the answers name.

        `at_least`: wait until this frame is committed. Reads of many callers share one pass between two frames. Raises
        UsageError for more than one pass answers, UnavailableError once the ledger is closed or has stopped.
        """
        self._check_not_reading("read")
        return self.views.read(requests, at_least=at_least)

    def tick(self) -> bool:
        """Move time on, with a frame of its own, if something has fallen due; return whether it had.

        A hold ends and a rule set changes with the first frame whose time has come. Where no operation brings such a
        frame, this does. Raises UnavailableError as `submit` does.
        """
        return bool(self._run("tick", self._writer.tick))

    def next_due_ns(self) -> int | None:
        """Return when something falls due next, nanoseconds; None for never. Raises UnavailableError once stopped."""
        due_ns: int | None = self._run("next_due_ns", self.state.next_due_ns)
        return due_ns

    def snapshot(self) -> str:
        """Write the state as of the newest frame to disk, so that the next start need not replay it; its file's name.

        Other threads' frames and reads go on meanwhile. Raises UnavailableError where the disk refuses (the ledger is
        unharmed), UsageError where it has no folder for snapshots or no frame yet.
        """
        self._check_not_reading("snapshot")
        return self._snapshots.write()

    def begin_snapshot(self, *, piece_bytes: int = snapshots.PIECE_BYTES) -> snapshots.SnapshotTask:
        """Begin a snapshot of the state as of the newest frame, to be written by its steps, with frames between them.

        Raises UsageError where one is being written, else as `snapshot` does. Closing gives up one that is not done.
        """
        self._check_not_reading("begin_snapshot")
        return self._snapshots.begin(piece_bytes=piece_bytes)

    def position(self) -> Position:
        """Return the position after the newest frame, for a witness to sign. Raises UsageError before the first."""
        position: Position = self._run("position", self._position)
        return position

    @contextmanager
    def reading(self) -> Iterator[LedgerState]:
        """Give the state between two frames: what is read there is durable. No frame is written inside the block."""
        self._check_not_reading("reading")
        with between_frames(self._queue):
            self._writer.check_running()
            self._reader = threading.get_ident()
            try:
                yield self.state
            finally:
                self._reader = 0

    def close(self) -> None:
        """Say in the log that all is well and give the folder back, with a snapshot if many frames came since the last.

        A second call does nothing. A snapshot that the disk refuses is one of the findings, and nothing is lost. Does
        nothing in a forked child.
        """
        if not self._owner.is_here:
            return
        self._check_not_reading("close")
        if self._ticker:
            self._ticker.stop()
        with self._closing:
            if self._is_closed:
                return
            # A snapshot that is being written behind is waited for: the next start begins with it.
            with self._snapshots.closing():
                if self._close_call is None:
                    call = Call(self._writer.close, always=True)
                    with suppress(UnavailableError):  # closed by a call that Ctrl-C hit before it was noted here
                        self._queue.put_call(call)
                        self._close_call = call
                try:
                    if self._close_call is not None:
                        self._close_call.wait()
                finally:
                    # After Ctrl-C the writer still closes, as soon as it comes to it; another `close` waits for that.
                    if self._close_call is None or self._close_call.is_done:
                        self._is_closed = True
                        self._writer.join()
                        self.admission.close()
                        self.state.storage.close()

    def _position(self) -> Position:
        if not self._writer.durable_sequence:
            raise UsageError("the ledger is empty: there is no position to sign", hint="submit something first")
        log = self._log
        return Position.of(self.state, ledger_id=log.ledger_id, epoch=log.epoch, mark=log.mark)

    def _run(self, name: str, function: Callable[[], Any]) -> Any:
        """Have the writer run `function` between two frames, if the ledger runs."""
        self._check_not_reading(name)
        check_running = self._writer.check_running

        def checked() -> Any:
            check_running()
            return function()

        return self._queue.run(checked)

    def check_running(self) -> None:
        """Raise UnavailableError once the ledger is closed or has stopped. Uses no lock, also in a forked child."""
        self._queue.check_running()

    def check_process(self) -> None:
        """Raise UnavailableError in a forked child, before any lock: another thread may have held it at the fork."""
        self._owner.check("the ledger")

    def _check_not_reading(self, name: str) -> None:
        self.check_process()
        if self._reader == threading.get_ident():
            raise UsageError(f"{name} inside `with reading()` would wait for itself", hint="leave the block first")
