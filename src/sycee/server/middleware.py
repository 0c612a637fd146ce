"""What applies to every request: its id, the text of its address, the size of its body, headers for browsers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from typing import Final, TypeAlias
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sycee.core.json_documents import is_storable
from sycee.server.payments.senders import address_of, network_of
from sycee.server.problems import Problem
from sycee.server.runtime import SENDER

Headers: TypeAlias = Iterable[tuple[bytes, bytes]]

# A small body costs little to parse and to store, so that the requests of others do not block it.
SMALL_BODY_BYTES: Final = 16 << 10
# Of a larger body. Parsing and refusing 100,000 members takes a second, in which the event loop serves nobody.
CONTAINERS_MAX: Final = 5_000
_CONTAINERS: Final = (b"{", b"[", b":")
ADDRESS_BYTES_MAX: Final = 8 << 20  # of large bodies of one address in memory at the same time
TOTAL_BYTES_MAX: Final = 64 << 20  # of all addresses

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class RequestLimits:
    """Gives each request an id, refuses bodies that cost too much, and adds the security headers to each answer.

    `forwarded`: as in `PaymentSettings`. A header that a handler set stays as it is.
    """

    def __init__(self, app: ASGIApp, *, body_bytes_max: int, is_tls: bool, forwarded: bool = False) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._headers = (*_HEADERS, (b"strict-transport-security", b"max-age=31536000")) if is_tls else _HEADERS
        self._forwarded = forwarded
        self._held: Counter[str] = Counter()  # bytes of large bodies in memory, by address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = os.urandom(8).hex()
        scope["sycee.request_id"] = request_id
        address = network_of(address_of(scope, forwarded=self._forwarded))
        SENDER.set(address)
        body = _Body(receive, self._held, address, self._body_bytes_max)
        is_answered = False

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in self._headers if name not in present),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        async def send_unless_refused(message: Message) -> None:
            nonlocal is_answered
            # The framework may have made another answer of the error that `receive` raised.
            if is_answered or body.refusal is None:
                is_answered = True
                await send_with_headers(message)

        if (refusal := _refusal_of_address(scope) or self._refusal_of(scope["headers"])) is None:
            try:
                await self._app(scope, body.receive, send_unless_refused)
            except Problem:
                if body.refusal is None:
                    raise
            finally:
                body.release()
            refusal = body.refusal
        if refusal is not None and not is_answered:
            refusal.headers["connection"] = "close"  # the rest of the body is not read
            await refusal.response(request_id)(scope, receive, send_with_headers)

    def _refusal_of(self, headers: Headers) -> Problem | None:
        """Return the problem of a request whose header shows that its body cannot be taken."""
        length, encoding = b"0", b""
        for name, value in headers:
            if name == b"content-length":
                length = value
            elif name == b"content-encoding":
                encoding = value.strip().lower()
        if not length.isdigit() or int(length) > self._body_bytes_max:
            return _too_large(self._body_bytes_max)
        if encoding not in (b"", b"identity"):
            hint = "send the body without compression, and without the header Content-Encoding"
            return Problem("unsupported-media-type", "compressed bodies are not taken", hint=hint)
        return None


def _refusal_of_address(scope: Scope) -> Problem | None:
    """Return the problem of a path or query with bytes that are no text, or that a database does not store."""
    for what, raw in (("path", scope.get("raw_path") or scope["path"].encode()), ("query", scope["query_string"])):
        if b"%" in raw or not raw.isascii():
            try:
                is_text = is_storable(unquote_to_bytes(raw).decode())
            except UnicodeDecodeError:
                is_text = False
            if not is_text:
                return Problem("invalid-request", f"the {what} is not UTF-8, or has a NUL", hint="encode it as UTF-8")
    return None


class _Body:
    """The body of one request, with its limits. `receive` raises `refusal` once it exceeds one."""

    def __init__(self, receive: Receive, held: Counter[str], address: str, bytes_max: int) -> None:
        self._receive = receive
        self._held = held
        self._address = address
        self._bytes_max = bytes_max
        self._bytes = self._containers = self._own = 0
        self.refusal: Problem | None = None

    async def receive(self) -> Message:
        """Return the next message."""
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if body:
            self._count(body)
            if self.refusal is not None:
                raise self.refusal
        return message

    def release(self) -> None:
        """Give the memory back."""
        if self._own:
            self._held[self._address] -= self._own
            if self._held[self._address] <= 0:
                del self._held[self._address]
            self._own = 0

    def _count(self, body: bytes) -> None:
        self._bytes += len(body)
        if self._bytes > self._bytes_max:
            self.refusal = _too_large(self._bytes_max)
            return
        if self._bytes <= SMALL_BODY_BYTES:
            return
        self._containers += sum(map(body.count, _CONTAINERS))
        if self._containers > CONTAINERS_MAX:
            detail = f"the body may have {CONTAINERS_MAX:,} objects, lists and members"
            self.refusal = Problem("too-large", detail)
            return
        self._own += len(body)
        self._held[self._address] += len(body)
        if self._held[self._address] > ADDRESS_BYTES_MAX or self._held.total() > TOTAL_BYTES_MAX:
            detail = "too many large bodies arrive at once"
            self.refusal = Problem("unavailable", detail, hint="send one after the other")


def _too_large(body_bytes_max: int) -> Problem:
    return Problem("too-large", f"the body may have {body_bytes_max:,} bytes")
