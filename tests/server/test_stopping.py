"""Start and stop of `sycee serve`: what is answered meanwhile, and that requests in progress are completed."""

from __future__ import annotations

import signal
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.bank import world
from tests.cli.calling import start

from sycee.bank.bank import Bank
from sycee.core.errors import UnavailableError, UsageError
from sycee.server.listening import Starting, listen

PATIENCE_S = 60
CALLERS = 4
DRAIN_S = "5"  # a busy machine needs time for three requests before the socket closes


def test_a_socket_answers_while_the_bank_is_opened() -> None:
    with listen("127.0.0.1:0") as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Starting(listening):
            assert httpx.get(f"{address}/healthz").json() == {"status": "alive"}
            starting = httpx.get(f"{address}/readyz")
            assert (starting.status_code, starting.headers["retry-after"]) == (503, "1")
            assert starting.json()["detail"] == "the server is starting"
            assert httpx.post(f"{address}/v1/payments", content=b"x").status_code == 503


def test_a_killed_servers_unix_socket_is_replaced_and_a_live_ones_is_not(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    killed = listen(f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with pytest.raises(UnavailableError, match="cannot listen"):
        listen(f"unix:{path}")
    killed.close()
    with listen(f"unix:{path}"):
        pass
    path.unlink()
    path.write_text("a file of somebody")
    with pytest.raises(UnavailableError, match="cannot listen"):
        listen(f"unix:{path}")
    assert path.read_text() == "a file of somebody"


def test_a_wrong_address_and_a_port_in_use_are_named() -> None:
    with pytest.raises(UsageError, match="is no address"):
        listen("no-such-host.invalid:80")
    with listen("127.0.0.1:0") as taken, pytest.raises(UnavailableError, match="in use"):
        listen(f"127.0.0.1:{taken.getsockname()[1]}")


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_stop_under_load_completes_what_was_begun(tmp_path: Path) -> None:
    with world.bank("sqlite", tmp_path, operators=True) as bank:
        folder = bank.folder.path
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = start(
        "serve", str(folder), SYCEE_HTTP_ADDRESS=f"127.0.0.1:{port}", SYCEE_HTTP_DRAIN_SECONDS=DRAIN_S,
        SYCEE_SIGNATURE_WORKERS="0", SYCEE_HTTP_LOG="failures",
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        assert process.stderr is not None
        assert f"serves {folder}" in process.stderr.readline()
        assert httpx.get(f"{address}/readyz").status_code == 200
        is_draining = threading.Event()
        all_began = threading.Barrier(CALLERS + 1)

        def call() -> int:
            """Send requests until the server drains, as a load balancer does; return their number."""
            answered = 0
            with httpx.Client(base_url=address) as client:  # making one takes longer than a request
                all_began.wait(PATIENCE_S)
                while not answered or not is_draining.is_set():
                    assert client.get("/v1/supply").status_code == 200
                    answered += 1
            return answered

        with (
            ThreadPoolExecutor(CALLERS) as pool,
            socket.create_connection(("127.0.0.1", port)) as slow,
            httpx.Client(base_url=address) as balancer,
        ):
            slow.sendall(b"POST /oauth/token HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\ngrant")
            calls = [pool.submit(call) for _ in range(CALLERS)]
            all_began.wait(PATIENCE_S)
            process.send_signal(signal.SIGTERM)
            while (draining := balancer.get("/readyz")).status_code == 200:
                pass
            assert draining.json()["detail"] == "the server is starting or stopping"
            assert balancer.get("/healthz").status_code == 200
            is_draining.set()
            assert min(each.result() for each in calls) > 0
            while is_open(port):
                time.sleep(0.02)
            slow.sendall(b"_ty")
            slow.settimeout(PATIENCE_S)
            assert slow.recv(4_096).startswith(b"HTTP/1.1 415 ")
        assert process.communicate(timeout=PATIENCE_S)[1] == f"{folder} is closed\n"
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait(PATIENCE_S)
    with Bank.open(folder) as bank:
        assert bank.findings == []
