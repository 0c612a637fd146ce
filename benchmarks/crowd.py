"""Open loop of callers in one event loop.

The due time of each call is drawn in advance, and its duration counts from the due time: a call that starts late
because earlier calls were slow counts as slow. If all callers are busy, another caller is created; beyond a maximum, a
call waits for a caller, which counts too.
"""

from __future__ import annotations

import asyncio
import gc
import math
import sys
from bisect import bisect_right
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import islice
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.measure import Timing
from sycee.core.errors import UnavailableError

CALLERS_MAX: Final = 10_000  # more callers would only wait in another queue
GARBAGE_THRESHOLDS: Final = (50_000, 20, 100)  # collect cycles rarely, not after every 700 objects
SWITCH_S: Final = 0.0001  # switch interval of the interpreter, that of `sycee serve`; Python's default is 0.005
LOOK_AGAIN_S: Final = 0.001  # the shortest sleep of uvloop


class Crowd:
    """Callers of one coroutine function, as many as are needed concurrently."""

    def __init__(
        self,
        call: Callable[..., Coroutine[Any, Any, Any]],
        arguments: Iterator[tuple[Any, ...]],
        is_right: Callable[[Any], bool],
    ) -> None:
        """Create the callers. `arguments`: of each call, in order; `is_right`: whether a result is correct."""
        self._call = call
        self._drawn = arguments
        self._is_right = is_right
        self._arguments: list[tuple[Any, ...]] = []  # arguments of this window, in order
        self._due_s: list[float] = []  # due time of each call since the start, then infinity
        self._next = 0  # due calls without a caller
        self._start = 0.0
        self._answers: list[Any] = []
        self._answered_s: list[float] = []  # time of each answer since the start
        self._answered = 0  # calls of this window with an answer
        self._idle: list[asyncio.Future[int]] = []
        self._callers: list[asyncio.Task[None]] = []
        self._ended: list[asyncio.Task[None]] = []  # ended by an error, the only end of a caller

    def draw(self, rate_per_s: float, calls: int) -> None:
        """Draw the arguments and due times of the next window's calls: random times at this rate."""
        self._arguments = list(islice(self._drawn, calls))
        moments = np.random.default_rng(calls).random(calls) * (calls / rate_per_s)
        self._due_s, self._next, self._answered = [*np.sort(moments).tolist(), math.inf], 0, 0
        self._answers, self._answered_s = [None] * calls, [0.0] * calls

    async def offer(self) -> Timing:
        """Make the drawn calls. `batches_s`: duration of each call since its due time."""
        calls = len(self._arguments)
        self._start = perf_counter()
        while self._answered < calls and not self._ended:
            self._take_due()
            await asyncio.sleep(LOOK_AGAIN_S)
        total_s = perf_counter() - self._start
        # The errors of all callers are read, because asyncio logs each error that is not.
        for error in [caller.exception() for caller in self._ended]:
            if error is not None:
                raise error
        for answer in self._answers:
            if not self._is_right(answer):
                raise UnavailableError(f"a call was answered {answer!s}")
        took_s = [end - due for due, end in zip(self._due_s, self._answered_s, strict=False)]
        return Timing(calls, total_s, took_s)

    def leave(self) -> None:
        for caller in self._callers:
            caller.cancel()

    def _take_due(self) -> None:
        """Assign a caller to each call that is due now."""
        due = bisect_right(self._due_s, perf_counter() - self._start, self._next)
        while self._next < due:
            if self._idle:
                self._idle.pop().set_result(self._next)
            elif len(self._callers) < CALLERS_MAX:
                caller = asyncio.create_task(self._caller(self._next))
                caller.add_done_callback(self._ended.append)
                self._callers.append(caller)
            else:
                return
            self._next += 1

    async def _caller(self, at: int) -> None:
        """Make calls one at a time; wait while none is due. Answers are checked after the window."""
        call, idle, create_future = self._call, self._idle, asyncio.get_running_loop().create_future
        while True:
            self._answers[at] = await call(*self._arguments[at])
            self._answered_s[at] = now_s = perf_counter() - self._start
            self._answered += 1
            at = self._next
            if self._due_s[at] <= now_s:
                self._next = at + 1
            else:
                turn = create_future()
                idle.append(turn)
                at = await turn


@contextmanager
def as_a_server() -> Iterator[None]:
    """Configure this process as a server of many coroutines.

    Existing objects are excluded from cycle collection, and a thread that waits for the interpreter gets it within
    SWITCH_S. Objects that were excluded before stay so, and all others with them: nothing includes some of them.
    """
    thresholds, switch_s, excluded = gc.get_threshold(), sys.getswitchinterval(), gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switch_s)
        gc.set_threshold(*thresholds)
        if not excluded:
            gc.unfreeze()


def ms(timing: Timing, percentile: float) -> float:
    """Return a percentile of the calls' durations, in milliseconds."""
    return 1000 * float(np.percentile(timing.batches_s, percentile))
