"""Run the server of a data folder until a signal stops it."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Final

import uvicorn

from sycee.bank.bank import Bank
from sycee.bank.config import Config
from sycee.bank.folder import DataFolder
from sycee.server.app import create_server
from sycee.server.connections import ConnectionLimits, LimitedProtocol
from sycee.server.listening import BACKLOG, UNIX, Starting, listen
from sycee.server.observing import json_logs
from sycee.server.runtime import Runtime
from sycee.server.service_manager import READY, STOPPING, notify
from sycee.server.tables import SCHEMA

# A handler of Python code may hold the interpreter for this long while a payment waits for it.
SWITCH_INTERVAL_S: Final = 0.0001
STOP_S_MAX: Final = 10  # for requests in progress at a stop
KEEP_ALIVE_S: Final = 30
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """A uvicorn server that reports when it accepts requests, and stops in two steps.

    After a signal `/readyz` is answered 503 for `drain_s` seconds, while all other requests are served: a load balancer
    sends no more. Then the server accepts no connection and completes the requests in progress. A second SIGINT ends
    the waiting.
    """

    def __init__(
        self, config: uvicorn.Config, runtime: Runtime, *,
        on_ready: Callable[[], None], before_stop: Callable[[], None], drain_s: float = 0,
    ) -> None:  # fmt: skip
        super().__init__(config)
        self._on_ready = on_ready
        self._before_stop = before_stop
        self._runtime = runtime
        self._drain_s = drain_s
        self._drained_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and report."""
        await super().startup(sockets)
        if self.started:
            notify(READY)
            self._on_ready()

    async def on_tick(self, counter: int) -> bool:
        """Return whether the server stops accepting connections."""
        is_over = await super().on_tick(counter)
        if not is_over:
            return False
        if self._drained_at is None:
            self._drained_at = monotonic() + self._drain_s
            self._runtime.is_stopping = True
            notify(STOPPING)
        return self.force_exit or monotonic() >= self._drained_at

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams of events, complete the requests in progress, and stop."""
        self._before_stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal. uvicorn would raise it again, and end the process before the bank is closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {each: signal.signal(each, self.handle_exit) for each in _SIGNALS}
        try:
            yield
        finally:
            for each, handler in handlers.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop, or end the waiting at a second SIGINT."""
        self.force_exit |= self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def serve_folder(
    folder: Path,
    *,
    options: Mapping[str, str] | None = None,
    on_open: Callable[[Bank], None] = lambda _: None,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Open the bank in a folder and serve it until SIGINT or SIGTERM; close it, and return.

    The socket answers during the opening, too: 503. `options` are settings that win over environment and file.
    `on_open` is called with the open bank, `on_ready` when requests are served. Raises the errors of `Bank.open` and of
    `listen`.
    """
    config = Config.load(DataFolder(folder), options)
    workers = int(config.text("signature_workers"))
    address = config.text("http_address")
    listening = listen(address)
    level = logging.INFO if config.text("http_log") == "requests" else logging.ERROR
    with listening, json_logs(level):
        try:
            if config.text("http_certificate"):  # connections wait for the handshake
                bank = Bank.open(folder, options=options, signature_workers=workers, schemas=(SCHEMA,))
            else:
                with Starting(listening):
                    bank = Bank.open(folder, options=options, signature_workers=workers, schemas=(SCHEMA,))
            with bank:
                on_open(bank)
                serve(bank, listening, on_ready=on_ready)
        finally:
            if address.startswith(UNIX):
                with suppress(OSError):
                    Path(address.removeprefix(UNIX)).unlink()


def serve(bank: Bank, listening: socket.socket, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve an open bank until SIGINT or SIGTERM; complete the requests in progress, and return.

    Configures this process as a server: garbage collection and the interpreter's switch interval.
    """
    text = bank.config.text
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(50_000, 50, 50)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    runtime = Runtime(bank)
    app = create_server(bank, runtime)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=LimitedProtocol.bound_to(ConnectionLimits(), whole=app),
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_S_MAX,
        ssl_certfile=text("http_certificate") or None,
        ssl_keyfile=text("http_certificate_key") or None,
    )
    drain_s = float(text("http_drain_seconds"))
    server = Server(config, runtime, on_ready=on_ready, before_stop=app.before_stop, drain_s=drain_s)
    server.run(sockets=[listening])
