"""A served bank to attack: two operators with a program each, and what attackers send and compare."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.bank.world import ANN, SOUTH
from tests.server.auth.parties import Machine, new_key, public_of
from tests.server.world import logged_in, new_id, served
from tests.wallets import world
from tests.wallets.world import Town

from sycee.core import ids
from sycee.core.clock import RealClock, SimulatedClock
from sycee.core.keys import SigningKey
from sycee.core.records import envelopes
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

ORIGIN = "http://localhost:8420"
EVIL = "evil.example"
PAYMENT = {"content-type": "application/vnd.sycee.payment"}
MISSING = ids.format(int.from_bytes(b"x" * 16, "big"))
SUE = {"name": "Sue", "phone": "+86 138 0000 0009"}
REQUEST_ID = re.compile(r'"request_id": ?"[0-9a-f]+"')


@dataclass(frozen=True)
class Place:
    """A served bank with two operators, and a program of each."""

    town: Town
    address: str
    sue: int  # custodial, of South
    north: Machine
    south: Machine
    senders: Iterator[str]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def client(self, **options: Any) -> httpx.Client:
        """A client with an address of its own, so that no attack counts against another test."""
        transport = httpx.HTTPTransport(local_address=next(self.senders))
        return httpx.Client(base_url=self.address, transport=transport, timeout=30, **options)

    def citizen(self, account: int) -> httpx.Client:
        return logged_in(self.town.bank, self.address, self.town.holder(account))


@contextmanager
def attacked(folder: Path) -> Iterator[Place]:
    """Serve a town with a second operator."""
    with world.bank("sqlite", folder) as town:
        bank = town.bank
        number = world.join(bank, "South Bank", SOUTH)
        south = world.person(bank, SOUTH)
        wallet = bank.wallets.open_person(SUE, operator=number, tier="class-4", signers=bank.signers(SOUTH), who=south)
        bank.add_schema(SCHEMA)
        machines = [program(town, person, operator) for person, operator in ((town.north, 2), (south, number))]
        senders = (f"127.0.{third}.{fourth}" for third in range(9, 250) for fourth in range(1, 250))
        with served(bank) as address:
            yield Place(town, address, wallet.account, machines[0], machines[1], senders)


def program(town: Town, person: int, operator: int, **others: Any) -> Machine:
    key, bank = new_key("ES256"), town.bank
    officer = world.person(bank, ANN)
    made = Registers(bank).clients.register(
        person, public_of(key), by=officer, name="attacked", operator=operator, **others
    )
    return Machine(ids.format(made.id), key, SimulatedClock(RealClock().now_ns()), issuer=ORIGIN)


class Program:
    """Requests with the token of a program."""

    def __init__(self, http: httpx.Client, machine: Machine, **form: str) -> None:
        self.http, self.machine = http, machine
        machine.clock.set(RealClock().now_ns())
        answer = http.post("/oauth/token", data=machine.form(**form), headers={"DPoP": machine.proof()})
        assert answer.status_code == 200, answer.text
        self.token = str(answer.json()["access_token"])

    def send(self, method: str, path: str, body: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        self.machine.clock.set(RealClock().now_ns())
        shown = self.machine.proof(method=method, url=f"{ORIGIN}{path}", token=self.token)
        sent = {"Authorization": f"DPoP {self.token}", "DPoP": shown} | headers
        return self.http.request(method, path, json=body, headers=sent)


def payments_of(account: int) -> str:
    return f"/v1/wallets/{ids.format(account)}/payments"


def payment_to(account: int, **changes: str) -> dict[str, str]:
    return {"id": new_id(), "payee": ids.format(account), "minor": "100", "text": "x"} | changes


def content(answer: httpx.Response) -> tuple[int, str]:
    """What an attacker can compare: status and bytes, without the id of the request."""
    return answer.status_code, REQUEST_ID.sub("", answer.text)


@contextmanager
def nothing_moves(town: Town) -> Iterator[None]:
    """No balance of the ledger changes in this block."""
    ledger = town.bank.stores.ledger
    before = {each.id: each.balance for each in ledger.accounts()}
    yield
    assert {each.id: each.balance for each in ledger.accounts()} == before


def sealed(town: Town, record: Any, signer: int, key: SigningKey, **fields: int) -> bytes:
    ledger = town.bank.stores.ledger
    fields = {"currency": 156, "key_epoch": 1} | fields
    envelope = envelopes.sign(record, ledger.ledger_id, signer, key, 2**62, **fields)
    return bytes(record[:1].tobytes() + envelope.encode())


def connected(place: Place, sender: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", place.port), 30, source_address=(sender, 0))


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = b""
    with suppress(ConnectionError):
        while data := connection.recv(1 << 16):
            received += data
    return received
