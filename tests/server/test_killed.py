"""The server of a bank, killed under load: acknowledged payments are found once, and events have no gap."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.bank.world import START_NS
from tests.forked import MAY_FORK, Child
from tests.server.world import new_id, session_of, signed
from tests.wallets import world
from tests.wallets.world import LEO_KEY, Town

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.records import operations
from sycee.core.result_codes import Result
from sycee.sequencer.signer import Signer, sign_records
from sycee.server.app import create_server
from sycee.server.tables import SCHEMA

PAID_BEFORE_KILL = 12  # at most, drawn for each kill
WAIT_S = 30


def serve(folder: Path, listening: socket.socket) -> None:
    with Bank.open(folder, signature_workers=1, schemas=(SCHEMA,)) as bank:
        config = uvicorn.Config(
            create_server(bank), loop="uvloop", http="httptools", ws="none", access_log=False, log_config=None
        )
        uvicorn.Server(config).run([listening])


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, Child]]:
    """A server in a forked process, which has imported everything, and its address."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        child = Child(lambda: serve(folder, listening))
    try:
        yield address, child
    finally:
        child.kill()


class Payer:
    """A citizen who pays one cent at a time: every second payment with a text, which goes through SQL as well."""

    def __init__(self, town: Town) -> None:
        self.leo, self.shop = town.leo, town.shop
        self.ledger_id = town.bank.stores.ledger.ledger_id
        self.signer = Signer.of_account(town.bank.stores.ledger.account(town.leo), LEO_KEY)
        self.acknowledged: set[int] = set()
        self.unknown: list[tuple[int, bool]] = []

    def pay(self, client: httpx.Client, id: int, *, with_text: bool) -> None:
        if with_text:
            body = {"id": ids.format(id), "payee": ids.format(self.shop), "minor": "1", "text": "one cent"}
            answer = signed(client, f"/v1/wallets/{ids.format(self.leo)}/payments", body, LEO_KEY)
        else:
            record = operations.pay(id, payer=self.leo, payee=self.shop, amount=1)
            (envelope,) = sign_records(record, self.ledger_id, [self.signer], START_NS + 3_600 * 10**9)
            content = {"record": record.tobytes(), "envelope": envelope.encode()}
            answer = client.post(
                "/v1/payments", json={name: base64.b64encode(raw).decode() for name, raw in content.items()}
            )
        assert answer.status_code in (200, 201), answer.text
        self.acknowledged.add(id)

    def run(self, client: httpx.Client, stop: threading.Event) -> None:
        """Send again what has no answer, then new payments, until the server is gone."""
        waiting, self.unknown = self.unknown, []
        number = 0
        while not stop.is_set():
            id, with_text = waiting.pop() if waiting else (ids.parse(new_id()), number % 2 == 0)
            number += 1
            try:
                self.pay(client, id, with_text=with_text)
            except httpx.HTTPError:
                self.unknown += [(id, with_text), *waiting]
                return


class Follower:
    """A reader of the event stream, which continues after its last event."""

    def __init__(self) -> None:
        self.last = "0.0.0"
        self.payments: list[str] = []

    def run(self, address: str, cookies: httpx.Cookies) -> None:
        try:
            with (
                httpx.Client(base_url=address, cookies=cookies, timeout=WAIT_S) as client,
                client.stream("GET", "/v1/events", headers={"Last-Event-ID": self.last}) as stream,
            ):
                event: dict[str, str] = {}
                for line in stream.iter_lines():
                    if line:
                        name, _, value = line.partition(":")
                        event[name] = value.removeprefix(" ")
                        continue
                    if "id" in event:
                        self.last = event["id"]
                        if event.get("event") == "payment.made":
                            self.payments.append(json.loads(event["data"])["operation"])
                    event = {}
        except httpx.HTTPError:
            return


def kill_and_pay(folder: Path, kills: int, *, seed: int) -> None:
    drawn, follower = random.Random(seed), Follower()
    with world.bank("sqlite", folder) as town:
        payer, money = Payer(town), town.balance(town.leo)
        cookies = session_of(town.bank, town.holder(town.leo))
    path = folder / "bank"
    headers = {"Origin": "http://localhost:8420", "Sec-Fetch-Site": "same-origin"}
    for kill in range(kills + 1):
        with (
            running(path) as (address, child),
            httpx.Client(base_url=address, cookies=cookies, headers=headers, timeout=WAIT_S) as client,
        ):
            stop, before = threading.Event(), len(payer.acknowledged) + len(payer.unknown)
            threads = [
                threading.Thread(target=payer.run, args=(client, stop)),
                threading.Thread(target=follower.run, args=(address, cookies)),
            ]
            for thread in threads:
                thread.start()
            wanted = before + 1 + drawn.randrange(PAID_BEFORE_KILL)
            until_s = time.monotonic() + WAIT_S
            while len(payer.acknowledged) < wanted:
                assert time.monotonic() < until_s, "no payment is answered"
                assert threads[0].is_alive()
                time.sleep(drawn.random() * 0.01)
            if kill == kills:
                stop.set()
                threads[0].join()
                _wait_for_events(follower, payer)
            os.kill(child.process, signal.SIGKILL)
            for thread in threads:
                thread.join(WAIT_S)
                assert not thread.is_alive()
    with Bank.open(path, schemas=(SCHEMA,)) as bank:
        assert bank.check() == []
        ledger = bank.stores.ledger
        ledger.check()
        for id in payer.acknowledged:
            bound = ledger.result_of(id)
            assert bound is not None
            assert bound.result is Result.CREATED
        assert ledger.balance(payer.leo) == money - len(payer.acknowledged)  # the last run sent all again
    assert len(follower.payments) == len(set(follower.payments))
    assert {ids.parse(each) for each in follower.payments} == payer.acknowledged


def _wait_for_events(follower: Follower, payer: Payer) -> None:
    until_s = time.monotonic() + WAIT_S
    while len(follower.payments) < len(payer.acknowledged):
        assert time.monotonic() < until_s, "events are missing"
        time.sleep(0.02)


@MAY_FORK
def test_a_bank_is_killed_five_times(tmp_path: Path) -> None:
    kill_and_pay(tmp_path, 5, seed=1)


@MAY_FORK
@pytest.mark.soak
def test_a_bank_is_killed_fifty_times(tmp_path: Path) -> None:
    kill_and_pay(tmp_path, 50, seed=2)
