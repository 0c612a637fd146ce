"""Run the server of a data folder until a signal stops it."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import uvicorn

from sycee.bank.bank import Bank
from sycee.server.app import create_server
from sycee.server.connections import ConnectionLimits, LimitedProtocol

# A handler of Python code may hold the interpreter for this long while a payment waits for it.
SWITCH_INTERVAL_S: Final = 0.0005
STOP_S_MAX: Final = 10  # for requests in progress at a stop
KEEP_ALIVE_S: Final = 30
BACKLOG: Final = 2048


class Server(uvicorn.Server):
    """A uvicorn server that reports when it accepts requests, and ends streams before it waits for requests."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None], before_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._before_stop = before_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and report."""
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, complete the requests in progress, and stop."""
        self._before_stop()
        await super().shutdown(sockets)


def serve(bank: Bank, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve an open bank until SIGINT or SIGTERM; complete the requests in progress, and return.

    Configures this process as a server: garbage collection and the interpreter's switch interval.
    """
    text = bank.config.text
    address = text("http_address")
    host, _, port = address.rpartition(":")
    is_unix = address.startswith("unix:")
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    app = create_server(bank)
    config = uvicorn.Config(
        app,
        host=None if is_unix else host.strip("[]"),  # type: ignore[arg-type]
        port=0 if is_unix else int(port),
        uds=str(Path(address.removeprefix("unix:"))) if is_unix else None,
        loop="uvloop",
        http=LimitedProtocol.bound_to(ConnectionLimits()),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S_MAX,
        ssl_certfile=text("http_certificate") or None,
        ssl_keyfile=text("http_certificate_key") or None,
    )
    Server(config, on_ready, app.before_stop).run()
