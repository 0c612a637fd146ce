"""Schedule of snapshots of a running ledger: on request, after a number of frames, and at close."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final

from sycee.core.errors import SyceeError, UnavailableError, UsageError
from sycee.journal.disk import Disk
from sycee.ledger.state import LedgerState
from sycee.sequencer import snapshots
from sycee.sequencer.frozen import FrozenTables, Pace
from sycee.sequencer.log import Log
from sycee.sequencer.submission_queue import Pause, SubmissionQueue

# Replaying 64 frames, at most 516,096 operations, takes 1–2 s. For fewer frames, a file that may be as large as the
# ledger's memory is not worth writing.
SNAPSHOT_FRAMES_MIN: Final = 64


@contextmanager
def between_frames(queue: SubmissionQueue) -> Iterator[None]:
    """Stop the writer between two frames inside the block. Raises UnavailableError once the ledger is closed."""
    pause = Pause()
    with pause.gate:
        queue.put_call(pause)
        pause.begin()
        yield


class SnapshotSchedule:
    """Writes snapshots of one ledger, one at a time, while frames continue."""

    def __init__(
        self,
        disk: Disk | None,
        log: Log,
        state: LedgerState,
        queue: SubmissionQueue,
        findings: list[str],
        *,
        newest: int,
        at_close: int | None,
        every: int | None,
    ) -> None:
        """Set the schedule.

        - `disk`: where snapshots are written; None for no snapshots.
        - `findings`: list to which errors of background snapshots are added.
        - `newest`: frame of the newest existing snapshot, 0 for none.
        - `at_close`: `write_at_close` writes a snapshot after at least this many frames; None for never.
        - `every`: a thread writes a snapshot after this many frames; None for never.
        """
        self._disk = disk
        self._log = log
        self._state = state
        self._queue = queue
        self._findings = findings
        self._newest = newest
        self._at_close = at_close
        self._every = every
        self._counted_from = newest
        self._write_lock = threading.Lock()
        self._writing: snapshots.SnapshotTask | None = None  # the snapshot that began last
        self._frozen: FrozenTables | None = None  # what a caller of `frozen` copies
        self._is_closing = False
        self._background: threading.Thread | None = None  # writes the snapshots of `every`

    def write(self) -> str:
        """Write a snapshot of the newest frame; return the file's name. Frames and reads of other threads continue.

        Raises UnavailableError if the disk refuses (the ledger is unharmed), UsageError if there is no disk for
        snapshots or no frame yet.
        """
        with self._write_lock:
            before = self._writing
            try:
                writing, pace = self.begin(), Pace(self._log)
                while writing.step():
                    pace.rest()
            finally:
                # Ctrl-C may interrupt anywhere, also right after `begin`.
                if self._writing is not None and self._writing is not before:
                    self._writing.abandon()
            self._note_newest()
            return writing.name

    def begin(self, *, piece_bytes: int = snapshots.PIECE_BYTES) -> snapshots.SnapshotTask:
        """Begin a snapshot of the newest frame; its steps write it, with frames between them. `abandon` stops it.

        Raises UsageError if a snapshot is in progress, UnavailableError once the ledger closes, else as `write`.
        """
        with self._while_open():
            return self._begin(self._while_running, piece_bytes)

    @contextmanager
    def frozen(self) -> Iterator[FrozenTables]:
        """Yield the tables as of the newest frame, while frames continue inside the block.

        Waits for a snapshot in progress; a snapshot waits for the end of the block. Raises UsageError if a snapshot was
        begun and is not complete, UnavailableError once the ledger closes or without address space.
        """
        with self._write_lock:
            try:
                with self._while_open():
                    self._check_idle()
                    self._frozen = FrozenTables(self._state, self._while_running, self._log)
                yield self._frozen
            finally:
                # Ctrl-C may interrupt anywhere, also before the block.
                frozen, self._frozen = self._frozen, None
                if frozen is not None:
                    frozen.end()

    def frame_written(self, sequence: int) -> None:
        """Start a thread that writes a snapshot if enough frames followed the last one. On the writer's thread."""
        if not self._every or sequence - self._counted_from < self._every:
            return
        if self._background is not None and self._background.is_alive():
            return  # checked again after the next frame
        self._counted_from = sequence
        self._background = threading.Thread(target=self._write_in_background, name="sycee-snapshot", daemon=True)
        try:
            self._background.start()
        except RuntimeError as error:  # the frame is committed, so it must not fail
            self._background = None
            self._findings.append(f"no snapshot was written: {error}")

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Wait for a background snapshot, abandon one that a caller began, and allow no new one inside the block."""
        with self._write_lock:
            self._is_closing = True
            if self._writing is not None:
                self._note_newest()
                self._writing.abandon()
            yield

    def write_at_close(self, durable_sequence: int) -> None:
        """Write a snapshot if enough frames were written since the last. On the writer's thread."""
        if self._disk is None or self._at_close is None:
            return
        if durable_sequence - self._newest < max(1, self._at_close):
            return
        try:
            self._begin(nullcontext).run()
        except SyceeError as error:
            self._findings.append(f"no snapshot was written: {error.message}")

    def _write_in_background(self) -> None:
        try:
            self.write()
        except SyceeError as error:
            if not self._is_closing:
                self._findings.append(f"no snapshot was written: {error.message}")

    @contextmanager
    def _while_running(self) -> Iterator[None]:
        """Stop the writer of a running ledger between two frames. Raises UnavailableError if the ledger does not run.

        Without this check, after a failed append, a snapshot could contain a state that is ahead of its log.
        """
        with between_frames(self._queue):
            self._queue.check_running()
            yield

    @contextmanager
    def _while_open(self) -> Iterator[None]:
        """Stop the writer as `_while_running`. Raises UnavailableError also once the ledger closes."""
        with self._while_running():
            if self._is_closing:
                raise UnavailableError("the ledger is being closed", hint="open the ledger again")
            yield

    def _begin(
        self,
        pause: Callable[[], AbstractContextManager[None]],
        piece_bytes: int = snapshots.PIECE_BYTES,
    ) -> snapshots.SnapshotTask:
        """Begin a snapshot. Call it while the writer is stopped, or on the writer's thread."""
        if self._disk is None or not self._log.last_sequence:
            raise UsageError(
                "the ledger has no frame yet" if self._disk else "the ledger has no folder for snapshots",
                hint="open the ledger with Ledger.open, and submit an operation first",
            )
        self._check_idle()
        self._note_newest()
        self._writing = snapshots.SnapshotTask(self._disk, self._log, self._state, pause, piece_bytes=piece_bytes)
        return self._writing

    def _check_idle(self) -> None:
        """Raise UsageError during another copy: only one has pre-images."""
        if self._frozen is not None or (self._writing is not None and self._writing.is_running):
            raise UsageError("a snapshot is being written", hint="wait until it is complete")

    def _note_newest(self) -> None:
        """Update the frame of the newest snapshot."""
        if self._writing is not None and self._writing.name:
            self._newest = max(self._newest, self._writing.sequence)
