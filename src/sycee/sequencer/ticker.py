"""A thread that advances a ledger's time when a hold or rule set falls due and no operation arrives."""

from __future__ import annotations

import threading
from typing import Final, Protocol

from sycee.core.clock import Clock
from sycee.core.errors import UnavailableError

# The machine's clock may be changed, so it is read again after at most this time.
WAIT_S_MAX: Final = 60.0
NS_PER_S: Final = 1_000_000_000


class Tickable(Protocol):
    """An object with a time at which the next hold or rule set falls due."""

    def tick(self) -> bool:
        """Advance the time if something has fallen due; return whether it had."""

    def next_due_ns(self) -> int | None:
        """Return the next due time in nanoseconds; None for never."""


class Ticker:
    """Thread that waits until the next due time, calls `tick`, and repeats until `stop`."""

    def __init__(self, ticking: Tickable, clock: Clock) -> None:
        self._ticking = ticking
        self._clock = clock
        self._changed = threading.Event()
        self._ending = False
        self._waits_for_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="sycee-ticker", daemon=True)
        self._thread.start()

    def reschedule(self, due_ns: int | None) -> None:
        """Set the next due time. Only an earlier time wakes the thread, since this is called for each frame."""
        if due_ns is not None and (self._waits_for_ns is None or due_ns < self._waits_for_ns):
            self._waits_for_ns = due_ns
            self._changed.set()

    def stop(self) -> None:
        """End the thread and wait for it. A second call does nothing."""
        self._ending = True
        self._changed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._ending:
            self._changed.clear()
            try:
                self._ticking.tick()
                due_ns = self._waits_for_ns = self._ticking.next_due_ns()
                wait_s = WAIT_S_MAX if due_ns is None else (due_ns - self._clock.now_ns()) / NS_PER_S
            except UnavailableError:
                # The clock is wrong or the ledger has stopped: the next caller gets the error. Retry later.
                wait_s = WAIT_S_MAX
            if not self._ending:
                self._changed.wait(min(max(wait_s, 0.0), WAIT_S_MAX))
