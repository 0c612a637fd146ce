"""A served town with registered programs, and transports that lose or change what real connections carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from tests.server.world import served
from tests.wallets import world
from tests.wallets.world import ANN, BOB, LEO_KEY, NORTH, Town

from sycee.bank.bank import Bank
from sycee.client import Client, Credentials, Signer
from sycee.client.values import Payer
from sycee.core import ids
from sycee.core.keys import SigningKey
from sycee.identity.duties import Duty
from sycee.server.auth.registers import Registers
from sycee.server.tables import SCHEMA

PROGRAM, READER = (SigningKey.derive(bytes([number]) * 32, kind) for number, kind in ((110, "p256"), (111, "ed25519")))
ANNS, BOBS = (SigningKey.derive(bytes([number]) * 32) for number in (112, 113))
DEADLINE_S = 5


@dataclass(frozen=True)
class Place:
    """A served town. `desk`: credentials of a program of North Bank; `reader`: of one that may only read.

    `ann`, `bob`: of the programs of two officers.
    """

    town: Town
    address: str
    origin: str
    desk: Credentials
    reader: Credentials
    ann: Credentials
    bob: Credentials

    def client(self, credentials: Credentials | None = None, **options: Any) -> Client:
        return Client(self.address, credentials, **self.options | options)

    @property
    def options(self) -> dict[str, Any]:
        return {"origin": self.origin, "deadline_s": DEADLINE_S}

    @property
    def staff(self) -> Signer:
        """The person of North Bank who signs for custodial wallets."""
        return Signer(self.town.north, NORTH)

    @property
    def leo(self) -> Payer:
        account = self.town.bank.stores.ledger.account(self.town.leo)
        ledger_id = self.town.bank.stores.ledger.ledger_id
        return Payer(self.town.leo, LEO_KEY, account.currency, account.key_epoch, ledger_id)


def program(town: Town, number: int, person: int, operator: int | None = None) -> Credentials:
    """Register a further program of a person, before the server starts. `number`: from which its key follows."""
    key, bank = SigningKey.derive(bytes([number]) * 32), town.bank
    clients = Registers(bank).clients
    made = clients.register(person, key.public, by=world.person(bank, ANN), name=f"no. {number}", operator=operator)
    return Credentials(ids.format(made.id), key)


def appointed(town: Town, duty: Duty, key: SigningKey, *, person: int = 0, institution: int = 0) -> int:
    """Give a duty to a person, a new one by default; return the person."""
    bank, until_ns = town.bank, world.START_NS + world.YEAR_NS
    officer = world.person(bank, ANN)
    made = bank.appointments.appoint(
        duty, key.public, until_ns=until_ns, maker=officer, person=person, institution=institution
    )
    assert bank.proposals.sign(made.id, ANN, BOB).needs == ()
    return world.person(bank, key)


@contextmanager
def place(folder: Path, prepare: Callable[[Town], None] = lambda _: None, **settings: str) -> Iterator[Place]:
    """Serve a fresh town. `prepare`: called before the server starts. `settings`: of its bank."""
    options = world.settled("").copy(folder)
    options = {**options, "country": "CN", "city": "Suzhou", "message_folder": str(folder / "outbox")}
    with Bank.open(folder / "bank", options=options | settings) as bank:
        town = world.town(bank)
        town.bank.add_schema(SCHEMA)
        clients = Registers(town.bank).clients
        officer = world.person(town.bank, ANN)
        desk = clients.register(town.north, PROGRAM.public, by=officer, name="core banking", operator=2)
        reader = clients.register(town.north, READER.public, by=officer, name="figures", operator=2, scopes=["read"])
        ann, bob = (
            clients.register(world.person(town.bank, key), own.public, by=officer, name="officer's", operator=None)
            for key, own in ((ANN, ANNS), (BOB, BOBS))
        )
        town.fund(town.ned, 300_00, "C-1")
        prepare(town)
        with served(town.bank) as address:
            yield Place(
                town,
                address,
                town.bank.config.text("http_origin"),
                Credentials(ids.format(desk.id), PROGRAM),
                Credentials(ids.format(reader.id), READER),
                Credentials(ids.format(ann.id), ANNS),
                Credentials(ids.format(bob.id), BOBS),
            )


@dataclass
class Losing(httpx.HTTPTransport):
    """A real connection that loses answers after the server gave them. `lose`: which requests."""

    lose: Callable[[httpx.Request], bool]
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        self.sent.append(f"{request.method} {request.url.path}")
        if self.lose(request):
            answer.read()
            raise httpx.ReadError("the connection was lost", request=request)
        return answer


@dataclass
class Lying(httpx.HTTPTransport):
    """A server that changes its answers."""

    change: Callable[[dict[str, Any]], None]

    def __post_init__(self) -> None:
        super().__init__()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        answer.read()
        if "oauth" in request.url.path:
            return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        members = answer.json()
        self.change(members)
        return httpx.Response(answer.status_code, json=members)


def first(count: int) -> Callable[[httpx.Request], bool]:
    """Choose the first `count` requests that pay."""
    left = [count]

    def chosen(request: httpx.Request) -> bool:
        if "payments" not in request.url.path or not left[0]:
            return False
        left[0] -= 1
        return True

    return chosen
