"""The ledger: its kernels alone, on a real folder, one operation at a time, and reopened."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from time import perf_counter
from typing import Any, Final

import numpy as np

from benchmarks import disk
from benchmarks.measure import Benchmark, Measure, Setting, Timing, batches_of, settle, timed
from benchmarks.memory import MemoryLimit
from benchmarks.town import CURRENCY, Town
from sycee.core.codes import Result
from sycee.core.errors import require
from sycee.journal.frame import Frame
from sycee.journal.journal import Journal
from sycee.ledger.proofs import exact_sum
from sycee.ledger.state import LedgerState
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Sequencer, journal_disk

Array = np.ndarray[Any, Any]

OPERATIONS: Final = 2_000_000
SINGLE_OPERATIONS: Final = 10_000
NOW_NS: Final = 1_800_000_000 * 10**9  # frame time of the kernels alone, who read no clock


@dataclass(slots=True)
class _Kernels:
    """A state without a journal: what the sequencer does to it, frame by frame."""

    state: LedgerState = field(default_factory=LedgerState)
    sequence: int = 0

    def submit(self, part: Array) -> Array:
        self.sequence += 1
        self.state.resolve(part)
        self.state.reserve(part)
        return self.state.apply(self.sequence, NOW_NS + self.sequence, part)


def kernel(setting: Setting, *, accounts: int, purses: bool) -> Iterator[tuple[Timing, Timing]]:
    """Resolve, reserve and apply frames of 8,064; no disk, one thread."""
    setting.say("making records")
    town = Town(accounts, purses=purses)
    records = town.pays(setting.operations) if purses else town.transfers(setting.operations)
    limit: MemoryLimit | None = None
    for _ in range(setting.repeats):
        kernels = _Kernels()
        setting.say("opening accounts")
        _open(kernels.submit, town)
        setting.say("measuring")
        timing = _submitted(kernels.submit, batches_of(records))
        limit = limit or MemoryLimit(kernels.state, records)
        yield timing, limit.measure()
        setting.say("checking")
        _check(kernels.state, town)


def durable(setting: Setting, *, accounts: int, purses: bool) -> Iterator[tuple[Timing, Timing]]:
    """Submit frames of 8,064 to a ledger in a folder: each call returns when its frame is on the disk."""
    setting.say("making records")
    town = Town(accounts, purses=purses)
    records = town.pays(setting.operations) if purses else town.transfers(setting.operations)
    yield from _durable(setting, town, batches_of(records))


def single(setting: Setting, *, accounts: int, threads: int) -> Iterator[tuple[Timing, Timing]]:
    """Submit one transfer a call: how long a payer waits; with many threads, how well their calls are gathered."""
    town = Town(accounts)
    yield from _durable(setting, town, batches_of(town.transfers(setting.operations), 1), threads=threads)


def replay(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, Timing]]:
    """Reopen a ledger: read, verify and apply every record since its first frame, those that opened it included."""
    setting.say("writing a ledger")
    town = Town(accounts)
    folder = setting.folder / "ledger"
    with Ledger.open(folder) as ledger:
        _open(ledger.submit, town)
        for batch in batches_of(town.transfers(setting.operations)):
            ledger.submit(batch)
        digest = ledger.digest()
    records = town.opening.size + setting.operations
    for _ in range(setting.repeats):
        settle()
        setting.say("reading the segments alone")
        limit = disk.read(folder / "journal", records)
        setting.say("reopening")
        disk.forget(folder / "journal")
        start = perf_counter()
        log = _Watched(Journal.open(journal_disk(folder)))
        sequencer = Sequencer(log)
        timing = Timing(records, perf_counter() - start, log.frames_s)
        try:
            with sequencer.reading() as state:
                setting.say("checking")
                _check(state, town)
                require(state.digest() == digest, "the ledger is not the same after it was opened again")
        finally:
            sequencer.close()
        yield timing, limit
    shutil.rmtree(folder)


class _Watched:
    """A journal that notes how long each recovered frame took, its applying included."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.frames_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def recover(self) -> Iterator[Frame]:
        moments = [perf_counter()]
        for frame in self._journal.recover():
            yield frame
            moments.append(perf_counter())
        self.frames_s = [after - before for before, after in pairwise(moments)]


def _durable(
    setting: Setting, town: Town, batches: list[Array], *, threads: int = 1
) -> Iterator[tuple[Timing, Timing]]:
    for _ in range(setting.repeats):
        folder = setting.folder / "ledger"
        with Ledger.open(folder) as ledger:
            setting.say("opening accounts")
            _open(ledger.submit, town)
            settle()
            setting.say("measuring")
            timing = _submitted(ledger.submit, batches, threads=threads)
            setting.say("checking")
            with ledger.sequencer.reading() as state:
                _check(state, town)
        shutil.rmtree(folder)
        settle()
        setting.say("writing the same bytes alone")
        yield timing, disk.written(setting.folder / "limit", batches)


def _submitted(submit: Callable[[Array], Array], batches: list[Array], *, threads: int = 1) -> Timing:
    """Submit every batch, each thread its own share of them, and see that nothing was refused."""
    answers: list[Array] = []
    whole = Timing(sum(batch.size for batch in batches))

    def share(own: list[Array]) -> Timing:
        return timed(own, lambda batch: answers.append(submit(batch)), len(own))

    if threads == 1:
        whole = replace(share(batches), operations=whole.operations)
    else:
        with ThreadPoolExecutor(threads) as pool:
            start = perf_counter()
            for part in pool.map(share, [batches[one::threads] for one in range(threads)]):
                whole.batches_s += part.batches_s
            whole.total_s = perf_counter() - start
    _require_created(np.concatenate(answers))
    return whole


def _open(submit: Callable[[Array], Array], town: Town) -> None:
    for batch in batches_of(town.opening):
        _require_created(submit(batch))


def _require_created(answers: Array) -> None:
    refused = np.flatnonzero(answers["code"] != Result.CREATED)
    require(not refused.size, f"{refused.size} operations were refused, the first with {answers['code'][refused[:1]]}")


def _check(state: LedgerState, town: Town) -> None:
    """Every invariant, and the supply by another way: what was minted is in accounts and purses, to the cent."""
    state.check()
    require(state.supply(CURRENCY) == town.minted, f"{state.supply(CURRENCY)} in circulation, {town.minted} minted")
    balances = state.accounts["credits_posted"] - state.accounts["debits_posted"]
    held = exact_sum(balances[balances > 0])
    if town.purses:
        purses = state.tables.purses
        held += exact_sum(purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"])
    require(held == town.minted, f"{held} in accounts and purses, {town.minted} minted")


def _benchmarks() -> Iterator[Benchmark]:
    lines = {False: "7 random cache lines and 4 in order", True: "9 random cache lines and 4 in order"}
    frame, block = "pwrite + fdatasync of the same frames", "pwrite + fdatasync of 4 KiB"
    for purses, kind in ((False, "transfer"), (True, "pay")):
        for accounts, size in ((10_000, "10k"), (1_000_000, "1m")):
            what = "pays out of a purse" if purses else "transfers"
            for work, function, limit, where in (
                ("kernel", kernel, lines[purses], "in memory, resolve + reserve + apply"),
                ("durable", durable, frame, "on a folder, one fdatasync a frame"),
            ):
                measure: Measure = partial(function, accounts=accounts, purses=purses)
                description = f"{what} in frames of 8,064, {where}"
                yield Benchmark(f"{work}-{kind}-{size}", description, accounts, OPERATIONS, limit, measure)
    for threads, operations in ((1, SINGLE_OPERATIONS), (16, 4 * SINGLE_OPERATIONS)):
        yield Benchmark(
            f"single-transfer-10k-threads-{threads}",
            f"one durable transfer a call, from {threads} thread{'s' * (threads > 1)}",
            10_000,
            operations,
            block,
            partial(single, accounts=10_000, threads=threads),
        )
    yield Benchmark(
        "replay-1m",
        "reopening a ledger of 1,000,000 accounts, from the disk: records read, verified and applied",
        1_000_000,
        OPERATIONS,
        "reading the same segments",
        partial(replay, accounts=1_000_000),
    )


BENCHMARKS: Final = tuple(_benchmarks())
