"""Screening of payments by the stored service: thousands in one transaction of SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final
from uuid import UUID

import numpy as np

from benchmarks.measure import Benchmark, Goal, Setting, Timing, settle, timed
from benchmarks.wallets import inserted
from sycee.compliance.enforcement.screening import PaymentRequest
from sycee.compliance.enforcement.service import Compliance
from sycee.compliance.enforcement.tables import SCHEMA
from sycee.core.clock import SimulatedClock
from sycee.core.errors import require
from sycee.database.engines import engine
from sycee.database.migrations import upgrade

EXAMPLE: Final = Path(__file__).parent.parent / "examples" / "two-regimes"
PROFILES: Final = ("clean-network-2020", "data-security-initiative-2020")
NOON_NS: Final = 1_606_824_000 * 10**9  # 1 December 2020, the day of the example
BATCH: Final = 5_000  # payments in one transaction
ROW_BYTES: Final = 180  # that SQL stores for one payment without its indexes
SEED: Final = 20_200_908


def screen_many(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Screen payments of all declared flows, each under a new random UETR; the limit inserts as many bytes."""
    setting.say("making payments")
    count = setting.operations
    for _ in range(setting.repeats):
        folder = setting.folder / "screening"
        folder.mkdir()
        database = engine(folder / "compliance.db")
        upgrade(database, SCHEMA)
        compliance = Compliance(database, SimulatedClock(NOON_NS))
        compliance.declare([EXAMPLE], by="desk")
        compliance.use(PROFILES, by="officer")
        flows = [each for each in compliance.network().of_kind("flow") if "payment" in each.values("purpose")]
        for party in sorted({str(each.facts[end].value) for each in flows for end in ("from", "to")}):
            compliance.admit(party, by="desk")
        compliance.screen_many([PaymentRequest("", each.id) for each in flows], by="gateway")  # each class is judged
        batches = list(_batches(count, [each.id for each in flows]))
        settle(setting.folder, count)
        setting.say("measuring")
        timing = timed(batches, partial(compliance.screen_many, by="gateway"), count)
        setting.say("checking")
        last = batches[-1][-1]
        (stored,) = compliance.screenings(last.payment)
        require(compliance.replay(stored.digest).record == stored.record, "the last payment is judged otherwise again")
        with database.connect() as connection:
            query = "SELECT outcome, count(*) FROM compliance_screenings GROUP BY outcome ORDER BY outcome"
            counted = {str(word): number for word, number in connection.exec_driver_sql(query)}
        require(sum(counted.values()) == count + len(flows), f"{counted} payments are stored")
        timing.note = f"{len(flows)} flows; {', '.join(f'{number:,} {word}' for word, number in counted.items())}"
        database.dispose()
        shutil.rmtree(folder)
        settle(setting.folder, count)
        yield timing, inserted(setting.folder / "limit.sqlite", count, ROW_BYTES)


def _batches(count: int, flows: list[str]) -> Iterator[list[PaymentRequest]]:
    random = np.random.default_rng(SEED)
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        ids, amounts = random.bytes(16 * size), random.integers(1, 10**9, size).tolist()
        chosen = random.integers(len(flows), size=size).tolist()
        yield [
            PaymentRequest(
                str(UUID(bytes=ids[16 * at : 16 * at + 16], version=4)), flows[flow], {"amount_minor": amount}
            )
            for at, (flow, amount) in enumerate(zip(chosen, amounts, strict=True))
        ]


BENCHMARKS: Final = (
    Benchmark(
        "compliance-screen-many",
        "payments screened and stored in SQLite, 5,000 per transaction, under two regimes",
        None,
        200_000,
        "inserting as many bytes into one table without an index",
        screen_many,
        goal=Goal(20_000),
        quick=50_000,
    ),
)
