"""Schedule of snapshots of a running ledger: on request, after a number of frames, and at close."""

from __future__ import annotations

import threading
import time
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
# For this long a reader waits for the pre-images. Longer waits could block all threads of a server during a snapshot.
FROZEN_WAIT_S: Final = 2.0
LOOK_AGAIN_S: Final = 0.01


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
        self._write_lock = threading.Lock()  # held for a whole snapshot, also while the disk writes
        self._copy_lock = threading.Lock()  # held, inside the other, while pre-images are needed: one copy has them
        self._copier = 0  # the thread that holds it
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
                pace = Pace(self._log)
                with self._copying():
                    writing = self._begin_while_open(snapshots.PIECE_BYTES)
                    while writing.is_copying and writing.step():
                        pace.rest()
                while writing.step():
                    pace.rest()
            finally:
                # Ctrl-C may interrupt anywhere, also right after the begin.
                if self._writing is not None and self._writing is not before:
                    self._writing.abandon()
            self._note_newest()
            return writing.name

    def begin(self, *, piece_bytes: int = snapshots.PIECE_BYTES) -> snapshots.SnapshotTask:
        """Begin a snapshot of the newest frame; its steps write it, with frames between them. `abandon` stops it.

        Raises UsageError if a snapshot or a `frozen` block is in progress, UnavailableError once the ledger closes,
        else as `write`.
        """
        with self._copying(0, UsageError):
            return self._begin_while_open(piece_bytes)

    @contextmanager
    def frozen(self) -> Iterator[FrozenTables]:
        """Yield the tables as of the newest frame, while frames continue inside the block.

        Waits while a snapshot or another block copies the tables; both wait for the end of the block. Raises
        UnavailableError after `FROZEN_WAIT_S`, once the ledger closes or without address space, UsageError if a
        snapshot was begun with `begin` and copies the tables.
        """
        with self._copying(FROZEN_WAIT_S):
            try:
                with self._while_open():
                    if self._writing is not None and self._writing.is_copying:
                        raise _busy(UsageError)
                    self._frozen = FrozenTables(self._state, self._while_running, self._log)
                yield self._frozen
            finally:
                # Ctrl-C may interrupt anywhere, also before the block.
                self._end_frozen()

    @property
    def is_copying_here(self) -> bool:
        """Return whether this thread is inside a `frozen` block."""
        return self._copy_lock.locked() and self._copier == threading.get_ident()

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
        """Wait for a background snapshot and for `frozen` blocks, and allow no new ones inside the block.

        A snapshot that a caller began is abandoned.
        """
        with self._write_lock:
            with self._copying():
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

    @contextmanager
    def _copying(self, wait_s: float | None = None, refusal: type[SyceeError] = UnavailableError) -> Iterator[None]:
        """Let no other copy begin inside the block. Raises `refusal` after `wait_s`; None waits for ever."""
        if wait_s is not None:
            until_s = time.monotonic() + wait_s
            while self._copy_lock.locked():
                if time.monotonic() >= until_s:
                    raise _busy(refusal)
                time.sleep(LOOK_AGAIN_S)
        # Only `with` releases the lock wherever Ctrl-C interrupts; `acquire` with a time-out could leave it locked.
        with self._copy_lock:
            try:
                self._copier = threading.get_ident()
                self._end_frozen()
                yield
            finally:
                self._copier = 0

    def _end_frozen(self) -> None:
        """End the copy of `frozen`. If Ctrl-C interrupts this call, the next copy or the close ends it."""
        if self._frozen is not None:
            self._frozen.end()
            self._frozen = None

    def _begin_while_open(self, piece_bytes: int) -> snapshots.SnapshotTask:
        with self._while_open():
            return self._begin(self._while_running, piece_bytes)

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
        if self._writing is not None and self._writing.is_running:
            raise _busy(UsageError)
        self._note_newest()
        self._writing = snapshots.SnapshotTask(self._disk, self._log, self._state, pause, piece_bytes=piece_bytes)
        return self._writing

    def _note_newest(self) -> None:
        """Update the frame of the newest snapshot."""
        if self._writing is not None and self._writing.name:
            self._newest = max(self._newest, self._writing.sequence)


def _busy(kind: type[SyceeError]) -> SyceeError:
    return kind("a snapshot is being written, or another caller copies the tables", hint="try again in some seconds")
