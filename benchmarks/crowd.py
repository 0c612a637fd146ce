"""Callers of one event loop that come when they come: an open loop.

When each call is due is drawn beforehand, and what it took is counted from that moment, not from when it was sent: a
call that is late because the ones before it were slow counts as slow. Where all callers are busy, one more is made; if
there are very many, a call waits for a caller, and that counts as well.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from itertools import islice
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks.measure import Timing
from sycee.core.errors import UnavailableError

CALLERS_MAX: Final = 10_000  # more would only wait in another row
GARBAGE_THRESHOLDS: Final = (50_000, 20, 100)  # Python looks for cycles now and then, not every 700 objects
SWITCH_S: Final = 0.001  # how long one thread keeps the interpreter while another waits for it; Python's own is 0.005
LOOK_AGAIN_S: Final = 0.0005  # shorter than an event loop can sleep: it looks again after its shortest sleep


class Crowd:
    """Callers of one coroutine function, as many as are needed at once."""

    def __init__(
        self,
        call: Callable[..., Coroutine[Any, Any, Any]],
        arguments: Iterator[tuple[Any, ...]],
        is_right: Callable[[Any], bool],
    ) -> None:
        """`arguments` of each call, in order; `is_right`: whether the answer to it is as it should be."""
        self._call = call
        self._drawn = arguments
        self._is_right = is_right
        self._arguments: list[tuple[Any, ...]] = []  # of this window, in order of coming
        self._due_s: list[float] = []  # when each is due, since the start
        self._next = 0  # which nobody has taken yet
        self._start = 0.0
        self._took_s: list[float] = []
        self._idle: list[asyncio.Future[int]] = []
        self._callers: list[asyncio.Task[None]] = []
        self._ended: list[asyncio.Task[None]] = []  # by an error: a caller ends by nothing else

    def draw(self, rate_per_s: float, calls: int) -> None:
        """Draw the arguments of the next window's calls, and when each is due: at random times, at this rate."""
        self._arguments = list(islice(self._drawn, calls))
        moments = np.random.default_rng(calls).random(calls) * (calls / rate_per_s)
        self._due_s, self._next, self._took_s = np.sort(moments).tolist(), 0, []

    async def offer(self) -> Timing:
        """Make the calls that were drawn, from now on. `batches_s`: what each took from when it was due."""
        calls = len(self._due_s)
        self._start = perf_counter()
        while len(self._took_s) < calls and not self._ended:
            self._take_due()
            await asyncio.sleep(LOOK_AGAIN_S)
        timing = Timing(calls, perf_counter() - self._start, self._took_s)
        for caller in self._ended:
            caller.result()  # raises what went wrong
        return timing

    def leave(self) -> None:
        """Every caller goes home."""
        for caller in self._callers:
            caller.cancel()

    def _take_due(self) -> None:
        """See that a caller takes each call that is due by now."""
        now_s = perf_counter() - self._start
        while self._next < len(self._due_s) and self._due_s[self._next] <= now_s:
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
        """Do one after the other; rest where none is due."""
        call, is_right, create_future = self._call, self._is_right, asyncio.get_running_loop().create_future
        while True:
            answer = await call(*self._arguments[at])
            now_s = perf_counter() - self._start
            self._took_s.append(now_s - self._due_s[at])
            if not is_right(answer):
                raise UnavailableError(f"a call was answered {answer!s}")
            if self._next < len(self._due_s) and self._due_s[self._next] <= now_s:
                at = self._next
                self._next += 1
            else:
                turn = create_future()
                self._idle.append(turn)
                at = await turn


@contextmanager
def as_a_server() -> Iterator[None]:
    """Set this process as a server of many coroutines is set.

    Objects that are there already stay, and are not looked through again and again for cycles; a thread that waits for
    the interpreter gets it within SWITCH_S.
    """
    thresholds, switch_s = gc.get_threshold(), sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    sys.setswitchinterval(SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(switch_s)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def ms(timing: Timing, percentile: float) -> float:
    """Return a percentile of what the calls took, in milliseconds."""
    return 1000 * float(np.percentile(timing.batches_s, percentile))
