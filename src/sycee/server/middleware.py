"""Limits and headers that apply to every request: its id, the size of its body, and headers for browsers."""

from __future__ import annotations

import os
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sycee.server.problems import Problem

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
    """Gives each request an id, refuses bodies above a size, and adds the security headers to each answer.

    A header that a handler set stays as it is.
    """

    def __init__(self, app: ASGIApp, *, body_bytes_max: int, is_tls: bool) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._headers = (*_HEADERS, (b"strict-transport-security", b"max-age=31536000")) if is_tls else _HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = os.urandom(8).hex()
        scope["sycee.request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in self._headers if name not in present),
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        too_large = Problem("too-large", f"the body may have {self._body_bytes_max:,} bytes")
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        if not length.isdigit() or int(length) > self._body_bytes_max:
            await too_large.response(request_id)(scope, receive, send_with_headers)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes_max:
                raise too_large  # a chunked body has no length in advance
            return message

        await self._app(scope, receive_limited, send_with_headers)
