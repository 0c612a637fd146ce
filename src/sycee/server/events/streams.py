"""Streams of server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html).

A stream stores its position only. A reader that takes nothing for SLOW_S is disconnected, and continues later from the
last event it received; so no events collect for it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from starlette.responses import Response
from starlette.types import Receive, Send
from starlette.types import Scope as RequestScope

from sycee.core.arrays import Array
from sycee.core.errors import SyceeError
from sycee.server.auth.caller import Caller
from sycee.server.events.feed import Cursor, Page
from sycee.server.events.hub import Hub
from sycee.server.events.scopes import Scope
from sycee.server.problems import Problem

STREAMS_MAX: Final = 256
STREAMS_PER_CALLER_MAX: Final = 8
HEARTBEAT_S: Final = 15.0
REFRESH_S: Final = 15.0  # duties and wallets of the caller are read again
SLOW_S: Final = 10.0
LIFE_S: Final = 300.0  # the caller then connects again, with a valid token
RETRY_MS: Final = 2_000
SMALL_PAGE: Final = 16  # events whose texts cost less than a change of threads

MEDIA_TYPE: Final = "text/event-stream"

Refresh = Callable[[], Awaitable[Scope]]


class StreamSlots:
    """The open streams of one server, limited in all and for each caller."""

    def __init__(self, *, most: int = STREAMS_MAX, per_caller: int = STREAMS_PER_CALLER_MAX) -> None:
        self._most = most
        self._per_caller = per_caller
        self._open: Counter[tuple[int, int]] = Counter()

    @property
    def used(self) -> int:
        """Return the number of open streams."""
        return self._open.total()

    def take(self, caller: Caller) -> Callable[[], None]:
        """Take a slot for a caller's stream, and return the function that frees it.

        Raises the problems too-many-requests and unavailable.
        """
        key = caller.person, caller.client
        if self._open[key] >= self._per_caller:
            raise Problem("too-many-requests", f"the caller has {self._per_caller} open streams, which is the maximum")
        if self.used >= self._most:
            raise Problem("unavailable", "the server has as many open streams as it serves")
        self._open[key] += 1
        is_taken = True

        def free() -> None:
            nonlocal is_taken
            if is_taken:
                is_taken = False
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]

        return free


class EventStream(Response):
    """The response that sends a caller's events until the caller leaves, is too slow, or LIFE_S is over."""

    def __init__(self, hub: Hub, cursor: Cursor, refresh: Refresh, scope: Scope, free: Callable[[], None]) -> None:
        super().__init__(media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # for proxies that would collect events
        self._hub = hub
        self._cursor = cursor
        self._refresh = refresh
        self._scope = scope
        self._free = free

    async def __call__(self, scope: RequestScope, receive: Receive, send: Send) -> None:
        """Send the stream. The caller joined the hub for it; at its end the stream leaves the hub."""
        gone = asyncio.create_task(_disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send(send, f"retry: {RETRY_MS}\n{_position(self._cursor)}".encode())
            with suppress(TimeoutError, SyceeError):
                async with asyncio.timeout(LIFE_S):
                    await self._events(send, gone)
            await self._send(send, b"", more=False)
        except _SlowReader:
            return  # the server closes the connection of a response without an end
        finally:
            gone.cancel()
            self.release()

    def release(self) -> None:
        """Leave the hub and free the slot of the stream."""
        self._hub.leave()
        self._free()

    async def _events(self, send: Send, gone: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        refreshed = loop.time()
        while not gone.done() and not self._hub.is_closed:
            changed = self._hub.changed  # taken first: a page that arrives from here on sets it
            if loop.time() - refreshed >= REFRESH_S:
                self._scope, refreshed = await self._refresh(), loop.time()
            found = await self._hub.next(self._cursor)
            if isinstance(found, Page):
                self._cursor = found.end
                if text := await self._text(found):
                    await self._send(send, text)
                continue
            waiting = asyncio.create_task(changed.wait())
            timeout = min(HEARTBEAT_S, REFRESH_S)
            done, _ = await asyncio.wait({gone, waiting}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not done:
                await self._send(send, _position(self._cursor).encode())

    async def _text(self, page: Page) -> bytes:
        """Return the events of a page that the caller sees.

        The hub's thread makes the text of many events, once for all streams of equal scopes that wait for it.
        """
        scope = self._scope
        if page.size <= SMALL_PAGE or (scope.everything and page.has_whole):
            return events_text(page, scope)
        key = scope.everything or scope
        made = page.shared.get(key)
        if made is None:
            made = page.shared[key] = asyncio.ensure_future(self._hub.run(events_text, page, scope))
            made.add_done_callback(lambda _: page.shared.pop(key))
        return await asyncio.shield(made)

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        try:
            async with asyncio.timeout(SLOW_S):
                await send({"type": "http.response.body", "body": body, "more_body": more})
        except TimeoutError as error:
            raise _SlowReader from error


class _SlowReader(Exception):
    """The reader took nothing for SLOW_S."""


def events_text(page: Page, scope: Scope) -> bytes:
    """Return the events of a page that a caller sees, as the bytes of a stream."""
    seen = scope.seen(page)
    if seen is None:
        return page.whole(_lines)
    return b"".join(_lines(page, at, seen) for at in scope.visible(page, seen))


def _lines(page: Page, at: int, seen: Array | None = None) -> bytes:
    return f"id: {page.cursor(at)}\nevent: {page.type_of(at)}\ndata: {page.text(at, seen)}\n\n".encode()


def _position(cursor: Cursor) -> str:
    """Return lines that set the last event id without an event, so that a reconnection reads nothing twice."""
    return f": position\nid: {cursor}\n\n"


async def _disconnected(receive: Receive) -> None:
    with suppress(Problem):  # of a body that is too large, which also ends the stream
        while (await receive())["type"] != "http.disconnect":
            pass
