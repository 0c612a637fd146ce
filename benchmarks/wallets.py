"""Wallets opened in bulk in a bank with its SQLite database, and the statement of an account with many movements."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.measure import TOTAL_MS, Benchmark, Goal, Setting, Timing, settle, timed
from sycee.archive.statements import statement
from sycee.bank.bank import Bank
from sycee.bank.founding import Founding
from sycee.core import ids
from sycee.core.errors import require
from sycee.core.keys import SigningKey
from sycee.core.limits import I64_MAX
from sycee.core.records import operations
from sycee.core.records.layout import AccountKind
from sycee.sequencer.embedded import Ledger, Line

START_NS: Final = 1_793_577_600 * 10**9
ROW_BYTES: Final = 600  # what SQL stores for one wallet, in all tables and both key files
OPERATOR: Final = 2
KEYS: Final = [SigningKey.derive(bytes([number]) * 32) for number in range(1, 6)]
MOVED_MINOR: Final = 1


@contextmanager
def new_bank(folder: Path, **settings: str) -> Iterator[Bank]:
    """Yield a new bank in which operator 2 has joined. `settings`: of the bank."""
    ann, bob, desk, witness, north = KEYS
    founding = Founding(
        currency="CNY",
        zone="Asia/Shanghai",
        preset="ecny-2021",
        retention="cn-2025",
        officers=(ann.public, bob.public),
        desk=desk.public,
        witness=witness.public,
        master_key=folder / "master.key",
        key_backup=folder / "backup",
        rehearsal_from_ns=START_NS,
        settings={"compliance": "false"} | settings,
    )
    with Bank.create(folder / "bank", founding) as bank:
        maker = bank.people.person_of_key(ann.public)
        owner = ids.new(START_NS // 1_000_000)
        institution = bank.institutions.add("operator", "North Bank", by=maker, owners={owner: 1_000_000})
        for check in ("papers", "owners"):
            bank.proposals.sign(bank.institutions.decide(institution, check, "passed", maker=maker).id, ann, bob)
        joining = bank.issuance.join(
            institution, quota_minor=I64_MAX, key=north.public, until_ns=START_NS + 10**17, maker=maker
        )
        require(bank.proposals.sign(joining.id, ann, bob).needs == (), "the operator has not joined")
        yield bank


def open_many(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Register persons by name and phone and open their wallets; the limit inserts as many bytes into SQLite."""
    setting.say("making persons")
    count = setting.operations
    columns = {
        "name": [f"Citizen {number:07}" for number in range(count)],
        "phone": [f"+86139{number:08}" for number in range(count)],
    }
    for _ in range(setting.repeats):
        folder = setting.folder / "wallets"
        folder.mkdir()
        with new_bank(folder) as bank:
            signers, who = bank.signers(KEYS[4]), bank.people.person_of_key(KEYS[4].public)
            settle(setting.folder, count)
            setting.say("measuring")
            start, cpu = time.perf_counter(), time.process_time()
            opened = bank.wallets.open_many(columns, operator=OPERATOR, tier="class-4", signers=signers, who=who)
            timing = Timing(count, time.perf_counter() - start)
            timing.note = f"{time.process_time() - cpu:.1f} s of processor time"
            setting.say("checking")
            require(opened.opened == count, f"{len(opened.refused):,} wallets were refused")
            require(bank.check() == [], "SQL and ledger do not agree")
        shutil.rmtree(folder)
        settle(setting.folder, count)
        yield timing, inserted(setting.folder / "limit.sqlite", count)


def inserted(file: Path, count: int, row_bytes: int = ROW_BYTES) -> Timing:
    """Time the insertion of as many rows of `row_bytes` into one table, 64,000 per commit."""
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE row (number INTEGER PRIMARY KEY, content BLOB NOT NULL)")
    content, size = bytes(row_bytes), 64_000

    def insert(first: int) -> None:
        database.execute("BEGIN")
        rows = ((number, content) for number in range(first, min(first + size, count)))
        database.executemany("INSERT INTO row VALUES (?, ?)", rows)
        database.execute("COMMIT")

    timing = timed(range(0, count, size), insert, count)
    database.close()
    file.unlink()
    return timing


def statement_lines(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Make the statement of an account with `operations` movements; the limit copies its rows."""
    setting.say("making movements")
    count = setting.operations
    with Ledger.open(setting.folder / "statement") as ledger:
        ledger.define_currency("CNY", zone="Asia/Shanghai")
        issuance = ledger.open_account("CNY", AccountKind.ISSUANCE)
        shop = ledger.open_account("CNY", AccountKind.MERCHANT)
        made = ids.generate(count, time_ms=time.time_ns() // 1_000_000)
        ledger.submit(operations.transfer(made, debit=issuance, credit=shop, amount=MOVED_MINOR))
        statement(ledger, shop)  # warm
        lines: list[Line] = []

        def read(_: int) -> None:
            lines[:] = statement(ledger, shop).lines

        for _ in range(setting.repeats):
            setting.say("measuring")
            timing = timed([0], read, count)
            require((len(lines), lines[-1].balance) == (count, count * MOVED_MINOR), "the statement lacks lines")
            rows = [statement(ledger, shop).rows]
            yield timing, timed(rows, np.copy, count)
    shutil.rmtree(setting.folder / "statement")


BENCHMARKS: Final = (
    Benchmark(
        "wallets-open-1m",
        "persons registered and their wallets opened in bulk, SQLite",
        None,
        1_000_000,
        "SQLite, as many bytes in one table",
        open_many,
        unit=TOTAL_MS,
        goal=Goal(60_000),
    ),
    Benchmark(
        "statement-10k",
        "statement of an account with 10,000 movements",
        None,
        10_000,
        "a copy of its rows in memory",
        statement_lines,
        unit=TOTAL_MS,
        goal=Goal(50),
    ),
)
