"""A server of signed payments for tests: uvicorn with uvloop and httptools on a thread, over a small ledger."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import uvicorn

from sycee.core.keys import SigningKey
from sycee.core.records import envelopes, operations
from sycee.core.records.layout import AccountKind, Role
from sycee.sequencer.embedded import Ledger, Signer
from sycee.server.connections import ConnectionLimits, LimitedProtocol
from sycee.server.payments.app import PaymentsApp, RefusalStore
from sycee.server.payments.settings import PaymentSettings

ISSUANCE, SUSPENSE, FULL = 1, 2, 3
FIRST_WALLET = 1_000
WALLETS = 8  # per curve
MONEY = 1_000_000
UNTIL_NS = 2**62
TYPE = "application/vnd.sycee.payment"


def seed_of(account: int) -> bytes:
    return account.to_bytes(32, "little")


def curve_of(account: int) -> str:
    return "Ed25519" if account < FIRST_WALLET + WALLETS else "P-256"


def key_of(account: int) -> SigningKey:
    return SigningKey.derive(seed_of(account), "ed25519" if curve_of(account) == "Ed25519" else "p256")


ACCOUNTS = range(FIRST_WALLET, FIRST_WALLET + 2 * WALLETS)
ANN, BOB, EVE = ACCOUNTS[:3]


OFFICERS = [Signer(person, SigningKey.derive(bytes([person]) * 32)) for person in (50, 51)]


def open_town(ledger: Ledger) -> None:
    """Open wallets with money and keys, and an account that can receive nothing; name two officers."""
    numbers = iter(range(10**9, 2 * 10**9))
    records = [
        operations.define_currency(next(numbers), currency=156, zone="Asia/Shanghai"),
        operations.open_account(next(numbers), account=ISSUANCE, currency=156, kind=AccountKind.ISSUANCE),
        operations.open_account(next(numbers), account=SUSPENSE, currency=156, kind=AccountKind.SUSPENSE),
        operations.define_rule_set(next(numbers), rule_set=1, from_ns=0, until_ns=UNTIL_NS, balance_max=1),
    ]
    for account in (FULL, *ACCOUNTS):
        records.append(
            operations.open_account(
                next(numbers), account=account, currency=156, kind=AccountKind.WALLET, suspense=SUSPENSE,
                rule_set=int(account == FULL),
            )
        )  # fmt: skip
    for account in ACCOUNTS:
        public = key_of(account).public
        records += [
            operations.set_key(next(numbers), account=account, key=public.key, flags=public.flags),
            operations.transfer(next(numbers), debit=ISSUANCE, credit=account, amount=MONEY),
        ]
    for person, officer in ((each.id, each.key.public) for each in OFFICERS):
        records.append(
            operations.grant_role(
                next(numbers), person=person, role=Role.OFFICER, key=officer.key, flags=officer.flags, from_ns=0,
                until_ns=UNTIL_NS,
            )
        )  # fmt: skip
    ledger.submit(np.concatenate(records))
    assert ledger.authority_on


def signed(ledger: Ledger, record: Any, payer: int = ANN, *, key: SigningKey | None = None) -> bytes:
    """Return the 232 bytes of a record with its payer's envelope."""
    envelope = envelopes.sign(
        record, ledger.ledger_id, payer, key or key_of(payer), UNTIL_NS, currency=156, key_epoch=1
    )
    return bytes(record.tobytes() + envelope.encode())


@dataclass
class Serving:
    """A running server."""

    ledger: Ledger
    app: PaymentsApp
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def serving(
    folder: Path,
    settings: PaymentSettings | None = None,
    *,
    otherwise: Any = None,
    refusals: RefusalStore | None = None,
    signature_workers: int = 0,
    uds: Path | None = None,
) -> Iterator[Serving]:
    """Serve a small ledger until the block ends, on a port or on the Unix socket `uds`."""
    with Ledger.open(folder / "ledger", signature_workers=signature_workers) as ledger:
        open_town(ledger)
        app = PaymentsApp(ledger.asynchronous, settings or PaymentSettings(), otherwise=otherwise, refusals=refusals)
        protocol = LimitedProtocol.bound_to(ConnectionLimits(), whole=app)
        listening = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        server = uvicorn.Server(
            uvicorn.Config(
                app, loop="uvloop", http=protocol, ws="none", lifespan="off", access_log=False, log_config=None,
                proxy_headers=False, uds=str(uds) if uds else None,
            )
        )  # fmt: skip
        thread = threading.Thread(target=server.run, args=(None if uds else [listening],))
        thread.start()
        deadline_s = time.monotonic() + 30
        while not server.started and time.monotonic() < deadline_s:
            time.sleep(0.005)
        assert server.started
        try:
            yield Serving(ledger, app, listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(30)
            listening.close()


class Answer:
    """Status, headers and body of one response."""

    def __init__(self) -> None:
        self.status, self.body, self.headers, self.is_complete = 0, b"", dict[str, str](), False
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.status, self.is_complete = self.parser.get_status_code(), True


def connect(place: int | Path, address: str) -> socket.socket:
    if isinstance(place, int):
        # Without an address of its own, a connection may have a port that one to another server still holds.
        own = None if address == "127.0.0.1" else (address, 0)
        connection = socket.create_connection(("127.0.0.1", place), 20, source_address=own)
        if connection.getsockname() == connection.getpeername():  # no server listens, and the port was free
            connection.close()
            raise ConnectionRefusedError("connected to itself")
        return connection
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(place))
    return connection


def send(place: int | Path, data: bytes, *, address: str = "127.0.0.1", after: bytes = b"") -> Answer:
    """Send bytes from an address, then `after` in a packet of its own; return the response."""
    answer = Answer()
    with connect(place, address) as connection:
        connection.sendall(data)
        if after:
            time.sleep(0.02)
            connection.sendall(after)
        while not answer.is_complete:
            received = connection.recv(1 << 16)
            assert received, "the connection ended before the response"
            answer.parser.feed_data(received)
    return answer


def post(port: int, body: bytes, *, type: str = TYPE, address: str = "127.0.0.1", path: str = "/v1/payments") -> Answer:
    """Send one payment."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return send(port, head.encode() + body, address=address)
