"""Ledgers for benchmarks: create one for each repeat, submit to it, check it, remove it."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.measure import BATCH, MILLION, Setting, Timing, batches_of, forget_peak, peak_bytes, settle, timed
from benchmarks.town import CURRENCY
from sycee.core.arrays import Array
from sycee.core.clock import Clock
from sycee.core.errors import require
from sycee.core.result_codes import Result
from sycee.ledger.invariants import exact_sum
from sycee.ledger.state import LedgerState
from sycee.sequencer.embedded import Ledger
from sycee.sequencer.sequencer import Sequencer


def on_new_ledger(
    setting: Setting, work: Callable[[Ledger], Timing], *, clock: Clock | None = None, **options: Any
) -> Timing:
    """Return the timing of `work` on a new ledger on the measured disk. `options` are passed to `Ledger.open`.

    Folder and memory are released before this returns, because the next measurement may need as much.
    """
    folder = setting.folder / "ledger"
    forget_peak()
    with Ledger.open(folder, clock=clock, snapshot_frames=None, **options) as ledger:
        timing = work(ledger)
    del ledger
    gc.collect()
    shutil.rmtree(folder)
    settle(setting.folder, setting.operations)
    return timing


def prepare(setting: Setting, ledger: Ledger, opening: Iterable[Array]) -> None:
    """Submit the records that precede the measured work."""
    setting.say("opening accounts")
    submit_all(ledger, opening)
    settle(setting.folder, setting.operations)
    setting.say("measuring")


def submit_all(ledger: Ledger | Sequencer, records: Iterable[Array]) -> int:
    """Submit frame by frame, require that every operation succeeded, and return the number of records."""
    count = 0
    for batch in batches_of(records):
        require_created(ledger.submit(batch))
        count += batch.size
    return count


def submitted(ledger: Ledger, records: Iterable[Array], operations: int, *, size: int = BATCH) -> Timing:
    """Submit frame by frame, each call until it is durable, and require that every operation succeeded.

    Only the calls are timed: records are made a million at a time between them.
    """
    answers: list[Array] = []
    timing = timed(batches_of(records, size), lambda batch: answers.append(ledger.submit(batch)), operations)
    timing.peak_bytes = peak_bytes()
    for each in answers:
        require_created(each)
    require(sum(each.size for each in answers) == operations, f"{operations:,} operations were expected")
    return timing


def require_created(answers: Array) -> None:
    refused = np.flatnonzero(answers["code"] != Result.CREATED)
    if refused.size:
        first = Result(int(answers["code"][refused[0]])).name
        require(False, f"{refused.size:,} of {answers.size:,} operations were refused, the first with {first}")


def check(setting: Setting, ledger: Ledger, minted: int) -> None:
    """Check every invariant, and the supply in a second way: accounts and purses together hold what was minted."""
    setting.say("checking")
    with ledger.sequencer.reading() as state:
        check_state(state, minted)


def check_state(state: LedgerState, minted: int) -> None:
    """Check a state as `check` does."""
    state.check()
    require(state.supply(CURRENCY) == minted, f"{state.supply(CURRENCY)} in circulation, {minted} minted")
    held = 0
    for table, inside in ((state.accounts, _in_accounts), (state.all_purses, _in_purses)):
        for first in range(0, table.size, MILLION):
            held += inside(table[first : first + MILLION])
    require(held == minted, f"{held} in accounts and purses, {minted} minted")


def _in_accounts(accounts: Array) -> int:
    balances = accounts["credits_posted"] - accounts["debits_posted"]
    return exact_sum(balances[balances > 0])


def _in_purses(purses: Array) -> int:
    return exact_sum(purses["dropped"] - purses["spent"] + purses["refunded"] - purses["returned"])
