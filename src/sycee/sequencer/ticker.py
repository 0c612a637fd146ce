"""A thread that moves a ledger's time on when something falls due and nobody calls."""

from __future__ import annotations

import threading
from typing import Final, Protocol

from sycee.core.clock import Clock
from sycee.core.errors import UnavailableError

# Somebody may set the machine's clock: it is looked at again at least so often.
WAIT_S_MAX: Final = 60.0
NS_PER_S: Final = 1_000_000_000


class Tickable(Protocol):
    """What has a time at which something falls due."""

    def tick(self) -> bool:
        """Move time on if something has fallen due."""
        ...

    def next_due_ns(self) -> int | None:
        """When that is next, nanoseconds; None for never."""
        ...


class Ticker:
    """Waits for what falls due next, ticks, and waits again, from the start until `stop`."""

    def __init__(self, ticking: Tickable, clock: Clock) -> None:
        self._ticking = ticking
        self._clock = clock
        self._changed = threading.Event()
        self._ending = False
        self._waits_for_ns: int | None = None
        self._thread = threading.Thread(target=self._run, name="sycee-ticker", daemon=True)
        self._thread.start()

    def reschedule(self, due_ns: int | None) -> None:
        """Say when something falls due next. Only what is earlier than before wakes the thread: frames are many."""
        if due_ns is not None and (self._waits_for_ns is None or due_ns < self._waits_for_ns):
            self._waits_for_ns = due_ns
            self._changed.set()

    def stop(self) -> None:
        """End the thread; returns when it has ended. A second call does nothing."""
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
                # A clock gone wild, or a ledger that stopped: the next caller is told. Here time goes on as it can.
                wait_s = WAIT_S_MAX
            if not self._ending:
                self._changed.wait(min(max(wait_s, 0.0), WAIT_S_MAX))
