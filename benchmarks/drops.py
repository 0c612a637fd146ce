"""One record that moves money to or from many rows: drop, expiry of purses, settlement of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np

from benchmarks import books, disk, memory
from benchmarks.measure import MILLION, TOTAL_MS, Benchmark, Goal, Setting, Timing, peak_bytes, timed
from benchmarks.programmes import Programme
from benchmarks.town import Purpose, Town, chunks, ids_of
from sycee.core.arrays import Array
from sycee.core.clock import SimulatedClock
from sycee.core.errors import require
from sycee.core.records import layout, operations
from sycee.core.records.layout import AccountKind, PurseState
from sycee.sequencer.embedded import Ledger

PACKET_MINOR: Final = 20_000
SETTLED_PAYMENTS: Final = 10_000_000  # of one SETTLE, all or none: memory for its movements is prepared beforehand
SETTLED_HISTORY_BYTES: Final = 256 << 20
START_NS: Final = 1_800_000_000 * 10**9
DEADLINE_NS: Final = START_NS + 86_400 * 10**9
PURSE_BYTES: Final = layout.PURSE.itemsize
LIMIT: Final = "the same rows and movements written in order into new memory, and one 4 KiB pwrite + fdatasync"


def drop(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Fill as many purses as there are operations with one durable DROP."""
    for _ in range(setting.repeats):
        yield books.on_new_ledger(setting, partial(_dropped, setting)), _limit(setting, PURSE_BYTES)


def _dropped(setting: Setting, ledger: Ledger) -> Timing:
    members = setting.operations
    town = Town(2, 0)
    programme = Programme(town, 1, members, amount=PACKET_MINOR)
    books.prepare(setting, ledger, town.opening())
    books.prepare(setting, ledger, programme.opening())
    timing = _at_once(ledger, [programme.drop()], members)
    with ledger.sequencer.reading() as state:
        filled = np.count_nonzero(state.all_purses["dropped"] == PACKET_MINOR)
    require(filled == members, f"{filled:,} of {members:,} purses were filled")
    books.check(setting, ledger, programme.total)
    return timing


def expire(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Return the money of as many claimed purses as there are operations with one durable EXPIRE."""
    for _ in range(setting.repeats):
        clock = SimulatedClock(START_NS)
        timing = books.on_new_ledger(setting, partial(_expired, setting, clock), clock=clock)
        yield timing, _limit(setting, PURSE_BYTES)


def _expired(setting: Setting, clock: SimulatedClock, ledger: Ledger) -> Timing:
    members = setting.operations
    town = Town(max(members, 2), 0)
    programme = Programme(town, 1, members, amount=PACKET_MINOR, until_ns=DEADLINE_NS)
    for opening in (town.opening(), programme.opening(), [programme.drop()], programme.claims()):
        books.prepare(setting, ledger, opening)
    clock.set(DEADLINE_NS)
    timing = _at_once(ledger, [programme.expire()], members)
    with ledger.sequencer.reading() as state:
        expired = np.count_nonzero(state.all_purses["state"] == PurseState.EXPIRED)
    require(expired == members, f"{expired:,} of {members:,} purses are expired")
    require(ledger.account(programme.funder).balance == programme.total, "the funder did not receive everything back")
    books.check(setting, ledger, programme.total)
    return timing


def settle(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Settle as many staged payments as there are operations, one to each wallet, with durable SETTLEs."""
    for _ in range(setting.repeats):
        # Wallets and payments need most of the memory, so older rows go to working files.
        timing = books.on_new_ledger(setting, partial(_settled, setting), history_bytes=SETTLED_HISTORY_BYTES)
        yield timing, _limit(setting, layout.ACCOUNT.itemsize)


def _settled(setting: Setting, ledger: Ledger) -> Timing:
    wallets = max(setting.operations, 2)
    town = Town(wallets, 0)
    funder = town.next_id()
    books.prepare(setting, ledger, town.opening())
    opened = town.opened(town.next_id(), funder, AccountKind.FUNDER)
    funded = operations.transfer(town.next_id(), debit=town.issuance, credit=funder, amount=wallets)
    books.prepare(setting, ledger, [opened, funded])
    setting.say("staging payments")
    books.prepare(setting, ledger, _staged(funder, wallets))
    records = []
    for first in range(0, wallets, SETTLED_PAYMENTS):
        payments = min(SETTLED_PAYMENTS, wallets - first)
        batch = 1 + first // SETTLED_PAYMENTS
        records.append(operations.settle(town.next_id(), batch=batch, payments=payments, total=payments))
    timing = _at_once(ledger, records, wallets)
    with ledger.sequencer.reading() as state:
        paid = sum(
            int(np.count_nonzero(state.accounts["credits_posted"][first : first + MILLION] == 1))
            for first in range(0, state.accounts.size, MILLION)
        )
    require(paid == wallets, f"{paid:,} of {wallets:,} wallets were paid")
    books.check(setting, ledger, wallets)
    return timing


def _staged(funder: int, wallets: int) -> Iterator[Array]:
    for each in chunks(wallets):
        yield operations.stage(
            ids_of(Purpose.WORK, each),
            batch=(1 + each // SETTLED_PAYMENTS).astype(np.uint32),
            debit=funder,
            credit=ids_of(Purpose.WALLET, each),
            amount=1,
        )


def _at_once(ledger: Ledger, records: list[Array], operations: int) -> Timing:
    answers: list[Array] = []
    timing = timed(records, lambda one: answers.append(ledger.submit(one)), operations)
    timing.peak_bytes = peak_bytes()
    for each in answers:
        books.require_created(each)
    return timing


def _limit(setting: Setting, row_bytes: int) -> Timing:
    """Time new memory for a row and a movement per operation, and one block on the disk."""
    setting.say("measuring the disk and the memory alone")
    synced = disk.synced(setting.folder / "limit", 1)
    filled = memory.filled(setting.operations, row_bytes + layout.MOVEMENT.itemsize)
    return Timing(setting.operations, filled.total_s + synced.total_s, name="memory and disk")


def _row(
    work: str,
    description: str,
    measure: Callable[[Setting], Iterator[tuple[Timing, ...]]],
    at_most_ms: int,
    *,
    count: int,
    quick: bool = True,
) -> Benchmark:
    return Benchmark(
        work, description, None, count, LIMIT, measure, TOTAL_MS, Goal(at_most_ms), quick=count if quick else None
    )


_DROP: Final = "one durable DROP that fills the purses of {:,} members"
BENCHMARKS: Final = (
    _row("drop-50k", _DROP.format(50_000), drop, 5, count=50_000),
    _row("drop-1m", _DROP.format(1_000_000), drop, 60, count=1_000_000),
    _row("drop-10m", _DROP.format(10_000_000), drop, 1_000, count=10_000_000, quick=False),
    _row(
        "drop-100m",
        "100,000,000 wallets paid by ten durable SETTLEs, each all or none; payments staged before",
        settle,
        10_000,
        count=100_000_000,
        quick=False,
    ),
    _row(
        "expire-1m",
        "one durable EXPIRE that returns the money of 1,000,000 claimed purses",
        expire,
        60,
        count=1_000_000,
    ),
)
