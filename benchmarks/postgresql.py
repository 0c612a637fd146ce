"""The same transfers in PostgreSQL: a separate cluster in the benchmark's folder, and a PL/pgSQL function.

The client is `psql` over a Unix socket: one statement per commit, each after the previous result.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import peers
from benchmarks.measure import BATCH, Benchmark, Setting, Timing, settle, timed
from benchmarks.town import WALLET_MINOR
from sycee.core.errors import require
from sycee.testing import postgresql

SETTINGS: Final = (
    "shared_buffers=1GB",
    "max_wal_size=8GB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "fsync=on",
    "synchronous_commit=on",
)
SCHEMA: Final = """
CREATE TABLE account (number int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 50);
CREATE TABLE transfer (
    id uuid PRIMARY KEY, debit int NOT NULL, credit int NOT NULL, amount bigint NOT NULL CHECK (amount > 0));
INSERT INTO account SELECT number, {minor} FROM generate_series(0, {last}) AS number;
CREATE FUNCTION transfers(ids uuid[], debits int[], credits int[], amounts bigint[]) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(ids) LOOP
        INSERT INTO transfer VALUES (ids[i], debits[i], credits[i], amounts[i]);
        UPDATE account SET balance = balance - amounts[i] WHERE number = debits[i];
        UPDATE account SET balance = balance + amounts[i] WHERE number = credits[i];
    END LOOP;
    RETURN cardinality(ids);
END $$;
"""


def transfers(setting: Setting, *, size: int) -> Iterator[tuple[Timing, ...]]:
    """Call the function with `size` transfers for each commit, which returns when they are on disk."""
    version = postgresql.run("postgres", "--version").split()[2]
    for _ in range(setting.repeats):
        setting.say("making a cluster")
        with _client(setting.folder / "peer") as psql:
            schema = SCHEMA.replace("{minor}", str(WALLET_MINOR)).replace("{last}", str(peers.ACCOUNTS - 1))
            _ask(psql, (schema + "CHECKPOINT; SELECT 'ready';", "ready"))
            settle(setting.folder, setting.operations)
            setting.say("measuring")
            timing = timed(_calls(setting.operations, size), partial(_ask, psql), setting.operations)
            timing.note = f"PostgreSQL {version}; the memory is the client's"
            setting.say("checking")
            _ask(psql, ("SELECT count(*) FROM transfer;", str(setting.operations)))
            _ask(psql, ("SELECT sum(balance) FROM account;", str(peers.MINTED)))
        yield timing, peers.limit(setting, size)


def _calls(count: int, size: int) -> Iterator[tuple[str, str]]:
    for each in peers.transfers(count, size):
        columns = [",".join(one.hex() for one in each.identities())]
        columns += [",".join(map(str, column.tolist())) for column in (each.debit, each.credit, each.amount)]
        arrays = ", ".join(f"'{{{column}}}'" for column in columns)
        yield f"SELECT transfers({arrays});", str(each.ids.size)


def _ask(psql: subprocess.Popen[str], question: tuple[str, str]) -> None:
    """Execute a statement; its output must be the expected line."""
    statement, expected = question
    assert psql.stdin
    assert psql.stdout
    psql.stdin.write(statement + "\n")
    psql.stdin.flush()
    answer = psql.stdout.readline().strip()
    require(answer == expected, f"PostgreSQL returned {answer or 'nothing'}; expected {expected}")


def as_others_may_enter(folder: Path) -> None:
    """Let the server's user reach its folder if this process is root's."""
    if os.geteuid() == 0:
        for ours in (folder.parent, folder.parent.parent):  # of this row, and of the run
            ours.chmod(stat.S_IMODE(ours.stat().st_mode) | stat.S_IXOTH)  # others may enter, but not list


@contextmanager
def _client(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a server with this folder alone, and yield a connected client."""
    as_others_may_enter(folder)
    with postgresql.cluster(folder, SETTINGS) as sockets:
        psql = [*postgresql.command("psql"), "-qAtX", "-v", "ON_ERROR_STOP=1"]
        command = [*psql, "-h", str(sockets), "-U", postgresql.USER, "postgres"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as client:
            yield client


def _row(work: str, description: str, limit: str, size: int, *, operations: int, quick: int) -> Benchmark:
    measure = partial(transfers, size=size)
    return Benchmark(work, description, peers.ACCOUNTS, operations, limit, measure, quick=quick)


BENCHMARKS: Final = (
    _row(
        "peer-postgresql",
        "PostgreSQL, synchronous_commit=on: transfers by a PL/pgSQL function, 8,064 for each commit",
        peers.FRAMES_LIMIT,
        BATCH,
        operations=500_000,
        quick=100_000,
    ),
    _row(
        "peer-postgresql-single",
        "the same, one transfer for each commit, one client",
        peers.BLOCKS_LIMIT,
        1,
        operations=20_000,
        quick=5_000,
    ),
)
