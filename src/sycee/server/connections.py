"""uvicorn's HTTP protocol with limits of size, time and number that it lacks.

httptools collects a header of any length, a connection that sends nothing stays open, and one address may open any
number of connections. The limits here end such connections with a problem and cost a complete request no timer. A
payment that arrives whole is answered without a task (docs/decisions/0030).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, ClassVar, Final, Protocol, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from sycee.server.payments import answers
from sycee.server.payments.answers import Answer
from sycee.server.payments.app import EventualAnswer
from sycee.server.payments.senders import network_of
from sycee.server.problems import MEDIA_TYPE, Problem

WHOLE_BYTES_MAX: Final = 1_024  # of a body that is complete with its header, and is given to `WholeRequests`
STREAMS: Final = "/v1/bulk/"  # paths whose bodies may take long
_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)  # Linux


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of the connections of one server. An address is an IPv4 address or an IPv6 network of 64 bits."""

    header_bytes_max: int = 16 << 10  # request line and header fields; a packet may exceed it by its length
    # From the first byte of a request, or from the connection, to the end of the body; of a stream of rows, between two
    # pieces of it.
    request_s: float = 20.0
    ignored_bytes_max: int = 256 << 10  # of a body that still arrives after its answer
    unread_s: float = 30.0  # in which the other side takes no byte of an answer; also after the server closed
    address_max: int = 1_024  # connections of one address
    total_max: int = 4_096  # of all; more than this need a proxy or another machine


class WholeRequests(Protocol):
    """An application that answers some requests, those with short and complete bodies, without a task for each."""

    def is_payment(self, scope: Any) -> bool:
        """Return whether `start` answers the request."""

    def start(self, scope: Any, body: bytes, done: Callable[[EventualAnswer], None]) -> None:
        """Answer a request: call `done` once with an answer that has a content-length, or will be one."""


class JoinedHeads:
    """A transport that writes the head of a response together with the first bytes of its body.

    uvicorn writes them one after the other, and uvloop makes a system call for each. The call takes longer than
    uvicorn's work for a small response.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write data; a head waits until the next write, or the next iteration of the loop."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data[:9] == b"HTTP/1.1 ":  # also of a memoryview
            self._head = data
            self._loop.call_soon(self._write_head)
            return
        self._transport.write(data)

    def write_whole(self, data: bytes) -> None:
        """Write a head with its body."""
        self._write_head()
        self._transport.write(data)

    def close(self) -> None:
        """Close the transport after everything is written."""
        self._write_head()
        self._transport.close()

    def _write_head(self) -> None:
        if self._head and not self._transport.is_closing():
            head, self._head = self._head, b""
            self._transport.write(head)


class LimitedProtocol(HttpToolsProtocol):
    """One connection. `bound_to` returns a class with its own limits and counts, for one server."""

    limits: ClassVar[ConnectionLimits]
    counts: ClassVar[Counter[str]]  # open connections by address
    whole: ClassVar[WholeRequests | None]

    @classmethod
    def bound_to(cls, limits: ConnectionLimits, whole: WholeRequests | None = None) -> type[LimitedProtocol]:
        """Return this protocol with limits, for the `http` of uvicorn's configuration.

        `whole`: the application, if it answers some requests without a task.
        """
        return type("BoundProtocol", (cls,), {"limits": limits, "counts": Counter(), "whole": whole})

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._header_bytes = 0  # of a header that is incomplete
        self._ignored_bytes = 0
        self._is_in_header = self._is_in_body = self._is_stream = False
        self._unstarted: tuple[RequestResponseCycle, Any] | None = None  # a request that may be whole, and its app
        self._timer: asyncio.TimerHandle | None = None
        self._address = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it."""
        super().connection_made(cast(asyncio.Transport, JoinedHeads(transport, self.loop)))
        self._address = network_of(self.client[0]) if self.client else ""
        self.counts[self._address] += 1
        # A Unix socket has no addresses: the proxy behind it counts.
        if self.counts.total() > self.limits.total_max or (
            self._address and self.counts[self._address] > self.limits.address_max
        ):
            self._refuse(Problem("unavailable", "too many connections are open", hint="close some, then try again"))
            return
        # A client that never reads would keep its connection, and the rest of its answer, without end.
        if self.client and _USER_TIMEOUT is not None:
            transport.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, _USER_TIMEOUT, round(self.limits.unread_s * 1_000)
            )
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop counting the connection."""
        self._stop_timer()
        self.counts[self._address] -= 1
        if self.counts[self._address] <= 0:
            del self.counts[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes, unless the connection is being closed."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unstarted is not None:  # its body is incomplete
            (cycle, app), self._unstarted = self._unstarted, None
            super()._start_asgi_task(cycle, app)
        if not (self._is_in_header or self._is_in_body):
            if self._timer is not None:
                self._stop_timer()
            return
        if self._is_in_header:
            self._header_bytes += len(data)
            if self._header_bytes > self.limits.header_bytes_max:
                detail = f"the header may have {self.limits.header_bytes_max:,} bytes"
                self._refuse(Problem("too-large", detail, hint="send fewer and shorter header fields"))
                return
        elif self.cycle.response_complete:
            self._ignored_bytes += len(data)
            if self._ignored_bytes > self.limits.ignored_bytes_max:
                self._stop_timer()
                self.transport.close()
                return
        if self._is_in_body and self._is_stream:
            self._stop_timer()  # a stream of rows lasts as long as it moves
        if self._timer is None:
            self._start_timer()

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_in_header, self._header_bytes, self._ignored_bytes = True, 0, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin a body."""
        self._is_in_header, self._is_in_body = False, True
        super().on_headers_complete()
        self._is_stream = self.scope["path"].startswith(STREAMS)

    def on_message_complete(self) -> None:
        """End a request; start it, if it is whole."""
        self._is_in_body = False
        super().on_message_complete()
        if self._unstarted is not None:
            (cycle, app), self._unstarted = self._unstarted, None
            self._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Start a request; without a task if it is whole, and the application answers such requests."""
        whole: Any = self.whole
        if app is not whole or cycle.waiting_for_100_continue or not whole.is_payment(cycle.scope):
            super()._start_asgi_task(cycle, app)
        elif cycle.more_body and self._is_in_body and cycle is self.cycle:
            self._unstarted = cycle, app  # the rest of its body may be in the bytes that are being parsed
        elif cycle.more_body or len(cycle.body) > WHOLE_BYTES_MAX:
            super()._start_asgi_task(cycle, app)
        else:
            whole.start(cycle.scope, bytes(cycle.body), partial(self._finish_whole, cycle))

    def _finish_whole(self, cycle: RequestResponseCycle, outcome: EventualAnswer) -> None:
        """Send an answer at once, without uvicorn's checks of each header; or in a task, if that must wait."""
        usual = cycle.keep_alive and not (cycle.disconnected or cycle.default_headers or cycle.flow.write_paused)
        if not usual or not isinstance(outcome, Answer) or outcome.status >= 300:
            super()._start_asgi_task(cycle, partial(_send_later, outcome))
            return
        cycle.response_started = cycle.response_complete = True
        cast(JoinedHeads, cycle.transport).write_whole(_head(outcome.status, tuple(outcome.headers)) + outcome.body)
        cycle.on_response()

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are not HTTP."""
        self._refuse(Problem("invalid-request", "the request is not HTTP/1.1", hint="use an HTTP library"))

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.limits.request_s, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        detail = f"the request was incomplete after {self.limits.request_s:g} s"
        self._refuse(Problem("request-timeout", detail, hint="send the same request again"))

    def _refuse(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun, and close the connection."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        cycle: Any = self.cycle  # None before the first request
        # Bytes after an answer would be taken for the answer to the next request.
        if cycle is None or (not cycle.response_started if self._is_in_body else cycle.response_complete):
            body = json.dumps(problem.document(os.urandom(8).hex())).encode()
            head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % (
                MEDIA_TYPE.encode(),
                len(body),
            )
            self.transport.write(STATUS_LINE[problem.type.status] + head + body)
        self.transport.close()


async def _send_later(outcome: EventualAnswer, scope: Any, receive: Any, send: Any) -> None:
    """Send an answer as an ASGI application does, once it is there."""
    await answers.send(outcome if isinstance(outcome, Answer) else await outcome, send)


@lru_cache(maxsize=1_024)
def _head(status: int, headers: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the head of a response. The headers of results are few different lists, which are kept as bytes."""
    return STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % each for each in headers) + b"\r\n"
