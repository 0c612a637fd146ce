"""The stream of events."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response

from sycee.server.auth.dependencies import authentication_of
from sycee.server.events.feed import Cursor
from sycee.server.events.hub import Hub
from sycee.server.events.kinds import NAMES
from sycee.server.events.scopes import Scope, scope_of
from sycee.server.events.streams import MEDIA_TYPE, EventStream, StreamSlots
from sycee.server.operations import SIGNED_IN, operation
from sycee.server.routes.common import TheCaller, TheRuntime

router = APIRouter(prefix="/v1", tags=["events"])

_EXAMPLE: Final = (
    'id: 12.3.7\nevent: payment.made\ndata: {"id":"12.3","type":"payment.made",'
    '"at":"2026-11-02T00:00:01.000000000Z","at_ns":"1793577601000000000",'
    '"operation":"01930e2c-5a00-7abc-8def-0123456789ab","currency":"CNY","amount":"1250",'
    '"accounts":["01930e2c-5a00-7abc-8def-000000000001","01930e2c-5a00-7abc-8def-000000000002"]}\n\n'
)
_STREAM: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": f"Server-sent events, of the types {', '.join(NAMES)}.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    }
}
After = Annotated[
    str, Query(max_length=60, description="FRAME.INDEX.NUMBER of the last event received; 0.0.0 for all events")
]
LastEventId = Annotated[str, Header(max_length=60, description="As `after`, sent by browsers; it wins over `after`")]


def hub_of(request: Request) -> Hub:
    """Return the hub of a request's application."""
    hub: Any = request.app.state.hub
    assert isinstance(hub, Hub)
    return hub


@operation(
    router, "GET", "/events", access=SIGNED_IN, responses=_STREAM, response_class=Response,
    summary="Follow events as they happen",
)  # fmt: skip
async def follow_events(
    request: Request, runtime: TheRuntime, caller: TheCaller, after: After = "", last_event_id: LastEventId = ""
) -> Response:
    """Send the events that the caller may see, after a position or later ones, until the caller leaves.

    The id of each event is the position after it. A connection ends after five minutes, when the reader is too slow,
    and when the caller loses access: connect again with the last id.
    """
    text = last_event_id or after
    start = Cursor.parse(text) if text else None
    slots: StreamSlots = request.app.state.streams
    hub, authentication = hub_of(request), authentication_of(request)

    def current() -> Scope:
        authentication.require_still(caller, request.cookies)
        return scope_of(runtime.bank, caller)

    free = slots.take(caller)
    try:
        scope = await runtime.run(current)
        cursor = await hub.join(start)
    except BaseException:
        free()
        raise
    return EventStream(hub, cursor, lambda: runtime.run(current), scope, free)
