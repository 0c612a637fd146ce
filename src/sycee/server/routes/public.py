"""Public operations: health, the supply, and the pages of problems."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import PlainTextResponse

from sycee.issuance import supply_page
from sycee.server import problems
from sycee.server.operations import PUBLIC, operation
from sycee.server.runtime import Runtime, runtime_of

router = APIRouter(tags=["public"])
TheRuntime = Annotated[Runtime, Depends(runtime_of)]


@operation(router, "GET", "/healthz", access=PUBLIC, summary="Whether the process answers")
async def health() -> dict[str, str]:
    """Answer immediately. Use it to decide whether to restart the process."""
    return {"status": "alive"}


@operation(router, "GET", "/readyz", access=PUBLIC, summary="Whether the server takes work")
async def ready(runtime: TheRuntime) -> dict[str, Any]:
    """Return the newest durable frame, or 503 during recovery, while stopping and after the ledger stopped."""
    ledger = runtime.bank.stores.ledger
    ledger.sequencer.check_running()
    if not runtime.is_ready or runtime.is_stopping:
        raise problems.Problem("unavailable", "the server is starting or stopping")
    return {"status": "ready", "frame": ledger.sequencer.durable_sequence}


@operation(router, "GET", "/v1/supply", access=PUBLIC, summary="The supply and the reserves behind it")
async def supply(runtime: TheRuntime) -> dict[str, Any]:
    """Return the supply as of the newest frame: anybody may check that the money is backed.

    With very many wallets, as of a frame shortly before. `state_digest` is null: checkpoints of closed days have it.
    """
    return await runtime.run(lambda: supply_page.as_json(runtime.supply()))


@operation(
    router, "GET", "/problems/{name}", access=PUBLIC, summary="What a type of problem means",
    response_class=PlainTextResponse,
)  # fmt: skip
async def problem(name: str) -> Response:
    """Return the page of a problem's `type`, as text."""
    kind = problems.TYPES.get(name)
    if kind is None:
        raise problems.not_found("problem of this name")
    text = f"{kind.title} (HTTP {kind.status})\n\n{kind.meaning}\n\n{kind.next_step}\n"
    return Response(text, media_type="text/plain; charset=utf-8")
