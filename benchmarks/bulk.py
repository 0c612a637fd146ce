"""Bulk payments over HTTP: a bank's server in a process of its own, and a client that builds, signs and sends the rows.

`python -m benchmarks.bulk FOLDER` is the server, of `sycee serve`: a bank with its database, one process that verifies
signatures, and a vault that pays ACCOUNTS wallets. In the same run the same number of transfers is submitted in process
without signatures, database or HTTP: the note has the share of that rate.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import books
from benchmarks import ledger as in_process
from benchmarks.crowd import as_a_server
from benchmarks.measure import RATE, Benchmark, Goal, Setting, Timing, settle
from benchmarks.town import Town
from benchmarks.wallets import KEYS, OPERATOR, START_NS, new_bank
from sycee.core import ids, money
from sycee.core.arrays import Array
from sycee.core.errors import require
from sycee.core.keys import SigningKey
from sycee.core.records.bulk_rows import BATCH_ROWS, Rows

ROOT: Final = Path(__file__).resolve().parent.parent
ACCOUNTS: Final = 10_000
MINTED: Final = 10**12
ROWS: Final = 2_000_000
CSV_ROWS: Final = 500_000
QUICK: Final = 400_000
WARM_ROWS: Final = 3 * BATCH_ROWS
GOAL_PER_S: Final = 1_000_000
CSV_GOAL_PER_S: Final = 100_000
CSV_BATCHES: Final = 60  # of one request: their envelopes fit one header
_MILLISECONDS: Final = count(1)
PROGRAM: Final = SigningKey.derive(bytes([9]) * 32)


@dataclass(frozen=True, slots=True)
class Served:
    """A server, and what its client needs."""

    url: str
    origin: str
    client: str
    signer: int
    payer: int
    payees: Array  # (n, 16) u1


def arrow_rows(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Pay a file of rows by `Client.bulk`: digests, signatures, requests and results are timed."""
    from sycee.client.bulk import Payment

    for _ in range(setting.repeats):
        with _server(setting) as served, _client(served) as client:
            signer = _signer(served)
            for results in client.bulk(Payment(_rows(served, WARM_ROWS), served.payer, (signer,), id=_fresh_id())):
                require(not results.codes.any(), "a row was refused")
            rows = _rows(served, setting.operations)
            setting.say("measuring")
            began, cpu = time.perf_counter(), time.process_time()
            payment = Payment(rows, served.payer, (signer,), id=_fresh_id())
            refused = sum(int(each.codes.any()) for each in client.bulk(payment))
            timing = Timing(setting.operations, time.perf_counter() - began)
            timing.note = f"{1e6 * (time.process_time() - cpu) / setting.operations:.2f} µs of the client per row"
            require(not refused, f"{refused:,} batches have rows that were refused")
        yield timing, _in_process(setting)


def csv_rows(setting: Setting) -> Iterator[tuple[Timing, ...]]:
    """Read a CSV file, sign its rows, and send the file's own bytes; the server reads them again."""
    from sycee.client import bulk, bulk_csv
    from sycee.client.bulk import Payment

    for _ in range(setting.repeats):
        with _server(setting) as served, _client(served) as client:
            signer = _signer(served)
            for results in client.bulk(Payment(_rows(served, WARM_ROWS), served.payer, (signer,), id=_fresh_id())):
                require(not results.codes.any(), "a row was refused")
            content = _csv(_rows(served, setting.operations))
            setting.say("measuring")
            began = time.perf_counter()
            payment = Payment(
                bulk_csv.read(content, money.currency("CNY")), served.payer, (signer,), id=_fresh_id()
            )  # fmt: skip
            client.do(bulk.declare(payment))
            paid = _send_csv(served, client, payment, content)
            timing = Timing(setting.operations, time.perf_counter() - began)
            require(paid == setting.operations, f"{paid:,} of {setting.operations:,} rows were paid")
        yield timing, _in_process(setting)


def _fresh_id() -> int:
    """Return a new id of the bank's time, START_NS. The ledger looks up ids of another time more slowly."""
    return ids.new(START_NS // 1_000_000 + next(_MILLISECONDS))


def _rows(served: Served, size: int) -> Rows:
    drawn = np.random.default_rng(size)
    return Rows(served.payees[drawn.integers(0, len(served.payees), size)], np.ones(size, np.int64))


def _csv(rows: Rows) -> bytes:
    texts = [ids.format(int.from_bytes(payee.tobytes(), "big")) for payee in rows.payees]
    return ("payee,amount\n" + "".join(f"{text},0.01\n" for text in texts)).encode()


def _send_csv(served: Served, client: Any, payment: Any, content: bytes) -> int:
    """Send a CSV file in requests of CSV_BATCHES batches; return the number of rows that were paid."""
    import base64

    import httpx

    from sycee.client import api

    ledger_id = bytes.fromhex(client.do(api.supply())["ledger"])
    head, *lines = content.splitlines(keepends=True)
    tokens, path, paid = client._session.tokens, f"/v1/bulk/{ids.format(payment.id)}", 0
    with httpx.Client(base_url=served.url, timeout=60) as http:
        for first in range(0, payment.batches, CSV_BATCHES):
            numbers = range(first, min(first + CSV_BATCHES, payment.batches))
            signed = (payment.signed(number, 0, ledger_id, START_NS + 3_600 * 10**9) for number in numbers)
            headers = tokens.headers("POST", path, tokens.current()) | {
                "Content-Type": "text/csv",
                "Sycee-Envelopes": ";".join(base64.b64encode(each).decode() for each in signed),
            }
            part = lines[first * BATCH_ROWS : (numbers[-1] + 1) * BATCH_ROWS]
            answer = http.post(path, params={"first_batch": first}, content=b"".join([head, *part]), headers=headers)
            require(answer.status_code == 200, f"the server answered {answer.text[:200]}")
            paid += answer.content.count(b",CREATED,no,")
    return paid


def _in_process(setting: Setting) -> Timing:
    """Submit as many transfers in process, unsigned."""
    setting.say("paying in process")
    town = Town(ACCOUNTS, setting.operations)

    def work(ledger: Any) -> Timing:
        return in_process.submitted(setting, town, town.transfers(), town.paying, ledger)

    timing = books.on_new_ledger(setting, work)
    timing.name = "in process"
    return timing


def _signer(served: Served) -> Any:
    from sycee.client import Signer

    return Signer(served.signer, KEYS[4])


def _client(served: Served) -> Any:
    from sycee.client import Client, Credentials

    return Client(
        served.url, Credentials(served.client, PROGRAM), origin=served.origin, now_ns=lambda: START_NS, timeout=60,
        deadline_s=300,
    )  # fmt: skip


@contextlib.contextmanager
def _server(setting: Setting) -> Iterator[Served]:
    """Run the server in a process of its own; require that its bank is right at the end."""
    folder = setting.folder / "server"
    folder.mkdir()
    setting.say("opening accounts")
    command = [sys.executable, "-m", "benchmarks.bulk", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            require(bool(line), "the server did not start")
            yield Served(**json.loads(line), payees=np.load(folder / "payees.npy"))
            setting.say("checking")
            process.send_signal(signal.SIGINT)
            require(process.stdout.readline() == "checked\n", "the server's bank is wrong")
        finally:
            process.kill()
    shutil.rmtree(folder)
    settle(setting.folder, setting.operations)


def serve(folder: Path) -> None:
    """Serve a new bank until SIGINT; print what a client needs, and at the end that the bank is right."""
    import uvicorn

    from sycee.bank.bank import Bank
    from sycee.server.app import create_server
    from sycee.server.auth.registers import Registers
    from sycee.server.connections import ConnectionLimits, LimitedProtocol
    from sycee.server.tables import SCHEMA

    settings = {"bulk_approval_minor": "999999999999", "http_requests_per_minute": "1000000"}
    with new_bank(folder, **settings) as bank:
        vault = prepared(bank, folder)
    with Bank.open(folder / "bank", signature_workers=1, schemas=(SCHEMA,)) as bank:
        officer, north = (bank.people.person_of_key(KEYS[at].public) for at in (0, 4))
        clients = Registers(bank).clients
        program = clients.register(north, PROGRAM.public, by=officer, name="bulk", operator=OPERATOR)
        config = uvicorn.Config(
            create_server(bank), loop="uvloop", http=LimitedProtocol.bound_to(ConnectionLimits()), ws="none",
            access_log=False, log_level="warning", server_header=False, date_header=False, proxy_headers=False,
        )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0), backlog=config.backlog) as listening, as_a_server():
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            told = {"url": url, "origin": bank.config.text("http_origin"), "client": ids.format(program.id)}
            sys.stdout.write(json.dumps({**told, "signer": north, "payer": vault}) + "\n")
            sys.stdout.flush()
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again once it has stopped
                uvicorn.Server(config).run([listening])
        bank.stores.ledger.check()
        require(bank.check() == [], "SQL and ledger do not agree")
    sys.stdout.write("checked\n")


def prepared(bank: Any, folder: Path, accounts: int = ACCOUNTS) -> int:
    """Mint money for the operator's vault and open the wallets that it pays; return the vault."""
    ann, bob, *_, north = KEYS
    maker = bank.people.person_of_key(ann.public)
    bank.proposals.sign(bank.issuance.credit_reserves(OPERATOR, MINTED, maker=maker).id, ann, bob)
    minted = bank.proposals.sign(bank.issuance.mint(OPERATOR, MINTED, maker=maker).id, ann, bob, north)
    require(minted.needs == (), "nothing was minted")
    columns = {
        "name": [f"Citizen {number:07}" for number in range(accounts)],
        "phone": [f"+86139{number:08}" for number in range(accounts)],
    }
    opened = bank.wallets.open_many(
        columns, operator=OPERATOR, tier="class-4", signers=bank.signers(north),
        who=bank.people.person_of_key(north.public),
    )  # fmt: skip
    require(opened.opened == accounts, "not every wallet was opened")
    raw = b"".join(account.to_bytes(16, "big") for account in opened.accounts)
    np.save(folder / "payees.npy", np.frombuffer(raw, np.uint8).reshape(-1, 16))
    return int(bank.registry.operator(OPERATOR).accounts.vault)


BENCHMARKS: Final = (
    Benchmark(
        "programmes-bulk-arrow",
        "transfers to wallets with limits by an Arrow stream over HTTP, digests and signatures included",
        ACCOUNTS,
        ROWS,
        "as many transfers submitted in process, without signatures, limits and HTTP",
        arrow_rows,
        RATE,
        Goal(GOAL_PER_S),
        quick=QUICK,
    ),
    Benchmark(
        "programmes-bulk-csv",
        "the same by a CSV file, which client and server read",
        ACCOUNTS,
        CSV_ROWS,
        "as many transfers submitted in process, without signatures, limits and HTTP",
        csv_rows,
        RATE,
        Goal(CSV_GOAL_PER_S),
    ),
)

if __name__ == "__main__":
    serve(Path(sys.argv[1]))
