"""When snapshots of a running ledger are written: on request, after so many frames, and when it closes."""

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
from sycee.sequencer.log import Log
from sycee.sequencer.submission_queue import Pause, SubmissionQueue

# 64 frames, half a million operations at most, are replayed in a second or two. For fewer, a file that may be as large
# as all the ledger's memory is not worth writing.
SNAPSHOT_FRAMES_MIN: Final = 64
PIECE_PAUSE_S_MAX: Final = 0.1


@contextmanager
def between_frames(queue: SubmissionQueue) -> Iterator[None]:
    """Hold the writer between two frames. Raises UnavailableError once the ledger is closed."""
    pause = Pause()
    with pause.gate:
        queue.put_call(pause)
        pause.begin()
        yield


class SnapshotSchedule:
    """Writes snapshots of one ledger, one at a time, while frames go on."""

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
        """`disk`: None for no snapshots. `newest`: the frame of the newest snapshot there is, 0 for none.

        `at_close`: `write_at_close` writes one if at least this many frames came since; None for never. `every`: a
        thread writes one after this many frames; None for never. What goes wrong there is added to `findings`.
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
        self._writing: snapshots.SnapshotTask | None = None  # the snapshot that was begun last
        self._is_closing = False
        self._background: threading.Thread | None = None  # writes the snapshot of `every`

    def write(self) -> str:
        """Write a snapshot of the state as of the newest frame; return its file's name.

        Other threads' frames and reads go on meanwhile. Raises UnavailableError where the disk refuses (the ledger is
        unharmed), UsageError where there is no folder for snapshots or no frame yet.
        """
        with self._write_lock:
            before = self._writing
            try:
                writing, seen = self.begin(), self._log.last_sequence
                began = time.monotonic()
                while writing.step():
                    if self._log.last_sequence != seen:
                        # Frames come in: leave them processor and disk for as long as the piece took.
                        seen = self._log.last_sequence
                        time.sleep(min(time.monotonic() - began, PIECE_PAUSE_S_MAX))
                    began = time.monotonic()
            finally:
                # Ctrl-C may come anywhere, also right after the snapshot was begun.
                if self._writing is not None and self._writing is not before:
                    self._writing.abandon()
            self._note_newest()
            return writing.name

    def begin(self, *, piece_bytes: int = snapshots.PIECE_BYTES) -> snapshots.SnapshotTask:
        """Begin a snapshot of the state as of the newest frame; its steps write it, with frames between them.

        Raises UsageError where one is being written, UnavailableError once the ledger closes, else as `write` does.
        """
        with self._while_running():
            if self._is_closing:
                raise UnavailableError("the ledger is being closed", hint="open the ledger again")
            return self._begin(self._while_running, piece_bytes)

    def frame_written(self, sequence: int) -> None:
        """Start a thread that writes a snapshot if enough frames came since the last. On the writer's thread."""
        if not self._every or sequence - self._counted_from < self._every:
            return
        if self._background is not None and self._background.is_alive():
            return  # the next frame asks again
        self._counted_from = sequence
        self._background = threading.Thread(target=self._write_in_background, name="sycee-snapshot", daemon=True)
        try:
            self._background.start()
        except RuntimeError as error:  # the frame is committed: nothing may fail it now
            self._background = None
            self._findings.append(f"no snapshot was written: {error}")

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Wait for a snapshot that is written behind, give up one that a caller began, and let none begin inside."""
        with self._write_lock:
            self._is_closing = True
            if self._writing is not None:
                self._note_newest()
                self._writing.abandon()
            yield

    def write_at_close(self, durable_sequence: int) -> None:
        """Write a snapshot if many frames came since the last. On the writer's thread: no frame comes between."""
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
        """Hold the writer of a ledger that runs between two frames. Raises UnavailableError where it does not run.

        Without the check a snapshot could be of a state that is ahead of its log, after an append that failed.
        """
        with between_frames(self._queue):
            self._queue.check_running()
            yield

    def _begin(
        self,
        pause: Callable[[], AbstractContextManager[None]],
        piece_bytes: int = snapshots.PIECE_BYTES,
    ) -> snapshots.SnapshotTask:
        """Begin a snapshot; the writer is held, or this is its thread."""
        if self._disk is None or not self._log.last_sequence:
            raise UsageError(
                "there is nothing to keep a snapshot of" if self._disk else "it has no folder for snapshots",
                hint="a ledger of a folder keeps snapshots once it has a frame",
            )
        if self._writing is not None and self._writing.is_running:
            raise UsageError("a snapshot is being written", hint="wait until it is done")
        self._note_newest()
        self._writing = snapshots.SnapshotTask(self._disk, self._log, self._state, pause, piece_bytes=piece_bytes)
        return self._writing

    def _note_newest(self) -> None:
        """Remember the frame of the snapshot that was written last."""
        if self._writing is not None and self._writing.name:
            self._newest = max(self._newest, self._writing.sequence)
