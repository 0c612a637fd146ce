"""Transfers, pays from purses and holds on a durable ledger; bytes per transfer in the journal."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from benchmarks import books, disk, memory
from benchmarks.measure import BYTES, RATE, Benchmark, Goal, Setting, Timing
from benchmarks.programmes import TieredTown
from benchmarks.town import Town
from sycee.core.arrays import Array
from sycee.core.limits import RECORD_BYTES
from sycee.journal.journal import Journal
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.folders import journal_disk
from sycee.sequencer.sequencer import Sequencer

LIMIT: Final = "the slower of the same frames written and synced, and the same cache lines touched"
MILLION: Final = 1_000_000


def transfers(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, ...]]:
    """Submit frames of 8,064 transfers: each call returns when its frame is on disk and applied."""
    return _durable(setting, partial(Town, accounts, setting.operations), Town.transfers)


def pays(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, ...]]:
    return _durable(setting, partial(TieredTown, accounts, setting.operations), TieredTown.pays, purses=2)


def holds(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, ...]]:
    """Submit frames of holds and frames of their posts alternately. Both are counted."""
    payments = -(-setting.operations // 2)
    return _durable(setting, partial(Town, accounts, payments), Town.holds_and_posts, each=2)


def _durable(
    setting: Setting, make: Callable[[], Any], work: Callable[[Any], Iterable[Array]], *, purses: int = 0, each: int = 1
) -> Iterator[tuple[Timing, ...]]:
    """Measure each repeat on a new ledger, then its limits. purses: per wallet; each: operations per payment."""
    for _ in range(setting.repeats):
        town = make()
        operations = each * town.paying
        timing = books.on_new_ledger(setting, partial(submitted, setting, town, work(town), operations))
        setting.say("measuring the disk and the memory alone")
        touched = memory.touched(accounts=town.accounts, purses=purses * town.accounts, operations=operations)
        yield timing, disk.written(setting.folder / "limit", operations), touched


def submitted(setting: Setting, town: Any, records: Iterable[Array], operations: int, ledger: Ledger) -> Timing:
    books.prepare(setting, ledger, town.opening())
    timing = books.submitted(ledger, records, operations)
    books.check(setting, ledger, town.minted)
    return timing


def journal_bytes(setting: Setting, *, accounts: int) -> Iterator[tuple[Timing, ...]]:
    """Measure the journal bytes of a transfer, including headers and padding."""
    for _ in range(setting.repeats):
        folder = setting.folder / "ledger"
        journal = Journal.create(journal_disk(folder))
        sequencer = Sequencer(journal)
        try:
            town = Town(accounts, setting.operations)
            setting.say("opening accounts")
            books.submit_all(sequencer, town.opening())
            before = journal.bytes_written
            setting.say("measuring")
            books.submit_all(sequencer, town.transfers())
            taken = (journal.bytes_written - before) / setting.operations
        finally:
            sequencer.close()
        shutil.rmtree(folder)
        yield Timing(setting.operations, value=taken), Timing(name="record", value=RECORD_BYTES)


def _row(
    work: str,
    what: str,
    measure: Callable[..., Iterator[tuple[Timing, ...]]],
    accounts: int,
    *,
    goal: Goal,
    operations: int = 10 * MILLION,
    quick: int | None,
) -> Benchmark:
    description = f"{what}, uniform among {accounts:,} accounts, in frames of 8,064, one fdatasync each"
    return Benchmark(
        work, description, accounts, operations, LIMIT, partial(measure, accounts=accounts), RATE, goal, quick
    )


BENCHMARKS: Final = (
    _row("transfers-10k", "transfers", transfers, 10_000, goal=Goal(5_000_000, steady=True), quick=2 * MILLION),
    _row("transfers-1m", "transfers", transfers, MILLION, goal=Goal(3_500_000), quick=2 * MILLION),
    _row("transfers-100m", "transfers", transfers, 100 * MILLION, goal=Goal(2_000_000, memory_gib=18), quick=None),
    _row("pay-1m", "pays, each checks two purses and tier limits", pays, MILLION, goal=Goal(2_000_000), quick=MILLION),
    _row("holds-10k", "holds, then their posts", holds, 10_000, goal=Goal(2_500_000), quick=2 * MILLION),
    Benchmark(
        "journal-bytes",
        "journal bytes per transfer in full frames",
        10_000,
        MILLION,
        "the record itself",
        partial(journal_bytes, accounts=10_000),
        BYTES,
        Goal(130),
        quick=MILLION,
    ),
)
