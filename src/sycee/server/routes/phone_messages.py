"""Messages to phones that were not delivered: which, why, and once again. No answer has a phone or a secret."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from sycee.bank.bank import Bank
from sycee.core import ids
from sycee.core.timestamps import exact_text
from sycee.life.notices import DELIVER, Notice
from sycee.server import paging
from sycee.server.operations import operation
from sycee.server.routes.common import REPEATED, Moment, Next, PathId, TheCaller, TheRuntime, hidden, number
from sycee.server.signing import ActionBody, Body, Id, Signatures

router = APIRouter(prefix="/v1/messages", tags=["messages"])


class Undelivered(Body):
    """A message that waits, is a dead letter, or has expired. `text`: a code. `reason`: of the last failed attempt."""

    message: Id
    person: Id
    text: str
    state: Literal["waiting", "dead", "expired"]
    attempts: int
    reason: str
    at: Moment
    until: Moment | None
    retry_at: Moment | None


class UndeliveredPage(Body):
    """Messages, oldest first."""

    rows: tuple[Undelivered, ...]
    next: Next


class WaitsAgain(Body):
    """A dead letter that waits for its delivery again."""

    message: Id


@operation(
    router, "GET", "/undelivered", access=DELIVER, response_model=UndeliveredPage,
    summary="List messages to phones that were not delivered",
)  # fmt: skip
async def list_undelivered_messages(
    caller: TheCaller, runtime: TheRuntime, limit: paging.Limit = paging.ROWS, cursor: paging.Cursor = ""
) -> dict[str, Any]:
    """Return what waits, what was given up, and what expired, without phones and secrets."""

    def work(bank: Bank) -> dict[str, Any]:
        found = bank.life.outbox.undelivered(after=paging.after_id(cursor), most=limit + 1)
        return paging.page([_shown(each) for each in found[:limit]], paging.next_id(found, limit))

    return await runtime.run(work, runtime.bank)


@operation(
    router, "POST", "/undelivered/{message}/again", access=DELIVER, status_code=201, response_model=WaitsAgain,
    responses=REPEATED, summary="Have a dead letter sent again",
)  # fmt: skip
async def send_message_again(message: PathId, body: ActionBody, caller: TheCaller, runtime: TheRuntime) -> JSONResponse:
    """Let a dead letter wait again, with all its attempts. One that had a secret has none left, and is refused."""

    def work(bank: Bank, request: Signatures) -> dict[str, Any]:
        answer = {"message": message}
        with hidden("message"):
            bank.life.outbox.again(number(message), also=request.answered(answer))
        return answer

    return await runtime.perform("send_message_again", caller.person, body, work, place={"message": message})


def _shown(each: Notice) -> dict[str, Any]:
    return {
        "message": ids.format(each.id),
        "person": ids.format(each.person),
        "text": each.text,
        "state": each.state,
        "attempts": each.attempts,
        "reason": each.reason,
        "at": exact_text(each.at_ns),
        "until": exact_text(each.until_ns) if each.until_ns else None,
        "retry_at": exact_text(each.retry_ns) if each.retry_ns else None,
    }
