"""Starts, snapshots during work, and memory per wallet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice, pairwise, takewhile
from pathlib import Path
from threading import Thread
from time import perf_counter
from typing import Any, Final

from benchmarks import books, disk
from benchmarks.measure import (
    BATCH,
    BYTES,
    RATE,
    TIMES,
    TOTAL_MS,
    Benchmark,
    Goal,
    Setting,
    Timing,
    batches_of,
    forget_peak,
    peak_bytes,
    resident_bytes,
    settle,
    timed,
)
from benchmarks.town import Town
from sycee.core.errors import require
from sycee.core.records import layout
from sycee.journal.frame import Anchor, Frame
from sycee.journal.journal import Journal
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.sequencer import Sequencer

MILLION: Final = 1_000_000
AMPLE: Final = 8  # at most this multiple of the operations until a snapshot is written; unneeded records are never made
# Minimum memory per wallet, packed: its row, the row of the id that opened it, and
# 4 bytes to find each.
WALLET_BYTES: Final = layout.ACCOUNT.itemsize + layout.BOUND.itemsize + 8


def replay(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, ...]]:
    """Open a ledger without a snapshot: read, verify and apply every record since its first frame."""
    town, folder, digest, records = _written(setting, accounts, snapshot=False)
    for _ in range(setting.repeats):
        settle(setting.folder, setting.operations)
        segments = sorted((folder / "journal").glob("*.segment"))
        setting.say("reading the segments alone")
        limit = disk.read(segments, records)
        setting.say("reopening")
        disk.forget(segments)
        forget_peak()
        start = perf_counter()
        log = _Watched(Journal.open(journal_disk(folder)))
        sequencer = Sequencer(log)
        timing = Timing(records, perf_counter() - start, log.frames_s, peak_bytes=peak_bytes())
        try:
            with sequencer.reading() as state:
                setting.say("checking")
                books.check_state(state, town.minted)
                require(state.digest() == digest, "the reopened ledger has another digest")
        finally:
            sequencer.close()
        yield timing, limit
    shutil.rmtree(folder)


def restart(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, ...]]:
    """Open a ledger from the snapshot written at its close, with an empty page cache."""
    town, folder, digest, _ = _written(setting, accounts, snapshot=True)
    for _ in range(setting.repeats):
        settle(setting.folder, setting.operations)
        snapshot = sorted((folder / "snapshots").glob("*.snapshot"))[-1]
        setting.say("reading the snapshot alone")
        limit = disk.read([snapshot], setting.operations)
        disk.forget([snapshot, *(folder / "journal").glob("*.segment")])
        setting.say("reopening")
        forget_peak()
        start = perf_counter()
        ledger = Ledger.open(folder, snapshot_frames=None)
        timing = Timing(setting.operations, perf_counter() - start, peak_bytes=peak_bytes())
        with ledger:
            require(not ledger.findings, f"the start found: {'; '.join(ledger.findings)}")
            books.check(setting, ledger, town.minted)
            require(ledger.digest() == digest, "the reopened ledger has another digest")
        yield timing, limit
    shutil.rmtree(folder)


def snapshot_beside(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, ...]]:
    """Divide the longest batch during a snapshot by the longest of half the operations without."""
    for _ in range(setting.repeats):
        town = Town(accounts, AMPLE * setting.operations)
        yield books.on_new_ledger(setting, partial(_beside, setting, town)), Timing(name="without", value=1.0)


def _beside(setting: Setting, town: Town, ledger: Ledger) -> Timing:
    batches = batches_of(town.transfers())
    books.prepare(setting, ledger, town.opening())
    half = max(setting.operations // BATCH // 2, 1)
    alone = _submitted(ledger, islice(batches, half))
    # Made beforehand: making records during the snapshot would hide its delays.
    ready = list(islice(batches, half))
    setting.say("writing a snapshot during the work")
    writer = Thread(target=ledger.snapshot)
    beside = _submitted(ledger, _while(writer, chain(ready, batches)))
    writer.join()
    require(list((setting.folder / "ledger" / "snapshots").glob("*.snapshot")), "no snapshot was written")
    longest, usual = max(beside.batches_s), max(alone.batches_s)
    note = f"longest batch {1000 * longest:,.1f} ms during a snapshot, {1000 * usual:,.1f} ms without"
    beside.operations = setting.operations
    beside.value, beside.note, beside.peak_bytes = longest / usual, note, peak_bytes()
    books.check(setting, ledger, town.minted)
    return beside


def wallet_bytes(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Measure the memory growth per opened wallet: accounts, their index, and the ids that opened them."""
    for _ in range(setting.repeats):
        yield books.on_new_ledger(setting, partial(_wallets_opened, setting)), Timing(name="rows", value=WALLET_BYTES)


def _wallets_opened(setting: Setting, ledger: Ledger) -> Timing:
    town = Town(setting.operations, 0)
    books.prepare(setting, ledger, town.bank())
    before = resident_bytes()
    books.prepare(setting, ledger, town.wallets())
    return Timing(setting.operations, value=(resident_bytes() - before) / setting.operations)


class _Watched:
    """Journal that records the duration of each recovered frame, including its application."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.frames_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._journal, name)

    def recover(
        self,
        after: Anchor | None = None,
        *,
        anchors: Sequence[Anchor] = (),
        give_up: Callable[[int], None] | None = None,
    ) -> Iterator[Frame]:
        moments = [perf_counter()]
        for frame in self._journal.recover(after, anchors=anchors, give_up=give_up):
            yield frame
            moments.append(perf_counter())
        self.frames_s = [after - before for before, after in pairwise(moments)]


def _written(setting: Setting, accounts: int, *, snapshot: bool) -> tuple[Town, Path, bytes, int]:
    """Return a closed ledger with this many transfers: its town, folder, digest, and number of records."""
    town, folder = Town(accounts, setting.operations), setting.folder / "ledger"
    with Ledger.open(folder, snapshot_frames=None) as ledger:
        setting.say("writing a ledger")
        records = books.submit_all(ledger, town.opening()) + books.submit_all(ledger, town.transfers())
        digest = ledger.digest()
        if snapshot:
            setting.say("writing its snapshot")
            ledger.snapshot()
    return town, folder, digest, records


def _submitted(ledger: Ledger, batches: Iterator[Any]) -> Timing:
    return timed(batches, lambda batch: books.require_created(ledger.submit(batch)), 0)


def _while(thread: Thread, batches: Iterator[Any]) -> Iterator[Any]:
    """Start the thread; then submit batches while it runs, at least one."""
    thread.start()
    yield next(batches)
    yield from takewhile(lambda _: thread.is_alive(), batches)
    require(not thread.is_alive(), "the snapshot took longer than all batches; use more operations")


BENCHMARKS: Final = (
    Benchmark(
        "replay",
        "records read from the disk, verified and applied: opening a ledger of 1,000,000 accounts from frame one",
        MILLION,
        10 * MILLION,
        "reading the same segments",
        partial(replay, accounts=MILLION),
        RATE,
        Goal(4_000_000),
        quick=2 * MILLION,
    ),
    Benchmark(
        "restart-1m",
        "opening a ledger of 1,000,000 accounts and 10,000,000 transfers from its snapshot, read from the disk",
        MILLION,
        10 * MILLION,
        "reading the same snapshot",
        partial(restart, accounts=MILLION),
        TOTAL_MS,
        Goal(3_000),
        quick=None,
    ),
    Benchmark(
        "snapshot-1m",
        "longest batch of transfers while a snapshot is written, over the longest without; 1,000,000 accounts",
        MILLION,
        10 * MILLION,
        "without a snapshot",
        partial(snapshot_beside, accounts=MILLION),
        TIMES,
        Goal(2),
        quick=4 * MILLION,
    ),
    Benchmark(
        "memory-per-wallet",
        "memory per opened wallet: account, index, and the id of its opening",
        None,
        MILLION,
        "an account, a bound id, and 4 bytes each to find them",
        wallet_bytes,
        BYTES,
        quick=MILLION,
    ),
)
