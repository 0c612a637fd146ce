"""Processes of a server that are killed under load: every payment with an answer is found, and none is made twice."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from tests.forked import MAY_FORK, Child
from tests.server.payments.serving import ACCOUNTS, ANN, BOB, MONEY, open_town, post, signed

from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.load.processes import server_processes
from sycee.sequencer.embedded import Ledger
from sycee.server.payments.app import PaymentsApp
from sycee.server.payments.settings import PaymentSettings

SETTINGS = PaymentSettings(rate_per_s=1e6, burst=10**6)
SENDERS = 4
FIRST_ID = 10**6


def serve(folder: Path, listening: socket.socket) -> None:
    """Serve the ledger until this process is killed."""
    with Ledger.open(folder, signature_workers=1) as ledger:
        app = PaymentsApp(ledger.asynchronous, SETTINGS)
        config = uvicorn.Config(
            app, loop="uvloop", http="httptools", ws="none", lifespan="off", access_log=False, log_config=None
        )
        uvicorn.Server(config).run([listening])


@contextmanager
def running(folder: Path) -> Iterator[tuple[int, Child]]:
    """A server in a forked process, which has imported everything, and its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1_024) as listening:
        port = listening.getsockname()[1]
        child = Child(lambda: serve(folder, listening))
    try:
        yield port, child
    finally:
        child.kill()


@dataclass
class Payer:
    """Payments of the test: what was sent, and the answers."""

    ledger_id: bytes = b""
    bodies: dict[int, bytes] = field(default_factory=dict)
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)

    def sign(self, ledger: Ledger, count: int) -> None:
        for id in range(FIRST_ID, FIRST_ID + count):
            payer = ACCOUNTS[id % len(ACCOUNTS)]
            payee = BOB if payer != BOB else ANN
            self.bodies[id] = signed(ledger, operations.pay(id, payer=payer, payee=payee, amount=1), payer)

    def send(self, port: int, id: int) -> None:
        """Send a payment, again if there was no answer to it; an answer must agree with an earlier one."""
        try:
            answer = post(port, self.bodies[id])
        except (OSError, AssertionError):
            return  # the server was killed
        assert answer.status in ((200,) if id in self.answers else (200, 201)), answer.body
        members = json.loads(answer.body)
        assert self.answers.setdefault(id, members) == members


def kill_and_pay(folder: Path, kills: int, *, seed: int, payments: int) -> None:
    """Kill the server, and each fifth time its verifier of signatures, while payments are sent."""
    drawn, payer = random.Random(seed), Payer()
    with Ledger.open(folder) as ledger:
        open_town(ledger)
        payer.sign(ledger, kills * payments)
    killed = []
    for kill in range(kills):
        chosen = range(FIRST_ID + kill * payments, FIRST_ID + (kill + 1) * payments)
        earlier = [id for id in payer.bodies if id < chosen.start and (id not in payer.answers or drawn.random() < 0.1)]
        with running(folder) as (port, child), ThreadPoolExecutor(SENDERS) as pool:
            list(pool.map(partial(payer.send, port), earlier))
            assert all(id in payer.answers for id in earlier)
            sending = [pool.submit(payer.send, port, id) for id in chosen]
            wait_until(lambda chosen=chosen: sum(id in payer.answers for id in chosen) > drawn.randrange(payments // 2))
            victim = child.process
            if kill % 5 == 4:
                victim = next(each for each in server_processes(port) if each != child.process)
            os.kill(victim, signal.SIGKILL)
            for each in sending:
                each.result()
            answered = sum(id in payer.answers for id in chosen)
            assert answered == payments if victim != child.process else answered > 0
            killed.append((victim != child.process, answered))
    assert any(answered < payments for _, answered in killed), "no kill interrupted anything"
    with Ledger.open(folder, create=False) as ledger:
        ledger.check()
        found = {id: ledger.result_of(id) for id in payer.bodies}
        for id, members in payer.answers.items():
            bound = found[id]
            assert bound is not None
            assert (bound.result, str(bound.time_ns)) == (Result.CREATED, members["time_ns"])
        made = sum(each is not None for each in found.values())
        assert len(payer.answers) <= made
        # Each payment moved its amount once.
        balances = {account: ledger.balance(account) for account in ACCOUNTS}
        assert sum(balances.values()) == MONEY * len(ACCOUNTS)
        paid = sum(MONEY - balances[account] for account in ACCOUNTS if account not in (ANN, BOB))
        expected = sum(
            each is not None and ACCOUNTS[id % len(ACCOUNTS)] not in (ANN, BOB) for id, each in found.items()
        )
        assert paid == expected


def wait_until(is_done: Any) -> None:
    until_s = time.monotonic() + 30
    while not is_done():
        assert time.monotonic() < until_s, "no payment is answered"
        time.sleep(0.002)


@MAY_FORK
def test_killed_five_times(tmp_path: Path) -> None:
    kill_and_pay(tmp_path / "ledger", 5, seed=1, payments=60)


@MAY_FORK
@pytest.mark.soak
def test_killed_fifty_times(tmp_path: Path) -> None:
    kill_and_pay(tmp_path / "ledger", 50, seed=2, payments=400)
