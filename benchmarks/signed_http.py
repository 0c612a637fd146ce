"""Signed payments over HTTP: a server process and a generator process on the same cores.

`python -m benchmarks.signed_http FOLDER WALLETS CURVE` is the server: uvicorn with the application of
`POST /v1/payments` over a ledger of wallets with keys, and one process that verifies signatures. The generator is
`sycee load`. In the same run, 64 clients of pgbench call a PL/pgSQL function that makes the same payments, without HTTP
and without signatures.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import books
from benchmarks.crowd import as_a_server
from benchmarks.measure import RATE, Benchmark, Goal, Setting, Timing, settle
from benchmarks.postgresql import SETTINGS, as_others_may_enter
from benchmarks.signed import SignedTown
from benchmarks.town import WALLET_MINOR, Purpose, ids_of
from sycee.core import ids, keys
from sycee.core.errors import UnavailableError, require
from sycee.load.wallets import CURVES, SyntheticWallet, write_synthetic_wallets
from sycee.sequencer.embedded import Ledger
from sycee.testing import postgresql

ROOT: Final = Path(__file__).resolve().parent.parent
ACCOUNTS: Final = 1_000
OPERATIONS: Final = 400_000
QUICK: Final = 40_000
PAYING: Final = 20 * ACCOUNTS  # drawn payers: with 20 per wallet, nearly every wallet receives money
GOAL_PER_S: Final = 4_000
BAD_PER_S: Final = 1_000
WINDOW_S: Final = 3.0
LATE_MS: Final = 100.0  # a rate with a higher p99 is not held
STEP: Final = 1.15
TRIES: Final = 2  # at each rate: another process may have used the machine
PG_CLIENTS: Final = 64
PG_SCHEMA: Final = """
CREATE TABLE account (number int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 50);
CREATE TABLE transfer (
    id uuid PRIMARY KEY, debit int NOT NULL, credit int NOT NULL, amount bigint NOT NULL CHECK (amount > 0));
INSERT INTO account SELECT number, {minor} FROM generate_series(0, {last}) AS number;
CREATE FUNCTION pay(payer int, payee int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF payer = payee THEN RETURN; END IF;
    INSERT INTO transfer VALUES (gen_random_uuid(), payer, payee, 1);
    -- In the order of numbers, so that two payments never wait for each other.
    UPDATE account SET balance = balance + CASE number WHEN payee THEN 1 ELSE -1 END WHERE number = least(payer, payee);
    UPDATE account SET balance = balance + CASE number WHEN payee THEN 1 ELSE -1 END
        WHERE number = greatest(payer, payee);
END $$;
CHECKPOINT;
"""


def highest_rate(setting: Setting, *, curve: str) -> Iterator[tuple[Timing, ...]]:
    """Raise the offered rate until it is not held; the figure is the highest rate held."""
    for _ in range(setting.repeats):
        setting.say("paying in PostgreSQL")
        limit = _paid_in_postgresql(setting)
        with _server(setting, curve) as url:
            keys_file = setting.folder / "server" / "wallets.json"
            setting.say(f"offering {GOAL_PER_S:,}/s")
            _offer(url, keys_file, curve, GOAL_PER_S, 1.0)  # the worker process starts
            goal = _offer(url, keys_file, curve, GOAL_PER_S, WINDOW_S)
            beside = _offer(url, keys_file, curve, GOAL_PER_S, WINDOW_S, "--bad", str(BAD_PER_S))
            best = _highest(setting, url, keys_file, curve)
        settle(setting.folder, setting.operations)
        timing = Timing(
            setting.operations,
            setting.operations / best["offered_per_s"],
            beside=_p99(beside) / _p99(goal),
            note=_note(goal, beside, best),
        )
        yield timing, limit


def _highest(setting: Setting, url: str, keys_file: Path, curve: str) -> dict[str, Any]:
    best: dict[str, Any] | None = None
    rate_per_s, left = float(GOAL_PER_S), float(setting.operations)
    while True:
        tries = min(TRIES, int(left // (rate_per_s * WINDOW_S)))
        for _ in range(tries):
            setting.say(f"offering {rate_per_s:,.0f}/s")
            left -= rate_per_s * WINDOW_S
            found = _offer(url, keys_file, curve, rate_per_s, WINDOW_S)
            if found["held"] and found["latency_ms"]["p99"] <= LATE_MS:
                best, rate_per_s = found, rate_per_s * STEP
                break
        else:
            if best is None:
                raise UnavailableError(f"{rate_per_s:,.0f} signed payments/s exceed this machine's rate")
            return best


def _note(goal: dict[str, Any], beside: dict[str, Any], best: dict[str, Any]) -> str:
    cpu_us = {"generator": best["cpu"]["generator_s"]}
    cpu_us |= dict(zip(("server", "signatures"), (each["cpu_s"] for each in best["cpu"]["server"]), strict=False))
    used = ", ".join(f"{name} {1e6 * cpu_s / best['requests']:.0f} µs" for name, cpu_s in cpu_us.items())
    return (
        f"p99 since the due time {_p99(goal):.1f} ms at {GOAL_PER_S:,}/s, {_p99(beside):.1f} ms beside {BAD_PER_S:,}/s "
        f"with invalid signatures from another address, {_p99(best):.1f} ms at the highest rate; CPU per payment "
        f"there: {used}"
    )


def _p99(found: dict[str, Any]) -> float:
    return float(found["latency_ms"]["p99"])


def _offer(url: str, keys_file: Path, curve: str, rate_per_s: float, seconds: float, *more: str) -> dict[str, Any]:
    """Run the generator in a process of its own; return its report, in which every payment was made."""
    command = [sys.executable, "-m", "sycee", "load", url, "--keys", str(keys_file), "--curve", curve]
    command += ["--rate", str(rate_per_s), "--seconds", str(seconds), "--json", *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    require(done.returncode == 0, f"the generator ended with exit code {done.returncode}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    made = {status: count for status, count in found["answers"].items() if status != "unanswered"}
    require(set(made) <= {"201"}, f"payments were answered {found['answers']}")
    return found


@contextlib.contextmanager
def _server(setting: Setting, curve: str) -> Iterator[str]:
    """Run the server in a process of its own; yield its address, and require that its ledger is right at the end."""
    folder = setting.folder / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.signed_http", str(folder), str(ACCOUNTS), curve]
    setting.say("opening accounts")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().strip()
            require(bool(url), "the server did not start")
            yield url
            setting.say("checking")
            process.send_signal(signal.SIGINT)
            require(process.stdout.readline() == "checked\n", "the server's ledger is wrong")
        finally:
            process.kill()
    shutil.rmtree(folder)  # the next repeat begins with a new ledger


def serve(folder: Path, accounts: int, curve: str) -> None:
    """Serve a new ledger until SIGINT; print the address, and at the end that its ledger is right."""
    import uvicorn

    from sycee.server.connections import ConnectionLimits, LimitedProtocol
    from sycee.server.payments.app import PaymentsApp
    from sycee.server.payments.settings import PaymentSettings

    town = SignedTown(accounts, PAYING, algorithm=CURVES[curve])
    setting = Setting(folder, PAYING, 1, lambda _: None)
    with Ledger.open(folder / "ledger", snapshot_frames=None, signature_workers=1) as ledger:
        books.prepare(setting, ledger, town.opening())
        rows: list[SyntheticWallet] = [
            {
                "account": ids.format(ids.to_int(each)),
                "key_epoch": 1,
                "curve": curve,
                "seed": number.to_bytes(keys.SEED_BYTES, "little").hex(),
            }
            for number, each in enumerate(ids_of(Purpose.WALLET, np.arange(accounts)))
            if ledger.balance(ids.to_int(each))
        ]
        write_synthetic_wallets(folder / "wallets.json", ledger.ledger_id, "CNY", rows)
        settings = PaymentSettings(rate_per_s=1e6, burst=10**6)  # one machine sends everything
        config = uvicorn.Config(
            PaymentsApp(ledger.asynchronous, settings),
            loop="uvloop",
            http=LimitedProtocol.bound_to(ConnectionLimits()),
            ws="none",
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        with socket.create_server(("127.0.0.1", 0), backlog=config.backlog) as listening, as_a_server():
            sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
            sys.stdout.flush()
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
                uvicorn.Server(config).run([listening])
        books.check(setting, ledger, town.minted)
    sys.stdout.write("checked\n")


def _paid_in_postgresql(setting: Setting) -> Timing:
    """Make payments by a function of PostgreSQL from PG_CLIENTS clients for WINDOW_S; all durable."""
    folder = setting.folder / "peer"
    as_others_may_enter(folder)
    with postgresql.cluster(folder, SETTINGS) as sockets:
        place = ("-h", str(sockets), "-U", postgresql.USER)
        schema = PG_SCHEMA.replace("{minor}", str(WALLET_MINOR)).replace("{last}", str(ACCOUNTS - 1))
        postgresql.run("psql", *place, "-qX", "-v", "ON_ERROR_STOP=1", "-c", schema, "postgres", folder=folder)
        script = sockets / "pay.sql"
        script.write_text(
            f"\\set payer random(0, {ACCOUNTS - 1})\n\\set payee random(0, {ACCOUNTS - 1})\n"
            "SELECT pay(:payer::int, :payee::int);\n"
        )
        script.chmod(0o644)
        options = ("-n", "-M", "prepared", "-c", str(PG_CLIENTS), "-j", "2", "-T", f"{WINDOW_S:.0f}")
        said = postgresql.run("pgbench", *place, *options, "-f", str(script), "postgres", folder=folder)
        total = postgresql.run(
            "psql", *place, "-qAtX", "-c", "SELECT sum(balance) FROM account", "postgres", folder=folder
        )
        require(int(total) == ACCOUNTS * WALLET_MINOR, f"PostgreSQL holds {total}")
    found = re.search(r"transactions actually processed: (\d+)", said)
    per_s = re.search(r"tps = ([0-9.]+)", said)
    require(found is not None and per_s is not None, f"pgbench wrote {said}")
    assert found
    assert per_s
    return Timing(int(found[1]), int(found[1]) / float(per_s[1]), name="postgresql")


def _row(work: str, curve: str, *, quick: int | None) -> Benchmark:
    return Benchmark(
        work,
        f"signed payments ({curve}) over HTTP in an open loop, generator on the same cores: the highest rate held for "
        f"{WINDOW_S:g} s",
        ACCOUNTS,
        OPERATIONS,
        f"the same payments by a function of PostgreSQL without HTTP and signatures, {PG_CLIENTS} clients of pgbench",
        partial(highest_rate, curve=curve),
        RATE,
        Goal(GOAL_PER_S, beside_max=2),
        quick=quick,
    )


BENCHMARKS: Final = (
    _row("signed-http", "Ed25519", quick=QUICK),
    _row("signed-http-p256", "P-256", quick=None),
)

if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
