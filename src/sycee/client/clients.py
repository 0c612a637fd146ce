"""The two clients: they send what the shared core decides, and wait where it waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from sycee.client.calls import JSON, Call, Page
from sycee.client.errors import ContradictsRequest
from sycee.client.events import EVENT_STREAM, Event, Feed
from sycee.client.exchange import Lost, Pause, Response, Send, SendOutcome, Session
from sycee.client.tokens import Credentials
from sycee.core.clock import RealClock
from sycee.core.errors import UsageError
from sycee.core.extras import extra

with extra("client"):
    import httpx

if TYPE_CHECKING:
    from sycee.client.bulk import Payment
    from sycee.client.bulk_arrow import RowResults

TIMEOUT_S: Final = 10.0  # of one attempt
STREAM_TIMEOUT_S: Final = 45.0  # without a byte: the server sends some every 15 s
DEADLINE_S: Final = 30.0  # of one call
ANSWER_BYTES_MAX: Final = 64 << 20  # four times the largest pack of a day

Value = TypeVar("Value")
_NOW_NS: Final = RealClock().now_ns


class Client:
    """A client of one server. Threads may share it; close it, or use it as a context manager.

    - `url`: the server's address. `origin`: its public address `http_origin`, if that is another one.
    - `credentials`: of a registered program; without them, what everybody may do.
    - `deadline_s`: no attempt of a call begins after this time; the last one may last TIMEOUT_S longer.
    - `ledger_id`: hexadecimal; sign in this ledger only. Without it: in the first one that the server names.
    - `http`: options of `httpx.Client`, such as `verify` and `proxy`.
    - `now_ns`: the bank's time, of a rehearsal its own clock. `machine_ns`: this machine's clock, for the login.

    Raises UsageError for an address that is not of HTTP.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        *,
        origin: str = "",
        deadline_s: float = DEADLINE_S,
        now_ns: Callable[[], int] = _NOW_NS,
        machine_ns: Callable[[], int] = _NOW_NS,
        ledger_id: str = "",
        **http: Any,
    ) -> None:
        self._session = Session(_origin(origin or url), credentials, deadline_s, now_ns, machine_ns, ledger_id)
        self._http = httpx.Client(base_url=_origin(url), timeout=http.pop("timeout", TIMEOUT_S), **http)

    def do(self, call: Call[Value]) -> Value:
        """Perform a call and return its value. Raises the errors of `sycee.client.errors`."""
        steps = self._session.run(call.converse(self._session))
        outcome: SendOutcome = None
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
                answer = self._http.send(_request(self._http, step), stream=True)
                if _is_open(step, answer):
                    outcome = _received(answer, stream=answer)
                    continue
                body = Body()
                with closing(answer):
                    for part in answer.iter_bytes():
                        body.add(part)
                outcome = _received(answer, body.content)
            except httpx.RequestError as error:
                outcome = _lost(error)

    def rows(self, first: Call[Page[Value]]) -> Iterator[Value]:
        """Yield the rows of a list, page after page."""
        call: Call[Page[Value]] | None = first
        while call is not None:
            page = self.do(call)
            yield from page.rows
            call = page.next

    def events(self, place: str = "") -> Iterator[Event]:
        """Yield events as they happen, without end, each once and in order; connect again after each interruption.

        `place`: of the last event that was handled; "0.0.0" for all events, "" for later ones. Raises the errors
        of `do` if the server is lost for `deadline_s`.
        """
        feed = Feed(place)
        while True:
            time.sleep(feed.pause_s)
            stream = self.do(feed.connect()).stream
            with closing(stream), suppress(httpx.RequestError):
                for text in stream.iter_text():
                    yield from feed.take(text)

    def bulk(self, payment: Payment) -> Iterator[RowResults]:
        """Pay a file and yield the results of its batches, in order; every row once, also if it was paid before.

        A lost connection is repeated for `deadline_s`. After an error, call it again with the same payment. Raises the
        errors of `do`, and UsageError for a file that two persons must approve first.
        """
        from sycee.client import bulk

        self.do(bulk.declare(payment))
        for call in bulk.calls(payment, self.do(bulk.status(payment.id))):
            yield from self.do(call)

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
        now_ns: Callable[[], int] = _NOW_NS,
        machine_ns: Callable[[], int] = _NOW_NS,
        ledger_id: str = "",
        **http: Any,
    ) -> None:
        self._session = Session(_origin(origin or url), credentials, deadline_s, now_ns, machine_ns, ledger_id)
        self._http = httpx.AsyncClient(base_url=_origin(url), timeout=http.pop("timeout", TIMEOUT_S), **http)

    async def do(self, call: Call[Value]) -> Value:
        """Perform a call and return its value. Raises the errors of `sycee.client.errors`."""
        steps = self._session.run(call.converse(self._session))
        outcome: SendOutcome = None
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
                answer = await self._http.send(_request(self._http, step), stream=True)
                if _is_open(step, answer):
                    outcome = _received(answer, stream=answer)
                    continue
                body = Body()
                async with aclosing(answer):
                    async for part in answer.aiter_bytes():
                        body.add(part)
                outcome = _received(answer, body.content)
            except httpx.RequestError as error:
                outcome = _lost(error)

    async def rows(self, first: Call[Page[Value]]) -> AsyncIterator[Value]:
        """Yield the rows of a list, page after page."""
        call: Call[Page[Value]] | None = first
        while call is not None:
            page = await self.do(call)
            for row in page.rows:
                yield row
            call = page.next

    async def events(self, place: str = "") -> AsyncIterator[Event]:
        """Yield events as they happen. Arguments and errors as `Client.events`."""
        feed = Feed(place)
        while True:
            await asyncio.sleep(feed.pause_s)
            stream = (await self.do(feed.connect())).stream
            async with aclosing(stream):
                with suppress(httpx.RequestError):
                    async for text in stream.aiter_text():
                        for event in feed.take(text):
                            yield event

    async def bulk(self, payment: Payment) -> AsyncIterator[RowResults]:
        """Pay a file and yield the results of its batches. Argument and errors as `Client.bulk`."""
        from sycee.client import bulk

        await self.do(bulk.declare(payment))
        for call in bulk.calls(payment, await self.do(bulk.status(payment.id))):
            for results in await self.do(call):
                yield results

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
    headers = {"Accept": EVENT_STREAM if request.is_stream else JSON, **step.headers}
    if request.content_type:
        headers["Content-Type"] = request.content_type
    content: Any = request.content
    if request.pieces is not None:
        content = _pieces(request.pieces()) if isinstance(http, httpx.AsyncClient) else request.pieces()
    made = http.build_request(
        request.method, request.path, params=dict(request.query) or None, content=content, headers=headers
    )
    if request.is_stream:
        made.extensions["timeout"] = {**made.extensions["timeout"], "read": STREAM_TIMEOUT_S}
    if request.pieces is not None:  # the server takes rows as fast as its disk does
        slow = {"read": STREAM_TIMEOUT_S, "write": STREAM_TIMEOUT_S}
        made.extensions["timeout"] = {**made.extensions["timeout"], **slow}
    return made


async def _pieces(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _is_open(step: Send, answer: httpx.Response) -> bool:
    """Return whether an answer is read by its consumer, piece after piece."""
    return step.request.is_stream and answer.status_code == 200


class Body:
    """The bytes of an answer, up to ANSWER_BYTES_MAX: a server that an attacker controls could send without end."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._left = ANSWER_BYTES_MAX

    def add(self, part: bytes) -> None:
        """Add a part. Raises ContradictsRequest for a body that is too long."""
        self._left -= len(part)
        if self._left < 0:
            raise ContradictsRequest(f"the answer of the server has more than {ANSWER_BYTES_MAX:,} bytes")
        self._parts.append(part)

    @property
    def content(self) -> bytes:
        """Return all bytes."""
        return b"".join(self._parts)


def _received(answer: httpx.Response, content: bytes = b"", *, stream: httpx.Response | None = None) -> Response:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Response(answer.status_code, headers, content, stream)


def _lost(error: httpx.RequestError) -> Lost:
    return Lost(f"{type(error).__name__} {error}".strip())


def _origin(url: str) -> str:
    """Return scheme, host and port of an address. Raises UsageError for another one."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise UsageError(f"{url!r} is not the address of a server", hint="write https://HOST, or http://localhost:8420")
    return f"{parts.scheme}://{parts.netloc}"
