"""The same transfers in SQLite, in this process: write-ahead log, synchronous=FULL."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Final

from benchmarks import peers
from benchmarks.measure import BATCH, Benchmark, Setting, Timing, settle, timed
from benchmarks.town import WALLET_MINOR
from sycee.core.errors import require

# A trigger turns a transfer into one statement inside SQLite, and Python passes whole batches.
SCHEMA: Final = """
CREATE TABLE account (number INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0)) STRICT;
CREATE TABLE transfer (
    id BLOB PRIMARY KEY, debit INTEGER NOT NULL, credit INTEGER NOT NULL, amount INTEGER NOT NULL CHECK (amount > 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER moves AFTER INSERT ON transfer BEGIN
    UPDATE account SET balance = balance - NEW.amount WHERE number = NEW.debit;
    UPDATE account SET balance = balance + NEW.amount WHERE number = NEW.credit;
END;
"""
CACHE_KIB: Final = 1 << 20


def transfers(setting: Setting, *, size: int) -> Iterator[tuple[Timing, ...]]:
    """Insert `size` transfers for each commit, which returns when they are on disk."""
    for _ in range(setting.repeats):
        folder = setting.folder / "peer"
        folder.mkdir()
        database = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
        setting.say("opening accounts")
        for pragma in ("journal_mode = WAL", "synchronous = FULL", f"cache_size = -{CACHE_KIB}"):
            database.execute(f"PRAGMA {pragma}")
        database.executescript(SCHEMA)
        database.execute("BEGIN")
        accounts = ((number, WALLET_MINOR) for number in range(peers.ACCOUNTS))
        database.executemany("INSERT INTO account VALUES (?, ?)", accounts)
        database.execute("COMMIT")
        settle(setting.folder, setting.operations)
        setting.say("measuring")
        timing = timed(_rows(setting.operations, size), partial(_insert, database), setting.operations)
        timing.note = f"SQLite {sqlite3.sqlite_version}"
        setting.say("checking")
        ((count,),) = database.execute("SELECT count(*) FROM transfer")
        ((held,),) = database.execute("SELECT sum(balance) FROM account")
        require((count, held) == (setting.operations, peers.MINTED), f"SQLite has {count:,} transfers and {held:,}")
        database.close()
        shutil.rmtree(folder)
        settle(setting.folder, setting.operations)
        yield timing, peers.limit(setting, size)


def _rows(count: int, size: int) -> Iterator[list[tuple[bytes, int, int, int]]]:
    for each in peers.transfers(count, size):
        columns = (each.debit.tolist(), each.credit.tolist(), each.amount.tolist())
        yield list(zip(each.identities(), *columns, strict=True))


def _insert(database: sqlite3.Connection, rows: list[tuple[bytes, int, int, int]]) -> None:
    database.execute("BEGIN")
    database.executemany("INSERT INTO transfer VALUES (?, ?, ?, ?)", rows)
    database.execute("COMMIT")


BENCHMARKS: Final = (
    Benchmark(
        "peer-sqlite",
        "SQLite, write-ahead log, synchronous=FULL: transfers by a trigger, 8,064 for each commit",
        peers.ACCOUNTS,
        2_000_000,
        peers.FRAMES_LIMIT,
        partial(transfers, size=BATCH),
        quick=250_000,
    ),
    Benchmark(
        "peer-sqlite-single",
        "the same, one transfer for each commit",
        peers.ACCOUNTS,
        20_000,
        peers.BLOCKS_LIMIT,
        partial(transfers, size=1),
        quick=5_000,
    ),
)
