"""The two clients: they send what the shared core decides, and wait where it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from sycee.client.calls import Call, Page
from sycee.client.exchange import Lost, Outcome, Pause, Response, Send, Session
from sycee.client.tokens import Credentials
from sycee.core.errors import UsageError
from sycee.core.extras import extra

with extra("client"):
    import httpx

TIMEOUT_S: Final = 10.0  # of one attempt
DEADLINE_S: Final = 30.0  # of one call

Value = TypeVar("Value")


class Client:
    """A client of one server. Threads may share it; close it, or use it as a context manager.

    - `url`: the server's address. `origin`: its public address `http_origin`, if that is another one.
    - `credentials`: of a registered program; without them, what everybody may do.
    - `deadline_s`: no attempt of a call begins after this time; the last one may last TIMEOUT_S longer.
    - `http`: options of `httpx.Client`, such as `verify` and `proxy`.
    - `now_ns`: the bank's time, of a rehearsal its own clock.

    Raises UsageError for an address that is not of HTTP.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        origin: str = "",
        deadline_s: float = DEADLINE_S,
        now_ns: Callable[[], int] = time.time_ns,
        **http: Any,
    ) -> None:
        self._session = Session(_origin(origin or url), credentials, deadline_s, now_ns)
        self._http = httpx.Client(base_url=_origin(url), timeout=http.pop("timeout", TIMEOUT_S), **http)

    def do(self, call: Call[Value]) -> Value:
        """Carry out a call and return its value. Raises the errors of `sycee.client.errors`."""
        steps = self._session.run(call.converse(self._session))
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as ended:
                value: Value = ended.value
                return value
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                outcome = None
                continue
            try:
                outcome = _received(self._http.send(_request(self._http, step)))
            except httpx.TransportError as error:
                outcome = _lost(error)

    def rows(self, first: Call[Page[Value]]) -> Iterator[Value]:
        """Yield the rows of a list, page after page."""
        call: Call[Page[Value]] | None = first
        while call is not None:
            page = self.do(call)
            yield from page.rows
            call = page.next

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


class AsyncClient:
    """The same client for asyncio. Arguments and errors as Client."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        origin: str = "",
        deadline_s: float = DEADLINE_S,
        now_ns: Callable[[], int] = time.time_ns,
        **http: Any,
    ) -> None:
        self._session = Session(_origin(origin or url), credentials, deadline_s, now_ns)
        self._http = httpx.AsyncClient(base_url=_origin(url), timeout=http.pop("timeout", TIMEOUT_S), **http)

    async def do(self, call: Call[Value]) -> Value:
        """Carry out a call and return its value. Raises the errors of `sycee.client.errors`."""
        steps = self._session.run(call.converse(self._session))
        outcome: Outcome = None
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration as ended:
                value: Value = ended.value
                return value
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
                outcome = None
                continue
            try:
                outcome = _received(await self._http.send(_request(self._http, step)))
            except httpx.TransportError as error:
                outcome = _lost(error)

    async def rows(self, first: Call[Page[Value]]) -> AsyncIterator[Value]:
        """Yield the rows of a list, page after page."""
        call: Call[Page[Value]] | None = first
        while call is not None:
            page = await self.do(call)
            for row in page.rows:
                yield row
            call = page.next

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.aclose()


def _request(http: httpx.Client | httpx.AsyncClient, step: Send) -> httpx.Request:
    request = step.request
    headers = {"Accept": "application/json", **step.headers}
    if request.content_type:
        headers["Content-Type"] = request.content_type
    return http.build_request(
        request.method, request.path, params=dict(request.query) or None, content=request.content, headers=headers
    )


def _received(answer: httpx.Response) -> Response:
    return Response(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)


def _lost(error: httpx.TransportError) -> Lost:
    return Lost(f"{type(error).__name__} {error}".strip())


def _origin(url: str) -> str:
    """Return scheme, host and port of an address. Raises UsageError for another one."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise UsageError(f"{url!r} is not the address of a server", hint="write https://HOST, or http://localhost:8420")
    return f"{parts.scheme}://{parts.netloc}"
