"""Single durable transfers and concurrent reads of asyncio callers in an open loop.

Ledger and callers share one process, configured as a server (`crowd.as_a_server`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from itertools import chain
from typing import Any, Final

import numpy as np
import uvloop

from benchmarks import books, disk
from benchmarks.crowd import Crowd, as_a_server, ms
from benchmarks.machine import RATE_PER_S, lateness_s
from benchmarks.measure import RATE, VALUE_MS, Benchmark, Goal, Setting, Timing
from benchmarks.town import Purpose, Town, ids_of, random_of
from sycee.core import ids
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError
from sycee.core.result_codes import Result
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.embedded import Ledger

Work = Callable[[AsyncLedger, Town, Crowd], Coroutine[Any, Any, Timing]]  # with the callers that transfer

ACCOUNTS: Final = 10_000
READS_PER_S: Final = 20_000
WINDOW_S: Final = 3.0  # duration over which a rate must be held
LATE_MS: Final = 100.0  # a rate with a higher p99 is not held; people perceive shorter delays as immediate
HELD: Final = 0.95  # share of the offered rate that must be answered when the window ends
FIRST_RATE_PER_S: Final = 40_000
STEP: Final = 1.1
TRIES: Final = 2  # at each rate: another process may have used the machine
SYNCS: Final = 1_000
LATE_CALLS: Final = 3 * RATE_PER_S
OPERATIONS_MAX: Final = 1 << 20  # large enough that no caller waits: waiting is part of the figure anyway


def open_loop(setting: Setting, *, rate_per_s: int) -> Iterator[tuple[Timing, ...]]:
    """Offer transfers at one rate; the figure is the p99 minus that of one block's pwrite and fdatasync."""

    async def offered(async_ledger: AsyncLedger, town: Town, payers: Crowd) -> Timing:
        payers.draw(rate_per_s, setting.operations)
        with as_a_server():
            timing = await payers.offer()
        timing.note = (
            f"{rate_per_s:,}/s offered, {timing.rate_per_s:,.0f}/s held; since the due time of each: "
            f"{_percentiles(timing)}"
        )
        return timing

    return _less_the_disk(setting, offered)


def reads_beside_writes(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Offer transfers alone, then transfers and balance reads concurrently.

    The figure is the reads' p99 minus that of one block's pwrite and fdatasync: a read waits for the frame being
    written. The note contains the transfers' p99 without and with reads in the same run.
    """
    each = setting.operations // 2
    reads = max(1, each * READS_PER_S // RATE_PER_S)

    async def offered(async_ledger: AsyncLedger, town: Town, payers: Crowd) -> Timing:
        readers = Crowd(async_ledger.balance, _wallets(town), lambda balance: balance >= 0)
        try:
            payers.draw(RATE_PER_S, each)
            with as_a_server():
                alone = await payers.offer()
            payers.draw(RATE_PER_S, each)
            readers.draw(READS_PER_S, reads)
            with as_a_server():
                beside, timing = await asyncio.gather(payers.offer(), readers.offer())
        finally:
            readers.leave()
        timing.operations = setting.operations
        timing.beside = ms(beside, 99) / ms(alone, 99)
        timing.note = (
            f"{READS_PER_S:,} reads/s offered, {reads / timing.total_s:,.0f}/s held: {_percentiles(timing)}; "
            f"with them {RATE_PER_S:,} transfers/s offered, {beside.rate_per_s:,.0f}/s held: p99 "
            f"{ms(beside, 99):.2f} ms, {timing.beside:.2f} times that without reads, "
            f"{ms(alone, 99):.2f} ms"
        )
        return timing

    return _less_the_disk(setting, offered)


def _less_the_disk(setting: Setting, work: Work) -> Iterator[tuple[Timing, ...]]:
    """Yield each repeat of the work; its figure is its p99 minus that of the disk."""
    for _ in range(setting.repeats):
        timing, synced, late = _on_new_ledger(setting, work), _synced(setting), _late(setting)
        timing.value = ms(timing, 99) - ms(synced, 99)
        for limit in (synced, late):
            limit.value = ms(limit, 99)
        timing.note += (
            f"; pwrite and fdatasync of 4 KiB alone: p50 {ms(synced, 50):.2f} ms, p99 {ms(synced, 99):.2f} ms"
        )
        timing.note += f"; arithmetic on half of a core, due at {RATE_PER_S:,}/s: p99 {ms(late, 99):.2f} ms"
        yield timing, synced, late


def highest_rate(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Raise the offered rate until it is not held; the figure is the highest rate held."""
    for _ in range(setting.repeats):
        timing = _on_new_ledger(setting, lambda _, __, payers: _highest(payers, setting))
        timing.note = (
            f"held for {WINDOW_S:g} s; since the due time of each: p50 {ms(timing, 50):.2f} ms, "
            f"p99 {ms(timing, 99):.2f} ms, allowed {LATE_MS:g} ms"
        )
        yield timing, _synced(setting)


async def _highest(payers: Crowd, setting: Setting) -> Timing:
    best: Timing | None = None
    rate_per_s, left = FIRST_RATE_PER_S, setting.operations
    while True:
        operations = int(rate_per_s * WINDOW_S)
        tries = min(TRIES, left // operations)
        for _ in range(tries):
            setting.say(f"offering {rate_per_s:,}/s")
            left -= operations
            payers.draw(rate_per_s, operations)
            with as_a_server():
                timing = await payers.offer()
            if ms(timing, 99) <= LATE_MS and timing.rate_per_s >= HELD * rate_per_s:
                best, rate_per_s = timing, int(rate_per_s * STEP)
                break
        else:
            if best is None:
                raise UnavailableError(f"{rate_per_s:,} transfers/s exceed this machine's rate")
            return best


def _on_new_ledger(setting: Setting, work: Work) -> Timing:
    """Run the work on a new ledger, and check the ledger afterwards."""
    town = Town(ACCOUNTS, setting.operations)

    async def main(ledger: Ledger) -> Timing:
        async with ledger.asynchronous() as async_ledger:
            payments = chain.from_iterable(map(_payments, town.transfers()))
            payers = Crowd(async_ledger.transfer, payments, lambda result: result is Result.CREATED)
            try:
                return await work(async_ledger, town, payers)
            finally:
                payers.leave()

    def measured(ledger: Ledger) -> Timing:
        books.prepare(setting, ledger, town.opening())
        timing = uvloop.run(main(ledger))
        books.check(setting, ledger, town.minted)
        return timing

    return books.on_new_ledger(setting, measured, operations_max=OPERATIONS_MAX)


def _payments(records: Array) -> Iterator[tuple[int, int, int]]:
    """Yield debit, credit and amount of each transfer as plain integers."""
    sides = [
        [
            high << 64 | low
            for high, low in zip(records[f"{side}_high"].tolist(), records[f"{side}_low"].tolist(), strict=True)
        ]
        for side in ("debit", "credit")
    ]
    return zip(*sides, records["amount"].tolist(), strict=True)


def _wallets(town: Town) -> Iterator[tuple[int]]:
    wallets = [(ids.to_int(each),) for each in ids_of(Purpose.WALLET, np.arange(town.accounts))]
    numbers = random_of(np.arange(town.paying), salt=4) % np.uint64(town.accounts)
    return map(wallets.__getitem__, numbers.tolist())


def _synced(setting: Setting) -> Timing:
    setting.say("measuring the disk alone")
    return disk.synced(setting.folder / "limit", min(SYNCS, setting.operations))


def _late(setting: Setting) -> Timing:
    setting.say("measuring the processor alone")
    return Timing(batches_s=lateness_s(min(LATE_CALLS, setting.operations)).tolist(), name="processor")


def _percentiles(timing: Timing) -> str:
    return ", ".join(f"p{each:g} {ms(timing, each):.2f} ms" for each in (50, 99, 99.9))


BENCHMARKS: Final = (
    Benchmark(
        "single-open-loop",
        f"single transfers of asyncio callers, offered at {RATE_PER_S:,}/s in an open loop: p99 minus the disk's p99",
        ACCOUNTS,
        10 * RATE_PER_S,
        "p99 of pwrite + fdatasync of 4 KiB, or of arithmetic that needs half of a core, whichever is larger",
        partial(open_loop, rate_per_s=RATE_PER_S),
        VALUE_MS,
        Goal(10),
        quick=3 * RATE_PER_S,
    ),
    Benchmark(
        "reads-beside-writes",
        f"{READS_PER_S:,} balance reads/s with {RATE_PER_S:,} transfers/s of asyncio callers, offered in an open "
        "loop: the reads' p99 minus the disk's p99",
        ACCOUNTS,
        20 * RATE_PER_S,
        "p99 of pwrite + fdatasync of 4 KiB, or of arithmetic that needs half of a core, whichever is larger",
        reads_beside_writes,
        VALUE_MS,
        Goal(10, beside_max=2),
        quick=6 * RATE_PER_S,
    ),
    Benchmark(
        "single-highest-rate",
        f"single transfers of asyncio callers in an open loop: the highest rate held for {WINDOW_S:g} s",
        ACCOUNTS,
        6_000_000,
        "pwrite + fdatasync of 4 KiB, in sequence",
        highest_rate,
        RATE,
        Goal(100_000),
        quick=1_500_000,
    ),
)
