"""Single durable transfers that come when they come: asyncio callers in this process, in an open loop.

When each call is due is drawn beforehand, and what it took is counted from that moment, not from when it was sent: a
call that is late because the ones before it were slow counts as slow. Where all callers are busy, one more is made; if
there are very many, a call waits for a caller, and that counts as well.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks import books, disk
from benchmarks.measure import RATE, VALUE_MS, Benchmark, Goal, Setting, Timing
from benchmarks.town import Town
from sycee.core.codes import Result
from sycee.core.errors import UnavailableError
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.embedded import Ledger

Array = np.ndarray[Any, Any]

ACCOUNTS: Final = 10_000
RATE_PER_S: Final = 50_000
WINDOW_S: Final = 3.0  # of which a rate is held or not
LATE_MS: Final = 100.0  # p99 above it: the rate is not held. Below it a person takes an answer for immediate
HELD: Final = 0.95  # of the rate that was offered must have been answered when the window ends
FIRST_RATE_PER_S: Final = 40_000
STEP: Final = 1.1
TRIES: Final = 2  # at each rate: another process may have had the machine
CALLERS_MAX: Final = 10_000  # more would only wait in another row
SYNCS: Final = 1_000
OPERATIONS_MAX: Final = 1 << 20  # nobody waits for a turn: what waits is in the figure anyway
GARBAGE_THRESHOLDS: Final = (50_000, 20, 100)  # Python looks for cycles now and then, not every 700 objects
LOOK_AGAIN_S: Final = 0.0005  # shorter than an event loop can sleep: it looks again after its shortest sleep


class Crowd:
    """Callers of one ledger, as many as are needed, who transfer between wallets of a town."""

    def __init__(self, door: AsyncLedger, town: Town) -> None:
        self._door = door
        self._drawn = chain.from_iterable(map(_payments, town.transfers()))
        self._payments: list[tuple[int, int, int]] = []  # of this window, in order of coming
        self._due_s: list[float] = []  # when each is due, since the start
        self._next = 0  # which nobody has taken yet
        self._start = 0.0
        self._took_s: list[float] = []
        self._idle: list[asyncio.Future[int]] = []
        self._callers: list[asyncio.Task[None]] = []
        self._ended: list[asyncio.Task[None]] = []  # by an error: a caller ends by nothing else

    async def offer(self, rate_per_s: float, operations: int) -> Timing:
        """Offer so many transfers at a rate, at random times. `batches_s`: what each took from when it was due."""
        self._payments = [next(self._drawn) for _ in range(operations)]
        moments = np.random.default_rng(operations).random(operations) * (operations / rate_per_s)
        self._due_s, self._next, self._took_s = np.sort(moments).tolist(), 0, []
        with _little_garbage():
            self._start = perf_counter()
            while len(self._took_s) < operations and not self._ended:
                self._call()
                await asyncio.sleep(LOOK_AGAIN_S)
            timing = Timing(operations, perf_counter() - self._start, self._took_s)
        for caller in self._ended:
            caller.result()  # says what went wrong
        return timing

    def leave(self) -> None:
        """Every caller goes home."""
        for caller in self._callers:
            caller.cancel()

    def _call(self) -> None:
        """See that somebody takes each transfer that is due by now."""
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
        transfer, create_future = self._door.transfer, asyncio.get_running_loop().create_future
        while True:
            result = await transfer(*self._payments[at])
            now_s = perf_counter() - self._start
            self._took_s.append(now_s - self._due_s[at])
            if result is not Result.CREATED:
                raise UnavailableError(f"a transfer was answered {result.name}")
            if self._next < len(self._due_s) and self._due_s[self._next] <= now_s:
                at = self._next
                self._next += 1
            else:
                turn = create_future()
                self._idle.append(turn)
                at = await turn


def open_loop(setting: Setting, *, rate_per_s: int) -> Iterator[tuple[Timing, ...]]:
    """Offer transfers at one rate; the figure is the p99 above that of a block's own pwrite and fdatasync."""
    for _ in range(setting.repeats):
        timing = _with_crowd(setting, lambda crowd: crowd.offer(rate_per_s, setting.operations))
        limit = _synced(setting)
        timing.value = _ms(timing, 99) - _ms(limit, 99)
        timing.note = (
            f"{rate_per_s:,}/s offered, {timing.rate_per_s:,.0f}/s held; from when each was due: "
            f"p50 {_ms(timing, 50):.2f} ms, p99 {_ms(timing, 99):.2f} ms, p99.9 {_ms(timing, 99.9):.2f} ms; "
            f"pwrite and fdatasync of 4 KiB alone: p50 {_ms(limit, 50):.2f} ms, p99 {_ms(limit, 99):.2f} ms"
        )
        limit.value = _ms(limit, 99)
        yield timing, limit


def highest_rate(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Offer more and more until a rate is not held; the figure is the highest that was."""
    for _ in range(setting.repeats):
        timing = _with_crowd(setting, lambda crowd: _highest(crowd, setting))
        timing.note = (
            f"held for {WINDOW_S:g} s; from when each was due: p50 {_ms(timing, 50):.2f} ms, "
            f"p99 {_ms(timing, 99):.2f} ms, which may be {LATE_MS:g} ms"
        )
        yield timing, _synced(setting)


async def _highest(crowd: Crowd, setting: Setting) -> Timing:
    best: Timing | None = None
    rate_per_s, left = FIRST_RATE_PER_S, setting.operations
    while True:
        operations = int(rate_per_s * WINDOW_S)
        tries = min(TRIES, left // operations)
        for _ in range(tries):
            setting.say(f"offering {rate_per_s:,}/s")
            left -= operations
            timing = await crowd.offer(rate_per_s, operations)
            if _ms(timing, 99) <= LATE_MS and timing.rate_per_s >= HELD * rate_per_s:
                best, rate_per_s = timing, int(rate_per_s * STEP)
                break
        else:
            if best is None:
                raise UnavailableError(f"{rate_per_s:,} transfers a second are more than this machine holds")
            return best


def _with_crowd(setting: Setting, work: Callable[[Crowd], Coroutine[Any, Any, Timing]]) -> Timing:
    """Do it with callers of a new ledger, and look the ledger through afterwards."""
    town = Town(ACCOUNTS, setting.operations)

    async def main(ledger: Ledger) -> Timing:
        async with ledger.asynchronous(operations_max=OPERATIONS_MAX) as door:
            crowd = Crowd(door, town)
            try:
                return await work(crowd)
            finally:
                crowd.leave()

    def measured(ledger: Ledger) -> Timing:
        books.prepare(setting, ledger, town.opening())
        timing = asyncio.run(main(ledger))
        books.check(setting, ledger, town.minted)
        return timing

    return books.on_new_ledger(setting, measured)


@contextmanager
def _little_garbage() -> Iterator[None]:
    """As a server does before it serves: what is there already stays, and is not looked through again and again."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _synced(setting: Setting) -> Timing:
    setting.say("measuring the disk alone")
    return disk.synced(setting.folder / "limit", SYNCS)


def _payments(records: Array) -> Iterator[tuple[int, int, int]]:
    """Debit, credit and amount of each transfer, as plain integers."""
    sides = [
        [
            high << 64 | low
            for high, low in zip(records[f"{side}_high"].tolist(), records[f"{side}_low"].tolist(), strict=True)
        ]
        for side in ("debit", "credit")
    ]
    return zip(*sides, records["amount"].tolist(), strict=True)


def _ms(timing: Timing, percentile: float) -> float:
    return 1000 * float(np.percentile(timing.batches_s, percentile))


BENCHMARKS: Final = (
    Benchmark(
        "single-open-loop",
        f"single transfers of asyncio callers, offered at {RATE_PER_S:,}/s in an open loop: p99 above the disk's own",
        ACCOUNTS,
        10 * RATE_PER_S,
        "pwrite + fdatasync of 4 KiB: p99",
        partial(open_loop, rate_per_s=RATE_PER_S),
        VALUE_MS,
        Goal(10),
        quick=3 * RATE_PER_S,
    ),
    Benchmark(
        "single-highest-rate",
        f"single transfers of asyncio callers in an open loop: the highest rate held for {WINDOW_S:g} s",
        ACCOUNTS,
        6_000_000,
        "pwrite + fdatasync of 4 KiB, one after the other",
        highest_rate,
        RATE,
        Goal(100_000),
        quick=1_500_000,
    ),
)
