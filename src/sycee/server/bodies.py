"""Bodies of requests: each operation takes its documented media types alone, and JSON has one strict reader."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from sycee.core import json_documents
from sycee.core.errors import UsageError
from sycee.server.problems import Problem

_NAMED_CHARACTERS_MAX: Final = 60


class _Request(Request):
    """A request whose JSON is read by `json_documents`. `error`: of a body that is no such JSON."""

    error: UsageError | None = None

    async def json(self) -> Any:
        content = await self.body()
        try:
            return json_documents.parse(content, "body")
        except UsageError as error:
            self.error = error
            raise


class BodyRoute(APIRoute):
    """A route that reads JSON with `json_documents`. `media_types`: of its body, none for a route without a body."""

    media_types: tuple[str, ...]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of requests."""
        handle = super().get_route_handler()
        described = (self.openapi_extra or {}).get("requestBody")
        if described is not None:
            self.media_types = tuple(described["content"])
        else:
            self.media_types = () if self.body_field is None else ("application/json",)

        async def checked(request: Request) -> Response:
            read = _Request(request.scope, request.receive)
            try:
                return await handle(read)
            except HTTPException:
                if read.error is not None:  # FastAPI replaces it with an error that names no place
                    raise read.error from None
                raise

        return checked


async def require_media_type(request: Request) -> None:
    """Raise the problem for a body of a media type that its operation does not document. No body needs no type."""
    taken = request.scope["route"].media_types
    stated = request.headers.get("content-type", "")
    has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if taken and (stated or has_body) and stated.partition(";")[0].strip().lower() not in taken:
        named = repr(stated[:_NAMED_CHARACTERS_MAX]) if stated else "of no media type"
        raise Problem("unsupported-media-type", f"the body is {named}", hint=f"send {' or '.join(taken)}")
