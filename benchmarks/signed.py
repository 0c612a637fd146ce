"""Single payments of asyncio callers, each signed with its payer's key and durable.

Every paying wallet has a key, and two officers are named, so that unsigned operations are refused. Signatures are made
before the timing starts. One worker process per core verifies signatures, and the process is configured as a server
(`crowd.as_a_server`). The limit: all cores verify the same signatures and do nothing else, in the same run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np
import uvloop

from benchmarks import books
from benchmarks.crowd import as_a_server
from benchmarks.measure import RATE, Benchmark, Goal, Setting, Timing, peak_bytes
from benchmarks.town import CURRENCY, FOREVER_NS, Purpose, Town, chunks, ids_of
from sycee.core import ids, keys
from sycee.core.arrays import Array
from sycee.core.errors import UnavailableError, require
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, operations
from sycee.core.records.layout import Role
from sycee.core.result_codes import Result
from sycee.ledger import batch as batches
from sycee.ledger import signatures
from sycee.sequencer.asynchronous import AsyncLedger
from sycee.sequencer.embedded import Ledger

ACCOUNTS: Final = 1_000
CALLERS: Final = 1_000  # each sends its next payment when its last one is durable
OPERATIONS: Final = 80_000
QUICK: Final = 24_000
OFFICERS: Final = 2
SERIES_KEYS: Final = 1  # of the operations that set keys


class SignedTown(Town):
    """Town with officers, whose wallets have keys."""

    def __init__(self, accounts: int, paying: int, *, algorithm: str = "ed25519") -> None:
        super().__init__(accounts, paying)
        self.keys = [
            SigningKey.derive(number.to_bytes(keys.SEED_BYTES, "little"), algorithm) for number in range(accounts)
        ]

    def _after_wallets(self) -> Iterator[Array]:
        for each in chunks(self.accounts):
            wallets, made = ids_of(Purpose.WALLET, each), ids_of(Purpose.OPEN, each, series=SERIES_KEYS)
            for at, number in enumerate(each.tolist()):
                public = self.keys[number].public
                yield operations.set_key(
                    ids.to_int(made[at]), account=ids.to_int(wallets[at]), key=public.key, flags=public.flags
                )
        for number in range(OFFICERS):
            officer = SigningKey.derive(bytes([255 - number]) * keys.SEED_BYTES).public
            yield operations.grant_role(
                self.next_id(), person=self.next_id(), role=Role.OFFICER, key=officer.key, flags=officer.flags,
                from_ns=0, until_ns=FOREVER_NS,
            )  # fmt: skip


class Signed(NamedTuple):
    """Signed payments."""

    records: list[bytes]  # 128 bytes each
    envelopes: list[bytes]  # ENVELOPE_BYTES each


def signed_payments(town: SignedTown, ledger_id: bytes) -> Signed:
    """Sign every payment with its payer's key."""
    number_of = {
        ids.to_int(each): number for number, each in enumerate(ids_of(Purpose.WALLET, np.arange(town.accounts)))
    }
    made = Signed([], [])
    for records in town.transfers():
        for at in range(records.size):
            record = records[at : at + 1]
            payer = int(record["debit_high"][0]) << 64 | int(record["debit_low"][0])
            envelope = envelopes.sign(
                record, ledger_id, payer, town.keys[number_of[payer]], FOREVER_NS, currency=CURRENCY, key_epoch=1
            )
            made.records.append(record.tobytes())
            made.envelopes.append(envelopes.as_array([envelope]).tobytes())
    return made


def signed_single(setting: Setting, *, accounts: int = ACCOUNTS) -> Iterator[tuple[Timing, ...]]:
    """Send signed payments, each caller one at a time; then verify the signatures alone."""
    for _ in range(setting.repeats):
        town = SignedTown(accounts, setting.operations)
        jobs = b""

        def measured(ledger: Ledger, town: SignedTown = town) -> Timing:
            nonlocal jobs
            books.prepare(setting, ledger, town.opening())
            require(ledger.authority_on, "two officers were named, and nothing need be signed")
            setting.say("signing")
            payments = signed_payments(town, ledger.ledger_id)
            jobs = _jobs_of(ledger, payments)
            setting.say("measuring")
            with as_a_server():
                timing = uvloop.run(_send(ledger, payments))
            timing.peak_bytes = peak_bytes()
            books.check(setting, ledger, town.minted)
            return timing

        timing = books.on_new_ledger(setting, measured, signature_workers=os.cpu_count() or 1)
        limit = _verified(setting, jobs)
        p50_ms, p99_ms = 1000 * np.percentile(timing.batches_s, (50, 99))
        timing.note = (
            f"{CALLERS:,} callers, each sends when its last is durable: p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms"
        )
        yield timing, limit


async def _send(ledger: Ledger, payments: Signed) -> Timing:
    """Send all payments; `batches_s`: duration of each."""
    took_s: list[float] = []
    left = iter(zip(payments.records, payments.envelopes, strict=True))

    async def caller(async_ledger: AsyncLedger) -> None:
        for record, envelope in left:
            start = perf_counter()
            result = await async_ledger.submit_signed(record, envelope)
            took_s.append(perf_counter() - start)
            if result is not Result.CREATED:
                raise UnavailableError(f"a payment was answered {result.name}")

    async with ledger.asynchronous() as async_ledger:
        start = perf_counter()
        async with asyncio.TaskGroup() as callers:
            for _ in range(CALLERS):
                callers.create_task(caller(async_ledger))
        total_s = perf_counter() - start
    return Timing(len(payments.records), total_s, took_s)


def _jobs_of(ledger: Ledger, payments: Signed) -> bytes:
    """Return the same signatures for `keys.verify_jobs`."""
    asked = batches.prepare_signed(payments.records, payments.envelopes)
    with ledger.sequencer.reading() as state:
        found = signatures.find_jobs(state, ledger.ledger_id, 0, asked.operations, asked.envelopes, asked.firsts)
    require(found.jobs.size == asked.operations.size, "every payment has a signature to verify")
    return found.jobs.tobytes()


def _verified(setting: Setting, jobs: bytes) -> Timing:
    """Verify them on all cores, one process per core, and nothing else."""
    setting.say("verifying alone")
    cores, size = os.cpu_count() or 1, keys.JOB.size
    count = len(jobs) // size
    step = -(-count // cores) * size
    parts = [jobs[at : at + step] for at in range(0, len(jobs), step)]
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        list(pool.map(keys.verify_jobs, [part[:size] for part in parts]))  # the processes are running
        start = perf_counter()
        outcomes = b"".join(pool.map(keys.verify_jobs, parts))
        total_s = perf_counter() - start
    require(outcomes == b"\1" * count, "a signature is invalid")
    return Timing(count, total_s, name="signatures")


BENCHMARKS: Final = (
    Benchmark(
        "signed-single",
        f"single payments of {CALLERS:,} asyncio callers, each signed beforehand",
        ACCOUNTS,
        OPERATIONS,
        "Ed25519 signatures verified on all cores, and nothing else",
        signed_single,
        RATE,
        Goal(8_000),
        quick=QUICK,
    ),
)
