"""A served bank for tests: the application on a real socket, in this process, on a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn

from sycee.bank.bank import Bank
from sycee.server.app import create_server

START_S_MAX = 20


@contextmanager
def served(bank: Bank) -> Iterator[str]:
    """The address of a server of an open bank; the server stops at the end of the block."""
    config = uvicorn.Config(
        create_server(bank), host="127.0.0.1", port=0, loop="uvloop", http="httptools", ws="none", log_level="warning"
    )
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
