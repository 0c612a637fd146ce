"""Connections that send too much, too slowly, nothing, or are too many."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import uvicorn

from sycee.server.connections import ConnectionLimits, JoinedHeads, LimitedProtocol
from sycee.server.payments.answers import Answer

HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"
LATER_S = 0.3  # more than uvicorn needs to notice that it must stop
LARGE = 16 << 20  # more than the buffers of two sockets


async def echo(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/early":
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
        await send({"type": "http.response.body", "body": bytes(LARGE)})
        return
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"%8d" % size})


class Whole:
    """An application that answers whole requests for /whole at once, later, with a task, or not: by their body."""

    def __init__(self) -> None:
        self.starts = self.tasks = 0

    def is_payment(self, scope: Any) -> bool:
        return scope["path"] == "/whole"

    def start(self, scope: Any, body: bytes, done: Any) -> None:
        self.starts += 1
        answer = Answer(201, [(b"content-length", b"%d" % len(body))], body)
        if body == b"later":
            asyncio.get_running_loop().call_later(LATER_S, done, answer)
        elif body in (b"task", b"error"):
            done(self.answer(answer))
        else:
            done(answer)

    async def answer(self, answer: Answer) -> Answer:
        await asyncio.sleep(LATER_S)
        if answer.body == b"error":
            raise RuntimeError("a defect")
        return answer

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.tasks += 1
        await echo(scope, receive, send)


@contextmanager
def serving(limits: ConnectionLimits, app: Any = echo, **options: Any) -> Iterator[tuple[int, type[LimitedProtocol]]]:
    protocol = LimitedProtocol.bound_to(limits, whole=app if isinstance(app, Whole) else None)
    more: Any = {"proxy_headers": False, "log_config": None, **options}
    config = uvicorn.Config(app, loop="uvloop", http=protocol, ws="none", lifespan="off", **more)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening.getsockname()[1], protocol
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
    assert protocol.counts.total() == 0


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10, source_address=(address, 0))


def rest(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    received = b""
    while data := connection.recv(1 << 16):
        received += data
    return received


def refusal(received: bytes) -> tuple[int, str]:
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    members = json.loads(body)
    assert int(head.split()[1]) == members["status"]
    return members["status"], members["type"]


class Written:
    """A transport that stores what is written."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        assert not self.is_closing()  # uvloop's transport raises an error
        self.pieces.append(data)

    def close(self) -> None:
        self.pieces.append(b"(closed)")

    def is_closing(self) -> bool:
        return b"(closed)" in self.pieces


def test_a_head_is_written_with_the_body() -> None:
    """A head without a body leaves in the next iteration of the loop, or before the connection is closed."""
    head = b"HTTP/1.1 200 OK\r\n\r\n"

    async def main() -> None:
        transport = Written()
        joined = JoinedHeads(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
        joined.write(head)
        joined.write(b"body")
        joined.write(b"more")
        assert transport.pieces == [head + b"body", b"more"]
        joined.write(head)
        assert len(transport.pieces) == 2
        await asyncio.sleep(0)
        assert transport.pieces[2:] == [head]
        joined.write(head)
        joined.write(memoryview(b"body"))
        joined.write(memoryview(b"more"))
        assert transport.pieces[3:] == [head + b"body", b"more"]
        joined.write(head)
        joined.close()
        await asyncio.sleep(0)
        assert transport.pieces[5:] == [head, b"(closed)"]
        assert joined.is_closing()
        lost = Written()
        joined = JoinedHeads(lost, asyncio.get_running_loop())  # type: ignore[arg-type]
        joined.write(head)
        lost.close()  # by the other side
        await asyncio.sleep(0)
        assert lost.pieces == [b"(closed)"]

    asyncio.run(main())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server that waits long for a request: a busy machine may send it late."""
    with serving(ConnectionLimits(header_bytes_max=2_000, request_s=60)) as (port, _):
        yield port


@pytest.fixture(scope="module")
def hurried_port() -> Iterator[int]:
    with serving(ConnectionLimits(header_bytes_max=2_000, request_s=0.1)) as (port, _):
        yield port


def test_complete_requests_are_answered_on_one_connection(port: int) -> None:
    with connect(port) as connection:
        for _ in range(3):
            connection.sendall(HEAD + b"a: " + b"b" * 1_000 + b"\r\ncontent-length: 5\r\n\r\n12345")
            assert connection.recv(1 << 16).endswith(b"\r\n\r\n       5")
        connection.sendall(2 * (HEAD + b"\r\n"))  # two at once
        received = b""
        while received.count(b"       0") < 2:
            received += connection.recv(1 << 16)


def test_a_connection_without_a_request_in_progress_has_the_limit_of_uvicorn() -> None:
    with serving(ConnectionLimits(request_s=1)) as (port, _), connect(port) as connection:
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        time.sleep(1.1)
        connection.sendall(HEAD + b"\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("start", [b"GET /", HEAD + b"a: "])
def test_a_header_without_end(port: int, start: bytes) -> None:
    with connect(port) as connection:
        connection.sendall(start)
        connection.sendall(b"b" * 4_000)
        assert refusal(rest(connection)) == (413, "/problems/too-large")


@pytest.mark.parametrize(
    "sent", [b"", b"GET", HEAD, HEAD + b"content-length: 5\r\n\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n"]
)
def test_a_request_that_does_not_end(hurried_port: int, sent: bytes) -> None:
    start = time.monotonic()
    with connect(hurried_port) as connection:
        connection.sendall(sent)
        assert refusal(rest(connection)) == (408, "/problems/request-timeout")
    assert time.monotonic() - start > 0.09


def test_a_request_that_ends_byte_by_byte(hurried_port: int) -> None:
    with connect(hurried_port) as connection:
        connection.sendall(HEAD + b"content-length: 1000\r\n\r\n")
        start = time.monotonic()
        with suppress(OSError):  # the connection is closed
            while time.monotonic() < start + 60:
                connection.sendall(b"1")
                time.sleep(0.005)
        assert time.monotonic() < start + 60


def test_nothing_follows_an_answer_that_came_before_the_body() -> None:
    with serving(ConnectionLimits(request_s=1)) as (port, _), connect(port) as connection:
        connection.sendall(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        received = rest(connection)
    assert received.startswith(b"HTTP/1.1 401 ")
    assert received.count(b"HTTP/1.1") == 1


def test_bytes_that_are_not_http(port: int) -> None:
    with connect(port) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert refusal(rest(connection)) == (400, "/problems/invalid-request")


def test_too_many_connections() -> None:
    with serving(ConnectionLimits(address_max=2, total_max=3)) as (port, protocol), ExitStack() as stack:
        first, _, third = (stack.enter_context(connect(port)) for _ in range(3))
        assert refusal(rest(third)) == (503, "/problems/unavailable")
        other = stack.enter_context(connect(port, "127.0.0.2"))
        other.sendall(HEAD + b"\r\n")
        assert other.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        last = stack.enter_context(connect(port, "127.0.0.3"))
        assert refusal(rest(last)) == (503, "/problems/unavailable")
        first.close()
        while protocol.counts["127.0.0.1"] > 1:
            time.sleep(0.005)
        again = stack.enter_context(connect(port))
        again.sendall(HEAD + b"\r\n")
        assert again.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")


def test_a_client_that_never_reads_is_disconnected() -> None:
    with serving(ConnectionLimits(unread_s=0.3)) as (port, protocol), connect(port) as silent:
        silent.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        deadline = time.monotonic() + 120
        while not protocol.counts.total():
            assert time.monotonic() < deadline
        with connect(port) as other:  # is served meanwhile
            other.sendall(HEAD + b"\r\n")
            assert other.recv(1 << 16).startswith(b"HTTP/1.1 200 OK")
        while protocol.counts.total():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with pytest.raises(ConnectionError):
            rest(silent)


def whole(body: bytes, more: bytes = b"") -> bytes:
    return b"POST /whole HTTP/1.1\r\nhost: x\r\n%bcontent-length: %d\r\n\r\n%b" % (more, len(body), body)


def responses(received: bytes) -> list[bytes]:
    """The bodies of responses that have a content-length."""
    bodies = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        bodies.append(received[:length])
        received = received[length:]
    return bodies


@pytest.mark.parametrize("plain", [True, False])
def test_whole_requests_are_answered_in_order_without_a_task(plain: bool) -> None:
    app = Whole()
    sent = [b"one", b"later", b"", b"task", b"two", b"later", b"last"]
    with serving(ConnectionLimits(), app, server_header=not plain, date_header=False) as (port, _):
        with connect(port) as connection:
            connection.sendall(b"".join(whole(body) for body in sent[:-1]) + whole(b"last", b"connection: close\r\n"))
            received = rest(connection)
        assert responses(received) == sent
        assert received.count(b"server: uvicorn") == (0 if plain else len(sent))
        assert (app.starts, app.tasks) == (len(sent), 0)
        with connect(port) as connection:  # separately, with an ordinary request between
            for body in sent:
                connection.sendall(whole(body))
                assert responses(connection.recv(1 << 16)) == [body]
            connection.sendall(HEAD + b"content-length: 3\r\n\r\n123")
            assert connection.recv(1 << 16).endswith(b"       3")
            connection.sendall(whole(b"again"))
            assert responses(connection.recv(1 << 16)) == [b"again"]
        assert (app.starts, app.tasks) == (2 * len(sent) + 1, 1)


def test_requests_that_are_not_whole_or_too_long_have_a_task() -> None:
    app = Whole()
    with serving(ConnectionLimits(), app) as (port, _), connect(port) as connection:
        request = whole(b"12345")
        for parts in ((request[:-2], request[-2:]), (request[:20], request[20:-4], request[-4:])):
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05)
            assert connection.recv(1 << 16).endswith(b"       5")
        for size in (1_025, 5_000):
            connection.sendall(whole(bytes(size)))
            assert connection.recv(1 << 16).endswith(b"%8d" % size)
        assert (app.starts, app.tasks) == (0, 4)
    with serving(ConnectionLimits(), app) as (port, _), connect(port) as connection:
        connection.sendall(whole(b"12345", b"expect: 100-continue\r\n")[:-5])
        assert connection.recv(1 << 16) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"12345")
        assert connection.recv(1 << 16).endswith(b"       5")
    assert app.starts == 0


def test_an_error_of_a_whole_request_is_answered_500() -> None:
    with serving(ConnectionLimits(), Whole()) as (port, _):
        with connect(port) as connection:
            connection.sendall(whole(b"error"))
            assert rest(connection).startswith(b"HTTP/1.1 500 ")
        with connect(port) as connection:
            connection.sendall(whole(b"fine"))
            assert responses(connection.recv(1 << 16)) == [b"fine"]


def test_a_client_that_leaves_before_its_answer_and_a_stop_with_requests_in_progress() -> None:
    with serving(ConnectionLimits(), Whole()) as (port, protocol):
        for body in (b"later", b"task"):
            with connect(port) as connection:
                connection.sendall(whole(body))
        deadline = time.monotonic() + 30
        while protocol.counts.total():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        staying = [connect(port) for _ in range(2)]
        for connection, body in zip(staying, (b"later", b"task"), strict=True):
            connection.sendall(whole(body))
        time.sleep(0.02)  # they are in progress
    for connection, body in zip(staying, (b"later", b"task"), strict=True):
        with connection:
            received = rest(connection)
        assert responses(received) == [body]
        assert b"connection: close" in received
