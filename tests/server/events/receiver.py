"""A receiver of webhooks on a real socket, and a program that registers them."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from tests.server.auth.parties import Machine, new_key, public_of

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.clock import RealClock, SimulatedClock
from sycee.core.keys import ED25519, PublicKey
from sycee.server.auth.registers import Registers

WAIT_S = 20.0
Decide = Callable[["Received"], int]


@dataclass(frozen=True)
class Received:
    """One request: its headers and body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found

    def verify(self, key: str) -> None:
        """Verify as the specification of Standard Webhooks says, with a key in its form."""
        scheme, _, signature = self.headers["webhook-signature"].partition(",")
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        public = PublicKey(ED25519, base64.b64decode(key.removeprefix("whpk_")))
        assert scheme == "v1a"
        assert public.verifies(base64.b64decode(signature), signed)
        assert abs(int(self.headers["webhook-timestamp"]) - time.time()) < WAIT_S


@dataclass
class Receiver:
    """`decide` returns the status for a request; `headers` are added to each answer."""

    decide: Decide = lambda _: 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_s: float = 0.0
    requests: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    port: int = 0

    def wait(self, count: int) -> list[Received]:
        """Return the requests once there are `count`."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, WAIT_S), self.requests
            return list(self.requests)

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/hook"


@contextmanager
def receiving(receiver: Receiver, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Serve a receiver on a free port of loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found = Received(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            status = receiver.decide(found)
            with receiver.changed:
                receiver.requests.append(found)
                receiver.changed.notify_all()
            time.sleep(receiver.delay_s)
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("content-length", str(len(receiver.body)))
            self.end_headers()
            if status != 204:
                self.wfile.write(receiver.body)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that closed its connection is part of the tests."""

    server = Server((host, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(WAIT_S)


class Program:
    """A registered program with its HTTP client."""

    def __init__(self, bank: Bank, person: int, *, by: int, operator: int | None = None) -> None:
        key = new_key("ES256")
        made = Registers(bank).clients.register(person, public_of(key), by=by, name="webhooks", operator=operator)
        self._origin = bank.config.text("http_origin")
        clock = SimulatedClock(RealClock().now_ns())
        self.client = ids.format(made.id)
        self._machine = Machine(self.client, key, clock, issuer=self._origin)
        self.connect("")

    def connect(self, address: str) -> None:
        """Use a server: the tokens of another one end."""
        self._address, self._token = address, ""

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        """Send a request with a token and a proof."""
        machine = self._machine
        machine.clock.set(max(machine.clock.now_ns(), RealClock().now_ns()))
        with httpx.Client(base_url=self._address, timeout=WAIT_S) as http:
            if not self._token:
                answer = http.post("/oauth/token", data=machine.form(), headers={"DPoP": machine.proof()})
                self._token = answer.json()["access_token"]
            proof = machine.proof(method=method, url=f"{self._origin}{path}", token=self._token)
            headers = {"Authorization": f"DPoP {self._token}", "DPoP": proof}
            return http.request(method, path, json=body, headers=headers)
