"""Open-loop generator of HTTP requests over keep-alive connections.

The due time of each request is drawn in advance, and its latency counts from the due time: a request that is sent
late, because all connections wait for answers, counts as slow. Requests are not pipelined.
"""

from __future__ import annotations

import asyncio
import bisect
import gc
import json
from collections import Counter
from collections.abc import Sequence
from time import perf_counter
from typing import Final, cast

import numpy as np

from sycee.core.extras import extra

with extra("bank"):
    import httptools

TICK_S: Final = 0.001  # an event loop cannot sleep for less
GRACE_S: Final = 10.0  # for answers after the last due time
CONNECT_S: Final = 10.0


class Source:
    """Requests offered at one rate from one address."""

    def __init__(
        self,
        requests: Sequence[bytes],
        *,
        rate_per_s: float,
        connections: int,
        seed: int,
        local_address: str | None = None,
    ) -> None:
        """Draw the due times. `requests`: complete, with their headers."""
        self.rate_per_s = rate_per_s
        self.latencies_s: list[float] = []
        self.answered_s: list[float] = []  # since the start
        self.counts: Counter[str] = Counter()  # by status, and by status and code for problems
        self.answered = 0
        self._requests = requests
        moments = np.random.default_rng(seed).random(len(requests)) * (len(requests) / rate_per_s)
        self._due_s: list[float] = np.sort(moments).tolist()
        self._next = 0
        self._connections = connections
        self._local = (local_address, 0) if local_address else None
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._start_s = 0.0
        self._done: asyncio.Future[None] | None = None
        self._host, self._port = "", 0

    def answered_by(self, at_s: float) -> int:
        """Return the number of requests that were answered until `at_s` after the start."""
        return sum(each <= at_s for each in self.answered_s)

    @property
    def count(self) -> int:
        """Return the number of requests."""
        return len(self._requests)

    async def connect(self, host: str, port: int) -> None:
        """Open the connections. Raises OSError if the server refuses them."""
        self._host, self._port = host, port
        for start in range(0, self._connections, 64):  # fewer than a server's backlog
            await asyncio.gather(*(self._connect() for _ in range(min(64, self._connections - start))))

    async def _connect(self) -> None:
        async with asyncio.timeout(CONNECT_S):
            await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), self._host, self._port, local_addr=self._local
            )

    async def run(self, start_s: float) -> None:
        """Send all requests from `start_s` on, of perf_counter; return when all have answers or time has run out."""
        loop = asyncio.get_running_loop()
        self._start_s, self._done = start_s, loop.create_future()
        loop.call_later(max(0.0, start_s - perf_counter()), self._tick)
        last_s = self._due_s[-1] if self._due_s else 0.0
        try:
            async with asyncio.timeout(start_s - perf_counter() + last_s + GRACE_S):
                await self._done
        except TimeoutError:
            self.counts["unanswered"] += self.count - self.answered
        for connection in list(self._open):
            connection.close()

    def end(self) -> None:
        """Drop the requests that are not due yet; `run` returns when all others have answers."""
        due = bisect.bisect_right(self._due_s, perf_counter() - self._start_s)
        del self._due_s[due:]
        self._requests = self._requests[:due]
        self._end_if_complete()

    def _tick(self) -> None:
        """Send what is due, and look again."""
        now_s = perf_counter() - self._start_s
        due_s, idle = self._due_s, self._idle
        while idle and self._next < len(due_s) and due_s[self._next] <= now_s:
            self._send(idle.pop())
        if self._done is not None and not self._done.done():
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _send(self, connection: _Connection) -> None:
        at = self._next
        self._next += 1
        connection.send(at, self._requests[at])

    # --- called by connections ---

    def connected(self, connection: _Connection) -> None:
        """Add an idle connection."""
        self._open.add(connection)
        self._idle.append(connection)

    def finished(self, connection: _Connection, at: int, status: int, body: bytes) -> None:
        """Count the answer to request `at`, and send the next request if one is due."""
        now_s = perf_counter() - self._start_s
        self.latencies_s.append(now_s - self._due_s[at])
        self.answered_s.append(now_s)
        self.answered += 1
        self.counts[str(status) if status < 400 else f"{status} {_code_of(body)}".rstrip()] += 1
        if self._next < len(self._due_s) and self._due_s[self._next] <= now_s and connection.is_usable:
            self._send(connection)
        elif connection.is_usable:
            self._idle.append(connection)
        self._end_if_complete()

    def lost(self, connection: _Connection, at: int | None) -> None:
        """Replace a connection that the server closed. Its request, if any, counts as lost."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if at is not None:
            self.counts["lost"] += 1
            self.answered += 1
            self._end_if_complete()
        if self._done is not None and not self._done.done():
            task = asyncio.ensure_future(self._connect())
            task.add_done_callback(_ignore)

    def _end_if_complete(self) -> None:
        if self.answered == self.count and self._done is not None and not self._done.done():
            self._done.set_result(None)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request without an answer."""

    def __init__(self, source: Source) -> None:
        self.is_usable = True
        self._source = source
        self._parser = httptools.HttpResponseParser(self)
        self._at: int | None = None
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._source.connected(self)

    def connection_lost(self, _: Exception | None) -> None:
        self.is_usable = False
        at, self._at = self._at, None
        self._source.lost(self, at)

    def send(self, at: int, request: bytes) -> None:
        self._at = at
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    # --- of the parser ---

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.is_usable = False
            self._transport.close()
        at, self._at = self._at, None
        if at is not None:
            self._source.finished(self, at, self._parser.get_status_code(), self._body)


def _code_of(body: bytes) -> str:
    """Return the ledger's code in a problem, or the end of its type."""
    try:
        members = json.loads(body)
        return str(members.get("code") or members.get("type", "").rpartition("/")[2])
    except (ValueError, AttributeError):
        return ""


def _ignore(task: asyncio.Future[None]) -> None:
    """Read the error of a connection that could not be replaced: its requests wait for other connections."""
    if not task.cancelled():
        task.exception()


async def run_sources(sources: Sequence[Source], host: str, port: int) -> float:
    """Run all sources concurrently; return the seconds until the last of them ended."""
    for source in sources:
        await source.connect(host, port)
    # gc.unfreeze includes all frozen objects. If some were frozen before, the objects of this load stay frozen too.
    excluded = gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        start_s = perf_counter() + 0.05
        await asyncio.gather(*(source.run(start_s) for source in sources))
        return perf_counter() - start_s
    finally:
        gc.enable()
        if not excluded:
            gc.unfreeze()
