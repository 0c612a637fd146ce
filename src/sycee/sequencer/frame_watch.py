"""Notify event loops of published frames, without any wait of the writer.

The writer stores the newest sequence and schedules at most one callback per watcher; until that callback has run,
further frames only replace the sequence. No code of a watcher runs on the writer's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from threading import Lock


class FrameWatch:
    """One watcher. `notify(sequence)` runs on its event loop with the newest frame; frames in between are skipped.

    A watcher whose callback raises, or whose loop is closed, is dropped.
    """

    def __init__(self, frames: PublishedFrames, notify: Callable[[int], None]) -> None:
        self._frames = frames
        self._notify = notify
        self._loop = asyncio.get_running_loop()
        self._is_scheduled = False
        self.error: Exception | None = None  # why it was dropped

    def published(self) -> None:
        """Schedule the callback, unless it is scheduled already. On the writer's thread."""
        if self._is_scheduled and not self._loop.is_closed():  # a closed loop never runs it
            return
        self._is_scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._run)
        except Exception as error:  # its loop is closed; no error of a watcher reaches the writer
            self.error = error
            self.close()

    def close(self) -> None:
        """Stop. May be called from any thread, and again."""
        self._frames.remove(self)

    def _run(self) -> None:
        # Cleared first: a frame that is published from here on schedules another call.
        self._is_scheduled = False
        try:
            self._notify(self._frames.sequence)
        except Exception as error:
            self.error = error
            self.close()


class PublishedFrames:
    """The newest frame that is committed, applied and answered, and its watchers."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self._watchers: tuple[FrameWatch, ...] = ()  # replaced as a whole, so that the writer needs no lock
        self._lock = Lock()

    def watch(self, notify: Callable[[int], None]) -> FrameWatch:
        """Call `notify(sequence)` on the running event loop after each new frame, at most once at a time."""
        made = FrameWatch(self, notify)
        with self._lock:
            self._watchers = (*self._watchers, made)
        return made

    def remove(self, watch: FrameWatch) -> None:
        """Remove a watcher; do nothing if it was removed."""
        with self._lock:
            self._watchers = tuple(each for each in self._watchers if each is not watch)

    def publish(self, sequence: int) -> None:
        """Store the newest frame and notify the watchers. On the writer's thread, after the results were delivered."""
        if sequence == self.sequence:
            return
        self.sequence = sequence
        for watch in self._watchers:
            watch.published()
