"""A served bank for tests: the application on a real socket, in this process, on a thread of its own."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from fastapi import FastAPI

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.errors import UnavailableError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.records.envelopes import sign
from sycee.core.records.layout import OPERATION
from sycee.database.requests import StoredRequests
from sycee.database.transactions import write
from sycee.server import app
from sycee.server.app import create_server
from sycee.server.auth.logins import PASSKEY, Login
from sycee.server.auth.service import Authentication
from sycee.server.auth.settings import AuthSettings
from sycee.server.connections import ConnectionLimits, LimitedProtocol
from sycee.server.tables import SCHEMA

START_S_MAX = 20
SIGNED_ROUNDS_MAX = 3  # a change of a key is signed in two parts, a recovery in three

# Every server has the same routers, and FastAPI needs 0.4 s of CPU time to resolve the dependencies of their routes.
_first: list[Any] = []  # the routers as the first server of this process includes them
_resolve = app._resolve_dependencies


def _resolve_once(application: FastAPI) -> None:
    """Resolve dependencies as a server does; those that the first server of this process resolved are used again."""
    included = [route for route in application.routes if hasattr(route, "original_router")]
    for route, known in zip(included, _first, strict=False):
        if route.original_router is known.original_router:
            route._effective_candidates = known._effective_candidates
            route._effective_candidates_version = known._effective_candidates_version
    _resolve(application)
    if not _first:
        _first.extend(included)


app._resolve_dependencies = _resolve_once


@contextmanager
def served(bank: Bank, limits: ConnectionLimits | None = None, port: int = 0) -> Iterator[str]:
    """The address of a server of an open bank; the server stops at the end of the block."""
    app = create_server(bank)
    protocol = LimitedProtocol.bound_to(limits or ConnectionLimits(), whole=app)
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, loop="uvloop", http=protocol, ws="none", log_level="warning",
        server_header=False, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    started = threading.Event()
    while not server.started:
        assert thread.is_alive(), "the server has ended"
        started.wait(0.01)
    (socket,) = server.servers[0].sockets
    try:
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S_MAX)
        assert not thread.is_alive()


@contextmanager
def anonymous(bank: Bank) -> Iterator[httpx.Client]:
    """A client without a login."""
    with served(bank) as address, httpx.Client(base_url=address) as client:
        yield client


def session_of(bank: Bank, person: int) -> httpx.Cookies:
    """The cookie of a new session of a person, as after a login with a passkey."""
    bank.add_schema(SCHEMA)
    sessions = Authentication(bank, AuthSettings.of(bank.config)).sessions
    login = Login(0, person, PASSKEY)
    token = write(bank.stores.engine, lambda connection: sessions.begin(connection, login))
    return httpx.Cookies({sessions.cookie_name: token})


def logged_in(bank: Bank, address: str, person: int) -> httpx.Client:
    """A client with the session of a person. Close it."""
    headers = {"Origin": bank.config.text("http_origin"), "Sec-Fetch-Site": "same-origin"}
    return httpx.Client(base_url=address, cookies=session_of(bank, person), headers=headers)


def signed(
    client: httpx.Client, path: str, body: dict[str, Any], *keys: SigningKey, claims: PublicKey | None = None
) -> httpx.Response:
    """Send an action; if records must be signed, sign them with `keys`, and send the action again.

    `claims`: the public key that the only one of `keys` is taken for.
    """
    made: list[str] = []
    for _ in range(SIGNED_ROUNDS_MAX):
        answer = client.post(path, json={**body, "envelopes": made} if made else body)
        if answer.status_code != 202:
            return answer
        made += envelopes(answer.json()["to_sign"], keys, claims)
    return client.post(path, json={**body, "envelopes": made})


def envelopes(asked: dict[str, Any], keys: Sequence[SigningKey], claims: PublicKey | None = None) -> list[str]:
    """The envelopes that an answer 202 asks for. `claims`: as of `signed`."""
    records = np.frombuffer(base64.b64decode(asked["records"]), OPERATION)
    by_text = {str(claims or key.public): key for key in keys}
    envelopes = [
        sign(
            records,
            bytes.fromhex(asked["ledger_id"]),
            ids.parse(each["id"]),
            by_text[each["key"]],
            int(asked["valid_until_ns"]),
            currency=each["currency"],
            key_epoch=each["key_epoch"],
        )
        for each in asked["signers"]
    ]
    return [base64.b64encode(each.encode()).decode() for each in envelopes]


def signed_message(client: httpx.Client, path: str, body: dict[str, Any], key: SigningKey) -> httpx.Response:
    """Send an action whose message is signed, sign the message with `key`, and send the action again."""
    answer = client.post(path, json=body)
    if answer.status_code != 202:
        return answer
    message = bytes.fromhex(answer.json()["message_to_sign"]["message"])
    return client.post(path, json={**body, "signature": key.sign(message).hex()})


def sent_after_a_crash(send: Callable[[], httpx.Response]) -> httpx.Response:
    """Send an action whose answer a crash loses after its change, then send it again twice; return the later answer.

    `send` sends the same request each time.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in ("begin", "finish"):
            patch.setattr(StoredRequests, name, _crash)
        first = send()
    assert first.status_code in (201, 503), first.text
    again, later = send(), send()
    assert again.status_code == (200 if first.status_code == 201 else 201), again.text
    assert first.status_code == 503 or first.json() == again.json()
    assert (later.status_code, later.json()) == (200, again.json())
    return later


def _crash(*arguments: object) -> None:
    raise UnavailableError("the process ended before it stored the answer")


def new_id() -> str:
    """A fresh id for an action, as text."""
    return ids.format(ids.new(time.time_ns() // 1_000_000))
